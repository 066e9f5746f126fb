"""Labelled steps of the tiny world: its worked chains, and which of their lines are true.

The oracle (`r1.data.tiny.true_steps`) stands for human labels. What is drawn is as the corpus
writes it: a base model's own responses look alike.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from r1.data.tiny import arithmetic, cups
from r1.data.tiny.corpus import present
from r1.data.tiny.problems import DRAW, is_held_out
from r1.data.tiny.true_steps import read_cups, true_steps
from r1.errors import UserError
from r1.preferences.source import PreferenceSource
from r1.preferences.types import StepLabels
from r1.steps.split import split_steps
from r1.types import Problem

LEVELS = {"arithmetic": (2, 3), "cups": (1, 2)}
TAGGED_SHARE = 0.5


def draw_steps(source: PreferenceSource) -> list[StepLabels]:
    """Return source.num responses, languages in turn; the same settings, the same list.

    Raises UserError for an unknown language, or where there are fewer distinct ones.
    """
    rng = random.Random(f"steps/{source.split}/{source.seed}")
    found: dict[StepLabels, None] = {}
    for _ in range(200 * source.num + 10_000):
        language = source.languages[len(found) % len(source.languages)]
        family = ("arithmetic", "cups")[len(found) // len(source.languages) % 2]
        key, problem = DRAW[family](rng, language, LEVELS[family])
        if is_held_out(key) == (source.split == "heldout"):
            found[label_steps(problem, _response(rng, problem))] = None
        if len(found) == source.num:
            return list(found)
    raise UserError(
        f"tiny world: only {len(found)} distinct {source.split} responses in steps; ask for fewer "
        f"than num = {source.num}."
    )


def label_steps(problem: Problem, response: str) -> StepLabels:
    """Return a response's steps with the oracle's labels."""
    steps: Sequence[str] = split_steps(response)
    labels = true_steps(problem, steps)
    return StepLabels(problem.prompt, tuple(steps), tuple(labels), problem.language, problem.family)


def _response(rng: random.Random, problem: Problem) -> str:
    """One of the corpus's responses. Bare guesses too, in one step or two: a model that never saw
    them takes them for safe."""
    if problem.family == "arithmetic":
        expression = problem.metadata["entry"]["metadata"]["expression"]
        chain = arithmetic.Chain(expression, str(problem.reference), {})
        trace = arithmetic.trace(rng, chain, problem.language)
    else:
        puzzle = read_cups(problem.prompt)
        assert puzzle is not None, "the tiny world reads its own puzzles"
        trace = cups.trace(rng, puzzle, problem.language)
    return present(rng, trace, problem.language, rng.random() < TAGGED_SHARE)
