r"""The letter of an option, as benchmarks of multiple choice ask for it: the letter decides.

Read as B: `B`, `b`, `(B)`, `B.`, `Ｂ`, `**B**`, `$\boxed{\text{B}}$`, `B) Paris`, `B, because …`,
`The answer is B.`, `Option B is correct.`, `答案是B`, `选B`. Several letters are wrong, whichever
they are, and so is a letter beside another option's words. Without a letter nothing is read, unlike
by the verifier "choice", to which an option's own words are an answer too: in a benchmark an option
can be the single letter "A" (blood groups) and stand under the letter B.
metadata["options"] holds the options in order; without it any letter up to J may be chosen.
"""

from __future__ import annotations

import re

from r1.rewards.choice import (
    BECAUSE,
    LEAD,
    MAX_CHARS,
    SAID_CORRECT,
    after_own_words,
    is_label,
    letter_behind_words,
    options_fault,
    own_words,
    simplify,
    spaced,
    words_of_all,
)
from r1.rewards.exact import equal_exact
from r1.rewards.lone_letters import LETTERS, letters_in
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

_FIRST = re.compile(r"[(\[{<]?\s*([A-J])\s*(?P<mark>[)\]}>.:、,;-]*)\s*(?P<rest>.*)", re.DOTALL)
_ALONE = re.compile(r"[(\[{<]?\s*([A-Ja-j])\s*[)\]}>.:]*")
_AT_END = re.compile(
    r"(?:(?i:\b(?:is|be|are|pick|choose|select|choosing|picking|(?:go|going|went|stick)\s+with"
    r"|(?:opt|vote|settle)\s+for|it['’]s|so|thus|therefore|hence|then)\b)|[:=→,]|[是为选故即])[\s:,*]*"
    r"(?i:(?:the\s+)?(?:option|choice|answer|letter)\s*)?[(\[]?([A-J])[)\].]*\Z"
)
"""A letter at the end counts behind what chooses: "instead of B" and "eliminate B" do not."""
_DENIED = re.compile(
    r"\b(?:not|never|neither|nor|cannot|hardly|scarcely|doubt|doubtful|except|besides|excluding"
    r"|without|unless|unsure|disagree|instead|rather|wrong|incorrect|false|eliminat\w*|reject\w*"
    r"|exclud\w*|discard\w*|avoid\w*|rul(?:e|ed|ing)\s+out|(?:all|any|anything|none)\s+but)\b"
    r"|\bother\s+than\b|n't\b|[不非除错]|[?？]",
    re.IGNORECASE,
)
_ADDED = re.compile(r"(?:or|and|nor|或|和|及)\b|[或和及]")


def read_letter(answer: str, options: list[str] | None = None) -> str | None:
    """Return the letter chosen, "" for several or a contradiction, None where none is chosen."""
    text = LEAD.sub("", simplify(answer)).strip(" .。*")
    if alone := _ALONE.fullmatch(text):
        return alone[1].upper()
    if said := SAID_CORRECT.fullmatch(text):
        return said["letter"].upper()
    if options and (letter := letter_behind_words(text, options)):
        return letter
    found = _FIRST.match(text)
    if found and (found["mark"] or _belongs(found[1], found["rest"], options)):
        return _with_words(found, options)
    letters = letters_in(text, options)
    if len(letters) > 1:
        return ""
    if (last := _AT_END.search(text)) and not _DENIED.search(text):
        return last[1]
    return None


def _belongs(letter: str, rest: str, options: list[str] | None) -> bool:
    """Whether words that follow a letter without a stop are its reason or its own option."""
    own = _own_words(letter, options)
    return BECAUSE.match(rest) is not None or bool(own and f"{spaced(rest)} ".startswith(f"{own} "))


def _with_words(found: re.Match[str], options: list[str] | None) -> str:
    """The letter, or "" where what follows it denies it or names another option."""
    text, letter, start = found.string, found[1], found.start("rest")
    own, said = _own_words(letter, options), spaced(found["rest"])
    if said != own and said and said in words_of_all(options or []):
        return ""
    end = after_own_words(text, start, letter, options, is_label(found["mark"]))
    if end > start:
        said = spaced(text[end:])
        added = _ADDED.match(said)
        said = said[added.end() :].strip() if added else ""
        if said and said in words_of_all(options or []):
            return ""
    others = letters_in(text, options, end) - {letter}
    return "" if others or re.match(r"not\b|不", said) else letter


def _own_words(letter: str, options: list[str] | None) -> str:
    place = LETTERS.index(letter)
    return own_words(place, options[place]) if options and place < len(options) else ""


def score_letter(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """1 if the letter chosen is the reference."""
    if len(answer) > MAX_CHARS:
        return Score(0.0, Outcome.WRONG, "the answer is too long to be one choice")
    chosen = read_letter(answer, problem.metadata.get("options"))
    if chosen is None:
        return Score(0.0, Outcome.UNPARSEABLE, "no letter could be read")
    if chosen == "":
        return Score(0.0, Outcome.WRONG, "several letters, or a letter that is not its option")
    if chosen == problem.reference:
        return Score(1.0, Outcome.CORRECT)
    return Score(0.0, Outcome.WRONG, f"chose {chosen}")


def check_letter(problem: Problem) -> str | None:
    """The reference must be the letter of an option."""
    options = problem.metadata.get("options")
    if options is not None and (fault := options_fault(options)):
        return fault
    valid = LETTERS[: len(options)] if options else LETTERS
    if not problem.reference or len(problem.reference) != 1 or problem.reference not in valid:
        return f"reference {problem.reference!r} is none of the letters {valid[0]} to {valid[-1]}"
    return None


def equal_letter(a: str, b: str) -> bool:
    """Whether two answers choose the same letter, else whether they are the same words."""
    first, second = read_letter(a), read_letter(b)
    return first == second if first or second else equal_exact(a, b)


register_verifier(
    "letter", Verifier(score_letter, check_letter, equal_letter, reads=(), reads_json=("options",))
)
