"""kind = "critic_truth": a critic's values against what its policy really reaches from there.

    V(prefix)       the critic's value after a step, before the next token is drawn
    truth(prefix)   the share of the policy's own continuations that end right (a data set of
                    kind "step_labels", method "monte_carlo", from the same checkpoint)

    folder/values.json   for every problem the mean of (V - truth)^2, and that of the best constant
                         (the mean truth) in its place; both by the position in the response

With N continuations truth itself has a deviation of up to 1 / (2 sqrt(N)), which adds its square to
both errors alike. What the run's critic learns must be the rule's accuracy alone, not discounted:
only then is V a probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from r1.config import Settings, validate
from r1.errors import UserError
from r1.evaluation.source import find_model, resolve_model
from r1.plan.estimate import Context, Estimate
from r1.r1_zero.settings import R1ZeroRecipe
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model, is_reference
from r1.stages.protocol import MARK, Artifact, ArtifactType, StageContext, StageKind
from r1.types import TrainBatch, TrainGroup, TrainResponse

NAME = "critic_truth"
VALUES = "values.json"
NUM_PARTS = 10


class CriticTruthStage(Settings):
    """A critic's error, measured by continuations."""

    model: str = Field(description='a run of [ppo]: "@STAGE", or its folder')
    path: str = Field(
        description="steps labelled by continuations of that run's policy (kind step_labels)"
    )


class ValuedPrefix(NamedTuple):
    """A prefix of a response. position: its share of the response's tokens."""

    problem: str
    position: float
    value: float
    truth: float


def run(stage: CriticTruthStage, context: StageContext) -> Mapping[str, Artifact]:
    """Compute the values of every labelled prefix and compare."""
    from r1.curation.store import read_rows
    from r1.data.rows import find_data
    from r1.run_dir import atomic

    source = resolve_model(find_model(stage.model, context.base_folder))
    known = {name: v for name, v in source.recipe.items() if name != "base_folder"}
    recipe = validate(known, R1ZeroRecipe, f"recipe of {source.path}")
    refuse_other_values(recipe, str(source.path))
    rows = list(read_rows(find_data(stage.path, context.base_folder)))
    found = valued_prefixes(source.path, recipe, rows)
    if not found:
        raise UserError(f"{stage.path} has no labelled step before the last one of a response.")
    atomic.write_json(context.folder / VALUES, figures_of(found))
    counts = {"prefixes": len(found)}
    return {"results": Artifact(VALUES, ArtifactType.RESULTS, counts)}


def refuse_other_values(recipe: R1ZeroRecipe, whose: str) -> None:
    """Raise UserError, with the setting, where a critic's values are no probabilities."""
    weights = {name: weight for name, weight in recipe.rewards.weights.items() if weight}
    algorithm = recipe.algorithm
    kl_is_paid = algorithm.kl_weight > 0 and getattr(algorithm, "kl_in", "loss") == "reward"
    found = {
        "rewards.weights = { accuracy = 1.0 } alone": weights != {"accuracy": 1.0},
        "no reward_models": bool(recipe.reward_models),
        "ppo.gamma = 1.0": getattr(algorithm, "gamma", 1.0) != 1.0,
        'ppo.kl_weight = 0.0 (or kl_in = "loss")': kl_is_paid,
        'ppo.overlong other than "penalty"': algorithm.overlong == "penalty",
    }
    wanted = [setting for setting, wrong in found.items() if wrong]
    if wanted:
        raise UserError(
            f"the values of {whose} are no probabilities of a right answer; train it with "
            f"{', '.join(wanted)}."
        )


def valued_prefixes(
    checkpoint: str, recipe: R1ZeroRecipe, rows: Sequence[Mapping[str, Any]]
) -> list[ValuedPrefix]:
    """Return the value and the truth at the end of every labelled step but the last.

    rows: {problem_id, prompt, steps, labels}. Raises UserError for a run without a critic.
    """
    from pathlib import Path

    from r1.learner.local import LocalLearner
    from r1.models.load import load_tokenizer
    from r1.steps.ends import encode_steps
    from r1.template import PromptRenderer

    learner = LocalLearner(checkpoint, recipe.learner, recipe.optimizer, recipe.make_algorithm())
    if learner.critic is None:
        raise UserError(f"{checkpoint} has no critic; name a run of [ppo].")
    learner.load(Path(checkpoint))
    tokenizer = load_tokenizer(checkpoint)
    renderer = PromptRenderer(tokenizer, recipe.template)
    there = [encode_steps(tokenizer, row["steps"]) for row in rows]
    groups = [
        TrainGroup(renderer.encode(row["prompt"]), [TrainResponse(steps.token_ids, [], [])])
        for row, steps in zip(rows, there, strict=True)
    ]
    values = learner.values(TrainBatch(groups, len(groups), 0))
    found = []
    for row, steps, values_T in zip(rows, there, values, strict=True):
        for end, members in zip(steps.ends[:-1], steps.members[:-1], strict=True):
            truth = row["labels"][members[-1]]
            if truth is not None:
                position = (end + 1) / len(steps.token_ids)
                value = float(values_T[end + 1])
                found.append(ValuedPrefix(row["problem_id"], position, value, truth))
    return found


def figures_of(found: Sequence[ValuedPrefix]) -> dict[str, Any]:
    """Return errors by problem, and lines by position: of the critic and of a constant."""
    mean = float(np.mean([each.truth for each in found]))
    errors = {
        "value_error": [(each.value - each.truth) ** 2 for each in found],
        "constant_error": [(mean - each.truth) ** 2 for each in found],
    }
    problems = sorted({each.problem for each in found})
    part_of = np.array([min(NUM_PARTS - 1, int(NUM_PARTS * each.position)) for each in found])
    owner = np.array([problems.index(each.problem) for each in found])
    values, lines = {}, {}
    for name, error in errors.items():
        error_S = np.array(error)
        values[name] = {
            problem: float(error_S[owner == number].mean())
            for number, problem in enumerate(problems)
        }
        lines[name] = [
            [int(100 * (part + 0.5) / NUM_PARTS), float(error_S[part_of == part].mean())]
            for part in sorted(set(part_of.tolist()))
        ]
    return {
        "values": values,
        "of_run": {},
        "lines": {"squared error by position in per cent": lines},
    }


def check(stage: CriticTruthStage, cache: CheckCache) -> None:
    """Check that the model is there, and what a run of the same recipe is paid."""
    check_model(stage.model, cache)
    name = stage.model.removeprefix(MARK).partition("/")[0]
    recipe = cache.stages.get(name) if is_reference(stage.model) else None
    if isinstance(recipe, R1ZeroRecipe):
        refuse_other_values(recipe, stage.model)


def estimate(name: str, stage: CriticTruthStage, context: Context) -> Estimate:
    """Estimate nothing: it takes one pass over the labelled responses."""
    return Estimate(name, NAME)


registry.register(
    StageKind(
        name=NAME,
        label="critic",
        settings=CriticTruthStage,
        outputs={"results": ArtifactType.RESULTS},
        run=run,
        check=check,
        estimate=estimate,
        other_names=("value_error",),
    )
)
