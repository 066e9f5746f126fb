"""The exact KL divergence of two policies at given positions, over the whole vocabulary.

    KL(p || q) = sum_v p_v (log p_v - log q_v)

Computed in chunks of tokens, as `token_logprobs` is. Left out on purpose: gradients (it is a
measurement).

Shapes: N tokens, C tokens of a chunk, V vocabulary, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from r1.learner.token_logprobs import tokens_per_chunk


@torch.no_grad()
def token_kl(
    hidden_ND: Tensor,
    head_VD: Tensor,
    other_hidden_ND: Tensor,
    other_head_VD: Tensor,
    budget_mb: float = 256,
) -> Tensor:
    """Return KL(policy || other) of each token, in nats, [N], fp32 or better.

    hidden_ND, head_VD: last hidden states and output embedding of the policy; the others likewise.
    budget_mb bounds the memory of both sides' logits together.
    """
    accumulate = torch.promote_types(hidden_ND.dtype, torch.float32)
    chunk = max(1, tokens_per_chunk(head_VD.shape[0], budget_mb, accumulate.itemsize) // 2)
    found_N = hidden_ND.new_empty(hidden_ND.shape[0], dtype=accumulate)
    for start in range(0, hidden_ND.shape[0], chunk):
        part = slice(start, start + chunk)
        log_p_CV = _logprobs(hidden_ND[part], head_VD, accumulate)
        log_q_CV = _logprobs(other_hidden_ND[part], other_head_VD, accumulate)
        found_N[part] = (log_p_CV.exp() * (log_p_CV - log_q_CV)).sum(-1)
    return found_N


def _logprobs(hidden_CD: Tensor, head_VD: Tensor, accumulate: torch.dtype) -> Tensor:
    dtype = torch.promote_types(hidden_CD.dtype, head_VD.dtype)
    logits_CV = hidden_CD.to(dtype) @ head_VD.to(dtype).t()
    return torch.log_softmax(logits_CV.to(accumulate), dim=-1)
