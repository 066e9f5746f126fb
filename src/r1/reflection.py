"""Count reflective words: how often a response stops to check itself.

The paper counts wait, mistake, however, but, retry, error, verify, wrong, evaluate and check over
R1-Zero's training and sees them rise five- to sevenfold (v2, appendix on reflective words). The
same words are counted here with their inflections, and their Chinese counterparts beside them.

Two counts, on purpose: "but" and "however" (但, 然而) also join ordinary sentences, so they belong
to the paper's word count and do not by themselves make a response a self-checking one.

Left out: any judgement of whether the check was a real one. A model can be taught to say "wait".
"""

from __future__ import annotations

import re

_CHECKING_EN = (
    r"wait",
    r"mistakes?|mistaken",
    r"retry|retries|retried|retrying",
    r"errors?",
    r"verify|verif(?:ies|ied|ying|ication)",
    r"wrong|wrongly",
    r"(?:re-?)?evaluat(?:e|es|ed|ing|ion)",
    r"(?:double-?|re-?)?check(?:s|ed|ing)?",
    r"recalculat(?:e|es|ed|ing)",
)
_JOINING_EN = (r"however", r"but")
# Longer phrases first: alternation takes the first that fits, so that one place counts once.
_CHECKING_ZH = (
    "等一下|等一等|等等|稍等",
    "检查|检验|核对|核实|验算|验证",
    "再算|重算|再看一[遍次下]|再试|重试|重新",
    "不对|有误|(?<!不)错",  # not 不错, "not bad"
)
_JOINING_ZH = ("然而", "但是|不过|但")


def _compile(english: tuple[str, ...], chinese: tuple[str, ...]) -> re.Pattern[str]:
    # \b would treat a Chinese neighbour as part of the English word ("先check一下"), hence the
    # explicit Latin class; the underscore and digits keep identifiers such as check_sum out.
    words = rf"(?<![A-Za-z0-9_])(?:{'|'.join(english)})(?![A-Za-z0-9_])"
    return re.compile(f"{words}|{'|'.join(chinese)}", re.IGNORECASE)


_ALL = _compile(_CHECKING_EN + _JOINING_EN, _CHECKING_ZH + _JOINING_ZH)
_CHECKING = _compile(_CHECKING_EN, _CHECKING_ZH)


def count_checking_words(text: str) -> int:
    """Return the number of reflective words in text, joining words ("but") included."""
    return sum(1 for _ in _ALL.finditer(text))


def self_checks(text: str) -> bool:
    """Return whether text holds a word of checking or correcting itself ("but" alone does not)."""
    return _CHECKING.search(text) is not None
