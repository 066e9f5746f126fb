"""Which benchmarks a command means: names, files, a suite, or all whose data are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from r1.benchmarks.protocol import Benchmark, find
from r1.benchmarks.registry import benchmarks, find_benchmark
from r1.benchmarks.table import read_table
from r1.errors import UserError
from r1.plugins import import_plugins

NO_DATA = Path("no-data")
"""A folder that holds nothing: what lies elsewhere is found all the same."""


def named(names: Iterable[str], plugins: Sequence[str] = ()) -> list[Benchmark]:
    """The benchmarks of the names, each once; FILE.toml is one of the user's own.

    plugins: modules that register more. Raises UserError for what is unknown.
    """
    import_plugins(plugins, "--plugin")
    found = {}
    for name in names:
        benchmark = read_table(Path(name)) if name.endswith(".toml") else find_benchmark(name)
        found[benchmark.name] = benchmark
    return list(found.values())


def suite(name: str) -> list[Benchmark]:
    """ "paper": those of which the paper has a figure of R1; "all". Raises UserError."""
    known = list(benchmarks().values())
    if name == "all":
        return known
    if name == "paper":
        return [benchmark for benchmark in known if "R1" in benchmark.published]
    raise UserError(f'--suite {name}: there are "paper" and "all".')


def choose(
    names: Sequence[str],
    data: Path | None,
    plugins: Sequence[str] = (),
    of: str | None = None,
    judged: bool = False,
    endpoint: bool = False,
) -> tuple[list[Benchmark], list[str]]:
    """The benchmarks to run, and why others of the suite are left out.

    names: where there are none, those of the suite `of` (by default "all") whose data are found,
    the judged ones where there is a judge, those of several turns where the model is no endpoint.
    Raises UserError where nothing is left.
    """
    chosen = named(names, plugins)
    if chosen and of is not None:
        raise UserError("name benchmarks or give --suite, not both.")
    if chosen:
        return chosen, []
    left_out = []
    for benchmark in suite(of or "all"):
        if find(benchmark, data or NO_DATA) is None:
            left_out.append(f"{benchmark.name}: no data")
        elif endpoint and benchmark.converse is not None:
            left_out.append(f"{benchmark.name}: an endpoint is asked single questions")
        elif benchmark.judging and not judged:
            left_out.append(f"{benchmark.name}: it needs a judge (--judge)")
        else:
            chosen.append(benchmark)
    if not chosen:
        raise UserError(
            f"no benchmark's data in {data}; `r1 bench list NAME` tells what to put there."
        )
    return chosen, left_out if of is not None else []
