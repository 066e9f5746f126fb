"""Sums of two numbers from 10 to 99, each asked after two worked ones, to be continued."""

import random
from collections.abc import Iterator

WORKED = ((12, 34), (57, 28))
NUM_HELDOUT = 200


def problems(heldout: bool = False) -> Iterator[dict[str, str]]:
    """Yield the sums to train on, or those held out; no two of all differ by their order alone."""
    pairs = [(a, b) for a in range(10, 100) for b in range(a, 100)]
    pairs = [pair for pair in pairs if pair not in WORKED and pair[::-1] not in WORKED]
    rng = random.Random(0)
    rng.shuffle(pairs)
    shown = "".join(f"{a} + {b} = {a + b}\n" for a, b in WORKED)
    for a, b in pairs[:NUM_HELDOUT] if heldout else pairs[NUM_HELDOUT:]:
        if rng.random() < 0.5:
            a, b = b, a
        yield {"prompt": f"{shown}{a} + {b} = ", "reference": str(a + b)}
