"""Benchmarks of several turns with a model behind a local endpoint: figures, failures, kills."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from fake_endpoint import KEY, FakeEndpoint
from polyglot_world import edit as edit_exercise
from polyglot_world import make_exercise
from r1.agents.ask import OpenConversation
from r1.agents.polyglot import measure, tries
from r1.agents.swe import measure as swe_measure
from r1.agents.swe import phases, select
from r1.agents.swe.status import Resolution
from r1.agents.swe.tests import SuiteRun
from r1.benchmarks.page.page import write_page
from r1.benchmarks.registry import find_benchmark
from r1.benchmarks.running.compare import compare_suites
from r1.benchmarks.running.measure import Options, run_benchmarks
from r1.errors import UserError
from swe_world import BUGS, RESOLVED, Recorded, make_set
from test_polyglot import judged_by_sight

FAST = ("endpoint.limits.retries=0", "endpoint.limits.concurrency=2")
RIGHT = edit_exercise("twice.py", "    pass\n", "    return 2 * x\n")
WRONG = edit_exercise("twice.py", "    pass\n", "    return 3 * x\n")
MENDED = edit_exercise("twice.py", "    return 3 * x\n", "    return 2 * x\n")


@pytest.fixture(autouse=True)
def key(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def completion(text: str, thinking: str = "hm") -> dict:
    message = {"content": text, "reasoning_content": thinking}
    return {"choices": [{"message": message, "finish_reason": "stop"}]}


def run(server: FakeEndpoint, name: str, data: Path, out: Path, **changed) -> dict:
    options = Options(endpoint=FAST, **changed)
    model = f"{server.base_url}#fake-judge"
    console = Console(file=io.StringIO())
    return run_benchmarks(model, [find_benchmark(name)], data, out, console, options)[name]


@pytest.fixture
def exercises(tmp_path, monkeypatch) -> Path:
    """Four exercises, judged by the look of their files."""
    for module in (measure, tries):
        monkeypatch.setattr(module, "run_tests", judged_by_sight)
    for name in ("a", "b", "c", "d"):
        make_exercise(tmp_path / "data" / "aider_polyglot", "python", name)
    return tmp_path / "data"


def at_second_try(body: dict) -> dict:
    """Wrong edits, and right ones once the tests' output is told."""
    return completion(MENDED if len(body["messages"]) > 1 else WRONG)


def test_an_endpoint_is_told_what_it_said_and_what_the_tests_say(exercises, tmp_path) -> None:
    with FakeEndpoint(complete=at_second_try) as server:
        found = run(server, "aider_polyglot", exercises, tmp_path / "out")
        again = run(server, "aider_polyglot", exercises, tmp_path / "out")
    assert (found["pass_rate_1"]["value"], found["pass_rate_2"]["value"]) == (0.0, 1.0)
    assert found["departures"] == ["the endpoint decides whether a response begins with thinking"]
    assert again == found
    assert server.num_requests == 8
    roles = [[turn["role"] for turn in body["messages"]] for body in server.bodies]
    assert sorted(roles, key=len) == [["user"]] * 4 + [["user", "assistant", "user"]] * 4
    assert "hm" not in server.bodies[-1]["messages"][1]["content"]  # what was thought is cut off


def test_a_reply_that_never_came_is_left_out_and_asked_for_again(exercises, tmp_path) -> None:
    with FakeEndpoint(["ok", "400", "ok"], complete=at_second_try) as server:
        found = run(server, "aider_polyglot", exercises, tmp_path / "out")
        assert found["outcomes"]["engine failed"] == 0.25
        assert found["outcomes"]["correct"] == 0.75
        assert found["score"]["value"] == 1.0
        assert found["num_questions"] == 4
        before = server.num_requests
        found = run(server, "aider_polyglot", exercises, tmp_path / "out")
        assert (found["outcomes"]["correct"], server.num_requests) == (1.0, before + 2)


def test_conversations_are_compared_and_shown(exercises, tmp_path) -> None:
    with FakeEndpoint(complete=at_second_try) as server:
        run(server, "aider_polyglot", exercises, tmp_path / "a")
    with FakeEndpoint(["400"], complete=lambda body: completion("I give up.")) as server:
        run(server, "aider_polyglot", exercises, tmp_path / "b")
    _, (found,) = compare_suites([tmp_path / "a", tmp_path / "b"])
    assert (found.pairing.num_paired, found.pairing.only_first) == (3, 1)
    assert found.overall.difference.value == -1.0
    write_page([tmp_path / "a", tmp_path / "b"], tmp_path / "page.html")
    assert "Aider polyglot" in (tmp_path / "page.html").read_text()


def test_another_endpoint_does_not_carry_on(exercises, tmp_path) -> None:
    with FakeEndpoint(complete=at_second_try) as server:
        run(server, "aider_polyglot", exercises, tmp_path / "out")
    with FakeEndpoint(complete=at_second_try) as server, pytest.raises(UserError, match="differ"):
        run(server, "aider_polyglot", exercises, tmp_path / "out")


def test_whole_files_are_a_variant(exercises, tmp_path) -> None:
    whole = "twice.py\n```python\ndef twice(x):\n    return 2 * x\n```\n"
    with FakeEndpoint(complete=lambda body: completion(whole)) as server:
        found = run(server, "aider_polyglot@whole", exercises, tmp_path / "out")
    assert found["edit_format"] == "whole"
    assert found["pass_rate_1"]["value"] == 1.0
    assert "whole: the file's path" in server.bodies[0]["messages"][0]["content"]
    with pytest.raises(UserError, match="there is: aider_polyglot@whole"):
        find_benchmark("aider_polyglot@half")


class RecordedServer:
    """`Recorded` behind an endpoint: it knows the phase by the prompt's words."""

    PHASES = (
        ("Which files must change", "files"),
        ("Which classes and functions", "elements"),
        ("Which places must be edited", "lines"),
        ("These tests pass now", "regression"),
        ("Write a Python script", "reproduce"),
    )

    def __init__(self) -> None:
        self.model = Recorded()

    def __call__(self, body: dict) -> dict:
        prompt = body["messages"][-1]["content"]
        name = re.search(r"`(\w+)` is wrong", prompt)[1]
        greedy = "/greedy" * (body["temperature"] == 0.0)
        phase = next((phase for words, phase in self.PHASES if words in prompt), f"repair{greedy}")
        said = self.model(OpenConversation(f"toy__{name}-1/{phase}", ()), 0)
        return completion("" if said is None else said)


@pytest.fixture
def small_phases(monkeypatch) -> None:
    sizes = phases.PhaseSizes(num_files=1, num_places=2, num_repairs=3, num_reproductions=2)
    measured = swe_measure.measure_instances
    monkeypatch.setattr(
        swe_measure,
        "measure_instances",
        lambda instances, ask, folder, model: measured(instances, ask, folder, sizes, model=model),
    )


@pytest.mark.slow
def test_an_endpoint_that_replays_recorded_edits_reaches_the_known_number(
    tmp_path, small_phases
) -> None:
    folder = tmp_path / "data" / "swe_bench_verified"
    folder.mkdir(parents=True)
    make_set(folder)
    with FakeEndpoint(complete=RecordedServer()) as server:
        found = run(server, "swe_bench_verified", tmp_path / "data", tmp_path / "out")
    assert found["resolved"] == len(RESOLVED) == 7
    assert found["score"]["value"] == 0.7
    assert found["outcomes"]["engine failed"] == 0.0


def test_an_issue_that_an_endpoint_refuses_is_left_out(tmp_path, small_phases, monkeypatch) -> None:
    """Its first question is too long, say: the other issue goes on."""
    folder = tmp_path / "data" / "swe_bench_verified"
    folder.mkdir(parents=True)
    make_set(folder, BUGS[:2])
    monkeypatch.setattr(select, "run_suite", lambda *_: SuiteRun({"t": "PASSED"}, 0, True, ""))
    monkeypatch.setattr(select, "run_script", lambda *_: select.REPRODUCED)
    right = Resolution(True, None, (), ())
    monkeypatch.setattr(swe_measure, "judge_patch", lambda *_: right)
    predictions = tmp_path / "out" / "swe_bench_verified" / phases.PREDICTIONS
    with FakeEndpoint(["400"], complete=RecordedServer()) as server:
        found = run(server, "swe_bench_verified", tmp_path / "data", tmp_path / "out")
        assert found["outcomes"]["engine failed"] == 0.5
        assert (found["num_questions"], found["score"]["value"]) == (2, 1.0)
        (line,) = predictions.read_text().splitlines()
        assert json.loads(line)["model_name_or_path"] == "fake-judge"
        found = run(server, "swe_bench_verified", tmp_path / "data", tmp_path / "out")
        assert found["outcomes"]["correct"] == 1.0
        assert len(predictions.read_text().splitlines()) == 2
