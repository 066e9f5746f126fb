"""Several evaluations in one queue; the engine's answers depend on the batch, as roundings do."""

from __future__ import annotations

import json
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from r1.errors import UserError
from r1.evaluation import blocks
from r1.evaluation.blocks import BlockPlan
from r1.evaluation.settings import EvaluationSettings
from r1.evaluation.suite import EvaluationLine, Planned, evaluate_suite
from r1.rewards.settings import RewardSettings
from r1.rollout.protocol import FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.template import parse
from r1.types import Completion, Outcome, Problem, Reward, Score, ScoredGroup

SIZES = {"a": 5, "b": 3, "c": 1}


class BatchEngine:
    """Answers with the size of the call; groups end last to first; it can be killed."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.calls: list[list[str]] = []
        self.fail_after, self.num = fail_after, 0

    def generate(self, requests, sampling):
        self.calls.append([request.id for request in requests])
        for request in reversed(requests):
            if self.num == self.fail_after:
                raise KeyboardInterrupt
            self.num += 1
            text = f"{len(requests)} with {requests[0].id}"
            yield FinishedGroup(request, [Completion([1], [], text, "stop") for _ in request.seeds])


class NamedScorer:
    """Accepts everything, and says who judged."""

    settings = RewardSettings(weights={"accuracy": 1.0})

    def __init__(self, name: str) -> None:
        self.name = name

    def submit_group(self, group):
        future: Future = Future()
        score = Score(1.0, Outcome.CORRECT, self.name)
        future.set_result(ScoredGroup(group, [Reward(1.0, {"accuracy": score}, True)] * 2))
        return future

    def group_answers(self, problem, answers):
        return [0] * len(answers)


class Renderer:
    opens_think = False

    def encode(self, text, earlier=()):
        return (1,)


class Suite:
    """Evaluations of two samples a problem in blocks of two problems (four samples)."""

    def __init__(self, out: Path, names: str = "abc") -> None:
        self.out, self.names, self.opened = out, names, 0

    def run(self, fail_after: int | None = None, on_done=lambda place, summary: None):
        engine = BatchEngine(fail_after)
        planned = [self.planned(name) for name in self.names]

        @contextmanager
        def open_lines():
            self.opened += 1
            yield [EvaluationLine(engine, NamedScorer(n), Renderer(), parse) for n in self.names]

        evaluate_suite(planned, open_lines, queue=self.out / "queue.json", on_done=on_done)
        return engine

    def planned(self, name: str) -> Planned:
        problems = [
            Problem(f"{name}{i}", "?", "1", "exact", family=name) for i in range(SIZES[name])
        ]
        plan = BlockPlan(problems, EvaluationSettings(num_samples=2), SamplingSettings())
        return Planned(plan, self.out / name, {"model": "m", "name": name})

    def files(self) -> dict[str, bytes]:
        paths = (path for path in self.out.rglob("*") if path.is_file())
        return {str(path.relative_to(self.out)): path.read_bytes() for path in sorted(paths)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_SAMPLES", 4)


def test_small_ends_share_a_call_and_each_is_judged_by_its_own(tmp_path) -> None:
    suite, done = Suite(tmp_path), []
    engine = suite.run(on_done=lambda place, summary: done.append((place, summary["k"])))
    assert suite.opened == 1
    assert engine.calls == [["a0", "a1"], ["a2", "a3"], ["a4", "b2"], ["b0", "b1"], ["c0"]]
    assert sorted(done) == [(0, 2), (1, 2), (2, 2)]
    for name, size in SIZES.items():
        rows = [
            row
            for path in sorted((tmp_path / name / "blocks").iterdir())
            for row in blocks.iterate_judged(path)
        ]
        assert [row["problem_id"] for row in rows[::2]] == [f"{name}{i}" for i in range(size)]
        assert {row["detail/accuracy"] for row in rows} == {name}
        summary = json.loads((tmp_path / name / "evaluation.json").read_text())
        assert summary["num_problems"] == size
    assert suite.run().calls == []  # finished: the model is not even loaded
    assert suite.opened == 1


@pytest.mark.parametrize("fail_after", [5, 8])
def test_a_suite_killed_anywhere_ends_with_the_same_bytes(tmp_path, fail_after) -> None:
    whole, killed = Suite(tmp_path / "whole"), Suite(tmp_path / "killed")
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        killed.run(fail_after)
    (killed.out / "a" / "blocks" / "block-00002.parquet").unlink(missing_ok=True)  # half a call
    killed.run()
    assert killed.files() == whole.files()


def test_what_is_finished_stays_when_a_suite_grows(tmp_path) -> None:
    Suite(tmp_path, "a").run()
    before = Suite(tmp_path).files()
    engine = Suite(tmp_path).run()
    assert {name for call in engine.calls for name in call} == {"b0", "b1", "b2", "c0"}
    after = Suite(tmp_path).files()
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("text", ["{}", '{"suite": 1, "calls": 3}'])
def test_a_queue_file_that_is_another_is_cut_anew(tmp_path, text) -> None:
    with pytest.raises(KeyboardInterrupt):
        Suite(tmp_path).run(fail_after=2)
    queue = json.loads((tmp_path / "queue.json").read_text())
    (tmp_path / "queue.json").write_text(text)
    engine = Suite(tmp_path).run()
    assert len({name for call in engine.calls for name in call}) == 7
    assert json.loads((tmp_path / "queue.json").read_text())["suite"] == queue["suite"]


@pytest.mark.parametrize("text", ["[]", "no JSON"])
def test_a_queue_file_that_is_none_is_told_of(tmp_path, text) -> None:
    (tmp_path / "queue.json").write_text(text)
    with pytest.raises(UserError, match=r"queue\.json"):
        Suite(tmp_path).run()


def test_equal_ids_are_never_in_one_call(tmp_path, monkeypatch) -> None:
    suite = Suite(tmp_path, "bc")
    problems = [Problem("b2", "?", "1", "exact", family="c")]
    planned = [suite.planned("b"), suite.planned("c")]
    planned[1] = planned[1]._replace(plan=planned[1].plan._replace(problems=problems))
    engine = BatchEngine()

    @contextmanager
    def open_lines():
        yield [EvaluationLine(engine, NamedScorer(n), Renderer(), parse) for n in "bc"]

    evaluate_suite(planned, open_lines, queue=tmp_path / "queue.json")
    assert engine.calls == [["b0", "b1"], ["b2"], ["b2"]]
