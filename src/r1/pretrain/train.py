"""Pretraining: documents -> packed rows -> next-token loss -> weights.

Plain next-token cross-entropy over whole documents, Muon on the matrices and AdamW on the rest,
a constant learning rate and a linear decay. Left out on purpose: data loaders, several devices,
mixed precision; the base has under a million parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen2Config
from typing_extensions import TypedDict

from r1.data.tiny.tokenizer import train_tokenizer
from r1.learner.microbatch import index_responses, split_microbatches
from r1.learner.modes import TORCH_SEEDS
from r1.learner.optimizer import PolicyOptimizer
from r1.learner.packing import pack_groups
from r1.learner.shared_prefix import packed_hidden_states, use_shared_prefix
from r1.learner.state import OptimizerState, Tensors, Updates, check_fits, read_tensors
from r1.learner.token_logprobs import token_logprobs
from r1.pretrain.documents import draw_groups
from r1.pretrain.settings import BaseModelSettings, PretrainRecipe
from r1.run_dir import atomic
from r1.run_dir.foreign import held_in, refuse_foreign
from r1.types import TrainBatch

STATE_FILE = "pretrain_state.pt"


class _State(TypedDict):
    """pretrain_state.pt"""

    step: Updates
    model: Tensors
    optimizer: list[OptimizerState]


def pretrain(
    recipe: PretrainRecipe,
    folder: Path,
    report: Callable[[int, float, float], None] = lambda step, loss, seconds_left: None,
) -> Path:
    """Train the base into `folder` (Hugging Face layout); the same call carries on when killed.

    report(step, loss, seconds_left) is called after every step.
    """
    if recipe.num_threads:
        torch.set_num_threads(recipe.num_threads)
    held = held_in(folder, "the model")
    if not (folder / STATE_FILE).exists():
        refuse_foreign(folder, held, "not a model in the making")
    atomic.make_folder(folder)
    atomic.remove_leftovers(folder)
    tokenizer = train_tokenizer(recipe.model.vocab_size, recipe.tokenizer_documents, recipe.seed)
    torch.manual_seed(recipe.seed % TORCH_SEEDS)
    model = AutoModelForCausalLM.from_config(model_config(recipe.model, tokenizer.eos_token_id))
    use_shared_prefix(model)
    embeddings = model.get_input_embeddings().parameters()  # tied: the output head is the same
    optimizer = PolicyOptimizer(
        model.named_parameters(), recipe.optimizer, recipe.num_steps, not_matrices=embeddings
    )
    first = _resume(folder, model, optimizer)
    started = time.monotonic()
    for step in range(first, recipe.num_steps):
        loss = _train_step(recipe, step, tokenizer, model, optimizer)
        done = step + 1 - first
        report(step + 1, loss, (time.monotonic() - started) / done * (recipe.num_steps - step - 1))
        if (step + 1) % recipe.checkpoint_every == 0:
            _save_state(folder, step + 1, model, optimizer)
    _save_state(folder, recipe.num_steps, model, optimizer)  # a kill below leaves a known folder
    model.set_attn_implementation("sdpa")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / STATE_FILE).unlink(missing_ok=True)
    return folder


def model_config(settings: BaseModelSettings, eos_token_id: int) -> PretrainedConfig:
    """The transformers configuration of the base."""
    kind = {"qwen2": Qwen2Config, "llama": LlamaConfig}[settings.architecture]
    return kind(
        vocab_size=settings.vocab_size,
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.num_layers,
        num_attention_heads=settings.num_heads,
        num_key_value_heads=settings.num_kv_heads,
        max_position_embeddings=settings.max_position_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": settings.rope_theta},
        tie_word_embeddings=True,
        eos_token_id=eos_token_id,
        pad_token_id=eos_token_id,
        bos_token_id=None,
    )


def _train_step(recipe, step, tokenizer, model, optimizer) -> float:
    groups = draw_groups(tokenizer, recipe.tokens_per_step, recipe.seed, step)
    num_tokens = sum(len(group.responses[0].token_ids) for group in groups)
    batch = TrainBatch(groups, num_responses=len(groups), num_tokens=num_tokens)
    total = 0.0
    for micro in split_microbatches(index_responses(batch), recipe.tokens_per_microbatch):
        row = pack_groups(micro.groups)
        hidden_MD = packed_hidden_states(model, row)
        logprobs_M = token_logprobs(hidden_MD, model.lm_head.weight, row.targets_M).logprobs_N
        loss = -logprobs_M.sum() / num_tokens
        loss.backward()
        total += loss.item()
    optimizer.step(step, total)
    return total


def _save_state(folder: Path, step: int, model, optimizer) -> None:
    state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    atomic.write_file(folder / STATE_FILE, lambda path: torch.save(state, path))


def _resume(folder: Path, model, optimizer) -> int:
    path = folder / STATE_FILE
    if not path.exists():
        return 0
    state = read_tensors(path, _State)
    check_fits(path, state["model"], model.state_dict())
    optimizer.load_state_dict(state["optimizer"], path)
    model.load_state_dict(state["model"])
    return state["step"]
