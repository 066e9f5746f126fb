"""One row of tokens without padding out of groups that share prompts, and its tree of attention.

A group is a tree: one prompt, G responses that continue it. Its tokens are laid out as
[prompt, response 1, response 2, ..., prompt', ...]; every response's positions go on from its
prompt's end. The last token of a response predicts nothing and stays out of the row.

Left out on purpose: deeper trees (several turns) and padding of any kind in the row itself; the
attention's own buckets pad, see `shared_prefix`.

Shapes: N tokens of the row, M response tokens (what is predicted), R responses, B segments of a
bucket, T tokens of a segment.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from r1.types import TrainGroup

Plan = TypeVar("Plan")


class GroupSpan(NamedTuple):
    """Row positions of one group: its prompt is [start, middle), its responses [middle, end)."""

    start: int
    middle: int
    end: int


class Segment(NamedTuple):
    """A prompt or a response in the row; a response attends to its prompt as well."""

    start: int
    length: int
    prompt_start: int
    prompt_length: int


@dataclass(frozen=True, eq=False)
class LengthBucket:
    """Segments of similar length, padded on the right to one length T.

    index_BT: row position of each token; padding points to position N, one past the row.
    """

    segments: tuple[Segment, ...]
    index_BT: Tensor


class PrefixLayout:
    """Who attends to whom in a packed row; segments in the order of the row.

    What one way of computing the attention needs and another does not is made when first asked for.

    Trap: neither a dataclass nor a tuple, since FSDP2 makes new ones of those before every layer
    when it casts a layer's inputs, and every layer would then make its index tensors anew.
    """

    def __init__(
        self,
        num_tokens: int,
        groups: tuple[GroupSpan, ...],
        segments: tuple[Segment, ...],
        device: torch.device | str,
    ) -> None:
        self.num_tokens = num_tokens
        self.groups = groups
        self.segments = segments
        self.device = device

    @cached_property
    def _made(self) -> dict[Hashable, Any]:
        return {}

    def once(self, key: Hashable, make: Callable[[], Plan]) -> Plan:
        """Return what `make` makes, from the second call with a key on without making it again:
        all layers share it."""
        if key not in self._made:
            self._made[key] = make()
        plan: Plan = self._made[key]
        return plan

    @cached_property
    def buckets(self) -> tuple[LengthBucket, ...]:
        """All segments, in buckets of similar length."""
        return _bucket(self.segments, self.num_tokens, self.device)

    @cached_property
    def segment_table(self) -> tuple[Tensor, Tensor]:
        """Start and length of each of the S segments, [S, 2], and which one is the prompt of each
        of the P groups, then S, [P + 1]; int64, on the CPU."""
        prompts = [i for i, segment in enumerate(self.segments) if segment.prompt_length == 0]
        bounds_S2 = torch.tensor([[segment.start, segment.length] for segment in self.segments])
        return bounds_S2, torch.tensor([*prompts, len(self.segments)])


@dataclass(frozen=True, eq=False)
class PackedRow:
    """A row ready for the model, and where its response tokens are predicted.

    input_ids_1N, position_ids_1N: the row. source_M: the row position whose hidden state predicts
    response token m; targets_M: that token; response_M: which response (0 to R-1) it belongs to.
    Response tokens come in the order of the groups and, inside, of the responses.
    """

    input_ids_1N: Tensor
    position_ids_1N: Tensor
    source_M: Tensor
    targets_M: Tensor
    response_M: Tensor
    num_responses: int
    layout: PrefixLayout


def pack_groups(groups: Sequence[TrainGroup], device: torch.device | str = "cpu") -> PackedRow:
    """Lay out groups as one row. Prompts hold at least one token, responses too."""
    ids: list[int] = []
    positions: list[int] = []
    source: list[int] = []
    targets: list[int] = []
    owner: list[int] = []
    spans: list[GroupSpan] = []
    segments: list[Segment] = []
    count = 0
    for group in groups:
        start, width = len(ids), len(group.prompt_ids)
        assert width > 0, "a prompt without tokens predicts nothing"
        ids += group.prompt_ids
        positions += range(width)
        segments.append(Segment(start, width, 0, 0))
        last = start + width - 1
        for response in group.responses:
            tokens = response.token_ids
            begin, length = len(ids), len(tokens) - 1
            assert length >= 0, "a response holds at least one token"
            ids += tokens[:-1]
            positions += range(width, width + length)
            source.append(last)
            source += range(begin, begin + length)
            targets += tokens
            owner += [count] * len(tokens)
            count += 1
            if length:
                segments.append(Segment(begin, length, start, width))
        spans.append(GroupSpan(start, start + width, len(ids)))
    layout = PrefixLayout(len(ids), tuple(spans), tuple(segments), device)
    return PackedRow(
        input_ids_1N=torch.tensor([ids], device=device),
        position_ids_1N=torch.tensor([positions], device=device),
        source_M=torch.tensor(source, device=device),
        targets_M=torch.tensor(targets, device=device),
        response_M=torch.tensor(owner, device=device),
        num_responses=count,
        layout=layout,
    )


def _bucket(
    segments: Sequence[Segment], num_tokens: int, device: torch.device | str
) -> tuple[LengthBucket, ...]:
    """Sort by length and cut wherever the longest would pad the shortest by more than a quarter."""
    ordered = sorted(segments, key=lambda segment: (-segment.length, segment.start))
    buckets: list[LengthBucket] = []
    first = 0
    for i in range(1, len(ordered) + 1):
        longest = ordered[first].length
        if i < len(ordered) and longest <= 1.25 * ordered[i].length + 8:
            continue
        members = tuple(ordered[first:i])
        starts_B1 = torch.tensor([[s.start] for s in members])
        lengths_B1 = torch.tensor([[s.length] for s in members])
        offsets_T = torch.arange(longest)
        index_BT = torch.where(offsets_T < lengths_B1, starts_B1 + offsets_T, num_tokens)
        buckets.append(LengthBucket(members, index_BT.to(device)))
        first = i
    return tuple(buckets)
