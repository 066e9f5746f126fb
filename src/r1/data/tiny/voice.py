"""Words of the tiny world in English and Chinese, and voices that speak one or mix both."""

from __future__ import annotations

import random
from dataclasses import dataclass

PHRASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # key: (English variants, Chinese variants)
    "first": (("first ", "start "), ("先算", "首先")),
    "then": (("then ", "next ", "now "), ("再算", "然后", "接着")),
    "result": (("so it is {0}.\n", "that gives {0}.\n"), ("所以是{0}。\n", "得到{0}。\n")),
    "check": (("let me check.\n", "check this.\n"), ("检查一下。\n", "再验证一下。\n")),
    "agree": (
        ("{0} and {1}, good.\n", "{0} and {1} agree.\n"),
        ("{0}和{1}，对。\n", "{0}和{1}一致。\n"),
    ),
    "differ": (
        ("{0} and {1}, wait, it is {1}.\n", "{0} and {1}, a mistake, it is {1}.\n"),
        ("{0}和{1}，等等，是{1}。\n", "{0}和{1}，错了，是{1}。\n"),
    ),
    "guess": (("I think it is {0}.\n", "it is {0}.\n"), ("我想是{0}。\n", "是{0}。\n")),
    "answer": ((" The answer is {0}.", " It is {0}.", " {0}"), ("答案是{0}。", "是{0}。", "{0}")),
    "begin": (("begin ",), ("开始 ",)),
    "swap": (("swap{0}{1} ",), ("换{0}{1} ",)),
    "cup": (("so cup {0}{1}.\n", "that is {0}{1}.\n"), ("所以{0}{1}。\n", "得到{0}{1}。\n")),
}


@dataclass(frozen=True)
class Voice:
    """Speaks phrases in `language` ("en" or "zh"); each one in the other with probability `mix`."""

    rng: random.Random
    language: str
    mix: float = 0.0

    def say(self, key: str, *values: object) -> str:
        """One variant of the phrase with its values filled in."""
        chinese = (self.language == "zh") != (self.rng.random() < self.mix)
        return self.rng.choice(PHRASES[key][chinese]).format(*values)


def draw_voice(rng: random.Random, language: str, mixed_share: float) -> Voice:
    """A voice in the question's language, or with probability mixed_share one that mixes both."""
    return Voice(rng, language, mix=0.5 if rng.random() < mixed_share else 0.0)
