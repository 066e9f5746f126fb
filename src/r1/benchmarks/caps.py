"""The token limits at which a score is told from samples that were drawn under a larger one."""

from __future__ import annotations

SMALLEST_CAP = 16


def caps_up_to(shortest: int, limit: int) -> list[int]:
    """Powers of two from the shortest response's length, and the samples' own limit as the last."""
    first = max(SMALLEST_CAP, shortest).bit_length() - 1
    return [1 << p for p in range(first, limit.bit_length()) if 1 << p < limit] + [limit]
