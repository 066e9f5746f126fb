"""Attention over packed rows by FlashAttention's kernels for unequal lengths: CUDA, half precision.

No mask, no padding, and no synchronisation: one plan of index tensors a micro-batch, which all
layers share. Autograd keeps queries, keys, values, output and one number a token and head, so that
memory grows with the tokens and not with their square.

    full attention    the two parts of `shared_prefix`: all segments causally, each over its own
                      tokens, then all response tokens of a group against its prompt, whose keys are
                      copied for nobody; merged by their log-sum-exps
    sliding window    one call a layer, in which each segment has keys of its own: the prompt's last
                      W - 1 tokens, copied, and its own. FlashAttention aligns the last query with
                      the last key, so that a window is the kernel's own

Head widths that are no multiple of 8, or differ between keys and values (DeepSeek-V3), are filled
up with zeros, which changes no score and no value.

`takes` says what the kernels can take; the rest is `padded_attention`'s. The kernels
are called as `torch.nn.attention.varlen` calls them; that function itself would drop the gradient
of the merged log-sum-exp. No GPU was at hand: tests run all but the kernels on a CPU.

Shapes: N tokens of the row, H query heads, J key/value heads, E head width, S sequences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from r1.learner.packing import PrefixLayout

MAX_WIDTH = 256
"""The widest head of FlashAttention's kernels."""

_forward = torch.ops.aten._flash_attention_forward
_backward = torch.ops.aten._flash_attention_backward


def takes(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether the kernels can take these: a GPU since Ampere, half precision, not too wide."""
    same = query.dtype == key.dtype == value.dtype
    half = same and query.dtype in (torch.bfloat16, torch.float16)
    narrow = max(query.shape[-1], value.shape[-1]) <= MAX_WIDTH
    return query.device.type == "cuda" and half and narrow and _has_kernels(query.device.index)


@cache
def _has_kernels(index: int | None) -> bool:
    """Whether the GPU is of the generation that FlashAttention 2 is written for, or a later one."""
    return not torch.cuda.is_available() or torch.cuda.get_device_capability(index) >= (8, 0)


class Sequences(NamedTuple):
    """S sequences, one behind the other. bounds_S1: where each begins, then the end, [S + 1], int32
    on the device; longest: tokens."""

    bounds_S1: Tensor
    longest: int


class Rows(NamedTuple):
    """Some of a row's tokens. where: their positions, ascending, none twice."""

    where: slice | Tensor
    sequences: Sequences

    def of(self, x_NHE: Tensor) -> Tensor:
        """Return these tokens; a view where they are neighbours."""
        if isinstance(self.where, slice):
            return x_NHE[self.where]
        return x_NHE.index_select(0, self.where)

    def put(self, x_NHE: Tensor, values: Tensor) -> None:
        """Replace these tokens."""
        if isinstance(self.where, slice):
            x_NHE[self.where] = values
        else:
            x_NHE.index_copy_(0, self.where, values)

    def add(self, x_NHE: Tensor, values: Tensor) -> None:
        """Add to these tokens."""
        if isinstance(self.where, slice):
            x_NHE[self.where] += values
        else:
            x_NHE.index_add_(0, self.where, values)


class SplitPlan(NamedTuple):
    """segments: all of a row's. responses, prompts: of the groups that have response tokens; None
    where no group has any."""

    segments: Sequences
    responses: Rows | None
    prompts: Rows | None


class WindowPlan(NamedTuple):
    """keys_K: row positions of every segment's keys, one segment behind the other."""

    queries: Sequences
    keys_K: Tensor
    keys: Sequences


def varlen_attention(
    q_NHE: Tensor,
    k_NJE: Tensor,
    v_NJE: Tensor,
    layout: PrefixLayout,
    scale: float,
    window: int | None = None,
) -> Tensor:
    """Attention of a packed row, differentiable. Returns [N, H, E of value].

    window: a token sees at most that many tokens, itself included.
    """
    value_width = v_NJE.shape[-1]
    width = -(-max(q_NHE.shape[-1], value_width) // 8) * 8
    q, k, v = (_widened(x, width) for x in (q_NHE, k_NJE, v_NJE))
    if window is None or window >= _longest(layout):
        plan = layout.once("split", lambda: split_plan(layout))
        out: Tensor = SplitAttention.apply(q, k, v, plan, scale)
    else:
        windowed = layout.once(("window", window), lambda: window_plan(layout, window))
        out = _windowed(q, k, v, windowed, scale, window)
    return out[..., :value_width]


def _widened(x_NHE: Tensor, width: int) -> Tensor:
    """Fill heads up with zeros; the kernels need the numbers of a head side by side."""
    if x_NHE.shape[-1] < width:
        return pad(x_NHE, (0, width - x_NHE.shape[-1]))
    return x_NHE if x_NHE.stride(-1) == 1 else x_NHE.contiguous()


def _longest(layout: PrefixLayout) -> int:
    return max(s.prompt_length + s.length for s in layout.segments)


def split_plan(layout: PrefixLayout) -> SplitPlan:
    """Index tensors of a row's two parts, on its device."""
    segments = _sequences([s.length for s in layout.segments], layout.device)
    groups = [g for g in layout.groups if g.end > g.middle]
    if not groups:
        return SplitPlan(segments, None, None)
    responses = [(g.middle, g.end) for g in groups]
    prompts = [(g.start, g.middle) for g in groups]
    return SplitPlan(segments, _rows(responses, layout.device), _rows(prompts, layout.device))


def window_plan(layout: PrefixLayout, window: int) -> WindowPlan:
    """Index tensors of a row under a sliding window, on its device."""
    lengths, positions = [], []
    for segment in layout.segments:
        seen = min(segment.prompt_length, window - 1)
        end = segment.prompt_start + segment.prompt_length
        positions.append(torch.arange(end - seen, end))
        positions.append(torch.arange(segment.start, segment.start + segment.length))
        lengths.append(seen + segment.length)
    return WindowPlan(
        _sequences([s.length for s in layout.segments], layout.device),
        torch.cat(positions).to(layout.device),
        _sequences(lengths, layout.device),
    )


def _sequences(lengths: Iterable[int], device: torch.device | str) -> Sequences:
    bounds = [0, *accumulate(lengths)]
    longest = max(end - begin for begin, end in pairwise(bounds))
    return Sequences(torch.tensor(bounds, dtype=torch.int32, device=device), longest)


def _rows(spans: Sequence[tuple[int, int]], device: torch.device | str) -> Rows:
    """Tokens [begin, end) of each span, every one a sequence."""
    sequences = _sequences([end - begin for begin, end in spans], device)
    if len(spans) == 1:
        return Rows(slice(*spans[0]), sequences)
    positions = torch.cat([torch.arange(begin, end) for begin, end in spans])
    return Rows(positions.to(device), sequences)


def _windowed(
    q: Tensor, k: Tensor, v: Tensor, plan: WindowPlan, scale: float, window: int
) -> Tensor:
    keys, values = (x.index_select(0, plan.keys_K) for x in (k, v))
    bounds = (plan.queries.bounds_S1, plan.keys.bounds_S1)
    longest = (plan.queries.longest, plan.keys.longest)
    out: Tensor = _forward(
        *(q, keys, values, *bounds, *longest, 0.0, False, False),
        scale=scale,
        window_size_left=window - 1,
        window_size_right=0,
    )[0]
    return out


class SplitAttention(torch.autograd.Function):
    """q [N, H, E], k and v [N, J, E] -> [N, H, E]; see the module's docstring."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, plan: SplitPlan, scale: float) -> Tensor:
        own = plan.segments
        out, lse_HN, *random = _attend(q, k, v, own, own, scale, causal=True)
        if plan.responses is not None and plan.prompts is not None:
            responses, prompts = plan.responses, plan.prompts
            prompt_out, prompt_lse, *_ = _attend(
                *(responses.of(q), prompts.of(k), prompts.of(v)),
                *(responses.sequences, prompts.sequences, scale),
                causal=False,
            )
            lse_NH, own_out = lse_HN.t(), responses.of(out)
            own_lse, prompt_lse = responses.of(lse_NH), prompt_lse.t()
            both = torch.logaddexp(own_lse, prompt_lse)
            share = (own_lse - both).exp_()[..., None]
            responses.put(out, torch.lerp(prompt_out, own_out, share.to(out.dtype)))
            responses.put(lse_NH, both)
        ctx.save_for_backward(q, k, v, out, lse_HN, *random)
        ctx.plan, ctx.scale = plan, scale
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, k, v, out, lse_HN, *random = ctx.saved_tensors
        plan, scale = ctx.plan, ctx.scale
        grad = grad.contiguous()
        own = plan.segments
        rest = (0.0, True, *random)
        dq, dk, dv = _backward(
            *(grad, q, k, v, out, lse_HN, own.bounds_S1, own.bounds_S1),
            *(own.longest, own.longest, *rest),
            scale=scale,
        )
        if plan.responses is not None:
            responses, prompts = plan.responses, plan.prompts
            lse_HR = responses.of(lse_HN.t()).t().contiguous()
            bounds = (responses.sequences.bounds_S1, prompts.sequences.bounds_S1)
            longest = (responses.sequences.longest, prompts.sequences.longest)
            parts = _backward(
                *(responses.of(grad), responses.of(q), prompts.of(k), prompts.of(v)),
                *(responses.of(out), lse_HR, *bounds, *longest, 0.0, False, *random),
                scale=scale,
            )
            responses.add(dq, parts[0])
            prompts.add(dk, parts[1])
            prompts.add(dv, parts[2])
        return dq, dk, dv, None, None


def _attend(
    q: Tensor, k: Tensor, v: Tensor, queries: Sequences, keys: Sequences, scale: float, causal: bool
) -> tuple[Tensor, ...]:
    """Return output [N, H, E], log-sum-exp [H, N], and what the backward kernel asks for of a
    dropout that is off."""
    out, lse_HN, state, unused, _ = _forward(
        *(q, k, v, queries.bounds_S1, keys.bounds_S1, queries.longest, keys.longest),
        *(0.0, causal, False),
        scale=scale,
    )
    assert lse_HN.shape == (q.shape[1], q.shape[0]), "FlashAttention's log-sum-exp has another form"
    return out, lse_HN, state, unused
