"""IFEval: 541 prompts with 834 instructions that a program can check (Zhou et al. 2023).

The paper's figure is prompt-level strict accuracy: a response counts where it follows every
instruction as it stands. A response's white space at either end is dropped: the blank line that a
template leaves after the thinking would break the checks of paragraphs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines
from r1.benchmarks.variants import Variant, vary
from r1.types import Problem


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    metadata = {name: row.get(name) for name in ("instruction_id_list", "kwargs")}
    prompt = text_of(row, "prompt")
    return Problem(f"ifeval/{row.get('key')}", prompt, None, "ifeval", metadata=metadata)


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(json_lines(paths[0][0]), _problem)


def _loose(problem: Problem) -> Problem:
    return replace(problem, metadata={**problem.metadata, "criterion": "loose"})


VARIANTS = {"loose": Variant("prompt-level loose: the best of eight readings", _loose)}

register_benchmark(
    Benchmark(
        name="ifeval",
        title="IFEval",
        measures="following instructions",
        num_questions=541,
        k=1,
        protocol="prompt-level strict, on all that follows the thinking",
        vary=partial(vary, "ifeval", VARIANTS),
        data="google/IFEval as it is, or as input_data.jsonl (key, prompt, instruction_id_list, "
        "kwargs)",
        layouts=(
            DataLayout("IFEval", ("input_data.jsonl",), _read),
            DataLayout("IFEval, the hub's", ("ifeval_input_data.jsonl",), _read),
        ),
        published=table_4(86.5, 84.3, 86.1, 84.8, 83.3) | stages(46.6, 71.7, 72.0, 78.1),
    )
)
