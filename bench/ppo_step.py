"""One PPO step of ours against one of TRL's PPOTrainer, on the same work, in one run.

    .venv/bin/pip install -e '.[bench]' trl==1.12.0       # later versions have no PPO
    .venv/bin/python bench/ppo_step.py --json

As bench/grpo_step.py: the same model (the shipped base), problems, samples, length limit, sampling,
threads and precision; one update of the policy and of a critic of its own, a second copy of the
model, with the KL to a reference in the rewards: four models on both sides. TRL has its best case:
its rewards cost nothing (a reward model that says 0 at once; ours are the verifiers'), all samples
are generated together, and `--trl-microbatch` is for its fastest. A step is sampling, rewards,
values, update and, on our side, weights back to the sampler; the first step of each side is a
warm-up and is not counted; the sides take turns, `--repeats` times.
"""

from __future__ import annotations

import argparse
import statistics
from types import SimpleNamespace
from typing import Any

from grpo_step import (
    compare_sides,
    describe_sides,
    make_work,
    rollout_parser,
    time_algorithm,
    trl_prompts,
)
from machine import (
    LEARNING_RATE,
    Figures,
    make_clock,
    take_turns,
    trl_settings,
)

KL_WEIGHT, LAMBDA = 0.05, 0.95


def main() -> None:
    parser = rollout_parser(__doc__.splitlines()[0])
    parser.add_argument("--trl-microbatch", type=int, default=64, help="responses of a pass")
    sides = {"ours": time_ours, "trl": time_trl}
    take_turns(parser.parse_args(), sides, compare_sides, describe_sides)


def time_ours(arguments: argparse.Namespace) -> Figures:
    from r1.algorithms.ppo import PPO, PPOSettings

    settings = PPOSettings(
        num_problems=arguments.problems,
        group_size=arguments.group,
        kl_weight=KL_WEIGHT,
        lambda_policy=LAMBDA,
        lambda_value=LAMBDA,
        critic="own",
        critic_lr=LEARNING_RATE,
        value_lr=LEARNING_RATE,
        value_warmup=0,
    )
    return time_algorithm(arguments, PPO(settings))


def time_trl(arguments: argparse.Namespace) -> Figures:
    import tempfile

    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    torch.set_num_threads(arguments.threads)
    work = make_work(arguments)
    tokenizer, texts = trl_prompts(work)
    tokenizer.padding_side = "left"
    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    rewards = free_rewards(statistics.mean(map(len, prompts)))
    number, dtype = arguments.problems * arguments.group, getattr(torch, arguments.dtype)
    microbatch = min(arguments.trl_microbatch, number)
    with tempfile.TemporaryDirectory() as folder:
        config = PPOConfig(
            **trl_settings(arguments, folder, microbatch),
            gradient_accumulation_steps=number // microbatch,
            total_episodes=number * (arguments.steps + 1),
            local_rollout_forward_batch_size=number,
            num_sample_generations=0,
            response_length=work.sampling.max_new_tokens,
            stop_token="eos",
            temperature=1.0,
            num_ppo_epochs=1,
            num_mini_batches=1,
            kl_coef=KL_WEIGHT,
            lam=LAMBDA,
            logging_strategy="no",
        )
        clock = make_clock()
        rows = [{"input_ids": ids} for ids in prompts for _ in range(arguments.group)]
        trainer = PPOTrainer(
            args=config,
            processing_class=tokenizer,
            model=AutoModelForCausalLM.from_pretrained(work.model, dtype=dtype),
            ref_model=AutoModelForCausalLM.from_pretrained(work.model, dtype=dtype),
            reward_model=rewards,
            value_model=AutoModelForSequenceClassification.from_pretrained(
                work.model, num_labels=1, dtype=dtype
            ),
            train_dataset=Dataset.from_list(rows),
            eval_dataset=Dataset.from_list(rows[:1]),
            callbacks=[clock],
        )
        trainer.train()
    return [
        {"seconds": seconds, "mean_length": length}
        for seconds, length in zip(clock.seconds, rewards.lengths[1:], strict=False)
    ]


def free_rewards(mean_prompt: float) -> Any:
    """Return a reward model for TRL that says 0, and notes the batches' mean response length.

    mean_prompt: tokens of a prompt.
    """
    from torch import nn

    class FreeRewards(nn.Module):
        base_model_prefix = "body"

        def __init__(self) -> None:
            super().__init__()
            self.score = nn.Identity()
            self.lengths: list[float] = []

        def body(self, input_ids: Any, attention_mask: Any, **_: Any) -> Any:
            self.lengths.append(float(attention_mask.sum()) / len(input_ids) - mean_prompt)
            return SimpleNamespace(hidden_states=[0.0 * input_ids[..., None].float()])

    return FreeRewards()


if __name__ == "__main__":
    main()
