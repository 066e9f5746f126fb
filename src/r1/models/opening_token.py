"""Tokenizers whose model was trained on texts that begin with BOS, and which do not write it.

A conversion can lose the part of a tokenizer that writes BOS (its post-processor): prompts then
begin as no training text did, and the model predicts them far worse, without an error anywhere.
Whether BOS belongs there is known from the tokenizer's own `add_bos_token`, and for Gemma from the
family: all of its models were trained with it. Other families are taken by their word, since models
of one architecture differ (Llama's begin with BOS, SmolLM's, of the same one, do not).
"""

from __future__ import annotations

from typing import Any

from tokenizers.processors import Sequence, TemplateProcessing

_FAMILIES = ("gemma",)


def begins_with_bos(tokenizer: Any) -> bool:
    """Whether a plain text's tokens begin with BOS."""
    bos = tokenizer.bos_token_id
    return bos is not None and tokenizer("a", add_special_tokens=True)["input_ids"][:1] == [bos]


def write_bos(tokenizer: Any) -> bool:
    """Have a tokenizer begin texts with BOS where it should and does not; True where that was so.

    The tokenizer that is saved with a trained model then writes it as well.
    """
    if tokenizer.bos_token_id is None or begins_with_bos(tokenizer) or not _should(tokenizer):
        return False
    bos = str(tokenizer.bos_token)
    opening = TemplateProcessing(
        single=f"{bos}:0 $A:0",
        pair=f"{bos}:0 $A:0 {bos}:1 $B:1",
        special_tokens=[(bos, tokenizer.bos_token_id)],
    )
    backend = tokenizer.backend_tokenizer
    before = backend.post_processor
    backend.post_processor = opening if before is None else Sequence([before, opening])
    return True


def _should(tokenizer: Any) -> bool:
    said = tokenizer.init_kwargs.get("add_bos_token")
    if isinstance(said, bool):
        return said
    names = (type(tokenizer).__name__, str(tokenizer.init_kwargs.get("tokenizer_class", "")))
    return any(name.lower().startswith(_FAMILIES) for name in names)
