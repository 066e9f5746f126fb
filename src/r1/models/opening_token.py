"""Tokenizers that omit BOS although their model was trained on texts that begin with it.

A conversion can lose the part of a tokenizer that writes BOS (its post-processor): prompts then
begin as no training text did, and the model predicts them far worse, without an error anywhere.
Whether BOS belongs there is known from `add_bos_token` in tokenizer_config.json, which transformers
leaves unread beside a tokenizer.json, and for Gemma from the family: all of its models were trained
with it. Other families are taken by their word, since models of one architecture differ (Llama's
begin with BOS, SmolLM's, of the same one, do not).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from tokenizers import processors

from r1.chat_template import ChatTemplateError, render_chat
from r1.errors import UserError

_FAMILIES = ("gemma",)


def begins_with_bos(tokenizer: Any) -> bool:
    """Whether the tokens of a plain text begin with BOS."""
    bos = tokenizer.bos_token_id
    return bos is not None and tokenizer("a", add_special_tokens=True)["input_ids"][:1] == [bos]


def opening_facts(tokenizer: Any, prompt_ids: Sequence[int]) -> dict[str, Any]:
    """Return what a run records of BOS (`r1.run_dir.shapes.Facts`). prompt_ids: of any prompt.

    bos_token is None as well where the tokenizer says that texts begin without it, and where its
    chat template opens every turn with it (SmolLM2's <|im_start|>): it marks turns, not texts.
    """
    bos, folder = tokenizer.bos_token_id, tokenizer.name_or_path
    said = _config(folder).get("add_bos_token") if folder else None
    unwanted = bos is None or said is False or (said is None and _opens_every_turn(tokenizer))
    return {
        "bos_token": None if unwanted else str(tokenizer.bos_token),
        "eos_token": None if tokenizer.eos_token_id is None else str(tokenizer.eos_token),
        "prompts_begin_with_bos": bos is not None and list(prompt_ids[:1]) == [bos],
    }


def _opens_every_turn(tokenizer: Any) -> bool:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 2
    if not tokenizer.chat_template:
        return False
    try:
        rendered = render_chat(tokenizer, turns, open_answer=False)
    except (ChatTemplateError, UserError):  # told where the template is used
        return False
    return rendered.count(str(tokenizer.bos_token)) >= len(turns)


def write_bos(tokenizer: Any, model: str | Path) -> bool:
    """Make a tokenizer begin texts with BOS if it should; return whether it was changed.

    model: the folder or hub id that it was loaded from. The tokenizer that is saved with a trained
    model then writes BOS as well.
    """
    if tokenizer.bos_token_id is None or begins_with_bos(tokenizer):
        return False
    if not _should(tokenizer, _config(model)):
        return False
    bos = str(tokenizer.bos_token)
    opening = processors.TemplateProcessing(
        single=f"{bos}:0 $A:0",
        pair=f"{bos}:0 $A:0 {bos}:1 $B:1",
        special_tokens=[(bos, tokenizer.bos_token_id)],
    )
    backend = tokenizer.backend_tokenizer
    before = backend.post_processor
    backend.post_processor = opening if before is None else processors.Sequence([before, opening])
    return True


def _config(model: str | Path) -> dict[str, Any]:
    """Return tokenizer_config.json of a folder or a cached hub id, {} without one."""
    path = Path(model) / "tokenizer_config.json"
    if not Path(model).is_dir():
        cached = try_to_load_from_cache(str(model), path.name)
        path = Path(cached) if isinstance(cached, str) else path
    values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return values if isinstance(values, dict) else {}


def _should(tokenizer: Any, config: dict[str, Any]) -> bool:
    if isinstance(said := config.get("add_bos_token"), bool):
        return said
    names = (type(tokenizer).__name__, str(config.get("tokenizer_class", "")))
    return any(name.lower().startswith(_FAMILIES) for name in names)
