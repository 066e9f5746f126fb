"""Which benchmarks a command means: names, files, a suite, or all whose data are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from r1.benchmarks.protocol import ASKED, RESULT, Benchmark, find
from r1.benchmarks.registry import benchmarks, find_benchmark
from r1.benchmarks.table import read_table
from r1.errors import UserError
from r1.plugins import import_plugins
from r1.run_dir import lock
from r1.run_dir.evaluation import BLOCKS, REQUEST
from r1.run_dir.foreign import held_in, refuse_foreign

NO_DATA = Path("no-data")
"""A folder that holds nothing: what lies elsewhere is found all the same."""


_OF_SUITE = ("queue.json", "replies.jsonl")
"""What lies beside the benchmarks' folders (r1.evaluation.command, which imports torch)."""
_OTHERS = {
    "run.json": "a run",
    "pipeline.json": "a run of stages",
    "config.json": "a model",
    "request.json": "an evaluation",
}
"""Files that say what else a folder is."""


def require_data(data: Path | None) -> None:
    """Raise UserError for a folder of data that is none."""
    if data is not None and not data.is_dir():
        what = "is a file" if data.exists() else "does not exist"
        raise UserError(f"--data {data} {what}; give the folder that holds a folder a benchmark.")


def require_place(out: Path) -> None:
    """Raise UserError for results in the place of a file, a run, a model or an evaluation, and in a
    folder of other things."""
    held = held_in(out, "the results")
    for name, what in _OTHERS.items():
        if (out / name).is_file():
            raise UserError(f"{out} is {what} ({name}); give another folder for the results.")
    if not any(map(_is_of_suite, held)):
        held = [path for path in held if not path.is_dir() or held_in(path, "the results")]
        refuse_foreign(out, held, "holds no benchmark's results")


def _is_of_suite(path: Path) -> bool:
    """Whether `r1 bench run` made this, in its folder, though it was killed since."""
    inside = (REQUEST, BLOCKS, RESULT, ASKED, lock.LOCK_NAME)
    return path.name in _OF_SUITE or any((path / name).exists() for name in inside)


def named(names: Iterable[str], plugins: Sequence[str] = ()) -> list[Benchmark]:
    """The benchmarks of the names, each once; FILE.toml is one of the user's own.

    plugins: modules that register more. Raises UserError for what is unknown.
    """
    import_plugins(plugins, "--plugin")
    found = {}
    for name in names:
        if not name.endswith(".toml"):
            if Path(name).is_file():
                raise UserError(
                    f"{name} is a file and no benchmark; for a benchmark of your own write a table "
                    "over it, my_benchmark.toml (r1 settings benchmark)."
                )
            benchmark = find_benchmark(name)
        elif (benchmark := read_table(Path(name))).name in benchmarks():
            raise UserError(
                f"{name}: name = {benchmark.name!r} is a benchmark of r1; take another."
            )
        found[benchmark.name] = benchmark
    return list(found.values())


def suite(name: str) -> list[Benchmark]:
    """ "paper": those of which the paper has a figure of R1; "all": those with data of their own.
    Raises UserError."""
    known = [benchmark for benchmark in benchmarks().values() if not benchmark.is_made]
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
) -> tuple[list[Benchmark], list[str]]:
    """The benchmarks to run, and why others of the suite are left out.

    names: where there are none, those of the suite `of` (by default "all") whose data are found,
    the judged ones where there is a judge. Raises UserError where nothing is left.
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
        elif benchmark.judging and not judged:
            left_out.append(f"{benchmark.name}: it needs a judge (--judge)")
        else:
            chosen.append(benchmark)
    if not chosen:
        where = f"in {data}" if data else "anywhere without --data FOLDER"
        raise UserError(
            f"no benchmark's data {where}; `r1 bench list NAME` tells what to put there; "
            "tiny_world needs none."
        )
    return chosen, left_out if of is not None else []


def by_reason(left_out: Sequence[str]) -> str:
    """Tell what `choose` left out, each reason once: "no data: gpqa, drop; it needs …: frames"."""
    found: dict[str, list[str]] = {}
    for told in left_out:
        name, _, reason = told.partition(": ")
        found.setdefault(reason, []).append(name)
    return "; ".join(f"{reason}: {', '.join(names)}" for reason, names in found.items())
