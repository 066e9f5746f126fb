"""An engine asked in conversations: thinking cut off, greedy ones, prompts that are too long."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from r1.agents.ask import (
    NO_REPLY,
    EngineAsk,
    OpenConversation,
    ReplyMissingError,
    Turn,
    encode_turns,
    require_replies,
)
from r1.agents.counts import COUNTS, AskCounts, QuestionCount
from r1.rollout.protocol import FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.types import FAILED, Completion


class Echo:
    """An engine that thinks, then names the request, the seed's number and the temperature."""

    def __init__(self) -> None:
        self.seeds: dict[str, tuple[int, ...]] = {}

    def generate(self, requests, sampling):
        for request in reversed(requests):
            self.seeds[request.id] = request.seeds
            texts = [f"hm</think>{request.id} {sampling.temperature}" for _ in request.seeds]
            texts[-1:] = ["never ends"] if request.id == "open" else texts[-1:]
            yield FinishedGroup(request, [Completion([1, 2], [], text, "stop") for text in texts])


RENDERER = SimpleNamespace(
    opens_think=True,
    takes_turns=False,
    encode=lambda text, earlier=(): tuple(range(len(text.split()))),
)


def question(name: str, *turns: str, num: int = 1, greedy: bool = False) -> OpenConversation:
    roles = ("user", "assistant") * len(turns)
    made = tuple(Turn(role, text) for role, text in zip(roles, turns, strict=False))
    return OpenConversation(name, made, num, greedy)


def test_answers_come_in_the_order_of_the_questions() -> None:
    engine = Echo()
    ask = EngineAsk(engine, RENDERER, SamplingSettings(temperature=0.6), context=8)
    asked = [
        question("a", "x", num=2),
        question("b", "x", greedy=True),
        question("long", "x " * 8, num=3),
        question("open", "x"),
    ]
    assert ask(asked) == [["a 0.6", "a 0.6"], ["b 0.0"], [None] * 3, [None]]
    assert ask.counts.total == (4, 8, 1)
    before = dict(engine.seeds)
    assert len(set(before["a"])) == 2
    ask(asked[:1])
    assert ask.counts.total == (4, 8, 1)
    assert engine.seeds["a"] == before["a"]  # whatever else is asked


def test_a_template_for_single_questions_gets_all_turns() -> None:
    ids = encode_turns(question("a", "one two", "three", "four").turns, RENDERER)
    assert len(ids) == len(["user:", "one", "two", "assistant:", "three", "user:", "four"])


class Failing:
    """An engine whose second sample of every request never comes."""

    def generate(self, requests, sampling):
        for request in requests:
            failed = Completion([], [], "", FAILED)
            yield FinishedGroup(request, [Completion([1], [], "hm</think>yes", "stop"), failed])


def test_a_reply_that_never_came_is_no_answer_and_no_sample() -> None:
    ask = EngineAsk(Failing(), RENDERER, SamplingSettings(), context=None)
    (answers,) = ask([question("a", "x " * 100, num=2)])  # an endpoint has its own context
    assert answers == ["yes", NO_REPLY]
    assert ask.counts.total == (1, 1, 0)
    with pytest.raises(ReplyMissingError, match="1 of 2 replies"):
        require_replies(answers)
    assert require_replies(["yes", None]) == ["yes", None]


def test_counts_are_kept_over_kills_and_a_torn_line_is_passed_over(tmp_path) -> None:
    counts = AskCounts(tmp_path)
    counts.add("a", QuestionCount(2, 30))
    counts.add("b", QuestionCount(too_long=1))
    with (tmp_path / COUNTS).open("a") as file:
        file.write('{"id": "c", "sam')
    again = AskCounts(tmp_path)
    again.add("c", QuestionCount(1, 5))
    again.add("a", QuestionCount(2, 40))
    assert again.total == AskCounts(tmp_path).total == (3, 45, 1)
    assert AskCounts().total == (0, 0, 0)
