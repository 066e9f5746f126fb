"""SWE-bench Verified, without an agent: 500 issues of Python projects; the share resolved.

The rows' file may lack the lists of tests; then predictions are written for the official harness,
in containers. Rows with lists whose tests need nothing but pytest are judged here, in the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import hub_rows, json_lines
from r1.types import Problem

if TYPE_CHECKING:
    from r1.agents.ask import AskModel


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    from r1.agents.swe.instance import read_instance

    file = paths[0][0]
    packed = file.suffix == ".parquet"
    folder = file.parent.parent if packed else file.parent

    def problem(where: str, row: Mapping[str, Any]) -> Problem:
        instance = read_instance(row, folder)
        place = {"row": dict(row), "folder": str(folder)}
        return Problem(
            instance.id, instance.issue, None, "tests", family=instance.repo, metadata=place
        )

    return items(hub_rows(paths[0]) if packed else json_lines(file), problem)


def _converse(ask: AskModel, problems: list[Problem], folder: Path, model: str) -> dict[str, Any]:
    from r1.agents.swe.instance import read_instance
    from r1.agents.swe.measure import measure_instances

    rows = [(problem.metadata["row"], Path(problem.metadata["folder"])) for problem in problems]
    return measure_instances([read_instance(*row) for row in rows], ask, folder, model=model)


register_benchmark(
    Benchmark(
        name="swe_bench_verified",
        title="SWE-bench Verified",
        measures="issues of Python projects, resolved",
        num_questions=500,
        k=1,
        protocol="agentless: localise, 4 sets of lines, 40 repairs, tests, vote",
        data="SWE-bench/SWE-bench_Verified as it is or as JSON lines; clones (git clone --bare) as "
        "OWNER__NAME",
        needs="a sandbox, git and clones; or containers",
        layouts=(
            DataLayout("SWE-bench Verified", ("*verified*.jsonl", "repos/*"), _read),
            DataLayout(
                "SWE-bench Verified, the hub's Parquet", ("data/test-*.parquet", "repos/*"), _read
            ),
        ),
        published=table_4(50.8, 38.8, 42.0, 41.6, 49.2, o1=48.9) | stages(43.2, 39.6, 44.6, 45.6),
        converse=_converse,
    )
)
