"""A reward model as a run: preferences -> steps -> weights, with exact resume.

The steps are `learner.supervised_run.train_in_epochs`.

Everything that can be wrong with the data, the template, the model and the folder is found before
the first step; the form of every row before anything is tokenised.

A training row that is also held out is left out of training.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerFast

from r1.diagnose.live import WatchedEvents
from r1.learner.supervised_run import (
    EpochLearner,
    EpochSteps,
    Place,
    in_this_process,
    open_run,
    train_in_epochs,
)
from r1.models.device import resolve_device
from r1.models.load import check_max_tokens, check_model_folder, load_tokenizer
from r1.preferences.examples import PreferenceExample, tokens_sha256, without_heldout
from r1.preferences.read import load_preferences
from r1.reward_model.card import card_of
from r1.reward_model.encode import (
    PreferenceExamples,
    ResponseEncoder,
    encode_preferences,
)
from r1.reward_model.learner import RewardLearner
from r1.reward_model.measure import summarise
from r1.reward_model.settings import RewardModelRecipe
from r1.run_dir import RunDir
from r1.run_dir.events import RunEvents

PreferenceLearner = EpochLearner[Sequence[PreferenceExample], list[list[float]]]
"""RewardLearner, in this process or over ranks elsewhere."""
KIND = "reward_model"
NOT_MEASURED = (
    "No held-out rows ([[data.heldout]]): the accuracy is not measured, and as a reward of "
    'reinforcement learning the model needs reward_models.NAME.normalise = "none" or "sigmoid".'
)


class PreferenceOrder:
    """Which examples every step learns from: a pure function of (seed, step).

    Each epoch is an order of its own, dealt into equal parts (they differ by one at most).
    """

    def __init__(self, num_examples: int, recipe: RewardModelRecipe) -> None:
        batch = recipe.batch
        self.num_examples = num_examples
        self.seed = recipe.seed
        self.steps_per_epoch = -(-num_examples // batch.size)
        whole = batch.epochs * self.steps_per_epoch
        self.num_steps = min(whole, batch.max_steps or whole)
        self._shuffled: tuple[int, list[int]] = (-1, [])

    def batch(self, step: int) -> list[int]:
        """The examples of one step (from 0)."""
        epoch, part = divmod(step, self.steps_per_epoch)
        if self._shuffled[0] != epoch:
            indices = list(range(self.num_examples))
            random.Random(f"reward_model/{self.seed}/{epoch}").shuffle(indices)
            self._shuffled = (epoch, indices)
        first, end = (self.num_examples * p // self.steps_per_epoch for p in (part, part + 1))
        return self._shuffled[1][first:end]


class PreparedRewardModel(NamedTuple):
    """A recipe whose model, template and preferences have been checked."""

    recipe: RewardModelRecipe
    model: str
    tokenizer: PreTrainedTokenizerFast
    train: PreferenceExamples
    heldout: PreferenceExamples | None
    order: PreferenceOrder
    fingerprints: dict[str, list[str]]
    notices: list[str]


def prepare(recipe: RewardModelRecipe, model: str, base_folder: Path) -> PreparedRewardModel:
    """Check, read and encode everything before a model is loaded. Raises UserError."""
    if recipe.cluster is None:  # a cluster's devices are its nodes', not this machine's
        resolve_device(recipe.learner.device)
    check_model_folder(model, scores=True)
    tokenizer = load_tokenizer(model)
    check_max_tokens(recipe.batch.max_tokens, model)
    encoder = ResponseEncoder(
        tokenizer,
        recipe.template,
        recipe.scored_part,
        recipe.batch.max_tokens,
        recipe.separator,
    )
    train = [load_preferences(source, recipe.form, base_folder) for source in recipe.data.train]
    heldout = [load_preferences(source, recipe.form, base_folder) for source in recipe.data.heldout]
    train, notices = without_heldout(train, heldout)
    notices = [n for found in (*train, *heldout) for n in found.notices()] + notices
    overlong = recipe.batch.overlong
    examples = encode_preferences(train, encoder, recipe.loss, overlong)
    measured = encode_preferences(heldout, encoder, recipe.loss, overlong) if heldout else None
    notices += examples.notices() + (measured.notices("held-out ") if measured else [])
    if measured is None and recipe.objective != "steps":
        notices.append(NOT_MEASURED)
    return PreparedRewardModel(
        recipe=recipe,
        model=model,
        tokenizer=tokenizer,
        train=examples,
        heldout=measured,
        order=PreferenceOrder(len(examples.items), recipe),
        fingerprints={
            "train": [found.fingerprint() for found in train],
            "heldout": [found.fingerprint() for found in heldout],
            "tokens": [tokens_sha256(examples.items)],
        },
        notices=notices,
    )


def train_reward_model(
    recipe: RewardModelRecipe,
    model: str,
    base_folder: Path,
    out: Path,
    progress: RunEvents,
    place: Place = in_this_process,
    *,
    accept_changes: bool = False,
) -> Path:
    """Train `model` into the run folder `out`, or carry on there; return it.

    model: a folder in the Hugging Face layout or a hub id, whatever recipe.model calls it.
    base_folder: where the recipe's relative paths start. accept_changes: carry on although files
    changed. Raises UserError for a user's mistakes, with nothing written.
    """
    prepared = prepare(recipe, model, base_folder)
    order, items = prepared.order, prepared.train.items
    encoded, watched = {"data_sha256": prepared.fingerprints}, WatchedEvents(progress, out)

    def steps_of(run: RunDir, learner: PreferenceLearner) -> EpochSteps:
        heldout = _Heldout(run, prepared, learner, watched)
        return EpochSteps(
            order.num_steps,
            batch=lambda step: [items[index] for index in order.batch(step)],
            epochs_before=lambda step: step / order.steps_per_epoch,
            measure=heldout.commit_where_due,
            save=heldout.save,
        )

    counts = {"examples": len(items), **prepared.train.counts}
    parts = (recipe, KIND, model, encoded, base_folder, out, accept_changes)
    placed = place(prepared, RewardLearner)
    notices = prepared.notices
    train_in_epochs(placed, partial(open_run, *parts), steps_of, watched, counts, notices)
    return out


class _Heldout:
    """Measures the held-out preferences, at most once for the same weights."""

    def __init__(
        self,
        run: RunDir,
        prepared: PreparedRewardModel,
        learner: PreferenceLearner,
        progress: RunEvents,
    ) -> None:
        self.run, self.prepared, self.learner, self.progress = run, prepared, learner, progress
        self._found: tuple[int, dict[str, Any], float] | None = None

    def save(self, folder: Path) -> None:
        """Write the model and its card, with the held-out scores' mean and deviation."""
        self.learner.save(folder)
        statistics = None if self.prepared.heldout is None else self._measure()[0]["scores"]
        card_of(self.prepared.recipe, statistics).write(folder)

    def commit_where_due(self) -> None:
        """Commit the measurement of the weights as they are, where that is due and not done."""
        step, recipe = self.learner.step, self.prepared.recipe
        due = step in (0, self.prepared.order.num_steps) or any(
            every > 0 and step % every == 0
            for every in (recipe.evaluation.every, recipe.checkpoints.every)
        )
        if self.prepared.heldout is None or not due or self.run.has_evaluation(step):
            return
        summary, seconds = self._measure()
        self.run.commit_evaluation(step, summary, seconds=seconds)
        self.progress.evaluation(step, summary)

    def _measure(self) -> tuple[dict[str, Any], float]:
        step = self.learner.step
        if self._found is None or self._found[0] != step:
            assert self.prepared.heldout is not None
            begin = time.perf_counter()
            items = self.prepared.heldout.items
            summary = summarise(items, self.learner.measure(items))
            self._found = (step, summary, time.perf_counter() - begin)
        return self._found[1], self._found[2]
