"""The learner over several ranks: PyTorch FSDP2 (`fully_shard`) under LocalLearner's update.

Every rank holds a part of each parameter, its gradient and its optimiser state. Before a decoder
layer computes, its parameters are gathered; after its backward pass gradients are summed over ranks
and scattered. The objective's totals are those of the whole minibatch (`learner.objective`), so the
sum, never the mean, is the gradient of one process. Embeddings, last norm and output head are one
group of their own, since the loss is computed from the head's weight in chunks.

With autocast the gathered parameters are bfloat16 and gradients are summed in float32 over float32
shards. Rank 0 alone loads a model, into its host's memory, and sends it a layer at a time: the
others never hold more than their shards and one group (a layer, or embeddings and head).

Left out on purpose: tensor, pipeline and expert parallelism, LoRA, offloading, and loading without
a whole copy of the model in rank 0's host memory (two with a reference, until they are sharded).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
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
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_layers import GradientCheckpointingLayer

from r1.cluster.balance import balanced, balanced_rows
from r1.cluster.export import save_streamed
from r1.errors import UserError
from r1.learner import sharded_state
from r1.learner.local import LocalLearner
from r1.learner.microbatch import IndexedResponse, MicroBatch
from r1.learner.objective import Objective
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.learner.sharded import whole
from r1.types import TrainBatch

Row = TypeVar("Row")


class ShardedRanks:
    """Implements learner.ranks.Ranks for one process of a torch.distributed group."""

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


class ShardedLearner:
    """One rank of learner.protocol.Learner; all ranks make the same calls in the same order."""

    def __init__(
        self,
        model_path: str | Path,
        settings: LearnerSettings,
        optimizer: OptimizerSettings,
        objective: Objective,
        mesh: DeviceMesh,
        temperature: float = 1.0,
        total_steps: int = 1,
        seed: int = 0,
        tokenizer: PreTrainedTokenizerFast | None = None,
    ) -> None:
        """Build the learner of this process's rank in `mesh`, as LocalLearner.

        Raises UserError as LocalLearner does, and for LoRA.
        """
        refuse_adapters(settings)
        self.ranks = ShardedRanks(mesh, settings.autocast)
        self.local = LocalLearner(
            model_path,
            settings,
            optimizer,
            objective,
            temperature=temperature,
            total_steps=total_steps,
            seed=seed,
            tokenizer=tokenizer,
            ranks=self.ranks,
        )

    @property
    def step(self) -> int:
        """Updates done."""
        return self.local.step

    def update(self, batch: TrainBatch) -> dict[str, float]:
        """Update from the whole batch, of which each rank computes a share; all return the same
        metrics, except seconds."""
        return self.local.update(batch)

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (Hugging Face name, whole tensor), gathered one at a time; all ranks must consume
        all of them."""
        return gathered_weights(self.local)

    def save(self, folder: Path) -> None:
        """Write the policy as save_sharded does."""
        save_sharded(self.local, self.ranks, folder)

    def load(self, folder: Path) -> None:
        """Resume from a checkpoint of any number of ranks or of one process. Raises UserError for
        another folder."""
        sharded_state.load(self.local, folder)


def refuse_adapters(settings: LearnerSettings) -> None:
    """Raise UserError for LoRA."""
    if settings.lora is not None:
        raise UserError(
            "learner.lora runs in one process only; leave out [learner.lora] or [cluster]."
        )


def gathered_weights(local: LocalLearner) -> Iterator[tuple[str, Tensor]]:
    """Yield (Hugging Face name, whole tensor), one at a time."""
    return ((name, whole(p.detach())) for name, p in local.model.named_parameters())


def save_sharded(local: LocalLearner, ranks: ShardedRanks, folder: Path) -> None:
    """Write the policy as a Hugging Face model and the ranks' state into `folder`/state.

    The folder must be one that all ranks see. Raises OSError (ENOSPC) for a full disk.
    """
    save_gathered(ranks, local.model, gathered_weights(local), folder, local.tokenizer)
    with sharded_state.full_disk_told(folder):
        sharded_state.save(local, folder)


def save_gathered(
    ranks: ShardedRanks,
    model: PreTrainedModel,
    weights: Iterator[tuple[str, Tensor]],
    folder: Path,
    tokenizer: PreTrainedTokenizerFast | None,
) -> None:
    """Write a model in the Hugging Face layout: rank 0 writes while all ranks gather weights.

    A failed write raises OSError on all ranks, so that none of them continues to write into a
    folder that is being removed.
    """
    problem = 0
    try:
        with sharded_state.full_disk_told(folder):
            save_streamed(model, weights, folder, tokenizer, write=ranks.index == 0)
    except OSError as error:
        problem = error.errno or errno.EIO
        for _ in weights:  # the others are still gathering them
            pass
    problem = int(ranks.maximum(torch.tensor(problem)))
    if problem:
        raise OSError(problem, os.strerror(problem), str(folder))
