"""Run folders made without a model: deterministic numbers, completions in two languages.

Also a script that the tests kill: `python fake_run.py FOLDER NUM_STEPS`.
"""

from __future__ import annotations

import hashlib
import random
import re
import sys
from pathlib import Path
from typing import NamedTuple

from r1.run_dir import CheckpointSettings, RunDir, completion_table
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup

RECIPE = {
    "seed": 7,
    "grpo": {"clip_high": 0.28, "group_size": 4, "kl_weight": 0.0},
    "sampling": {"temperature": 1.0, "stop": ["</answer>"]},
    "learner": {"device": "cpu", "lora": None},
}
HOSTILE = '</script><script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">'


class Parsed(NamedTuple):
    thinking: str | None
    answer: str | None


def parse(text: str) -> Parsed:
    match = re.fullmatch(r"<think>(.*)</think> ?<answer>(.*)</answer>", text, re.DOTALL)
    return Parsed(match[1].strip(), match[2].strip()) if match else Parsed(None, None)


class FakeLearner:
    """State that depends on every update and on nothing else."""

    def __init__(self) -> None:
        self.state = b"beginning"

    def update(self, step: int) -> None:
        self.state = hashlib.sha256(self.state + str(step).encode()).digest()

    def save(self, folder: Path) -> None:
        (folder / "config.json").write_text('{"model_type": "qwen2"}')
        (folder / "model.safetensors").write_bytes(self.state * 4096)
        (folder / "learner").mkdir()
        (folder / "learner" / "state.bin").write_bytes(self.state)

    def load(self, folder: Path) -> None:
        self.state = (folder / "learner" / "state.bin").read_bytes()


def make_problem(index: int, rng: random.Random) -> Problem:
    numbers = [rng.randint(10, 60)] + [rng.randint(1, 9) for _ in range(rng.randint(2, 4))]
    chinese, chain = index % 2 == 1, index % 3 != 2
    expression = " + ".join(map(str, numbers)) if chain else f"{numbers[0]} mod {numbers[1]}"
    reference = str(sum(numbers) if chain else numbers[0] % numbers[1])
    return Problem(
        id=f"p{index}",
        prompt=f"计算 {expression}。" if chinese else f"What is {expression}?",
        reference=reference,
        verifier="exact",
        language="zh" if chinese else "en",
        family="chain_sum" if chain else "modulo",
    )


def make_completion(
    problem: Problem, skill: float, rng: random.Random
) -> tuple[Completion, Reward]:
    right = rng.random() < 0.15 + 0.65 * skill
    checks = rng.randint(0, 1 + round(3 * skill))
    answer = problem.reference if right else str(rng.randint(0, 90))
    chinese = problem.language == "zh"
    first = f"先算，得 {answer}。" if chinese else f"Adding step by step gives {answer}. "
    again = "等等，再检查一遍。" if chinese else "Wait, let me check that again. "
    thinking = first + again * checks
    formatted = rng.random() < 0.5 + 0.49 * skill
    closing = f"</think> <answer> {answer} </answer>" if formatted else f" so {answer}"
    text = f"<think> {thinking}{closing}"
    if rng.random() < 0.02:
        text = f"<think> {HOSTILE} </think> <answer> {HOSTILE} </answer>"
    num_tokens = 20 + 14 * checks + rng.randint(0, 9)
    outcome = Outcome.CORRECT if right and formatted else Outcome.WRONG
    outcome = outcome if formatted else Outcome.UNPARSEABLE
    detail = f"read {answer}" if formatted else "no <answer> found"
    parts = {
        "accuracy": Score(float(outcome is Outcome.CORRECT), outcome, detail),
        "format": Score(float(formatted), Outcome.CORRECT if formatted else Outcome.WRONG),
    }
    total = sum(score.value for score in parts.values())
    completion = Completion(list(range(num_tokens)), [-0.1] * num_tokens, text, "stop")
    return completion, Reward(total, parts, valid=True)


def make_groups(
    problems: list[Problem], size: int, skill: float, rng: random.Random
) -> list[ScoredGroup]:
    groups = []
    for problem in problems:
        made = [make_completion(problem, skill, rng) for _ in range(size)]
        group = RolloutGroup(problem, (1, 2, 3), [completion for completion, _ in made])
        groups.append(ScoredGroup(group, [reward for _, reward in made]))
    return groups


def advantages(groups: list[ScoredGroup]) -> list[list[float]]:
    means = [sum(r.total for r in item.rewards) / len(item.rewards) for item in groups]
    return [
        [r.total - mean for r in item.rewards] for item, mean in zip(groups, means, strict=True)
    ]


def step_metrics(step: int, groups: list[ScoredGroup], rng: random.Random) -> dict[str, float]:
    rewards = [reward for item in groups for reward in item.rewards]
    lengths = [len(c.token_ids) for item in groups for c in item.group.completions]
    texts = [c.text for item in groups for c in item.group.completions]
    accuracy = [reward.parts["accuracy"].value for reward in rewards]
    outcomes = [str(reward.parts["accuracy"].outcome) for reward in rewards]
    return {
        "reward": sum(r.total for r in rewards) / len(rewards),
        "reward/accuracy": sum(accuracy) / len(accuracy),
        "reward/format": sum(r.parts["format"].value for r in rewards) / len(rewards),
        "pass_rate": sum(accuracy) / len(accuracy),
        "length_mean": sum(lengths) / len(lengths),
        "length_max": max(lengths),
        "truncated": 0.0,
        "entropy": 1.1 - 0.012 * step + 0.05 * rng.random(),
        "kl": 0.002 * step + 0.004 * rng.random(),
        "clip_low": 0.01 * rng.random(),
        "clip_high": 0.01 * rng.random(),
        "grad_norm": 0.4 + 0.2 * rng.random(),
        "lr": 3e-4,
        "loss": 0.01 * rng.random(),
        "zero_variance": 0.2 + 0.1 * rng.random(),
        "engine_gap": 1e-7,
        "engine_gap_max": 1e-5,
        "self_check_share": sum("check" in t or "检查" in t for t in texts) / len(texts),
        **{f"outcome/{name}": outcomes.count(name) for name in sorted(set(outcomes))},
        "seconds/rollout": 1.4 + 0.1 * rng.random(),
        "seconds/reward": 0.2,
        "seconds/update": 2.1 + 0.1 * rng.random(),
        "seconds/sync": 0.05,
        "seconds/total": 3.9,
        "speed/rollout_tokens": 17_000 + 900 * rng.random(),
        "speed/update_tokens": 13_000.0,
    }


def interval(value: float, half: float = 0.03) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half)}


def evaluation_summary(groups: list[ScoredGroup]) -> dict[str, object]:
    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    def accuracy(items: list[ScoredGroup]) -> float:
        return mean([r.parts["accuracy"].value for item in items for r in item.rewards])

    families = sorted({item.group.problem.family for item in groups})
    by_family = {f: [g for g in groups if g.group.problem.family == f] for f in families}
    value = accuracy(groups)
    return {
        "num_problems": len(groups),
        "k": len(groups[0].rewards),
        "pass_at_1": interval(value),
        "cons_at_k": interval(min(1.0, value + 0.08), 0.05),
        "pass_at_k": {"1": value, "4": min(1.0, value + 0.15)},
        "format": mean([r.parts["format"].value for item in groups for r in item.rewards]),
        "mean_length": mean([len(c.token_ids) for i in groups for c in i.group.completions]),
        "self_check_share": mean(
            ["check" in c.text or "检查" in c.text for i in groups for c in i.group.completions]
        ),
        "truncated": 0.0,
        "by_family": {
            family: {
                "pass_at_1": interval(accuracy(items), 0.05),
                "cons_at_k": interval(min(1.0, accuracy(items) + 0.08), 0.07),
                "num_problems": len(items),
            }
            for family, items in by_family.items()
        },
        "sampling": {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 200},
    }


def write_run(
    folder: Path,
    num_steps: int = 20,
    *,
    num_problems: int = 4,
    group_size: int = 4,
    num_eval_problems: int = 12,
    every: int = 5,
    stop_before: int | None = None,
) -> RunDir:
    """Write (or carry on with) a run; stop_before leaves it unfinished at that step."""
    settings = CheckpointSettings(every=every, keep=2)
    parent = {"source": "tiny-base", "sha256": "0" * 64}
    run = RunDir.open(
        folder, RECIPE, "grpo", checkpoints=settings, seeds={"seed": 7}, parent=parent
    )
    run.note_facts({"opens_think": False, "bos_token": None, "prompts_begin_with_bos": False})
    learner = FakeLearner()
    if run.resume_from:
        learner.load(run.resume_from)

    def evaluate(step: int) -> None:
        if (step % every and step != num_steps) or run.has_evaluation(step):
            return
        rng = random.Random(f"evaluation {step}")
        held_out = [
            make_problem(1000 + index, random.Random(index)) for index in range(num_eval_problems)
        ]
        groups = make_groups(held_out, group_size, step / num_steps, rng)
        table = completion_table(step, groups, parse)
        run.commit_evaluation(step, evaluation_summary(groups), table, seconds=2.5)

    for step in run.remaining_steps(num_steps):
        if step == stop_before:
            return run
        evaluate(step)
        rng = random.Random(step)
        problems = [make_problem(step * num_problems + i, rng) for i in range(num_problems)]
        groups = make_groups(problems, group_size, step / num_steps, rng)
        learner.update(step)
        table = completion_table(step, groups, parse, advantages(groups))
        run.commit_step(step, learner.save, step_metrics(step, groups, rng), table)
    evaluate(num_steps)
    run.finish({"final": "state"})
    return run


if __name__ == "__main__":
    print("begins", flush=True)
    write_run(Path(sys.argv[1]), int(sys.argv[2])).close()
