"""The tiny base's kind of sums in a file, with a verifier that starts at once on any machine."""

from __future__ import annotations

import random
from pathlib import Path

from small_recipe import write_jsonl


def write_sums(path: Path, num: int, seed: int = 0) -> Path:
    """Write `num` problems such as "What is 4 + 2 - 1?", for the verifier "exact"."""
    draw = random.Random(seed)
    rows = []
    for i in range(num):
        a, b, c = draw.randint(2, 6), draw.randint(1, 3), draw.randint(0, 2)
        prompt, gold = f"What is {a} + {b} - {c}?", str(a + b - c)
        rows.append({"id": f"p{i}", "prompt": prompt, "reference": gold, "verifier": "exact"})
    return write_jsonl(path, rows)
