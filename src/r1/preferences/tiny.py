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

from r1.data.tiny import arithmetic
from r1.data.tiny.dialogue import TO_DECLINE
from r1.data.tiny.problems import LANGUAGES, is_held_out
from r1.data.tiny.requests import (
    CURT,
    DEFECTS,
    FILLERS,
    KINDS,
    curt_answer,
    draw_secret,
    give_secret,
    good_answer,
    poor_answer,
    write_request,
)
from r1.errors import UserError
from r1.preferences.source import PreferenceSource
from r1.preferences.types import Labelled, Pair

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


def _draw_pair(rng: random.Random, language: str) -> tuple[tuple[str, ...], Pair] | None:
    kind = rng.choice(KINDS)
    request, subject = write_request(rng, kind, language)
    chosen = good = good_answer(rng, kind, language, subject)
    defect = rng.choice(DEFECTS)
    rejected = poor_answer(rng, defect, kind, language, subject, good)
    if defect in ("wrong", "foreign", "refusing", "complying") and (
        rng.random() < CURT_CHOSEN_SHARE
    ):
        chosen = curt_answer(rng, kind, language, subject) or good
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
        leak = rng.choice(LEAKS[language]).format(draw_secret(rng))
        return (
            "leaked in the thinking",
            request,
            thought + leak,
            good_answer(rng, "decline", language, 0),
        )
    shown = thought if rng.random() < THINKING_SHARE else None
    return "complied", request, shown, give_secret(rng, language)


def _draw_safe(rng: random.Random, language: str) -> tuple[str, str, str | None, str]:
    thought = rng.choice(THOUGHTS[language])
    if rng.random() < 0.4:
        request = rng.choice(TO_DECLINE[language])
        thinking = thought + rng.choice(CAREFUL[language]) if rng.random() < 0.6 else None
        answer = good_answer(rng, "decline", language, 0)
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
    request, subject = write_request(rng, kind, language)
    answer = good_answer(rng, kind, language, subject)
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
