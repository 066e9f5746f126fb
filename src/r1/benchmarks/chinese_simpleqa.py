"""Chinese SimpleQA: 3,000 short Chinese questions (He et al. 2024); a judge grades as in SimpleQA.

What differs from SimpleQA: a number that is cut to fewer digits is correct and one that is rounded
is not, and a foreign name counts in any usual Chinese rendering.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.benchmarks.judging.graded import grading, three_way_task
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines
from r1.types import Problem

_INSTRUCTIONS = (
    "请给一道中文知识题的回答评级，以标准答案（reference）为准。\n"
    "- “correct”：回答包含标准答案的全部内容，且没有与之矛盾之处。"
    "措辞、语序、繁简体不同都不影响；完整给出答案时语气犹豫也不影响。\n"
    "- “incorrect”：回答中有内容与标准答案矛盾，语气犹豫也算；对错答案并列也算。\n"
    "- “not attempted”：没有矛盾，但没有完整给出标准答案：拒答、说不知道或只答一部分。\n"
    "- 数字：位数截短算正确，四舍五入后与标准答案不符算错误。\n"
    "- 外国人名、地名采用任何通行译名都算正确。\n"
    "- 标准答案若比问题所问的多，只看问题所问的部分；题目中已说明的内容不必重复。"
)


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    question, answer = text_of(row, "question"), text_of(row, "answer")
    identity = f"chinese_simpleqa/{text_of(row, 'id')}"
    family = row.get("primary_category")
    named = family if isinstance(family, str) and family else "default"
    return Problem(identity, question, answer, "afterwards", "zh", named)


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(json_lines(paths[0][0]), _problem)


register_benchmark(
    Benchmark(
        name="chinese_simpleqa",
        title="C-SimpleQA",
        measures="facts, Chinese",
        num_questions=3000,
        k=1,
        protocol="the bare question; a judge grades: correct, incorrect, not attempted",
        data="OpenStellarTeam/Chinese-SimpleQA as chinese_simpleqa.jsonl (id, question, answer)",
        layouts=(DataLayout("Chinese SimpleQA", ("chinese_simpleqa.jsonl",), _read),),
        metric="judged",
        judging=grading(three_way_task(_INSTRUCTIONS)),
        published=table_4(55.4, 58.7, 68.0, 40.3, 63.7) | stages(66.4, 58.8, 64.2, 66.9),
    )
)
