"""The curation's readability filters: each finds its defect, and ordinary thoughts pass."""

from __future__ import annotations

import random

import pytest
from pydantic import ValidationError

from clock import soon
from r1.text.readability import (
    ReadabilityDefect,
    ReadabilitySettings,
    looping_tokens,
    paragraphs,
    readability_defects,
    repeated_line_share,
    repeated_ngram_share,
)

GOOD = """Let us find the smallest number. We try x = 1 first, and get $x^2 + 1 = 2$.

Then x = 2 gives 5, which is prime. Wait, we should check x = 3 as well: 10 is not prime.

So the answer is 2."""
KINDS = ReadabilityDefect


def kinds(text: str, language: str = "en", **limits: object) -> list[ReadabilityDefect]:
    settings = ReadabilitySettings.model_validate(limits)
    return [defect.kind for defect in readability_defects(text, language, settings)]


def words(count: int, seed: int = 0) -> str:
    """Words that hardly ever repeat, but for a "the" now and then, which makes them English."""
    rng = random.Random(seed)
    made = ("".join(rng.choices("bcdfglmnprst", k=7)) for _ in range(count))
    return " ".join("the" if n % 5 == 0 else word for n, word in enumerate(made))


def test_an_ordinary_thought_passes() -> None:
    assert readability_defects(GOOD, "en") == []
    assert readability_defects("先算4+7=11，再算11-3=8。\n所以是8。", "zh") == []
    assert readability_defects("", "en") == []


def test_mixed_languages() -> None:
    mixed = GOOD + "\n\n我们再来看看这个问题的答案对不对"
    assert kinds(mixed) == [KINDS.MIXED_LANGUAGES]
    assert kinds(mixed, min_language_share=None) == []
    assert kinds(mixed, min_language_share=0.5) == []
    assert kinds(GOOD, "zh") == [KINDS.MIXED_LANGUAGES]
    assert kinds(GOOD + " 对吗") == []  # 1.3 words' worth are no mixture
    assert kinds(GOOD + " 对吗", max_foreign_words=0, min_language_share=1.0) != []


def test_long_paragraphs() -> None:
    assert kinds(words(300)) == []
    assert kinds(words(301)) == [KINDS.LONG_PARAGRAPH]
    assert kinds(words(301), max_paragraph_words=301) == []
    chinese = "".join(chr(0x4E00 + i) for i in range(451))
    assert kinds(chinese[:450], "zh") == []  # 300 words' worth
    assert kinds(chinese, "zh") == [KINDS.LONG_PARAGRAPH]
    steps = "\n".join(f"step {n}: {words(4, n)}" for n in range(200))
    assert kinds(steps) == []  # two hundred short lines
    wrapped = "\n".join(words(9, n) for n in range(40))
    assert kinds(wrapped) == [KINDS.LONG_PARAGRAPH]
    formulas = " + ".join(f"{n}x^{n}" for n in range(1000))
    assert kinds(f"${formulas}$", max_repeated_ngrams=None) == [KINDS.LONG_PARAGRAPH]
    found = readability_defects(words(400), "en")[0]
    assert (found.measured, found.limit) == (400, 300)
    assert "long paragraph (400, limit 300)" in str(found)


def test_paragraphs() -> None:
    assert list(paragraphs("a\nb\n\nc.")) == ["a", "b", "c."]
    long = "x" * 70
    assert list(paragraphs(f"{long}\n{long}.\n{long}\n\nend")) == [f"{long} {long}.", long, "end"]
    assert list(paragraphs(f"{long}\nend")) == [f"{long} end"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("so\n```python\nx = 1\n```\nthen", 1),
        ("so\n```\nx = 1", 1),
        ("~~~\ny = 2\n~~~\n```c\nint x;\n```", 2),
        ("so `x = 1` then", 0),
        ("```\nthis is a sentence in a fence\n```", 0),
    ],
)
def test_code_blocks(text: str, count: int) -> None:
    assert kinds(text) == [KINDS.CODE_BLOCK] * (count > 0)
    assert kinds(text, max_code_blocks=count) == []
    assert kinds(text, max_code_blocks=None) == []


def test_repetition() -> None:
    block = words(100)
    twice = f"{block}.\n{block}."
    assert kinds(twice, max_repeated_ngrams=0.3) == [
        KINDS.REPEATED_NGRAMS, KINDS.REPEATED_LINES,
    ]  # fmt: skip
    assert kinds(twice, max_repeated_lines=0.5) == [KINDS.REPEATED_NGRAMS]
    assert kinds(twice, max_repeated_ngrams=None, max_repeated_lines=None) == []
    assert kinds("{0}.\n{0}.".format(words(90))) == []  # too short to judge
    short = "let me check.\nfirst 4+7=11\nso it is 11.\n" * 3
    assert kinds(short) == []  # a short thought may check itself in the same words


@pytest.mark.parametrize(
    ("tokens", "n", "share"),
    [("abcabc", 3, 1 / 4), ("aaaa", 2, 2 / 3), ("abcdef", 2, 0.0), ("ab", 3, 0.0), ("", 1, 0.0)],
)
def test_repeated_ngram_share(tokens: str, n: int, share: float) -> None:
    assert repeated_ngram_share(list(tokens), n) == pytest.approx(share)


def test_repeated_line_share() -> None:
    assert repeated_line_share(["a", "b", "a", "a"]) == 0.5
    assert repeated_line_share([]) == 0.0


@pytest.mark.parametrize(
    ("tokens", "looping"),
    [("abcdefg", 0), ("aaa", 0), ("aaaa", 4), ("xyaaaaa", 5), ("abababab", 8), ("xabababab", 8),
     ("abababa", 0), ("zbababababa", 10), ("aaaax", 0), ("", 0)],
)  # fmt: skip
def test_looping_tokens(tokens: str, looping: int) -> None:
    assert looping_tokens(list(tokens)) == looping


def test_looping_tokens_against_trying_every_period() -> None:
    rng = random.Random(1)
    for _ in range(300):
        tokens = rng.choices("ab", k=rng.randint(0, 14))
        tokens += rng.choices("abc", k=rng.randint(1, 3)) * rng.randint(1, 6)
        expected = 0
        for length in range(1, len(tokens) + 1):
            end = tokens[-length:]
            for period in range(1, length // 4 + 1):
                if all(end[i] == end[i + period] for i in range(length - period)):
                    expected = length
        assert looping_tokens(tokens) == expected, tokens


def test_endless_loops() -> None:
    loop = GOOD + "\n\n" + "Wait, no. But wait, it is so. " * 6 + "Wait, no."
    assert kinds(loop) == [KINDS.ENDLESS_LOOP]
    assert kinds(loop, min_loop_tokens=None) == []
    assert kinds(GOOD + " ha ha ha ha ha") == []


def test_settings_refuse_impossible_limits() -> None:
    with pytest.raises(ValidationError):
        ReadabilitySettings(min_language_share=1.5)
    with pytest.raises(ValidationError):
        ReadabilitySettings.model_validate({"max_lines": 3})


@pytest.mark.parametrize(
    "text",
    [words(25_000), "a " * 100_000, "the same line again and again\n" * 7_000, "\n" * 200_000,
     "a b a c " * 25_000, "word word word\n\n" * 12_000, "```\n" * 50_000, "汉字" * 100_000],
    ids=["words", "letters", "lines", "blank", "cycle", "paragraphs", "fences", "chinese"],
)  # fmt: skip
def test_200_kb_take_linear_time(text: str) -> None:
    with soon():
        readability_defects(text, "en")
