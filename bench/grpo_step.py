"""One GRPO step of ours against one of TRL's GRPOTrainer, on the same work, in one run.

    .venv/bin/pip install -e '.[bench]'
    .venv/bin/python bench/grpo_step.py --json

The same model (the shipped base), problems, group size, length limit, sampling (T = 1, nothing
truncated), threads, precision, number of updates and reward code on both sides. The learning rate
is so small that the policy stays the base and both sides sample from one distribution. TRL has its
best case: no KL term, and the micro-batch size that is fastest for it (`--trl-microbatch`, tried:
512, 128, 64). A step is sampling, rewards, update and weights back to the sampler; the first step
of each side is a warm-up and is not counted; the sides take turns, `--repeats` times.

Limit: an update needs 6 operations per weight (embedding look-ups left out) and packed token, and
3.5 times attention's forward pass; `share_of_limit` is that over the machine's matrix-product
rate, measured
in the same run, over the seconds taken. The rollout's limits are bench/rollout.py's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from machine import measure_machine, run_side, update_flop

BASE = Path(__file__).parents[1] / "src/r1/data/tiny/base"
LEARNING_RATE = 1e-9


def main() -> None:
    arguments = parse_arguments()
    if arguments.side:
        seconds = (time_ours if arguments.side == "ours" else time_trl)(arguments)
        print(json.dumps(seconds))
        return
    figures: dict[str, list[dict[str, float]]] = {"ours": [], "trl": []}
    for _ in range(arguments.repeats):
        for side in figures:
            figures[side] += run_side(side)
    result = summarise(figures, arguments)
    print(json.dumps(result, indent=2) if arguments.json else describe(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(BASE))
    parser.add_argument("--problems", type=int, default=32)
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--cap", type=int, default=200, help="most tokens of a response")
    parser.add_argument("--steps", type=int, default=2, help="counted steps a side and repeat")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--trl-microbatch", type=int, default=128)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=["ours", "trl"], help=argparse.SUPPRESS)
    return parser.parse_args()


def make_problems(num: int) -> list[Any]:
    from r1.data.tiny.problems import make_problems

    return make_problems("train", num=num)


def time_ours(arguments: argparse.Namespace) -> list[dict[str, float]]:
    import torch

    from r1.algorithms.batch import make_batch
    from r1.algorithms.grpo import GRPO, GRPOSettings
    from r1.learner.local import LocalLearner
    from r1.learner.settings import LearnerSettings, OptimizerSettings
    from r1.rewards.pool import RewardPool
    from r1.rewards.settings import RewardSettings
    from r1.rollout.embedded import EmbeddedEngine
    from r1.rollout.settings import EngineSettings, SamplingSettings
    from r1.sampling.roll_out import BatchSource, Rollouts, roll_out
    from r1.template import PromptRenderer, TemplateSettings

    torch.set_num_threads(arguments.threads)
    grpo = GRPO(
        GRPOSettings(
            num_problems=arguments.problems,
            group_size=arguments.group,
            kl_weight=0.0,
            aggregate="token",
        )
    )
    sampling = SamplingSettings(max_new_tokens=arguments.cap)
    learner = LocalLearner(
        arguments.model,
        LearnerSettings(device=arguments.device, dtype=arguments.dtype),
        OptimizerSettings(lr=LEARNING_RATE),
        grpo,
    )
    engine = EmbeddedEngine.from_pretrained(
        arguments.model, EngineSettings(device=arguments.device, dtype=arguments.dtype)
    )
    renderer = PromptRenderer(engine.tokenizer, TemplateSettings())
    problems = make_problems(arguments.problems)
    figures = []
    with RewardPool(RewardSettings()) as pool:
        for step in range(arguments.steps + 1):
            source = BatchSource(None, None, step, arguments.group, sampling, bool)
            begin = time.perf_counter()
            scored = roll_out(0, problems, source, Rollouts(engine, pool, renderer))
            rolled_out = time.perf_counter()
            batch = make_batch(scored, grpo, arguments.cap)
            learner.update(batch.batch)
            engine.load_weights(learner.weights(), version=step)
            end = time.perf_counter()
            lengths = [len(c.token_ids) for s in scored for c in s.group.completions]
            figures.append(
                {
                    "seconds": end - begin,
                    "seconds_rollout": rolled_out - begin,
                    "seconds_update": end - rolled_out,
                    "mean_length": statistics.mean(lengths),
                    "zero_variance": batch.stats.zero_variance,
                    "update_gflop": update_flop(learner.model, segments(batch.batch)) / 1e9,
                }
            )
    return figures[1:]


def segments(batch: Any) -> list[tuple[int, int]]:
    """The packed prompts and responses as (own tokens, tokens before them)."""
    found = []
    for group in batch.groups:
        prompt = len(group.prompt_ids)
        found.append((prompt, 0))
        found += [(len(response.token_ids), prompt) for response in group.responses]
    return found


def time_trl(arguments: argparse.Namespace) -> list[dict[str, float]]:
    import tempfile

    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from r1.models.load import load_tokenizer
    from r1.rewards.registry import make_reward
    from r1.rewards.settings import RewardSettings
    from r1.template import render_r1_zero
    from r1.types import Completion

    torch.set_num_threads(arguments.threads)
    problems = make_problems(arguments.problems)
    rewards = [make_reward(name, RewardSettings()) for name in ("accuracy", "format")]
    lengths: list[float] = []

    def total(
        prompts: list[str], completions: list[str], completion_ids: list[list[int]],
        index: list[int], **_: Any,
    ) -> list[float]:  # fmt: skip
        lengths.append(statistics.mean(map(len, completion_ids)))
        return [
            sum(r(problems[i], Completion([], [], text, "stop")).value for r in rewards)
            for i, text in zip(index, completions, strict=True)
        ]

    class Clock(TrainerCallback):
        """Notes the time between the ends of optimiser steps."""

        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends.append(time.perf_counter())

    rows = [{"prompt": render_r1_zero(p.prompt), "index": i} for i, p in enumerate(problems)]
    microbatch = min(arguments.trl_microbatch, arguments.problems * arguments.group)
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder,
            use_cpu=arguments.device == "cpu",
            bf16=arguments.dtype == "bfloat16" and arguments.device != "cpu",
            use_vllm=False,
            gradient_checkpointing=False,
            num_generations=arguments.group,
            per_device_train_batch_size=microbatch,
            gradient_accumulation_steps=arguments.problems * arguments.group // microbatch,
            max_completion_length=arguments.cap,
            loss_type="dapo",
            beta=0.0,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            learning_rate=LEARNING_RATE,
            max_steps=arguments.steps + 1,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        clock = Clock()
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(
                arguments.model, dtype=getattr(torch, arguments.dtype)
            ),
            processing_class=load_tokenizer(arguments.model),
            reward_funcs=total,
            args=config,
            train_dataset=Dataset.from_list(rows),
            callbacks=[clock],
        )
        trainer.train()
    steps = [after - before for before, after in zip(clock.ends, clock.ends[1:], strict=False)]
    return [
        {"seconds": seconds, "mean_length": length}
        for seconds, length in zip(steps, lengths[1:], strict=False)
    ]


def summarise(
    figures: dict[str, list[dict[str, float]]], arguments: argparse.Namespace
) -> dict[str, Any]:
    sides = {
        side: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for side, rows in figures.items()
    }
    machine = measure_machine(arguments.device, arguments.dtype)
    least_s = sides["ours"]["update_gflop"] / machine["gflop_per_s"]
    return {
        "work": f"{arguments.problems} problems x {arguments.group} samples, cap {arguments.cap}",
        "model": arguments.model,
        "device": arguments.device,
        "dtype": arguments.dtype,
        "threads": arguments.threads,
        "counted_steps": {side: len(rows) for side, rows in figures.items()},
        **sides,
        "machine": machine,
        "update": {
            "arithmetic_limit_s": least_s,
            "share_of_limit": least_s / sides["ours"]["seconds_update"],
        },
        "ratio": sides["trl"]["seconds"] / sides["ours"]["seconds"],
    }


def describe(result: dict[str, Any]) -> str:
    ours, trl = result["ours"], result["trl"]
    return (
        f"{result['work']}, {result['threads']} threads, {result['dtype']}\n"
        f"r1   {ours['seconds']:6.2f} s a step (rollout {ours['seconds_rollout']:.2f}, "
        f"update {ours['seconds_update']:.2f}), mean length {ours['mean_length']:.0f}\n"
        f"TRL  {trl['seconds']:6.2f} s a step, mean length {trl['mean_length']:.0f}\n"
        f"update: arithmetic limit {result['update']['arithmetic_limit_s']:.2f} s, "
        f"{result['update']['share_of_limit']:.0%} of it reached\n"
        f"ratio {result['ratio']:.1f}"
    )


if __name__ == "__main__":
    main()
