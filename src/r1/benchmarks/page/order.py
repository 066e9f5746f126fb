"""The order of the paper's tables and of its figure 1, for what was measured.

The rows of table 4 stand in its groups; what is not in it follows under "Others".
"""

from __future__ import annotations

from collections.abc import Iterable

GROUPS = {
    "English": ("mmlu", "mmlu_redux", "mmlu_pro", "drop", "ifeval", "gpqa", "simpleqa", "frames",
                "alpaca_eval", "arena_hard"),
    "Code": ("livecodebench", "codeforces", "swe_bench_verified", "aider_polyglot"),
    "Mathematics": ("aime2024", "math500", "cnmo2024"),
    "Chinese": ("cluewsc", "ceval", "chinese_simpleqa"),
}  # fmt: skip
OTHERS = "Others"
FIGURE_1 = ("aime2024", "codeforces", "gpqa", "math500", "mmlu", "swe_bench_verified")
TABLE_4 = ("Claude-3.5-Sonnet-1022", "GPT-4o-0513", "DeepSeek-V3", "o1-mini", "o1-1217", "R1")
TABLE_5 = ("R1-Distill-Qwen-1.5B", "R1-Distill-Qwen-7B", "R1-Distill-Qwen-14B",
           "R1-Distill-Qwen-32B", "R1-Distill-Llama-8B", "R1-Distill-Llama-70B")  # fmt: skip
BARS = ("R1", "o1-1217", "R1-Distill-Qwen-32B", "o1-mini", "DeepSeek-V3")
"""The models of figure 1."""


def grouped(names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """The names in the groups of table 4, in its order; empty groups are left out."""
    left = dict.fromkeys(names)
    found = []
    for group, members in GROUPS.items():
        there = [name for name in members if _take(left, name)]
        found.append((group, there))
    found.append((OTHERS, sorted(left)))
    return [(group, members) for group, members in found if members]


def figure_1_first(names: Iterable[str]) -> list[str]:
    """The names, those of figure 1 in its order first, then the others as in the tables."""
    rows = [name for _, members in grouped(names) for name in members]
    return sorted(rows, key=lambda name: FIGURE_1.index(name) if name in FIGURE_1 else len(rows))


def _take(left: dict[str, None], name: str) -> bool:
    return left.pop(name, name) is None
