"""The plan's memory against the measured peak: one learner update in each of several settings.

    .venv/bin/python bench/plan_memory.py --json
    .venv/bin/python bench/plan_memory.py --only qwen2-lora

Each setting runs in a process of its own, one after another: a random model is loaded by
LocalLearner, which first learns from a few tokens (so that AdamW's moments are there), then does
one update of two full micro-batches. Measured is that update's peak resident set (the kernel's
VmHWM, set back before it) above the resident set before the model was loaded; glibc is told to
give freed blocks back at once, so that what is resident is what is allocated. What is resident
besides tensors after the first update (libraries' own buffers) is in the measured peak and given
apart. Afterwards the parts are added up from the tensors themselves: weights, moments, gradients,
and what autograd saves for the backward pass. On CUDA the peak is torch.cuda.max_memory_allocated.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

GIB = 2**30
PROMPT, RESPONSES = 32, 4


class Case(NamedTuple):
    """A model, and how an update of it is computed."""

    arch: str
    width: int
    layers: int
    ffn: int
    vocab: int
    tokens: int
    tied: bool = True
    dtype: str = "float32"
    autocast: bool = False
    checkpointing: bool = False
    lora: int = 0
    kl: float = 0.0


CASES = {
    "qwen2": Case("qwen2", 512, 10, 1536, 32_000, 768),
    "llama-untied": Case("llama", 512, 8, 1536, 32_000, 512, tied=False),
    "qwen2-checkpointing": Case("qwen2", 512, 12, 1536, 32_000, 1024, checkpointing=True),
    "qwen2-reference": Case("qwen2", 512, 8, 1536, 32_000, 512, kl=0.001),
    "qwen2-lora": Case("qwen2", 512, 12, 1536, 32_000, 1024, lora=16),
    "qwen3-large-vocabulary": Case("qwen3", 512, 6, 1536, 100_000, 384),
    "llama-autocast": Case("llama", 512, 8, 1536, 32_000, 512, autocast=True),
    "qwen2-bfloat16": Case("qwen2", 512, 12, 1536, 48_000, 512, dtype="bfloat16"),
    "qwen2-checkpointing-autocast": Case(
        "qwen2", 512, 12, 1536, 32_000, 768, autocast=True, checkpointing=True
    ),
    "qwen2-large": Case("qwen2", 768, 14, 3072, 64_000, 1024),
    "qwen2-long-rows": Case("qwen2", 512, 8, 1536, 32_000, 3072),
    # The formula was not looked at again after these four.
    "llama-narrow": Case("llama", 384, 16, 1024, 16_000, 1536, tied=False),
    "qwen2-shallow": Case("qwen2", 1024, 4, 4096, 24_000, 1024),
    "qwen3-checkpointing-reference": Case(
        "qwen3", 640, 8, 1792, 50_000, 512, checkpointing=True, kl=0.001
    ),
    "llama-lora-autocast": Case("llama", 512, 10, 1536, 32_000, 768, autocast=True, lora=8),
}


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        print(json.dumps(measure(CASES[arguments.worker], arguments)))
        return
    names = arguments.only or list(CASES)
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        results[name] = one(name, arguments)
        if arguments.out:  # after every setting, so that none is lost to the next one
            arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2) if arguments.json else table(results))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path, help="write the results into this file as they come")
    parser.add_argument("--only", nargs="+", choices=CASES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--worker", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    return parser.parse_args()


def one(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        save_model(case, Path(folder))
        whole = worker(name, folder, arguments)
        parts = whole["parts"]
        planned = plan(case, folder, whole["device"])
    measured = whole["peak"]
    result = {
        **case._asdict(),
        "device": whole["device"],
        "seconds": whole["seconds"],
        "measured_gib": round(measured / GIB, 3),
        "planned_gib": round(planned["peak"] / GIB, 3),
        "error": round(planned["peak"] / measured - 1, 4),
        "moment": planned["moment"],
        "not_tensors_mib": round(whole["rest"] / 2**20, 1),
        "parts": {
            part: {"planned_mib": round(planned["parts"][part] / 2**20, 1),
                   "measured_mib": round(value / 2**20, 1)}
            for part, value in parts.items()
        },
        "planned_at_peak_mib": {k: round(v / 2**20, 1) for k, v in planned["at_peak"].items()},
    }  # fmt: skip
    print(f"{name}: {100 * result['error']:+.1f} %", file=sys.stderr, flush=True)
    return result


def worker(name: str, folder: str, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--worker", name, "--model", folder]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "0"}
    done = subprocess.run(
        [*command, "--device", arguments.device], capture_output=True, text=True, env=environment
    )
    if done.returncode != 0:
        sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def save_model(case: Case, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        case.arch,
        vocab_size=case.vocab,
        hidden_size=case.width,
        intermediate_size=case.ffn,
        num_hidden_layers=case.layers,
        num_attention_heads=case.width // 64,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=8192,
        tie_word_embeddings=case.tied,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)


def settings_of(case: Case, device: str) -> Any:
    """What of a recipe the learner and the plan look at."""
    from r1.algorithms.grpo import GRPOSettings
    from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings

    LearnerSettings.logits_budget_mb = 128

    return SimpleNamespace(
        learner=LearnerSettings(
            device=device,
            dtype=case.dtype,
            autocast=case.autocast,
            tokens_per_microbatch=case.tokens,
            gradient_checkpointing=case.checkpointing,
            lora=LoraSettings(rank=case.lora) if case.lora else None,
        ),
        optimizer=OptimizerSettings(),
        loss=GRPOSettings(kl_weight=case.kl),
    )


def plan(case: Case, folder: str, device: str) -> dict[str, Any]:
    from r1.plan.memory import MicrobatchRow, learner_memory
    from r1.plan.model import shape_of

    recipe = settings_of(case, device)
    recipe.grpo = recipe.loss
    length = response_tokens(case)
    row = MicrobatchRow(PROMPT + RESPONSES * (length - 1), RESPONSES * length, PROMPT + length)
    memory = learner_memory(recipe, shape_of(folder), 1, device, row)
    loss = {i.part: i.bytes for i in memory.items if i.phase in ("resident", "loss")}
    return {
        "peak": memory.peak,
        "moment": memory.worst,
        "at_peak": memory.at_peak(),
        "parts": loss,
    }


def response_tokens(case: Case) -> int:
    """So that a prompt and its responses fill one row."""
    return (case.tokens - PROMPT) // RESPONSES


def measure(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    import torch

    from r1.algorithms.grpo import GRPO
    from r1.learner.local import LocalLearner

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    on_gpu = arguments.device != "cpu" and torch.cuda.is_available()
    warm_up(on_gpu)
    before = 0 if on_gpu else resident("VmRSS")
    recipe = settings_of(case, arguments.device)
    learner = LocalLearner(arguments.model, recipe.learner, recipe.optimizer, GRPO(recipe.loss))
    learner.update(batch_of(case, groups=1, length=8))
    rest = 0 if on_gpu else resident("VmRSS") - before - held_bytes(learner)
    begin = time.perf_counter()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")
    learner.update(batch_of(case, groups=2, length=response_tokens(case)))
    peak = torch.cuda.max_memory_allocated() if on_gpu else resident("VmHWM") - before
    return {
        "peak": peak,
        "rest": rest,
        "seconds": round(time.perf_counter() - begin, 1),
        "parts": parts_of(learner, case),
        "device": "cuda" if on_gpu else "cpu",
    }


def warm_up(on_gpu: bool) -> None:
    """Load what libraries load at their first use."""
    import torch
    import transformers.models.llama.modeling_llama
    import transformers.models.qwen2.modeling_qwen2
    import transformers.models.qwen3.modeling_qwen3  # noqa: F401

    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(256, 256, dtype=dtype, device="cuda" if on_gpu else "cpu")
        x.requires_grad_()
        (x @ x).sum().backward()


def batch_of(case: Case, groups: int, length: int) -> Any:
    from r1.types import TrainBatch, TrainGroup, TrainResponse

    draw = random.Random(0)

    def ids(number: int) -> list[int]:
        return [draw.randrange(2, case.vocab) for _ in range(number)]

    made = [
        TrainGroup(
            tuple(ids(PROMPT)),
            [
                TrainResponse(ids(length), [-10.0] * length, [1.0 if i % 2 else -1.0] * length)
                for i in range(RESPONSES)
            ],
        )
        for _ in range(groups)
    ]
    return TrainBatch(made, groups * RESPONSES, groups * RESPONSES * length)


def held_bytes(learner: Any) -> int:
    """Weights, reference and moments."""
    held = sum(p.nbytes for p in learner.model.parameters()) + moment_bytes(learner)
    if learner.reference is not None:
        held += sum(tensor.nbytes for tensor in learner.reference.state_dict().values())
    return held


def moment_bytes(learner: Any) -> int:
    states = [s for optimizer, _ in learner.optimizer.optimizers for s in optimizer.state.values()]
    return sum(t.nbytes for state in states for t in state.values() if t.ndim)


def parts_of(learner: Any, case: Case) -> dict[str, int]:
    """Bytes of weights, moments and gradients, and of what autograd saves in one forward pass."""
    import torch

    from r1.learner.microbatch import index_responses, split_microbatches
    from r1.learner.packing import pack_groups

    parameters = list(learner.model.parameters())
    own = {p.untyped_storage().data_ptr() for p in parameters}
    trained = [p for p in parameters if p.requires_grad]
    batch = batch_of(case, groups=1, length=response_tokens(case))
    micro = split_microbatches(index_responses(batch), case.tokens)[0]
    row = pack_groups(micro.groups, learner.device)
    saved: dict[int, int] = {}
    alive = []  # a storage that is freed lends its address to the next

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tuple(tensor.shape) not in shapes:
            alive.append(tensor)
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    shapes = {tuple(p.shape) for p in parameters} | {tuple(p.t().shape) for p in parameters}
    learner.learning_mode(True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        policy = learner.logprobs(learner.model, row)
    del policy
    frozen = [p for p in parameters if not p.requires_grad]
    base = frozen if case.lora else trained
    return {
        "weights": sum(p.nbytes for p in base),
        "optimiser": moment_bytes(learner),
        "gradients": sum(p.nbytes for p in trained),
        "activations": sum(saved.values()),
    }


def resident(field: str) -> int:
    """Bytes of a field of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} in /proc/self/status")


def table(results: dict[str, dict[str, Any]]) -> str:
    lines = [f"{'setting':30} {'measured':>9} {'planned':>9} {'error':>7}  at"]
    for name, r in results.items():
        lines.append(
            f"{name:30} {r['measured_gib']:>9.2f} {r['planned_gib']:>9.2f} "
            f"{100 * r['error']:>+6.1f}%  {r['moment']}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
