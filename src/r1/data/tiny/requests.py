"""Requests of the tiny world, with good answers and with answers that are poor in a named way.

English and Chinese, five kinds. Every draw follows from the generator alone.
"""

from __future__ import annotations

import random

from r1.data.tiny.dialogue import (
    COMPLIANCE,
    GREETINGS,
    IDENTITY,
    REFUSALS,
    THINGS,
    TO_DECLINE,
    WORDS,
)

KINDS = ("greeting", "identity", "writing", "translation", "decline")
DEFECTS = ("curt", "wrong", "rambling", "foreign", "cut", "refusing", "complying")
"""How the rejected answer is poor; the family of a pair."""

GOOD: dict[str, dict[str, tuple[str, ...]]] = {
    # Besides the corpus's own answers. {0} is the word; or the thing, and {1} what it is like.
    "translation": {"en": ("{0}", 'It is "{0}".', "The word is {0}."),
                    "zh": ("{0}", "是“{0}”。", "可以说{0}。")},
    "writing": {"en": ("I like {0}, {1}.", "How {1} is {0}!", "See {0}, so {1}."),
                "zh": ("{0}{1}，我很喜欢。", "我喜欢{0}，{1}。", "看，{0}{1}！")},
    "greeting": {"en": ("Hello! What can I do for you?", "Hi! How can I help you?"),
                 "zh": ("你好！请问有什么事？", "您好！我能帮你什么？")},
    "identity": {"en": ("I am a tiny language model.", "I am a small model that likes to reason."),
                 "zh": ("我是一个喜欢推理的语言模型。", "我是小模型，我喜欢推理。")},
    "decline": {"en": ("Sorry, I can't help with that. It is private.",
                       "I can't share that, sorry."),
                "zh": ("抱歉，我不能说，这是隐私。", "抱歉，我不能帮你，这是隐私。")},
}  # fmt: skip
CURT = {
    "greeting": {"en": ("hello", "Yes?", "Hi."), "zh": ("你好", "嗯？", "什么？")},
    "identity": {"en": ("A model.", "I am a model.", "A small model"),
                 "zh": ("模型。", "我是模型。", "小模型")},
    "decline": {"en": ("No.", "I can't.", "Sorry."), "zh": ("不行。", "我不能。", "抱歉。")},
}  # fmt: skip
FILLERS = {
    "en": ("That is that.", "And so it is.", "It is what it is.", "Well, then.", "And then again."),
    "zh": ("就是这样。", "然后就是这样。", "那么，然后呢。", "再说一次。", "所以是这样。"),
}


def draw_request(rng: random.Random, language: str) -> tuple[str, str, str]:
    """(kind, request, a good answer to it), as in the corpus but never a poor answer."""
    kind = rng.choice(KINDS)
    request, subject = write_request(rng, kind, language)
    return kind, request, good_answer(rng, kind, language, subject)


def draw_answered(rng: random.Random, language: str, poor_share: float) -> tuple[str, str, str]:
    """(kind, request, answer); a share of the answers is poor in one of the DEFECTS."""
    kind = rng.choice(KINDS)
    request, subject = write_request(rng, kind, language)
    answer = good = good_answer(rng, kind, language, subject)
    if rng.random() < poor_share:
        drawn = (
            poor_answer(rng, defect, kind, language, subject, good)
            for defect in rng.sample(DEFECTS, len(DEFECTS))
        )
        answer = next(poor for poor in drawn if poor is not None)
    return kind, request, answer


def poor_answer(
    rng: random.Random, defect: str, kind: str, language: str, subject: int, good: str
) -> str | None:
    """An answer that is poor in one way, or None where this kind of request has no such."""
    if defect == "curt":
        return curt_answer(rng, kind, language, subject)
    if defect == "rambling":
        extra = [rng.choice(FILLERS[language]) for _ in range(rng.randint(2, 3))]
        extra.insert(rng.randint(0, 1), _off_the_point(rng, kind, language, subject))
        return ("" if language == "zh" else " ").join([good, *extra])
    if defect == "wrong":
        return _off_the_point(rng, kind, language, subject)
    if defect == "cut":
        return _cut(rng, good)
    if defect == "foreign":
        return _foreign(rng, kind, language, subject)
    declining = kind == "decline"
    if defect == "refusing":
        return None if declining else good_answer(rng, "decline", language, subject)
    assert defect == "complying"
    return give_secret(rng, language) if declining else None


def write_request(rng: random.Random, kind: str, language: str) -> tuple[str, int]:
    """A request, and which word or thing it is about."""
    chinese = language == "zh"
    if kind == "translation":
        subject = rng.randrange(len(WORDS))
        english, mandarin = WORDS[subject]
        text = f"“{english}”用中文怎么说？" if chinese else f'What is "{mandarin}" in English?'
        return text, subject
    if kind == "writing":
        subject = rng.randrange(len(THINGS))
        thing, thing_zh = THINGS[subject][:2]
        text = f"写一句话，讲讲{thing_zh}。" if chinese else f"Write a line about {thing}."
        return text, subject
    if kind == "decline":
        return rng.choice(TO_DECLINE[language]), 0
    asked = (GREETINGS if kind == "greeting" else IDENTITY)[language][0]
    return rng.choice(asked), 0


def good_answer(rng: random.Random, kind: str, language: str, subject: int) -> str:
    chinese = language == "zh"
    if kind == "translation":
        return rng.choice(GOOD[kind][language]).format(WORDS[subject][chinese])
    if kind == "writing":
        thing = THINGS[subject]
        return rng.choice(GOOD[kind][language]).format(*(thing[1::2] if chinese else thing[::2]))
    return rng.choice((*_own_answers(kind, language), *GOOD[kind][language]))


def _own_answers(kind: str, language: str) -> tuple[str, ...]:
    """The corpus's own good answers."""
    if kind == "greeting":
        return GREETINGS[language][1][:2]
    return IDENTITY[language][1] if kind == "identity" else REFUSALS[language]


def curt_answer(rng: random.Random, kind: str, language: str, subject: int) -> str | None:
    if kind == "translation":
        return None  # the word alone is all that was asked for
    if kind == "writing":
        return THINGS[subject][language == "zh"] + ("。" if language == "zh" else ".")
    return rng.choice(CURT[kind][language])


def _off_the_point(rng: random.Random, kind: str, language: str, subject: int) -> str:
    """A good answer to something else; half of the time of the same kind."""
    if kind in ("translation", "writing") and rng.random() < 0.5:
        count = len(WORDS if kind == "translation" else THINGS)
        return good_answer(rng, kind, language, (subject + rng.randrange(1, count)) % count)
    other = rng.choice([k for k in KINDS if k not in (kind, "decline")])
    return good_answer(rng, other, language, write_request(rng, other, language)[1])


def _cut(rng: random.Random, good: str) -> str | None:
    """The beginning of an answer of several words (Chinese: characters)."""
    parts = good.split(" ") if good.isascii() else list(good)
    if len(parts) < 5:
        return None
    kept = rng.randint(2, len(parts) - 2)
    return (" " if good.isascii() else "").join(parts[:kept]).rstrip(".,。，？！")


def _foreign(rng: random.Random, kind: str, language: str, subject: int) -> str:
    other = "en" if language == "zh" else "zh"
    if kind == "translation":
        return WORDS[subject][language != "zh"]  # said again instead of translated
    return good_answer(rng, kind, other, subject)


def give_secret(rng: random.Random, language: str) -> str:
    return rng.choice(COMPLIANCE[language]).format(draw_secret(rng))


def draw_secret(rng: random.Random) -> str:
    return "".join(rng.choice("0123456789") for _ in range(4))
