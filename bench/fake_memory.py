"""The plan's memory against PyTorch's memory tracker, on a pretended GPU: no card is needed.

    .venv/bin/python bench/fake_memory.py                     every case, as a table
    .venv/bin/python bench/fake_memory.py --only 32b-64 --whole --out FILE

A model of a published shape learns by r1's own learner on fake tensors (fake_cuda.py): one process,
or one rank of N under FSDP2 with a process group that sends nothing. Tracked by
`torch.distributed._tools.mem_tracker`, in the phases of `r1.plan.memory`, is an update of a full
micro-batch with the optimiser's moments and the gradients of an earlier micro-batch there. All
layers of a model being alike, it is tracked with LAYERS layers, and every peak is the line through
the two; --whole tracks all layers. Not in it: what is no tensor (the CUDA context, NCCL's buffers),
the allocator's fragments, workspace inside kernels.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import fake_cuda

if __name__ == "__main__":
    fake_cuda.lend()

import torch
from torch.distributed._tools.mem_tracker import MemTracker
from transformers import AutoConfig

from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.learner import local, optimizer, reference, token_logprobs
from r1.learner.local import LocalLearner
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.plan.memory import PHASES, MicrobatchRow, learner_memory
from r1.plan.model import PUBLISHED, shape_from_config
from r1.types import TrainBatch, TrainGroup, TrainResponse

GB = 1e9
DEPTH = "num_hidden_layers"
LAYERS = (4, 6)


class Case(NamedTuple):
    """A model by its config, how many ranks hold it, and its row.

    responses: so many share one prompt in a row. kl: weight of the KL term; above 0 a reference is
    kept. several: a micro-batch came before in this step. logits_mb: the budget of logits, so that
    a small row has several chunks of them too.
    """

    config: dict[str, Any]
    ranks: int
    tokens: int = 32_768
    prompt: int = 512
    responses: int = 1
    checkpointing: bool = True
    offload: bool = False
    kl: float = 0.0
    lora: int = 0
    minibatches: int = 1
    several: bool = True
    dtype: str = "float32"
    autocast: bool = True
    logits_mb: int = LearnerSettings.logits_budget_mb


_1_5B, _7B, _32B = (
    PUBLISHED[f"Qwen/{name}"] for name in ("Qwen2.5-1.5B", "Qwen2.5-Math-7B", "Qwen2.5-32B")
)
_70B = PUBLISHED["meta-llama/Llama-3.3-70B-Instruct"]
CASES = {
    "1.5b-1": Case(_1_5B, 1, responses=32),
    "1.5b-1-8192": Case(_1_5B, 1, tokens=8192, responses=8),
    "1.5b-1-lora": Case(_1_5B, 1, responses=32, lora=64),
    "1.5b-8": Case(_1_5B, 8),
    "7b-8": Case(_7B, 8),
    "7b-16": Case(_7B, 16),
    "32b-16": Case(_32B, 16, kl=0.001),
    "32b-64": Case(_32B, 64, kl=0.001),
    "32b-16-offload": Case(_32B, 16, kl=0.001, offload=True),
    "70b-64": Case(_70B, 64),
    "70b-64-offload": Case(_70B, 64, offload=True),
}


class PhaseTracker(MemTracker):
    """Peak of the pretended GPU by phase. Modules are not told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.phase = "other"
        self.peaks: dict[str, int] = {}

    def _pre_fw_hook(self, module: Any, inputs: Any) -> None:
        return None

    def _post_fw_hook(self, module: Any, inputs: Any, outputs: Any) -> None:
        return None

    def _pre_bw_hook(self, module: Any, args: Any) -> None:
        return None

    _post_bw_hook = _pre_bw_hook

    def held(self) -> int:
        """Bytes on the pretended GPU now."""
        return sum(
            snap["Total"] for place, snap in self._curr_mem_snap.items() if place.type == "cuda"
        )

    def enter(self, phase: str) -> None:
        """End one phase and begin the next."""
        found = [bytes for place, bytes in self._peak_mem.items() if place.type == "cuda"]
        self.peaks[self.phase] = max([self.peaks.get(self.phase, 0), *found])
        self._peak_mem.clear()
        self._peak_mem_snap.clear()
        self._update_peak_stats("none")  # type: ignore[arg-type]
        self.phase = phase


@contextmanager
def phases(tracker: PhaseTracker) -> Iterator[None]:
    """Tell the tracker where the learner is: forward, loss, backward, step."""
    logprobs = token_logprobs._ChunkedLogprobs
    of_loss, of_all, of_step = (
        logprobs.backward, torch.Tensor.backward, optimizer.PolicyOptimizer.step
    )  # fmt: skip

    def loss_backward(ctx: Any, *grads: Any) -> Any:
        found = of_loss(ctx, *grads)
        tracker.enter("backward")
        return found

    def backward(self: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        tracker.enter("loss")
        of_all(self, *args, **kwargs)
        tracker.enter("forward")

    def step(self: Any, *args: Any) -> Any:
        tracker.enter("step")
        found = of_step(self, *args)
        tracker.enter("forward")
        return found

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(logprobs, "backward", staticmethod(loss_backward)))
        stack.enter_context(mock.patch.object(torch.Tensor, "backward", backward))
        stack.enter_context(mock.patch.object(optimizer.PolicyOptimizer, "step", step))
        yield


def recipe_of(case: Case) -> Any:
    """What of a recipe the learner and the plan look at."""
    algorithm = GRPOSettings(kl_weight=case.kl, num_minibatches=case.minibatches)
    return SimpleNamespace(
        learner=LearnerSettings(
            device="cuda", dtype=case.dtype, autocast=case.autocast,
            gradient_checkpointing="offload" if case.offload else case.checkpointing,
            tokens_per_microbatch=case.tokens,
            lora=LoraSettings(rank=case.lora) if case.lora else None,
        ),
        optimizer=OptimizerSettings(),
        algorithm=algorithm,
    )  # fmt: skip


def response_tokens(case: Case) -> int:
    """So that a prompt and its responses fill one row."""
    return (case.tokens - case.prompt) // case.responses + 1


def batch_of(case: Case, length: int) -> TrainBatch:
    """As many rows a rank as one update takes."""
    rows = case.ranks * case.minibatches
    answer = TrainResponse([7] * length, [-1.0] * length, [0.5] * length)
    groups = [TrainGroup((5,) * case.prompt, [answer] * case.responses) for _ in range(rows)]
    return TrainBatch(groups, rows * case.responses, rows * case.responses * length)


def tracked(case: Case) -> dict[str, Any]:
    """Peaks of an update by phase, bytes; "resident": what stays when it is over. And what crossed
    between host and device meanwhile."""
    config = AutoConfig.for_model(**case.config)
    recipe = recipe_of(case)
    dtype = getattr(torch, case.dtype)
    with ExitStack() as stack:
        budget = mock.patch.object(LearnerSettings, "logits_budget_mb", case.logits_mb)
        stack.enter_context(budget)
        ranks = None
        if case.ranks > 1:
            ranks = stack.enter_context(fake_cuda.ranks(case.ranks, case.autocast))
            model = fake_cuda.make_model(config, dtype, "meta")
        seen = stack.enter_context(fake_cuda.pretended())
        tracker = stack.enter_context(PhaseTracker())
        if case.ranks == 1:
            model = fake_cuda.make_model(config, dtype)
        seen.layers_of(model)
        stack.enter_context(mock.patch.object(local, "load_model", return_value=model))
        stack.enter_context(mock.patch.object(reference.copy, "deepcopy", fake_cuda.copied))
        learner = LocalLearner(
            "fake", recipe.learner, recipe.optimizer, GRPO(recipe.algorithm), ranks=ranks
        )
        del model
        fill_gradients(learner)
        learner.optimizer.step(0)
        if case.several:
            fill_gradients(learner)
        tracker.enter("forward")
        tracker.peaks.clear()
        seen.clear()
        with phases(tracker):
            learner.update(batch_of(case, response_tokens(case)))
        tracker.enter("end")
        held = tracker.held()
        crossed = {
            "layers and backward": seen.of("layer", "backward"),
            "reads in layers": seen.reads(),
            "where": sorted(set(seen.where)),
            "places": sorted({p.device.type for p in learner.model.parameters()}),
        }
    return {"peaks": {"resident": held, **tracker.peaks}, "crossed": crossed}


def fill_gradients(learner: LocalLearner) -> None:
    """As they are after a micro-batch."""
    for parameter in learner.optimizer.parameters:
        parameter.grad = torch.zeros_like(parameter)


def on_a_line(case: Case) -> dict[str, Any]:
    """As `tracked`, from a model of few layers and one of some more."""
    few, more = (tracked(case._replace(config=case.config | {DEPTH: n})) for n in LAYERS)
    share = (case.config[DEPTH] - LAYERS[0]) / (LAYERS[1] - LAYERS[0])
    peaks = {
        phase: peak + share * (more["peaks"][phase] - peak) for phase, peak in few["peaks"].items()
    }
    fewer = {"of fewer layers": few["crossed"]["layers and backward"]}
    return {"peaks": peaks, "crossed": more["crossed"] | fewer}


def planned(case: Case) -> dict[str, Any]:
    """The plan's peak of each phase, bytes, and its parts at the worst."""
    length = response_tokens(case)
    tokens = case.prompt + case.responses * (length - 1)
    row = MicrobatchRow(tokens, case.responses * length, case.prompt + length, case.several)
    shape = shape_from_config(case.config, "fake")
    with mock.patch.object(LearnerSettings, "logits_budget_mb", case.logits_mb):
        memory = learner_memory(recipe_of(case), shape, case.ranks, "cuda", row)
    resident = memory.of("resident")
    peaks = {phase: resident + memory.of(phase) for phase in PHASES}
    peaks["backward"] = max(peaks["backward"], peaks.pop("reduce"))  # one phase to the tracker
    return {"peaks": {"resident": resident, **peaks}, "parts": memory.at_peak(),
            "worst": memory.worst}  # fmt: skip


def compare(case: Case, whole: bool = True) -> dict[str, Any]:
    """The tracker's peaks beside the plan's. whole: all layers are tracked."""
    begin = time.process_time()
    found, plan = tracked(case) if whole else on_a_line(case), planned(case)
    measured = {k: v for k, v in found["peaks"].items() if k in ("resident", *PHASES)}
    phases_of = {
        phase: {
            "tracked_gb": round(value / GB, 4),
            "planned_gb": round(plan["peaks"][phase] / GB, 4),
            "error": round(plan["peaks"][phase] / value - 1, 4),
        }
        for phase, value in measured.items()
    }
    top, planned_top = max(measured.values()), max(plan["peaks"][phase] for phase in measured)
    return {
        "ranks": case.ranks,
        "tokens": case.tokens,
        "tracked_peak_gb": round(top / GB, 4),
        "planned_peak_gb": round(planned_top / GB, 4),
        "error": round(planned_top / top - 1, 4),
        "phases": phases_of,
        "planned_parts_gb": {name: round(x / GB, 3) for name, x in plan["parts"].items()},
        "crossed": found["crossed"],
        "cpu_s": round(time.process_time() - begin, 1),
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| case | ranks | tracked, GB | planned, GB | error | " + " | ".join(PHASES_SHOWN) + " |"
    ]
    lines.append("|---|---:|---:|---:|---:|" + "---:|" * len(PHASES_SHOWN))
    for name, one in results.items():
        cells = [
            f"{one['phases'][p]['tracked_gb']:.1f} / {one['phases'][p]['planned_gb']:.1f}"
            for p in PHASES_SHOWN
        ]
        lines.append(
            f"| {name} | {one['ranks']} | {one['tracked_peak_gb']:.1f} | "
            f"{one['planned_peak_gb']:.1f} | {100 * one['error']:+.1f} % | "
            + " | ".join(cells) + " |"
        )  # fmt: skip
    return "\n".join(lines)


PHASES_SHOWN = ("resident", "forward", "loss", "backward", "step")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CASES)
    parser.add_argument("--whole", action="store_true", help="track all layers; minutes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path, help="write the results into this file as they come")
    arguments = parser.parse_args()
    results = {}
    for name in arguments.only or CASES:
        results[name] = compare(CASES[name], arguments.whole)
        print(f"{name}: {100 * results[name]['error']:+.1f} %, {results[name]['cpu_s']} s",
              file=sys.stderr, flush=True)  # fmt: skip
        if arguments.out:
            arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2) if arguments.json else table(results), flush=True)
    os._exit(0)  # ending in order would collect the fakes


if __name__ == "__main__":
    main()
