"""r1 on one GPU, in under ten minutes: are the kernels right, how fast, how much memory, same bits?

    .venv/bin/python bench/gpu.py                  a table, and bench/results/gpu.<name>.json
    .venv/bin/python bench/gpu.py --only engine resume
    .venv/bin/python bench/gpu.py --toy            every part on a CPU at toy size, nothing written

    attention   FlashAttention's kernels as `varlen_attention` calls them, against the padded
                attention in fp32: largest relative error of output and gradients, milliseconds
    learner     one update of a random model of Qwen2.5-1.5B's shape under autocast: tokens/s, share
                of the GPU's measured bf16 products (MFU), peak memory beside `r1 plan`'s
    engine      the embedded engine, 64 samples of 16 prompts: tokens/s
    resume      with learner.deterministic: do update, save, load, update give the bits of two
                updates? Without it as well, for comparison
    trl         bench/grpo_step.py beside TRL, where it is installed

A part that fails is written down with its error, and the others go on. Models are made on the
device; nothing is fetched.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple
from unittest import mock

from machine import measure_machine, update_flop

RESULTS = Path(__file__).parent / "results"
GIB = 2**30


class Size(NamedTuple):
    """A model's shape and the work that it gets. attention: tokens of a response there."""

    device: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    prompt: int
    response: int
    samples: int
    attention: int


FULL = Size("cuda", 28, 1536, 12, 2, 8960, 151_936, 256, 2048, 64, 4096)
TOY = Size("cpu", 2, 64, 4, 2, 96, 256, 8, 24, 8, 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS)
    parser.add_argument("--toy", action="store_true", help="on a CPU, at toy size")
    arguments = parser.parse_args()
    import torch

    if not arguments.toy and not torch.cuda.is_available():
        sys.exit("bench/gpu.py measures a GPU, and PyTorch sees none here (--toy tries its parts).")
    size = TOY if arguments.toy else FULL
    results: dict[str, Any] = {
        "device": "cpu" if arguments.toy else torch.cuda.get_device_name(),
        "torch": torch.__version__,
    }
    for name in arguments.only or PARTS:
        results[name] = measured(PARTS[name], size)
        print(f"{name}: {json.dumps(results[name])}", file=sys.stderr, flush=True)
    print(table(results))
    if not arguments.toy:
        name = re.sub(r"\W+", "-", results["device"]).strip("-").lower()
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"gpu.{name}.json").write_text(json.dumps(results, indent=2) + "\n")


def measured(part: Callable[[Size], Any], size: Size) -> dict[str, Any]:
    """What a part found and its seconds; its error, where it failed."""
    begin = time.perf_counter()
    try:
        found = part(size)
    except Exception as error:  # the others are worth their while
        found = {"failed": f"{type(error).__name__}: {error}"[:500]}
    return {**found, "part_s": round(time.perf_counter() - begin, 1)}


def attention(size: Size) -> dict[str, Any]:
    """By case: largest error relative to the largest number, and milliseconds of both ways."""
    import torch

    from r1.learner.packing import pack_groups
    from r1.learner.padded_attention import padded_attention
    from r1.learner.varlen_attention import varlen_attention

    half = torch.bfloat16 if size.device == "cuda" else torch.float32
    attend = varlen_attention if size.device == "cuda" else padded_attention
    lengths = [size.attention // n for n in (1, 2, 2, 3)]
    layout = pack_groups(groups_of(size, 2, lengths), size.device).layout
    found = {}
    cases = ((12, 2, 128, 128, None), (8, 8, 64, 64, None), (4, 1, 256, 256, 512),
             (4, 4, 192, 128, None), (6, 3, 128, 128, 37))  # fmt: skip
    for heads, kv_heads, width, value_width, window in cases:
        torch.manual_seed(0)
        shapes = ((heads, width), (kv_heads, width), (kv_heads, value_width))
        rounded = [torch.randn(layout.num_tokens, *s, device=size.device).to(half) for s in shapes]
        grad = torch.randn(layout.num_tokens, heads, value_width, device=size.device).to(half)
        results, times = [], []
        for function, dtype in ((padded_attention, torch.float32), (attend, half)):
            leaves = [x.to(dtype).requires_grad_() for x in rounded]
            arguments = (layout, width**-0.5, window)
            both_ways = partial(forward_and_backward, function, leaves, arguments, grad.to(dtype))
            results.append(both_ways())
            times.append(1e3 * seconds_of(both_ways, size, 3))
        errors = [
            float((got.float() - exact).abs().max() / exact.abs().max())
            for exact, got in zip(*results, strict=True)
        ]
        name = f"heads {heads}/{kv_heads} of {width}/{value_width}, window {window}"
        found[name] = {
            "error": max(errors), "ms": round(times[1], 2), "padded_fp32_ms": round(times[0], 2)
        }  # fmt: skip
    worst = max(case["error"] for case in found.values())
    return {"tokens": layout.num_tokens, "worst_error": worst, "right": worst < 0.03, **found}


def forward_and_backward(
    function: Callable[..., Any], leaves: list[Any], arguments: tuple[Any, ...], grad: Any
) -> list[Any]:
    """Output, then the leaves' gradients."""
    import torch

    out = function(*leaves, *arguments)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


def offloaded(size: Size) -> dict[str, Any]:
    """The learner's update with the layers' inputs in the host's memory."""
    return learner(size, "offload")


def learner(size: Size, recompute: Literal[True, "offload"] = True) -> dict[str, Any]:
    """Seconds and peak of one update of four micro-batches after a first, small one."""
    import torch

    from r1.algorithms.grpo import GRPO, GRPOSettings
    from r1.learner.settings import LearnerSettings, OptimizerSettings
    from r1.plan.memory import MicrobatchRow, learner_memory
    from r1.plan.model import shape_from_config

    on_gpu = size.device == "cuda"
    row_tokens = size.prompt + 8 * (size.response - 1)
    settings = LearnerSettings(
        device=size.device, autocast=on_gpu, gradient_checkpointing=recompute,
        tokens_per_microbatch=row_tokens,
    )  # fmt: skip
    made = learner_of(size, settings)
    made.update(batch_of(size, 1, [2] * 8))
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    batch = batch_of(size, 4, [size.response] * 8)
    seconds = seconds_of(lambda: made.update(batch), size, 1)
    recipe = SimpleNamespace(
        learner=settings, optimizer=OptimizerSettings(), algorithm=GRPO(GRPOSettings()).settings
    )
    row = MicrobatchRow(row_tokens, 8 * size.response, size.prompt + size.response)
    shape = shape_from_config(made.model.config.to_dict(), "measured")
    planned = learner_memory(recipe, shape, 1, size.device, row)
    segments = [(size.prompt, 0), *[(size.response, size.prompt)] * 8] * 4
    rate = 1e9 * measure_machine(size.device, "bfloat16" if on_gpu else "float32")["gflop_per_s"]
    return {
        "seconds": round(seconds, 3),
        "tokens_per_s": round(4 * row_tokens / seconds),
        "mfu": round(update_flop(made.model, segments) / seconds / rate, 3),
        "bf16_tflop_per_s": round(rate / 1e12, 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / GIB, 2) if on_gpu else None,
        "planned_gib": round(planned.peak / GIB, 2),
    }


def engine(size: Size) -> dict[str, Any]:
    """Tokens a second of a batch in which every sample runs to its limit."""
    import torch

    from r1.rollout.embedded import EmbeddedEngine
    from r1.rollout.settings import EngineSettings, SamplingSettings
    from r1.types import GroupRequest

    dtype = "bfloat16" if size.device == "cuda" else "float32"
    model = model_of(size, getattr(torch, dtype))
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    settings = EngineSettings(device=size.device, dtype=dtype, max_batch=size.samples)
    made = EmbeddedEngine(model, None, settings)
    made.end_ids = ()
    requests = [
        GroupRequest(str(i), tuple(range(3, 3 + size.prompt)), tuple(range(size.samples // 4)))
        for i in range(4)
    ]
    tokens = max(8, size.response // 8)
    sampling = SamplingSettings(max_new_tokens=tokens)
    list(made.generate(requests, SamplingSettings(max_new_tokens=4)))  # warm-up
    seconds = seconds_of(lambda: list(made.generate(requests, sampling)), size, 1)
    return {"rows": size.samples, "tokens_per_s": round(size.samples * tokens / seconds)}


def resume(size: Size) -> dict[str, Any]:
    """Whether save and load between two updates change a bit of the weights."""
    return {
        "deterministic": resumes_exactly(size, True),
        "not_deterministic": resumes_exactly(size, False),
    }


def resumes_exactly(size: Size, deterministic: bool) -> bool:
    import torch

    from r1.learner.settings import LearnerSettings

    small = size._replace(layers=2, vocab=4096)
    settings = LearnerSettings(
        device=size.device, autocast=size.device == "cuda", deterministic=deterministic,
        tokens_per_microbatch=size.prompt + 8 * size.response,
    )  # fmt: skip
    batch = batch_of(small, 2, [size.response, size.response // 2] * 4)
    made = learner_of(small, settings)
    with tempfile.TemporaryDirectory() as folder:
        made.update(batch)
        made.save(Path(folder))
        made.update(batch)
        once = [(name, tensor.clone()) for name, tensor in made.weights()]
        again = learner_of(small, settings)
        again.load(Path(folder))
    again.update(batch)
    return all(
        torch.equal(tensor, other)
        for (_, tensor), (_, other) in zip(once, again.weights())  # noqa: B905
    )


def trl(size: Size) -> dict[str, Any]:
    """bench/grpo_step.py on the device, a short one; what is missing, where TRL is."""
    if importlib.util.find_spec("trl") is None:
        return {"skipped": "TRL is not installed (pip install -e '.[bench]')"}
    if size.device == "cpu":
        return {"skipped": "not at toy size"}
    command = [sys.executable, str(Path(__file__).with_name("grpo_step.py")), "--json"]
    options = ["--device", "cuda", "--steps", "1", "--repeats", "1"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=180)
    if done.returncode:
        return {"failed": done.stderr[-500:]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


PARTS: dict[str, Callable[[Size], dict[str, Any]]] = {
    "attention": attention, "learner": learner, "offloaded": offloaded, "engine": engine,
    "resume": resume, "trl": trl,
}  # fmt: skip


def model_of(size: Size, dtype: Any) -> Any:
    """A random model, made on the device."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "qwen2", vocab_size=size.vocab, hidden_size=size.width, intermediate_size=size.ffn,
        num_hidden_layers=size.layers, num_attention_heads=size.heads,
        num_key_value_heads=size.kv_heads, max_position_embeddings=32_768,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device(size.device):
        return AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation="sdpa"
        ).eval()


def learner_of(size: Size, settings: Any) -> Any:
    import torch

    from r1.algorithms.grpo import GRPO, GRPOSettings
    from r1.learner import local
    from r1.learner.settings import OptimizerSettings

    load = local.load_model

    def made(path: Any, *rest: Any) -> Any:
        return model_of(size, torch.float32) if path == "made here" else load(path, *rest)

    with mock.patch.object(local, "load_model", made):
        return local.LocalLearner("made here", settings, OptimizerSettings(), GRPO(GRPOSettings()))


def groups_of(size: Size, groups: int, lengths: list[int]) -> list[Any]:
    """Groups of one prompt length, with responses of the given lengths."""
    from r1.types import TrainGroup, TrainResponse

    def ids(number: int, salt: int) -> list[int]:
        return [2 + (7 * i + salt) % (size.vocab - 2) for i in range(number)]

    return [
        TrainGroup(
            tuple(ids(size.prompt, group)),
            [
                TrainResponse(ids(n, i), [-5.0] * n, [1.0 if i % 2 else -1.0] * n)
                for i, n in enumerate(lengths)
            ],
        )
        for group in range(groups)
    ]


def batch_of(size: Size, groups: int, lengths: list[int]) -> Any:
    from r1.types import TrainBatch

    made = groups_of(size, groups, lengths)
    return TrainBatch(made, groups * len(lengths), groups * sum(lengths))


def seconds_of(work: Callable[[], Any], size: Size, times: int) -> float:
    """Seconds of a call, the mean of a few, with the GPU's queue empty before and after."""
    import torch

    def settle() -> None:
        if size.device == "cuda":
            torch.cuda.synchronize()

    settle()
    begin = time.perf_counter()
    for _ in range(times):
        work()
    settle()
    return (time.perf_counter() - begin) / times


def table(results: dict[str, Any]) -> str:
    """One line a figure, indented under its part."""
    lines = [f"{results['device']}, PyTorch {results['torch']}"]
    for part, found in results.items():
        if isinstance(found, dict):
            lines.append(part)
            lines += [f"  {name:40} {value}" for name, value in found.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
