"""Supervised fine-tuning: one step of ours against one of TRL's SFTTrainer with packing.

    .venv/bin/pip install -e '.[bench]'
    .venv/bin/python bench/sft.py --json

The same model (the shipped base), the same token ids and the same learnt tokens on both sides, the
same threads, precision and number of steps; every step learns from all the examples, and the
learning rate is so small that the model stays what it is. Tokenisation is counted on neither side.
TRL packs best-fit ("bfd") into rows of `--trl-width` tokens, one row a micro-batch; no other width
than the default was tried. The first step of each side is a warm-up and is not counted;
the sides take turns, `--repeats` times. `loss` is each side's loss at its first step: both are the
mean over the same learnt tokens. `cpu_seconds` are the process's own, all threads together: what
to go by on a machine that others use too.

Limit: an update needs 6 operations per weight (embedding look-ups left out) and token, and 3.5
times attention's forward pass; `share_of_limit` is that over the machine's matrix-product rate,
measured in the same run, over the seconds taken.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

from machine import measure_machine, run_side, update_flop

BASE = Path(__file__).parents[1] / "src/r1/data/tiny/base"
LEARNING_RATE = 1e-9
SIDES = ("ours", "trl")


def main() -> None:
    arguments = parse_arguments()
    if arguments.side:
        figures = (time_ours if arguments.side == "ours" else time_trl)(arguments)
        print(json.dumps(figures))
        return
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(arguments.repeats):
        for side in SIDES:
            found[side].append(run_side(side))
    result = summarise(found, arguments)
    print(json.dumps(result, indent=2) if arguments.json else describe(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(BASE))
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2, help="counted steps a side and repeat")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--width", type=int, default=4096, help="tokens of a micro-batch of ours")
    parser.add_argument("--trl-width", type=int, default=512, help="tokens of a row of TRL's")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def make_examples(arguments: argparse.Namespace) -> Any:
    """Documents of the tiny world's corpus, their responses learnt."""
    from r1.data.tiny.corpus import draw_document
    from r1.models.load import load_tokenizer
    from r1.sft.encode import ConversationEncoder
    from r1.sft.examples import Collector
    from r1.sft.rows import Conversation
    from r1.sft.settings import ExampleSettings
    from r1.template import ChatTemplateSettings

    encoder = ConversationEncoder(
        load_tokenizer(arguments.model),
        ChatTemplateSettings(kind="plain"),
        ExampleSettings(join=" "),
    )
    rng = random.Random(0)
    collector = Collector(encoder, arguments.trl_width)
    while len(collector) < arguments.examples:
        document = draw_document(rng)
        turns = (
            {"role": "user", "content": document.prompt},
            {"role": "assistant", "content": document.response},
        )
        [encoded] = encoder.encode([Conversation(0, None, turns)])
        if len(encoded.token_ids) <= arguments.trl_width:
            collector.add(encoded)
    return collector.result()


def time_ours(arguments: argparse.Namespace) -> dict[str, Any]:
    import torch

    from r1.learner.settings import LearnerSettings, OptimizerSettings
    from r1.sft.learner import SFTLearner

    torch.set_num_threads(arguments.threads)
    examples = make_examples(arguments)
    learner = SFTLearner(
        arguments.model,
        LearnerSettings(
            device=arguments.device,
            dtype=arguments.dtype,
            tokens_per_microbatch=arguments.width,
        ),
        OptimizerSettings(lr=LEARNING_RATE),
    )
    updates, cpu = [], [time.process_time()]
    for _ in range(arguments.steps + 1):
        updates.append(learner.update(examples))
        cpu.append(time.process_time())
    return {
        "seconds": [update["seconds"] for update in updates[1:]],
        "cpu_seconds": differences(cpu[1:]),
        "loss": updates[0]["loss"],
        "tokens": updates[0]["tokens_processed"],
        "padding_share": updates[0]["padding_share"],
        "gflop": update_flop(learner.local.model, [(n, 0) for n in examples.lengths.tolist()])
        / 1e9,
    }


def differences(values: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(values)]


def time_trl(arguments: argparse.Namespace) -> dict[str, Any]:
    import tempfile

    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from r1.models.load import load_tokenizer

    torch.set_num_threads(arguments.threads)
    examples = make_examples(arguments)
    rows = [
        {
            "input_ids": examples.token_ids(index).tolist(),
            "completion_mask": examples.learnt(index).astype(int).tolist(),
        }
        for index in range(len(examples))
    ]

    class Clock(TrainerCallback):
        """Notes the time between the ends of optimiser steps, and the losses."""

        def __init__(self) -> None:
            self.ends: list[float] = []
            self.cpu: list[float] = []
            self.losses: list[float] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends.append(time.perf_counter())
            self.cpu.append(time.process_time())

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "loss" in logs:
                self.losses.append(float(logs["loss"]))

    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            use_cpu=arguments.device == "cpu",
            bf16=arguments.dtype == "bfloat16" and arguments.device != "cpu",
            packing=True,
            packing_strategy="bfd",
            max_length=arguments.trl_width,
            completion_only_loss=True,
            gradient_checkpointing=False,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=100_000,  # the rest of an epoch: all of it in one step
            learning_rate=LEARNING_RATE,
            max_steps=arguments.steps + 1,
            report_to="none",
            save_strategy="no",
            logging_strategy="steps",
            logging_steps=1,
            disable_tqdm=True,
        )
        clock = Clock()
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(
                arguments.model, dtype=getattr(torch, arguments.dtype)
            ),
            processing_class=load_tokenizer(arguments.model),
            args=config,
            train_dataset=Dataset.from_list(rows),
            callbacks=[clock],
        )
        num_rows = len(trainer.train_dataset)
        trainer.train()
    return {
        "seconds": differences(clock.ends),
        "cpu_seconds": differences(clock.cpu),
        "loss": clock.losses[0],
        "tokens": int(examples.lengths.sum()),
        "rows": num_rows,
    }


def summarise(
    found: dict[str, list[dict[str, Any]]], arguments: argparse.Namespace
) -> dict[str, Any]:
    seconds = {
        side: statistics.median(s for run in runs for s in run["seconds"])
        for side, runs in found.items()
    }
    cpu = {
        side: statistics.median(s for run in runs for s in run["cpu_seconds"])
        for side, runs in found.items()
    }
    tokens = found["ours"][0]["tokens"]
    machine = measure_machine(arguments.device, arguments.dtype)
    least_s = found["ours"][0]["gflop"] / machine["gflop_per_s"]
    return {
        "work": f"{arguments.examples} examples, {tokens} tokens a step",
        "model": arguments.model,
        "device": arguments.device,
        "dtype": arguments.dtype,
        "threads": arguments.threads,
        "counted_steps": arguments.steps * arguments.repeats,
        "seconds_a_step": seconds,
        "all_seconds": {side: [run["seconds"] for run in runs] for side, runs in found.items()},
        "tokens_per_s": {side: tokens / value for side, value in seconds.items()},
        "loss": {side: runs[0]["loss"] for side, runs in found.items()},
        "machine": machine,
        "share_of_limit": least_s / seconds["ours"],
        "cpu_seconds_a_step": cpu,
        "ratio": seconds["trl"] / seconds["ours"],
        "cpu_ratio": cpu["trl"] / cpu["ours"],
    }


def describe(result: dict[str, Any]) -> str:
    lines = [f"{result['work']}, {result['threads']} threads, {result['dtype']}"]
    for name, side in (("r1", "ours"), ("TRL", "trl")):
        lines.append(
            f"{name:4} {result['seconds_a_step'][side]:6.2f} s a step, "
            f"{result['tokens_per_s'][side]:,.0f} tokens/s, first loss {result['loss'][side]:.4f}"
        )
    lines.append(f"{result['share_of_limit']:.0%} of the arithmetic limit reached")
    ratio = f"ratio {result['ratio']:.1f} (processor time {result['cpu_ratio']:.1f})"
    return "\n".join([*lines, ratio])


if __name__ == "__main__":
    main()
