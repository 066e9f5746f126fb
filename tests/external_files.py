"""Every file that r1 reads and somebody else may have written, and the readers of each.

`make_world(folder)` writes a sound one of each; `READERS` says which reader takes which.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from external_exports import EXPORT_READERS, make_exports
from external_suites import SUITE_READERS, make_suites
from fake_pipeline import write_pipeline
from fake_run import RECIPE, write_run
from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.benchmarks.contests.frozen import (
    ContestProblem,
    FrozenContest,
    read_contest,
    write_contest,
)
from r1.curation.review_format import read_edited
from r1.data.load import load_problems
from r1.data.settings import SourceSettings
from r1.diagnose import diagnose
from r1.errors import UserError
from r1.evaluation.source import resolve_model
from r1.judge.cache import ReplyCache
from r1.judge.model import Reply
from r1.learner import sharded_state
from r1.learner.local import LocalLearner
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.learner.state import STATE_FILE
from r1.models.load import load_model, load_tokenizer
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.show import show_lineage
from r1.plan.lengths import by_step
from r1.plan.model import read_shape
from r1.plan.workload import counted
from r1.preferences.read import load_preferences
from r1.preferences.source import PreferenceSource
from r1.report import build_report, report_json
from r1.run_dir import RunDir, find_checkpoint
from r1.sft.read import check_source
from r1.sft.settings import ExampleSource
from small_models import save_small_model

STEP = "step-000002"


class Reader(NamedTuple):
    """What reads a file: `top` is the folder, or the file itself, that `read` is given."""

    top: str
    name: str
    read: Callable[[Path], object]

    @property
    def label(self) -> str:
        return f"{self.read.__name__.strip('_')}-{self.top}-{self.name}"

    @property
    def path(self) -> Path:
        return Path(self.top, self.name)


def make_world(folder: Path) -> None:
    """Write a sound one of every file."""
    write_run(folder / "run", 4, every=2, num_problems=2, num_eval_problems=2).close()
    write_pipeline(folder / "pipeline")
    save_small_model(folder / "model")
    _make_data(folder)
    make_suites(folder)
    make_exports(folder)
    with torch.random.fork_rng():
        _make_checkpoints(folder)
    (folder / "recipe.toml").write_text(
        'kind = "r1_zero"\nmodel = "tiny"\nnum_steps = 1\n[grpo]\nclip_low = 0.2\n'
        '[[data.train]]\nkind = "tiny"\nsplit = "train"\n'
    )


def _make_data(folder: Path) -> None:
    tables = {
        "train": [{"prompt": f"{i} + 1?", "reference": str(i + 1)} for i in range(8)],
        "examples": [
            {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}
            for i in range(8)
        ],
        "pairs": [{"prompt": f"{i}?", "chosen": "yes", "rejected": "no"} for i in range(8)],
        "review": [
            {"id": str(i), "question": "?", "reasoning": "because", "summary": "so"}
            for i in range(4)
        ],
    }  # fmt: skip
    for name, rows in tables.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines)
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    (folder / "csv").mkdir()
    lines = "".join(f'"{i} + 1?",{i + 1}\n' for i in range(8))
    (folder / "csv" / "train.csv").write_text("prompt,reference\n" + lines)
    rows = np.array([[500.0, 0.0, 1400.0], [0.0, 0.0, 1500.0]])
    problems = (ContestProblem("A", 500.0),)
    contest = FrozenContest(7, "Round", "CF", "2024-11-25", 120.0, problems, rows)
    write_contest(folder / "contest.json", contest)
    cache = ReplyCache(folder / "replies.jsonl")
    cache.add("key", "nonce", Reply("text", "stop", 3, 4))
    cache.close()


def _learner(folder: Path) -> LocalLearner:
    """Of an AdamW, a Muon and a reference."""
    return LocalLearner(
        folder,
        LearnerSettings(device="cpu"),
        OptimizerSettings(kind="muon"),
        GRPO(GRPOSettings(kl_weight=0.1)),
    )


def _step(learner: LocalLearner) -> None:
    """An update of the weights, where a state that does not fit them shows at the latest."""
    for parameter in learner.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    learner.optimizer.step(learner.step)


def _make_checkpoints(folder: Path) -> None:
    learner = _learner(folder / "model")
    _step(learner)
    for name in ("checkpoint", "shards"):
        learner.save(folder / name)
    sharded_state.save(learner, folder / "shards")
    (folder / "shards" / STATE_FILE).unlink()


def resume(folder: Path) -> None:
    RunDir.open(folder, RECIPE, "grpo").close()


def problems(path: Path) -> None:
    settings = SourceSettings(kind=path.suffix[1:], path=str(path), verifier="exact")  # type: ignore[arg-type]
    load_problems(settings, Path())
    counted(path, settings.kind)


def examples(path: Path) -> None:
    check_source(ExampleSource(kind=path.suffix[1:], path=str(path)), Path())  # type: ignore[arg-type]


def preferences(path: Path) -> None:
    source = PreferenceSource(kind=path.suffix[1:], path=str(path))  # type: ignore[arg-type]
    load_preferences(source, "pairs", Path())


def data_folder(folder: Path) -> None:
    settings = SourceSettings(kind="huggingface", path=str(folder), verifier="exact")
    load_problems(settings, Path())


def review(path: Path) -> None:
    list(read_edited(path))


def replies(path: Path) -> None:
    cache = ReplyCache(path)
    try:
        cache.get("key")
    finally:
        cache.close()


def lineage(folder: Path) -> None:
    from rich.console import Console

    show_lineage(folder, Console(file=io.StringIO()))


def _all(folder: Path, reads: list[Callable[[Path], object]]) -> None:
    """Every reader is asked; the first refusal is raised in the end."""
    told: list[UserError] = []
    for read in reads:
        try:
            read(folder)
        except UserError as error:
            told.append(error)
    if told:
        raise told[0]


run = partial(
    _all,
    reads=[
        build_report,
        report_json,
        by_step,
        lambda folder: resolve_model(str(folder)),
    ],
)
run.__name__ = "run"  # type: ignore[attr-defined]


def model(folder: Path) -> None:
    load_tokenizer(folder)
    load_model(folder)
    read_shape(folder, "model")


def tokenizer(folder: Path) -> None:
    load_tokenizer(folder)("What is 1 + 1? <eos>\n多少")


def checkpoint(folder: Path) -> None:
    learner = _learner(folder.parent / "model")
    learner.load(folder)
    _step(learner)


def fresh_copy(world: Path, scratch: Path, reader: Reader) -> Path:
    """Copy what the reader is given, and a model beside it; return the file's place."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    (scratch / "model").symlink_to(world / "model")
    place = scratch / reader.top
    if reader.top == "model":
        place.unlink()
    copy = shutil.copytree if (world / reader.top).is_dir() else shutil.copyfile
    copy(world / reader.top, place)
    return scratch / reader.path


def _readers(top: str, read: Callable[[Path], object], *names: str) -> list[Reader]:
    return [Reader(top, name, read) for name in names]


_MARK = "checkpoints/step-000004/checkpoint.json"
READERS: list[Reader] = [
    *_readers(
        "run", run, "run.json", "recipe.json", "versions.json", "lineage.json", "metrics.jsonl",
        "timings.jsonl", f"evaluations/{STEP}.json", f"evaluations/{STEP}.parquet",
        f"rollouts/{STEP}.parquet",
    ),
    *_readers(
        "run", diagnose, "facts.json", "recipe.json", f"rollouts/{STEP}.parquet",
        f"evaluations/{STEP}.parquet",
    ),
    *_readers("run", find_checkpoint, _MARK),
    *_readers(
        "run", resume, "run.json", "recipe.json", "versions.json", "lineage.json",
        "metrics.jsonl", _MARK,
    ),
    *_readers("run", lineage, "lineage.json", "seeds.json", "run.json"),
    *_readers(
        "pipeline", report_json, "pipeline.json", "r1/STAGE.json", "eval_r1/evaluation.json",
        "eval_r1/completions.parquet", "r1/run/run.json",
    ),
    *_readers("pipeline", build_report, "eval_r1/completions.parquet"),
    *_readers("pipeline", lineage, "pipeline.json", "r1/STAGE.json"),
    *_readers("model", model, "config.json", "generation_config.json", "model.safetensors"),
    *_readers("model", tokenizer, "tokenizer.json", "tokenizer_config.json"),
    *_readers("checkpoint", checkpoint, STATE_FILE),
    *_readers("shards", checkpoint, "state/.metadata", "state/__0_0.distcp"),
    *(
        Reader(f"{name}.{kind}", "", read)
        for kind in ("jsonl", "parquet")
        for name, read in (("train", problems), ("examples", examples), ("pairs", preferences))
    ),
    Reader("contest.json", "", read_contest),
    Reader("review.jsonl", "", review),
    Reader("replies.jsonl", "", replies),
    Reader("csv", "train.csv", data_folder),
    Reader("recipe.toml", "", load_any_recipe),
    *(
        Reader(top, name, read)
        for top, read, names in (*SUITE_READERS, *EXPORT_READERS)
        for name in names
    ),
]  # fmt: skip
