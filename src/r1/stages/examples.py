"""kind = "examples": examples of the user's own, or of the tiny world, as a data set.

They are the supplied, non-reasoning part of a mixture (paper, section 2.3.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from r1.config import Settings, dump
from r1.curation.settings import CallSettings, ShardSettings
from r1.plan.estimate import Context, Estimate
from r1.plan.workload import amount_of
from r1.sft.settings import ExampleSource
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_paths
from r1.stages.dataset import DATA, dataset_run
from r1.stages.protocol import StageContext, StageKind

if TYPE_CHECKING:
    from r1.curation.journal import Record

NAME = "examples"


class ExamplesStage(Settings):
    """Your own examples as a data set, such as the non-reasoning part of a mixture."""

    settled: ClassVar = {"seed": 0}

    sources: tuple[ExampleSource, ...] = Field(min_length=1, description="sources of the examples")
    family: str = Field("general", description="kind of problem that the rows name")
    shards: ShardSettings = ShardSettings()


def make(stage: ExamplesStage, context: StageContext) -> None:
    """Write examples as a data set."""
    from r1.curation.card import write_card
    from r1.curation.job import run_job
    from r1.curation.journal import Record
    from r1.curation.mixture import SCHEMA
    from r1.curation.store import Store
    from r1.data.thinking import response_of
    from r1.sft.read import conversations

    folder = context.folder
    job = {"kind": NAME, "settings": dump(stage)}
    found = (c for source in stage.sources for c in conversations(source, context.base_folder))
    numbered = list(enumerate(found))

    def records(call: list) -> Iterator[Record]:
        for entry in call:
            number, conversation = entry.item
            turns = [
                {"role": turn["role"], "content": response_of(turn)} for turn in conversation.turns
            ]
            row = {
                "id": conversation.id or f"{folder.name}-{number}",
                "messages": turns,
                "family": stage.family,
                "language": "zh" if _is_chinese(turns[0]["content"]) else "en",
                "source": folder.name,
                "thought": "as it was",
                "num_tokens": None,
            }
            yield Record(entry.number, entry.key, stage.family, {"rows": 1}, [row])

    with Store(folder, job, SCHEMA, stage.shards) as store:
        run_job(
            store,
            numbered,
            lambda item: str(item[0]),
            records,
            CallSettings(),
            context.progress.data,
            len(numbered),
        )
        write_card(folder, store.totals, {}, "Examples")


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def check(stage: ExamplesStage, cache: CheckCache) -> None:
    """Check that the files exist."""
    check_paths((source.path for source in stage.sources), cache)


def estimate(name: str, stage: ExamplesStage, context: Context) -> Estimate:
    """Estimate nothing to compute: the examples exist."""
    made = amount_of(stage.sources, context.base_folder, context.made)
    unknown = made.notes if made.rows is None else ()
    return Estimate(name, NAME, makes=made, assumptions=made.notes, unknown=unknown)


registry.register(
    StageKind(
        name=NAME,
        label="data",
        settings=ExamplesStage,
        outputs=DATA,
        run=dataset_run(make),
        check=check,
        estimate=estimate,
        other_names=("data",),
    )
)
