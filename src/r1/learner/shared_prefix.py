"""Attention over packed rows in which G responses share the prompt they continue.

transformers' own model code runs on the packed row (see `packing`); only its attention function is
replaced, through transformers' AttentionInterface. Linear layers so see real tokens only, and each
prompt passes through the model once per group instead of G times.

A response token attends to its whole prompt and, causally, to its own response. Both parts are
computed apart and merged by their log-sum-exps l (exact, as in FlashAttention):

    l = logaddexp(l_own, l_prompt),   out = out_own exp(l_own - l) + out_prompt exp(l_prompt - l)

The backward pass of each part, given the merged out and l, yields exactly its share of the
gradient. The own part runs over buckets of similar length, where right padding needs no mask under
causality; the prompt part is one product of all response tokens of a group with its prompt's keys,
copied for nobody.

`_chosen` is the one place where the way to compute is chosen:

    CUDA, half precision      FlashAttention's kernels for unequal lengths (`varlen_attention`)
    CPU, fp32                 tree_attention.c, where a compiler is at hand
    CPU                       the split through PyTorch's flash kernel, here
    all else                  `padded_attention`: every bucket is unpacked to queries [B, T] against
                              the keys prompt + own [B, K] with an explicit mask. On a CPU that is
                              value heads narrower than key heads (DeepSeek-V3) and sliding windows;
                              on CUDA fp32 without autocast, cards before Ampere, heads over 256

Left out on purpose: attention dropout (old and new log-probabilities must be of one function),
soft-capped scores and attention sinks; models that ask for them are refused.

Shapes: N tokens of the row, H query heads, J key/value heads, E head width, B segments of a bucket,
T tokens of a segment, K keys of a segment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from r1.errors import UserError
from r1.learner.native_attention import NativeTreeAttention, fits
from r1.learner.packing import LengthBucket, PackedRow, PrefixLayout
from r1.learner.padded_attention import padded_attention, repeat_heads
from r1.learner.varlen_attention import takes, varlen_attention
from r1.models.load import longrope_limit

NAME = "r1_shared_prefix"

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def packed_hidden_states(model: PreTrainedModel, row: PackedRow) -> Tensor:
    """Run a causal language model's body on a packed row; return the M predicting hidden states.

    The model must have been prepared by `use_shared_prefix`. Result: [M, D], with gradient.
    Raises UserError for a text beyond a longrope's original context: it would change the rotation
    of all texts of the row (`models.load.context_of_config`).
    """
    limit = longrope_limit(model.config)
    longest = max(s.prompt_length + s.length for s in row.layout.segments)
    if limit is not None and longest > limit:
        raise UserError(
            f"a text of {longest} tokens is longer than the original context of "
            f"{type(model).__name__}, whose longrope ends at {limit} here: use shorter texts, or a "
            "model without longrope"
        )
    hidden_1ND = model.base_model(
        input_ids=row.input_ids_1N,
        position_ids=row.position_ids_1N,
        use_cache=False,
        prefix_layout=row.layout,
    ).last_hidden_state
    return hidden_1ND[0].index_select(0, row.source_M)


def head_inputs(model: PreTrainedModel, hidden_MD: Tensor) -> Tensor:
    """Return what the output embedding takes: Granite and Cohere scale their logits, and their
    hidden states times the same number give the same logits."""
    config = model.config.get_text_config()
    scale = getattr(config, "logit_scale", None) or 1 / getattr(config, "logits_scaling", 1)
    return hidden_MD if scale == 1 else hidden_MD * scale


def use_shared_prefix(model: PreTrainedModel) -> None:
    """Make the model's attention follow the PrefixLayout it is called with.

    Trap: transformers builds no mask at all for an attention name without a mask function, which
    is what a packed row wants; but then a plain padded batch through this model would be wrong, so
    a call without a layout is refused.
    """
    if not model._can_set_attn_implementation():
        raise UserError(
            f"{type(model).__name__} has its attention built in; the learner needs an architecture "
            "that transformers runs through its AttentionInterface (Llama, Qwen, DeepSeek, ...)."
        )
    if model.base_model is model:
        raise UserError(
            f"{type(model).__name__} keeps its layers under another name than its code says "
            f"({model.base_model_prefix!r}), so the learner cannot run them without the output "
            "head: take another model."
        )
    model.set_attn_implementation(NAME)


def shared_prefix_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    prefix_layout: PrefixLayout | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The AttentionInterface function: query [1, H, N, E], key and value [1, J, N, E] ->
    [1, N, H, E of value]."""
    unsupported = [name for name in ("softcap", "s_aux") if others.get(name) is not None]
    if prefix_layout is None or unsupported:
        reason = f"uses {unsupported[0]}" if unsupported else "does not pass its arguments on"
        raise UserError(
            f"the attention of {type(module).__name__} {reason}; this architecture cannot be "
            "trained on packed rows yet."
        )
    if torch.is_autocast_enabled(query.device.type):
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    q_NHE, k_NJE, v_NJE = (x[0].transpose(0, 1) for x in (query, key, value))
    attend = _chosen(q_NHE, k_NJE, v_NJE, sliding_window)
    return attend(q_NHE, k_NJE, v_NJE, prefix_layout, scale, sliding_window)[None], None


AttentionInterface.register(NAME, shared_prefix_attention)


def _chosen(
    q_NHE: Tensor, k_NJE: Tensor, v_NJE: Tensor, window: int | None
) -> Callable[..., Tensor]:
    """The function that computes attention for these; see the module's docstring."""
    if takes(q_NHE, k_NJE, v_NJE):
        return varlen_attention
    if q_NHE.device.type == "cpu" and window is None:
        if fits(q_NHE, k_NJE, v_NJE):
            return _native
        if k_NJE.shape[-1] == v_NJE.shape[-1]:
            return _split
    return padded_attention


def _native(q: Tensor, k: Tensor, v: Tensor, layout: PrefixLayout, scale: float, _: None) -> Tensor:
    out: Tensor = NativeTreeAttention.apply(q, k, v, layout, scale)
    return out


def _split(q: Tensor, k: Tensor, v: Tensor, layout: PrefixLayout, scale: float, _: None) -> Tensor:
    out: Tensor = _TreeAttention.apply(q, k, v, layout, scale)
    return out


class _TreeAttention(torch.autograd.Function):
    """The split on a CPU: causal buckets, then each group's responses against its prompt."""

    @staticmethod
    def forward(
        ctx: Any, q_NHE: Tensor, k_NJE: Tensor, v_NJE: Tensor, layout: PrefixLayout, scale: float
    ) -> Tensor:
        num_tokens, heads, width = q_NHE.shape
        repeats = heads // k_NJE.shape[1]
        rows = num_tokens + 1  # the last one takes the padding
        q, k, v = (x.reshape(num_tokens, -1) for x in (q_NHE, k_NJE, v_NJE))
        out = q.new_empty(rows, heads * width)
        lse = q.new_empty(rows, heads, dtype=torch.promote_types(q.dtype, torch.float32))
        for bucket in layout.buckets:
            parts = [_take(x, bucket, width, num_tokens) for x in (q, k, v)]
            out_BHTE, lse_BHT = _flash(
                parts[0],
                *(repeat_heads(x, repeats) for x in parts[1:]),
                is_causal=True,
                scale=scale,
            )
            flat = bucket.index_BT.flatten()
            out[flat] = out_BHTE.transpose(1, 2).reshape(len(flat), -1)
            lse[flat] = lse_BHT.transpose(1, 2).reshape(len(flat), -1)
        for start, middle, end in layout.groups:
            if middle == end:
                continue
            prompt_out, prompt_lse = _flash(
                _heads(q[middle:end], width),
                *(repeat_heads(_heads(x[start:middle], width), repeats) for x in (k, v)),
                scale=scale,
            )
            own_lse, prompt_lse = lse[middle:end], prompt_lse[0].t()
            both = torch.logaddexp(own_lse, prompt_lse)
            share = (own_lse - both).exp_()[..., None]
            own = out[middle:end].view(-1, heads, width)
            merged = torch.lerp(prompt_out[0].transpose(0, 1), own, share.to(own.dtype))
            out[middle:end] = merged.reshape(end - middle, -1)
            lse[middle:end] = both
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.layout, ctx.scale, ctx.width = layout, scale, width
        return out[:-1].view(num_tokens, heads, width)

    @staticmethod
    def backward(ctx: Any, grad_NHE: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, k, v, out, lse = ctx.saved_tensors
        layout, scale, width = ctx.layout, ctx.scale, ctx.width
        num_tokens, heads = q.shape[0], lse.shape[1]
        kv_heads = k.shape[1] // width
        repeats = heads // kv_heads
        grad = grad_NHE.reshape(num_tokens, -1)
        dq, dk, dv = (x.new_empty(num_tokens + 1, x.shape[1]) for x in (q, k, v))
        for bucket in layout.buckets:
            flat = bucket.index_BT.flatten()
            tokens_q, tokens_k, tokens_v, tokens_out, tokens_grad = (
                _take(x, bucket, width, num_tokens) for x in (q, k, v, out, grad)
            )
            # Padding must send nothing back; its queries and keys are another token's.
            padding = (bucket.index_BT == num_tokens)[:, None, :, None]
            tokens_grad = tokens_grad.masked_fill(padding, 0.0)
            lse_BHT = lse[flat].view(*bucket.index_BT.shape, heads).transpose(1, 2).contiguous()
            parts = _flash_backward(
                tokens_grad,
                tokens_q,
                repeat_heads(tokens_k, repeats),
                repeat_heads(tokens_v, repeats),
                tokens_out,
                lse_BHT,
                0.0,
                True,
                scale=scale,
            )
            for target, part, repeat in zip(
                (dq, dk, dv), parts, (1, repeats, repeats), strict=True
            ):
                target[flat] = _fold(part, repeat).transpose(1, 2).reshape(len(flat), -1)
        for start, middle, end in layout.groups:
            if middle == end:
                continue
            parts = _flash_backward(
                _heads(grad[middle:end], width),
                _heads(q[middle:end], width),
                repeat_heads(_heads(k[start:middle], width), repeats),
                repeat_heads(_heads(v[start:middle], width), repeats),
                _heads(out[middle:end], width),
                lse[middle:end].t()[None].contiguous(),
                0.0,
                False,
                scale=scale,
            )
            dq[middle:end] += parts[0][0].transpose(0, 1).reshape(end - middle, -1)
            for target, part in zip((dk, dv), parts[1:], strict=True):
                folded = _fold(part, repeats)[0].transpose(0, 1)
                target[start:middle] += folded.reshape(middle - start, -1)
        grads = (x[:-1].view(num_tokens, -1, width) for x in (dq, dk, dv))
        return (*grads, None, None)


def _take(rows: Tensor, bucket: LengthBucket, width: int, num_tokens: int) -> Tensor:
    """Rows [N, heads * width] of a bucket as [B, heads, T, width]; padding repeats a row."""
    flat = bucket.index_BT.flatten().clamp(max=num_tokens - 1)
    shape = (*bucket.index_BT.shape, rows.shape[1] // width, width)
    return rows.index_select(0, flat).view(shape).transpose(1, 2)


def _heads(rows: Tensor, width: int) -> Tensor:
    """Rows [T, heads * width] as [1, heads, T, width]."""
    return rows.view(1, rows.shape[0], -1, width).transpose(1, 2)


def _fold(grad_BHTE: Tensor, repeats: int) -> Tensor:
    """The gradient of `repeat_heads`: sum over the query heads that share a key/value head."""
    if repeats == 1:
        return grad_BHTE
    batch, heads, tokens, width = grad_BHTE.shape
    return grad_BHTE.reshape(batch, heads // repeats, repeats, tokens, width).sum(2)
