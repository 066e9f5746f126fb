"""The project's own engine as the judge: a real model, its real tokenizer and its real batches."""

from __future__ import annotations

import pytest

from r1.errors import UserError
from r1.judge.cache import ReplyCache
from r1.judge.engine import GeneratingModel, engine_generate
from r1.judge.judge import Judge
from r1.judge.settings import JudgeSettings
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.template import PromptRenderer, TemplateSettings
from r1.types import Outcome
from small_models import make_model, make_tokenizer

CONTEXT = 2200
"""Bytes: room for a short question's prompt and for no long answer's."""
SAMPLING = SamplingSettings(temperature=0.7, max_new_tokens=24)
CASES = [(f"What is {n} + 1?", str(n + 1), f"It is {n + 1}.") for n in range(5)]
LONG = ("What is 2 + 2?", "4", "It is 4. " * 200)


@pytest.fixture(scope="module")
def generate():
    model = make_model("qwen2", max_position_embeddings=CONTEXT)
    tokenizer = make_tokenizer()
    engine = EmbeddedEngine(model, tokenizer, EngineSettings(device="cpu", max_batch=8))
    renderer = PromptRenderer(tokenizer, TemplateSettings(kind="plain"))
    return engine_generate(engine, renderer, SAMPLING, seed=3)


def settings(**changes: object) -> JudgeSettings:
    return JudgeSettings.model_validate({"model": "own", "malformed_retries": 1, **changes})


def test_an_engines_replies_are_read_counted_and_kept(generate, tmp_path) -> None:
    """A random model gives no verdict: each reply is malformed, asked for again, and kept."""
    sizes = []

    def counted(prompts):
        sizes.append(len(prompts))
        return generate(prompts)

    path = tmp_path / "judge.jsonl"
    with Judge(settings(cache=path), GeneratingModel(counted, "own@0")) as judge:
        judge.check()
        found = list(judge.grade_many(CASES))
        counts = judge.take_counts()
    assert [score.as_score().outcome for score in found] == [Outcome.VERIFIER_FAILED] * len(CASES)
    assert counts.requests == 2 * len(CASES) == sum(counts.malformed.values())
    assert max(sizes) > 1  # what waits together is one batch of the engine's
    with Judge(settings(cache=path), GeneratingModel(counted, "own@0")) as judge:
        list(judge.grade_many(CASES))
        assert judge.take_counts().requests == 0
    cache = ReplyCache(path)
    assert cache.usage.requests == 2 * len(CASES)
    with Judge(settings(cache=path), GeneratingModel(counted, "own@1")) as judge:
        judge.grade(*CASES[0])
        assert judge.take_counts().requests == 2  # other weights, another name


def test_one_prompt_that_is_too_long_fails_alone(generate) -> None:
    with Judge(settings(), GeneratingModel(generate, "own")) as judge:
        found = list(judge.grade_many([*CASES, LONG]))
        counts = judge.take_counts()
    assert found[-1].as_score().outcome is Outcome.VERIFIER_FAILED
    assert counts.gave_up == {"malformed": len(CASES), "refused": 1}


def test_an_engine_that_can_answer_nothing_says_why(generate) -> None:
    with (
        Judge(settings(), GeneratingModel(generate, "own")) as judge,
        pytest.raises(UserError, match="context is 2200"),
    ):
        judge.grade(*LONG)
