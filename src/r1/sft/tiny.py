"""Worked answers from the tiny world, in the form that Table 1 asks for: a small cold start.

Drawn like the corpus's own `checked` answers (a draft, then a careful pass); kept are those that
are right, in the language of their question alone, and not held out. The paper collects its cold
start from stronger models and people (section 2.3.1); these stand in for them where a recipe must
run without either. The family "dialogue" stands in for the supplied, general part of the paper's
800k samples (section 2.3.3): without chains of thought, and
like such data not all good: POOR_SHARE of its answers are poor.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from functools import partial

from r1.data.tiny import arithmetic, cups
from r1.data.tiny.problems import LANGUAGES, dialogue_requests, is_held_out
from r1.data.tiny.reasoning import Trace
from r1.data.tiny.requests import draw_answered
from r1.errors import UserError
from r1.sft.rows import Conversation
from r1.sft.settings import ExampleSource

FAMILIES = ("arithmetic", "cups", "dialogue")
POOR_SHARE = 0.25
LEVELS = {"arithmetic": tuple(arithmetic.LEVELS), "cups": tuple(cups.LEVELS), "dialogue": (1,)}
_CHINESE = re.compile("[\u4e00-\u9fff]")
_ENGLISH = re.compile("[A-Za-z]{2,}")


def conversations(source: ExampleSource) -> Iterator[Conversation]:
    """Draw source.num examples; the same settings, the same examples.

    Raises UserError for an unknown family, language or level.
    """
    cells = _cells(source)
    rng = random.Random(f"sft/{source.split}/{source.seed}")
    for number in range(1, source.num + 1):
        family, language, levels = cells[number % len(cells)]
        if family == "dialogue":
            question, response = _draw_dialogue(rng, language, str(source.split))
        else:
            question, trace = _draw(rng, family, language, rng.choice(levels), str(source.split))
            response = f"<think>{trace.thinking.strip()}</think> <answer>{trace.answer}</answer>"
        turns = (
            {"role": "user", "content": question},
            {"role": "assistant", "content": response},
        )
        yield Conversation(number, None, turns)


def _cells(source: ExampleSource) -> list[tuple[str, str, list[int]]]:
    for what, given, valid in (
        ("family", source.families, FAMILIES),
        ("language", source.languages, LANGUAGES),
    ):
        unknown = [name for name in given if name not in valid]
        if unknown or not given:
            raise UserError(
                f"tiny world: unknown {what} {(unknown or ['(none)'])[0]}; worked answers exist "
                f"for {', '.join(valid)}."
            )
    cells = []
    for family in source.families:
        levels = [n for n in LEVELS[family] if not source.levels or n in source.levels]
        if not levels:
            raise UserError(f"tiny world: {family} has the levels {list(LEVELS[family])}.")
        cells += [(family, language, levels) for language in source.languages]
    return cells


def _draw_dialogue(rng: random.Random, language: str, split: str) -> tuple[str, str]:
    """(request, answer) of a request of the split, which needs no chain of thought."""
    while True:
        kind, request, answer = draw_answered(rng, language, POOR_SHARE)
        if request in dialogue_requests(split, language)[kind]:
            return request, answer


def _draw(
    rng: random.Random, family: str, language: str, level: int, split: str
) -> tuple[str, Trace]:
    foreign = _CHINESE if language == "en" else _ENGLISH
    key, gold, question, answer = _problem(rng, family, language, level)
    while is_held_out(key) != (split == "heldout"):
        key, gold, question, answer = _problem(rng, family, language, level)
    while True:
        trace = answer()
        right = trace.style == "checked" and trace.answer == gold
        if right and not foreign.search(trace.thinking):
            return question, trace


def _problem(
    rng: random.Random, family: str, language: str, level: int
) -> tuple[str, str, str, Callable[[], Trace]]:
    """What tells it from others, its gold answer, its question, and a function that answers it."""
    if family == "arithmetic":
        chain = arithmetic.draw_chain(rng, level)
        question = arithmetic.word(rng, chain, language)
        answer = partial(arithmetic.trace, rng, chain, language)
        return chain.expression, chain.answer, question, answer
    puzzle = cups.draw_cups(rng, level)
    question = cups.word(rng, puzzle, language)
    return repr(puzzle), puzzle.answer, question, partial(cups.trace, rng, puzzle, language)
