"""Samples of one prompt that say the same: equal texts, and texts that share most of their runs.

    similarity = |A ∩ B| / |A ∪ B|      (Jaccard; A, B: the runs of n words of two texts)

estimated from the SKETCH_SIZE smallest hashes of each text's runs (bottom-k sketch; Cohen and
Kaplan 2007), exact for texts with fewer runs. A sketch takes time linear in the text, comparing
two takes constant time. Words are those of r1.data.decontaminate: lower case, no punctuation, a
Chinese character is a word.

Left out on purpose: duplicates across prompts (the same prompt under two ids is warned of when
problems are loaded) and duplicates in meaning.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from r1.data.decontaminate import words

SKETCH_SIZE = 256
RUN_WORDS = 5
"""Words of a run: short enough that a changed word costs five runs, too long for chance."""
_FACTOR = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def normal_form(text: str) -> str:
    """The text as far as equality goes: white space does not count."""
    return " ".join(text.split())


def sketch(text: str) -> np.ndarray:
    """The smallest distinct hashes (uint64, sorted, at most SKETCH_SIZE) of a text's runs.

    A text shorter than a run is one run.
    """
    found = words(text)
    hashes = {word: zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in set(found)}
    words_T = np.array([hashes[word] for word in found], dtype=np.uint64)
    size = max(1, len(words_T) - RUN_WORDS + 1)
    runs = np.zeros(size, dtype=np.uint64)
    factor = 1
    for offset in range(min(RUN_WORDS, len(words_T))):
        runs += (words_T[offset : offset + size] + np.uint64(1)) * np.uint64(factor)
        factor = factor * _FACTOR & _MASK
    mixed = _mix(runs)
    return np.unique(mixed)[:SKETCH_SIZE]


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """The estimated Jaccard similarity of two texts by their sketches, in [0, 1]."""
    union = np.union1d(first, second)[:SKETCH_SIZE]
    both = np.intersect1d(first, second, assume_unique=True)
    return float(np.isin(union, both, assume_unique=True).sum() / len(union))


def near_duplicate_of(
    candidate: np.ndarray, kept: Sequence[np.ndarray], threshold: float
) -> int | None:
    """The place of the first text that is at least so similar, or None."""
    for place, other in enumerate(kept):
        if similarity(candidate, other) >= threshold:
            return place
    return None


def _mix(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): spreads sums over all 64 bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
