"""Send a policy's new weights to vLLM's workers.

* file: the tensors are written to memory (/dev/shm) and every rank reloads its share by vLLM's own
  `reload_weights`, called by collective RPC (vllm_worker.py completes it). Works anywhere on one
  machine: for a CPU, and for an engine over several GPUs.
* ipc: CUDA IPC, from the GPU that the engine uses, which must be one: the handle that is sent is of
  a buffer on one GPU, and vLLM's rank on another refuses it. nccl: broadcast, from a GPU that the
  engine does not use: two ranks of a communicator cannot share one. Both are vLLM 0.32's native
  weight transfer. They were written against its source and have not been run: there was no GPU.
  Tested is that the source they read from agrees with itself.

Left out on purpose: LoRA adapters on their own (the learner merges them), sparse and sharded
transfers, several nodes.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save_file

from r1.rollout.settings import VllmSettings

_MEMORY = Path("/dev/shm")
OWNER_VARIABLE = "R1_ENGINE_OWNER"
"""Names whose files these are, so that they can be removed where their process was killed."""


class Transfer(Protocol):
    """Sends whole sets of weights to a loaded vLLM."""

    def send(self, weights: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
        """Replace the engine's weights, in its dtype; return when every rank has them."""


def backend_of(settings: VllmSettings, on_gpu: bool) -> str:
    """Return the backend that `transfer` means here: file, ipc or nccl."""
    if settings.transfer != "auto":
        return settings.transfer
    return "ipc" if on_gpu and settings.tensor_parallel_size == 1 else "file"


def make_transfer(backend: str, llm: Any, settings: VllmSettings) -> Transfer:
    """Return the transfer for a loaded `vllm.LLM` with the same backend."""
    if backend == "file":
        return FileTransfer(llm)
    return NativeTransfer(llm, backend, settings.tensor_parallel_size)


class FileTransfer:
    """Transfers weights through a file that stays in memory."""

    def __init__(self, llm: Any) -> None:
        self.llm = llm

    def send(self, weights: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
        """Write the file, have every rank read it, remove it."""
        place = _MEMORY if _MEMORY.is_dir() else None
        prefix = f"r1-weights-{os.environ.get(OWNER_VARIABLE, '')}-"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=place) as folder:
            tensors = {n: t.detach().to("cpu", dtype).contiguous() for n, t in weights.items()}
            save_file(tensors, Path(folder) / "model.safetensors")
            self.llm.collective_rpc("r1_reload", args=(folder,))


class NativeTransfer:
    """The trainer's side of vLLM's weight transfer engine. Needs GPUs: untested here.

    Weights go to the GPU and into the engine's dtype one at a time, through vLLM's buffer of fixed
    size: beside an engine that holds its share of the GPU there is no room for all of them.
    """

    def __init__(self, llm: Any, backend: str, num_ranks: int) -> None:
        self.llm, self.backend, self.num_ranks = llm, backend, num_ranks
        self.source = weight_source()
        # CUDA's current device is a thread's own, and 0 in the thread that sends.
        self.device = torch.device("cuda", torch.cuda.current_device())
        self._trainer: Any = None

    def send(self, weights: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
        """Push the weights; the first call connects to the workers. Weights that are on a GPU leave
        from there, others from the GPU that was the current one when this was made."""
        on_gpu = (tensor.device for tensor in weights.values() if tensor.is_cuda)
        device = next(on_gpu, self.device)
        self.source.take(weights, device, dtype)
        try:
            with torch.cuda.device(device):
                if self._trainer is None:
                    self._trainer = self._meet()
                self._trainer.send_weights()
        finally:
            self.source.take({}, device, dtype)

    def _meet(self) -> Any:
        from vllm.distributed.weight_transfer.factory import WeightTransferTrainerFactory

        info: Any
        if self.backend == "ipc":
            from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo

            info = IPCTrainerInitInfo(rank=0, packed=True)  # else all weights at once
        else:
            from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo

            info = NCCLTrainerInitInfo(
                master_address="127.0.0.1",
                master_port=_free_port(),
                world_size=self.num_ranks + 1,
                rank=0,
            )
        client = WeightClient(self.llm)
        return WeightTransferTrainerFactory.trainer_init(info, client=client, source=self.source)


class WeightClient:
    """vLLM's VLLMWeightSyncClient over a `vllm.LLM` of this process."""

    def __init__(self, llm: Any) -> None:
        self.llm = llm

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        """Connect the workers to the trainer."""
        self.llm.init_weight_transfer_engine({"init_info": init_info})

    def start_weight_update(self) -> None:
        """Begin a set of weights."""
        self.llm.start_weight_update()

    def update_weights(self, update_info: Any) -> None:
        """Receive the trainer's weights."""
        self.llm.update_weights({"update_info": update_info})

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """End a set of weights."""
        self.llm.finish_weight_update(weight_version)


class StreamedWeights:
    """What a transfer is to send; every tensor is moved and cast when its turn comes."""

    def __init__(self) -> None:
        self.weights: dict[str, torch.Tensor] = {}
        self.device, self.dtype = torch.device("cpu"), torch.float32

    def take(
        self, weights: dict[str, torch.Tensor], device: torch.device, dtype: torch.dtype
    ) -> None:
        """Replace what is to be sent; device, dtype: as it is to arrive."""
        self.weights, self.device, self.dtype = weights, device, dtype

    def shapes(self) -> Iterator[tuple[str, torch.dtype, tuple[int, ...]]]:
        """Yield name, dtype and shape; nothing is moved."""
        return ((name, self.dtype, tuple(t.shape)) for name, t in self.weights.items())

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, tensor in self.weights.items():
            yield name, tensor.detach().to(self.device, self.dtype).contiguous()


def weight_source() -> Any:
    """Return StreamedWeights as vLLM's WeightSource."""
    from vllm.distributed.weight_transfer.base import ParamMeta, WeightSource

    class StreamedSource(StreamedWeights, WeightSource):
        def metadata(self) -> list[Any]:
            return [ParamMeta(*form) for form in self.shapes()]

    return StreamedSource()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
