"""Shared parts of the kinds that make data sets: their output, counts and problems.

Each such stage is one call of r1.curation with an engine of the named checkpoint, the problems, and
a pool that verifies. All resume where they stopped (r1.curation.store). On a cluster the engine is
a set of replicas; the output is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from r1.config import Settings
from r1.data.settings import DataSettings, SourceSettings
from r1.errors import UserError
from r1.files.shapes import read_json
from r1.rewards.settings import RewardSettings
from r1.run_dir.lineage import describe_source, short_identity
from r1.stages.protocol import Artifact, ArtifactType, Run, StageContext
from r1.types import Problem

DATA = {"data": ArtifactType.DATASET}
"""The outputs of a kind that makes a data set."""

S = TypeVar("S", bound=Settings)


def dataset_run(make: Callable[[Any, StageContext], None]) -> Run:
    """The run function of a kind whose `make` writes a data set with its card into the folder."""

    def run(stage: Any, context: StageContext) -> Mapping[str, Artifact]:
        make(stage, context)
        counts = counts_of(context.folder)
        if not counts["rows"]:
            raise UserError(nothing_kept(context.folder))
        return {"data": Artifact("data", ArtifactType.DATASET, counts)}

    return run


def counts_of(folder: Path) -> dict[str, float]:
    """Return the counts of a data set's card: rows and, if it was sampled, prompts and samples."""
    from r1.curation.card import CARD_JSON, CardFile

    total = read_json(folder / CARD_JSON, shape=CardFile)["total"]
    counts = {"rows": total["samples"], "prompts": total["prompts"], "sampled": total["sampled"]}
    return {name: number for name, number in counts.items() if number or name == "rows"}


def nothing_kept(folder: Path) -> str:
    """Return the message for an empty data set: the counts by reason, and the remedy."""
    from r1.curation.card import CARD_JSON, CARD_MD

    total = read_json(folder / CARD_JSON)["total"]
    reasons = [(name, number) for name, number in total.get("dropped", {}).items() if number]
    reasons += [("overlapping held-out", total.get("contaminated") or 0)]
    told = ", ".join(f"{name} {number:,}" for name, number in reasons if number)
    return (
        f"not one row was kept: {total['prompts']:,} prompts, {total['sampled']:,} samples"
        f"{f' ({told})' if told else ''}. There would be nothing to learn from; {folder / CARD_MD} "
        f"has the counts by domain. {remedy_for(reasons)} Then give the same command again."
    )


def remedy_for(reasons: Sequence[tuple[str, int]]) -> str:
    """Return what to change where these reasons left nothing: the remedies of those that took a
    quarter of the samples or more, the most frequent first."""
    from r1.curation.filters import DropReason

    remedies = {
        DropReason.CUT: "Samples were cut: raise sampling.max_new_tokens, or ask for less.",
        DropReason.NO_VERDICT: "Samples had no verdict: see rewards.timeout_s, or the judge.",
        DropReason.MALFORMED: "Samples were malformed: where responses do not think apart, "
        'rejection sampling takes sampled = { opening = "", closing = "" }.',
        DropReason.NO_ANSWER: "No answer could be read: see rewards.answer_from.",
        DropReason.WRONG: "Answers were wrong: take easier problems, a larger num_samples or a "
        "stronger model.",
    }
    least = sum(number for _, number in reasons) / 4
    frequent = sorted((each for each in reasons if each[1] >= least), key=lambda each: -each[1])
    found = [remedies[DropReason(name)] for name, _ in frequent if name in remedies]
    return " ".join(found) or "Change the stage's filters, sampling, problems or model."


def load_problem_lists(
    train: tuple[SourceSettings, ...],
    heldout: tuple[SourceSettings, ...],
    rewards: RewardSettings,
    base_folder: Path,
) -> tuple[list[Problem], list[Problem]]:
    """Load and check a stage's problems; overlaps are counted later, when they are left out."""
    from r1.data.load import load_data
    from r1.rewards.accuracy import check_reference

    settings = DataSettings(train=train, heldout=heldout, decontaminate=False)
    data = load_data(settings, base_folder, partial(check_reference, settings=rewards))
    return [problem for pool in data.pools for problem in pool], data.heldout


def identity_of(model: str) -> str:
    """Return a checkpoint's name and hash, independent of the run's place."""
    return short_identity(describe_source(model))


def part(settings: BaseModel, schema: type[S]) -> S:
    """Return the fields of a base class from a stage's settings, as that base."""
    return schema(**{name: getattr(settings, name) for name in schema.model_fields})
