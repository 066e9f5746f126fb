"""Multiple choice: one letter A–J in its common forms, or the chosen option's own words.

Read as B: `B`, `b`, `(B)`, `B.`, `[B]`, `\\boxed{B}`, `答案：B`, `选B`, `Option B`,
`The answer is B.`, `B. Paris` (where option B is Paris), `Paris`, `B, because …`. Several letters
are wrong, whichever they are, and so is a letter with another option's words, or with words that
are no option's.
metadata["options"] holds the options in order; without it any letter up to J may be chosen.
"""

from __future__ import annotations

import re
import unicodedata

from r1.rewards import exact
from r1.rewards.boxes import last_boxed
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

LETTERS = "ABCDEFGHIJ"
MAX_CHARS = 2_000
_LEAD = re.compile(
    r"^(?:so|therefore|hence|thus|所以|因此|故)?[\s,:]*"
    r"(?:(?:the\s+|my\s+)?(?:(?:correct|final|right|best)\s+)*(?:answer|choice|option)(?:\s+is)?"
    r"|i\s+(?:would\s+)?(?:choose|pick|select)"
    r"|(?:正确|最终)?(?:答案|选项)(?:应该|应)?(?:是|为|选)?|我?(?:应该|应)?选择?)[\s:]*"
    r"(?:option\s+)?",
    re.IGNORECASE,
)
_LATEX = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_LETTER_FIRST = re.compile(
    r"^[(\[]?\s*([A-Ja-j])\s*(?:[)\].:、,-]+|\s(?=because\b|since\b|因为|由于)|(?=因为|由于)|$)\s*"
    r"(.*)$",
    re.DOTALL | re.IGNORECASE,
)
_BECAUSE = re.compile(r"(?:because|since|as)\b|因为|由于", re.IGNORECASE)
_SINGLE = re.compile(r"(?<![A-Za-z0-9'])[A-J](?![A-Za-z0-9'])")


def read_choice(answer: str, options: list[str] | None = None) -> str | None:
    """Return the letter chosen, "" for several or a contradiction, None where nothing is chosen."""
    text = _simplify(answer)
    if options and (letter := _letter_of_option(text, options)) is not None:
        return letter
    text = _LEAD.sub("", text).strip(" .。*")
    found = _LETTER_FIRST.match(text)
    if not found:
        if options and (letter := _letter_of_option(text, options)) is not None:
            return letter
        return "" if len(_letters_in(text, options)) > 1 else None
    letter, rest = found[1].upper(), found[2].strip(" .。*")
    if not rest:
        return letter
    if _letters_in(rest, options) - {letter}:
        return ""
    if options is None or _letter_of_option(rest, options) == letter:
        return letter
    return letter if _goes_with(rest, letter, options) else ""


def _letters_in(text: str, options: list[str] | None) -> set[str]:
    """The capital letters on their own; where there are options, those that name one of them."""
    valid = LETTERS[: len(options)] if options else LETTERS
    return set(_SINGLE.findall(text)) & set(valid)


def _goes_with(rest: str, letter: str, options: list[str]) -> bool:
    """Whether what follows a letter is its own option or a reason, and names no other option."""
    place = LETTERS.index(letter)
    if place >= len(options):
        return False
    said = f" {_spaced(rest)} "
    others = [_spaced(str(o)) for o in options[: len(LETTERS)]]
    own = others.pop(place)
    if any(other and other not in own and f" {other} " in said for other in others):
        return False
    return said.startswith(f" {own} ") or _BECAUSE.match(rest) is not None


def _spaced(text: str) -> str:
    """The words of a text between single spaces, Chinese characters one by one."""
    words = re.findall(r"[\u4e00-\u9fff]|(?:(?![\u4e00-\u9fff])\w)+", exact.normalise(text))
    return " ".join(words)


def score_choice(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """1 if the letter chosen, or the option spelled out, is the reference."""
    options = problem.metadata.get("options")
    if len(answer) > MAX_CHARS:
        return Score(0.0, Outcome.WRONG, "the answer is too long to be one choice")
    chosen = read_choice(answer, options)
    if chosen is None:
        return Score(0.0, Outcome.UNPARSEABLE, "no choice could be read")
    if chosen == "":
        return Score(0.0, Outcome.WRONG, "several choices, or a letter that is not its option")
    if chosen == read_choice(problem.reference or "", options):
        return Score(1.0, Outcome.CORRECT)
    return Score(0.0, Outcome.WRONG, f"chose {chosen}")


def check_choice(problem: Problem) -> str | None:
    """The reference must be a letter within the options, or one of the options."""
    options = problem.metadata.get("options")
    if options is not None:
        listed = isinstance(options, list | tuple)
        if not listed or not 2 <= len(options) <= len(LETTERS):
            return f"options must be a list of 2 to {len(LETTERS)} texts"
        if any(not exact.normalise(str(option)) for option in options):
            return "an option is empty"
    letter = read_choice(problem.reference or "", options)
    if not letter:
        return f"reference {problem.reference!r} is no letter A–J and no option"
    if options is not None and LETTERS.index(letter) >= len(options):
        return f"reference {letter} is beyond the {len(options)} options"
    return None


def equal_choice(a: str, b: str) -> bool:
    """Whether two answers choose the same letter, else whether they are the same words."""
    first, second = read_choice(a), read_choice(b)
    if first or second:
        return first == second
    return exact.equal_exact(a, b)


def _simplify(answer: str) -> str:
    text = unicodedata.normalize("NFKC", answer[:MAX_CHARS]).strip()
    boxed = last_boxed(text)
    if boxed is not None and text.count("\\boxed") == 1:
        text = boxed
    text = _LATEX.sub(r"\1", text).replace("$", " ").replace("**", " ")
    return " ".join(text.split())


def _letter_of_option(text: str, options: list[str]) -> str | None:
    wanted = exact.normalise(text)
    if not wanted:
        return None
    matches = [
        letter
        for letter, option in zip(LETTERS, options, strict=False)
        if exact.normalise(str(option)) == wanted
    ]
    return matches[0] if len(matches) == 1 else None


register_verifier("choice", Verifier(score_choice, check_choice, equal_choice))
