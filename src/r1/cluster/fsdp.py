"""The learner over several ranks: PyTorch FSDP2 (`fully_shard`) under LocalLearner's update.

Every rank holds a part of each parameter, its gradient and its optimiser state. Before a decoder
layer computes, its parameters are gathered; after its backward pass gradients are summed over ranks
and scattered. The objective's totals are those of the whole minibatch (`learner.objective`), so the
sum, never the mean, is the gradient of one process. Embeddings, last norm and output head are one
group of their own, since the loss is computed from the head's weight in chunks.

With autocast the gathered parameters are bfloat16 and gradients are summed in float32 over float32
shards. Rank 0 alone loads a model, into its host's memory, and sends it a layer at a time: the
others never hold more than their shards and one group (a layer, or embeddings and head).

Left out on purpose: tensor, pipeline and expert parallelism, offloading, and loading without a
whole copy of the model in rank 0's host memory (two with a reference, until they are sharded).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor
from transformers.modeling_layers import GradientCheckpointingLayer

from r1.cluster.balance import balanced, balanced_rows
from r1.learner.microbatch import IndexedResponse, MicroBatch

Row = TypeVar("Row")


class ShardedRanks:
    """Implements learner.ranks.Ranks for one process of a torch.distributed group.

    Every learner runs over ranks as it is: `LocalLearner(..., ranks=ShardedRanks(mesh))`.
    """

    sharded = True

    def __init__(self, mesh: DeviceMesh, autocast: bool = False) -> None:
        """Join a mesh of one dimension over all ranks, as `torch.distributed` was set up."""
        self.mesh = mesh
        self.index, self.count = mesh.get_local_rank(), mesh.size()
        self._precision = MixedPrecisionPolicy()
        if autocast:
            self._precision = MixedPrecisionPolicy(torch.bfloat16, torch.float32)

    def load_device(self, device: torch.device) -> torch.device:
        """Return host memory on rank 0, as the whole model may not fit one GPU, and "meta" on the
        others."""
        return torch.device("cpu" if self.index == 0 else "meta")

    def broadcast(self, tensor: Tensor) -> Tensor:
        """Send rank 0's tensor over the device that computes; rank 0 keeps its own where it is."""
        moved = torch.empty_like(tensor, device="cpu") if tensor.is_meta else tensor.detach()
        moved = moved.to(self.mesh.device_type)
        dist.broadcast(moved, group=self.mesh.get_group(), group_src=0)
        if not tensor.is_meta:
            return tensor
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(moved, requires_grad=tensor.requires_grad)
        return moved

    def shard(self, model: nn.Module, as_stored: bool = False) -> None:
        """Shard a model in place, layer by layer.

        Every module reshards after its forward pass, the root too: otherwise a pass without
        gradients would leave gathered weights behind, which the next update does not change.
        """
        layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
        precision = MixedPrecisionPolicy() if as_stored else self._precision
        for module in [*layers, model]:
            self._broadcast_unsharded(module)
            fully_shard(module, mesh=self.mesh, mp_policy=precision, reshard_after_forward=True)
            assert isinstance(module, FSDPModule)
            # Gloo knows sums alone; a sum is also what the totals of the objective ask for.
            module.set_force_sum_reduction_for_comms(True)
            module.set_gradient_divide_factor(1.0)
        model.run_whole = MethodType(_run, model)  # type: ignore[assignment]
        register_fsdp_forward_method(model, "run_whole")

    def _broadcast_unsharded(self, module: nn.Module) -> None:
        """Broadcast the parameters and buffers that are not sharded yet, a tied one once."""
        sent: dict[int, tuple[Tensor, Tensor]] = {}  # with the key's tensor, so that its id stays
        for part in module.modules():
            registers: tuple[dict[str, Any], ...] = (part._parameters, part._buffers)
            for held in registers:
                for name, tensor in held.items():
                    if tensor is None or isinstance(tensor, DTensor):
                        continue
                    if id(tensor) not in sent:
                        sent[id(tensor)] = (tensor, self.broadcast(tensor))
                    held[name] = sent[id(tensor)][1]

    def run(self, model: nn.Module, function: Callable[..., Any], *args: Any) -> Any:
        return model.run_whole(function, *args)  # type: ignore[operator]

    def share(self, responses: Sequence[IndexedResponse], budget: int) -> list[MicroBatch]:
        return balanced(responses, budget, self.count)[self.index]

    def assign_rows(
        self, pack: Callable[[int], Sequence[Row]], size: Callable[[Row], int], budget: int
    ) -> Sequence[Row | None]:
        return balanced_rows(pack, size, budget, self.count)[self.index]

    def sum(self, values: Tensor) -> Tensor:
        dist.all_reduce(values, dist.ReduceOp.SUM, self.mesh.get_group())
        return values

    def maximum(self, values: Tensor) -> Tensor:
        dist.all_reduce(values, dist.ReduceOp.MAX, self.mesh.get_group())
        return values


def _run(model: nn.Module, function: Callable[..., Any], *args: Any) -> Any:
    return function(model, *args)
