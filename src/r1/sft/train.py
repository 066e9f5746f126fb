"""Supervised fine-tuning as a run: examples -> steps -> weights, with exact resume.

The steps are `learner.supervised_run.train_in_epochs`.

Everything that can be wrong with the data, the template, the model and the folder is found before
the first step; the form of every row before anything is tokenised.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerFast

from r1.diagnose.live import WatchedEvents
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
from r1.run_dir import RunDir
from r1.run_dir.events import RunEvents
from r1.sft.encode import ConversationEncoder
from r1.sft.examples import Examples, check_sources, encode_sources
from r1.sft.learner import LossSum, SFTLearner
from r1.sft.order import Order
from r1.sft.settings import SFTRecipe

ExampleLearner = EpochLearner[Examples, LossSum]
"""SFTLearner, in this process or over ranks elsewhere."""
KIND = "sft"


class PreparedSFT(NamedTuple):
    """A recipe whose model, template and examples have been checked."""

    recipe: SFTRecipe
    model: str
    tokenizer: PreTrainedTokenizerFast
    train: Examples
    heldout: Examples | None
    order: Order
    notices: list[str]


def prepare(recipe: SFTRecipe, model: str, base_folder: Path) -> PreparedSFT:
    """Check and encode everything before a model is loaded. Raises UserError."""
    if recipe.cluster is None:  # a cluster's devices are its nodes', not this machine's
        resolve_device(recipe.learner.device)
    check_model_folder(model)
    tokenizer = load_tokenizer(model)
    encoder = ConversationEncoder(tokenizer, recipe.template, recipe.examples)
    width = check_max_tokens(recipe.batch.max_tokens, model, " or leave it out")
    notices = check_sources([*recipe.data.train, *recipe.data.heldout], base_folder)
    train = encode_sources(recipe.data.train, base_folder, encoder, width)
    heldout = None
    if recipe.data.heldout:
        heldout = encode_sources(recipe.data.heldout, base_folder, encoder, width)
        train = train.without(heldout)
    notices += _notices(train, tokenizer)
    order = Order(train.lengths, recipe.batch, width, recipe.seed)
    return PreparedSFT(recipe, model, tokenizer, train, heldout, order, notices)


def train_sft(
    recipe: SFTRecipe,
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
    order, watched = prepared.order, WatchedEvents(progress, out)

    def steps_of(run: RunDir, learner: ExampleLearner) -> EpochSteps:
        return EpochSteps(
            order.num_steps,
            batch=lambda step: prepared.train.part(order.step(step)),
            epochs_before=order.epochs_before,
            measure=partial(measure_heldout, run, prepared, learner, watched),
            save=learner.save,
        )

    counts = {"examples": len(prepared.train), **prepared.train.counts}
    opening = partial(_open_run, prepared, base_folder, out, accept_changes)
    placed = place(prepared, SFTLearner)
    train_in_epochs(placed, opening, steps_of, watched, counts, prepared.notices)
    return out


def measure_heldout(
    run: RunDir, prepared: PreparedSFT, learner: ExampleLearner, progress: RunEvents
) -> None:
    """Commit the held-out loss of the weights as they are, where that is due and not done."""
    heldout = prepared.heldout
    if heldout is None:
        return

    def measure() -> dict[str, Any]:
        found = learner.measure(heldout)
        return {
            "loss": found.mean,
            "num_tokens": found.num_tokens,
            "num_examples": len(heldout),
        }

    every, last = prepared.recipe.evaluation.every, prepared.order.num_steps
    commit_heldout(run, learner.step, last, every, measure, progress)


def _open_run(prepared: PreparedSFT, base_folder: Path, out: Path, accept_changes: bool) -> RunDir:
    examples = {"train": prepared.train.fingerprint()}
    if prepared.heldout is not None:
        examples["heldout"] = prepared.heldout.fingerprint()
    encoded = {"tokens_sha256": examples}
    recipe, model = prepared.recipe, prepared.model
    return open_run(recipe, KIND, model, encoded, base_folder, out, accept_changes)


def _notices(examples: Examples, tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """What the user should know of the examples; the run goes on."""
    notices = []
    if held := examples.counts.get("heldout"):
        notices.append(
            f"{held} training examples are held out too; they were left out of training."
        )
    for name in ("dropped", "truncated"):
        if examples.counts[name]:
            notices.append(f"{examples.counts[name]} over-long examples were {name}.")
    if examples.counts["open"]:
        last = (int(examples.token_ids(index)[-1]) for index in range(len(examples)))
        end = tokenizer.decode([next(token for token in last if token != tokenizer.eos_token_id)])
        notices.append(
            f"{examples.counts['open']} examples do not end with the tokenizer's end token "
            f"{tokenizer.eos_token!r} (but with {end!r}, say): sampling will not stop there "
            "unless eos_token in tokenizer_config.json says so."
        )
    return notices
