r"""Match structured answers part by part, with as many parts as the reference."""

from __future__ import annotations

import re
from collections.abc import Hashable

from r1.rewards.math.expressions import (
    QuestionContext,
    compare_expressions,
    plain_key,
    repeats_question,
)
from r1.rewards.math.numbers import cut_quantity, read_number
from r1.rewards.math.parts import PIECEWISE, Atom, Group, Value
from r1.rewards.math.symbolic import Sameness, compare_symbolic, is_near
from r1.rewards.math.value import parse_value


def compare_values(gold: Value, given: Value, asked: QuestionContext) -> Sameness:
    """Compare two parsed answers."""
    if not isinstance(gold, Group):
        return (
            Sameness.DIFFERENT if isinstance(given, Group) else _compare_atoms(gold, given, asked)
        )
    if not isinstance(given, Group):
        return _compare_whole(gold, given, asked)
    if gold.name and given.name and gold.name != given.name:
        return Sameness.DIFFERENT
    if gold.is_choice != given.is_choice and _are_named(gold) and not _indexed_letter(gold.parts):
        return Sameness.DIFFERENT  # x = 1 or y = 2 is no solution of a system
    kinds = {gold.opening, given.opening}
    if (gold.opening, gold.closing) == (given.opening, given.closing):
        ordered = gold.opening not in ("", "{", "∪", PIECEWISE)
    elif kinds == {"", "{"}:
        ordered = False
    elif kinds == {"∪", ""} and _are_intervals(given if gold.opening == "∪" else gold):
        ordered = False  # x < 1 or x > 2
    elif gold.is_choice or given.is_choice:
        return Sameness.DIFFERENT
    elif kinds == {"(", ""} and ")" in (gold.closing, given.closing):
        ordered, gold, given = True, _by_name(gold), _by_name(given)
        if given.opening == "(" and not _are_named(gold):
            return Sameness.DIFFERENT
    else:
        return Sameness.DIFFERENT
    return _compare_parts(gold.parts, given.parts, ordered, asked)


def _are_named(group: Group) -> bool:
    names = [part.name for part in group.parts if isinstance(part, Atom) and part.name]
    return len(set(names)) == len(group.parts)


def _by_name(group: Group) -> Group:
    """Order named values by name: y = 2, x = 1 become the coordinates (1, 2)."""
    if group.opening or not _are_named(group):
        return group
    parts = sorted(group.parts, key=lambda part: (isinstance(part, Atom) and part.name) or "")
    return group._replace(parts=tuple(parts))


def _are_intervals(group: Group) -> bool:
    return all(isinstance(part, Group) and part.opening in ("(", "[") for part in group.parts)


def _compare_whole(gold: Group, given: Atom, asked: QuestionContext) -> Sameness:
    """Compare wholes; a set with one member may be answered by the member."""
    if len(gold.parts) == 1 and gold.opening == "{":
        return compare_values(gold.parts[0], given, asked)
    if gold == _REALS and given.chain[-1].strip() == "R":
        return Sameness.EQUAL
    if gold.opening == ":" and len(gold.parts) == 2:
        above, below = (part.chain[0] for part in gold.parts if isinstance(part, Atom))
        return compare_expressions(f"\\frac{{{above}}}{{{below}}}", given.chain[-1], asked)
    return Sameness.DIFFERENT


_REALS = parse_value("\\mathbb{R}")


MAX_PAIRED = 24
"""Values in any order of which every one may be compared with every other."""
_INDEXED = re.compile(r"(\\?[A-Za-z]+)_(\d(?:,\d)*)")
_ROOTS = frozenset(["x", "y", "z", "t", "r", "w"]) | {"\\lambda", "\\alpha"}
"""Letters whose indices only number the roots; the terms of a sequence a_1, a_2 are in order."""


def _compare_parts(
    gold: tuple[Value, ...], given: tuple[Value, ...], ordered: bool, asked: QuestionContext
) -> Sameness:
    if len(gold) != len(given):
        return Sameness.DIFFERENT
    if not ordered:
        gold, given, ordered = _without_indices(gold, given)
    if ordered:
        verdicts = [compare_values(*pair, asked) for pair in zip(gold, given, strict=True)]
        return next((v for v in verdicts if v is not Sameness.EQUAL), Sameness.EQUAL)
    names = {part.name for part in gold if isinstance(part, Atom) and part.name}
    if len(gold) > MAX_PAIRED:
        return _compare_many(gold, given, len(names) > 1, asked)
    left = list(given)
    for part in gold:
        for candidate in left:
            if len(names) > 1 and not (isinstance(candidate, Atom) and candidate.name):
                continue  # x = 1, y = 2 says which is which; 2, 1 does not
            if compare_values(part, candidate, asked) is Sameness.EQUAL:
                left.remove(candidate)
                break
        else:
            return Sameness.DIFFERENT
    return Sameness.EQUAL


def _compare_many(
    gold: tuple[Value, ...], given: tuple[Value, ...], named: bool, asked: QuestionContext
) -> Sameness:
    """Many values in any order: each meets only those of the same number or the same words."""
    waiting: dict[Hashable, list[Value]] = {}
    for part in gold:
        waiting.setdefault(_member(part), []).append(part)
    for part in given:
        same = waiting.get(_member(part))
        unnamed = named and not (isinstance(part, Atom) and part.name)
        if not same or unnamed or compare_values(same.pop(), part, asked) is not Sameness.EQUAL:
            return Sameness.DIFFERENT
    return Sameness.EQUAL


def _member(value: Value) -> Hashable:
    """What equal values of a long list have in common."""
    if isinstance(value, Group):
        return value.opening, value.closing, tuple(_member(part) for part in value.parts)
    number = read_number(value.chain[-1])
    return plain_key(value.chain[-1]) if number is None else number.value


def _without_indices(
    gold: tuple[Value, ...], given: tuple[Value, ...]
) -> tuple[tuple[Value, ...], tuple[Value, ...], bool]:
    """Return x_1 = 3, x_2 = -5 as x = 3, x = -5 if only one side numbers its values.

    True where the values must then stand in their order, as terms of a sequence do.
    """
    letter, other = _indexed_letter(gold), _indexed_letter(given)
    if letter and other:
        if not any("," in str(part.name) for part in (*gold, *given) if isinstance(part, Atom)):
            return gold, given, False
        return _named(gold, letter), _named(given, other), False
    if letter:
        return _named(gold, letter), given, letter not in _ROOTS
    return gold, (_named(given, other) if other else given), False


def _indexed_letter(parts: tuple[Value, ...]) -> str | None:
    """Return the letter whose numbered values the parts are."""
    found = [_INDEXED.fullmatch(part.name or "") for part in parts if isinstance(part, Atom)]
    letters = {match[1] for match in found if match}
    return letters.pop() if len(letters) == 1 and all(found) and len(found) == len(parts) else None


def _named(parts: tuple[Value, ...], name: str) -> tuple[Value, ...]:
    return tuple(part._replace(name=name) for part in parts)


_SUM = re.compile(r"[A-Za-z](?:\s*\+\s*[A-Za-z]){1,4}")


def _compare_atoms(gold: Atom, given: Atom, asked: QuestionContext) -> Sameness:
    gold_is_equation = gold.name is None and len(gold.chain) > 1
    if len(gold.chain) == 1 and len(given.chain) == 2 and _SUM.fullmatch(given.chain[0].strip()):
        given = Atom(None, given.chain[1:])  # m + n = 17 says what 17 is
    if gold_is_equation or (given.name is None and len(given.chain) > 1 and gold.name):
        return _compare_equations(gold, given, asked)
    if gold.name and given.name and not _names_agree(gold.name, given.name):
        renamed = _with_argument(gold.name, given)
        if renamed is None:
            return Sameness.DIFFERENT
        given = renamed
    if given.rounded is not None and not gold.rounded and not _is_rounded_well(given):
        return Sameness.DIFFERENT
    verdict = _last(gold, given, asked)
    if verdict is not Sameness.EQUAL and gold.rounded and not given.rounded:
        return compare_expressions(gold.rounded, given.chain[-1], asked)
    return verdict


_COMMAND = re.compile(r"\\[A-Za-z]+")
_SOLVED = re.compile(r"\s*\\?[A-Za-z]+(?:_\{?\w\}?)?\s*[-+]\s*[^A-Za-z=]+=\s*0\s*")


def _compare_equations(gold: Atom, given: Atom, asked: QuestionContext) -> Sameness:
    """Compare two equations. An equation such as 2x + 3 = 13 does not answer x = 5, but x - 5 = 0
    does; a copy of the question is no answer."""
    equation = _as_equation(given)
    value = _COMMAND.sub("", gold.chain[-1])
    is_solution = gold.name is not None and not re.search("[A-Za-z]", value)
    if is_solution and not _SOLVED.fullmatch(equation):
        return Sameness.DIFFERENT
    if repeats_question(equation, asked.question):
        return Sameness.DIFFERENT
    return compare_symbolic(_as_equation(gold), equation, relational=True)


def _is_rounded_well(given: Atom) -> bool:
    """Whether an approximation matches its value: 22/7 ≈ 3.14 does, "≈ 5" and 3 ≈ 4 do not."""
    if given.rounded is None or given.chain == (given.rounded,):
        return False
    return is_near(*(cut_quantity(each).core for each in (given.chain[-1], given.rounded)))


_ARGUMENT = re.compile(r"(?P<head>[A-Za-z]'*)(?:\((?P<letter>[a-z])\)|_(?P<index>[a-z]))")


def _with_argument(name: str, given: Atom) -> Atom | None:
    """Return f(t) = t^2 with the argument's name of f(x); None if the functions differ."""
    ours, theirs = _ARGUMENT.fullmatch(name), _ARGUMENT.fullmatch(given.name or "")
    if not ours or not theirs or ours["head"] != theirs["head"]:
        return None
    pairs = [(found["letter"], found["index"]) for found in (ours, theirs)]
    if (pairs[0][0] is None) != (pairs[1][0] is None):
        return None
    wanted, letter = (first or second for first, second in pairs)
    text = " ".join(given.chain)
    if re.search(rf"(?<![A-Za-z\\]){wanted}(?![A-Za-z])", text):
        return None
    chain = (re.sub(rf"(?<![A-Za-z\\]){letter}(?![A-Za-z])", wanted, s) for s in given.chain)
    return given._replace(name=name, chain=tuple(chain))


_Y_OF_X = re.compile(r"y|[fgh]\(x\)")
_SLOPES = re.compile(r"y'|f'\(x\)|\\fracdydx|\\fracddxf\(x\)")


def _names_agree(gold: str, given: str) -> bool:
    """Whether names agree: symbols must be equal, words ("area", 面积) only describe the value."""
    if gold == given:
        return True
    for forms in (_Y_OF_X, _SLOPES):
        if forms.fullmatch(gold) and forms.fullmatch(given):
            return "y" in (gold[0], given[0]) or "\\" in gold + given
    words = [name for name in (gold, given) if _is_said(name)]
    return len(words) > 0


def _is_said(name: str) -> bool:
    """Whether a name is in words, which may stand for any symbol."""
    if not name.isascii():
        return True
    return bool(re.fullmatch(r"[A-Za-z][a-z]{2,}[A-Za-z]*", name))


def _last(gold: Atom, given: Atom, asked: QuestionContext) -> Sameness:
    """Compare the last sides; all earlier sides of the answer must equal them."""
    verdict = compare_expressions(gold.chain[-1], given.chain[-1], asked)
    if verdict is not Sameness.EQUAL or len(given.chain) == 1:
        return verdict
    for side in given.chain[:-1]:
        last, earlier = (cut_quantity(each).core for each in (given.chain[-1], side))
        if compare_symbolic(earlier, last) is not Sameness.EQUAL:
            return Sameness.DIFFERENT
    return verdict


def _as_equation(atom: Atom) -> str:
    sides = ([atom.name] if atom.name else []) + list(atom.chain)
    return " = ".join(sides)
