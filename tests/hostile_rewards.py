"""Rewards that misbehave, for the tests of the worker pool (a plugin of their recipes)."""

from __future__ import annotations

import ctypes
import os
import sys
import time

from r1.rewards.registry import register_reward
from r1.types import Completion, Outcome, Problem, Score


def _misbehave(settings, form):
    def score(problem: Problem, completion: Completion) -> Score:
        word, _, argument = completion.text.partition(" ")
        if word == "hang":
            while True:
                pass
        if word == "hang-in-c":
            ctypes.CDLL(None).sleep(1000)
        if word == "exit":
            os._exit(3)
        if word == "segfault":
            ctypes.string_at(0)
        if word == "system-exit":
            raise SystemExit
        if word == "bomb":
            bytearray(1 << 40)
        if word == "slow-bomb":
            blocks = []
            while True:
                blocks.append(bytearray(1 << 26))
        if word == "raise":
            raise ValueError("x" * 10_000)
        if word == "nan":
            return Score(float("nan"), Outcome.CORRECT)
        if word == "print":
            os.write(1, b"x" * 1_000_000)
            print("y" * 1_000_000, flush=True)
            print("z" * 1_000_000, file=sys.stderr, flush=True)
        if word == "sleep":
            time.sleep(float(argument))
        if word == "die-once" and not os.path.exists(argument):
            open(argument, "w").close()
            os.kill(os.getpid(), 9)
        if word == "report":
            torch = "torch" in sys.modules
            return Score(1.0, Outcome.CORRECT, f"{os.getpid()} {os.nice(0)} {torch}")
        return Score(1.0, Outcome.CORRECT, word)

    return score


register_reward("misbehave", _misbehave)
