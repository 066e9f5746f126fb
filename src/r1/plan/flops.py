"""FLOPs of a decoder-only transformer: pure functions of shapes and lengths.

A matrix of p parameters costs 2p FLOPs a token forward and 4p backward (Kaplan et al., arXiv
2001.08361, section 2.1): 2ND forward, 6ND for training, where N counts what multiplies a token
(ModelShape.matmul_parameters) and D tokens. Attention adds, for a token that sees t keys and over L
layers of H heads, 2 L H (E_key + E_value) t: the scores and the weighted sum. Summed over a causal
sequence of T tokens that is L H (E_key + E_value) T^2.

Model FLOPs: recomputation (gradient checkpointing) is work but not counted, so that shares of the
peak compare with published ones. Left out on purpose: norms, activations, softmax, sampling,
DeepSeek's absorbed form of latent attention (more arithmetic for less memory traffic in decoding),
and the spread of lengths: every sequence has the mean length, so the quadratic term is a lower
bound.
"""

from __future__ import annotations

from r1.plan.model import ModelShape


def attention_flops(shape: ModelShape, before: float, after: float) -> float:
    """Return FLOPs of scores and weighted sums for positions `before` to `after` of a sequence."""
    per_pair = shape.layers * shape.heads * (shape.key_width + shape.value_width)
    return per_pair * (after**2 - before**2)


def forward_flops(shape: ModelShape, prompt: float, response: float, sharing: float = 1.0) -> float:
    """Return FLOPs of a forward pass; `sharing` sequences of the row share the prompt."""
    tokens = prompt / sharing + response
    attention = attention_flops(shape, 0, prompt) / sharing
    attention += attention_flops(shape, prompt, prompt + response)
    return 2 * shape.matmul_parameters * tokens + attention


def training_flops(
    shape: ModelShape, prompt: float, response: float, sharing: float = 1.0
) -> float:
    """Return the FLOPs of forward and backward over a sequence: three forward passes."""
    return 3 * forward_flops(shape, prompt, response, sharing)


def generation_flops(shape: ModelShape, prompt: float, response: float, samples: int = 1) -> float:
    """Return the FLOPs of drawing `samples` responses to one prompt, which is computed once.

    The same products as a forward pass, one token at a time: what differs is the rate.
    """
    return samples * forward_flops(shape, prompt, response, sharing=samples)
