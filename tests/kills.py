"""How often the tests of resuming kill what they test."""

from __future__ import annotations

import os


def num_kills(usual: int) -> int:
    """Return a test's number of kills: `usual`, or R1_TEST_KILLS (100 for the long version)."""
    return int(os.environ.get("R1_TEST_KILLS", usual))
