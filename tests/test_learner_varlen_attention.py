"""The way CUDA takes through packed rows, all of it but the kernels, which a reference stands for.

Values and gradients against the padded attention in float64, and whole models, learners and reward
models against the plain ones.
"""

from __future__ import annotations

import pytest
import torch

import flash_reference
from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.learner import shared_prefix
from r1.learner.local import LocalLearner
from r1.learner.packing import pack_groups
from r1.learner.padded_attention import padded_attention
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.learner.varlen_attention import split_plan, takes, varlen_attention
from r1.reward_model.learner import RewardLearner
from r1.types import TrainGroup, TrainResponse
from reward_model_data import random_pairs
from small_models import ARCHITECTURES, SMOOTH_EPSILON, make_model, save_small_model
from test_learner_shared_prefix import gradients, packed_logprobs, plain_logprobs
from train_batches import make_batch_of, make_groups


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    """Take the way of CUDA on a CPU."""
    with flash_reference.on_cpu():
        monkeypatch.setattr(shared_prefix, "takes", lambda *_: True)
        yield


def groups_of(*shapes: tuple[int, list[int]]) -> list[TrainGroup]:
    return [
        TrainGroup((1,) * prompt, [TrainResponse([1] * n, [], []) for n in lengths])
        for prompt, lengths in shapes
    ]


LAYOUTS = {
    "several prompts": groups_of((1, [2, 17, 5]), (16, [1, 16, 33]), (37, [9, 40])),
    "one prompt": groups_of((12, [7, 30, 2])),
    "one-token responses": groups_of((5, [1, 1]), (9, [1])),
    "with sequences alone": groups_of((30, []), (4, [6, 2]), (7, [])),
    "sequences alone": groups_of((30, []), (1, []), (7, [])),
}


@pytest.mark.parametrize("window", [None, 1, 2, 8, 20, 1000])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("heads", "kv_heads", "width", "value_width"), [(4, 2, 16, 16), (3, 3, 24, 16), (6, 1, 12, 12)]
)
def test_values_and_gradients_equal_float64(heads, kv_heads, width, value_width, layout, window):
    layout = pack_groups(LAYOUTS[layout]).layout
    torch.manual_seed(heads)
    shapes = ((heads, width), (kv_heads, width), (kv_heads, value_width))
    inputs = [torch.randn(layout.num_tokens, *shape).double() for shape in shapes]
    grad = torch.randn(layout.num_tokens, heads, value_width).double()
    results = []
    for attend in (padded_attention, varlen_attention):
        leaves = [x.clone().requires_grad_() for x in inputs]
        out = attend(*leaves, layout, 0.3, window)
        results.append([out.detach(), *torch.autograd.grad(out, leaves, grad)])
    assert flash_reference.calls.count("backward") > 0
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("arch", [*ARCHITECTURES, "gemma3_text"])
def test_models_equal_the_plain_forward_with_gradients(arch):
    changes = {}
    if arch == "gemma3_text":
        changes = {"head_dim": 16, "sliding_window": 12, "num_hidden_layers": 6}
        changes |= {"layer_types": ["sliding_attention"] * 5 + ["full_attention"]}
    model, groups = make_model(arch, scale=2.0 if changes else 6.0, **changes), make_groups()
    expected = plain_logprobs(model, groups)
    expected_grads = gradients(model, expected)
    got = packed_logprobs(model, groups)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    for name, grad in gradients(model, got).items():
        scale = expected_grads[name].abs().max().clamp(min=1.0)
        assert (grad - expected_grads[name]).abs().max() / scale < 1e-5, name
    assert {"forward", "backward"} <= set(flash_reference.calls)


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_an_update_is_that_of_the_cpu(tmp_path, monkeypatch, lora, checkpointing):
    if lora is not None:
        pytest.importorskip("peft")
    folder = save_small_model(tmp_path / "model", "qwen3")

    def learn():
        learner = LocalLearner(
            folder,
            LearnerSettings(
                device="cpu",
                lora=lora,
                gradient_checkpointing=checkpointing,
                tokens_per_microbatch=200,
            ),
            OptimizerSettings(lr=1e-3, epsilon=SMOOTH_EPSILON),
            GRPO(GRPOSettings(kl_weight=0.1)),
        )
        metrics = [learner.update(make_batch_of(make_groups(seed))) for seed in (1, 2)]
        return metrics, {name: tensor.clone() for name, tensor in learner.weights()}

    metrics, weights = learn()
    assert {"forward", "backward"} <= set(flash_reference.calls)
    monkeypatch.setattr(shared_prefix, "takes", takes)
    plain_metrics, plain_weights = learn()
    for ours, plain in zip(metrics, plain_metrics, strict=True):
        assert ours["loss"] == pytest.approx(plain["loss"], abs=1e-5)
        assert ours["grad_norm"] == pytest.approx(plain["grad_norm"], rel=1e-4)
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, plain_weights[name], atol=1e-5, rtol=0)


def test_a_reward_model_scores_and_learns_as_on_the_cpu(tmp_path, monkeypatch):
    folder = save_small_model(tmp_path / "model")
    pairs = random_pairs([(5, 9, 30), (12, 3, 3), (1, 20, 1)])

    def learn():
        settings = LearnerSettings(device="cpu")
        learner = RewardLearner(folder, settings, OptimizerSettings(epsilon=SMOOTH_EPSILON))
        return learner.update(pairs), dict(learner.model.named_parameters())

    metrics, weights = learn()
    assert {"forward", "backward"} <= set(flash_reference.calls)
    monkeypatch.setattr(shared_prefix, "takes", takes)
    plain_metrics, plain_weights = learn()
    assert metrics["loss"] == pytest.approx(plain_metrics["loss"], abs=1e-5)
    for name, parameter in weights.items():
        torch.testing.assert_close(parameter, plain_weights[name], atol=1e-5, rtol=0)


def test_a_plan_is_made_once_and_neighbours_are_not_copied():
    layout = pack_groups(LAYOUTS["one prompt"]).layout
    q = torch.randn(layout.num_tokens, 2, 16)
    made = []
    for _ in range(3):
        varlen_attention(q, q, q, layout, 0.3)
        made.append(layout.once("split", lambda: pytest.fail("made again")))
    assert made[0] is made[1] is made[2]
    assert isinstance(split_plan(layout).responses.where, slice)


def test_what_the_kernels_do_not_take_is_left_to_others():
    x = torch.zeros(3, 2, 64, dtype=torch.bfloat16)
    assert not takes(x, x, x), "on a CPU"
    fake = torch.device("cuda")

    class OnCuda:
        def __init__(self, tensor: torch.Tensor) -> None:
            self.device, self.dtype, self.shape = fake, tensor.dtype, tensor.shape

    def on_cuda(width: int, dtype: torch.dtype) -> bool:
        return takes(*[OnCuda(torch.zeros(3, 2, width, dtype=dtype))] * 3)

    assert on_cuda(64, torch.bfloat16)
    assert on_cuda(256, torch.float16)
    assert not on_cuda(264, torch.bfloat16)
    assert not on_cuda(64, torch.float32)
