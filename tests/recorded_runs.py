"""Run folders written without a model: what a run with one fault, or with none, would have left.

`broken_runs.py` makes the same by real runs; these take a second and can be had at will.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1.run_dir import RunDir, completion_table
from r1.template import parse
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup

RECIPE: dict[str, Any] = {
    "kind": "r1_zero",
    "num_steps": 200,
    "data": {"train": [{"kind": "jsonl"}], "heldout": [], "decontaminate": True, "ngram": 10},
    "template": {"kind": "r1_zero", "force_think": False},
    "sampling": {"max_new_tokens": 200, "temperature": 1.0, "stop": []},
    "rewards": {
        "weights": {"accuracy": 1.0, "format": 1.0}, "families": {}, "answer_from": "answer",
        "timeout_s": 5.0, "worker_memory_mb": 2048,
    },
    "grpo": {"group_size": 8, "num_problems": 8, "importance_cap": 0.0, "num_minibatches": 1},
    "optimizer": {"kind": "adamw", "lr": 3e-4, "warmup_steps": 2},
    "learner": {"dtype": "float32"},
    "engine": {"dtype": "auto"},
}  # fmt: skip


@dataclass
class Fault:
    """How a run differs from a healthy one. right, formatted: probability by step (0 to 1 over the
    run) and problem. settings: by dotted name. metrics: by name, of a step's place."""

    num_steps: int = 6
    right: Callable[[float, int], float] = lambda t, p: 0.2 + 0.5 * t
    formatted: Callable[[float], float] = lambda t: 0.4 + 0.5 * t
    verifier: str = "exact"
    reference: Callable[[int], str] = lambda number: str(number)
    prompt: Callable[[int], str] = lambda number: f"What is {number - 1} + 1?"
    write: Callable[[str, random.Random], str] = lambda answer, rng: (
        f"<think> so {rng.random()} </think> <answer> {answer} </answer>"
    )
    outcome: Callable[[Outcome], Outcome] = lambda outcome: outcome
    tokens: Callable[[float, random.Random], int] = lambda t, rng: 60 + rng.randrange(40)
    finish: Callable[[random.Random], str] = lambda rng: "stop"
    parts: Callable[[Completion], dict[str, Score]] = lambda completion: {}
    settings: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Callable[[float], float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    held_out: Callable[[int], str] | None = None


def record(folder: Path, fault: Fault) -> Path:
    """Write the run of a fault; return its folder."""
    recipe = settings_with(fault.settings)
    weights = recipe["rewards"]["weights"]
    with RunDir.open(folder, recipe, "r1_zero") as run:
        run.note_facts(fault.facts)
        for step in run.remaining_steps(fault.num_steps):
            rng, t = random.Random(step), step / max(1, fault.num_steps - 1)
            groups = [make_group(8 * step + n, t, fault, weights, rng) for n in range(8)]
            advantages = [advantages_of(group) for group in groups]
            table = completion_table(step, groups, parse, advantages)
            run.commit_step(step, lambda _: None, metrics_of(groups, t, fault), table)
        if fault.held_out is not None:
            held = [make_group(n, 1.0, fault, weights, random.Random(n)) for n in range(8)]
            for number, group in enumerate(held):
                object.__setattr__(group.group.problem, "prompt", fault.held_out(number + 2))
                object.__setattr__(group.group.problem, "id", f"held-{number}")
            table = completion_table(fault.num_steps, held, parse)
            run.commit_evaluation(fault.num_steps, {"k": 8}, table)
    return folder


def settings_with(changes: dict[str, Any]) -> dict[str, Any]:
    """The recipe with settings changed, by dotted name."""
    import copy

    recipe = copy.deepcopy(RECIPE)
    for name, value in changes.items():
        node = recipe
        *above, last = name.split(".")
        for part in above:
            node = node.setdefault(part, {})
        node[last] = value
    return recipe


def make_group(
    index: int, t: float, fault: Fault, weights: dict[str, float], rng: random.Random
) -> ScoredGroup:
    number = index + 2
    problem = Problem(f"p{index}", fault.prompt(number), fault.reference(number), fault.verifier)
    completions, rewards = [], []
    for _ in range(8):
        right = rng.random() < fault.right(t, index % 8)
        formed = rng.random() < fault.formatted(t)
        answer = str(number) if right else str(number + rng.randrange(1, 50))
        text = fault.write(answer, rng) if formed else f"so it is {rng.random()}"
        length = fault.tokens(t, rng)
        completion = Completion([1] * length, [-0.1] * length, text, fault.finish(rng))
        outcome = Outcome.CORRECT if right else Outcome.WRONG
        outcome = fault.outcome(outcome if formed else Outcome.UNPARSEABLE)
        parts = {
            "accuracy": Score(float(outcome is Outcome.CORRECT), outcome, f"{answer} was read"),
            "format": Score(float(formed), Outcome.CORRECT if formed else Outcome.WRONG),
            **fault.parts(completion),
        }
        parts = {name: score for name, score in parts.items() if name in weights}
        total = sum(weights[name] * score.value for name, score in parts.items())
        completions.append(completion)
        rewards.append(Reward(total, parts, all(s.outcome.is_verdict for s in parts.values())))
    return ScoredGroup(RolloutGroup(problem, (1, 2), completions), rewards)


def advantages_of(group: ScoredGroup) -> list[float | None]:
    known = [reward.total for reward in group.rewards if reward.valid]
    center = sum(known) / max(1, len(known))
    return [reward.total - center if reward.valid else None for reward in group.rewards]


def metrics_of(groups: list[ScoredGroup], t: float, fault: Fault) -> dict[str, float]:
    flat = [all(not a or abs(a) < 1e-9 for a in advantages_of(group)) for group in groups]
    usual = {
        "reward": sum(r.total for g in groups for r in g.rewards) / 64,
        "zero_variance": sum(flat) / len(flat),
        "loss": 0.01,
        "grad_norm": 0.4,
        "entropy": 0.8,
        "lr": 3e-4,
        "engine_gap": 1e-7,
        "engine_gap_max": 1e-5,
    }
    return usual | {name: value(t) for name, value in fault.metrics.items()}


def failing(outcome: Outcome) -> Outcome:
    return Outcome.VERIFIER_FAILED


BROKEN: dict[str, Fault] = {
    "no_rise": Fault(num_steps=20, right=lambda t, p: 0.3, formatted=lambda t: 0.9),
    "all_wrong": Fault(right=lambda t, p: 0.0, formatted=lambda t: 1.0),
    "all_right": Fault(
        right=lambda t, p: float(p < 6), formatted=lambda t: 1.0, settings={"num_steps": 300}
    ),
    "at_ceiling": Fault(right=lambda t, p: 0.98, formatted=lambda t: 1.0),
    "unparseable": Fault(
        right=lambda t, p: 0.4,
        formatted=lambda t: 1.0,
        outcome=lambda outcome: Outcome.UNPARSEABLE,
        settings={"rewards.answer_from": "boxed"},
    ),
    "verifier_failed": Fault(outcome=failing),
    "truncated": Fault(
        right=lambda t, p: 0.05,
        formatted=lambda t: 0.05,
        tokens=lambda t, rng: 200,
        finish=lambda rng: "length",
    ),
    "short_room": Fault(
        right=lambda t, p: 0.1, tokens=lambda t, rng: 50, finish=lambda rng: "length"
    ),
    "engine_gap": Fault(metrics={"engine_gap": lambda t: 0.3, "engine_gap_max": lambda t: 4.0}),
    "entropy_gone": Fault(
        right=lambda t, p: 0.0,
        formatted=lambda t: 1.0,
        write=lambda answer, rng: "<think> so </think> <answer> 7 </answer>",
        metrics={"entropy": lambda t: 0.01},
    ),
    "stuck_weights": Fault(
        right=lambda t, p: 0.3,
        metrics={"stuck_share": lambda t: 0.97},
        settings={"learner.dtype": "bfloat16", "optimizer.lr": 1e-6},
    ),
    "rate_too_low": Fault(
        right=lambda t, p: 0.3,
        settings={"optimizer.lr": 1e-9, "num_steps": 6},
        metrics={"lr": lambda t: 1e-9},
    ),
    "rate_too_high": Fault(
        right=lambda t, p: 0.6 * (t < 0.2),
        formatted=lambda t: 0.8 * (t < 0.2),
        metrics={"grad_norm": lambda t: 0.4 + 9 * (t > 0)},
        settings={"optimizer.lr": 0.1},
    ),
    "not_finite": Fault(metrics={"skipped_steps": lambda t: float(t > 0.5)}),
    "pays_wrong": Fault(
        right=lambda t, p: 0.3,
        formatted=lambda t: 1.0,
        verifier="my_own",
        outcome=lambda outcome: Outcome.CORRECT,
    ),
    "refuses_right": Fault(
        right=lambda t, p: 0.4,
        formatted=lambda t: 1.0,
        reference=lambda number: f"{number}.0",
        outcome=lambda outcome: Outcome.WRONG,
    ),
    "form_dominates": Fault(
        right=lambda t, p: 0.3,
        formatted=lambda t: 0.5,
        settings={"rewards.weights": {"accuracy": 0.1, "format": 10.0}},
    ),
    "length_hacking": Fault(
        right=lambda t, p: 0.3,
        formatted=lambda t: 0.9,
        tokens=lambda t, rng: int(40 + 140 * t) + rng.randrange(10),
        parts=lambda done: {"long": Score(len(done.token_ids) / 200, Outcome.CORRECT)},
        settings={"rewards.weights": {"accuracy": 1.0, "format": 1.0, "long": 1.0}},
    ),
    "contaminated": Fault(held_out=lambda number: f"What is {number - 1} + 1?"),
    "nothing_judged": Fault(num_steps=0),
    "no_bos": Fault(
        facts={"bos_token": "<s>", "eos_token": "</s>", "prompts_begin_with_bos": False}
    ),
}
"""By the cause that must be found, and no other."""

COLLAPSED = Fault(
    num_steps=18,
    right=lambda t, p: 0.2 + 1.2 * t if t < 0.6 else 0.25,
    formatted=lambda t: 0.5 + 0.5 * t if t < 0.6 else 0.3,
    metrics={"grad_norm": lambda t: 0.4 if t < 0.6 else 5.0},
)
"""A run that learnt, and then broke: still better than at the beginning."""

HEALTHY: dict[str, Fault] = {
    "rises": Fault(held_out=lambda number: f"What is {number} times 1?"),
    "is short and flat": Fault(right=lambda t, p: 0.3, formatted=lambda t: 0.9),
    "has two steps": Fault(num_steps=2, formatted=lambda t: 0.3),
    "ends at the ceiling": Fault(
        num_steps=20,
        right=lambda t, p: 0.2 + 0.8 * t,
        formatted=lambda t: min(1.0, 0.4 + t),
        metrics={"entropy": lambda t: 0.8 - 0.75 * t, "stuck_share": lambda t: 0.02},
        facts={"bos_token": "<eos>", "eos_token": "<eos>", "prompts_begin_with_bos": False},
    ),
}


def record_supervised(
    folder: Path,
    loss: Callable[[float], float],
    *,
    kind: str = "sft",
    metrics: dict[str, float] | None = None,
    counts: dict[str, int] | None = None,
    evaluation: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> Path:
    """Write a run of sixteen steps on fixed data, whose loss is a function of its progress."""
    recipe = {"optimizer": {"kind": "adamw", "lr": 1e-3}, "batch": {"max_tokens": 256}}
    usual = {"grad_norm": 1.0, "lr": 1e-3, "tokens_processed": 1000.0, "entropy": 0.5}
    with RunDir.open(folder, {**recipe, **(settings or {})}, kind) as run:
        run.note_facts({"counts": counts or {"examples": 100, "dropped": 0}})
        for step in run.remaining_steps(16):
            values = {**usual, "loss": loss(step / 15), **(metrics or {"tokens_learnt": 300.0})}
            run.commit_step(step, lambda _: None, values)
        if evaluation is not None:
            run.commit_evaluation(16, evaluation)
    return folder
