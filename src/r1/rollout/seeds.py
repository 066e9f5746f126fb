"""Seeds by name: a sample's randomness depends on its purpose, never on when it is drawn.

seed = the first 63 bits of SHA-256 over the parts, each written with its type and its length.
The same parts give the same seed in every process and on every machine (Python's `hash` does
not), and a sample keeps its seed when samples are added, reordered or resumed: what sample 3 of
a problem is does not depend on whether 4 or 64 are drawn.
"""

from __future__ import annotations

import hashlib

SEED_BITS = 63  # the largest width that fits a signed 64-bit integer, as torch's generators want


def sample_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2**63) for the named parts, in order.

    Training uses `sample_seed(run_seed, "train", step, problem_id, g)`, evaluation
    `sample_seed(seed, "evaluate", problem_id, g)`. Integers and strings that print alike differ.
    """
    if not parts:
        raise ValueError("sample_seed needs at least one part")
    digest = hashlib.sha256()
    for part in parts:
        text = str(int(part)) if isinstance(part, int) else part
        data = text.encode("utf-8", "surrogatepass")
        kind = "i" if isinstance(part, int) else "s"
        # the length keeps ("ab", "c") and ("a", "bc") apart
        digest.update(f"{kind}{len(data)}:".encode())
        digest.update(data)
    return int.from_bytes(digest.digest()[:8], "big") >> (64 - SEED_BITS)
