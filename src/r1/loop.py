"""The loop: problems -> rollouts -> rewards -> advantages -> update -> weights.

Reinforcement learning (DeepSeek-R1, section 2.2), on a laptop and on a cluster. `Engine`, `Learner`
and `Algorithm` are the seams: the loop never asks where they run or how advantages are computed.
Everything random follows from (seed, step), so that a run that was killed reaches the same weights
as one that was not. From here to the loss:

    r1.sampling           problems -> rollouts -> rewards, a batch of scored groups
    r1.algorithms.batch   rewards -> advantages, by the algorithm (`grpo` is the default)
    r1.learner.local      log-probabilities -> the algorithm's loss -> an optimiser step

Up to k batches (`staleness`) are sampled ahead while others are learned from; with k = 0 sampling
and learning take turns. Batch n begins under weights of version n - k or newer (version: updates
done), so that the policy that learns from a sample is at most k updates newer than the one that
began it. A batch is learned from when it is whole; nothing is dropped. Truncated importance weights
(`importance_cap`) correct for the difference, token by token.

A batch that follows a checkpoint begins after the checkpoint is written: a run that is resumed
there samples it with the same weights. Each checkpoint therefore costs the overlap of some steps.

Left out on purpose: batches made of whichever groups end first. They would wait less, but then a
sample could be more than k updates old.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import NamedTuple

from r1.algorithms.batch import make_batch
from r1.algorithms.protocol import Algorithm
from r1.learner.protocol import Learner
from r1.rollout.scored import Counts
from r1.run_dir import RunDir, completion_table
from r1.sampling.protocol import Sampler
from r1.sampling.roll_out import Rollouts
from r1.step_metrics import PhaseTimer, staleness_metrics, step_metrics


class TrainSettings(NamedTuple):
    """What the loop itself needs to know. max_new_tokens: of a response, for overlong ones."""

    num_steps: int
    algorithm: Algorithm
    max_new_tokens: int


class EvaluationHook(NamedTuple):
    """measure(step) evaluates the weights after `step` updates where due(step) and not done yet."""

    due: Callable[[int], bool]
    measure: Callable[[int], None]


def train(
    run: RunDir,
    sampler: Sampler,
    rollouts: Rollouts,
    learner: Learner,
    settings: TrainSettings,
    evaluation: EvaluationHook,
    report: Callable[[int, Mapping[str, float], Counts], None],
) -> None:
    """Train from the run's newest checkpoint to settings.num_steps.

    report(step, metrics, counts) shows progress. Raises what engine, learner and rewards raise.
    """
    ahead = settings.algorithm.settings.staleness
    begun = run.resume_step()
    with sampler:
        sampler.renew(learner.weights(), begun)
        sampler.run_when_idle(partial(evaluation.measure, begun))
        for step in run.remaining_steps(settings.num_steps):
            timer = PhaseTimer(rollouts.usage)
            end = min(step + ahead, last_before_checkpoint(run, step)) + 1
            sampler.begin(range(begun, end))
            begun = end
            with timer.phase("rollout"):
                scored_P = sampler.take(step)
            counts = rollouts.scorer.take_counts()
            with timer.phase("update"):
                batch = make_batch(scored_P, settings.algorithm, settings.max_new_tokens)
                update = learner.update(batch.batch)
            with timer.phase("sync"):
                sampler.renew(learner.weights(), step + 1)
            metrics = step_metrics(scored_P, batch.stats, update, timer) | counts.as_metrics()
            metrics |= staleness_metrics(step, scored_P) if ahead else {}
            table = completion_table(step, scored_P, rollouts.renderer.parse, batch.advantages_PG)
            run.commit_step(step, learner.save, metrics, table)
            report(step, metrics, counts)
            if evaluation.due(step + 1):
                sampler.run_when_idle(partial(evaluation.measure, step + 1))


def last_before_checkpoint(run: RunDir, step: int) -> int:
    """The first step from `step` on that a checkpoint follows."""
    return next(later for later in count(step) if run.checkpoint_follows(later))
