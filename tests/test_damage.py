"""Every external file, damaged in every way of its format: a message that names the file, or as if
nothing were wrong; never a traceback, a hang or a gigabyte."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from damage import damages
from fake_pipeline import write_pipeline
from fake_run import RECIPE, write_run
from r1.config import read_toml
from r1.data.load import load_problems
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.evaluate.source import resolve_model
from r1.models.load import load_model, load_tokenizer
from r1.pipeline.show import show_lineage
from r1.plan.lengths import by_step
from r1.plan.model import read_shape
from r1.plan.timings import read_steps
from r1.plan.workload import counted
from r1.report import build_report, report_json
from r1.run_dir import RunDir
from small_models import save_small_model

HANG_S, MEMORY_BYTES = 60, 5 << 30


def _make(folder: Path) -> None:
    write_run(folder / "run", 4, every=2, num_problems=2, num_eval_problems=2).close()
    write_pipeline(folder / "pipeline")
    save_small_model(folder / "model")
    rows = [{"prompt": f"{i} + 1?", "reference": str(i + 1)} for i in range(8)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "train.jsonl").write_text(lines)
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    (folder / "recipe.toml").write_text('kind = "r1_zero"\nnum_steps = 1\n[grpo]\nclip_low = 0.2\n')


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    _make(folder)
    return folder


def _resume(folder: Path) -> None:
    RunDir.open(folder, RECIPE, "grpo").close()


def _problems(path: Path) -> None:
    settings = SourceSettings(kind=path.suffix[1:], path=str(path), verifier="exact")  # type: ignore[arg-type]
    load_problems(settings, Path())
    counted(path, settings.kind)


def _lineage(folder: Path) -> None:
    from rich.console import Console

    show_lineage(folder, Console(file=io.StringIO()))


def _run_readers(folder: Path) -> None:
    for read in (build_report, report_json, by_step, read_steps, lambda f: resolve_model(str(f))):
        try:
            read(folder)
        except UserError as error:
            _told.append(error)
    if _told:
        raise _told[0]


_told: list[UserError] = []


def _model(folder: Path) -> None:
    load_tokenizer(folder)
    load_model(folder)
    read_shape(folder, "model")


Case = tuple[str, str, Callable[[Path], object]]
STEP = "step-000002"
CASES: list[Case] = [
    *(
        ("run", name, _run_readers)
        for name in (
            "run.json", "recipe.json", "versions.json", "lineage.json", "metrics.jsonl",
            "timings.jsonl", f"evaluations/{STEP}.json", f"evaluations/{STEP}.parquet",
            f"rollouts/{STEP}.parquet", "checkpoints/step-000004/checkpoint.json",
        )
    ),
    *(
        ("run", name, _resume)
        for name in (
            "run.json", "recipe.json", "versions.json", "lineage.json", "metrics.jsonl",
            "checkpoints/step-000004/checkpoint.json",
        )
    ),
    *(("run", name, _lineage) for name in ("lineage.json", "seeds.json", "run.json")),
    *(
        ("pipeline", name, build_report)
        for name in (
            "pipeline.json", "r1/STAGE.json", "eval_r1/evaluation.json",
            "eval_r1/completions.parquet", "r1/run/run.json",
        )
    ),
    *(("pipeline", name, _lineage) for name in ("pipeline.json", "r1/STAGE.json")),
    *(
        ("model", name, _model)
        for name in (
            "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
            "model.safetensors",
        )
    ),
    ("train.jsonl", "", _problems),
    ("train.parquet", "", _problems),
    ("recipe.toml", "", read_toml),
]  # fmt: skip


def outcome(read: Callable[[Path], object], target: Path) -> str:
    """What reading ends with, in a child with a limit of time and memory."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(HANG_S)
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY_BYTES,) * 2)
        try:
            read(target)
            found = "fine"
        except UserError as error:
            found = f"UserError: {error}"
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            found = f"TRACEBACK {error!r:.300} at {last.filename}:{last.lineno}"
        os.write(sending, found.encode("utf-8", "replace")[:4000])
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        found = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return found or f"DIED {status}"


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def check(world: Path, scratch: Path, case: Case, every: int) -> tuple[int, list[str]]:
    """Try every n-th damage of one file; return how many, and what went wrong."""
    top, name, read = case
    faults, tried = [], 0
    for number, (what, damage) in enumerate(damages(world / top / name)):
        if number % every:
            continue
        place = scratch / "copy" / top
        shutil.rmtree(scratch / "copy", ignore_errors=True)
        place.parent.mkdir()
        copy = shutil.copytree if (world / top).is_dir() else shutil.copyfile
        copy(world / top, place)
        file = place / name if name else place
        damage(file)
        found, tried = outcome(read, place), tried + 1
        named = file.name in found or file.parent.name in found
        if found != "fine" and not (found.startswith("UserError") and named):
            faults.append(f"{file.name}: {what}: {found}")
    return tried, faults


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[2].__name__}-{case[0]}-{case[1]}")
def test_some_damages_of_every_file(world, tmp_path, case):
    tried, faults = check(world, tmp_path, case, every=9)
    assert tried
    assert not faults, "\n".join(faults)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[2].__name__}-{case[0]}-{case[1]}")
def test_every_damage_of_every_file(world, tmp_path, case):
    _, faults = check(world, tmp_path, case, every=1)
    assert not faults, "\n".join(faults)


def test_there_are_enough_damages(world):
    assert sum(len(list(damages(world / top / name))) for top, name, _ in CASES) >= 500
