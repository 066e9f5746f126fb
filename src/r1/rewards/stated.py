r"""Find the answer that a text states last, by the conventions of common evaluation harnesses.

Explicit statements, in English and Chinese: `<answer>…</answer>`, `\boxed{…}`, GSM8K's `#### 18`
and `A: 18`, `Answer: 34`, "The answer is (C).", "Option B is correct", 答案是 18, 答：18, 故选 B.
The last one counts, and only its own words: the rest of the sentence up to a reason ("because …",
", not 6"). A complete text without any may state its answer in its last sentence: a formula
("46 - 78 = -32"), bold words, a letter in brackets, its last number; and a text of one short line
is its own answer.

Questions ("is it 5?"), negations ("the answer is not 5"), conditions ("if the answer is 5") and
last sentences that hesitate ("it may be 5", "5 or 6") are no statements. A list after a statement
("The answer is 5 or 6.", "The answer is 5. Or 6.") belongs to it, so that the verifier sees all of
it. Linear in the length of the text; never raises.

Left out on purpose: searching the whole text for the last number, which pays for unfinished work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from r1.rewards import stated_patterns as patterns
from r1.text.sentences import split_sentences


class Rule(StrEnum):
    """The convention that found an answer; shown in a score's detail."""

    TAG = "<answer>"
    BOXED = "\\boxed"
    HASHES = "####"
    LABEL = "answer label"
    SENTENCE = "answer sentence"
    FINAL_FORMULA = "final formula"
    FINAL_BOLD = "final bold"
    FINAL_LETTER = "final letter"
    FINAL_NUMBER = "final number"
    WHOLE = "whole text"


class Stated(NamedTuple):
    """An answer, the rule that found it, and the position of its statement in the text."""

    answer: str
    rule: Rule
    start: int


MAX_STATEMENT = 500
"""Characters from the beginning of a statement that are looked at."""
MAX_STATEMENTS = 200
"""Statements of one kind that are looked at, from the last."""
MAX_WHOLE_WORDS = 8
MAX_WHOLE_CHARS = 60
_BOX = re.compile(r"\\(?:boxed|fbox)")


def find_stated(text: str, boxed: str | None = None, *, ended: bool = True) -> Stated | None:
    r"""Return the answer that a text (without its thinking) states last, or None.

    boxed: what the caller read in the last `\boxed{}`, if there is one. ended: the text came to its
    end; of one that was cut off only explicit statements count.
    """
    text = text.strip()
    found = max(_explicit(text, boxed), key=lambda stated: stated.start, default=None)
    if found is not None or not ended:
        return found
    return _find_final(text)


def is_final_form(text: str) -> bool:
    """Whether a text's last line is GSM8K's `#### 18` or DAPO's `Answer: 34`."""
    body = text.rstrip()
    last = body.rfind("\n") + 1
    found = max(_explicit(body[last:], None), key=lambda stated: stated.start, default=None)
    return found is not None and found.rule in (Rule.HASHES, Rule.LABEL)


# Explicit statements -----------------------------------------------------------------------------


def _explicit(text: str, boxed: str | None) -> Iterator[Stated]:
    if tagged := _tagged(text):
        yield Stated(tagged, Rule.TAG, text.rfind("<answer>"))
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if doubts_its_box(text):  # then no sentence states it: "It is 65, \boxed{58} is wrong."
        text = _BOX.sub(lambda found: " " * len(found[0]), text)
    elif boxed:
        yield Stated(boxed, Rule.BOXED, start)
    for line in patterns.HASHES.finditer(text):
        yield Stated(line["said"].strip(), Rule.HASHES, line.start())
    for chosen in patterns.CHOSEN.finditer(text):
        if not patterns.DOUBTED.search(text, max(0, chosen.start() - 60), chosen.start()):
            yield Stated(chosen["said"] or chosen["named"], Rule.SENTENCE, chosen.start())
    last_line = text.rstrip().rfind("\n") + 1
    for rule, pattern, first in (
        (Rule.LABEL, patterns.LABEL, 0),
        (Rule.LABEL, patterns.LETTER_A, last_line),
        (Rule.SENTENCE, patterns.SENTENCE, 0),
    ):
        for marker in reversed([*pattern.finditer(text, first)][-MAX_STATEMENTS:]):
            if answer := _said_after(text, marker, rule):
                yield Stated(answer, rule, marker.start())
                break


def _tagged(text: str) -> str:
    """Return the content of the closed `<answer>` blocks; different ones form one list."""
    pieces = [piece.partition("</answer>") for piece in text.split("<answer>")[1:]]
    return ", ".join(dict.fromkeys(inside.strip() for inside, end, _ in pieces if end))


def doubts_its_box(text: str) -> bool:
    r"""Whether the text denies its last `\boxed{}` right before it, or takes it back behind it:
    on its line ("wait, …"), or at the beginning of the next ("That is wrong.")."""
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0:
        return False
    if patterns.NOT_BEFORE.search(text, max(0, start - 20), start):
        return True
    line, _, below = text[start : start + MAX_STATEMENT].partition("\n")
    if any(_is_taken_back(line[end.end() :]) for end in re.finditer("}", line)):
        return True
    return patterns.WRONG_AFTER.match(below.lstrip()) is not None


def _is_taken_back(following: str) -> bool:
    return patterns.TAKEN_BACK.match(following.lstrip("} \t$*_.。,，)]\\")) is not None


def _said_after(text: str, marker: re.Match[str], rule: Rule) -> str | None:
    """Return the content of a statement: the rest of its sentence, or the next line that is not
    empty if the sentence ends there."""
    if patterns.DOUBTED.search(text, max(0, marker.start() - 60), marker.start()):
        return None
    rest = text[marker.end() : marker.end() + MAX_STATEMENT].lstrip(" \t:：*_`")
    if formula := re.match(r"\s*(?:\$\$|\\\[)\s*([^$]{1,300}?)\s*(?:\$\$|\\\])", rest):
        return formula[1]
    rest = rest.lstrip(" \t\n:：*_`>")
    rest = rest[_leading_words(rest) :].lstrip(" :：*_`")
    line = rest.partition("\n")[0]
    # A word before it: "5. Then" at the beginning of a line would be the number of a list item.
    sentences = split_sentences("= " + line)
    first = sentences[0].removeprefix("=").strip() if sentences else ""
    following = rest[len(first) :]
    if corrected := patterns.CORRECTED.match(first):
        first = first[corrected.end() :]
    if not first or first.rstrip("*_\"'”’)").endswith(("?", "？")) or patterns.NEGATED.match(first):
        return None
    if rule is Rule.SENTENCE and patterns.COMMENT.match(first):
        return None
    if patterns.DENIED_BEHIND.search(first) or _is_taken_back(following):
        return None
    said = _bare(patterns.REASON.sub("", first, count=1))
    if rule is Rule.LABEL:
        said = _after_verb(said)
    if more := patterns.MORE.match(following.lstrip("*_ \n")):
        said = f"{said} or {_bare(more['said'])}"
    return said or None


def _after_verb(said: str) -> str:
    """Return "18 apples" for the sentence "She has 18 apples"; other texts unchanged."""
    begun = patterns.SAID_BY_VERB.match(said)
    return said if begun is None or patterns.HESITATES.search(begun[0]) else said[begun.end() :]


def _leading_words(text: str) -> int:
    end = 0
    while found := patterns.LEAD.match(text, end):
        end = found.end()
    return end


def _bare(said: str) -> str:
    """Remove emphasis, quotation marks, the final stop and one pair of dollar signs."""
    said = said.replace("**", "").replace("__", "").strip(" \t*_`\"“”'‘’")
    said = said.rstrip(".。!！;；,，").strip(' \t*_`"“”')
    return said[1:-1].strip() if said[:1] == said[-1:] == "$" and said.count("$") == 2 else said


# The last sentence -------------------------------------------------------------------------------


def _find_final(body: str) -> Stated | None:
    """Return the answer of a text without an explicit statement, from its last sentence."""
    if block := patterns.FORMULA_BLOCK.search(body, max(0, len(body) - MAX_STATEMENT)):
        return Stated(_value_of(block[1]), Rule.FINAL_FORMULA, block.start())
    start = body.rfind("\n") + 1
    line = body[max(start, len(body) - 4 * MAX_STATEMENT) :].strip()
    sentences = split_sentences("= " + line)
    if not sentences or line.startswith("#") or patterns.DOUBTS_AFTER.match(sentences[-1]):
        return None
    last = sentences[-1].removeprefix("=").strip()
    while opening := patterns.OPENING_WORDS.match(last):
        last = last[opening.end() :]
    if _is_formula(last):
        return Stated(_value_of(last), Rule.FINAL_FORMULA, start)
    if patterns.HESITATES.search(last):
        return None
    if (said := _last_words(last, alone=start == 0 and len(sentences) == 1)) is None:
        return None
    return Stated(*said, start)


def _last_words(last: str, alone: bool) -> tuple[str, Rule] | None:
    """Return the answer in a last sentence; several side by side are all returned. alone: the
    sentence is the whole text."""
    bold = [_bare(one or other) for one, other in patterns.BOLD.findall(last)]
    if bold := [said for said in dict.fromkeys(bold) if said and not said.endswith((":", "："))]:
        return ", ".join(bold), Rule.FINAL_BOLD
    if letter := patterns.LETTER.search(last):
        letters = dict.fromkeys(patterns.IN_BRACKETS.findall(last)) or [letter[1] or letter[2]]
        return ", ".join(letters), Rule.FINAL_LETTER
    if formulas := _last_formulas(last):
        return formulas, Rule.FINAL_FORMULA
    if numbers := _last_numbers(last):
        return numbers, Rule.FINAL_NUMBER
    short = len(last.split()) <= MAX_WHOLE_WORDS and len(last) <= MAX_WHOLE_CHARS
    said = _bare(last) if alone and short and not patterns.NAMES_ANSWER.search(last) else ""
    return (said, Rule.WHOLE) if said else None


def _last_formulas(sentence: str) -> str:
    """Return the formula that holds a sentence's last number, or ends a sentence without one, and
    those before it in the same list; "" without one."""
    found = list(patterns.INLINE.finditer(sentence))
    numbers = list(patterns.LAST_NUMBER.finditer(sentence))
    where = numbers[-1].end() - 1 if numbers else len(sentence.rstrip(" .。*_")) - 1
    last = next((i for i, each in enumerate(found) if each.start() <= where < each.end()), None)
    if last is None:
        return ""
    first = last
    while first and patterns.LISTED.fullmatch(
        sentence, found[first - 1].end(), found[first].start()
    ):
        first -= 1
    return ", ".join(_value_of(each[1] or each[2]) for each in found[first : last + 1])


def _last_numbers(sentence: str) -> str:
    """Return the last number and those before it in the same list; "" without a number."""
    found = list(patterns.LAST_NUMBER.finditer(sentence))
    if not found:
        return ""
    first = len(found) - 1
    while first and patterns.LISTED.fullmatch(
        sentence, found[first - 1].end(), found[first].start()
    ):
        first -= 1
    return sentence[found[first].start() : found[-1].end()].strip()


def _is_formula(sentence: str) -> bool:
    """Whether a sentence is a formula, or several joined by "or" or "and"."""
    if not patterns.FORMULA.fullmatch(sentence) or not re.search(r"\d|=|\\", sentence):
        return False
    return all(
        word[0].lower() in patterns.JOINING for word in patterns.LONG_WORD.finditer(sentence)
    )


def _value_of(formula: str) -> str:
    """Return the right-hand side of completed arithmetic; other formulas unchanged."""
    formula = formula.strip(" \t.。,，;$")
    left, equals, right = formula.rpartition("=")
    if equals and right.strip() and patterns.ARITHMETIC.fullmatch(left):
        return right.strip()
    return formula
