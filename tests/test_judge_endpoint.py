"""The judge against a misbehaving endpoint: nothing lost, nothing paid twice, all counted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fake_endpoint import KEY, MODEL, FakeEndpoint, data_of, honest, reply_json
from r1.config import validate
from r1.errors import UserError
from r1.judge.asker import NoVerdict
from r1.judge.endpoint import Endpoint
from r1.judge.http_reply import retry_after_s
from r1.judge.judge import Judge
from r1.judge.payer import ClosedError
from r1.judge.settings import JudgeSettings
from r1.types import Outcome

FAST = {"backoff_s": 0.01, "timeout_s": 20.0}
HASTY = FAST | {"timeout_s": 0.3}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def settings(endpoint: FakeEndpoint | str, limits: Any = (), **changes: Any) -> JudgeSettings:
    address = endpoint if isinstance(endpoint, str) else endpoint.base_url
    values = {"base_url": address, "model": MODEL, "api_key_env": "FAKE_KEY"}
    return JudgeSettings.model_validate(values | {"limits": FAST | dict(limits)} | changes)


def test_a_verdict_with_its_analysis() -> None:
    with FakeEndpoint() as endpoint, Judge(settings(endpoint)) as judge:
        right, wrong = judge.grade("2+2?", "4", "4"), judge.grade("2+2?", "4", "5")
    assert (right.label, wrong.label) == ("correct", "incorrect")
    assert right.as_score().outcome is Outcome.CORRECT
    assert right.as_score().value == 1.0
    assert wrong.as_score().outcome is Outcome.WRONG
    assert wrong.as_score().detail == "as I see it"
    assert endpoint.bodies[0]["model"] == MODEL
    assert endpoint.bodies[0]["temperature"] == 0.0
    assert len(endpoint.bodies[0]["messages"]) == 1


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        ("429", "429"),
        ("500", "500"),
        ("503", "503"),
        ("truncated", "truncated"),
        ("broken", "broken"),
        ("hang", "timeout"),
        ("schema", "schema"),
    ],
)
def test_each_fault_is_survived_and_counted(behaviour: str, cause: str) -> None:
    limits = HASTY if behaviour == "hang" else FAST
    with FakeEndpoint([behaviour]) as endpoint, Judge(settings(endpoint, limits)) as judge:
        assert judge.grade("2+2?", "4", "4").label == "correct"
        counts = judge.take_counts()
    assert endpoint.num_requests == counts.requests == 2
    assert counts.failures == {cause: 1}
    assert counts.verdicts == 1
    assert not counts.gave_up


def test_a_malformed_reply_is_asked_for_again_with_another_nonce() -> None:
    with FakeEndpoint(["malformed"]) as endpoint, Judge(settings(endpoint)) as judge:
        assert judge.grade("2+2?", "4", "4").label == "correct"
        counts = judge.take_counts()
    assert counts.malformed == {"not-json": 1}
    first, second = (body["messages"][0]["content"] for body in endpoint.bodies)
    assert first[:26] != second[:26]
    assert first[26:].replace(first[2:26], "") == second[26:].replace(second[2:26], "")


def test_malformed_to_the_end_is_the_judges_failure_and_never_wrong() -> None:
    with (
        FakeEndpoint(["malformed"] * 9) as endpoint,
        Judge(settings(endpoint, malformed_retries=2)) as judge,
    ):
        judgement = judge.grade("2+2?", "4", "4")
        counts = judge.take_counts()
    assert endpoint.num_requests == 3
    assert judgement.label is None
    assert judgement.as_score().outcome is Outcome.VERIFIER_FAILED
    assert counts.gave_up == {"malformed": 1}
    assert counts.as_metrics()["judge/malformed/not-json"] == 3.0


def test_tries_end() -> None:
    with (
        FakeEndpoint(["500"] * 9) as endpoint,
        Judge(settings(endpoint, {"retries": 2})) as judge,
    ):
        score = judge.grade("2+2?", "4", "4").as_score()
        assert (score.outcome, score.value) == (Outcome.VERIFIER_FAILED, 0.0)
        assert "3 tries" in score.detail
        assert judge.take_counts().gave_up == {"500": 1}
    assert endpoint.num_requests == 3


def test_nothing_but_silence_is_timed_out() -> None:
    with (
        FakeEndpoint(["hang"] * 2) as endpoint,
        Judge(settings(endpoint, {"retries": 1, "timeout_s": 0.2})) as judge,
    ):
        assert judge.grade("2+2?", "4", "4").as_score().outcome is Outcome.TIMED_OUT


def test_a_prompt_the_endpoint_refuses_is_not_sent_again() -> None:
    with FakeEndpoint(["400"]) as endpoint, Judge(settings(endpoint)) as judge:
        assert judge.grade("2+2?", "4", "4").as_score().outcome is Outcome.VERIFIER_FAILED
        assert judge.grade("3+3?", "6", "6").label == "correct"
    assert endpoint.num_requests == 2


def test_moderation_of_one_prompt_stops_nobody() -> None:
    """403 is a bad key at first, and a flagged prompt once others were answered."""
    with FakeEndpoint(["ok", "403"]) as endpoint, Judge(settings(endpoint)) as judge:
        assert judge.grade("2+2?", "4", "4").label == "correct"
        assert judge.grade("3+3?", "6", "6").as_score().outcome is Outcome.VERIFIER_FAILED
    with (
        FakeEndpoint(["403"]) as endpoint,
        Judge(settings(endpoint)) as judge,
        pytest.raises(UserError, match="FAKE_KEY"),
    ):
        judge.grade("2+2?", "4", "4")


def test_retry_after_holds_back_every_request() -> None:
    with (
        FakeEndpoint(["429"], retry_after="0.6") as endpoint,
        Judge(settings(endpoint, {"concurrency": 1})) as judge,
    ):
        asked = [judge.submit_grade(f"{i}?", "4", "4") for i in range(4)]
        assert [future.result().label for future in asked] == ["correct"] * 4
    assert endpoint.times[1] - endpoint.times[0] >= 0.6
    assert endpoint.num_requests == 5


def test_too_long_a_retry_after_ends_the_request() -> None:
    with FakeEndpoint(["429"], retry_after="7200") as endpoint, Judge(settings(endpoint)) as judge:
        assert judge.grade("2+2?", "4", "4").as_score().outcome is Outcome.VERIFIER_FAILED
        assert judge.grade("3+3?", "6", "6").label == "correct"
    assert endpoint.num_requests == 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("2", 2.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, now=60.0) == seconds


def test_no_more_requests_at_once_than_allowed() -> None:
    with (
        FakeEndpoint(["slow"] * 8) as endpoint,
        Judge(settings(endpoint, {"concurrency": 3})) as judge,
    ):
        cases = [(f"{i}?", "4", "4") for i in range(8)]
        assert [found.label for found in judge.grade_many(cases)] == ["correct"] * 8
    assert endpoint.most_at_once == 3


def test_waiting_for_the_endpoint_overlaps() -> None:
    with FakeEndpoint(["slow"] * 20) as endpoint, Judge(settings(endpoint)) as judge:
        asked = [judge.submit_grade(f"{i}?", "4", "4") for i in range(16)]
        assert all(future.result().label == "correct" for future in asked)
    assert endpoint.most_at_once > 8


# The cache


def test_a_resumed_run_pays_nothing_twice(tmp_path: Path) -> None:
    cases = [(f"{i}?", "4", "4" if i % 2 else "5") for i in range(6)]
    cache = tmp_path / "deep" / "judge.jsonl"
    with FakeEndpoint(["malformed"] * 3) as endpoint:
        with Judge(settings(endpoint, cache=cache)) as judge:
            first = [judge.grade(*case).as_score() for case in cases]
        assert [score.outcome for score in first].count(Outcome.VERIFIER_FAILED) == 1
        paid = endpoint.num_requests
        assert paid == 8
        with Judge(settings(endpoint, cache=cache)) as judge:
            assert [found.as_score() for found in judge.grade_many(cases)] == first
            counts = judge.take_counts()
    assert endpoint.num_requests == paid
    assert (counts.requests, counts.from_cache) == (0, 8)
    assert counts.malformed.total() == 3


def test_what_was_asked_decides_what_is_found(tmp_path: Path) -> None:
    cache = tmp_path / "judge.jsonl"
    with FakeEndpoint(models=None) as endpoint:
        for changes in ({}, {"model": "other"}, {"max_tokens": 99}, {"extra_body": {"seed": 1}}):
            with Judge(settings(endpoint, cache=cache, **changes)) as judge:
                judge.grade("2+2?", "4", "4")
        assert endpoint.num_requests == 4
        with Judge(settings(endpoint, {"concurrency": 2}, cache=cache)) as judge:
            judge.grade("2+2?", "4", "4")
            assert endpoint.num_requests == 4
            for case in (("2+2!", "4", "4"), ("2+2?", "5", "4"), ("2+2?", "4", "4.0")):
                judge.grade(*case)
    assert endpoint.num_requests == 7


def test_the_same_question_at_the_same_time_is_sent_once() -> None:
    with FakeEndpoint(["slow"]) as endpoint, Judge(settings(endpoint)) as judge:
        asked = [judge.submit_grade("2+2?", "4", "4") for _ in range(8)]
        assert {future.result().label for future in asked} == {"correct"}
        assert judge.take_counts().shared == 7
    assert endpoint.num_requests == 1


def test_a_torn_line_costs_one_reply_and_no_more(tmp_path: Path) -> None:
    cache = tmp_path / "judge.jsonl"
    cases = [(f"{i}?", "4", "4") for i in range(4)]
    with FakeEndpoint() as endpoint:
        with Judge(settings(endpoint, {"concurrency": 1}, cache=cache)) as judge:
            list(judge.grade_many(cases))
        cache.write_bytes(cache.read_bytes()[:-40])
        for extra in (1, 0):  # the torn one is asked for again, and then it is whole
            before = endpoint.num_requests
            with Judge(settings(endpoint, cache=cache)) as judge:
                found = [judgement.label for judgement in judge.grade_many(cases)]
            assert found == ["correct"] * 4
            assert endpoint.num_requests - before == extra


def test_a_killed_run_keeps_what_it_paid_for(tmp_path: Path) -> None:
    cache = tmp_path / "judge.jsonl"
    with FakeEndpoint(["ok"] * 3 + ["hang"]) as endpoint:
        code = f"""
            from r1.judge.judge import Judge
            from r1.judge.settings import JudgeSettings
            with Judge(JudgeSettings(base_url={endpoint.base_url!r}, model={MODEL!r},
                       api_key_env="FAKE_KEY", cache={str(cache)!r})) as judge:
                for i in range(9):
                    judge.grade(f"{{i}}?", "4", "4")
        """
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
        while endpoint.num_requests < 4:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with Judge(settings(endpoint, cache=cache)) as judge:
            for i in range(9):
                assert judge.grade(f"{i}?", "4", "4").label == "correct"
            assert judge.take_counts().from_cache == 3
    assert endpoint.num_requests == 4 + 6


def test_two_judges_share_a_file(tmp_path: Path) -> None:
    cache = tmp_path / "judge.jsonl"
    with (
        FakeEndpoint() as endpoint,
        Judge(settings(endpoint, cache=cache)) as one,
        Judge(settings(endpoint, cache=cache)) as two,
    ):
        threads = [
            threading.Thread(
                target=lambda judge=judge, k=k: [
                    judge.grade(f"{k} {i}?", "4", "4") for i in range(20)
                ]
            )
            for k, judge in enumerate((one, two))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert endpoint.num_requests == 40
        for k, judge in enumerate((two, one)):  # each finds what the other has paid for
            assert all(judge.grade(f"{k} {i}?", "4", "4").label for i in range(20))
        assert endpoint.num_requests == 40
    assert all(json.loads(line)["key"] for line in cache.read_text().splitlines())


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("my notes\nof years\n")
    with pytest.raises(UserError, match="not a cache"):
        Judge(settings("http://127.0.0.1:9/v1", cache=other))
    assert other.read_text() == "my notes\nof years\n"


# The budget


def test_the_budget_stops_with_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "judge.jsonl"
    cases = [(f"{i}?", "4", "4") for i in range(8)]
    with FakeEndpoint() as endpoint:
        with Judge(settings(endpoint, cache=cache, budget={"requests": 5})) as judge:
            asked = [judge.submit_grade(*case) for case in cases]
            errors = [future.exception() for future in asked]
        stopped = [error for error in errors if error is not None]
        assert endpoint.num_requests == 5
        assert len(stopped) == 3
        assert all(isinstance(error, UserError) for error in stopped)
        assert "5 of 5 requests" in str(stopped[0])
        assert "budget" in str(stopped[0])
        # The same budget lets nothing more through, though a new process asks.
        again = settings(endpoint, cache=cache, budget={"requests": 5})
        with Judge(again) as judge, pytest.raises(UserError, match="5 of 5"):
            list(judge.grade_many(cases))
        assert endpoint.num_requests == 5
        with Judge(settings(endpoint, cache=cache, budget={"requests": 8})) as judge:
            assert [found.label for found in judge.grade_many(cases)] == ["correct"] * 8
        assert endpoint.num_requests == 8


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"tokens": 3000}, "tokens"),
        ({"cost": 0.03, "price_in": 10.0, "price_out": 10.0}, "may cost"),
    ],
)
def test_what_is_under_way_cannot_exceed_the_budget(budget: dict, words: str) -> None:
    """Each request takes 120 tokens but may take some 1,500: parallel ones wait for each other."""
    with (
        FakeEndpoint() as endpoint,
        Judge(settings(endpoint, max_tokens=1000, budget=budget)) as judge,
    ):
        asked = [judge.submit_grade(f"{i}?", "4", "4") for i in range(40)]
        errors = [future.exception() for future in asked]
        used = judge.take_counts().usage
    total = used.tokens_in + used.tokens_out
    assert 1200 <= total <= 3000
    assert total == 120 * endpoint.num_requests
    assert words in str(next(error for error in errors if error))


def test_silence_counts_as_spent(tmp_path: Path) -> None:
    cache = tmp_path / "judge.jsonl"
    limits = {"timeout_s": 0.2, "retries": 0}
    with FakeEndpoint(["hang", "500"]) as endpoint:
        for budget in (1, 2):
            with Judge(settings(endpoint, limits, cache=cache, budget={"requests": 1})) as judge:
                if budget == 1:
                    assert judge.grade("2+2?", "4", "4").label is None
                else:
                    with pytest.raises(UserError, match="budget"):
                        judge.grade("2+2?", "4", "4")
    assert json.loads(cache.read_text())["unanswered"] == "timeout"


# Closing


def test_closing_keeps_the_replies_under_way(tmp_path: Path) -> None:
    cache = tmp_path / "judge.jsonl"
    with FakeEndpoint(["slow"] * 9) as endpoint:
        judge = Judge(settings(endpoint, {"concurrency": 2}, cache=cache))
        asked = [judge.submit_grade(f"{i}?", "4", "4") for i in range(6)]
        while endpoint.num_requests < 2:
            time.sleep(0.01)
        judge.close()
        judge.close()
        assert all(future.done() for future in asked)
        assert endpoint.num_requests == len(cache.read_text().splitlines()) == 2
        with pytest.raises(ClosedError):
            judge.grade("2+2?", "4", "4")
    assert not [thread for thread in threading.enumerate() if thread.name == "judge"]


# Wrong settings


def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAKE_KEY")
    with pytest.raises(UserError, match="FAKE_KEY is not set"):
        Judge(settings("http://127.0.0.1:9/v1"))


def test_a_wrong_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", "wrong-secret")
    with FakeEndpoint() as endpoint, Judge(settings(endpoint)) as judge:
        with pytest.raises(UserError, match="the key in FAKE_KEY") as checked:
            judge.check()
        with pytest.raises(UserError, match="the key in FAKE_KEY") as graded:
            judge.grade("2+2?", "4", "4")
    assert "wrong-secret" not in f"{checked.value} {graded.value}"


def test_an_endpoint_out_of_reach() -> None:
    nowhere = settings("http://127.0.0.1:9/v1")
    with Judge(nowhere) as judge, pytest.raises(UserError, match="cannot be reached"):
        judge.check()


def test_a_silent_endpoint() -> None:
    there = FakeEndpoint(["hang"], models=("another",))
    with there as endpoint, Judge(settings(endpoint, HASTY)) as judge:
        judge.check()  # it lists its models, so it is there; what follows is for the retries
    silent = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
    with (
        silent,
        Judge(settings(address, HASTY)) as judge,
        pytest.raises(UserError, match=r"no reply within 0\.3 s"),
    ):
        judge.check()


def test_an_unknown_model_with_the_nearest_one() -> None:
    with (
        FakeEndpoint() as endpoint,
        Judge(settings(endpoint, model="fake-jugde")) as judge,
        pytest.raises(UserError, match="Did you mean 'fake-judge'"),
    ):
        judge.check()


def test_an_address_without_v1() -> None:
    with (
        FakeEndpoint() as endpoint,
        Judge(settings(endpoint.base_url.removesuffix("/v1"))) as judge,
        pytest.raises(UserError, match="mostly ends in /v1"),
    ):
        judge.check()


def test_the_check_of_a_good_endpoint_is_free() -> None:
    with FakeEndpoint() as endpoint, Judge(settings(endpoint)) as judge:
        judge.check()
    assert endpoint.num_requests == 0
    with FakeEndpoint(models=None) as endpoint, Judge(settings(endpoint)) as judge:
        judge.check()  # no list of models: one request for a few tokens
    assert endpoint.num_requests == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"api_key_env": "sk-12345"}, "name of an environment variable"),
        ({"base_url": "localhost:8000"}, "http://"),
        ({"base_url": "http://me:secret@host/v1"}, "password"),
        ({"votes": 3}, "temperature = 1.0"),
        ({"extra_body": {"model": "x"}}, "extra_body"),
        ({"budget": {"cost": 1.0}}, "price_in"),
        ({"modle": "x"}, "did you mean 'model'"),
    ],
)
def test_impossible_settings(changes: dict, words: str) -> None:
    values = {"model": MODEL} | changes
    with pytest.raises(UserError, match=words) as error:
        validate(values, JudgeSettings, "recipe.toml")
    assert "sk-12345" not in str(error.value)
    assert "secret@" not in str(error.value)


# Votes


def test_votes_are_independent_and_the_majority_decides() -> None:
    turn = iter(["correct", "incorrect", "correct"])

    def fickle(prompt: str) -> str:
        return reply_json(prompt, next(turn))

    with (
        FakeEndpoint(brain=fickle) as endpoint,
        Judge(settings(endpoint, votes=3, temperature=1.0)) as judge,
    ):
        found = judge.grade("2+2?", "4", "4")
    assert endpoint.num_requests == 3
    assert (found.label, found.share, found.consistency) == ("correct", 2 / 3, 2 / 3)


def test_a_failed_vote_is_left_out() -> None:
    behaviours = ["malformed", "ok", "ok"]
    with (
        FakeEndpoint(behaviours) as endpoint,
        Judge(settings(endpoint, votes=3, temperature=1.0, malformed_retries=0)) as judge,
    ):
        found = judge.grade("2+2?", "4", "4")
    assert (found.label, found.share) == ("correct", 1.0)
    assert sum(isinstance(vote, NoVerdict) for vote in found.votes) == 1


def test_both_orders_take_the_judges_position_out() -> None:
    def likes_the_first(prompt: str) -> str:
        better = "good" in data_of(prompt, "answer A")
        return reply_json(prompt, "A>>B" if better else "A>B")

    with FakeEndpoint(brain=likes_the_first) as endpoint, Judge(settings(endpoint)) as judge:
        found = judge.compare("q?", "the good one", "the bad one")
        turned = judge.compare("q?", "the bad one", "the good one")
    assert (found.margin, found.score, found.position_bias) == (0.5, 0.625, 1.5)
    assert (found.consistency, found.num_pairs) == (0.0, 1)
    assert turned.margin == -0.5
    assert endpoint.num_requests == 2  # the second comparison asked nothing new


def test_honest_default_brain_reads_the_quoted_text() -> None:
    with FakeEndpoint(brain=honest) as endpoint, Judge(settings(endpoint)) as judge:
        assert judge.grade("q?", "two\nlines", "two\nlines").label == "correct"


@pytest.mark.parametrize(
    ("address", "verifies"),
    [("HTTPS://judge.test/v1", True), ("https://judge.test/v1", True), ("HTTP://a.test", False)],
)
def test_certificates_are_verified_however_the_address_is_written(
    address: str, verifies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx2

    given: dict[str, Any] = {}
    monkeypatch.setattr(httpx2, "AsyncClient", lambda **settings: given.update(settings))
    Endpoint(settings(address))._connect()
    assert given["verify"] is verifies
