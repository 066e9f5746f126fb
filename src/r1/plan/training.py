"""Estimate training: by rewards (reinforcement learning), and in epochs over fixed data.

Reinforcement learning, a step of P problems with G samples each (settings of the recipe):
    generation     2ND over the prompt once and G responses, by the engine
    policy update  6ND over the packed rows, times the inner epochs
    old policy     2ND where a batch has several minibatches or epochs, or advantages need it before
                   the update (else it is the same pass)
    reference      2ND where there is a reference; of a teacher, where the recipe has one
    reward models  2ND each, from the step on at which they pay
Everything else: 6ND over the examples in every epoch. Attention comes on top (flops.py).

Left out on purpose: rounds of dynamic sampling, losses on held-out examples.
"""

from __future__ import annotations

import math
from typing import Any

from r1.plan.estimate import Context, Estimate, drawn, sentences, waiting_hours
from r1.plan.flops import forward_flops, training_flops
from r1.plan.machine import Machine, WorkPart
from r1.plan.model import ModelShape
from r1.plan.workload import (
    Amount,
    Length,
    amount_of,
    prompt_length,
    response_length,
    stage_of,
)


def estimate_rewarded(name: str, kind: str, recipe: Any, context: Context) -> Estimate:
    """Estimate reinforcement learning from a base or another stage's checkpoint."""
    shape = context.shape(recipe.model)
    machine, algorithm, steps = context.machine(shape), recipe.algorithm, recipe.num_steps
    limit, given = recipe.sampling.max_new_tokens, context.given
    from_base = not recipe.model.startswith("@")
    prompt = prompt_length(shape, given.mean_prompt, recipe.template.kind)
    response = response_length(shape, limit, from_base, given.mean_response)
    per_step = algorithm.num_problems * algorithm.group_size
    samples = steps * per_step
    sharing = _siblings(recipe, prompt, response)
    tokens = samples * (prompt.tokens / sharing + response.tokens)
    row = (shape, prompt.tokens, response.tokens, sharing)
    loop = (
        drawn(
            machine, shape, prompt, response, steps * algorithm.num_problems, algorithm.group_size
        ),
        *_passes(machine, algorithm, samples, tokens, row, context.teacher(recipe)),
        *_reward_models(recipe, context, machine, per_step, prompt, response),
    )
    measured, unknown = _evaluations(recipe, context, machine, shape, prompt, response)
    waits = steps * waiting_hours(machine, recipe.engine, per_step * response.tokens, limit)
    notes = [prompt.note, response.note]
    if algorithm.dynamic_sampling:
        notes.append("rounds of dynamic sampling are not counted")
    return Estimate(
        name,
        kind,
        shape,
        machine,
        samples=samples,
        prompt_tokens=steps * algorithm.num_problems * prompt.tokens,
        response_tokens=samples * response.tokens,
        trained_tokens=tokens * algorithm.num_epochs,
        parts=(*loop, *measured),
        hours=machine.hours(loop, waits) + machine.hours(measured),
        waits_for_longest=waits > machine.hours((loop[0],)),
        assumptions=sentences(notes),
        unknown=unknown,
    )


def _siblings(recipe: Any, prompt: Length, response: Length) -> float:
    """Return the responses of a group that share a packed row and its prompt in training."""
    fit = recipe.learner.tokens_per_microbatch // (prompt.tokens + response.tokens)
    return min(recipe.algorithm.group_size, max(1.0, fit))


def _passes(
    machine: Machine,
    algorithm: Any,
    samples: int,
    tokens: float,
    row: tuple[ModelShape, float, float, float],
    teacher: ModelShape | None,
) -> list[WorkPart]:
    """Return the policy's update and the reference's pass. row: as forward_flops takes it."""
    update, updated = samples * algorithm.num_epochs, tokens * algorithm.num_epochs
    forward = samples * forward_flops(*row)
    flops = update * training_flops(*row)
    parts = [machine.part("policy update", "training", update, updated, flops)]
    if algorithm.passes_before or algorithm.num_minibatches * algorithm.num_epochs > 1:
        parts.append(machine.part("old log-probabilities", "training", samples, tokens, forward))
    if getattr(algorithm, "critic", "shared") == "own":
        parts.append(machine.part("critic's update", "training", update, updated, flops))
        parts.append(machine.part("values", "training", samples, tokens, forward))
    if algorithm.needs_reference:
        name, whose = ("reference", row) if teacher is None else ("teacher", (teacher, *row[1:]))
        flops = update * forward_flops(*whose)
        parts.append(machine.part(name, "training", update, updated, flops))
    return parts


def _reward_models(
    recipe: Any,
    context: Context,
    machine: Machine,
    per_step: int,
    prompt: Length,
    response: Length,
) -> list[WorkPart]:
    parts = []
    for name, use in recipe.reward_models.items():
        shape = context.models.get(stage_of(use.path)) if use.path.startswith("@") else None
        shape = shape or context.shape(recipe.model)
        samples = per_step * max(0, recipe.num_steps - use.from_step)
        flops = samples * forward_flops(shape, prompt.tokens, response.tokens)
        tokens = samples * (prompt.tokens + response.tokens)
        parts.append(machine.part(f"reward model {name}", "training", samples, tokens, flops))
    return parts


def _evaluations(
    recipe: Any,
    context: Context,
    machine: Machine,
    shape: ModelShape,
    prompt: Length,
    response: Length,
) -> tuple[tuple[WorkPart, ...], tuple[str, ...]]:
    """Return the number of held-out problems evaluated: at the start, the end, every `every`
    steps."""
    if not recipe.data.heldout:
        return (), ()
    amount = amount_of(recipe.data.heldout, context.base_folder, context.made)
    if amount.rows is None:
        return (), tuple(f"evaluations: {note}" for note in amount.notes)
    every, steps = recipe.evaluation.every, recipe.num_steps
    times = 2 + (math.ceil(steps / every) - 1 if every else 0)
    number = recipe.evaluation.num_samples
    part = drawn(machine, shape, prompt, response, times * amount.rows, number, "evaluation")
    return (part,), ()


def estimate_epochs(
    name: str, kind: str, recipe: Any, context: Context, amount: Amount, notes: list[str]
) -> Estimate:
    """Estimate 6ND over the rows of amount in every epoch."""
    shape = context.shape(recipe.model)
    machine = context.machine(shape)
    if amount.rows is None or amount.tokens is None:
        return Estimate(name, kind, shape, machine, unknown=sentences([*notes]))
    rows = amount.rows * recipe.batch.epochs
    if recipe.batch.max_steps is not None:
        rows = min(rows, math.ceil(recipe.batch.max_steps * _step_rows(recipe, shape, amount)))
    tokens = rows * amount.tokens
    flops = rows * training_flops(shape, 0, amount.tokens)
    parts = [machine.part("training", "training", rows, tokens, flops)]
    if getattr(recipe, "needs_reference", False):
        forward = rows * forward_flops(shape, 0, amount.tokens)
        parts.append(machine.part("reference", "training", rows, tokens, forward))
    return Estimate(
        name,
        kind,
        shape,
        machine,
        trained_tokens=tokens,
        parts=tuple(parts),
        hours=machine.hours(tuple(parts)),
        assumptions=sentences(notes),
    )


def _step_rows(recipe: Any, shape: ModelShape, amount: Amount) -> float:
    """Return the rows of the data that one step learns from: at the most, where they are packed."""
    if getattr(recipe.batch, "unit", "") != "rows" or not amount.tokens:
        return float(recipe.batch.size)
    width = recipe.batch.max_tokens or shape.context
    return recipe.batch.size * max(1.0, width / amount.tokens)


def responses_amount(recipe: Any, context: Context, longest: int) -> tuple[Amount, list[str]]:
    """Return the amount of preferences, both responses of a pair counted, and notes.

    longest: limit of a prompt with a response, in tokens, of which a quarter is assumed where the
    data say nothing.
    """
    amount = amount_of(recipe.data.train, context.base_folder, context.made)
    notes = [*amount.notes]
    if amount.rows is not None and amount.tokens is None:
        notes.append(f"{longest / 4:,.0f} tokens a response: a quarter of batch.max_tokens")
        amount = amount._replace(tokens=recipe.responses_per_row * longest / 4)
    return amount, notes
