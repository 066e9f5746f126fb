"""One DPO step of ours against one of TRL's DPOTrainer, on the same work, in one run.

    .venv/bin/pip install -e '.[bench]'
    .venv/bin/python bench/dpo_step.py --json

The same model (the shipped base), pairs, tokens, loss, threads, precision and number of updates on
both sides; both compute the reference's log-probabilities in the step. The learning rate is so
small that the policy stays the base. TRL has its best case: tokens are ready, and
`--trl-microbatch` is for its fastest (try several). A step is both policies' passes and the
optimiser's; the first of each side is a warm-up and is not counted; the sides take turns,
`--repeats` times. The losses of both sides are shown: they must agree.

Limit: as in bench/grpo_step.py, with a forward pass more (a third of an update) for the reference;
`share_of_limit` is that over the machine's matrix-product rate, measured in the same run, over the
seconds taken.
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
LOSSES = {"dpo": "sigmoid", "ipo": "ipo", "length_normalised": "sigmoid_norm"}


def main() -> None:
    arguments = parse_arguments()
    if arguments.side:
        rows = (time_ours if arguments.side == "ours" else time_trl)(arguments)
        print(json.dumps(rows))
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
    parser.add_argument("--pairs", type=int, default=64, help="pairs of a step")
    parser.add_argument("--loss", default="dpo", choices=list(LOSSES))
    parser.add_argument("--steps", type=int, default=4, help="counted steps a side and repeat")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument(
        "--trl-microbatch", type=int, default=16, help="pairs; tried: 64, 32, 16, 8"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=["ours", "trl"], help=argparse.SUPPRESS)
    return parser.parse_args()


def make_pairs(arguments: argparse.Namespace) -> list[Any]:
    """The pairs of every step as tokens, one step after the other."""
    from r1.config import validate
    from r1.dpo.encode import PairEncoder, encode_pairs
    from r1.dpo.settings import DPORecipe
    from r1.models.load import load_tokenizer
    from r1.preferences.read import load_preferences

    num = arguments.pairs * (arguments.steps + 1)
    source = {"kind": "tiny", "split": "train", "num": num}
    values = {"model": arguments.model, "data": {"train": [source]}, "template": {"kind": "plain"}}
    recipe = validate(values, DPORecipe, "bench")
    encoder = PairEncoder(load_tokenizer(arguments.model), recipe, 512)
    return encode_pairs([load_preferences(recipe.data.train[0], "pairs", Path())], encoder).items


def time_ours(arguments: argparse.Namespace) -> list[dict[str, float]]:
    import torch

    from r1.dpo.learner import DPOLearner
    from r1.dpo.settings import DPOLossSettings
    from r1.learner.settings import LearnerSettings, OptimizerSettings

    torch.set_num_threads(arguments.threads)
    learner = DPOLearner(
        DPOLossSettings(kind=arguments.loss, beta=0.1),
        arguments.model,
        LearnerSettings(device=arguments.device, dtype=arguments.dtype),
        OptimizerSettings(lr=LEARNING_RATE),
    )
    pairs, figures = make_pairs(arguments), []
    for step in range(arguments.steps + 1):
        batch = pairs[step * arguments.pairs : (step + 1) * arguments.pairs]
        begin = time.perf_counter()
        metrics = learner.update(batch)
        seconds = time.perf_counter() - begin
        flop = 4 / 3 * update_flop(learner.local.model, segments(batch))
        figures.append({"seconds": seconds, "loss": metrics["loss"], "gflop": flop / 1e9})
    return figures[1:]


def segments(batch: list[Any]) -> list[tuple[int, int]]:
    """The packed prompts and responses as (own tokens, tokens before them)."""
    found = []
    for example in batch:
        prompt = len(example.prompt_ids)
        found.append((prompt, 0))
        found += [(len(ids), prompt) for ids in example.responses]
    return found


def time_trl(arguments: argparse.Namespace) -> list[dict[str, float]]:
    import tempfile

    import torch
    from datasets import Dataset
    from torch.utils.data import SequentialSampler
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    from r1.models.load import load_tokenizer

    torch.set_num_threads(arguments.threads)

    class Clock(TrainerCallback):
        """Notes the ends of optimiser steps, and the logged losses."""

        def __init__(self) -> None:
            self.ends: list[float] = []
            self.losses: list[float] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends.append(time.perf_counter())

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "loss" in logs:
                self.losses.append(float(logs["loss"]))

    class InOrder(DPOTrainer):
        """Takes the pairs in their order, as our side does."""

        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return SequentialSampler(self.train_dataset)

    def load() -> Any:
        dtype = getattr(torch, arguments.dtype)
        return AutoModelForCausalLM.from_pretrained(arguments.model, dtype=dtype)

    rows = [
        {
            "prompt_ids": list(pair.prompt_ids),
            "chosen_ids": list(pair.responses[0]),
            "rejected_ids": list(pair.responses[1]),
        }
        for pair in make_pairs(arguments)
    ]
    microbatch = min(arguments.trl_microbatch, arguments.pairs)
    with tempfile.TemporaryDirectory() as folder:
        config = DPOConfig(
            output_dir=folder,
            use_cpu=arguments.device == "cpu",
            bf16=arguments.dtype == "bfloat16" and arguments.device != "cpu",
            gradient_checkpointing=False,
            per_device_train_batch_size=microbatch,
            gradient_accumulation_steps=arguments.pairs // microbatch,
            loss_type=[LOSSES[arguments.loss]],
            beta=0.1,
            learning_rate=LEARNING_RATE,
            max_steps=arguments.steps + 1,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
        )
        clock = Clock()
        trainer = InOrder(
            model=load(),
            ref_model=load(),
            args=config,
            train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
            processing_class=load_tokenizer(arguments.model),
            callbacks=[clock],
        )
        trainer.train_dataset = Dataset.from_list(rows)  # the tokens of our side
        trainer.train()
    seconds = [after - before for before, after in zip(clock.ends, clock.ends[1:], strict=False)]
    return [
        {"seconds": one, "loss": loss} for one, loss in zip(seconds, clock.losses[1:], strict=False)
    ]


def summarise(
    figures: dict[str, list[dict[str, float]]], arguments: argparse.Namespace
) -> dict[str, Any]:
    sides = {
        side: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for side, rows in figures.items()
    }
    machine = measure_machine(arguments.device, arguments.dtype)
    limit = sides["ours"]["gflop"] / machine["gflop_per_s"]
    return {
        "pairs": arguments.pairs,
        "loss": arguments.loss,
        "threads": arguments.threads,
        "machine": machine,
        **sides,
        "times_faster": sides["trl"]["seconds"] / sides["ours"]["seconds"],
        "share_of_limit": limit / sides["ours"]["seconds"],
    }


def describe(result: dict[str, Any]) -> str:
    ours, trl = result["ours"], result["trl"]
    return (
        f"{result['pairs']} pairs a step ({result['loss']}): ours {ours['seconds']:.2f} s, TRL "
        f"{trl['seconds']:.2f} s, {result['times_faster']:.2f} times; loss {ours['loss']:.6f} and "
        f"{trl['loss']:.6f}; {result['share_of_limit']:.0%} of the limit"
    )


if __name__ == "__main__":
    main()
