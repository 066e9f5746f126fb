"""Multiple choice: one letter A–J in its common forms, or the words of the chosen option.

Read as B: `B`, `b`, `(B)`, `B.`, `[B]`, `\\boxed{B}`, `答案：B`, `选B`, `Option B`,
`The answer is B.`, `B. Paris` (where option B is Paris), `Paris`, `B, because …`. Several letters
are wrong, whichever they are, and so is a letter with another option's words, or with words that
are no option's.
metadata["options"] holds the options in order; without it any letter up to J may be chosen.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from r1.rewards import exact
from r1.rewards.boxes import without_wrapping
from r1.rewards.lone_letters import LETTERS as LETTERS
from r1.rewards.lone_letters import letters_in
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

MAX_CHARS = 2_000
LEAD = re.compile(
    r"^(?:so|therefore|hence|thus|所以|因此|故)?[\s,:]*"
    r"(?:(?:the\s+|my\s+)?(?:(?:correct|final|right|best)\s+)*(?:answer|choice|option)(?:\s+is)?"
    r"|it(?:['’]s|\s+is)(?=\s+[(\[]?[A-Ja-j][)\].]*\Z)"
    r"|i\s+(?:would\s+)?(?:choose|pick|select)"
    r"|(?:[本该这][道个]?题的?)?(?:正确|最终)?(?:答案|选项)(?:应该|应)?(?:是|为|选)?|我?(?:应该|应|故)?选择?)[\s:=]*"
    r"(?:option\s+)?",
    re.IGNORECASE,
)
_LETTER_FIRST = re.compile(
    r"^[(\[]?\s*(?P<letter>[A-Ja-j])\s*"
    r"(?P<mark>[)\].:、。,–—-]+|\s(?=\()|\s(?=because\b|since\b|因为|由于)|(?=因为|由于)|$)\s*"
    r"(?P<rest>.*)$",
    re.DOTALL | re.IGNORECASE,
)
SAID_CORRECT = re.compile(
    r"[(\[]?\s*(?P<letter>[A-Ja-j])\s*[)\].]?\s*(?:"
    r"(?:is|must be|should be)\s+(?:the\s+)?(?:correct|right|best)"
    r"(?:\s+(?:answer|choice|option|one))?"
    r"|is\s+the\s+(?:answer|choice)|选?项|(?:选项|项)?\s*(?:是|为)?\s*(?:正确|对)的?(?:选项|答案)?)"
)
_WORD = re.compile(r"[\u4e00-\u9fff]|(?:(?![\u4e00-\u9fff])\w)+")
BECAUSE = re.compile(r"(?:because|since|as)\b|因为|由于", re.IGNORECASE)


def read_choice(answer: str, options: list[str] | None = None) -> str | None:
    """Return the chosen letter, "" for several or a contradiction, None if nothing is chosen."""
    text = simplify(answer)
    if options and (letter := _letter_of_option(text, options)) is not None:
        return letter
    text = LEAD.sub("", text).strip(" .。*")
    if said := SAID_CORRECT.fullmatch(text):
        return said["letter"].upper()
    if options and (letter := letter_behind_words(text, options)):
        return letter
    found = _LETTER_FIRST.match(text)
    if not found:
        if options and (letter := _letter_of_option(text, options)) is not None:
            return letter
        return "" if len(letters_in(text, options)) > 1 else None
    letter, rest = found["letter"].upper(), found["rest"].strip(" 。*").rstrip(" .。*")
    if not rest:
        return letter
    if options is None:
        return "" if letters_in(text, options, found.start("rest")) - {letter} else letter
    owner = _letter_of_option(rest, options)
    labelled = is_label(found["mark"])
    end = after_own_words(text, found.start("rest"), letter, options, labelled)
    if owner not in (None, letter) or letters_in(text, options, end) - {letter}:
        return ""
    return letter if owner == letter or _goes_with(rest, letter, options) else ""


def is_label(mark: str) -> bool:
    """Whether what follows a letter labels the words behind it; a comma may join a list."""
    return any(symbol in ")].:" for symbol in mark)


def after_own_words(
    text: str, start: int, letter: str, options: Sequence[object] | None, labelled: bool
) -> int:
    """Return where the letter's own option ends in a text that states it from `start` on, else
    `start`.

    An option that is itself letters ("A", "A and D") is stated only behind a label: "D. A and D",
    but not "D, A".
    """
    place = LETTERS.index(letter)
    if not options or place >= len(options):
        return start
    own = [word.casefold() for word in _WORD.findall(simplify(words_of(place, options[place])))]
    if not labelled and all(len(word) == 1 or word in ("and", "or") for word in own):
        return start
    end = start
    for wanted in own:
        found = _WORD.search(text, end)
        if found is None or found[0].casefold() != wanted:
            return start
        end = found.end()
    return end


def _goes_with(rest: str, letter: str, options: list[str]) -> bool:
    """Whether the text after a letter is its own option or a reason, and names no other option."""
    place = LETTERS.index(letter)
    if place >= len(options):
        return False
    said, names = f" {spaced(rest)} ", words_of_all(options)
    if _named(said, names) - {names[place]}:
        return False
    return said.startswith(f" {names[place]} ") or BECAUSE.match(rest) is not None


def _named(said: str, names: list[str]) -> set[str]:
    """Return the names that a text holds, each of its words for the longest: "new york" is not
    "york"."""
    found = set()
    for name in sorted(filter(None, names), key=len, reverse=True):
        while f" {name} " in said:
            found.add(name)
            said = said.replace(f" {name} ", " , ")
    return found


def spaced(text: str) -> str:
    """Return the words, single-spaced; each Chinese character is a word."""
    return " ".join(_WORD.findall(exact.normalise(text)))


def score_choice(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """Return 1 if the letter or the option chosen is the reference."""
    options = problem.metadata.get("options")
    if len(answer) > MAX_CHARS:
        return Score(0.0, Outcome.WRONG, "the answer is too long to be one choice")
    chosen = read_choice(answer, options)
    if chosen is None:
        return Score(0.0, Outcome.UNPARSEABLE, "no choice could be read")
    if chosen == "":
        return Score(0.0, Outcome.WRONG, "several choices, or a letter that is not its option")
    if chosen == _gold_letter(problem.reference or "", options):
        return Score(1.0, Outcome.CORRECT)
    return Score(0.0, Outcome.WRONG, f"chose {chosen}")


def check_choice(problem: Problem) -> str | None:
    """Check that the reference is a letter of an option, or one of the options."""
    options = problem.metadata.get("options")
    if options is not None:
        if fault := options_fault(options):
            return fault
        if any(not exact.normalise(str(option)) for option in options):
            return "an option is empty"
    letter = _gold_letter(problem.reference or "", options)
    if letter == _AMBIGUOUS:
        return (
            f"reference {problem.reference!r} is the words of one option and the index of another; "
            "give its letter"
        )
    if not letter:
        return f"reference {problem.reference!r} is no letter A–J and no option"
    if options is not None and LETTERS.index(letter) >= len(options):
        return f"reference {letter} is beyond the {len(options)} options"
    return None


def options_fault(options: object) -> str | None:
    """Return why options cannot be lettered, or None."""
    if isinstance(options, list | tuple) and 2 <= len(options) <= len(LETTERS):
        return None
    return f"options must be a list of 2 to {len(LETTERS)} texts"


def words_of_all(options: Sequence[object]) -> list[str]:
    """Return the words of every option that has a letter, as `spaced` gives them."""
    return [own_words(i, option) for i, option in enumerate(options[: len(LETTERS)])]


def own_words(place: int, option: object) -> str:
    """Return the words of an option, unwrapped as answers are."""
    return spaced(simplify(words_of(place, option)))


_AMBIGUOUS = "?"


def _gold_letter(reference: str, options: list[str] | None) -> str | None:
    """Return a reference's letter: from a letter, an option's words, or an index from 0 (MMLU)."""
    letter = read_choice(reference, options)
    place = int(reference) if re.fullmatch(r"\s*\d\s*", reference) else None
    if options is None or place is None or place >= len(options):
        return letter
    return LETTERS[place] if letter in (None, LETTERS[place]) else _AMBIGUOUS


def words_of(place: int, option: object) -> str:
    """Return an option without a letter of its own: "B. green" becomes "green"."""
    found = re.match(r"\s*\(?([A-Ja-j])\s*[).:、．]\s*(?=\S)", str(option))
    own = found is not None and found[1].upper() == LETTERS[place]
    return str(option)[found.end() :] if found is not None and own else str(option)


def equal_choice(a: str, b: str) -> bool:
    """Whether two answers choose the same letter or, without letters, have the same words."""
    first, second = read_choice(a), read_choice(b)
    if first or second:
        return first == second
    return exact.equal_exact(a, b)


_MARKS = str.maketrans({"$": " ", "`": " ", "【": "(", "】": ")"})
_QUOTED = re.compile(r"['\"‘“「『]\s*([A-Ja-j])\s*['\"’”」』](?![A-Za-z])")


def simplify(answer: str) -> str:
    """Return an answer or an option without wrapping, invisible characters and a letter's
    quotes."""
    text = unicodedata.normalize("NFKC", exact.INVISIBLE.sub("", answer[:MAX_CHARS])).strip()
    text = without_wrapping(text).translate(_MARKS).replace("**", " ")
    return " ".join(_QUOTED.sub(r" \1 ", text).split())


_WORDS_AND_LETTER = re.compile(r"(?P<words>.+?)\s*\(\s*(?P<letter>[A-J])\s*\)", re.DOTALL)


def letter_behind_words(text: str, options: Sequence[object]) -> str | None:
    """Return the letter of "London (B)" where B is London, else None. Words that are a letter
    themselves ("A (B)") are no words here."""
    found = _WORDS_AND_LETTER.fullmatch(text)
    place = LETTERS.index(found["letter"]) if found else len(options)
    if found is None or place >= len(options):
        return None
    said = spaced(found["words"])
    states_own = len(said) > 1 and said == own_words(place, options[place])
    return found["letter"] if states_own and not letters_in(found["words"], None) else None


def _letter_of_option(text: str, options: list[str]) -> str | None:
    wanted = exact.normalise(text)
    if not wanted:
        return None
    matches = [
        letter
        for place, (letter, option) in enumerate(zip(LETTERS, options, strict=False))
        if wanted in {exact.normalise(form) for form in _forms(place, option)}
    ]
    return matches[0] if len(matches) == 1 else None


def _forms(place: int, option: object) -> list[str]:
    """Return an option as it stands, without its letter, and unwrapped as answers are."""
    words = words_of(place, option)
    return [str(option), words, simplify(words)]


register_verifier(
    "choice", Verifier(score_choice, check_choice, equal_choice, reads=(), reads_json=("options",))
)
