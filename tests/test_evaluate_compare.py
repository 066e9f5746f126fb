"""`r1 compare`: pairing, left-outs, corrections and messages, on folders written by hand and by
`r1 eval`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from r1.cli import app
from r1.errors import UserError
from r1.evaluation.compare import DifferenceVerdict, Method, ProblemCounts, compare
from r1.evaluation.stored import read_evaluation, setting_differences
from r1.run_dir import RunDir, completion_table
from r1.significance import mcnemar
from r1.types import (
    Completion,
    Outcome,
    Problem,
    Reward,
    RolloutGroup,
    Score,
    ScoredGroup,
)

RIGHT, WRONG, UNREAD = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSEABLE
FAILED, LATE = Outcome.VERIFIER_FAILED, Outcome.TIMED_OUT
SAMPLING = {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 8, "seed": 0}
Outcomes = dict[str, list[Outcome]]


def counts(num_correct: dict[str, int], k: int, family: str = "f") -> dict[str, ProblemCounts]:
    return {
        name: ProblemCounts(family, (name, "1"), k, k, correct, 0, 0)
        for name, correct in num_correct.items()
    }


def groups(outcomes: Outcomes, prompt: str = "{}?") -> list[ScoredGroup]:
    """Family = what stands before the dash of a problem's id; unread responses are unfinished."""
    found = []
    for name, each in outcomes.items():
        problem = Problem(name, prompt.format(name), "1", "exact", family=name.partition("-")[0])
        ends = ["length" if outcome is UNREAD else "stop" for outcome in each]
        completions = [Completion([1], [0.0], "text", end) for end in ends]
        rewards = [
            Reward(0.0, {"accuracy": Score(float(outcome is RIGHT), outcome)}, outcome.is_verdict)
            for outcome in each
        ]
        found.append(ScoredGroup(RolloutGroup(problem, (1,), completions), rewards))
    return found


class Parsed:
    thinking = None
    answer = None


def table(outcomes: Outcomes, prompt: str = "{}?"):
    return completion_table(0, groups(outcomes, prompt), lambda text: Parsed())


def write_evaluation(folder: Path, outcomes: Outcomes, prompt: str = "{}?", **sampling) -> Path:
    """What `r1 eval` leaves, in two blocks."""
    (folder / "blocks").mkdir(parents=True)
    names = list(outcomes)
    for number, part in enumerate(filter(None, (names[::2], names[1::2]))):
        path = folder / "blocks" / f"block-{number:05d}.parquet"
        pq.write_table(table({name: outcomes[name] for name in part}, prompt), path)
    request = {"template": {"kind": "plain"}, "rewards": {"weights": {"accuracy": 1.0}}}
    (folder / "request.json").write_text(json.dumps(request))
    k = max(map(len, outcomes.values()))
    summary = {"step": 0, "k": k, "sampling": {**SAMPLING, **sampling}}
    (folder / "evaluation.json").write_text(json.dumps(summary))
    return folder


def run_compare(*words: object) -> str:
    done = CliRunner().invoke(app, ["compare", *map(str, words)], env={"COLUMNS": "120"})
    if done.exception is not None:
        raise done.exception
    return done.output


def test_one_sample_a_problem_is_judged_by_mcnemar():
    first = counts({f"p{i}": int(i < 12) for i in range(40)}, 1)
    second = counts({f"p{i}": int(2 <= i < 30) for i in range(40)}, 1)
    (found,) = compare(first, [second])
    overall = found.overall
    assert (overall.only_first, overall.only_second) == (2, 18)
    assert overall.method is Method.MCNEMAR
    assert overall.p == overall.corrected_p == mcnemar(2, 18)
    assert (overall.first, overall.second) == (12 / 40, 28 / 40)
    assert overall.difference.value == pytest.approx(16 / 40)
    assert overall.verdict is DifferenceVerdict.BETTER
    (back,) = compare(second, [first])
    assert back.overall.verdict is DifferenceVerdict.WORSE
    assert back.overall.difference.low == pytest.approx(-overall.difference.high)


def test_all_of_five_problems_are_not_enough_for_a_verdict():
    """The exact p-value is 2 / 2^5 = 0.0625; of six it is 0.03125."""
    for num, verdict in ((5, DifferenceVerdict.NOT_TOLD_APART), (6, DifferenceVerdict.BETTER)):
        names = [f"p{i}" for i in range(num)]
        (found,) = compare(counts(dict.fromkeys(names, 0), 1), [counts(dict.fromkeys(names, 1), 1)])
        assert found.overall.verdict is verdict


def test_families_and_evaluations_are_corrected_each_for_their_own():
    """Family a goes 0 to 8 of 8 (p 2/2^8), b not at all (p 1): Holm doubles the smaller."""
    first = counts({f"a{i}": 0 for i in range(8)}, 1, "a") | counts(
        {f"b{i}": 1 for i in range(8)}, 1, "b"
    )
    second = counts({f"a{i}": 1 for i in range(8)}, 1, "a") | counts(
        {f"b{i}": 1 for i in range(8)}, 1, "b"
    )
    (found,) = compare(first, [second])
    assert found.overall.corrected_p == found.overall.p == pytest.approx(2 / 2**8)
    assert [each.name for each in found.families] == ["a", "b"]
    assert [each.corrected_p for each in found.families] == pytest.approx([4 / 2**8, 1.0])
    twice = compare(first, [second, first])
    assert [each.overall.corrected_p for each in twice] == pytest.approx([4 / 2**8, 1.0])
    assert twice[0].families[0].corrected_p == pytest.approx(4 * 2 / 2**8)
    assert twice[0].overall.detectable > found.overall.detectable  # a stricter level


def test_what_cannot_be_paired_is_counted(tmp_path):
    first = {
        "a-1": [RIGHT, FAILED], "a-2": [WRONG, UNREAD], "b-1": [RIGHT, RIGHT],
        "b-2": [FAILED, LATE], "b-3": [RIGHT, WRONG], "b-4": [RIGHT, WRONG],
    }  # fmt: skip
    second = {
        "a-1": [RIGHT, WRONG], "a-2": [RIGHT, RIGHT], "b-1": [WRONG, UNREAD],
        "b-2": [RIGHT, RIGHT], "c-1": [RIGHT, RIGHT],
    }  # fmt: skip
    paths = [write_evaluation(tmp_path / "A", first), write_evaluation(tmp_path / "B", second)]
    found = json.loads(run_compare(*paths, "--json"))["comparisons"][0]
    assert found["pairing"] == {
        "num_paired": 3, "only_first": 2, "only_second": 1, "other_question": 0,
        "without_verdict": 1,
    }  # fmt: skip
    assert found["overall"]["first"] == pytest.approx((1 + 0 + 1) / 3)
    assert found["overall"]["other"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert found["overall"]["method"] == "t over problems"
    assert found["overall"]["verdict"] == "not told apart"
    assert found["samples"]["first"] == {
        "num_samples": 8, "unfinished": 1 / 8, "unreadable": 1 / 8, "num_without_verdict": 3,
    }  # fmt: skip
    shown = run_compare(*paths)
    assert "2 problems only in A. 1 problem only in B. 1 problem without any verdict" in shown
    assert "3 without a verdict (verifier failed)" in shown
    assert "12.5 % cut at the limit" in shown


def test_the_same_id_with_another_question_is_no_pair(tmp_path):
    outcomes: Outcomes = {"a-1": [RIGHT], "a-2": [WRONG]}
    first = write_evaluation(tmp_path / "A", outcomes)
    second = write_evaluation(tmp_path / "B", outcomes, prompt="Other {}?")
    with pytest.raises(UserError, match="no judged problem in common: 2 problems with the same id"):
        run_compare(first, second)


def test_a_difference_and_other_settings_are_said(tmp_path):
    before: Outcomes = {f"a-{i}": [WRONG] for i in range(12)}
    after: Outcomes = {f"a-{i}": [RIGHT if i else WRONG] for i in range(12)}
    first = write_evaluation(tmp_path / "A", before)
    second = write_evaluation(tmp_path / "B", after, temperature=1.0)
    shown = run_compare(first, second)
    assert "B is better than A, by +91.7 (" in shown
    assert "(A alone solves 0, the other 11)" in shown
    assert "Settings that differ (A / B): sampling.temperature 0.6 / 1.0." in shown
    assert "B is worse than A" in run_compare(second, first)
    assert "p corrected (Holm) over the evaluations" in run_compare(
        first, second, write_evaluation(tmp_path / "C", before)
    )


def test_settings_of_sections_that_only_one_tells_of_are_not_compared():
    found = setting_differences({"a": {"x": 1, "y": 2}, "dtype": "float32"}, {"a": {"x": 3}})
    assert [tuple(each) for each in found] == [("a.x", 1, 3), ("a.y", 2, None)]


def test_evaluations_of_runs_are_compared_by_step(tmp_path):
    recipe = {"template": {"kind": "plain"}, "rewards": {"weights": {"accuracy": 1.0}}}
    with RunDir.open(tmp_path / "run", recipe, "grpo") as run:
        for step, outcome in enumerate((WRONG, RIGHT)):
            found = table({f"a-{i}": [outcome] for i in range(6)})
            run.commit_evaluation(step, {"k": 1, "sampling": SAMPLING}, found)
    before = tmp_path / "run" / "evaluations" / "step-000000.json"
    assert "B is better than A" in run_compare(before, tmp_path / "run")
    alone = write_evaluation(tmp_path / "B", {f"a-{i}": [WRONG] for i in range(6)})
    assert "B is worse than A" in run_compare(tmp_path / "run", alone)
    with pytest.raises(UserError, match=r"step-000007.json is no evaluation"):
        run_compare(before.with_stem("step-000007"), alone)


def test_what_is_not_an_evaluation_is_named(tmp_path):
    good = write_evaluation(tmp_path / "good", {"a-1": [RIGHT]})
    (tmp_path / "empty").mkdir()
    begun = write_evaluation(tmp_path / "begun", {"a-1": [RIGHT]})
    (begun / "evaluation.json").unlink()
    with RunDir.open(tmp_path / "run", {"template": {"kind": "plain"}}, "grpo"):
        pass
    unjudged = write_evaluation(tmp_path / "unjudged", {"a-1": [RIGHT]}) / "blocks"
    (path,) = unjudged.iterdir()
    kept = [name for name in pq.read_schema(path).names if not name.endswith("/accuracy")]
    pq.write_table(pq.read_table(path, columns=kept), path)
    for name, words in (
        ("nowhere", "nowhere does not exist"),
        ("empty", "empty is not an evaluation"),
        ("begun", "begun has not ended; give the same r1 eval again"),
        ("run", "run holds no evaluation whose completions were kept"),
        ("unjudged", "unjudged holds no answer that was judged right or wrong"),
    ):
        with pytest.raises(UserError, match=words):
            run_compare(good, tmp_path / name)
    with pytest.raises(UserError, match="given twice"):
        run_compare(good, tmp_path / "empty" / ".." / "good")
    other = write_evaluation(tmp_path / "other", {"b-1": [RIGHT]})
    with pytest.raises(UserError, match=r"1 problem only in A\. 1 problem only in B\."):
        run_compare(good, other)


@pytest.mark.slow
def test_two_real_evaluations_of_the_tiny_model(tmp_path):
    """At temperature 0.6 and at 3, where it cannot write: worse, and told so."""
    from r1.data.settings import SourceSettings
    from r1.evaluation.command import run_eval_command
    from r1.rewards.settings import RewardSettings

    source = SourceSettings(
        kind="tiny", split="heldout", families=("arithmetic",), levels=(1, 2), num=24
    )
    rewards = RewardSettings(weights={"accuracy": 1.0}, answer_from="stated")
    for name, temperature in (("calm", 0.6), ("hot", 3.0)):
        asked = {"num_samples": 2, "temperature": temperature, "max_new_tokens": 32, "top_p": 1.0}
        run_eval_command(
            "tiny", tmp_path / name, Console(file=io.StringIO()),
            sources=[source], rewards=rewards, overrides=asked,
        )  # fmt: skip
    found = json.loads(run_compare(tmp_path / "calm", tmp_path / "hot", "--json"))["comparisons"][0]
    stored = json.loads((tmp_path / "hot" / "evaluation.json").read_text())
    assert found["overall"]["other"] == pytest.approx(stored["pass_at_1"]["value"])
    assert found["samples"]["other"]["unfinished"] == pytest.approx(stored["truncated"])
    assert [each["key"] for each in found["settings_that_differ"]] == ["sampling.temperature"]
    assert found["overall"]["num_problems"] == 24
    assert read_evaluation(tmp_path / "calm").num_samples == 2
    assert found["overall"]["verdict"] == "worse", found["overall"]
