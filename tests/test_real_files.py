"""Every real file at hand loads by at most three lines of recipe, and its rows are counted."""

from __future__ import annotations

import logging
import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from r1.config import validate
from r1.data.load import load_problems
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.preferences.read import load_preferences
from r1.preferences.source import PreferenceSource
from r1.preferences.steps import load_step_labels
from r1.rewards.accuracy import check_reference
from r1.sft.examples import check_sources
from r1.sft.read import check_source
from r1.sft.settings import ExampleSource

SHARED = Path("/work/shared/benchmarks")
FOLDERS = (
    "sft", "preferences", "hh_rlhf", "gsm8k", "mmlu", "mbpp", "prm800k", "math_shepherd",
    "reasoning_responses",
)  # fmt: skip


class Case(NamedTuple):
    """lines: what a recipe says beside `path`; dropped: rows that are left out, which is said."""

    form: str
    path: str
    rows: int
    lines: str = ""
    dropped: int = 0

    @property
    def is_large(self) -> bool:
        return "mbpp" in self.path or self.rows > 10_000


DROP = 'unusable = "drop"'
NUMBER = 'columns = { prompt = "question", reference = "ground_truth" }\nreference_after = "A:"'
STRAWBERRY = 'columns = { prompt = "{}How often is r in strawberry?", response = "message" }'
CASES = (
    Case("examples", "sft/alpaca_en_demo.json", 1000),
    Case("examples", "sft/alpaca_zh_demo.json", 1000),
    Case("problems", "sft/alpaca_en_demo.json", 1000, 'verifier = "none"'),
    Case("pairs", "preferences/dpo_en_demo.json", 295, DROP, 5),
    Case("pairs", "preferences/dpo_zh_demo.json", 289, DROP, 11),
    Case("problems", "preferences/dpo_en_demo.json", 300, 'verifier = "none"'),
    Case("pairs", "hh_rlhf/harmless-base_test.jsonl", 199, DROP, 1),
    Case("problems", "gsm8k/test.jsonl", 1319),
    Case("problems", "gsm8k/train.jsonl", 2000),
    Case("examples", "gsm8k/train.jsonl", 2000),
    Case("problems", "gsm8k/example_model_solutions.jsonl", 1319, NUMBER),
    Case("problems", "mmlu/mmlu.zip", 14041, f'split = "test"\n{DROP}', 1),
    Case("problems", "mmlu/mmlu.zip", 285, 'split = "dev"'),
    Case("problems", "mmlu/data", 2945, 'split = "test"'),
    Case("problems", "mbpp/mbpp.jsonl", 974),
    Case("problems", "mbpp/sanitized-mbpp.json", 427),
    Case("problems", "prm800k/samples_prm800k.jsonl", 5, DROP, 1),
    Case("steps", "prm800k/samples_prm800k.jsonl", 27, "", 3),
    Case("steps", "math_shepherd/samples_math-shepherd.jsonl", 7),
    Case("problems", "math_shepherd/samples_math-aps.jsonl", 3),
    Case("problems", "math_shepherd/samples_math-aps-tree.jsonl", 3),
    Case("examples", "reasoning_responses/qwen3_32b_mmlu_pro.jsonl", 110),
    Case("examples", "reasoning_responses/qwen3_32b_mmlu_pro_open.jsonl", 13),
    Case("examples", "reasoning_responses/think_unclosed_mmlu_pro.jsonl", 300),
    Case("examples", "reasoning_responses/deepseek_r1_distill_8b_strawberry.json", 103, STRAWBERRY),
)

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not here")


def real_files() -> list[str]:
    return [
        path.relative_to(SHARED).as_posix()
        for folder in FOLDERS
        for path in sorted((SHARED / folder).rglob("*"))
        if path.is_file()
    ]


def settings_of(case: Case) -> dict[str, Any]:
    return {"path": str(SHARED / case.path), **tomllib.loads(case.lines)}


def load(case: Case, check: Any = None) -> tuple[int, int | None]:
    """(rows, rows that were dropped; None where a warning says so)."""
    values = settings_of(case)
    if case.form == "problems":
        source = validate(values, SourceSettings, "recipe")
        return len(load_problems(source, Path(), check)), None
    if case.form == "examples":
        examples = validate(values, ExampleSource, "recipe")
        return check_source(examples, Path()).num, 0
    preferences = validate(values, PreferenceSource, "recipe")
    if case.form == "steps":
        found = load_step_labels(preferences, Path())
    else:
        found = load_preferences(preferences, "pairs", Path())
    return len(found.items), sum(found.dropped.values())


def by_name(case: Case) -> str:
    return f"{case.form}-{case.path}-{case.rows}"


def loads_whole(case: Case, caplog: Any, check: Any) -> None:
    assert len(["path", *case.lines.splitlines()]) <= 3
    with caplog.at_level(logging.WARNING):
        rows, dropped = load(case, check)
    assert rows == case.rows
    if dropped is not None:
        assert dropped == case.dropped
    else:
        said = re.findall(r"(\d+) rows? dropped", caplog.text)
        assert sum(map(int, said)) == case.dropped


@pytest.mark.parametrize("case", [case for case in CASES if not case.is_large], ids=by_name)
def test_a_real_file_loads_whole(case, caplog) -> None:
    loads_whole(case, caplog, check_reference)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.is_large], ids=by_name)
def test_a_large_real_file_loads_whole(case, caplog) -> None:
    """Checking a reference of programs takes a tenth of a second."""
    loads_whole(case, caplog, check_reference)


@pytest.mark.parametrize("case", [case for case in CASES if case.is_large], ids=by_name)
def test_the_first_rows_of_a_large_file_load(case) -> None:
    assert load(case._replace(lines=f"{case.lines}\nlimit = 20"), check_reference)[0] == 20


def test_every_real_file_is_in_the_table() -> None:
    covered = {case.path for case in CASES}
    missing = [
        name
        for name in real_files()
        if not any(name == path or name.startswith(f"{path}/") for path in covered)
    ]
    assert not missing


def test_a_file_of_labelled_steps_is_refused_with_what_reads_it() -> None:
    path = str(SHARED / "math_shepherd/samples_math-shepherd.jsonl")
    for read in (
        lambda: load_problems(SourceSettings(path=path), Path()),
        lambda: check_sources([ExampleSource(path=path)], Path()),
        lambda: load_preferences(PreferenceSource(path=path), "pairs", Path()),
    ):
        with pytest.raises(UserError, match="process reward model"):
            read()
