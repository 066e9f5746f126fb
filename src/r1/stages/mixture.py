"""kind = "mixture": several data sets as one (paper, section 2.3.3).

r1.curation.mixture draws and joins the rows.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from pydantic import Field

from r1.curation.settings import MixtureSettings
from r1.data.folders import kind_of
from r1.data.rows import find_data
from r1.plan.estimate import Context, Estimate, sentences
from r1.plan.workload import GENERAL_TOKENS, Amount, counted
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_paths, is_reference
from r1.stages.dataset import DATA, dataset_run, part
from r1.stages.general import GeneralSettings, open_general, samplers_of
from r1.stages.protocol import SampledModel, StageContext, StageKind

if TYPE_CHECKING:
    from r1.curation.cold_start import General

NAME = "mixture"


class MixtureStage(MixtureSettings):
    """Several data sets mixed into one, with chains of thought where a source asks for them."""

    general: GeneralSettings | None = Field(
        None, description="who writes chains of thought; needed where a source asks for them"
    )


def make(stage: MixtureStage, context: StageContext) -> None:
    """Join data sets."""
    from r1.curation.mixture import mix

    opened: AbstractContextManager[General | None] = nullcontext()
    if stage.general:
        opened = open_general(stage.general, context.base_folder, context.cluster)
    with opened as general:
        mix(
            context.folder,
            part(stage, MixtureSettings),
            context.base_folder,
            general,
            progress=context.progress.data,
        )


def check(stage: MixtureStage, cache: CheckCache) -> None:
    """Check that the files exist."""
    check_paths((source.path for source in stage.sources), cache)


def samplers(stage: MixtureStage) -> list[SampledModel]:
    """Return the general model, if there is one."""
    return samplers_of(stage.general)


def estimate(name: str, stage: MixtureStage, context: Context) -> Estimate:
    """Estimate the rows of several data sets; thoughts added by a general model are not counted."""
    amounts: list[Amount] = []
    notes: list[str] = []
    for source in stage.sources:
        found = _rows_of(source, context)
        rows = source.count if source.count is not None else found.rows
        if source.weight is not None:
            rows = None  # a share of the total, added below
        amounts.append(found._replace(rows=rows))
        notes += found.notes
    weighted = [s.weight is not None for s in stage.sources]
    known = [a for a, w in zip(amounts, weighted, strict=True) if not w]
    lengths = [a.tokens for a in known if a.tokens is not None]
    if lengths and min(lengths) > GENERAL_TOKENS and len(lengths) < len(known):
        known = [a if a.tokens else a._replace(tokens=GENERAL_TOKENS) for a in known]
        notes.append("1,420 tokens a row of data that is not here: table 5's general rows")
    if any(amount.rows is None for amount in known):
        return Estimate(name, NAME, unknown=sentences(notes))
    rows = sum(amount.rows or 0 for amount in known) + (stage.total or 0)
    sized = [a for a in known if a.tokens is not None and a.rows]
    of = sum(a.rows or 0 for a in sized)
    tokens = sum((a.rows or 0) * (a.tokens or 0.0) for a in sized) / of if of else None
    if any(source.chain_of_thought == "prompted" for source in stage.sources):
        notes.append("chains of thought that the general model adds are not counted")
    return Estimate(name, NAME, makes=Amount(rows, tokens), assumptions=sentences(notes))


def _rows_of(source: Any, context: Context) -> Amount:
    if is_reference(source.path):
        unknown = Amount(None, None, (f"rows of {source.path} unknown",))
        return context.made_by(source.path) or unknown
    if (file := find_data(source.path, context.base_folder)).exists():
        return counted(file, "parquet" if file.is_dir() else kind_of(file) or "jsonl")
    if source.count is not None:
        return Amount(source.count)
    return Amount(None, None, (f"rows of {source.path} unknown (set its count)",))


registry.register(
    StageKind(
        name=NAME,
        label="data",
        settings=MixtureStage,
        outputs=DATA,
        run=dataset_run(make),
        check=check,
        estimate=estimate,
        samplers=samplers,
        other_names=("mix",),
    )
)
