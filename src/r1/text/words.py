"""The words of a text, sentence by sentence: its tokens that belong to some language.

Belonging to none: numbers, single letters, units, functions such as `sin` and `gcd`, short
operands beside an operator, letters that touch digits ("3rd", "x12"), and short acronyms, unless
several stand in a row (that is shouting, not abbreviating).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from r1.text.function_words import ANY_FUNCTION_WORD
from r1.text.scripts import CHARS_PER_WORD, SCRIPTS, letters_of

_LATIN = letters_of("latin")
TOKEN = re.compile(
    f"(?P<latin>[{_LATIN}]+(?:['’][{_LATIN}]+)*)|"
    + "|".join(f"(?P<{name}>[{letters_of(name)}]+)" for name in SCRIPTS if name != "latin")
)
_SENTENCE_END = re.compile(r"[\n。！？；!?;]|\.(?!\d)")
_SYMBOLS = """
    sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp mod gcd lcm min
    max sup inf lim det dim ker deg arg sgn abs sqrt frac cdot times pi mm cm dm km kg mg ml ms ns
    hz khz mhz ghz kb mb gb tb mph kmh kmph kwh mol usd rmb cny eur ph st nd rd th
"""
_NEUTRAL = frozenset(_SYMBOLS.split())
_OPERATORS = frozenset("=+*/^_<>|\\×÷·≤≥≈≠±∈→⇒∪∩")
MAX_OPERAND = 3
MAX_ACRONYM = 5
MAX_ACRONYMS_IN_A_ROW = 2


class Word(NamedTuple):
    """A word, its script and its position in the text."""

    text: str
    script: str
    start: int
    end: int

    @property
    def worth(self) -> float:
        """Return its weight: 1, or characters / CHARS_PER_WORD in scripts without spaces."""
        chars = CHARS_PER_WORD.get(self.script)
        return 1.0 if chars is None else len(self.text) / chars


def sentences_of_words(body: str) -> list[list[Word]]:
    """Return the words of every sentence (or line) that has words. Linear."""
    tokens = [Word(m[0], m.lastgroup or "", *m.span()) for m in TOKEN.finditer(body)]
    left_out = _acronyms(tokens, body)
    ends = [found.start() for found in _SENTENCE_END.finditer(body)] + [len(body)]
    sentences: list[list[Word]] = [[]]
    place = 0
    for number, word in enumerate(tokens):
        if ends[place] < word.start:
            while ends[place] < word.start:
                place += 1
            if sentences[-1]:
                sentences.append([])
        if number not in left_out and not _is_neutral(word, body):
            sentences[-1].append(word)
    return sentences if sentences[-1] else sentences[:-1]


def runs(words: list[Word], body: str, between: str) -> list[list[Word]]:
    """Group words that are separated only by characters of `between`."""
    grouped: list[list[Word]] = []
    for word in words:
        if grouped and not body[grouped[-1][-1].end : word.start].strip(between):
            grouped[-1].append(word)
        else:
            grouped.append([word])
    return grouped


def _is_neutral(word: Word, body: str) -> bool:
    """Whether a token is a symbol rather than a word of a language."""
    text = word.text
    if word.script in CHARS_PER_WORD:
        return False
    if len(text) == 1:
        return True
    if word.script not in ("latin", "greek"):
        return False
    if text.casefold() in _NEUTRAL:
        return True
    before, after = body[word.start - 1 : word.start], body[word.end : word.end + 1]
    if after == "(" and body[word.end + 1 : word.end + 2] not in ("s", " ", ""):
        return True  # a call: range(10), f(x); but word(s)
    if len(text) > MAX_OPERAND:
        return False
    if before.isdigit() or before in _OPERATORS or after in _OPERATORS:
        return True
    if after.isdigit():
        return len(text) < MAX_OPERAND
    return text not in ANY_FUNCTION_WORD and _beside_operator(word, body)


def _beside_operator(word: Word, body: str) -> bool:
    before = body[max(0, word.start - 3) : word.start].rstrip(" ")[-1:]
    after = body[word.end : word.end + 3].lstrip(" ")[:1]
    return before in _OPERATORS or after in _OPERATORS


def _acronyms(tokens: list[Word], body: str) -> set[int]:
    """Return the indices of the tokens that are acronyms."""
    numbers = {
        id(word): number
        for number, word in enumerate(tokens)
        if word.script == "latin" and len(word.text) > 1 and word.text.isupper()
    }
    upper = [tokens[number] for number in numbers.values()]
    return {
        numbers[id(word)]
        for run in runs(upper, body, " -")
        if len(run) <= MAX_ACRONYMS_IN_A_ROW
        for word in run
        if len(word.text) <= MAX_ACRONYM
    }
