"""Split English and Chinese text into sentences by rules: no model, no data to download.

A full stop ends a sentence unless it belongs to a number ("3.14"), an abbreviation ("Dr. Smith",
"e.g. this", "J. K. Rowling", "U.S. law"), an ellipsis that goes on in lower case, a name with dots
("www.example.com") or the number of a list item ("1. First"). Closing quotation marks and brackets
stay with their sentence. 。！？ end Chinese ones. A blank line ends a sentence, and so does a line
break before a list item; other line breaks are spaces, as in the benchmark's own splitter. A text
without capitals begins its sentences in lower case.

Left out on purpose: languages whose sentences end in other signs (Thai, Tibetan).
"""

from __future__ import annotations

import re

_END = re.compile(r"(?:[.!?…]+|[。！？｡]+)[\"'”’)\]}»」』）】*_]{0,8}")
_ENDED = re.compile(r"[.!?…。！？｡][\"'”’)\]}»」』）】*_`]*\Z")
_TITLES_AND_SUCH = """
    mr mrs ms dr prof sr jr st mt rev hon gen col capt lt sgt gov sen pres messrs mme mlle vs
    etc eg ie cf al ed eds approx est dept univ inc ltd co corp bros ave blvd ca viz esp resp b.a
    m.a ph.d a.m p.m e.g i.e u.s u.k u.n d.c
"""
_ABBREVIATIONS = frozenset(_TITLES_AND_SUCH.split())
_NUMBERED = """
    no nos fig figs eq eqs vol vols p pp ch sec sect art jan feb mar apr jun jul aug sep sept oct
    nov dec
"""
_BEFORE_NUMBERS = frozenset(_NUMBERED.split())
_LETTERS = """
    answer appendix class exhibit figure grade group hepatitis option part plan point section step
    table team type unit vitamin
"""
_LETTERED = frozenset(_LETTERS.split())
"""What is numbered by letters: "plan B." may end a sentence, "J." in "J. Smith" does not."""
_LAST = "etc inc ltd co corp jr sr al a.m p.m u.s u.k u.n d.c ph.d b.a m.a"
_MAY_END = frozenset(_LAST.split())
"""Abbreviations that end the sentence where a capital follows."""
_LAST_WORD = re.compile(r"[^\s(\[{\"'“‘]{1,20}\Z")
_LETTERED_WORD = re.compile(r"([^\W\d_]{4,9})[ :]\s?[A-Z]\Z")
_BLOCK = re.compile(r"\n[ \t]*\n\s*|\n(?=[ \t]*(?:[-*•+]|\d{1,3}[.)])[ \t])")
_ITEM = re.compile(r"[ \t]*(?:[-*•+#>]+|\d{1,3}[.)])[ \t]+")
_WORDLIKE = re.compile(r"\w")


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, stripped, with their closing marks. Linear."""
    sentences: list[str] = []
    lower = text.islower()
    for block in _BLOCK.split(text):
        sentences += _split_block(block, lower)
    return sentences


def count_sentences(text: str) -> int:
    """Count sentences; one that breaks off at the end of its block continues in the next. Headings
    and list items without a stop are no sentences of their own."""
    sentences = split_sentences(text)
    ended = [_ENDED.search(sentence) is not None for sentence in sentences]
    return sum(ended) + (not all(ended[-1:]))


def _split_block(block: str, lower: bool) -> list[str]:
    sentences: list[str] = []
    item = _ITEM.match(block)
    start, search_from = 0, item.end() if item else 0
    for end in _END.finditer(block, search_from):
        if _ends_sentence(block, end, start, lower):
            sentences.append(block[start : end.end()])
            start = end.end()
    sentences.append(block[start:])
    return [s.strip() for s in sentences if _WORDLIKE.search(s)]


def _ends_sentence(block: str, end: re.Match[str], start: int, lower: bool) -> bool:
    """Whether a sentence ends at a stop. lower: the text has no capitals, so sentences begin
    without one."""
    marks = end[0]
    if marks[0] in "。！？｡":
        return True
    after = block[end.end() : end.end() + 40]
    if after and not after[0].isspace():
        # "3.14", "example.com", "对……不对" go on; Chinese after a Latin stop begins anew.
        return marks[0] != "…" and "\u4e00" <= after[0] <= "\u9fff"
    following = after.lstrip().lstrip("\"'“‘([{*_")[:1]
    if not marks.startswith(".") or marks[1:2] == "!" or "?" in marks:
        return lower or not (marks[0] == "…" or len(marks) > 1) or not following.islower()
    if marks.startswith(".."):
        return not following.islower()
    if not following:
        return True
    lettered = _LETTERED_WORD.search(block, max(start, end.start() - 14), end.start())
    if following.isupper() and lettered and lettered[1].casefold() in _LETTERED:
        return True
    last = _LAST_WORD.search(block, max(start, end.start() - 20), end.start())
    return last is None or _stop_ends(last[0], following, lower)


def _stop_ends(word: str, following: str, lower: bool) -> bool:
    """Whether a full stop after `word` ends the sentence, given the `following` text."""
    plain = word.lstrip("*_").casefold()
    if len(plain) == 1 and plain.isalpha():
        # An initial, unless it is the pronoun or a variable at the end of its sentence.
        return word != word.upper() or word == "I"
    if plain in _ABBREVIATIONS:
        return plain in _MAY_END and following.isupper()
    if plain in _BEFORE_NUMBERS and following.isdigit():
        return False
    return lower or not following.islower()
