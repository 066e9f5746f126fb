"""A pretended GPU: r1's own code on fake tensors with the device "cuda", on a machine without one.

    import fake_cuda
    fake_cuda.lend()        # before torch is imported, and once in a process
    import torch
    with fake_cuda.pretended() as seen:
        ...

Fake tensors have shapes, formats and devices and no numbers, so a model of any size fits. Found are
mixed devices, operators without a CUDA shape rule and hidden copies; measured can be what autograd
keeps and the peak of memory. Not found is what only kernels do.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from copy import deepcopy as _deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

SOURCE = Path(__file__).with_suffix(".cpp")


class CannotPretend(Exception):  # noqa: N818 (a reason, for a test to skip or a bench to end)
    """There is no C++ compiler, or PyTorch's headers are not those this was written for."""


def lend() -> None:
    """Compile fake_cuda.cpp, or take the file of an earlier process, and load it."""
    assert "torch" not in sys.modules, "PyTorch asks for its devices once, when it is imported"
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None or (compiler := shutil.which("c++")) is None:
        raise CannotPretend("a C++ compiler and PyTorch are needed")
    torch_folder = Path(found.origin).parent
    version = (torch_folder / "version.py").read_text()
    key = sha256((SOURCE.read_text() + version + str(torch_folder)).encode()).hexdigest()[:16]
    target = Path(tempfile.gettempdir()) / f"r1-fake-cuda-{os.getuid()}-{key}.so"
    if not target.exists():
        passing = target.with_suffix(f".{os.getpid()}")
        libraries = torch_folder / "lib"
        done = subprocess.run(
            [compiler, "-std=c++20", "-O0", "-shared", "-fPIC", f"-I{torch_folder / 'include'}",
             str(SOURCE), "-o", str(passing), f"-L{libraries}", "-lc10", "-ltorch_cpu",
             f"-Wl,-rpath,{libraries}"],
            capture_output=True,
            text=True,
        )  # fmt: skip
        if done.returncode:
            raise CannotPretend(done.stderr[-2000:])
        passing.rename(target)
    ctypes.CDLL(str(target))
    gc.disable()  # collecting cycles of fake tensors crashes the process now and then


@contextmanager
def pretended() -> Iterator[Seen]:
    """Fake tensors of every device, and what is seen of copies and waits meanwhile.

    Numbers that the host reads are 0, or True; nothing that is looked for is found. The
    device is named "cuda" ("auto" is the CPU).
    """
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
    from torch.optim import optimizer
    from torch.utils import _foreach_utils

    seen = Seen()
    # Not torch.cuda.is_available: fake tensors would then ask the card for real memory.
    card = {
        "torch.cuda.device_count": lambda: 1,
        "torch.cuda.get_device_capability": lambda *_: (9, 0),
        "torch.cuda.is_bf16_supported": lambda *_: True,
        "torch.nn.Module._apply": _apply,
        "torch.cuda.amp.common.amp_definitely_not_available": lambda: False,
        **{f"torch.cuda.{name}": value for name, value in _NO_STREAMS.items()},
    }
    with ExitStack() as stack:
        for name, value in card.items():
            stack.enter_context(mock.patch(name, value))
        for module in (optimizer, _foreach_utils):  # optimisers step all parameters at once
            kinds = [*module._foreach_supported_types, FakeTensor]
            stack.enter_context(mock.patch.object(module, "_foreach_supported_types", kinds))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(_watch(seen))
        yield seen


class _Stream:
    """A stream or an event of a card that is not there: nothing waits."""

    def __init__(self, *_: Any, **__: Any) -> None:
        return None

    def _nothing(self, *_: Any, **__: Any) -> None:
        return None

    wait_stream = wait_event = record = wait = synchronize = __exit__ = _nothing

    def record_event(self, event: Any = None) -> Any:
        return event or self

    def __enter__(self) -> Any:
        return self


_NO_STREAMS = {
    "Stream": _Stream,
    "Event": _Stream,
    "stream": lambda stream: stream,
    "current_stream": lambda *_: _Stream(),
    "current_device": lambda: 0,
    "set_device": lambda *_: None,
    "synchronize": lambda *_: None,
}


def copied(value: Any, memo: Any = None) -> Any:
    """copy.deepcopy, also of a model on "meta", whose tensors are no fakes."""
    import torch
    from torch._subclasses.fake_tensor import unset_fake_temporarily

    model = isinstance(value, torch.nn.Module)
    on_meta = model and next(value.parameters()).device.type == "meta"
    with unset_fake_temporarily() if on_meta else nullcontext():
        return _deepcopy(value, memo)


@contextmanager
def ranks(count: int, autocast: bool = True) -> Iterator[Any]:
    """Rank 1 of `count` pretended ranks, none of which sends anything; outside `pretended`.

    Rank 1 and not 0, since that one loads the model into its host's memory.
    """
    import torch.distributed as dist
    import torch.distributed._tools.fake_collectives  # noqa: F401 (shapes of the collectives)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    from r1.cluster.fsdp import ShardedRanks

    dist.init_process_group("fake", store=FakeStore(), rank=1, world_size=count)
    try:
        with ExitStack() as stack:
            for name, value in (_NO_STREAMS | {"device_count": lambda: 1}).items():
                stack.enter_context(mock.patch(f"torch.cuda.{name}", value))
            mesh = init_device_mesh("cuda", (count,))
        yield ShardedRanks(mesh, autocast)
    finally:
        dist.destroy_process_group()


def _apply(
    module: Any, convert: Any, recurse: bool = True, made: dict[int, Any] | None = None
) -> Any:
    """Module._apply without the exchange of a parameter's contents, which fakes do not allow.

    made: the new parameters by the old ones' ids, so that tied ones stay tied.
    """
    import torch

    made = {} if made is None else made
    for child in module.children() if recurse else ():
        _apply(child, convert, True, made)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            with torch.no_grad():
                moved = convert(parameter)
            if moved is not parameter and id(parameter) not in made:
                new = torch.nn.Parameter(moved, requires_grad=parameter.requires_grad)
                made[id(parameter)] = new
            module._parameters[name] = made.get(id(parameter), parameter)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = convert(buffer)
    return module


class Seen:
    """What crossed between host and device: (phase, kind) -> how often. A phase is "layer" inside a
    decoder layer's forward pass, "backward" in the whole backward pass, else "around"."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.where: list[str] = []
        self.phase = "around"

    def count(self, kind: str) -> None:
        """Count a copy to the device, or a wait of the host for it."""
        self.counts[self.phase, kind] += 1
        self.where.append(f"{self.phase}: {kind}: {_caller()}")

    def clear(self) -> None:
        """Forget what was seen."""
        self.counts.clear()
        self.where.clear()

    def of(self, *phases: str) -> int:
        """How often anything crossed in these phases."""
        return sum(n for (phase, _), n in self.counts.items() if phase in phases)

    def reads(self) -> int:
        """How often the host waited for a number inside layers or the backward pass."""
        return sum(
            n for (phase, kind), n in self.counts.items() if phase != "around" and "read" in kind
        )

    def layers_of(self, model: Any) -> None:
        """Tell the forward passes of a model's decoder layers apart from the rest."""
        from transformers.modeling_layers import GradientCheckpointingLayer

        for module in model.modules():
            if isinstance(module, GradientCheckpointingLayer):
                module.register_forward_pre_hook(lambda *_: setattr(self, "phase", "layer"))
                module.register_forward_hook(
                    lambda *_: setattr(self, "phase", "around"),
                    always_call=True,  # a layer that is computed again stops half-way
                )


def _watch(seen: Seen) -> Any:
    import torch
    from torch.distributed.tensor import DTensor
    from torch.utils._python_dispatch import TorchDispatchMode

    aten = torch.ops.aten

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if any(issubclass(kind, DTensor) for kind in types):
                return NotImplemented  # what a rank does with its own part comes by itself
            kwargs = kwargs or {}
            tensors = [x for x in args if isinstance(x, torch.Tensor)]
            on_gpu = bool(tensors) and tensors[0].device.type == "cuda"
            if function is aten._local_scalar_dense.default and on_gpu:
                seen.count("read")
                return True if tensors[0].dtype == torch.bool else 0
            if function is aten.nonzero.default and on_gpu:
                seen.count("read of a size")
                return tensors[0].new_zeros(0, tensors[0].ndim, dtype=torch.int64)
            made = function(*args, **kwargs)
            sources = {x.device.type for x in tensors}
            if function is aten.copy_.default:
                sources, made = {tensors[1].device.type}, tensors[0]
            if len(sources) == 1 and isinstance(made, torch.Tensor):
                (source,) = sources
                if source != made.device.type:
                    seen.count(f"{source} to {made.device.type}")
            return made

    return Watch()


def _caller() -> str:
    """The innermost line of r1 or transformers on the stack."""
    frame: Any = sys._getframe()
    while frame is not None:
        name = frame.f_code.co_filename
        if f"{os.sep}r1{os.sep}" in name or f"{os.sep}transformers{os.sep}" in name:
            return f"{name.rsplit(os.sep, 2)[-1]}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"


def make_model(config: Any, dtype: Any, device: str = "cuda:0", **kind: Any) -> Any:
    """A causal language model on the pretended GPU, without initial values; inside `pretended`.

    device: "meta" for one of `ranks`, outside `pretended`.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    with torch.device(device), no_init_weights():
        model = AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation="sdpa", **kind
        ).eval()
        model.tie_weights()  # goes with the initial values otherwise
        return model
