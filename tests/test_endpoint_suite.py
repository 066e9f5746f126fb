"""Every benchmark that needs neither judge nor sandbox, against a model behind a local endpoint."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from fake_endpoint import KEY, FakeEndpoint
from r1.benchmarks.protocol import find, load
from r1.benchmarks.registry import benchmarks
from r1.benchmarks.running.measure import Options, run_benchmarks, spread_evenly
from test_benchmarks_gold import DATA, FORMS

LIMIT = 5


def knowing(gold: dict[str, tuple[str, str]]):
    """Answer every question rightly, by form and gold, after thinking of wrong answers."""

    def complete(body: dict) -> dict:
        form, answer = gold[body["messages"][-1]["content"]]
        text = FORMS[form][0].replace("G", answer) if form in FORMS else answer
        message = {"content": text, "reasoning_content": "\\boxed{-1} Answer: Z"}
        return {"choices": [{"message": message, "finish_reason": "stop"}]}

    return complete


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
def test_every_benchmark_runs_on_an_endpoint_and_gold_answers_are_right(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chosen = [
        each
        for each in benchmarks().values()
        if find(each, DATA) and not each.judging and not each.needs and not each.is_made
    ]
    assert len(chosen) >= 12
    gold = {}
    for benchmark in chosen:
        for problem in spread_evenly(load(benchmark, DATA).problems, LIMIT):
            form = problem.metadata.get("answer_from", "text")
            gold[problem.prompt] = (form, problem.reference or "")
    options = Options(limit=LIMIT, num_samples=1)
    with FakeEndpoint(complete=knowing(gold)) as server:
        model = f"{server.base_url}#fake-judge"
        found = run_benchmarks(model, chosen, DATA, tmp_path, Console(file=io.StringIO()), options)
    assert found.keys() == {each.name for each in chosen}
    for name, result in found.items():
        assert result["outcomes"]["engine failed"] == 0.0
        assert result["outcomes"]["verifier failed"] == 0.0
        if name not in ("drop", "ifeval"):  # these have no reference of one text
            assert result["score"]["value"] == 1.0, name
