"""A reward model as a run: preferences -> steps -> weights, with exact resume.

    for step in run.remaining_steps(order.num_steps):
        metrics = learner.update(order.batch(step))
        run.commit_step(step, save, metrics)

Everything that can be wrong with the data, the template, the model and the folder is found before
the first step; the form of every row before anything is tokenised.

A training row that is also held out is left out of training.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from transformers import PreTrainedTokenizerFast

from r1.learner.metrics import run_metrics
from r1.learner.supervised_run import Place, in_this_process, open_run
from r1.models.device import resolve_device
from r1.models.load import check_max_tokens, check_model_folder, load_tokenizer
from r1.preferences.read import load_preferences
from r1.preferences.types import Form, Pair, Preference, Preferences
from r1.reward_model.card import card_of
from r1.reward_model.encode import (
    PreferenceExample,
    PreferenceExamples,
    ResponseEncoder,
    encode_preferences,
)
from r1.reward_model.learner import RewardLearner
from r1.reward_model.measure import summarise
from r1.reward_model.settings import RewardModelRecipe
from r1.run_dir import RunDir
from r1.run_dir.events import RunEvents

KIND = "reward_model"


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
    check_model_folder(model)
    tokenizer = load_tokenizer(model)
    check_max_tokens(recipe.batch.max_tokens, model)
    encoder = ResponseEncoder(
        tokenizer, recipe.template, recipe.scored_part, recipe.batch.max_tokens
    )
    form: Form = "pairs" if recipe.objective == "pairwise" else "labels"
    train = [load_preferences(source, form, base_folder) for source in recipe.data.train]
    heldout = [load_preferences(source, form, base_folder) for source in recipe.data.heldout]
    train, notices = _without_heldout(train, heldout)
    notices = [n for found in (*train, *heldout) for n in found.notices()] + notices
    overlong = recipe.batch.overlong
    examples = encode_preferences(train, encoder, recipe.loss, overlong)
    measured = encode_preferences(heldout, encoder, recipe.loss, overlong) if heldout else None
    notices += examples.notices() + (measured.notices("held-out ") if measured else [])
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
            "tokens": [_tokens_sha256(examples.items)],
        },
        notices=notices,
    )


class PreferenceLearner(Protocol):
    """RewardLearner, in this process or over ranks elsewhere."""

    @property
    def step(self) -> int: ...

    def update(self, examples: Sequence[PreferenceExample]) -> dict[str, float]: ...

    def measure(self, examples: Sequence[PreferenceExample]) -> list[list[float]]: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


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
    order = prepared.order
    encoded = {"data_sha256": prepared.fingerprints}
    with ExitStack() as stack:
        open_learner = stack.enter_context(place(prepared, RewardLearner))
        parts = (recipe, KIND, model, encoded, base_folder, out, accept_changes)
        run = stack.enter_context(open_run(*parts))
        learner = stack.enter_context(open_learner(run))
        if run.resume_from is not None:
            learner.load(run.resume_from)
        heldout = _Heldout(run, prepared, learner, progress)
        progress.begin(run.resume_step(), order.num_steps, prepared.notices + run.notices)
        heldout.commit_where_due()
        for step in run.remaining_steps(order.num_steps):
            batch = [prepared.train.items[index] for index in order.batch(step)]
            metrics = run_metrics(learner.update(batch), step / order.steps_per_epoch)
            run.commit_step(step, heldout.save, metrics)
            progress.step(step, metrics)
            heldout.commit_where_due()
        run.finish({"examples": len(prepared.train.items), **prepared.train.counts})
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


def _without_heldout(
    train: list[Preferences], heldout: list[Preferences]
) -> tuple[list[Preferences], list[str]]:
    """Training data without the rows that are held out, and how many there were."""
    kept_out = {_content(item) for found in heldout for item in found.items}
    cleaned, removed = [], 0
    for found in train:
        keep = [n for n, item in enumerate(found.items) if _content(item) not in kept_out]
        removed += len(found.items) - len(keep)
        cleaned.append(
            found._replace(rows=[found.rows[n] for n in keep], items=[found.items[n] for n in keep])
        )
    notices = []
    if removed:
        notices.append(f"{removed} training rows are held out too; they were left out of training.")
    return cleaned, notices


def _content(item: Preference) -> tuple[str, ...]:
    """A pair whichever way round, or a response whatever its label."""
    if isinstance(item, Pair):
        return (item.prompt, *sorted((item.chosen, item.rejected)))
    return (item.prompt, item.response)


def _tokens_sha256(items: Iterable[PreferenceExample]) -> str:
    digest = hashlib.sha256()
    for item in items:
        digest.update(repr((item.prompt_ids, item.target)).encode())
        for ids in item.responses:
            digest.update(ids.tobytes())
    return digest.hexdigest()
