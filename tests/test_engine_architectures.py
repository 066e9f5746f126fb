"""Architectures that the embedded engine runs, and those it refuses instead of sampling wrongly."""

from __future__ import annotations

import pytest
import torch

from r1.errors import UserError
from r1.rollout import self_check
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import GroupRequest
from small_models import make_model

OWN_NAMES = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "rotary_dim": 8}
MLA = {
    "num_key_value_heads": 4, "q_lora_rank": None, "kv_lora_rank": 24, "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8, "v_head_dim": 12, "first_k_dense_replace": 1, "n_routed_experts": 4,
    "moe_intermediate_size": 32, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
}  # fmt: skip


def make_engine(arch: str, **changes: object) -> EmbeddedEngine:
    return EmbeddedEngine(make_model(arch, **changes), None, EngineSettings(device="cpu"))


@pytest.mark.parametrize(
    ("arch", "changes", "message"),
    [
        ("falcon", {"alibi": False}, "FalconForCausalLM has its attention built in"),
        ("gptj", OWN_NAMES, "GPTJForCausalLM has its attention built in"),
        ("bloom", {}, "BloomForCausalLM has its attention built in"),
        ("diffllama", {}, "DiffLlamaForCausalLM: .* differ from the model's own by"),
        ("stablelm", {}, "StableLmAttention .* does not pass the step on"),
        ("nemotron", {}, "NemotronAttention .* does not pass the step on"),
        ("gemma2", {"head_dim": 16}, "Gemma2Attention has soft-capped scores"),
        ("gpt_oss", {"head_dim": 16, "num_local_experts": 4}, "GptOssAttention has attention sink"),
        ("llama4_text", {"head_dim": 16}, "layers of kind chunked_attention"),
    ],
)
def test_what_it_would_sample_wrongly_is_refused_with_a_remedy(arch, changes, message):
    with pytest.raises(UserError, match=f'{message}.*engine.kind = "vllm"'):
        make_engine(arch, **changes)


@pytest.mark.parametrize(
    ("arch", "changes"),
    [
        ("gpt2", OWN_NAMES), ("gpt_neox", {}), ("phi3", {}), ("gemma3_text", {"head_dim": 16}),
        ("granite", {"logits_scaling": 2.0}), ("cohere2", {"head_dim": 16}), ("mixtral", {}),
        ("deepseek_v2", MLA),
    ],
)  # fmt: skip
def test_others_are_sampled_with_their_own_probabilities(arch, changes):
    engine, model = make_engine(arch, **changes), make_model(arch, **changes)
    requests = [GroupRequest("a", tuple(range(5, 30)), (1, 2)), GroupRequest("b", (7, 8), (3,))]
    for request, completions in engine.generate(requests, SamplingSettings(max_new_tokens=12)):
        for completion in completions:
            ids = torch.tensor([[*request.prompt_ids, *completion.token_ids]])
            with torch.no_grad():
                logits_TV = model(ids, use_cache=False).logits[0, len(request.prompt_ids) - 1 : -1]
            targets = torch.tensor(completion.token_ids)[:, None]
            expected = logits_TV.log_softmax(-1).gather(1, targets)[:, 0]
            assert completion.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize(
    "broken",
    [
        lambda q, k, v: (q, k, v[torch.zeros(len(v), dtype=torch.int64)]),
        lambda q, k, v: (q, k.flip(0), v),
    ],
)
def test_the_probe_sees_a_decode_step_that_is_wrong(broken, monkeypatch):
    """Prefill alone is right: it takes both to find DiffLlama."""
    attend = self_check.DecodeStep.attend

    def wrong(step, layer, query, key, value, *rest):
        return attend(step, layer, *broken(query, key, value), *rest)

    monkeypatch.setattr(self_check.DecodeStep, "attend", wrong)
    with pytest.raises(UserError, match=r"Qwen2ForCausalLM: .* differ"):
        make_engine("qwen2")


@pytest.mark.parametrize("error", [KeyError("layer"), RuntimeError("out of memory")])
def test_a_probe_that_fails_blames_the_architecture_unless_memory_is_lacking(error, monkeypatch):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(self_check, "prefill", fail)
    expected = RuntimeError if isinstance(error, RuntimeError) else UserError
    with pytest.raises(expected, match=r"out of memory|Qwen2ForCausalLM cannot run"):
        make_engine("qwen2")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounding_is_not_taken_for_a_fault(dtype):
    for arch in ("qwen2", "llama", "deepseek_v3"):
        EmbeddedEngine(make_model(arch), None, EngineSettings(device="cpu", dtype=dtype))
