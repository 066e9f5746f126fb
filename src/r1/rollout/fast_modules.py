"""Faster forwards for common modules of transformers' models, used only if proven equal.

A decode step of a small model is bound by the number of operations rather than by arithmetic.
Four kinds of module are given a leaner forward, instance by instance:

    rotary embedding   cos and sin read from a table made by the module itself
    RMS norm           torch's rms_norm instead of six operations
    gated MLP          gate and up projection as one matrix product
    attention          query, key and value projection as one product; one rotation for both

Each is found by its structure, then compared on random input with the forward it replaces; if the
results differ by more than rounding, or the module is unusual in any way, the original stays. Fused
weights share memory with the parameters, so new weights copied into the parameters take effect at
once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from r1.rollout import native

_STATIC_ROPE = {"default", "linear", "llama3", "yarn"}  # the others depend on the longest sequence
_PROJECTIONS = {"q_proj", "k_proj", "v_proj", "o_proj"}
_ROWS = 5


class RotaryTable:
    """Table of cos and sin [1, N, D] by position, computed once by the module's own forward."""

    def __init__(self, module: nn.Module) -> None:
        self.compute = module.forward
        self.cos = self.sin = torch.empty(0)

    def grow(self, positions: int, like: Tensor) -> None:
        """Extend the table to `positions` positions, in the dtype and on the device of like."""
        if len(self.cos) < positions or self.cos.dtype != like.dtype:
            where = torch.arange(positions, device=like.device)[None]
            cos, sin = self.compute(like.new_empty(1, 1), where)
            self.cos, self.sin = cos[0], sin[0]

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        where = position_ids.flatten()
        shape = (*position_ids.shape, -1)
        return (
            self.cos.index_select(0, where).view(shape),
            self.sin.index_select(0, where).view(shape),
        )


def rotate(x: Tensor, cos: Tensor, sin: Tensor, rollout: Any, in_c: bool) -> Tensor:
    """Return x cos + rotate_half(x) sin for x [N, H, D], cos and sin [1, N, D]. x may be
    overwritten.

    The step object keeps sin with its signs folded in, for all layers of one forward pass.
    """
    if in_c:
        native.rotate_in_place(x, cos, sin)
        return x
    if rollout.folded_sin is None:
        low, high = sin[0].chunk(2, dim=-1)
        rollout.folded_sin = torch.cat((-low, high), dim=-1).unsqueeze(1)
    low, high = x.chunk(2, dim=-1)
    swapped = torch.cat((high, low), dim=-1)
    return torch.addcmul(x * cos[0].unsqueeze(1), swapped, rollout.folded_sin)


def speed_up(model: nn.Module, in_c: bool) -> list[RotaryTable]:
    """Give the model's modules faster forwards that change nothing; return its tables.

    in_c: native.c is at hand and the model in fp32 on a CPU.
    """
    tables: list[RotaryTable] = []
    with torch.inference_mode(False), torch.no_grad():
        for module in model.modules():
            names = {name for name, _ in module.named_children()}
            if hasattr(module, "inv_freq"):
                tables += _speed_up_rotary(module)
            elif type(module).__name__.endswith("RMSNorm") and not names:
                _speed_up_norm(module, in_c)
            elif names == {"gate_proj", "up_proj", "down_proj", "act_fn"}:
                _speed_up_mlp(module, in_c)
        if len(tables) == 1:
            for module in model.modules():
                if {name for name, _ in module.named_children()} >= _PROJECTIONS:
                    _speed_up_attention(module, tables[0], in_c)
    return tables


def _speed_up_rotary(module: Any) -> list[RotaryTable]:
    if getattr(module, "rope_type", None) not in _STATIC_ROPE:
        return []
    if list(inspect.signature(module.forward).parameters) != ["x", "position_ids"]:
        return []
    where = torch.zeros(1, 1, dtype=torch.int64, device=module.inv_freq.device)
    if not isinstance(module(torch.empty_like(where, dtype=torch.float32), where), tuple):
        return []  # DeepSeek-V2's is one complex tensor
    table = RotaryTable(module)
    module.forward = table.forward
    return [table]


def _speed_up_norm(module: Any, in_c: bool) -> None:
    eps = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    weight = getattr(module, "weight", None)
    if not isinstance(eps, float) or weight is None or weight.ndim != 1:
        return

    def forward(hidden_states: Tensor) -> Tensor:
        if in_c:
            return native.rms_norm(hidden_states, weight, eps)
        return F.rms_norm(hidden_states, weight.shape, weight, eps)

    x = _random(weight, _ROWS, len(weight))
    if _equal(forward(x), module.forward(x)):
        module.forward = forward


def _speed_up_mlp(module: Any, in_c: bool) -> None:
    gate, up, down = module.gate_proj, module.up_proj, module.down_proj
    if not _plain(gate, up, down):
        return
    activation = module.act_fn
    x = _random(gate.weight, _ROWS, gate.in_features)
    expected = module.forward(x)
    weight, bias = _fuse(gate, up)
    width = gate.out_features

    def forward(x: Tensor) -> Tensor:
        both = F.linear(x, weight, bias)
        return down(activation(both[..., :width]) * both[..., width:])

    def forward_in_c(x: Tensor) -> Tensor:
        return down(native.silu_gate(F.linear(x, weight, bias)))

    for candidate in (forward_in_c, forward) if in_c else (forward,):
        if _equal(candidate(x), expected):
            module.forward = candidate
            return


class _Probe:
    """An attention step that records its arguments."""

    folded_sin: Tensor | None = None

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def attend(self, *given: Any) -> Tensor:
        self.calls.append(given)
        value, heads = given[3], given[1].shape[1]
        return value.repeat_interleave(heads // value.shape[1], dim=1)


def _speed_up_attention(module: Any, table: RotaryTable, in_c: bool) -> None:
    norms = {name for name, _ in module.named_children()} - _PROJECTIONS
    linears = (module.q_proj, module.k_proj, module.v_proj)
    if norms not in (set(), {"q_norm", "k_norm"}) or not _plain(*linears):
        return
    weight = module.q_proj.weight
    table.grow(_ROWS, weight)
    x = _random(weight, 1, _ROWS, weight.shape[1])
    positions = table.forward(x, torch.arange(_ROWS, device=weight.device)[None])
    before, after = _Probe(), _Probe()
    if positions[0].shape[-1] != getattr(module, "head_dim", None):
        return
    expected, _ = module.forward(
        hidden_states=x, position_embeddings=positions, attention_mask=None, rollout=before
    )
    layer, *_, scaling, window = before.calls[0]
    forward = _fused_attention(module, layer, scaling, window, in_c)
    out, _ = forward(x, positions, rollout=after)
    same = _equal(out, expected) and all(
        _equal(a, b) if isinstance(a, Tensor) else a == b
        for a, b in zip(before.calls[0], after.calls[0], strict=True)
    )
    if same:
        module.forward = forward


def _fused_attention(
    module: Any, layer: int, scaling: float, window: int, in_c: bool
) -> Callable[..., tuple[Tensor, None]]:
    weight, bias = _fuse(module.q_proj, module.k_proj, module.v_proj)
    D = module.head_dim
    H, heads = module.q_proj.out_features // D, module.k_proj.out_features // D
    project = module.o_proj
    q_norm, k_norm = getattr(module, "q_norm", None), getattr(module, "k_norm", None)

    def forward(
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        *,
        rollout: Any,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        x = F.linear(hidden_states[0], weight, bias).unflatten(-1, (-1, D))
        query_key, value = x[:, : H + heads], x[:, H + heads :]
        if q_norm is None or k_norm is None:
            query_key = rotate(query_key, *position_embeddings, rollout, in_c)
            query, key = query_key[:, :H], query_key[:, H:]
        else:
            query = rotate(q_norm(query_key[:, :H]), *position_embeddings, rollout, in_c)
            key = rotate(k_norm(query_key[:, H:]), *position_embeddings, rollout, in_c)
        out = rollout.attend(layer, query, key, value, scaling, window)
        return project(out.flatten(1)).unsqueeze(0), None

    return forward


def _plain(*linears: Any) -> bool:
    """Whether all are ordinary linear layers, all with a bias or none."""
    return (
        all(type(linear) is nn.Linear for linear in linears)
        and len({linear.bias is None for linear in linears}) == 1
    )


def _fuse(*linears: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """Join weights and biases into one each; the modules' parameters become slices of them."""
    weight = torch.cat([linear.weight.data for linear in linears])
    bias = None if linears[0].bias is None else torch.cat([linear.bias.data for linear in linears])
    start = 0
    for linear in linears:
        rows = slice(start, start + linear.out_features)
        linear.weight.data = weight[rows]
        if bias is not None:
            linear.bias.data = bias[rows]
        start = rows.stop
    return weight, bias


def _random(like: Tensor, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator).to(like)


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal up to rounding in their dtype."""
    bound = 16 * torch.finfo(a.dtype).eps * float(b.abs().max().clamp(min=1e-6))
    return a.shape == b.shape and float((a - b).abs().max()) <= bound
