"""Work that must be soon done, on any processor and under load."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SOON_S = 20.0
"""Processor time, tens of times what the work takes: what is quadratic in its input takes more."""


@contextmanager
def soon(what: str = "") -> Iterator[None]:
    """Fail where the body uses more than SOON_S of this process's processor time."""
    began = time.process_time()
    yield
    assert (took := time.process_time() - began) < SOON_S, f"{what} {took:.1f} s"
