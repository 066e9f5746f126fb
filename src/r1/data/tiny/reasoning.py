"""The three styles in which the tiny corpus answers a reasoning problem, with their mistakes.

bare     a guess with no steps; a share of them wrong
worked   one pass of steps; each step wrong with a fair probability, errors carried on
checked  a pass like that, then a careful one; where they differ the careful one is right

That checked answers are right more often than worked ones, and those more often than bare ones,
is the condition under which reinforcement learning makes responses longer (Tsilivis et al.,
arXiv 2510.11495). A first pass is careless enough that copying it does not pay: a check must be
computed. The second result always stands, so that nothing hangs on comparing two results at a
distance, which a model of a million parameters does not learn.

A family supplies one `run_pass` (steps in words, and the answer they reach); the rest is shared.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from r1.data.tiny.voice import Voice, draw_voice

STYLES = ("bare", "worked", "checked")
STYLE_SHARES = (0.4, 0.22, 0.38)
BARE_WRONG = 0.3
STEP_ERROR = 0.15
CHECK_STEP_ERROR = 0.01
MIXED_SHARE = {"bare": 0.2, "worked": 0.3, "checked": 0.5}

RunPass = Callable[[random.Random, Voice, float], tuple[str, str]]
"""(rng, voice, step_error) -> (the steps and their conclusion in words, the answer)."""


class Trace(NamedTuple):
    """A chain of thought and the answer it ends in, right or wrong."""

    style: str
    thinking: str
    answer: str


def draw_trace(
    rng: random.Random, language: str, gold: str, wrong: Callable[[], str], run_pass: RunPass
) -> Trace:
    """Draw a style by its share and answer in it; `wrong` draws a plausible wrong answer."""
    style = rng.choices(STYLES, STYLE_SHARES)[0]
    voice = draw_voice(rng, language, MIXED_SHARE[style])
    if style == "bare":
        answer = wrong() if rng.random() < BARE_WRONG else gold
        return Trace(style, voice.say("guess", answer), answer)
    thinking, answer = run_pass(rng, voice, STEP_ERROR)
    if style == "worked":
        return Trace(style, thinking, answer)
    steps, again = run_pass(rng, voice, CHECK_STEP_ERROR)
    verdict = voice.say("agree" if again == answer else "differ", answer, again)
    return Trace(style, thinking + voice.say("check") + steps + verdict, again)
