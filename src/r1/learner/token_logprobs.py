"""Log-probabilities and entropies of given tokens, without the whole (tokens x vocabulary) matrix.

    logits = hidden @ head^T / temperature
    logprob = logits[target] - logsumexp(logits),      entropy = -sum_v p_v log p_v
    d logprob / d logits = (onehot(target) - p)

The forward pass walks over chunks of tokens and keeps one log-sum-exp per token; the backward pass
computes each chunk's softmax again. Where all tokens fit the budget at once the softmax is kept
instead, and nothing is computed twice. This one function serves policy, reference and old
log-probabilities alike, so that no second copy can drift from it.

Left out on purpose: heads that are more than a matrix (bias, soft-capping; a scale is the caller's:
`shared_prefix.head_inputs`); the
learner compares this path with the model's own logits at its start and refuses such models. The
entropy carries no gradient: it is a metric.

Shapes: N tokens, C tokens of a chunk, V vocabulary, D width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class TokenLogprobs(NamedTuple):
    """Both of shape N, in fp32 (fp64 for fp64 inputs); only logprobs_N carries a gradient."""

    logprobs_N: Tensor
    entropy_N: Tensor


def token_logprobs(
    hidden_ND: Tensor,
    head_VD: Tensor,
    targets_N: Tensor,
    temperature: float = 1.0,
    budget_mb: float = 256,
) -> TokenLogprobs:
    """Return log p(target) and the entropy of the distribution it was drawn from, per token.

    hidden_ND: the model's last hidden states, head_VD: the output embedding, targets_N: token ids.
    temperature divides the logits. budget_mb bounds the memory of logits and softmax together.
    Under autocast the matrix products run in its dtype; sums are always in fp32 or better.
    """
    device = hidden_ND.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    else:
        dtype = torch.promote_types(hidden_ND.dtype, head_VD.dtype)
    logprobs_N, entropy_N = _ChunkedLogprobs.apply(
        hidden_ND, head_VD, targets_N, float(temperature), float(budget_mb), dtype
    )
    return TokenLogprobs(logprobs_N, entropy_N)


def tokens_per_chunk(vocab_size: int, budget_mb: float, element_bytes: int = 4) -> int:
    """How many tokens' logits, softmax and one temporary fit the budget (at least one)."""
    return max(1, int(budget_mb * 2**20 / (3 * element_bytes * vocab_size)))


class _ChunkedLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        head_VD: Tensor,
        targets_N: Tensor,
        temperature: float,
        budget_mb: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        accumulate = torch.promote_types(dtype, torch.float32)
        num_tokens = hidden_ND.shape[0]
        chunk = tokens_per_chunk(head_VD.shape[0], budget_mb, accumulate.itemsize)
        head = head_VD.to(dtype)
        logprobs_N = hidden_ND.new_empty(num_tokens, dtype=accumulate)
        entropy_N = torch.empty_like(logprobs_N)
        lse_N = torch.empty_like(logprobs_N)
        kept = None
        with torch.autocast(hidden_ND.device.type, enabled=False):
            for start in range(0, num_tokens, chunk):
                part = slice(start, start + chunk)
                logits_CV = _logits(hidden_ND[part].to(dtype), head, temperature, accumulate)
                lse_C = torch.logsumexp(logits_CV, dim=-1)
                target_C = logits_CV.gather(1, targets_N[part, None])[:, 0]
                probs_CV = torch.sub(logits_CV, lse_C[:, None]).exp_()
                logprobs_N[part] = target_C - lse_C
                entropy_N[part] = lse_C - logits_CV.mul_(probs_CV).sum(-1)
                lse_N[part] = lse_C
                if num_tokens <= chunk and any(ctx.needs_input_grad):
                    kept = probs_CV
        ctx.save_for_backward(hidden_ND, head_VD, targets_N, lse_N, kept)
        ctx.temperature, ctx.chunk, ctx.dtype, ctx.accumulate = (
            temperature,
            chunk,
            dtype,
            accumulate,
        )
        ctx.mark_non_differentiable(entropy_N)
        return logprobs_N, entropy_N

    @staticmethod
    def backward(ctx: Any, grad_N: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        hidden_ND, head_VD, targets_N, lse_N, kept = ctx.saved_tensors
        wants_hidden, wants_head = ctx.needs_input_grad[:2]
        head = head_VD.to(ctx.dtype)
        grad_hidden = torch.empty_like(hidden_ND) if wants_hidden else None
        grad_head = torch.zeros_like(head_VD, dtype=ctx.accumulate) if wants_head else None
        for start in range(0, hidden_ND.shape[0], ctx.chunk):
            part = slice(start, start + ctx.chunk)
            hidden_CD = hidden_ND[part].to(ctx.dtype)
            scale_C1 = grad_N[part, None] / ctx.temperature
            if kept is None:
                probs_CV = _logits(hidden_CD, head, ctx.temperature, ctx.accumulate)
                probs_CV = probs_CV.sub_(lse_N[part, None]).exp_()
                dlogits_CV = probs_CV.mul_(-scale_C1)
            else:
                dlogits_CV = kept * -scale_C1
            dlogits_CV.scatter_add_(1, targets_N[part, None], scale_C1)
            dlogits_CV = dlogits_CV.to(ctx.dtype)
            if grad_hidden is not None:
                grad_hidden[part] = dlogits_CV @ head
            if grad_head is not None:
                if ctx.dtype == ctx.accumulate:
                    grad_head.addmm_(dlogits_CV.t(), hidden_CD)
                else:
                    grad_head += dlogits_CV.t() @ hidden_CD
        if grad_head is not None:
            grad_head = grad_head.to(head_VD.dtype)
        return grad_hidden, grad_head, None, None, None, None


def _logits(
    hidden_CD: Tensor, head_VD: Tensor, temperature: float, accumulate: torch.dtype
) -> Tensor:
    logits_CV = (hidden_CD @ head_VD.t()).to(accumulate)
    return logits_CV if temperature == 1.0 else logits_CV.div_(temperature)
