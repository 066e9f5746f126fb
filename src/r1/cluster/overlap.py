"""The loop with sampling one step ahead: rollouts of step n + 1 while step n is learnt.

    synchronous    | sample n | learn n | send | sample n + 1 | learn n + 1 | send | ...
    one step off   | sample n + 1       | send | sample n + 2               | send | ...
                   | learn n            |      | learn n + 1                |      |

A batch is then learnt from by a policy one update newer than the one that sampled it; the
objective's truncated importance weights (grpo.importance_cap) correct for that, and `staleness`
(mean number of updates between) is in the metrics. Step n + 1 is never sampled across a checkpoint:
it would need weights that the checkpoint no longer holds, and a run that was killed would land
elsewhere. So every checkpoint costs the overlap of one step.

Left out on purpose: more than one step of staleness, and continuing a response under newer weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from r1.data.source import Batches
from r1.grpo.batch import make_batch
from r1.grpo.metrics import PhaseTimer, step_metrics
from r1.grpo.train import Rollouts, TrainSettings, add_signal, roll_out
from r1.learner.protocol import Learner
from r1.rollout.scored import Counts
from r1.run_dir import RunDir, completion_table
from r1.types import ScoredGroup


def train_one_step_off(
    run: RunDir,
    source: Batches,
    spare: Batches,
    rollouts: Rollouts,
    learner: Learner,
    settings: TrainSettings,
    evaluate: Callable[[int], None],
    report: Callable[[int, Mapping[str, float], Counts], None],
) -> None:
    """As r1.grpo.train.train, with sampling one step ahead."""

    def sample(step: int) -> list[ScoredGroup]:
        scored_P = roll_out(step, source.batch(step), rollouts, settings)
        return add_signal(step, scored_P, spare, rollouts, settings)

    engine = rollouts.engine
    engine.load_weights(learner.weights(), version=run.resume_step())
    evaluate(run.resume_step())
    ahead: Future[list[ScoredGroup]] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="rollouts") as background:
        for step in run.remaining_steps(settings.num_steps):
            timer = PhaseTimer(rollouts.usage)
            with timer.phase("rollout"):
                scored_P = sample(step) if ahead is None else ahead.result()
            counts = rollouts.scorer.take_counts()
            crosses = run.checkpoint_follows(step)
            ahead = None if crosses else background.submit(sample, step + 1)
            with timer.phase("update"):
                batch = make_batch(scored_P, settings.grpo, settings.sampling.max_new_tokens)
                update = learner.update(batch.batch)
            with timer.phase("rollout"):
                wait([] if ahead is None else [ahead])
            with timer.phase("sync"):
                engine.load_weights(learner.weights(), version=step + 1)
            metrics = step_metrics(scored_P, batch.stats, update, timer) | counts.as_metrics()
            metrics["staleness"] = staleness(step, scored_P)
            table = completion_table(step, scored_P, rollouts.renderer.parse, batch.advantages_PG)
            run.commit_step(step, learner.save, metrics, table)
            report(step, metrics, counts)
            evaluate(step + 1)


def staleness(step: int, scored_P: list[ScoredGroup]) -> float:
    """Updates between the weights that sampled and those that learn, mean over samples."""
    ages = [step - c.version for scored in scored_P for c in scored.group.completions]
    return sum(ages) / max(1, len(ages))
