"""Direct preference optimisation as a run: pairs -> steps -> weights, with exact resume.

    for step in run.remaining_steps(order.num_steps):
        metrics = learner.update(pairs of order.step(step))
        run.commit_step(step, learner.save, metrics)

Everything that can be wrong with the data, the template, the model and the folder is found before
the first step. A training pair that is also held out, either way round, is left out of training.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from transformers import PreTrainedTokenizerFast

from r1.dpo.encode import EncodedPairs, PairEncoder, encode_pairs
from r1.dpo.learner import DPOLearner
from r1.dpo.measure import MeasuredPairs, summarise
from r1.dpo.settings import DPORecipe
from r1.learner.heldout import commit_heldout
from r1.learner.metrics import run_metrics
from r1.learner.supervised_run import Place, in_this_process, open_run
from r1.models.device import resolve_device
from r1.models.load import check_max_tokens, check_model_folder, load_tokenizer
from r1.preferences.examples import PreferenceExample, tokens_sha256, without_heldout
from r1.preferences.read import load_preferences
from r1.run_dir import RunDir
from r1.run_dir.events import RunEvents
from r1.sft.order import Order

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


class PairLearner(Protocol):
    """DPOLearner, in this process or over ranks elsewhere."""

    @property
    def step(self) -> int: ...

    def update(self, examples: Sequence[PreferenceExample]) -> dict[str, float]: ...

    def measure(self, examples: Sequence[PreferenceExample]) -> MeasuredPairs: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


def prepare(recipe: DPORecipe, model: str, base_folder: Path) -> PreparedDPO:
    """Check, read and encode everything before a model is loaded. Raises UserError."""
    if recipe.cluster is None:  # a cluster's devices are its nodes', not this machine's
        resolve_device(recipe.learner.device)
    check_model_folder(model)
    tokenizer = load_tokenizer(model)
    width = check_max_tokens(recipe.batch.max_tokens, model, " or leave it out")
    encoder = PairEncoder(tokenizer, recipe, width)
    read, held = (
        [load_preferences(source, "pairs", base_folder, dialogues=True) for source in sources]
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
    encoded = {"data_sha256": prepared.fingerprints}
    with (
        place(prepared, partial(DPOLearner, recipe.loss)) as open_learner,
        open_run(recipe, KIND, model, encoded, base_folder, out, accept_changes) as run,
        open_learner(run) as learner,
    ):
        if run.resume_from is not None:
            learner.load(run.resume_from)
        progress.begin(run.resume_step(), order.num_steps, prepared.notices + run.notices)
        measure_where_due = partial(_measure_where_due, run, prepared, learner, progress)
        measure_where_due()
        for step in run.remaining_steps(order.num_steps):
            metrics = run_metrics(
                learner.update([pairs[index] for index in order.step(step)]),
                order.epochs_before(step),
            )
            run.commit_step(step, learner.save, metrics)
            progress.step(step, metrics)
            measure_where_due()
        run.finish({"examples": len(pairs), **prepared.train.counts})
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
