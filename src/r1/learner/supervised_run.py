"""Shared parts of the trainings that go through fixed data in epochs: run folder, learner, steps.

    for step in run.remaining_steps(num_steps):
        metrics = learner.update(batch(step))
        run.commit_step(step, save, metrics)

The folder records hashes of the encoded data: a run is not carried on with another tokenizer,
template or encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from r1.config import as_now, dump
from r1.data.external import inputs_of
from r1.data.rows import name_of
from r1.learner.metrics import run_metrics
from r1.learner.settings import MAY_CHANGE_ON_RESUME, MAY_GROW, longer_notices
from r1.models.device import resolve_device
from r1.native import kernels
from r1.run_dir import RunDir, describe_source
from r1.run_dir.events import RunEvents

Batch = TypeVar("Batch", contravariant=True)
Measured = TypeVar("Measured", covariant=True)


class EpochLearner(Protocol[Batch, Measured]):
    """What learns from batches of examples and is measured on others."""

    @property
    def step(self) -> int: ...

    def update(self, examples: Batch, /) -> dict[str, float]: ...

    def measure(self, examples: Batch, /) -> Measured: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


OpenLearner = Callable[[RunDir], AbstractContextManager[Any]]
"""Makes the learner of a run that has been opened, and ends its processes afterwards."""

Place = Callable[[Any, Callable[..., Any]], AbstractContextManager[OpenLearner]]
"""Reserves what the learner of a prepared training needs, before the run's folder is made.

Takes the training (recipe, model, tokenizer, order) and its learner: SFTLearner, RewardLearner or a
partial of DPOLearner.
"""


def in_this_process(
    prepared: Any, learner: Callable[..., Any]
) -> AbstractContextManager[OpenLearner]:
    """The place that needs nothing: the learner is made in this process."""

    def make(run: RunDir) -> AbstractContextManager[Any]:
        recipe = prepared.recipe
        made = learner(
            prepared.model,
            recipe.learner,
            recipe.optimizer,
            total_steps=prepared.order.num_steps,
            seed=recipe.seed,
            tokenizer=prepared.tokenizer,
        )
        return nullcontext(made)

    return nullcontext(make)


class EpochSteps(NamedTuple):
    """What a training does at each of its steps, once it has a run and a learner.

    batch: the examples of a step (from 0), as the update takes them. epochs_before: passes
    over the data before a step. measure: commits what is due of the weights as they are, and not
    done. save: writes a checkpoint.
    """

    num_steps: int
    batch: Callable[[int], Any]
    epochs_before: Callable[[int], float]
    measure: Callable[[], None]
    save: Callable[[Path], None]


def train_in_epochs(
    placed: AbstractContextManager[OpenLearner],
    open_folder: Callable[[], RunDir],
    steps_of: Callable[[RunDir, Any], EpochSteps],
    progress: RunEvents,
    counts: Mapping[str, int],
    notices: list[str],
) -> None:
    """Train from the run's newest checkpoint to its last step.

    placed: what the learner needs, reserved before the folder is opened. open_folder: opens the
    run's folder. steps_of(run, learner): the steps. counts: of the data, kept with the run.
    notices: what the user should know of the data.
    """
    with placed as open_learner, open_folder() as run, open_learner(run) as learner:
        if run.resume_from is not None:
            learner.load(run.resume_from)
        run.note_facts({"counts": counts})
        steps = steps_of(run, learner)
        progress.begin(run.resume_step(), steps.num_steps, notices + run.notices)
        steps.measure()
        for step in run.remaining_steps(steps.num_steps):
            update = learner.update(steps.batch(step))
            metrics = run_metrics(update, steps.epochs_before(step))
            run.commit_step(step, steps.save, metrics)
            progress.step(step, metrics)
            steps.measure()
        run.finish(counts)


def open_run(
    recipe: Any,
    kind: str,
    model: str,
    encoded: Mapping[str, Any],
    base_folder: Path,
    out: Path,
    accept_changes: bool = False,
) -> RunDir:
    """Open the run folder `out`, or the run that is under way there.

    recipe: settings with seed, model, data.train, data.heldout and checkpoints. model: the folder
    that recipe.model stands for. encoded: hashes of the encoded data, by what they are called in
    the run's recipe. accept_changes: carry on although files changed. Raises UserError as
    RunDir.open does.
    """
    parent = describe_source(model)
    settings = dump(recipe)
    identity = {
        **settings,
        "base_folder": str(base_folder.resolve()),
        "model_sha256": parent.get("sha256"),
        **encoded,
    }
    sources = (*recipe.data.train, *recipe.data.heldout)
    run = RunDir.open(
        out,
        identity,
        kind,
        checkpoints=recipe.checkpoints,
        ignore=MAY_CHANGE_ON_RESUME,
        grows=MAY_GROW,
        derived=("model_sha256", *encoded),
        as_now=partial(as_now, schema=type(recipe)),
        inputs=inputs_of(settings, base_folder, model),
        accept_changes=accept_changes,
        seeds={"run": recipe.seed},
        parent={"model": recipe.model, **parent},
        datasets=[
            {"kind": source.kind, **describe_source(name_of(source, base_folder))}
            for source in sources
        ],
        kernels=kernels_of(recipe),
    )
    if run.longer:
        run.notices += longer_notices(recipe.optimizer)
    return run


def kernels_of(recipe: Any) -> dict[str, str]:
    """How compiled code is computed in this process, where a recipe computes here on a CPU."""
    on_cpu = recipe.cluster is None and resolve_device(recipe.learner.device).type == "cpu"
    return kernels() if on_cpu else {}
