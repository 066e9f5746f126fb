"""Judged problems in the reward pool: a lane of their own, every reward once, faults counted."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fake_endpoint import KEY, MODEL, FakeEndpoint
from r1.errors import UserError
from r1.rewards.accuracy import check_reference
from r1.rewards.judge import MAX_ANSWER_CHARS, check_judge
from r1.rewards.pool import NO_VOTE, RewardPool
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Problem, RolloutGroup

FORM = "<think>hm</think> <answer>{}</answer>"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def settings(endpoint: FakeEndpoint, **changes: Any) -> RewardSettings:
    limits = {"backoff_s": 0.01, "timeout_s": 20.0}
    judge = {
        "base_url": endpoint.base_url,
        "model": MODEL,
        "api_key_env": "FAKE_KEY",
        "limits": limits | changes.pop("limits", {}),
    } | changes.pop("judge", {})
    return RewardSettings.model_validate({"weights": {"accuracy": 1.0}, "judge": judge} | changes)


def group(number: int, *answers: str, verifier: str = "judge") -> RolloutGroup:
    problem = Problem(f"p{number}", f"Question {number}?", "4", verifier)
    texts = [answer if answer.startswith("<") else FORM.format(answer) for answer in answers]
    return RolloutGroup(problem, (1,), [Completion([1], [-1.0], text, "stop") for text in texts])


def outcomes(scored: Any, name: str = "accuracy") -> list[str]:
    return [str(reward.parts[name].outcome) for reward in scored.rewards]


def test_judged_and_ruled_rewards_of_one_group() -> None:
    """The reward "judge" judges every problem; the verifier "judge" makes accuracy judged."""
    weights = {"accuracy": 1.0, "format": 0.5, "judge": 0.0}
    with FakeEndpoint() as endpoint, RewardPool(settings(endpoint, weights=weights)) as pool:
        judged = group(1, "4", "5", "<think>endless")
        ruled = group(2, "4", "5", " 4.", verifier="exact")
        first, second = pool.score_groups([judged, ruled])
        counts = pool.take_counts()
        assert endpoint.num_requests == 2 + 3  # the unreadable answer is not worth one
        # Votes compare texts: asking of every pair would cost more than the judging.
        assert pool.vote_groups(group(3, "four", "Four.", "five", "<think>")) == [0, 0, 1, NO_VOTE]
        assert endpoint.num_requests == 5
    assert outcomes(first) == outcomes(first, "judge") == ["correct", "wrong", "unparseable"]
    assert [reward.total for reward in first.rewards] == [1.5, 0.5, 0.0]
    assert first.rewards[0].parts["accuracy"].detail == "as I see it"
    assert outcomes(second) == ["correct", "wrong", "correct"]
    assert outcomes(second, "judge") == ["correct", "wrong", "wrong"]  # the yield of an audit
    assert [reward.total for reward in second.rewards] == [1.5, 0.5, 1.5]
    assert counts.outcomes.total() == 3 * 6
    assert counts.judge.shared == 2


def test_a_step_in_which_everything_goes_wrong() -> None:
    """429, 500, truncated JSON, silence and nonsense in turn: no reward lost, none twice."""
    faults = ["429", "500", "truncated", "hang", "schema", "malformed", "broken", "503"]
    limits = {"timeout_s": 1.0, "retries": 20, "concurrency": 4}
    made = settings(
        endpoint := FakeEndpoint(faults * 3), limits=limits, judge={"malformed_retries": 5}
    )
    groups = [group(n, *(["4", "5", f"{n}", "4"])) for n in range(10, 16)]
    with endpoint, RewardPool(made) as pool:
        scored = pool.score_groups(groups)
        counts = pool.take_counts()
    judge = counts.judge
    for result in scored:
        assert outcomes(result) == ["correct", "wrong", "wrong", "correct"]
        assert all(reward.valid for reward in result.rewards)
    assert [result.group for result in scored] == groups
    assert counts.outcomes == {("accuracy", "correct"): 12, ("accuracy", "wrong"): 12}
    # 24 answers, 18 of them different within their groups, and every fault paid with one more.
    assert endpoint.num_requests == judge.requests == 18 + len(faults) * 3
    assert judge.verdicts == 18
    assert judge.shared == 6
    told = Counter({"429": 3, "500": 3, "503": 3, "truncated": 3, "schema": 3, "broken": 3})
    assert judge.failures == told + Counter(timeout=3)
    assert judge.malformed == {"not-json": 3}
    assert not judge.gave_up
    metrics = counts.as_metrics()
    assert metrics["pool/judge/failed/429"] == 3.0
    assert metrics["pool/judge/requests"] == 18 + 24


def test_an_endpoint_that_stays_down_costs_no_sample_its_verdict() -> None:
    """The samples are left out and counted; the alarm says so; nothing is wrong or zero."""
    limits = {"retries": 1}
    with FakeEndpoint(["500"] * 99) as endpoint, RewardPool(settings(endpoint, limits=limits)) as p:
        [scored] = p.score_groups([group(1, "4", "5")])
        counts = p.take_counts()
    assert outcomes(scored) == ["verifier-failed", "verifier-failed"]
    assert not any(reward.valid for reward in scored.rewards)
    assert counts.failed_share("accuracy") == 1.0
    assert "no verdict" in str(counts.alarm(0.02))


def test_a_waiting_judge_holds_no_worker() -> None:
    """Ruled problems are scored while judged ones wait, with a single worker."""
    with FakeEndpoint(["hang"] * 4) as endpoint, RewardPool(settings(endpoint)) as pool:
        judged = pool.submit_group(group(1, "4", "5"))
        while endpoint.num_requests < 2:
            time.sleep(0.01)
        assert outcomes(pool.submit_group(group(2, "4", verifier="exact")).result()) == ["correct"]
        assert not judged.done()
        endpoint.released.set()  # the silent ones end, and are asked again
        assert outcomes(judged.result()) == ["correct", "wrong"]


def test_submitting_returns_at_once_until_too_many_wait(monkeypatch) -> None:
    monkeypatch.setattr("r1.rewards.judge.MAX_PENDING", 2)
    made = settings(endpoint := FakeEndpoint(["hang"] * 2))
    with endpoint, RewardPool(made) as pool:
        handles = [pool.submit_group(group(n, "4")) for n in (1, 2)]
        third: list[Any] = []
        thread = threading.Thread(target=lambda: third.append(pool.submit_group(group(3, "4"))))
        thread.start()
        time.sleep(0.2)
        assert not third  # back-pressure
        endpoint.released.set()
        thread.join(10)
        assert [outcomes(handle.result()) for handle in [*handles, *third]] == [["correct"]] * 3


def test_a_resumed_step_pays_nothing_twice(tmp_path: Path) -> None:
    cache = {"cache": str(tmp_path / "judge.jsonl")}
    groups = [group(n, "4", "5", "6") for n in range(3)]
    with FakeEndpoint() as endpoint:
        totals = []
        for _ in range(2):
            with RewardPool(settings(endpoint, judge=cache)) as pool:
                scored = pool.score_groups(groups)
                totals.append([reward.total for result in scored for reward in result.rewards])
    assert endpoint.num_requests == 9
    assert totals == [[1.0, 0.0, 0.0] * 3] * 2


def test_a_budget_used_up_ends_the_step_with_its_reason() -> None:
    made = settings(endpoint := FakeEndpoint(), judge={"budget": {"requests": 1}})
    with endpoint, RewardPool(made) as pool:
        handle = pool.submit_group(group(1, "4", "5"))
        with pytest.raises(UserError, match="budget"):
            handle.result()
    assert endpoint.num_requests == 1


def test_closing_ends_what_waits() -> None:
    with FakeEndpoint(["hang"] * 4) as endpoint:
        with RewardPool(settings(endpoint, limits={"timeout_s": 0.5, "retries": 99})) as pool:
            handle = pool.submit_group(group(1, "4", "5"))
            while endpoint.num_requests < 2:
                time.sleep(0.01)
        assert handle.done()


def test_an_endless_answer_is_wrong_without_being_sent() -> None:
    made = settings(endpoint := FakeEndpoint())
    with endpoint, RewardPool(made) as pool:
        [scored] = pool.score_groups([group(1, "4" * (MAX_ANSWER_CHARS + 1))])
    assert outcomes(scored) == ["wrong"]
    assert endpoint.num_requests == 0


# Before training


def test_checks_before_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    judged, ruled = group(1).problem, group(1, verifier="exact").problem
    check_judge(RewardSettings(), [ruled])
    with pytest.raises(UserError, match=r"\[rewards\.judge\]"):
        check_judge(RewardSettings(), [ruled, judged])
    with pytest.raises(UserError, match=r"\[rewards\.judge\]"):
        check_judge(RewardSettings(weights={"judge": 1.0}), [])
    with FakeEndpoint() as endpoint:
        check_judge(settings(endpoint), [judged])
        assert not caplog.messages
        with pytest.raises(UserError, match="Did you mean"):
            check_judge(settings(endpoint, judge={"model": "fake-jugde"}), [judged])
        monkeypatch.delenv("FAKE_KEY")
        check_judge(settings(endpoint), [ruled])  # configured but not needed
        assert "rewards.judge is not asked here" in caplog.text
        with pytest.raises(UserError, match="FAKE_KEY"):
            check_judge(settings(endpoint), [judged])


def test_a_problem_needs_a_reference() -> None:
    assert check_reference(Problem("p", "q?", "4", "judge")) is None
    assert "reference" in str(check_reference(Problem("p", "q?", " ", "judge")))


def test_rewards_import_no_http_client() -> None:
    code = (
        "import sys, r1.rewards.pool, r1.rewards.names as g; g.reward_names();"
        "print(sorted({'torch', 'httpx2', 'openai', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
