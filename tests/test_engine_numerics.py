"""The embedded engine against the plain forward pass, transformers' generate and itself."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch

from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import Completion, GroupRequest
from small_models import ARCHITECTURES, make_model

VOCAB = 258
SAMPLING = SamplingSettings(max_new_tokens=24)


def ragged_requests(num: int = 9, longest: int = 30) -> list[GroupRequest]:
    """Prompts of 1..longest tokens, groups of 1..5 samples."""
    draw = random.Random(3)
    return [
        GroupRequest(
            id=f"p{i}",
            prompt_ids=tuple(draw.randrange(2, VOCAB) for _ in range(draw.randint(1, longest))),
            seeds=tuple(draw.randrange(1 << 63) for _ in range(draw.randint(1, 5))),
        )
        for i in range(num)
    ]


def run(
    arch: str, requests: Sequence[GroupRequest], sampling: SamplingSettings = SAMPLING,
    changes: dict[str, object] | None = None, **settings: object,
) -> dict[str, list[Completion]]:  # fmt: skip
    model = make_model(arch, eos_token_id=list(range(12)), **(changes or {}))
    engine = EmbeddedEngine(model, None, EngineSettings(device="cpu", **settings))
    return {g.request.id: g.completions for g in engine.generate(requests, sampling)}


@torch.no_grad()
def plain_logprobs(model, prompt: Sequence[int], response: Sequence[int]) -> torch.Tensor:
    """Log-probabilities of the response's tokens from one unpadded forward pass without a cache."""
    logits_TV = model(torch.tensor([[*prompt, *response]]), use_cache=False).logits[0]
    logprobs_TV = logits_TV[len(prompt) - 1 : -1].double().log_softmax(-1)
    return logprobs_TV.gather(1, torch.tensor(response)[:, None]).squeeze(1)


SLIDING = {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1}


@pytest.mark.few(8)
@pytest.mark.parametrize(
    ("arch", "changes"), [*((arch, {}) for arch in ARCHITECTURES), ("qwen2", SLIDING)]
)
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("max_batch", "prefill_tokens"), [(512, 8192), (6, 40)])
def test_logprobs_equal_the_plain_forward_pass(
    arch, changes, max_batch, prefill_tokens, native, monkeypatch
):  # fmt: skip
    """Ragged prompts and lengths; with max_batch 6, rows are refilled and groups are split."""
    monkeypatch.setattr(EngineSettings, "prefill_tokens", prefill_tokens)
    requests = ragged_requests()
    results = run(arch, requests, changes=changes, native=native, max_batch=max_batch)
    model = make_model(arch, **changes)
    lengths = set()
    for request in requests:
        assert len(results[request.id]) == len(request.seeds)
        for completion in results[request.id]:
            expected = plain_logprobs(model, request.prompt_ids, completion.token_ids)
            got = torch.tensor(completion.logprobs, dtype=torch.float64)
            assert float((got - expected).abs().max()) < 1e-4
            lengths.add(len(completion.token_ids))
    assert len(lengths) > 8, "the test must have ragged responses"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_leaner_forwards_change_nothing_and_are_used(arch, monkeypatch):
    requests = ragged_requests(4)
    with monkeypatch.context() as patch:
        patch.setattr("r1.rollout.embedded.speed_up", lambda model, in_c: [])
        slow = run(arch, requests, native=False)
    for native in (True, False):
        fast = run(arch, requests, native=native)
        for request in requests:
            for a, b in zip(fast[request.id], slow[request.id], strict=True):
                assert a.token_ids == b.token_ids
                assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
    engine = EmbeddedEngine(make_model(arch), None, EngineSettings(device="cpu"))
    replaced = {type(m).__name__ for m in engine.model.modules() if "forward" in vars(m)}
    kinds = ("RotaryEmbedding", "RMSNorm", "MLP", "Attention")
    expected = kinds[:3] if arch == "deepseek_v3" else kinds
    assert all(any(name.endswith(kind) for name in replaced) for kind in expected)


@pytest.mark.parametrize(("max_batch", "prefill_tokens"), [(5, 8192), (11, 16)])
def test_a_sample_depends_on_its_seed_and_not_on_its_neighbours(
    max_batch, prefill_tokens, monkeypatch
):
    requests = ragged_requests()
    alone = run("qwen2", requests)
    shuffled = list(requests)
    random.Random(1).shuffle(shuffled)
    monkeypatch.setattr(EngineSettings, "prefill_tokens", prefill_tokens)
    mixed = run("qwen2", shuffled, max_batch=max_batch)
    for request in requests:
        for a, b in zip(alone[request.id], mixed[request.id], strict=True):
            assert a.token_ids == b.token_ids
    seeds = requests[2].seeds[::-1]
    turned = GroupRequest("turned", requests[2].prompt_ids, seeds)
    tokens = [c.token_ids for c in run("qwen2", [turned])["turned"]]
    assert tokens[::-1] == [c.token_ids for c in alone["p2"]]
    assert len({tuple(t) for t in tokens}) == len(tokens)


def test_the_same_requests_give_the_same_bytes():
    requests = ragged_requests()
    model = make_model("qwen2", eos_token_id=list(range(12)))
    engine = EmbeddedEngine(model, None, EngineSettings(device="cpu", max_batch=7))
    first, second = (list(engine.generate(requests, SAMPLING)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_greedy_equals_transformers_generate(arch):
    requests = [
        GroupRequest(r.id, r.prompt_ids, r.seeds[:1]) for r in ragged_requests(4, longest=12)
    ]
    greedy = SamplingSettings(temperature=0.0, max_new_tokens=16)
    results = run(arch, requests, greedy)
    model = make_model(arch, eos_token_id=list(range(12)))
    for request in requests:
        prompt = torch.tensor([request.prompt_ids])
        out = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=16,
            eos_token_id=list(range(12)), pad_token_id=0,
        )  # fmt: skip
        [completion] = results[request.id]
        assert completion.token_ids == out[0, prompt.shape[1] :].tolist()
        expected = plain_logprobs(model, request.prompt_ids, completion.token_ids)
        assert completion.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


def test_logprobs_are_those_of_the_tempered_distribution_before_truncation():
    requests = ragged_requests(3)
    results = run("qwen2", requests, SamplingSettings(temperature=0.7, top_p=0.8, top_k=20))
    model = make_model("qwen2")
    for request in requests:
        for completion in results[request.id]:
            ids = torch.tensor([[*request.prompt_ids, *completion.token_ids]])
            with torch.no_grad():
                logits_TV = model(ids).logits[0, len(request.prompt_ids) - 1 : -1].double() / 0.7
            chosen = torch.tensor(completion.token_ids)[:, None]
            expected = logits_TV.log_softmax(-1).gather(1, chosen).squeeze(1)
            assert completion.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


def test_bfloat16_stays_near_the_plain_forward_pass():
    requests = ragged_requests(3)
    results = run("qwen2", requests, dtype="bfloat16")
    model = make_model("qwen2").to(torch.bfloat16)
    gaps = [
        (torch.tensor(c.logprobs) - plain_logprobs(model, r.prompt_ids, c.token_ids)).abs().mean()
        for r in requests
        for c in results[r.id]
    ]
    assert float(torch.stack(gaps).mean()) < 0.1


def test_diverged_weights_are_reported():
    model = make_model("qwen2")
    model.lm_head.weight.data.fill_(float("nan"))
    engine = EmbeddedEngine(model, None, EngineSettings(device="cpu"))
    with pytest.raises(FloatingPointError, match="not finite"):
        list(engine.generate(ragged_requests(2), SAMPLING))
