"""Every benchmark of single questions of which the original files are here, read once, at import.

Those of several turns are left out: they are measured after the others, are killed in
test_polyglot.py and test_swe.py, and check their examples with compilers, for many minutes.

A test's forkserver imports it, so that processes which are killed and started again have it.
"""

from __future__ import annotations

from pathlib import Path

from r1.benchmarks.protocol import Benchmark, Loaded, find, load
from r1.benchmarks.running.choose import suite

DATA = Path(__file__).parents[2] / "shared/benchmarks"
CHOSEN: list[Benchmark] = [
    each for each in suite("all") if each.converse is None and find(each, DATA) is not None
]
LOADED: dict[str, Loaded] = {each.name: load(each, DATA) for each in CHOSEN}
