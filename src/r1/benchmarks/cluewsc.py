"""CLUEWSC: does a pronoun stand for a noun of the sentence? (Xu et al. 2020, CLUE and FewCLUE).

The pronoun asked about is put into 【 】 in the text, since it may occur more than once. Always
saying one answer scores about the share of its label (50 % of FewCLUE's test_public).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import CHINESE_LAST_LINE, chinese_letter_problem
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import hub_layout, json_lines
from r1.data.rows import RowError, shown
from r1.types import Problem

_LETTERS = {"true": "A", "false": "B"}


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    text, target, label = row.get("text"), row.get("target"), row.get("label")
    if not isinstance(text, str) or not isinstance(target, dict):
        raise RowError("text and target must be there")
    if label in (0, 1) and not isinstance(label, bool):
        label = ("true", "false")[int(label)]  # the hub's classes
    if label not in _LETTERS:
        raise RowError(f'label is {shown(label)}; it must be "true" or "false"')
    noun, pronoun = text_of(target, "span1_text"), text_of(target, "span2_text")
    start = target.get("span2_index")
    if not isinstance(start, int) or text[start : start + len(pronoun)] != pronoun:
        raise RowError(f"span2_text {pronoun!r} does not stand at span2_index {start!r}")
    marked = f"{text[:start]}【{pronoun}】{text[start + len(pronoun) :]}"
    question = f"{marked}\n\n上文中【】内的“{pronoun}”是否指代“{noun}”？"
    return chinese_letter_problem(
        f"cluewsc/{where}", question, ["是", "否"], _LETTERS[label], "default"
    )


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(json_lines(paths[0][0]), _problem)


register_benchmark(
    Benchmark(
        name="cluewsc",
        title="CLUEWSC",
        measures="Chinese coreference",
        num_questions=304,
        k=1,
        protocol=f"{CHINESE_LAST_LINE}; yes or no as options A and B",
        data="CLUEbenchmark/CLUE, cluewsc2020's dev.json, or clue/clue of the hub, or FewCLUE's "
        "test_public.json",
        layouts=(
            DataLayout("CLUE, dev", ("dev.json",), _read),
            hub_layout("CLUE, dev", "cluewsc2020/validation-*.parquet", _problem),
            DataLayout("FewCLUE, test_public", ("test_public.json",), _read, of_paper=False),
        ),
        published=table_4(85.4, 87.9, 90.9, 89.9, 92.8) | stages(93.1, 92.8, 92.6, 91.6),
    )
)
