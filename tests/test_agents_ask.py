"""An engine asked in conversations: thinking cut off, greedy ones, prompts that are too long."""

from __future__ import annotations

from types import SimpleNamespace

from r1.agents.ask import EngineAsk, OpenConversation, Turn, encode_turns
from r1.rollout.protocol import FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.types import Completion


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
    settings=SimpleNamespace(kind="plain"),
    encode=lambda text: tuple(range(len(text.split()))),
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
    assert (ask.num_samples, ask.num_tokens, ask.num_too_long) == (4, 8, 1)
    before = dict(engine.seeds)
    assert len(set(before["a"])) == 2
    ask(asked[:1])
    assert engine.seeds["a"] == before["a"]  # whatever else is asked


def test_a_template_for_single_questions_gets_all_turns() -> None:
    ids = encode_turns(question("a", "one two", "three", "four").turns, RENDERER)
    assert len(ids) == len(["user:", "one", "two", "assistant:", "three", "user:", "four"])
