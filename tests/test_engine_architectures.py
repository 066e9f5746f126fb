"""Architectures that the engine and the learner run, and those they refuse instead of erring."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig

from r1.errors import UserError
from r1.learner.packing import pack_groups
from r1.learner.self_check import check_packed_path
from r1.learner.shared_prefix import packed_hidden_states, use_shared_prefix
from r1.models.load import context_of, context_of_config
from r1.rollout import self_check
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import GroupRequest, TrainGroup, TrainResponse
from small_models import make_model, save_small_model, tiny_config
from test_engine_numerics import plain_logprobs

OWN_NAMES = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "rotary_dim": 8}
MLA = {
    "num_key_value_heads": 4, "q_lora_rank": None, "kv_lora_rank": 24, "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8, "v_head_dim": 12, "first_k_dense_replace": 1, "n_routed_experts": 4,
    "moe_intermediate_size": 32, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
}  # fmt: skip

DYNAMIC = {
    "max_position_embeddings": 38,
    "rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
}


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


def check_logprobs(model, request, completion) -> None:
    """The completion's log-probabilities are those of the model's own forward pass."""
    expected = plain_logprobs(model, request.prompt_ids, completion.token_ids)
    assert completion.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize(
    ("arch", "changes"),
    [
        ("gpt2", OWN_NAMES), ("gpt_neox", {}), ("phi3", {}), ("gemma3_text", {"head_dim": 16}),
        ("granite", {"logits_scaling": 2.0}), ("cohere2", {"head_dim": 16}), ("mixtral", {}),
        ("deepseek_v2", MLA), ("llama", DYNAMIC),
    ],
)  # fmt: skip
def test_others_are_sampled_with_their_own_probabilities(arch, changes):
    engine, model = make_engine(arch, **changes), make_model(arch, **changes)
    requests = [GroupRequest("a", tuple(range(5, 30)), (1, 2)), GroupRequest("b", (7, 8), (3,))]
    for request, completions in engine.generate(requests, SamplingSettings(max_new_tokens=12)):
        for completion in completions:
            check_logprobs(model, request, completion)


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


@pytest.mark.parametrize(
    ("arch", "changes", "message"),
    [
        ("falcon", {"alibi": False}, "FalconForCausalLM has its attention built in"),
        ("stablelm", {}, "StableLmAttention does not pass its arguments on"),
        ("gemma2", {"head_dim": 16}, "Gemma2Attention uses softcap"),
        ("llama4_text", {"head_dim": 16}, "Llama4ForCausalLM keeps its layers under another name"),
    ],
)
def test_the_learner_refuses_what_it_would_learn_wrongly(arch, changes, message):
    with pytest.raises(UserError, match=message):
        check_packed_path(make_model(arch, **changes))


def test_the_learner_takes_two_attentions_a_layer():
    check_packed_path(make_model("diffllama"))


@pytest.mark.parametrize(
    ("arch", "changes"),
    [
        ("granite", {"logits_scaling": 13.0}), ("granitemoe", {"logits_scaling": 4.0}),
        ("cohere", {"logit_scale": 0.3}), ("cohere2", {"head_dim": 16}),
    ],
)  # fmt: skip
def test_the_learner_takes_scaled_logits(arch, changes):
    check_packed_path(make_model(arch, **changes))


def test_the_learner_refuses_an_output_head_with_a_bias():
    """That of a random Phi is zero, which is no test of it."""
    model = make_model("phi")
    with torch.no_grad():
        model.lm_head.bias.normal_()
    with pytest.raises(UserError, match=r"PhiForCausalLM: log-probabilities .* differ"):
        check_packed_path(model)


LONG_FACTORS = {
    "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 8,
    "long_factor": [4.0] * 8, "original_max_position_embeddings": 64,
}  # fmt: skip
LONGROPE = {
    "max_position_embeddings": 512, "original_max_position_embeddings": 64,
    "rope_parameters": LONG_FACTORS,
}  # fmt: skip


def test_longrope_ends_at_its_original_context():
    """Beyond, the longest text of a packed row would rotate the others by other factors."""
    engine, model = make_engine("phi3", **LONGROPE), make_model("phi3", **LONGROPE)
    sampling = SamplingSettings(max_new_tokens=12)
    short = GroupRequest("short", tuple(range(5, 30)), (3,))
    with pytest.raises(UserError, match=r"long: its prompt has 100 tokens.* context is 64"):
        engine.generate([short, GroupRequest("long", (7,) * 100, (4,))], sampling)
    near = GroupRequest("near", (7,) * 60, (4,))
    found = {g.request.id: g.completions[0] for g in engine.generate([short, near], sampling)}
    assert len(found["near"].token_ids) == 4
    for request in (short, near):
        check_logprobs(model, request, found[request.id])


def test_a_packed_row_does_not_pass_the_original_context_of_longrope():
    model = make_model("phi3", **LONGROPE)
    use_shared_prefix(model)

    def run(length: int) -> torch.Tensor:
        groups = [
            TrainGroup((5, 6, 7), [TrainResponse([8, 9, 10], [], [])]),
            TrainGroup(tuple(range(length)), [TrainResponse([8] * 5, [], [])]),
        ]
        return packed_hidden_states(model, pack_groups(groups))[:3]

    assert torch.allclose(run(10), run(60), atol=1e-5)
    with pytest.raises(UserError, match=r"a text of 65 tokens .* longrope ends at 64"):
        run(61)


def test_the_context_of_a_config(tmp_path):
    save_small_model(tmp_path / "long", "phi3", **LONGROPE)
    assert context_of(tmp_path / "long") == 64
    for rope_type, wanted in (("dynamic", 512), ("linear", 512)):
        rope = {"rope_type": rope_type, "rope_theta": 10000.0, "factor": 2.0}
        config = tiny_config("llama", max_position_embeddings=512, rope_parameters=rope)
        assert context_of_config(config) == wanted
    with pytest.raises(UserError, match="'bloom' has no max_position_embeddings"):
        context_of_config(AutoConfig.for_model("bloom"))
