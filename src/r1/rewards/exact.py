"""Exact match after normalisation: unicode NFKC, white space, quotes and a final full stop.

Case is ignored unless the problem's metadata has {"case": true}; metadata["aliases"] lists further
accepted answers.
"""

from __future__ import annotations

import re
import unicodedata

from r1.rewards.boxes import without_wrapping
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

MAX_CHARS = 10_000
INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_QUOTES = "\"'`「」『』*"
_STRAIGHT = str.maketrans("“”‘’", "\"\"''")


def normalise(text: str, case: bool = False) -> str:
    """Return the form in which answers are compared."""
    text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text[:MAX_CHARS]).translate(_STRAIGHT))
    text = " ".join(text.split()).strip(_QUOTES + " ")
    if len(text) > 1:
        text = text.rstrip("。.!?").strip(_QUOTES + " ") or text
    return text if case else text.casefold()


def score_exact(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """Return 1 if the answer is the reference or one of its aliases."""
    case = bool(problem.metadata.get("case", False))
    if len(answer) > MAX_CHARS:
        return Score(0.0, Outcome.WRONG, "the answer is too long")
    given = normalise(answer, case)
    if not given:
        return Score(0.0, Outcome.UNPARSEABLE, "nothing but quotation marks")
    golds = [(gold, normalise(gold, case)) for gold in _golds(problem)]
    if any(given == plain or plain in _unwrapped(answer, gold, case) for gold, plain in golds):
        return Score(1.0, Outcome.CORRECT)
    return Score(0.0, Outcome.WRONG, f"{given[:60]!r} is not the reference")


_NAME = re.compile(r"(?:[A-Za-z](?:_?\{?\w\}?)?'?|(?i:ans))\s*=\s*(?=[^\s=])", re.ASCII)
_NO_NAME = re.compile(r"(?:no|or|if|is|ne|un)\b", re.IGNORECASE)
"""Words that look like a name: "no = Rome"."""
_LEAD = re.compile(
    r"(?:so|therefore|thus|hence)?[\s,]*(?:the\s+)?(?:(?:final|correct)\s+)?answer\s*(?:is|:)\s*:?\s*"
    r"|(?:最终|正确)?答案\s*[是为:：]\s*",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?")


def _unwrapped(answer: str, gold: str, case: bool) -> list[str]:
    """Return forms of the answer without a lead-in, a box, `x =` or a unit.

    Parts that the reference has too are kept.
    """
    plain, wanted = without_wrapping(answer), without_wrapping(gold)
    if (found := _LEAD.match(plain)) and not _LEAD.match(wanted):
        plain = without_wrapping(plain[found.end() :])
    forms = [plain]
    if "=" not in gold and (found := _NAME.match(plain)) and not _NO_NAME.match(plain):
        forms.append(without_wrapping(plain[found.end() :]))
    if _NUMBER.fullmatch(wanted) and len(forms[-1]) < 200:
        forms.append(_without_unit(forms[-1]))
    found_forms = [normalise(form, case) for form in forms]
    if wanted != gold.strip() and normalise(wanted, case) in found_forms:
        found_forms.append(normalise(gold, case))
    return [form for form in found_forms if form]


def _without_unit(text: str) -> str:
    """Remove the unit: "42 m/s" becomes 42. Loads the mathematics verifier's reader only when
    called."""
    from r1.rewards.math.numbers import cut_quantity
    from r1.rewards.math.text import normalise as normalise_formula

    quantity = cut_quantity(normalise_formula(text))
    return text if quantity.percent or quantity.unit is None else quantity.core


def _golds(problem: Problem) -> list[str]:
    """Return the reference and its aliases; a single text is one alias, not a list of letters."""
    aliases = problem.metadata.get("aliases") or []
    listed = aliases if isinstance(aliases, list | tuple) else [aliases]
    return [problem.reference or "", *(str(alias) for alias in listed)]


def check_exact(problem: Problem) -> str | None:
    """Check that the reference and each alias are not empty after normalisation."""
    if not problem.reference or not normalise(problem.reference):
        return "exact match needs a reference that is not empty"
    if (case := problem.metadata.get("case", False)) not in (True, False):  # "false" is no false
        return f"metadata.case is {case!r}; it must be true or false"
    for alias in _golds(problem):
        if len(alias) > MAX_CHARS:
            return f"exact match compares at most {MAX_CHARS} characters; {alias[:60]!r} is longer"
        if not normalise(alias):
            return f"alias {alias!r} is empty; remove it"
    return None


def equal_exact(a: str, b: str) -> bool:
    """Whether two answers are equal after normalisation."""
    return normalise(a) == normalise(b)


register_verifier(
    "exact",
    Verifier(score_exact, check_exact, equal_exact, reads=("case",), reads_json=("aliases",)),
)
