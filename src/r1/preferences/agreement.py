"""How often a model prefers what was preferred: shares with intervals, whole and in parts.

The interval is over *prompts* (r1.intervals): pairs of one prompt are drawn together, since what is
hard about a prompt is hard for all of its pairs.

Shapes: E examples, Q prompts. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from r1.intervals import Interval, resampled_means, widened
from r1.preferences.examples import PreferenceExample
from r1.preferences.types import Pair, Preference

Floats = npt.NDArray[np.float64]


def accuracies(
    examples: Sequence[PreferenceExample], right_E: Floats, seed: int = 0
) -> dict[str, Any]:
    """accuracy {value, low, high} and the same with num by language, family and (pairs) by which
    response is the longer one. right_E: 1, 0 or (a tie) 1/2."""
    prompts = [_asked(example.source) for example in examples]

    def accuracy(chosen: npt.NDArray[np.bool_]) -> dict[str, Any]:
        inside = [prompt for prompt, is_in in zip(prompts, chosen, strict=True) if is_in]
        return {**interval(right_E[chosen], inside, seed), "num": int(chosen.sum())}

    pairwise = isinstance(examples[0].source, Pair)
    return {
        "num_examples": len(examples),
        "num_prompts": len(set(prompts)),
        "accuracy": interval(right_E, prompts, seed),
        "by_language": _split(examples, lambda e: e.source.language, accuracy),
        "by_family": _split(examples, lambda e: e.source.family, accuracy),
        "by_length": _split(examples, _longer, accuracy) if pairwise else {},
    }


def interval(right_E: Floats, prompts: Sequence[str], seed: int = 0) -> dict[str, float]:
    """Mean of right_E with a 95 % interval over prompts: {value, low, high}.

    The same values give the same interval on every machine.
    """
    number: dict[str, int] = {}
    owner_E = np.array([number.setdefault(prompt, len(number)) for prompt in prompts])
    sum_Q = np.bincount(owner_E, weights=right_E, minlength=len(number))
    count_Q = np.bincount(owner_E, minlength=len(number)).astype(float)
    low, high = np.quantile(resampled_means(sum_Q, count_Q, seed=seed), [0.025, 0.975])
    found = Interval(float(np.mean(right_E)), float(low), float(high))
    return widened(found, sum_Q / count_Q, right_E.size)._asdict()


def _asked(item: Preference) -> str:
    return item.context if isinstance(item, Pair) else item.prompt


def _split(
    examples: Sequence[PreferenceExample],
    key: Callable[[PreferenceExample], str],
    accuracy: Callable[[npt.NDArray[np.bool_]], dict[str, Any]],
) -> dict[str, Any]:
    """Accuracy for each value of key; {} where no example has one."""
    keys = np.array([key(example) for example in examples])
    return {str(name): accuracy(keys == name) for name in sorted(set(keys) - {""})}


def _longer(example: PreferenceExample) -> str:
    first, second = (len(ids) for ids in example.responses)
    if first == second:
        return "equally long"
    return "chosen is longer" if first > second else "chosen is shorter"
