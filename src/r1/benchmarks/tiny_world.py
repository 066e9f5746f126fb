"""The tiny world's held-out problems, which are made here: a benchmark without any data.

They are those of the evaluation stages of recipes/tiny/r1.toml, read as there: the `<answer>` of a
well-formed response. With --no-think prompts are theirs too. For a model that was taught no such
form: tiny_world@lenient. No suite has it; it runs where it is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from r1.benchmarks.protocol import Benchmark, DataLayout, Item
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.variants import Variant, read_by, vary
from r1.data.load import load_problems
from r1.data.settings import SourceSettings

NAME = "tiny_world"
SOURCES = (
    SourceSettings(
        kind="tiny", split="heldout", families=("arithmetic", "cups"), levels=(2, 3), num=60
    ),
    SourceSettings(kind="tiny", split="heldout", families=("functions",), num=30),
)


def _read(_: list[list[Path]]) -> Iterator[Item]:
    for source in SOURCES:
        for problem in load_problems(source, Path()):
            yield replace(problem, metadata={**problem.metadata, "family": problem.family})


register_benchmark(
    Benchmark(
        name=NAME,
        title="Tiny world",
        measures="sums, cups and functions, made here",
        num_questions=90,
        k=4,
        protocol="the bare problem; the <answer> of a well-formed response",
        data="nowhere: they are made",
        layouts=(DataLayout("made here", (), _read),),
        parts=("family",),
        vary=partial(
            vary,
            NAME,
            {"lenient": Variant("the answer stated last", partial(read_by, "stated"))},
        ),
    )
)
