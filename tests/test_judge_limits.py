"""Rates, waits, votes and batches of the judge, without a network."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest

from r1.judge.asker import NoVerdict
from r1.judge.budget import Budget, BudgetExhaustedError, TokenUsage
from r1.judge.engine import GeneratingModel, engine_generate
from r1.judge.grade import summarise_votes
from r1.judge.judge import Judge
from r1.judge.limits import WINDOW_S, RateLimiter, backoff_s
from r1.judge.lookup import LookupLoop
from r1.judge.pairwise import summarise_pair
from r1.judge.settings import BudgetSettings, JudgeSettings
from r1.judge.verdict import Verdict
from r1.rollout.protocol import FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.types import Completion, Outcome


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def sent_at(limiter: RateLimiter, clock: Clock, tokens: Sequence[int]) -> list[float]:
    async def send() -> list[float]:
        return [(await limiter.acquire(number)).at - 1000.0 for number in tokens]

    return asyncio.run(send())


def test_no_window_holds_more_than_the_limit() -> None:
    clock = Clock()
    limiter = RateLimiter(5, None, clock, clock.sleep)
    times = sent_at(limiter, clock, [1] * 23)
    for start in times:
        assert sum(start <= at < start + WINDOW_S for at in times) <= 5
    assert times[22] == pytest.approx(4 * WINDOW_S)  # and none waits longer than it must


def test_tokens_are_limited_too() -> None:
    clock = Clock()
    limiter = RateLimiter(None, 1000, clock, clock.sleep)
    assert sent_at(limiter, clock, [600, 300, 200, 700, 100]) == pytest.approx(
        [0.0, 0.0, 60.0, 60.0, 60.0]
    )


def test_a_request_above_the_token_limit_goes_out_alone() -> None:
    clock = Clock()
    limiter = RateLimiter(None, 100, clock, clock.sleep)
    assert sent_at(limiter, clock, [50, 5000, 50]) == pytest.approx([0.0, 60.0, 120.0])


def test_tokens_put_right_make_room() -> None:
    clock = Clock()
    limiter = RateLimiter(None, 1000, clock, clock.sleep)

    async def run() -> float:
        first = await limiter.acquire(900)
        first.tokens = 100
        return (await limiter.acquire(900)).at

    assert asyncio.run(run()) == 1000.0


def test_a_pause_holds_everyone() -> None:
    clock = Clock()
    limiter = RateLimiter(None, None, clock, clock.sleep)
    limiter.pause(7.0)
    limiter.pause(3.0)
    assert sent_at(limiter, clock, [1, 1]) == [7.0, 7.0]


def test_waits_grow_and_are_drawn() -> None:
    assert [backoff_s(k, 1.0, 1.0) for k in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff_s(2, 1.0, 0.25) == 1.0
    assert backoff_s(5000, 0.5, 0.5) == 15.0


def test_what_is_set_aside_counts() -> None:
    budget = Budget(BudgetSettings(tokens=100), TokenUsage())
    assert budget.reserve(TokenUsage(1, 30, 30))
    assert not budget.reserve(TokenUsage(1, 30, 30))
    assert not budget.idle()
    budget.spent.add(TokenUsage(1, 10, 10))
    budget.release(TokenUsage(1, 30, 30))
    assert budget.idle()
    assert budget.reserve(TokenUsage(1, 40, 40))
    assert isinstance(budget.exhausted(TokenUsage(1, 1, 0)), BudgetExhaustedError)


def test_money() -> None:
    settings = BudgetSettings(cost=1.0, price_in=2.0, price_out=8.0)
    budget = Budget(settings, TokenUsage(3, 100_000, 50_000))
    assert budget.spent.cost(settings) == pytest.approx(0.6)
    assert budget.reserve(TokenUsage(1, 0, 50_000))
    assert not budget.reserve(TokenUsage(1, 1, 0))
    assert "0.6 of 1 are spent" in str(budget.exhausted(TokenUsage(1, 1, 0)))


# Votes


FAILED = NoVerdict(Outcome.VERIFIER_FAILED, "malformed")
SILENT = NoVerdict(Outcome.TIMED_OUT, "silence")


def votes(*labels: str | NoVerdict) -> list[Verdict | NoVerdict]:
    return [Verdict(label, label) if isinstance(label, str) else label for label in labels]


@pytest.mark.parametrize(
    ("cast", "label", "share", "outcome"),
    [
        (("correct",), "correct", 1.0, "correct"),
        (("incorrect",), "incorrect", 0.0, "wrong"),
        (("correct", "incorrect", "incorrect"), "incorrect", 1 / 3, "wrong"),
        (("correct", "correct", "incorrect"), "correct", 2 / 3, "correct"),
        (("correct", "incorrect"), None, 0.5, "verifier-failed"),
        (("correct", FAILED, SILENT), "correct", 1.0, "correct"),
        ((FAILED, SILENT), None, None, "verifier-failed"),
        ((SILENT, SILENT), None, None, "timed-out"),
    ],
)
def test_the_majority_of_valid_votes(cast, label, share, outcome) -> None:
    found = summarise_votes(votes(*cast))
    assert found.label == label
    assert found.share == share
    assert str(found.as_score().outcome) == outcome
    assert found.as_score().value == float(label == "correct")


@pytest.mark.parametrize(
    ("forward", "backward", "margin", "consistency", "bias"),
    [
        (["A>>B"], ["B>>A"], 2.0, 1.0, 0.0),
        (["A>B"], ["B>>A"], 1.5, 1.0, -0.5),
        (["A>B"], ["A>B"], 0.0, 0.0, 1.0),
        (["A=B"], ["A=B"], 0.0, 1.0, 0.0),
        (["B>A", "A>B"], ["A>B", "A>B"], -0.25 - 0.25, 0.5, 0.5),
        (["A>B", FAILED], ["B>A", "A>>B"], 1.0, 1.0, 0.0),
    ],
)
def test_both_orders_are_summed_up(forward, backward, margin, consistency, bias) -> None:
    found = summarise_pair(votes(*forward), votes(*backward))
    assert found.margin == pytest.approx(margin)
    assert found.score == pytest.approx((margin + 2) / 4)
    assert found.consistency == consistency
    assert found.position_bias == pytest.approx(bias)


def test_one_order_alone_is_no_comparison() -> None:
    found = summarise_pair(votes("A>B"), votes(FAILED))
    assert (found.margin, found.score, found.num_pairs) == (None, None, 0)


# Engines


def reply(prompt: str) -> str:
    nonce = prompt[2:26]
    return f'{{"nonce": "{nonce}", "analysis": "", "verdict": "correct"}}'


def test_what_waits_together_is_generated_together() -> None:
    sizes = []

    def generate(prompts: Sequence[str]) -> list[str]:
        sizes.append(len(prompts))
        assert threading.current_thread().name.startswith("judge-engine")
        time.sleep(0.02)
        return [reply(prompt) for prompt in prompts]

    settings = JudgeSettings.model_validate({"model": "x", "limits": {"concurrency": 100}})
    with Judge(settings, GeneratingModel(generate, "x", max_batch=8)) as judge:
        found = judge.grade_many((f"{i}?", "4", "4") for i in range(30))
        assert all(judgement.label == "correct" for judgement in found)
    assert sum(sizes) == 30
    assert max(sizes) == 8
    assert len(sizes) <= 6


def test_several_batches_go_to_engines_that_take_several() -> None:
    together = threading.Barrier(3)

    def generate(prompts: Sequence[str]) -> list[str]:
        together.wait(10)  # raises unless three batches are under way
        return [reply(prompt) for prompt in prompts]

    settings = JudgeSettings.model_validate({"model": "x", "limits": {"concurrency": 6}})
    model = GeneratingModel(generate, "x", max_batch=2, num_batches=3)
    with Judge(settings, model) as judge:
        found = judge.grade_many((f"{i}?", "4", "4") for i in range(6))
        assert [judgement.label for judgement in found] == ["correct"] * 6


def test_what_generate_raises_arrives() -> None:
    def generate(prompts: Sequence[str]) -> list[str]:
        raise ZeroDivisionError("the engine's own")

    with Judge(JudgeSettings(model="x"), GeneratingModel(generate, "x")) as judge:
        with pytest.raises(ZeroDivisionError):
            judge.grade("2+2?", "4", "4")
        judge.check()


def test_an_engine_of_the_project_judges() -> None:
    seen: dict[tuple[int, ...], str] = {}

    class Renderer:
        def encode(self, prompt: str) -> tuple[int, ...]:
            ids = (len(seen), 7)
            seen[ids] = prompt
            return ids

    class Engine:
        def generate(self, requests, sampling):
            assert sampling.temperature == 0.0
            for request in reversed(requests):  # whichever ends first
                text = reply(seen[request.prompt_ids])
                yield FinishedGroup(request, [Completion([1], [0.0], text, "stop")])

    generate = engine_generate(Engine(), Renderer(), SamplingSettings(temperature=0.0))
    with Judge(JudgeSettings(model="x"), GeneratingModel(generate, "x")) as judge:
        asked = [judge.submit_grade(f"{i}?", "4", "4") for i in range(3)]
        assert [future.result().label for future in asked] == ["correct"] * 3
    assert len(set(itertools.chain(*seen))) == 4


def test_a_name_server_that_does_not_answer_holds_no_program_up() -> None:
    """The message comes within the check's limit; the program's end waits for no lookup."""
    program = """
import socket, threading
never = threading.Event()
socket.getaddrinfo = lambda *a, **k: never.wait()
from r1.judge import endpoint
from r1.judge.judge import Judge
from r1.judge.settings import JudgeSettings
endpoint.CHECK_TIMEOUT_S = 0.5
judge = Judge(JudgeSettings(base_url="http://judge.invalid/v1", model="m", api_key_env=""))
try:
    judge.check()
except Exception as error:
    print(error)
judge.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert "judge.invalid/v1 did not answer within 0.5 s" in done.stdout
    assert done.stderr == ""


def test_lookups_of_one_name_are_one_and_their_faults_reach_all(monkeypatch) -> None:
    asked = []

    def fail(*key: object) -> None:
        asked.append(key)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    async def both() -> list[object]:
        loop = asyncio.get_running_loop()
        looks = (loop.getaddrinfo("judge.invalid", 80) for _ in range(2))
        return await asyncio.gather(*looks, return_exceptions=True)

    with asyncio.Runner(loop_factory=LookupLoop) as runner:
        assert [type(found) for found in runner.run(both())] == [socket.gaierror] * 2
        assert len(asked) == 1
        monkeypatch.undo()
        found = runner.run(LookupLoop.getaddrinfo(runner.get_loop(), "127.0.0.1", 80))
    assert found[0][4] == ("127.0.0.1", 80)
