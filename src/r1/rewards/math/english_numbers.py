"""English number words to exact fractions: seven, twenty-five, one hundred and four, two thirds.

Only a whole string is read, and only where it can mean one number: "one or two" gives None, and so
does "twenty and one"; an "and" joins what follows to hundreds and thousands alone.
"""

from __future__ import annotations

import re
from fractions import Fraction

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_PARTS = "half third quarter fifth sixth seventh eighth ninth tenth"
UNITS = {word: value for value, word in enumerate(_ONES.split())}
TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
PARTS = {
    plural: value
    for value, word in enumerate(_PARTS.split(), start=2)
    for plural in (word, "halves" if word == "half" else word + "s")
} | {"fourth": 4, "fourths": 4}
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
ORDINALS = {word: value for value, word in enumerate(_ORDINALS.split(), start=1)}
"""Alone "third" is the 3rd; "one third" is a part."""
WORDS = frozenset(UNITS) | frozenset(TENS) | frozenset(SCALES) | frozenset(PARTS) | {"hundred"}
MAX_CHARS = 80
_SCALED = re.compile(r"(-?\d{1,12}(?:\.\d{1,12})?)\s+(hundred|thousand|million|billion|trillion)")


def read_number(text: str) -> Fraction | None:
    """Return the number that words stand for, or None; also reads "2.5 million"."""
    text = text.strip().lower()
    if not text or len(text) > MAX_CHARS:
        return None
    if found := _SCALED.fullmatch(text):
        return Fraction(found[1]) * (100 if found[2] == "hundred" else SCALES[found[2]])
    if text in ORDINALS:
        return Fraction(ORDINALS[text])
    words = [word for word in re.split(r"[\s-]+", text) if word]
    if words and words[0] in ("minus", "negative"):
        value = _read_words(words[1:])
        return None if value is None else -value
    return _read_words(words)


def _read_words(words: list[str]) -> Fraction | None:
    if len(words) >= 2 and words[-1] in PARTS:
        above = 1 if words[:-1] in (["a"], ["one"]) else _read_integer(words[:-1])
        return None if above is None else Fraction(above, PARTS[words[-1]])
    whole = _read_integer(words)
    return None if whole is None else Fraction(whole)


def _read_integer(words: list[str]) -> int | None:
    total, section, last_scale = 0, None, 10**15
    for before, word in zip(["", *words], words, strict=False):
        if word in SCALES:
            if section is None or SCALES[word] >= last_scale:
                return None
            total, section, last_scale = total + section * SCALES[word], None, SCALES[word]
            continue
        if word == "and" and (before == "hundred" or before in SCALES):
            continue
        section = _extend(section, word)
        if section is None:
            return None
    if (section is None and not total) or words[-1] == "and":
        return None
    return total + (section or 0)


def _extend(section: int | None, word: str) -> int | None:
    """Add a word below a thousand; it must be smaller than the open place."""
    if word == "hundred":
        return section * 100 if section is not None and 0 < section < 10 else None
    if word in UNITS:
        value, room = UNITS[word], 100 if UNITS[word] >= 10 else 10
    elif word in TENS:
        value, room = TENS[word], 100
    else:
        return None
    if section is None:
        return value
    open_end = value > 0 and section > 0 and section % room == 0 and section % 100 != 10
    return section + value if open_end else None
