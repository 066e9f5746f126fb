"""One state, one file: equal states are pickled into equal bytes.

Pickle writes a repeated object once and refers to it afterwards, so that a state which was loaded
(its strings are copies) gives other bytes than the same state that never left memory.
"""

from __future__ import annotations

import sys
from typing import Any


def canonical(state: Any) -> Any:
    """A copy of nested containers in which equal strings are one object and tuples are fresh."""
    if isinstance(state, dict):
        return {canonical(key): canonical(value) for key, value in state.items()}
    if isinstance(state, list):
        return [canonical(value) for value in state]
    if isinstance(state, tuple):
        return tuple([canonical(value) for value in state])
    return sys.intern(state) if type(state) is str else state
