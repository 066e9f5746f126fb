"""The loop with sampling ahead: later batches are sampled while this one is learnt.

grpo.staleness = k: batch n is begun under weights of version n - k or newer (version: updates
done), so that no sample is ever learnt from by a policy more than k updates newer than the one that
began it. A batch is learnt from when it is whole; the learner waits for its last group, and nothing
is dropped. For k = 1, with whole batches:

    synchronous    | sample n | learn n | send | sample n + 1 | learn n + 1 | send | ...
    one step off   | sample n + 1       | send | sample n + 2               | send | ...
                   | learn n            |      | learn n + 1                |      |

Two ways of sampling (r1.cluster.ahead): whole batches, each under the weights of one version, which
k and the step decide; and grpo.partial_rollouts, where weights are replaced in the midst of
responses. The objective's truncated importance weights (grpo.importance_cap) correct for either,
token by token; `staleness` and `staleness_max` (updates between, over samples) are in the metrics.

Dynamic sampling joins either way: its rounds are begun with their batch or, partial rollouts, later
and under newer weights; the bound holds for them as well.

No batch is begun before a checkpoint that it comes after: its samples would be of weights that the
checkpoint no longer holds. With whole batches a run that was killed therefore lands where it would
have. With partial rollouts the clock decides which weights draw a token; a run carried on is then
as valid but another one. Every checkpoint costs the overlap of some steps.

Left out on purpose: batches of whichever groups end first, which would wait less. k batches are
under way beside the one that is due, and each must be learnt from within k updates of being asked
for: that alone makes every batch its own groups. A choice needs engines that tell when they begin a
group, so that those which wait in their queues do not age.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from r1.cluster.ahead import open_sampler
from r1.data.source import Batches
from r1.grpo.batch import make_batch
from r1.grpo.metrics import PhaseTimer, step_metrics
from r1.grpo.train import Rollouts, TrainSettings
from r1.learner.protocol import Learner
from r1.rollout.scored import Counts
from r1.run_dir import RunDir, completion_table
from r1.types import ScoredGroup

if TYPE_CHECKING:
    import torch


class Evaluation(NamedTuple):
    """measure(step) evaluates the weights after `step` updates where due(step)."""

    due: Callable[[int], bool]
    measure: Callable[[int], None]


def train_ahead(
    run: RunDir,
    source: Batches,
    spare: Batches,
    rollouts: Rollouts,
    learner: Learner,
    settings: TrainSettings,
    evaluation: Evaluation,
    report: Callable[[int, Mapping[str, float], Counts], None],
) -> None:
    """As r1.grpo.train.train, with up to grpo.staleness batches sampled ahead."""
    begun = run.resume_step()
    with open_sampler(source, spare, rollouts, settings) as ahead:
        ahead.renew(held(learner.weights()), begun)
        ahead.between(partial(evaluation.measure, begun))
        for step in run.remaining_steps(settings.num_steps):
            timer = PhaseTimer(rollouts.usage)
            end = min(step + settings.grpo.staleness, last_before_checkpoint(run, step)) + 1
            ahead.begin(range(begun, end))
            begun = end
            with timer.phase("rollout"):
                scored_P = ahead.take(step)
            counts = rollouts.scorer.take_counts()
            with timer.phase("update"):
                batch = make_batch(scored_P, settings.grpo, settings.sampling.max_new_tokens)
                update = learner.update(batch.batch)
            with timer.phase("sync"):
                ahead.renew(held(learner.weights()), step + 1)
            metrics = step_metrics(scored_P, batch.stats, update, timer) | counts.as_metrics()
            metrics |= staleness(step, scored_P)
            table = completion_table(step, scored_P, rollouts.renderer.parse, batch.advantages_PG)
            run.commit_step(step, learner.save, metrics, table)
            report(step, metrics, counts)
            if evaluation.due(step + 1):
                ahead.between(partial(evaluation.measure, step + 1))


def last_before_checkpoint(run: RunDir, step: int) -> int:
    """The first step from `step` on that a checkpoint follows."""
    return next(later for later in count(step) if run.checkpoint_follows(later))


def held(weights: Iterable[tuple[str, torch.Tensor]]) -> Iterable[tuple[str, torch.Tensor]]:
    """The weights as they are now, whatever the learner does next.

    An iterator reads the learner's own tensors and is copied; RemoteWeights are a copy already.
    """
    if isinstance(weights, Iterator):
        return [(name, tensor.detach().clone()) for name, tensor in weights]
    return weights


def staleness(step: int, scored_P: list[ScoredGroup]) -> dict[str, float]:
    """Updates between the weights that began a sample and those that learn: mean and maximum."""
    ages = [step - c.version for scored in scored_P for c in scored.group.completions]
    return {
        "staleness": sum(ages) / max(1, len(ages)),
        "staleness_max": float(max(ages, default=0)),
    }
