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
import time
from pathlib import Path
from typing import Any

from machine import (
    LEARNING_RATE,
    Figures,
    make_clock,
    measure_machine,
    step_parser,
    take_turns,
    trl_settings,
    update_flop,
)

LOSSES = {"dpo": "sigmoid", "ipo": "ipo", "length_normalised": "sigmoid_norm"}


def main() -> None:
    parser = step_parser(__doc__.splitlines()[0], steps=4)
    parser.add_argument("--pairs", type=int, default=64, help="pairs of a step")
    parser.add_argument("--loss", default="dpo", choices=list(LOSSES))
    parser.add_argument(
        "--trl-microbatch", type=int, default=16, help="pairs; tried: 64, 32, 16, 8"
    )
    sides = {"ours": time_ours, "trl": time_trl}
    take_turns(parser.parse_args(), sides, summarise, describe)


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


def time_ours(arguments: argparse.Namespace) -> Figures:
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


def time_trl(arguments: argparse.Namespace) -> Figures:
    import tempfile

    import torch
    from datasets import Dataset
    from torch.utils.data import SequentialSampler
    from transformers import AutoModelForCausalLM
    from trl import DPOConfig, DPOTrainer

    from r1.models.load import load_tokenizer

    torch.set_num_threads(arguments.threads)

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
            **trl_settings(arguments, folder, microbatch),
            gradient_accumulation_steps=arguments.pairs // microbatch,
            loss_type=[LOSSES[arguments.loss]],
            beta=0.1,
            max_steps=arguments.steps + 1,
            logging_steps=1,
        )
        clock = make_clock()
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
    timed = zip(clock.seconds, clock.losses[1:], strict=False)
    return [{"seconds": seconds, "loss": loss} for seconds, loss in timed]


def summarise(sides: dict[str, dict[str, float]], arguments: argparse.Namespace) -> dict[str, Any]:
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
