"""Tracking swapped cups: the small logic puzzle of the tiny world.

Four cups hold four letters; some pairs are swapped; what is in cup n? A chain of permutations can
hardly be followed in one forward pass of a few layers, but is easy step by step.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from r1.data.tiny.reasoning import Trace, draw_trace
from r1.data.tiny.voice import Voice

LETTERS = "KMPRTXYZ"
NUM_CUPS = 4
LEVELS = {1: (2, 2), 2: (3, 4)}
"""Level -> fewest and most swaps."""


class Cups(NamedTuple):
    """One puzzle: the letters in order, the swaps (1-based pairs) and the cup asked for."""

    letters: str
    swaps: tuple[tuple[int, int], ...]
    asked: int

    @property
    def answer(self) -> str:
        """The letter in the asked cup after every swap."""
        state = list(self.letters)
        for a, b in self.swaps:
            state[a - 1], state[b - 1] = state[b - 1], state[a - 1]
        return state[self.asked - 1]


def draw_cups(rng: random.Random, level: int) -> Cups:
    """One puzzle of a level."""
    letters = "".join(rng.sample(LETTERS, NUM_CUPS))
    fewest, most = LEVELS[level]
    swaps = tuple(_draw_pair(rng) for _ in range(rng.randint(fewest, most)))
    return Cups(letters, swaps, rng.randint(1, NUM_CUPS))


def _draw_pair(rng: random.Random) -> tuple[int, int]:
    a, b = sorted(rng.sample(range(1, NUM_CUPS + 1), 2))
    return a, b


def word(rng: random.Random, cups: Cups, language: str) -> str:
    """Put the puzzle into a question."""
    letters = " ".join(cups.letters)
    swaps = ", ".join(f"{a}-{b}" for a, b in cups.swaps)
    if language == "zh":
        swaps = swaps.replace(", ", "，")
        return f"四个杯子装着 {letters}。交换{swaps}。{cups.asked}号杯里是什么？"
    return f"Four cups hold {letters}. Swap {swaps}. What is in cup {cups.asked}?"


def trace(rng: random.Random, cups: Cups, language: str) -> Trace:
    """Answer the puzzle in one of the corpus's styles."""

    def wrong() -> str:
        return rng.choice([letter for letter in cups.letters if letter != cups.answer])

    def run_pass(rng: random.Random, voice: Voice, step_error: float) -> tuple[str, str]:
        return _swap_through(rng, voice, cups, step_error)

    return draw_trace(rng, language, cups.answer, wrong, run_pass)


def _swap_through(
    rng: random.Random, voice: Voice, cups: Cups, step_error: float
) -> tuple[str, str]:
    """Write the cups after each swap; a wrong step swaps the wrong pair."""
    state = list(cups.letters)
    lines = [voice.say("begin") + _numbered(state)]
    for a, b in cups.swaps:
        x, y = _draw_pair(rng) if rng.random() < step_error else (a, b)
        state[x - 1], state[y - 1] = state[y - 1], state[x - 1]
        lines.append(voice.say("swap", a, b) + _numbered(state))
    answer = state[cups.asked - 1]
    return "".join(lines) + voice.say("cup", cups.asked, answer), answer


def _numbered(state: list[str]) -> str:
    """The cups with their numbers: "1K2M3P4R"."""
    return "".join(f"{n}{letter}" for n, letter in enumerate(state, start=1)) + "\n"
