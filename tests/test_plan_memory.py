"""The plan's memory by part against the tensors of real learners, and of ranks by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.config import validate
from r1.data.tiny import MODELS
from r1.learner import lora
from r1.learner.local import LocalLearner
from r1.learner.packing import pack_groups
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.models.load import load_model
from r1.pipeline.recipe import load_any_recipe
from r1.plan.adapters import adapters_of
from r1.plan.memory import (
    Memory,
    MicrobatchRow,
    full_row,
    learner_memory,
)
from r1.plan.model import shape_of
from r1.r1_zero.settings import R1ZeroRecipe
from r1.sft.learner import TokenMeanObjective
from small_models import save_small_model
from train_batches import make_groups

RECIPES = Path(__file__).parents[1] / "recipes"
CPU = "cpu"


def recipe_of(**learner: object) -> SimpleNamespace:
    settings = LearnerSettings(device="cpu", **learner)  # type: ignore[arg-type]
    return SimpleNamespace(
        learner=settings, optimizer=OptimizerSettings(), grpo=GRPOSettings(kl_weight=0.0)
    )


def saved_bytes(learner: LocalLearner, row) -> int:
    """Storages that autograd keeps after a forward pass, weights and their casts left out."""
    own = {p.untyped_storage().data_ptr() for p in learner.model.parameters()}
    shapes = {tuple(p.shape) for p in learner.model.parameters()}
    shapes |= {tuple(reversed(shape)) for shape in shapes}
    saved, alive = {}, []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tuple(tensor.shape) not in shapes:
            alive.append(tensor)  # or its address would be given to another
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    learner.learning_mode(True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = learner.logprobs(learner.model, row)
    del kept
    return sum(saved.values())


@pytest.mark.parametrize(
    ("arch", "settings"),
    [
        ("qwen2", {}),
        ("llama", {}),
        ("qwen3", {}),
        ("qwen2", {"gradient_checkpointing": True}),
        ("qwen2", {"lora": LoraSettings(rank=4)}),
        ("llama", {"autocast": True}),
        ("qwen2", {"dtype": "bfloat16"}),
    ],
)
def test_activations_are_what_autograd_saves(
    tmp_path: Path, arch: str, settings: dict, monkeypatch
) -> None:
    """Within 2.5 % (small vectors: positions, rotations, targets); with adapters 5 %: the first
    layer, below which nothing is trained, saves less."""
    folder = save_small_model(tmp_path / "m", arch, hidden_size=128, intermediate_size=320)
    monkeypatch.setattr(LearnerSettings, "logits_budget_mb", 1)
    recipe = recipe_of(**settings)
    learner = LocalLearner(folder, recipe.learner, recipe.optimizer, GRPO(recipe.grpo))
    groups = make_groups(prompts=(19, 40), lengths=((90, 71, 83), (60, 120)))
    row = pack_groups(groups)
    size = MicrobatchRow(row.input_ids_1N.shape[1], len(row.targets_M), 160)
    memory = learner_memory(recipe, shape_of(str(folder)), 1, CPU, size)
    planned = next(i.bytes for i in memory.items if i.part == "activations")
    close = 0.05 if recipe.learner.lora else 0.025
    assert planned == pytest.approx(saved_bytes(learner, row), rel=close)


def phase_of(memory: Memory, phase: str) -> dict[str, float]:
    return {item.part: item.bytes for item in memory.items if item.phase == phase}


def test_a_rank_holds_its_share_and_what_is_gathered() -> None:
    """Qwen2.5-32B on 64 ranks, fp32 weights under autocast, by hand."""
    path = RECIPES / "cluster" / "r1_zero_qwen_32b.toml"
    recipe = load_any_recipe(path)
    shape = shape_of(recipe.model)
    memory = learner_memory(recipe, shape, 64)
    share = 4 * shape.parameters / 64
    assert phase_of(memory, "resident") == pytest.approx(
        {"weights": share, "optimiser": 2 * share, "reference": share}
    )
    layer = 2 * 5120 * 5120 + 2 * 5120 * 1024 + 5120 + 2 * 1024 + 2 * 5120 + 3 * 5120 * 27_648
    assert shape.largest_layer == layer
    backward = phase_of(memory, "backward")
    # The layer at work, the next one, both tables of 152,064 x 5,120, in bf16; gradients of one
    # layer in bf16 and, to be summed, in fp32.
    assert backward["gathered parameters"] == 2 * (2 * layer + 2 * 152_064 * 5120)
    assert backward["gathered gradients"] == (2 + 4) * layer
    assert backward["gradients"] == share
    # Recomputation keeps each layer's input, in bf16, and the last norm and hidden states; the row
    # is the longest response with its prompt.
    assert backward["activations"] == (32_768 + 512) * 5120 * (64 * 2 + (4 + 2) + 2)
    assert memory.peak == pytest.approx(sum(memory.at_peak().values()))


@pytest.mark.parametrize(
    ("name", "section"),
    [("grpo", {}), ("grpo", {"kl_weight": 0.0}), ("ppo", {"critic": "own"}), ("prime", {})],
)
def test_every_model_that_a_learner_keeps_is_planned(name: str, section: dict) -> None:
    values = {
        "model": "tiny",
        "num_steps": 9,
        "data": {"train": [{"kind": "tiny", "split": "train", "num": 1}]},
    }
    recipe = validate({**values, name: section}, R1ZeroRecipe, "recipe")
    planned = phase_of(learner_memory(recipe, shape_of("tiny"), 1, CPU), "resident")
    algorithm = recipe.make_algorithm()
    assert ("reference" in planned) == algorithm.needs_reference
    assert ("critic" in planned) == (getattr(algorithm, "critic_lr", None) is not None)


def test_more_ranks_need_less_and_recomputation_trades_activations() -> None:
    recipe = load_any_recipe(RECIPES / "cluster" / "r1_zero_qwen_32b.toml")
    shape = shape_of(recipe.model)
    peaks = [learner_memory(recipe, shape, n).peak for n in (8, 16, 64, 256)]
    assert peaks == sorted(peaks, reverse=True)
    path = RECIPES / "cluster" / "r1_zero_qwen_32b.toml"
    without = load_any_recipe(path, ["learner.gradient_checkpointing=false"])
    kept = phase_of(learner_memory(without, shape, 64), "backward")["activations"]
    assert kept > 8 * phase_of(learner_memory(recipe, shape, 64), "backward")["activations"]


def test_adapters_leave_no_gradients_of_the_model() -> None:
    path = RECIPES / "gpus" / "r1_zero_1.5b_1_gpu.toml"
    shape = shape_of("Qwen/Qwen2.5-1.5B")
    whole = learner_memory(load_any_recipe(path), shape)
    recipe = load_any_recipe(path, ["learner.lora.rank=64"])
    lora = learner_memory(recipe, shape)
    trained = 4 * adapters_of(shape, recipe.learner.lora).parameters
    assert phase_of(lora, "step")["gradients"] == trained
    assert phase_of(lora, "resident")["optimiser"] == 2 * trained
    assert phase_of(lora, "sync")["merged copy"] == 3 * 4 * shape.width * shape.ffn
    ahead = load_any_recipe(
        path, ["learner.lora.rank=64", "grpo.staleness=1", "grpo.importance_cap=2.0"]
    )
    whole_copy = phase_of(learner_memory(ahead, shape), "sync")["merged copy"]
    assert 3 * shape.parameters < whole_copy < 4 * shape.parameters
    assert lora.peak < whole.peak - 15e9


@pytest.mark.parametrize(
    ("recipe", "changes", "tokens"),
    [
        ("tiny/r1_zero", ["grpo.num_problems=4", "grpo.group_size=4"], 16 * (200 + 512)),
        ("tiny/r1_zero", [], None),
        ("tiny/r1_zero", ["grpo.num_minibatches=64"], 8 * (200 + 512)),
        ("tiny/sft", ["batch.size=3", "batch.max_tokens=256"], 3 * 256),
        ("tiny/helpful_rm", ["batch.size=5", "batch.max_tokens=64"], 2 * 5 * 64),
        ("tiny/harmless_rm", ["batch.size=5", "batch.max_tokens=64"], 5 * 64),
    ],
)
def test_a_row_holds_no_more_than_a_step(recipe: str, changes: list[str], tokens: int) -> None:
    """tokens: of all sequences of an optimiser step at their longest; None: above the budget."""
    budget = 16_384
    changes = [*changes, f"learner.tokens_per_microbatch={budget}"]
    found = load_any_recipe(RECIPES / f"{recipe}.toml", changes)
    row = full_row(found)
    assert row.tokens == min(budget, tokens or budget)
    assert row.several is (tokens is None)


@pytest.mark.parametrize(
    ("recipe", "changes", "tokens"),
    [
        ("tiny/r1_zero", ["sampling.max_new_tokens=4096"], 4096 + 512),
        ("tiny/sft", ["batch.max_tokens=3000"], 3000),
        ("tiny/helpful_rm", ["batch.max_tokens=1000"], 2 * 1000),
        ("tiny/harmless_rm", ["batch.max_tokens=1000"], 1024),
    ],
)
def test_what_is_never_cut_is_a_row_of_its_own(
    recipe: str, changes: list[str], tokens: int
) -> None:
    changes = [*changes, "learner.tokens_per_microbatch=1024"]
    row = full_row(load_any_recipe(RECIPES / f"{recipe}.toml", changes))
    assert row.tokens == tokens
    assert row.several


def test_muon_keeps_one_moment_of_a_matrix_and_adamw_two_of_the_rest() -> None:
    shape = shape_of("tiny")
    settings = OptimizerSettings(kind="muon")
    learner = LocalLearner(
        MODELS["tiny"], LearnerSettings(device=CPU), settings, TokenMeanObjective()
    )
    for parameter in learner.model.parameters():
        parameter.grad = torch.randn_like(parameter)
    learner.optimizer.step(0)
    states = [each.state.values() for each, _ in learner.optimizer.optimizers]
    kept = [value for state in states for values in state for value in values.values()]
    held = sum(value.nbytes for value in kept if value.ndim)
    recipe = load_any_recipe(RECIPES / "tiny/sft.toml", ['optimizer.kind="muon"'])
    assert phase_of(learner_memory(recipe, shape, 1, CPU), "resident")["optimiser"] == held


@pytest.mark.parametrize(
    "targets",
    [
        "all-linear",
        ("q_proj", "v_proj"),
        r"model\.layers\.0\..*(up|o)_proj",
        ("mlp.down_proj", "model.layers.1.self_attn.k_proj"),
    ],
)
def test_adapters_are_counted_where_they_are(targets: str | tuple[str, ...]) -> None:
    settings = LoraSettings(rank=4, target_modules=targets)
    model = load_model(MODELS["tiny"])
    lora.attach(model, settings, 0)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    found = adapters_of(shape_of("tiny"), settings)
    assert found.parameters == trained
    matrices = sum("lora_A" in name for name, _ in model.named_parameters())
    assert found.per_layer == matrices / shape_of("tiny").layers
