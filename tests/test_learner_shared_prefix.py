"""Packed rows against one plain forward per response: values and every gradient."""

from __future__ import annotations

import pytest
import torch

from r1.errors import UserError
from r1.learner import native_attention, shared_prefix
from r1.learner.packing import pack_groups
from r1.learner.padded_attention import padded_attention
from r1.learner.self_check import check_packed_path
from r1.learner.shared_prefix import packed_hidden_states, use_shared_prefix
from r1.learner.token_logprobs import token_logprobs
from r1.types import TrainGroup, TrainResponse
from small_models import ARCHITECTURES, make_model
from train_batches import make_groups

TEMPERATURE = 0.8


@pytest.fixture(params=["compiled", "torch"], autouse=True)
def attention(request, monkeypatch):
    """Every test with tree_attention.c where a compiler is at hand, and with torch's kernels."""
    if request.param == "torch":
        monkeypatch.setattr(shared_prefix, "fits", lambda *_: False)
    elif native_attention.library() is None:
        pytest.skip("no C compiler here")


def plain_logprobs(model, groups):
    """Each response alone behind its prompt, through transformers' own attention."""
    model.set_attn_implementation("sdpa")
    parts = []
    for group in groups:
        for response in group.responses:
            ids = torch.tensor([[*group.prompt_ids, *response.token_ids]])
            logprobs = torch.log_softmax(model(ids).logits[0] / TEMPERATURE, dim=-1)
            width = len(group.prompt_ids)
            parts.append(logprobs[width - 1 : -1].gather(1, ids[0, width:, None])[:, 0])
    return torch.cat(parts)


def packed_logprobs(model, groups):
    use_shared_prefix(model)
    row = pack_groups(groups)
    hidden = packed_hidden_states(model, row)
    head = model.get_output_embeddings().weight
    return token_logprobs(hidden, head, row.targets_M, TEMPERATURE).logprobs_N


def gradients(model, logprobs):
    weights = torch.linspace(-1, 1, len(logprobs), dtype=logprobs.dtype)
    model.zero_grad()
    (logprobs * weights).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(model, expected, expected_grads, groups):
    got = packed_logprobs(model, groups)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    for name, grad in gradients(model, got).items():
        scale = expected_grads[name].abs().max().clamp(min=1.0)
        assert (grad - expected_grads[name]).abs().max() / scale < 1e-5, name


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_equals_the_plain_forward_with_gradients(arch):
    model, groups = make_model(arch), make_groups()
    expected = plain_logprobs(model, groups)
    assert expected.std() > 0.5, "a uniform model would hide a wrong mask"
    assert_same(model, expected, gradients(model, expected), groups)


@pytest.mark.parametrize("arch", ["qwen3", "llama"])
def test_the_padded_path_of_other_devices_is_the_same(arch, monkeypatch):
    model, groups = make_model(arch), make_groups(seed=1)
    expected = plain_logprobs(model, groups)
    expected_grads = gradients(model, expected)

    def padded(q, k, v, layout, scale):
        return padded_attention(q, k, v, layout, scale)

    monkeypatch.setattr(shared_prefix._TreeAttention, "apply", padded)
    monkeypatch.setattr(shared_prefix, "fits", lambda *_: False)
    assert_same(model, expected, expected_grads, groups)


def test_a_sliding_window_is_respected():
    window = {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 1}
    model, groups = make_model("qwen2", **window), make_groups()
    assert "sliding_attention" in model.config.layer_types
    expected = plain_logprobs(model, groups)
    assert_same(model, expected, gradients(model, expected), groups)


def test_the_row_holds_every_prompt_once_and_no_padding():
    groups = make_groups()
    row = pack_groups(groups)
    tokens = sum(len(g.prompt_ids) + sum(len(r.token_ids) - 1 for r in g.responses) for g in groups)
    assert row.input_ids_1N.shape == (1, tokens)
    assert row.targets_M.tolist() == [t for g in groups for r in g.responses for t in r.token_ids]
    places = torch.cat([bucket.index_BT.flatten() for bucket in row.layout.buckets])
    assert sorted(places[places < tokens].tolist()) == list(range(tokens))


def test_gradient_checkpointing_changes_nothing():
    model, groups = make_model("qwen3"), make_groups()
    first = packed_logprobs(model, groups)
    grads = gradients(model, first)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    second = packed_logprobs(model, groups)
    assert torch.equal(first, second)
    for name, grad in gradients(model, second).items():
        assert torch.equal(grad, grads[name]), name


def test_a_plain_batch_through_a_prepared_model_is_refused():
    model = make_model("qwen2")
    use_shared_prefix(model)
    with pytest.raises(UserError, match="packed rows"):
        model(torch.ones(1, 4, dtype=torch.long))


class Scaled(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x) * 0.5


def test_the_self_check_names_an_architecture_whose_head_is_more_than_a_matrix():
    model = make_model("qwen2")
    check_packed_path(model)
    model.set_attn_implementation("sdpa")
    model.lm_head.__class__ = Scaled
    with pytest.raises(UserError, match="Qwen2ForCausalLM"):
        check_packed_path(model)


def test_long_groups_stay_exact_on_rows_of_many_buckets():
    groups = [
        TrainGroup(
            (5, 6, 7),
            [
                TrainResponse([2 + (i * j) % 250 for i in range(1, n)], [], [])
                for j, n in enumerate((2, 3, 5, 9, 17, 33, 65, 129, 257), 1)
            ],
        )
    ]
    model = make_model("qwen2")
    with torch.no_grad():
        expected = plain_logprobs(model, groups)
        torch.testing.assert_close(packed_logprobs(model, groups), expected, atol=1e-5, rtol=0)
    assert len(pack_groups(groups).layout.buckets) > 4
