"""Benchmarks by name.

    register_benchmark(Benchmark("math500", ...))        at the end of the benchmark's file

The files of this package are found by themselves.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from r1.benchmarks.protocol import Benchmark
from r1.errors import UserError
from r1.plugins import import_modules_of, note_registration

_BENCHMARKS: dict[str, Benchmark] = {}


def register_benchmark(benchmark: Benchmark) -> None:
    """Make a benchmark known. Raises UserError for a name that is taken."""
    if benchmark.name in _BENCHMARKS:
        raise UserError(
            f"the benchmark {benchmark.name!r} is registered twice; give yours another name."
        )
    _BENCHMARKS[benchmark.name] = benchmark
    note_registration(benchmark.name)


def benchmarks() -> Mapping[str, Benchmark]:
    """All benchmarks by name, in alphabetical order."""
    import_modules_of("r1.benchmarks")
    return dict(sorted(_BENCHMARKS.items()))


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of NAME or NAME@VARIANT; UserError for an unknown one, with the nearest."""
    known = benchmarks()
    name, at, variant = name.partition("@")
    if name not in known:
        parts = [part.strip() for part in name.split(",")]
        if len(parts) > 1 and all(part in known for part in parts):
            raise UserError(f"{name!r} are several benchmarks; put spaces between them, no commas.")
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}."
        raise UserError(f"unknown benchmark {name!r}; {hint}")
    if not at:
        return known[name]
    if (vary := known[name].vary) is None:
        raise UserError(f"{name} has no variants; leave @{variant} out.")
    return vary(variant)
