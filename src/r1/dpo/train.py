"""Direct preference optimisation as a run: pairs -> steps -> weights, with exact resume.

The steps are `learner.supervised_run.train_in_epochs`.

Everything that can be wrong with the data, the template, the model and the folder is found before
the first step. A training pair that is also held out, either way round, is left out of training.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerFast

from r1.diagnose.live import WatchedEvents
from r1.dpo.encode import EQUAL, EncodedPairs, PairEncoder, encode_pairs
from r1.dpo.learner import DPOLearner
from r1.dpo.measure import MeasuredPairs, summarise
from r1.dpo.settings import DPORecipe
from r1.learner.heldout import commit_heldout
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
from r1.run_dir import RunDir
from r1.run_dir.events import RunEvents
from r1.sft.order import Order

PairLearner = EpochLearner[Sequence[PreferenceExample], MeasuredPairs]
"""DPOLearner, in this process or over ranks elsewhere."""
KIND = "dpo"
MATCHED = (0.9, 1.1)
"""Median ratios of the lengths of chosen and rejected that a loss on sums takes for equal."""


class PreparedDPO(NamedTuple):
    """A recipe whose model, template and pairs have been checked."""

    recipe: DPORecipe
    model: str
    tokenizer: PreTrainedTokenizerFast
    train: EncodedPairs
    heldout: EncodedPairs | None
    order: Order
    fingerprints: dict[str, list[str]]
    notices: list[str]


def prepare(recipe: DPORecipe, model: str, base_folder: Path) -> PreparedDPO:
    """Check, read and encode everything before a model is loaded. Raises UserError."""
    if recipe.cluster is None:  # a cluster's devices are its nodes', not this machine's
        resolve_device(recipe.learner.device)
    check_model_folder(model)
    tokenizer = load_tokenizer(model)
    width = check_max_tokens(recipe.batch.max_tokens, model, " or leave it out")
    encoder = PairEncoder(tokenizer, recipe, width)
    read, held = (
        [load_preferences(source, "pairs", base_folder) for source in sources]
        for sources in (recipe.data.train, recipe.data.heldout)
    )
    notices = [notice for found in (*read, *held) for notice in found.notices()]
    read, told = without_heldout(read, held)
    train = encode_pairs(read, encoder)
    heldout = encode_pairs(held, encoder) if held else None
    notices += told + _notices(train, recipe)
    return PreparedDPO(
        recipe=recipe,
        model=model,
        tokenizer=tokenizer,
        train=train,
        heldout=heldout,
        order=Order(train.lengths, recipe.batch, width, recipe.seed),
        fingerprints={
            "train": [found.fingerprint() for found in read],
            "heldout": [found.fingerprint() for found in held],
            "tokens": [tokens_sha256(train.items)],
        },
        notices=notices,
    )


def train_dpo(
    recipe: DPORecipe,
    model: str,
    base_folder: Path,
    out: Path,
    progress: RunEvents,
    place: Place = in_this_process,
    *,
    accept_changes: bool = False,
) -> Path:
    """Train `model` into the run folder `out`, or carry on there; return it.

    model: a folder in the Hugging Face layout or a hub id, whatever recipe.model calls it; it is
    the reference too. base_folder: where the recipe's relative paths start. accept_changes: carry
    on although files changed. Raises UserError for a user's mistakes, with nothing written.
    """
    prepared = prepare(recipe, model, base_folder)
    order, pairs = prepared.order, prepared.train.items
    encoded, watched = {"data_sha256": prepared.fingerprints}, WatchedEvents(progress, out)

    def steps_of(run: RunDir, learner: PairLearner) -> EpochSteps:
        return EpochSteps(
            order.num_steps,
            batch=lambda step: [pairs[index] for index in order.step(step)],
            epochs_before=order.epochs_before,
            measure=partial(_measure_where_due, run, prepared, learner, watched),
            save=learner.save,
        )

    counts = {"examples": len(pairs), **prepared.train.counts}
    parts = (recipe, KIND, model, encoded, base_folder, out, accept_changes)
    placed = place(prepared, partial(DPOLearner, recipe.loss))
    notices = prepared.notices
    train_in_epochs(placed, partial(open_run, *parts), steps_of, watched, counts, notices)
    return out


def _measure_where_due(
    run: RunDir, prepared: PreparedDPO, learner: PairLearner, progress: RunEvents
) -> None:
    if prepared.heldout is None:
        return
    recipe, items = prepared.recipe, prepared.heldout.items

    def measure() -> dict[str, Any]:
        return summarise(items, learner.measure(items), recipe.loss)

    every, last = recipe.evaluation.every, prepared.order.num_steps
    commit_heldout(run, learner.step, last, every, measure, progress)


def _notices(train: EncodedPairs, recipe: DPORecipe) -> list[str]:
    """What the user should know of the pairs; the run goes on."""
    said = [
        f"{train.counts[how]} over-long pairs were {how}."
        for how in ("dropped", "truncated")
        if train.counts[how]
    ]
    if equal := train.counts.get(EQUAL, 0):
        said.append(f"{equal} pairs were dropped ({EQUAL}).")
    if train.counts["open"]:
        said.append(
            f"{train.counts['open']} responses do not end with the tokenizer's end token: sampling "
            "will not stop there unless eos_token in tokenizer_config.json says so."
        )
    chosen, rejected = ([len(item.responses[k]) for item in train.items] for k in (0, 1))
    ratio = statistics.median(a / b for a, b in zip(chosen, rejected, strict=True))
    if recipe.loss.kind == "dpo" and not MATCHED[0] <= ratio <= MATCHED[1]:
        more = "longer" if ratio > 1 else "shorter"
        said.append(
            f"Chosen responses are {more} than rejected ones (median ratio {ratio:.2f}), and a "
            "loss on sums teaches that as well: match lengths, or set loss.kind = "
            '"length_normalised".'
        )
    return said
