"""Weight updates of other architectures, with a head of its own and with a tied one."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch

from r1.rollout.make import make_engine
from r1.rollout.protocol import EngineDiedError
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import GroupRequest
from small_models import make_model, save_small_model

pytestmark = pytest.mark.vllm


@torch.inference_mode()
def largest_gap(model, groups) -> float:
    """Between the engine's log-probabilities and the plain forward pass's."""
    gaps = []
    for group in groups:
        prompt = group.request.prompt_ids
        for completion in group.completions:
            tokens = torch.tensor(completion.token_ids)
            logits_TV = model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
            logprobs_T = logits_TV.log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
            gaps.append((logprobs_T - torch.tensor(completion.logprobs)).abs().max())
    return torch.stack(gaps).max().item()


@pytest.mark.parametrize(("architecture", "tied"), [("qwen3", False), ("llama", True)])
def test_new_weights_arrive_whole(tmp_path: Path, architecture: str, tied: bool) -> None:
    changes = {"hidden_size": 128, "head_dim": 32, "tie_word_embeddings": tied}
    folder = save_small_model(tmp_path / "model", architecture, **changes)
    asked = [GroupRequest(str(n), tuple(range(2 + n, 72 + n)), (1, 2)) for n in range(3)]
    sampling = SamplingSettings(max_new_tokens=24)
    settings = EngineSettings(kind="vllm", dtype="float32", max_batch=16)
    with closing(make_engine(folder, settings)) as engine:
        for seed in (0, 1, 2):
            model = make_model(architecture, seed=seed, **changes)
            if seed:
                engine.load_weights(model.named_parameters(), seed)
            groups = list(engine.generate(asked, sampling))
            assert largest_gap(model, groups) < 5e-4
            assert {c.version for group in groups for c in group.completions} == {seed}
        assert largest_gap(make_model(architecture, seed=1, **changes), groups) > 0.1
        check_death(engine, asked, model)


def check_death(engine, asked, model) -> None:
    """Its process killed in the middle of a call, nobody waits for ever."""
    threading.Timer(2.0, kill, (engine,)).start()
    begin = time.monotonic()
    with pytest.raises(EngineDiedError, match="carries on from the newest checkpoint"):
        sample_on(engine, asked)
    with pytest.raises(EngineDiedError):
        engine.load_weights(model.named_parameters(), 9)
    with pytest.raises(EngineDiedError):
        list(engine.generate(asked, SamplingSettings()))
    assert time.monotonic() - begin < 60.0


def sample_on(engine, asked) -> None:
    for _ in range(1000):
        list(engine.generate(asked, SamplingSettings(max_new_tokens=1000)))


def kill(engine) -> None:
    for process in engine.llm.llm_engine.engine_core.resources.engine_manager.processes:
        process.kill()
