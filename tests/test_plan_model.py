"""Parameters, FLOPs and memory counted from dimensions, against published and real models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from r1.algorithms.grpo import GRPO
from r1.learner.local import LocalLearner
from r1.pipeline.recipe import load_any_recipe
from r1.plan.flops import forward_flops, generation_flops, training_flops
from r1.plan.hardware import HARDWARE, Rates
from r1.plan.memory import cache_tokens, learner_memory
from r1.plan.model import UnknownModelError, shape_from_config, shape_of
from r1.rollout.kv_cache import KVMemory
from r1.rollout.scheduler import Room
from r1.rollout.settings import EngineSettings
from small_models import ARCHITECTURES, make_model, save_small_model
from train_batches import make_batch_of, make_groups

ROOT = Path(__file__).parents[1]

PUBLISHED = {
    # Parameters as the model pages state them, to the last one.
    "Qwen/Qwen2.5-1.5B": 1_543_714_304,
    "Qwen/Qwen2.5-Math-1.5B": 1_543_714_304,
    "Qwen/Qwen2.5-Math-7B": 7_615_616_512,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "Qwen/Qwen2.5-14B": 14_770_033_664,
    "Qwen/Qwen2.5-32B": 32_763_876_352,
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "meta-llama/Llama-3.3-70B-Instruct": 70_553_706_496,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_models_known_by_name_have_their_published_sizes(name: str) -> None:
    assert shape_of(name).parameters == PUBLISHED[name]


def test_deepseek_v3_has_671b_parameters_of_which_36_6b_multiply_a_token() -> None:
    """Its README: 671B main model; 36.6B activated, 0.9B of the output head included."""
    shape = shape_of("deepseek-ai/DeepSeek-V3-Base")
    assert round(shape.parameters / 1e9) == 671
    assert round(shape.matmul_parameters / 1e9, 1) == 36.6
    assert round(shape.active_parameters / 1e9) == 38  # the input embedding besides
    # Technical report of V2 and V3: 512 latent and 64 rotary numbers a token and layer.
    assert shape.kv_per_token == 61 * 576


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_counts_are_those_of_real_models(arch: str) -> None:
    model = make_model(arch)
    shape = shape_from_config(model.config.to_dict(), arch)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_biases_and_untied_heads_are_counted() -> None:
    model = make_model("llama", attention_bias=True, mlp_bias=True, tie_word_embeddings=False)
    shape = shape_from_config(model.config.to_dict(), "llama")
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_a_model_is_found_by_folder_name_or_short_name(tmp_path: Path) -> None:
    folder = save_small_model(tmp_path / "mine")
    assert shape_of("mine", tmp_path).parameters == shape_of(str(folder)).parameters
    assert shape_of("DeepSeek-V3-Base").layers == 61
    tiny = shape_of("tiny")
    assert (tiny.parameters, tiny.vocab) == (919_680, 1024)


def test_unknown_models_are_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="give a folder that holds its config"):
        shape_of("owner/never-heard-of")
    with pytest.raises(UnknownModelError, match="has no config"):
        shape_of(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    with pytest.raises(UnknownModelError, match="'mamba' are not counted"):
        shape_of(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(UnknownModelError, match="no 'num_hidden_layers'"):
        shape_of(str(tmp_path))


def test_flops_are_those_of_the_matrix_products() -> None:
    """Against PyTorch's own counter on a plain forward pass. It counts the whole square of scores
    where causality needs half, so the attention of one sequence is taken twice."""
    from torch.utils.flop_counter import FlopCounterMode

    model = make_model("qwen2", attn_implementation="eager")
    shape = shape_from_config(model.config.to_dict(), "qwen2")
    tokens = 64
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, tokens, dtype=torch.long))
    linear = 2 * shape.matmul_parameters * tokens
    attention = forward_flops(shape, 0, tokens) - linear
    assert attention > 0
    # Norms and biases are counted as parameters here, and are no matrix products there.
    assert counter.get_total_flops() == pytest.approx(linear + 2 * attention, rel=0.01)


def test_one_prompt_serves_its_group() -> None:
    shape = shape_of("tiny")
    one, group = generation_flops(shape, 100, 50, 1), generation_flops(shape, 100, 50, 8)
    assert group == pytest.approx(8 * one - 7 * forward_flops(shape, 100, 0))
    assert training_flops(shape, 100, 50) == pytest.approx(3 * one)


def test_rates_stand_below_what_deepseek_published() -> None:
    """180,000 H800-hours a trillion tokens of training at a context of 4,096; 14,800 output tokens
    a second on eight H800 at a mean context of 4,989."""
    shape, peak = shape_of("deepseek-ai/DeepSeek-V3"), HARDWARE["H800"].peak_flops
    per_token = training_flops(shape, 0, 4096) / 4096
    trained = per_token * 1e12 / (180_000 * 3600) / peak
    widths = shape.key_width + shape.value_width
    one = 2 * shape.matmul_parameters + 2 * shape.layers * shape.heads * widths * 4989
    served = one * 14_800 / 8 / peak
    assert (round(trained, 2), round(served, 2)) == (0.39, 0.18)
    assert Rates().training_share < trained
    assert Rates().generation_share < served


def test_memory_of_weights_moments_and_gradients_is_exact(tmp_path: Path) -> None:
    """A learner that has taken a step holds what the plan says, its reference included."""
    overrides = ["learner.device=cpu", "grpo.kl_weight=0.1", "engine.device=cpu"]
    recipe = load_any_recipe(ROOT / "recipes" / "tiny" / "r1_zero.toml", overrides)
    folder = save_small_model(tmp_path / "m", "qwen2")
    learner = LocalLearner(folder, recipe.learner, recipe.optimizer, GRPO(recipe.grpo))
    weights = sum(p.numel() * p.element_size() for p in learner.model.parameters())
    memory = learner_memory(recipe, shape_of(str(folder)))
    planned = {item.part: item.bytes for item in memory.items}
    assert planned["weights"] == planned["gradients"] == planned["reference"] == weights
    learner.update(make_batch_of(make_groups()))
    moments = sum(
        tensor.numel() * tensor.element_size()
        for optimizer, _ in learner.optimizer.optimizers
        for state in optimizer.state.values()
        for name, tensor in state.items()
        if name != "step"
    )
    assert planned["optimiser"] == moments == 2 * weights


def test_the_cache_has_the_engine_s_own_size() -> None:
    """Rows and slots as the scheduler plans them, with prompts of 512 tokens."""
    engine = EngineSettings(max_batch=256, max_kv_tokens=400_000)
    room = Room.plan([512] * 64, [1024] * 64, [8] * 64, engine.max_batch, engine.max_kv_tokens)
    memory = KVMemory(2, room.rows, room.own, room.slots, room.prompt)
    rows, own = memory.own_size
    slots, prompt = memory.prompt_size
    assert cache_tokens(engine, 512, 8, 1024) == rows * own + slots * prompt
