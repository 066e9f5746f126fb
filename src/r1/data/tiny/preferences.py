"""Preferences of the tiny world, in English and Chinese: what is helpful, and what is safe.

Pairs (helpfulness): a complete answer to the point against one that is poor in a named way; or a
curt but right answer against one that is worse than curt. To turn down a harmless request is
unhelpful, and so is to give out what should be declined.

Labels (harmlessness): giving out a secret is unsafe, in the answer or in the thinking; everything
else is safe: declining, ordinary answers, and numbers that are no secret.

The split is by a hash of request and answer: a held-out pair has at least one answer that training
never shows with that request; a held-out label's response never occurs in training.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from r1.data.preference_settings import PreferenceSource
from r1.data.preferences import Labelled, Pair
from r1.data.tiny import arithmetic
from r1.data.tiny.dialogue import (
    COMPLIANCE,
    GREETINGS,
    IDENTITY,
    REFUSALS,
    THINGS,
    TO_DECLINE,
    WORDS,
)
from r1.data.tiny.problems import LANGUAGES, is_held_out
from r1.errors import UserError

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
THOUGHTS = {
    "en": ("let me check what is asked.\n", "first I see what they want.\n", "so I answer this.\n"),
    "zh": ("先看一下问的是什么。\n", "检查一下他要什么。\n", "所以我这样回答。\n"),
}
CAREFUL = {
    "en": ("that is private, so I can't share it.\n", "I can't help with that.\n"),
    "zh": ("这是隐私，所以我不能说。\n", "我不能帮这个忙。\n"),
}
LEAKS = {
    "en": ("it is {0}, so I say it.\n", "I see the number {0}.\n"),
    "zh": ("是{0}，所以我这样说。\n", "我看到{0}。\n"),
}
THINKING_SHARE = 0.3
CURT_CHOSEN_SHARE = 0.15
UNSAFE_SHARE = 0.5

T = TypeVar("T", Pair, Labelled)


def draw_pairs(source: PreferenceSource) -> list[Pair]:
    """source.num distinct pairs, languages in turn; the same settings, the same list.

    Raises UserError for an unknown language, or where there are fewer distinct pairs.
    """
    return _distinct(source, "pairs", _draw_pair)


def draw_labels(source: PreferenceSource) -> list[Labelled]:
    """source.num distinct labelled responses; as draw_pairs."""
    return _distinct(source, "labels", _draw_label)


def draw_request(rng: random.Random, language: str) -> tuple[str, str, str]:
    """(kind, request, a good answer to it), as in the corpus but never a poor answer."""
    kind = rng.choice(KINDS)
    request, subject = _request(rng, kind, language)
    return kind, request, _good(rng, kind, language, subject)


def draw_answered(rng: random.Random, language: str, poor_share: float) -> tuple[str, str, str]:
    """(kind, request, answer); a share of the answers is poor in one of the DEFECTS."""
    kind = rng.choice(KINDS)
    request, subject = _request(rng, kind, language)
    answer = good = _good(rng, kind, language, subject)
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
        return _curt(rng, kind, language, subject)
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
        return None if declining else _good(rng, "decline", language, subject)
    assert defect == "complying"
    return _comply(rng, language) if declining else None


def _request(rng: random.Random, kind: str, language: str) -> tuple[str, int]:
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


def _good(rng: random.Random, kind: str, language: str, subject: int) -> str:
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


def _curt(rng: random.Random, kind: str, language: str, subject: int) -> str | None:
    if kind == "translation":
        return None  # the word alone is all that was asked for
    if kind == "writing":
        return THINGS[subject][language == "zh"] + ("。" if language == "zh" else ".")
    return rng.choice(CURT[kind][language])


def _off_the_point(rng: random.Random, kind: str, language: str, subject: int) -> str:
    """A good answer to something else; half of the time of the same kind."""
    if kind in ("translation", "writing") and rng.random() < 0.5:
        count = len(WORDS if kind == "translation" else THINGS)
        return _good(rng, kind, language, (subject + rng.randrange(1, count)) % count)
    other = rng.choice([k for k in KINDS if k not in (kind, "decline")])
    return _good(rng, other, language, _request(rng, other, language)[1])


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
    return _good(rng, kind, other, subject)


def _comply(rng: random.Random, language: str) -> str:
    return rng.choice(COMPLIANCE[language]).format(_secret(rng))


def _secret(rng: random.Random) -> str:
    return "".join(rng.choice("0123456789") for _ in range(4))


def _draw_pair(rng: random.Random, language: str) -> tuple[tuple[str, ...], Pair] | None:
    kind = rng.choice(KINDS)
    request, subject = _request(rng, kind, language)
    chosen = good = _good(rng, kind, language, subject)
    defect = rng.choice(DEFECTS)
    rejected = poor_answer(rng, defect, kind, language, subject, good)
    if defect in ("wrong", "foreign", "refusing", "complying") and (
        rng.random() < CURT_CHOSEN_SHARE
    ):
        chosen = _curt(rng, kind, language, subject) or good
    if rejected is None or rejected == chosen:
        return None
    keys = (f"{request}\n{chosen}", f"{request}\n{rejected}")
    if rng.random() < THINKING_SHARE:
        chosen, rejected = (
            _tagged(rng.choice(THOUGHTS[language]), text) for text in (chosen, rejected)
        )
    return keys, Pair(request, chosen, rejected, language=language, family=defect)


def _draw_label(rng: random.Random, language: str) -> tuple[tuple[str, ...], Labelled] | None:
    unsafe = rng.random() < UNSAFE_SHARE
    draw = _draw_unsafe if unsafe else _draw_safe
    family, request, thinking, answer = draw(rng, language)
    response = answer if thinking is None else _tagged(thinking, answer)
    label = Labelled(request, response, not unsafe, language, family)
    return (f"{request}\n{response}",), label


def _draw_unsafe(rng: random.Random, language: str) -> tuple[str, str, str | None, str]:
    """(family, request, thinking, answer) of a response that gives out a secret."""
    request = rng.choice(TO_DECLINE[language])
    thought = rng.choice(THOUGHTS[language])
    if rng.random() < 0.4:
        leak = rng.choice(LEAKS[language]).format(_secret(rng))
        return "leaked in the thinking", request, thought + leak, _good(rng, "decline", language, 0)
    shown = thought if rng.random() < THINKING_SHARE else None
    return "complied", request, shown, _comply(rng, language)


def _draw_safe(rng: random.Random, language: str) -> tuple[str, str, str | None, str]:
    thought = rng.choice(THOUGHTS[language])
    if rng.random() < 0.4:
        request = rng.choice(TO_DECLINE[language])
        thinking = thought + rng.choice(CAREFUL[language]) if rng.random() < 0.6 else None
        answer = _good(rng, "decline", language, 0)
        if rng.random() < 0.3:
            answer = rng.choice(CURT["decline"][language])
        if rng.random() < 0.3:
            answer += ("" if language == "zh" else " ") + rng.choice(FILLERS[language])
        return "declined", request, thinking, answer
    if rng.random() < 0.4:
        chain = arithmetic.draw_chain(rng, rng.choice((1, 2)))
        steps = arithmetic.trace(rng, chain, language)
        thinking = steps.thinking if rng.random() < 0.5 else None
        return "sum", arithmetic.word(rng, chain, language), thinking, chain.answer
    kind = rng.choice(KINDS[:-1])
    request, subject = _request(rng, kind, language)
    answer = _good(rng, kind, language, subject)
    poor = poor_answer(rng, rng.choice(DEFECTS[:-1]), kind, language, subject, answer)
    answer = poor if poor is not None and rng.random() < 0.4 else answer
    return "ordinary", request, thought if rng.random() < 0.4 else None, answer


def _tagged(thinking: str, answer: str) -> str:
    return f"<think>{thinking.strip()}</think> <answer>{answer}</answer>"


def _distinct(
    source: PreferenceSource,
    what: str,
    draw: Callable[[random.Random, str], tuple[tuple[str, ...], T] | None],
) -> list[T]:
    """Draw until there are source.num different ones on the right side of the split."""
    _check(source.languages)
    rng = random.Random(f"{what}/{source.split}/{source.seed}")
    found: dict[T, None] = {}
    for _ in range(200 * source.num + 10_000):
        drawn = draw(rng, source.languages[len(found) % len(source.languages)])
        if drawn is None:
            continue
        keys, item = drawn
        if any(is_held_out(key) for key in keys) == (source.split == "heldout"):
            found[item] = None
        if len(found) == source.num:
            return list(found)
    raise UserError(
        f"tiny world: only {len(found)} distinct {source.split} {what}; ask for fewer than "
        f"num = {source.num}."
    )


def _check(languages: Sequence[str]) -> None:
    unknown = [name for name in languages if name not in LANGUAGES]
    if unknown or not languages:
        raise UserError(
            f"tiny world: unknown language {(unknown or ['(none)'])[0]!r}; "
            f"valid: {', '.join(LANGUAGES)}."
        )
