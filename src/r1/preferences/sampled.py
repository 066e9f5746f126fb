"""Data made of a checkpoint's judged samples, right over wrong or labelled steps: the walk over the
problems and the card.

Resumed where it stopped (r1.curation.store, r1.curation.job): a call of problems is sampled again
as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from r1.config import dump
from r1.curation.card import CARD_JSON, CARD_MD, make_card
from r1.curation.curator import decisive
from r1.curation.job import Process, problem_key, run_job
from r1.curation.progress import DataEvents
from r1.curation.rejection import SamplingLine
from r1.curation.store import Store
from r1.preferences.responses import refuse_dialogue
from r1.preferences.settings import VerifiedPairSettings
from r1.preferences.step_settings import StepLabelSettings
from r1.run_dir import atomic
from r1.types import Problem


class SampledData(NamedTuple):
    """What is made. title: what the card calls it. counted: counts whose sums the card also shows,
    under `heading`."""

    kind: str
    schema: pa.Schema
    title: str
    heading: str = ""
    counted: Sequence[str] = ()


def make_sampled(
    folder: Path,
    made: SampledData,
    problems: Sequence[Problem],
    line: SamplingLine,
    settings: VerifiedPairSettings | StepLabelSettings,
    source: str,
    run_call: Process[Problem],
    progress: DataEvents,
) -> dict[str, Any]:
    """Process every problem into `folder`, or carry on there; write and return the data card.

    source: name and hash of the checkpoint behind the engine. run_call: a call's problems in, a
    record for each out. Raises UserError for the user's mistakes.
    """
    for problem in problems:
        refuse_dialogue(problem)
    job = {
        "kind": made.kind,
        "source": source,
        "settings": decisive(dump(settings), "call.resume", "domains"),
        "rewards": sorted(line.scorer.settings.names),
    }
    with Store(folder, job, made.schema, settings.shards) as store:
        run_job(store, problems, problem_key, run_call, settings.call, progress, len(problems))
        card = make_card(store.totals, settings.domains, made.title)
        sums: Counter[str] = Counter()
        for counts in store.totals.values():
            sums.update(counts)
    found, text = card.as_json(), card.as_markdown()
    if made.counted:
        found = {**found, made.heading.lower(): {name: sums[name] for name in made.counted}}
        rows = [f"| {name} | {sums[name]:,} |" for name in made.counted]
        text = "\n".join([text, f"| {made.heading} | |", "|---|---:|", *rows, ""])
    atomic.write_json(folder / CARD_JSON, found)
    atomic.write_text(folder / CARD_MD, text)
    return found
