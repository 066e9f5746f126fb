"""Key/value memory of the embedded engine, and attention over it.

The memory has two parts, so that a group's shared prompt is stored and read once:

    prompts  [S, Hkv, Tp, D]   one slot per living group, written by the prefill
    own      [B, Hkv, To, D]   one row per living sample, one column per sampled token

A decode step attends to both parts and joins them exactly through their log-sum-exps (the rule
by which flash attention joins blocks, arXiv:2205.14135, section 3.1):

    out = (exp(lse_prompt) out_prompt + exp(lse_own) out_own) / (exp(lse_prompt) + exp(lse_own))

Queries of all samples of a group meet the group's prompt in one matrix product, and queries of
the heads that share a key/value head are rows of one product, so no key or value is ever
repeated. Living rows are always rows 0..n-1 and living groups slots 0..s-1: every product reads
one slice of contiguous memory.

transformers' model code reaches this through its attention interface: `rollout_attention` is
registered as "r1_rollout", and the step object travels as the keyword `rollout` of the model's
forward. No cache object is passed; tokens of all sequences are packed into one row [1, N], so
prompts of unequal length waste no arithmetic outside attention.

Shapes: N packed tokens, B rows, S prompt slots, G rows of a group, H query heads, Hkv key/value
heads, R = H / Hkv, D key width, Dv value width, Tp prompt columns, To own columns.

Left out on purpose: paging (contiguous slices are several times faster to read on a CPU),
soft-capped scores, attention sinks and linear-attention states (refused at load).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from r1.errors import UserError

ATTENTION_NAME = "r1_rollout"
REMEDY = 'set engine.kind = "vllm", or take another model (docs/training-on-gpus.md lists some)'
"""What to do about an architecture that the embedded engine cannot run."""
_UNKNOWN = {"softcap": "soft-capped scores", "s_aux": "attention sinks"}
MASKED = -1e30  # finite: a row whose part is masked whole gets weight 0 instead of NaN


class AttentionStep(Protocol):
    """The attention of one forward pass in each layer; folded_sin belongs to fast_modules."""

    folded_sin: Tensor | None

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int
    ) -> Tensor:
        """query [N, H, D], key [N, Hkv, D], value [N, Hkv, Dv] -> [N, H, Dv]; window 0: none."""


def rollout_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    rollout: AttentionStep | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention interface: query [1, H, N, D] -> ([1, N, H, Dv], no weights).

    Raises UserError for an architecture that needs more than this engine has.
    """
    name = type(module).__name__
    if rollout is None:
        raise UserError(
            f"{name} was called without the embedded engine's step. Call the engine, not its "
            f"model; if you do, this architecture does not pass the step on: {REMEDY}"
        )
    for argument, what in _UNKNOWN.items():
        if kwargs.get(argument) is not None:
            raise UserError(f"{name} has {what}, which the embedded engine has not: {REMEDY}")
    out = rollout.attend(
        module.layer_idx,  # type: ignore[arg-type]
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        query.shape[-1] ** -0.5 if scaling is None else scaling,
        sliding_window or 0,
    )
    return out.unsqueeze(0), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION_NAME, rollout_attention)


class KVMemory:
    """The key/value tensors of prompts and responses, and the moves that keep them dense.

    Keys (values) of all layers of equal shape are one tensor [L, ...], so that a move is one
    copy. It is made at the first write, when the shape is known, and so fits any architecture.
    It begins as zeros, since a masked key's weight of 0 times a stray NaN would be NaN; own
    column 0 stays zero for good (see DecodeStep). A later call may use it again if it is large
    enough: what earlier samples left behind is finite and never attended to.
    """

    def __init__(
        self, num_layers: int, max_rows: int, max_own: int, max_slots: int, max_prompt: int
    ) -> None:
        self.num_layers = num_layers
        self.own_size, self.prompt_size = (max_rows, max_own + 1), (max_slots, max_prompt)
        self.stacks: dict[tuple[str, int, int], tuple[Tensor, Tensor]] = {}
        self._addresses: dict[int, tuple[int, int, int, int]] = {}
        self.shapes: dict[int, tuple[tuple[str, int, int], tuple[str, int, int]]] = {}

    def holds(self, max_rows: int, max_own: int, max_slots: int, max_prompt: int) -> bool:
        """Whether these sizes fit."""
        sizes = (*self.own_size, *self.prompt_size)
        return all(
            size >= need
            for size, need in zip(
                sizes, (max_rows, max_own + 1, max_slots, max_prompt), strict=True
            )
        )

    def prompt_of(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return a layer's prompt keys and values [S, Hkv, Tp, D]; its new keys are [N, Hkv, D]."""
        if layer not in self.shapes:
            self.shapes[layer] = (("key", *key.shape[1:]), ("value", *value.shape[1:]))
            for name, like in zip(self.shapes[layer], (key, value), strict=True):
                if name not in self.stacks:
                    self.stacks[name] = self._stacks(like)
        key_name, value_name = self.shapes[layer]
        return self.stacks[key_name][1][layer], self.stacks[value_name][1][layer]

    def prepare(
        self,
        shapes: dict[int, tuple[tuple[str, int, int], tuple[str, int, int]]],
        like: dict[tuple[str, int, int], Tensor],
    ) -> None:
        """Make the tensors before the first write, for keys and values that were computed before.

        like: of each stack some keys or values [Hkv, T, D].
        """
        if not self.shapes:
            self.shapes = dict(shapes)
            self.stacks = {name: self._stacks(each.transpose(0, 1)) for name, each in like.items()}

    def own_of(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return own keys and values [B, Hkv, 1 + To, D] of a layer already written to."""
        key_name, value_name = self.shapes[layer]
        return self.stacks[key_name][0][layer], self.stacks[value_name][0][layer]

    def addresses(self, layer: int) -> tuple[int, int, int, int]:
        """Return the addresses of a layer's own keys, own values, prompt keys and prompt values."""
        if layer not in self._addresses:
            key_name, value_name = self.shapes[layer]
            parts = (self.stacks[key_name], self.stacks[value_name])
            own = [pair[0][layer].data_ptr() for pair in parts]
            prompts = [pair[1][layer].data_ptr() for pair in parts]
            self._addresses[layer] = (own[0], own[1], prompts[0], prompts[1])
        return self._addresses[layer]

    def _stacks(self, like: Tensor) -> tuple[Tensor, Tensor]:
        heads, width = like.shape[1:]
        rows, own = self.own_size
        slots, prompt = self.prompt_size
        return (
            _zeros((self.num_layers, rows, heads, own, width), like),
            _zeros((self.num_layers, slots, heads, prompt, width), like),
        )

    def move_rows(self, sources: list[int], targets: list[int], columns: int) -> None:
        """Copy `columns` own tokens of some rows over other rows."""
        for own, _ in self.stacks.values():
            for source, target in zip(sources, targets, strict=True):
                own[:, target, :, 1 : columns + 1] = own[:, source, :, 1 : columns + 1]

    def move_slot(self, source: int, target: int) -> None:
        """Copy a prompt slot over another."""
        for _, prompts in self.stacks.values():
            prompts[:, target] = prompts[:, source]


def _zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return zeros; on a CPU from the operating system, which commits pages only when written."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    num_bytes = int(np.prod(shape)) * like.element_size()
    raw = torch.from_numpy(np.zeros(num_bytes + 64, dtype=np.uint8))
    start = -raw.data_ptr() % 64
    return raw[start : start + num_bytes].view(like.dtype).view(shape)


class Grouping:
    """Which rows share which prompt slot, as index tensors; rebuilt when rows change."""

    def __init__(self, slot_B: np.ndarray, prompt_lengths_S: np.ndarray, device: Any) -> None:
        self.S, self.T = len(prompt_lengths_S), int(prompt_lengths_S.max())
        counts_S = np.bincount(slot_B, minlength=self.S)
        self.G = int(counts_S.max())
        order_B = np.argsort(slot_B, kind="stable")
        starts_S = np.cumsum(counts_S) - counts_S
        rank_B = np.arange(len(slot_B)) - np.repeat(starts_S, counts_S)
        place_B = np.empty_like(order_B)
        place_B[order_B] = slot_B[order_B] * self.G + rank_B
        row_SG = np.zeros(self.S * self.G, dtype=np.int64)
        row_SG[place_B] = np.arange(len(slot_B))
        self.identity = np.array_equal(row_SG, np.arange(len(slot_B)))
        self.row_SG = torch.from_numpy(row_SG).to(device)
        self.place_B = torch.from_numpy(place_B).to(device)
        self.even = int(prompt_lengths_S.min()) == self.T
        self.lengths_S = torch.from_numpy(prompt_lengths_S).to(device)

    def by_group(self, rows: Tensor, heads: int) -> Tensor:
        """Query rows [B, H, D] -> [S * Hkv, G * R, D]."""
        if not self.identity:
            rows = rows.index_select(0, self.row_SG)
        H, D = rows.shape[1:]
        grouped = rows.reshape(self.S, self.G, heads, H // heads, D).transpose(1, 2)
        return grouped.reshape(self.S * heads, -1, D)

    def by_row(self, grouped: Tensor, heads: int) -> Tensor:
        """[S * Hkv, G * R, X] -> [B, H, X]."""
        X = grouped.shape[-1]
        rows = grouped.view(self.S, heads, self.G, -1, X).transpose(1, 2)
        rows = rows.reshape(self.S * self.G, -1, X)
        return rows if self.identity else rows.index_select(0, self.place_B)


class DecodeStep:
    """One token of every living row, attending to its prompt and to its own tokens.

    lengths_B counts the own tokens before this one, longest is the greatest of them, even tells
    that all are equal. Own column 0 stands for the whole prompt: its score is the log-sum-exp of
    the prompt's scores, so that one softmax weighs both parts; its value is the prompt's output,
    added apart.
    """

    folded_sin: Tensor | None = None

    def __init__(
        self, memory: KVMemory, grouping: Grouping, lengths_B: Tensor, longest: int, even: bool
    ) -> None:
        self.grouping, self.lengths_B = grouping, lengths_B
        self.n, self.columns, self.even = len(lengths_B), longest + 2, even
        self.layers = self._slices(memory)
        self.rows_B = None if even else torch.arange(self.n, device=lengths_B.device)
        self.biases: dict[tuple[str, int, int], Tensor | None] = {}

    def _slices(self, memory: KVMemory) -> dict[int, tuple[Tensor, ...]]:
        """By layer: own keys and values [B, Hkv, To, D], then own keys^T, own values, prompt keys^T
        and prompt values with rows (slots) and heads as one axis, ready for batched products."""
        views: dict[tuple[str, int, int], list[tuple[Tensor, ...]]] = {}
        for name, (own, prompts) in memory.stacks.items():
            own = own[:, : self.n, :, : self.columns]
            flat = own.flatten(1, 2)
            flat_prompts = prompts[:, : self.grouping.S, :, : self.grouping.T].flatten(1, 2)
            if name[0] == "key":
                flat, flat_prompts = flat.transpose(2, 3), flat_prompts.transpose(2, 3)
            parts = (own.unbind(0), flat.unbind(0), flat_prompts.unbind(0))
            views[name] = list(zip(*parts, strict=True))
        slices: dict[int, tuple[Tensor, ...]] = {}
        for layer, (key_name, value_name) in memory.shapes.items():
            keys, values = views[key_name][layer], views[value_name][layer]
            slices[layer] = (keys[0], values[0], keys[1], values[1], keys[2], values[2])
        return slices

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int
    ) -> Tensor:
        own_keys, own_values, keys, values, prompt_keys, prompt_values = self.layers[layer]
        if self.even:
            own_keys[:, :, -1] = key
            own_values[:, :, -1] = value
        else:
            own_keys[self.rows_B, :, self.lengths_B + 1] = key
            own_values[self.rows_B, :, self.lengths_B + 1] = value
        B, H, D = query.shape
        heads = key.shape[1]
        out, lse = self._attend_prompt(query, prompt_keys, prompt_values, scaling, window, heads)
        query = query.reshape(B * heads, H // heads, D)
        scores = _scores(query, keys, scaling, self._bias("own", window, heads, query.dtype))
        scores[:, :, 0] = lse.view(B * heads, -1)
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32)
        own_out = torch.bmm(weights.to(values.dtype), values).view(B, H, -1)
        share = weights[:, :, 0].reshape(B, H, 1).to(out.dtype)
        return torch.addcmul(own_out, share, out)

    def _attend_prompt(
        self, query: Tensor, keys: Tensor, values: Tensor, scaling: float, window: int, heads: int
    ) -> tuple[Tensor, Tensor]:
        """Return output [B, H, Dv] over the prompt, and log-sum-exp [B, H, 1] of scores.

        The greatest score and the greatest weight belong to the same key: their difference in
        logarithms is the log-sum-exp, without a second pass of exponentials.
        """
        groups = self.grouping
        query = groups.by_group(query, heads)
        repeats = query.shape[1] // groups.G
        bias = self._bias("prompt", window, heads, query.dtype, repeats)
        scores = _scores(query, keys, scaling, bias)
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32)
        lse = scores.amax(-1, keepdim=True).float() - weights.amax(-1, keepdim=True).log()
        out = torch.bmm(weights.to(values.dtype), values)
        return groups.by_row(out, heads), groups.by_row(lse, heads)

    def _bias(
        self, part: str, window: int, heads: int, dtype: torch.dtype, repeats: int = 1
    ) -> Tensor | None:
        """Return the bias that hides keys from scores, computed once for all equal layers."""
        name = (part, window, heads)
        if name not in self.biases:
            hidden = self._hidden_own(window) if part == "own" else self._hidden_prompt(window)
            if hidden is not None:
                if hidden.shape[1] > 1:
                    hidden = hidden.repeat_interleave(repeats, dim=1)
                hidden = hidden.repeat_interleave(heads, dim=0)
                masked = max(MASKED, torch.finfo(dtype).min / 2)
                bias = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
                hidden = bias.masked_fill_(hidden, masked)
            self.biases[name] = hidden
        return self.biases[name]

    def _hidden_own(self, window: int) -> Tensor | None:
        """Return [B, 1, columns], True where a row may not attend, or None."""
        if self.even and not 0 < window < self.columns:
            return None
        column = torch.arange(-1, self.columns - 1, device=self.lengths_B.device)
        behind = self.lengths_B[:, None] - column
        hidden = behind < 0
        if window:
            hidden |= behind >= window
        return hidden[:, None]

    def _hidden_prompt(self, window: int) -> Tensor | None:
        """Return [S, 1 or G, Tp], True where a row may not attend, or None."""
        groups = self.grouping
        if groups.even and not window:
            return None
        column = torch.arange(groups.T, device=self.lengths_B.device)
        hidden = (column >= groups.lengths_S[:, None])[:, None]
        if window:
            own_SG = self.lengths_B[groups.row_SG].view(groups.S, groups.G)
            position_SG = groups.lengths_S[:, None] + own_SG
            hidden = hidden | (position_SG[..., None] - column >= window)
        return hidden


def _scores(query: Tensor, keys: Tensor, scaling: float, bias: Tensor | None) -> Tensor:
    """scaling * query keys + bias in one pass: [X, R, D], [X, D, T] -> [X, R, T]."""
    if bias is None:
        return torch.baddbmm(query.new_empty(1, 1, 1), query, keys, beta=0, alpha=scaling)
    return torch.baddbmm(bias, query, keys, alpha=scaling)
