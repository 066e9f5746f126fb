"""Pretraining: documents -> rows -> next-token loss -> weights.

Plain next-token cross-entropy over whole documents, Muon on the matrices and AdamW on the rest,
a constant learning rate and a linear decay. Left out on purpose: data loaders, several devices,
mixed precision; the base has under a million parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional
from transformers import Qwen2Config, Qwen2ForCausalLM

from r1.data.tiny.tokenizer import train_tokenizer
from r1.learner.optimizer import PolicyOptimizer
from r1.pretrain.rows import draw_rows
from r1.pretrain.settings import BaseModelSettings, PretrainRecipe

STATE_FILE = "pretrain_state.pt"


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
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(recipe.model.vocab_size, recipe.tokenizer_documents, recipe.seed)
    torch.manual_seed(recipe.seed)
    model = Qwen2ForCausalLM(model_config(recipe.model, tokenizer.eos_token_id))
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
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / STATE_FILE).unlink(missing_ok=True)
    return folder


def model_config(settings: BaseModelSettings, eos_token_id: int) -> Qwen2Config:
    """The transformers configuration of the base."""
    return Qwen2Config(
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
    rows = draw_rows(tokenizer, recipe.rows_per_step, recipe.row_length, recipe.seed, step)
    kept = rows.labels_BT != -100
    hidden_BTD = model.model(
        input_ids=rows.input_ids_BT,
        attention_mask=rows.attention_mask(),
        position_ids=rows.positions_BT,
        use_cache=False,
    ).last_hidden_state
    logits_NV = model.lm_head(hidden_BTD[kept])
    loss = functional.cross_entropy(logits_NV, rows.labels_BT[kept])
    loss.backward()
    optimizer.step(step)
    return loss.item()


def _save_state(folder: Path, step: int, model, optimizer) -> None:
    state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    temporary = folder / (STATE_FILE + ".tmp")
    torch.save(state, temporary)
    temporary.replace(folder / STATE_FILE)


def _resume(folder: Path, model, optimizer) -> int:
    path = folder / STATE_FILE
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]
