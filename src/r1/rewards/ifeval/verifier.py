"""Instructions a program can check, strict and loose: the verifier of IFEval (arXiv 2311.07911).

metadata: {"instruction_id_list": ["punctuation:no_comma", ...], "kwargs": [{}, ...]}, as in the
public data set (null arguments there mean "not of this instruction"). An answer is everything after
the thinking. Strict: the answer as it is follows every instruction. Loose: the best of eight
variants does, with and without the first line, the last line and the asterisks ("Sure, here it
is:", markdown). An empty text follows no instruction.

The reward is the benchmark's prompt-level strict accuracy: 1 if all instructions are followed. With
`rewards.partial_credit` it is the share of them. The detail gives the loose verdicts; with
metadata["criterion"] "loose" those decide.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from r1.errors import UserError
from r1.rewards.exact import equal_exact
from r1.rewards.ifeval.checks import CHECKS, RELATIONS
from r1.rewards.ifeval.language import load_profiles
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.text.scripts import language_code
from r1.types import Outcome, Problem, Score


class Followed(NamedTuple):
    """Whether one response follows each instruction of its prompt, in order."""

    ids: tuple[str, ...]
    strict: tuple[bool, ...]
    loose: tuple[bool, ...]


class IfevalAccuracy(NamedTuple):
    """The benchmark's four figures, each a share in [0, 1]."""

    prompt_strict: float
    instruction_strict: float
    prompt_loose: float
    instruction_loose: float


def check_response(response: str, ids: Sequence[str], kwargs: Sequence[Any]) -> Followed:
    """Check one response against instructions with their arguments.

    Raises UserError for an unknown id and for missing or impossible arguments.
    """
    if (fault := find_fault(ids, kwargs)) is not None:
        raise UserError(fault)
    given = [_given(arguments) for arguments in kwargs]
    variants = _variants(response)
    strict = tuple(
        _follows(response, name, arguments) for name, arguments in zip(ids, given, strict=True)
    )
    loose = tuple(
        done or any(_follows(variant, name, arguments) for variant in variants)
        for done, name, arguments in zip(strict, ids, given, strict=True)
    )
    return Followed(tuple(ids), strict, loose)


def accuracy(responses: Iterable[Followed]) -> IfevalAccuracy:
    """Return the benchmark's figures over responses to its prompts; 0 without prompts."""
    checked = list(responses)

    def share(marks: list[bool]) -> float:
        return sum(marks) / max(1, len(marks))

    return IfevalAccuracy(
        share([all(c.strict) for c in checked]),
        share([mark for c in checked for mark in c.strict]),
        share([all(c.loose) for c in checked]),
        share([mark for c in checked for mark in c.loose]),
    )


def _follows(response: str, name: str, arguments: Mapping[str, Any]) -> bool:
    return bool(response.strip()) and CHECKS[name].follows(response, arguments)


def _variants(response: str) -> list[str]:
    """Return the seven other readings of the loose criterion."""
    lines = response.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    return cut + [text.replace("*", "") for text in (response, *cut)]


# What a problem asks for -------------------------------------------------------------------------


def find_fault(ids: Any, kwargs: Any) -> str | None:
    """Return the fault in instructions or arguments, with its remedy, or None."""
    if not isinstance(ids, list | tuple) or not ids:
        return 'metadata needs "instruction_id_list", a list of instruction ids'
    if not isinstance(kwargs, list | tuple) or len(kwargs) != len(ids):
        return f'metadata needs "kwargs", a list of {len(ids)} objects, one for each instruction id'
    for name, arguments in zip(ids, kwargs, strict=True):
        if name not in CHECKS:
            near = difflib.get_close_matches(str(name), CHECKS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(sorted(CHECKS))}"
            return f"unknown instruction {name!r}; {hint}"
        if not isinstance(arguments or {}, Mapping):
            return f"kwargs of {name} are {arguments!r}; give an object"
        if (fault := _find_argument_fault(name, _given(arguments))) is not None:
            return fault
    return None


def _given(arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (arguments or {}).items() if value is not None}


def _find_argument_fault(name: str, arguments: Mapping[str, Any]) -> str | None:
    wanted = CHECKS[name].arguments
    for key, kind in wanted.items():
        if key not in arguments:
            return f"{name} needs the argument {key!r}; add it to its kwargs"
        if (remedy := _find_kind_fault(arguments[key], kind)) is not None:
            return f"{name}: {key} is {arguments[key]!r}; {remedy}"
    for key in arguments:
        if key not in wanted:
            expected = ", ".join(wanted) or "none"
            return f"{name} has no argument {key!r} (its arguments: {expected}); remove it"
    nth = arguments.get("nth_paragraph")
    if nth is not None and not 1 <= nth <= arguments["num_paragraphs"]:
        return f"{name}: nth_paragraph must lie between 1 and num_paragraphs"
    return None


def _find_kind_fault(value: Any, kind: str) -> str | None:
    is_text = isinstance(value, str) and bool(value.strip())
    if kind == "count":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if number and value >= 0 and value == int(value) else "give a whole number"
    if kind == "texts":
        texts = isinstance(value, list | tuple) and len(value) > 0
        good = texts and all(isinstance(item, str) and item.strip() for item in value)
        return None if good else "give a list of texts, none empty"
    if kind == "relation":
        return None if value in RELATIONS else f"give one of {', '.join(map(repr, RELATIONS))}"
    if not is_text:
        return "give a text that is not empty"
    if kind == "letter":
        return None if len(value.strip()) == 1 else "give one letter"
    if kind == "language":
        try:
            language_code(value)
        except UserError as error:
            return str(error)
    return None


# The verifier ------------------------------------------------------------------------------------


def score_ifeval(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """Return 1 if the answer follows every instruction, by the criterion asked for."""
    metadata = problem.metadata
    followed = check_response(answer, metadata["instruction_id_list"], metadata["kwargs"])
    marks = followed.loose if metadata.get("criterion") == "loose" else followed.strict
    if all(marks):
        return Score(1.0, Outcome.CORRECT)
    missed = [
        f"{name} (loose: followed)" if loose else name
        for name, strict, loose in zip(*followed, strict=True)
        if not strict
    ]
    share = sum(marks) / len(marks)
    value = share if settings.partial_credit else 0.0
    return Score(value, Outcome.WRONG, "not followed: " + ", ".join(missed))


def check_ifeval(problem: Problem) -> str | None:
    """Check that the instructions are known and complete, and that a reference follows them."""
    ids, kwargs = (problem.metadata.get(key) for key in ("instruction_id_list", "kwargs"))
    if (fault := find_fault(ids, kwargs)) is not None:
        return fault
    assert isinstance(ids, list | tuple)
    if not problem.reference:
        return None
    followed = check_response(problem.reference, ids, kwargs or [])
    for name, strict in zip(ids, followed.strict, strict=True):
        if not strict:
            return f"the reference itself does not follow {name}; mend it or leave it out"
    return None


def warm_ifeval() -> None:
    """Load the language detector, outside any score's wall clock."""
    load_profiles()


register_verifier(
    "ifeval",
    Verifier(
        score_ifeval,
        check_ifeval,
        equal_exact,
        warm=warm_ifeval,
        answer_from="text",
        reads=("criterion",),
        reads_json=("instruction_id_list", "kwargs"),
        needs_reference=False,
    ),
)
