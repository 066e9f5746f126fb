"""One GRPO step of ours against one of TRL's GRPOTrainer, on the same work, in one run.

    .venv/bin/pip install -e '.[bench]'
    .venv/bin/python bench/grpo_step.py --json
    .venv/bin/python bench/grpo_step.py --recipe recipes/real/add_smollm2.toml --problems 8 \\
        --trl-microbatch 64 --json

The same model (the shipped base; with --recipe that recipe's model, problems, prompts, reward, stop
and response limit, which should be such that groups have signal: ours learns from no others, TRL
computes all), problems, group size, length limit, sampling (T = 1, nothing
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
import resource
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

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


def main() -> None:
    parser = rollout_parser(__doc__.splitlines()[0])
    parser.add_argument("--trl-microbatch", type=int, default=128)
    sides = {"ours": time_ours, "trl": time_trl}
    take_turns(parser.parse_args(), sides, summarise, describe)


def rollout_parser(summary: str) -> argparse.ArgumentParser:
    """Return the options of a step that samples."""
    parser = step_parser(summary, steps=2)
    parser.add_argument("--recipe", type=Path, help="a model and problems of its own")
    parser.add_argument("--problems", type=int, default=32)
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--cap", type=int, help="most tokens of a response; 200, or the recipe's")
    return parser


class Work(NamedTuple):
    """What both sides sample from, and how it is asked, ended and judged."""

    model: str
    problems: list[Any]
    template: Any
    rewards: Any
    sampling: Any


def make_work(arguments: argparse.Namespace) -> Work:
    from r1.data.load import load_problems
    from r1.data.tiny.problems import make_problems
    from r1.pipeline.recipe import load_any_recipe
    from r1.rewards.settings import RewardSettings
    from r1.rollout.settings import SamplingSettings
    from r1.template import TemplateSettings

    if arguments.recipe is None:
        sampling = SamplingSettings(max_new_tokens=arguments.cap or 200)
        problems = make_problems("train", num=arguments.problems)
        return Work(arguments.model, problems, TemplateSettings(), RewardSettings(), sampling)
    recipe: Any = load_any_recipe(arguments.recipe)
    problems = load_problems(recipe.data.train[0], arguments.recipe.parent)[: arguments.problems]
    cap = arguments.cap or recipe.sampling.max_new_tokens
    sampling = recipe.sampling.model_copy(update={"max_new_tokens": cap})
    return Work(recipe.model, problems, recipe.template, recipe.rewards, sampling)


def trl_prompts(work: Work) -> tuple[Any, list[str]]:
    """Return the tokenizer as TRL is to have it, and the rendered prompts."""
    from r1.models.load import load_tokenizer
    from r1.template import PromptRenderer

    tokenizer = load_tokenizer(work.model)
    prompts = [PromptRenderer(tokenizer, work.template).render(p.prompt) for p in work.problems]
    for text in work.sampling.stop:  # TRL ends and masks at this token alone
        [tokenizer.eos_token_id] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokenizer, prompts


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def time_ours(arguments: argparse.Namespace) -> Figures:
    from r1.algorithms.grpo import GRPO, GRPOSettings

    size = {"num_problems": arguments.problems, "group_size": arguments.group}
    return time_algorithm(arguments, GRPO(GRPOSettings(**size, kl_weight=0.0, aggregate="token")))


def time_algorithm(arguments: argparse.Namespace, algorithm: Any) -> Figures:
    """Time steps of sampling, rewards, update and weights back to the sampler."""
    import torch

    from r1.algorithms.batch import make_batch
    from r1.learner.local import LocalLearner
    from r1.learner.settings import LearnerSettings, OptimizerSettings
    from r1.rewards.pool import RewardPool
    from r1.rollout.embedded import EmbeddedEngine
    from r1.rollout.settings import EngineSettings
    from r1.sampling.roll_out import BatchSource, Rollouts, roll_out
    from r1.template import PromptRenderer

    torch.set_num_threads(arguments.threads)
    work = make_work(arguments)
    learner = LocalLearner(
        work.model,
        LearnerSettings(device=arguments.device, dtype=arguments.dtype),
        OptimizerSettings(lr=LEARNING_RATE),
        algorithm,
    )
    engine = EmbeddedEngine.from_pretrained(
        work.model, EngineSettings(device=arguments.device, dtype=arguments.dtype)
    )
    renderer = PromptRenderer(engine.tokenizer, work.template)
    figures = []
    with RewardPool(work.rewards) as pool:
        for step in range(arguments.steps + 1):
            source = BatchSource(None, None, step, arguments.group, work.sampling, bool)
            begin = time.perf_counter()
            scored = roll_out(0, work.problems, source, Rollouts(engine, pool, renderer))
            rolled_out = time.perf_counter()
            batch = make_batch(scored, algorithm, work.sampling.max_new_tokens)
            learner.update(batch.batch)
            engine.load_weights(learner.weights(), version=step)
            end = time.perf_counter()
            lengths = [len(c.token_ids) for s in scored for c in s.group.completions]
            figures.append(
                {
                    "seconds": end - begin,
                    "seconds_rollout": rolled_out - begin,
                    "seconds_update": end - rolled_out,
                    "peak_gib": peak_gib(),
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


def time_trl(arguments: argparse.Namespace) -> Figures:
    import tempfile

    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    from r1.rewards.registry import make_reward
    from r1.types import Completion

    torch.set_num_threads(arguments.threads)
    work = make_work(arguments)
    rewards = [(make_reward(n, work.rewards), weight) for n, weight in work.rewards.weights.items()]
    lengths: list[float] = []

    def total(
        prompts: list[str], completions: list[str], completion_ids: list[list[int]],
        index: list[int], **_: Any,
    ) -> list[float]:  # fmt: skip
        lengths.append(statistics.mean(map(len, completion_ids)))
        return [
            sum(w * r(work.problems[i], Completion([], [], text, "stop")).value for r, w in rewards)
            for i, text in zip(index, completions, strict=True)
        ]

    tokenizer, prompts = trl_prompts(work)
    rows = [{"prompt": prompt, "index": i} for i, prompt in enumerate(prompts)]
    microbatch = min(arguments.trl_microbatch, arguments.problems * arguments.group)
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            **trl_settings(arguments, folder, microbatch),
            use_vllm=False,
            num_generations=arguments.group,
            gradient_accumulation_steps=arguments.problems * arguments.group // microbatch,
            max_completion_length=work.sampling.max_new_tokens,
            loss_type="dapo",
            beta=0.0,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_steps=arguments.steps + 1,
            logging_strategy="no",
        )
        clock = make_clock()
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(
                work.model, dtype=getattr(torch, arguments.dtype)
            ),
            processing_class=tokenizer,
            reward_funcs=total,
            args=config,
            train_dataset=Dataset.from_list(rows),
            callbacks=[clock],
        )
        trainer.train()
    return [
        {"seconds": seconds, "peak_gib": peak_gib(), "mean_length": length}
        for seconds, length in zip(clock.seconds, lengths[1:], strict=False)
    ]


def compare_sides(
    sides: dict[str, dict[str, float]], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return what a step that samples was given and took, whatever its algorithm."""
    work = make_work(arguments)
    return {
        "work": f"{arguments.problems} problems x {arguments.group} samples, "
        f"cap {work.sampling.max_new_tokens}",
        "model": work.model,
        "device": arguments.device,
        "dtype": arguments.dtype,
        "threads": arguments.threads,
        **sides,
        "machine": measure_machine(arguments.device, arguments.dtype),
        "ratio": sides["trl"]["seconds"] / sides["ours"]["seconds"],
    }


def summarise(sides: dict[str, dict[str, float]], arguments: argparse.Namespace) -> dict[str, Any]:
    result = compare_sides(sides, arguments)
    least_s = sides["ours"]["update_gflop"] / result["machine"]["gflop_per_s"]
    return {
        **result,
        "update": {
            "arithmetic_limit_s": least_s,
            "share_of_limit": least_s / sides["ours"]["seconds_update"],
        },
        "memory_share": sides["ours"]["peak_gib"] / sides["trl"]["peak_gib"],
    }


def describe_sides(result: dict[str, Any]) -> str:
    """Return the seconds of both sides, a line each, and their ratio."""
    ours, trl = result["ours"], result["trl"]
    return (
        f"{result['work']}, {result['threads']} threads, {result['dtype']}\n"
        f"r1   {ours['seconds']:6.2f} s a step (rollout {ours['seconds_rollout']:.2f}, "
        f"update {ours['seconds_update']:.2f}), mean length {ours['mean_length']:.0f}\n"
        f"TRL  {trl['seconds']:6.2f} s a step, mean length {trl['mean_length']:.0f}\n"
        f"ratio {result['ratio']:.1f}"
    )


def describe(result: dict[str, Any]) -> str:
    ours, trl = result["ours"], result["trl"]
    return (
        f"{describe_sides(result)}\n"
        f"update: arithmetic limit {result['update']['arithmetic_limit_s']:.2f} s, "
        f"{result['update']['share_of_limit']:.0%} of it reached\n"
        f"peaks {ours['peak_gib']:.1f} and {trl['peak_gib']:.1f} GiB, "
        f"{result['memory_share']:.0%}"
    )


if __name__ == "__main__":
    main()
