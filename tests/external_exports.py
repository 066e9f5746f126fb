"""What leaves a run for somebody else, read from files that may be damaged (see external_files):
model cards, reward models' cards, curated data sets, runs as rows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from r1.api.runs import load_run
from r1.curation.conversations import card_of, count_conversations
from r1.curation.store import read_rows, read_size, verify
from r1.publish.card import CardForm, model_card
from r1.publish.origin import origin_of_checkpoint
from r1.reward_model.card import read_card
from r1.stages.dataset import counts_of

SHARD = "data/shard-00000.parquet"
_FORM = CardForm("mine", None, False, "2 + 2?", "AutoTokenizer")


def make_exports(folder: Path) -> None:
    """Write a sound one of every file that EXPORT_READERS reads, but for those of runs."""
    (folder / "scorer").mkdir()
    statistics = {"mean": 0.0, "std": 1.0, "min": -1.0, "max": 1.0}
    card = {"format": 1, "objective": "pairwise", "part": "answer", "max_tokens": 64}
    card |= {"template": {"kind": "plain"}, "statistics": statistics}
    (folder / "scorer" / "reward_model.json").write_text(json.dumps(card))
    curated = folder / "curated"
    (curated / "data").mkdir(parents=True)
    rows = [
        {"id": str(n), "problem_id": str(n), "prompt": "?", "response": "!", "family": "f",
         "language": "en", "num_tokens": 3} for n in range(4)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), curated / SHARD)
    content = (curated / SHARD).read_bytes()
    shard = {"path": SHARD, "rows": 4, "bytes": len(content)}
    shard |= {"sha256": hashlib.sha256(content).hexdigest()}
    manifest = {"complete": True, "rows": 4, "items": 4, "totals": {"f": {"kept": 4}}}
    (curated / "manifest.json").write_text(json.dumps({**manifest, "shards": [shard]}))
    (curated / "card.json").write_text(
        json.dumps({"total": {"samples": 4, "prompts": 4, "sampled": 4, "dropped": {}}})
    )


def card(folder: Path) -> None:
    """The model card of a run's checkpoint, or of a pipeline's last stage."""
    whole = (folder / "r1").exists()
    origin = origin_of_checkpoint(folder / "r1" / "run" if whole else folder, 8 if whole else 4)
    model_card(origin, _FORM)
    assert origin.gives
    assert origin.lora is None or origin.lora


def rows(folder: Path) -> None:
    """A run as the library gives it."""
    run = load_run(folder)
    assert run.done is not None
    for stage in (run, *run.stages.values()):
        for read in (stage.recipe, stage.lineage, stage.metrics, stage.timings, stage.evaluations):
            assert read is not None
        assert list(stage.rollouts()) is not None


def scorer(folder: Path) -> None:
    read_card(folder)


def curated(folder: Path) -> None:
    assert sum(1 for _ in read_rows(folder)) >= 0
    read_size(folder)
    verify(folder)
    counts_of(folder)
    card_of(str(folder), Path())
    count_conversations(str(folder), Path())


EXPORT_READERS = [
    ("run", card, (
        "run.json", "recipe.json", "versions.json", "lineage.json", "seeds.json", "metrics.jsonl",
        "evaluations/step-000004.json",
    )),
    ("pipeline", card, ("pipeline.json", "r1/STAGE.json", "eval_r1/evaluation.json")),
    ("run", rows, ("recipe.json", "lineage.json", "timings.jsonl", "rollouts/step-000002.parquet")),
    ("pipeline", rows, ("pipeline.json", "r1/STAGE.json")),
    ("scorer", scorer, ("reward_model.json",)),
    ("curated", curated, ("manifest.json", "card.json", SHARD)),
]  # fmt: skip
"""What is given to the reader, the reader, and the files inside that are damaged."""
