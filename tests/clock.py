"""Work that must be soon done, or in linear time, on any processor and under load."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SOON_S = 20.0
"""Processor time, tens of times what the work takes: what is quadratic in its input takes more."""


@contextmanager
def soon(what: str = "") -> Iterator[None]:
    """Fail where the body uses more than SOON_S of this process's processor time."""
    began = time.process_time()
    yield
    assert (took := time.process_time() - began) < SOON_S, f"{what} {took:.1f} s"


def assert_linear(work: Callable[[int], object], size: int, times: int) -> None:
    """Fail where `times` the size takes over three times the processor time that is its share.

    What is quadratic does so each time; a neighbour of the processor may, so that the best of
    five counts. size: as large as 10 ms of work, or the clock is too coarse.
    """

    def seconds(size: int) -> float:
        began = time.process_time()
        work(size)
        return time.process_time() - began

    seconds(size)  # what is loaded or cached at first
    ratios = []
    for _ in range(5):
        small = min(seconds(size) for _ in range(3))
        ratios.append(seconds(size * times) / max(small, 1e-4))
        if ratios[-1] < 3 * times:
            return
    raise AssertionError(f"{times} times the size takes {min(ratios):.0f} times as long")
