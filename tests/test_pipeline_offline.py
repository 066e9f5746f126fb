"""A pipeline's sampling stages on a cluster, which here is three engines in this process."""

from __future__ import annotations

import json
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from offline_pipeline import write_offline_pipeline
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.progress import TerminalProgress
from r1.rollout.engine_pool import EnginePool
from r1.rollout.make import make_engine

CLUSTER = ('cluster.address="local"', "cluster.engine_replicas=3", "cluster.cpus_per_process=0.5")
DATA = ("readable", "supplied", "mixture")


def made(out: Path) -> dict[str, bytes]:
    """What the data stages wrote, and the battery's table."""
    files = [f for name in DATA for f in (out / name).rglob("*") if f.is_file()]
    kept = [f for f in files if f.name not in (".lock", "STAGE.json")]
    kept.append(out / "eval" / "completions.parquet")
    own = str(out).encode()
    return {
        path.relative_to(out).as_posix(): path.read_bytes().replace(own, b"OUT")
        for path in sorted(kept)
    }


def figures(out: Path) -> dict:
    found = json.loads((out / "eval" / "evaluation.json").read_text())
    del found["seconds"]
    return found


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    path = write_offline_pipeline(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    return path


def run(recipe: Path, out: Path, *overrides: str) -> Path:
    with TerminalProgress() as progress:
        run_recipe(load_any_recipe(recipe, overrides), recipe.parent, out, progress)
    return out


@pytest.mark.slow
def test_replicas_write_what_one_engine_writes(recipe, tmp_path, monkeypatch):
    alone = run(recipe, tmp_path / "alone")
    opened = []

    @contextmanager
    def open_replicas(model, settings, cluster):
        opened.append(cluster.engine_replicas)
        engines = [make_engine(model, settings) for _ in range(cluster.engine_replicas)]
        size = engines[0].num_parameters
        with closing(EnginePool(engines, engines[0].tokenizer, size, settings.max_batch)) as pool:
            yield pool

    stub = SimpleNamespace(open_replicas=open_replicas)
    monkeypatch.setitem(sys.modules, "r1.cluster.offline", stub)
    spread = run(recipe, tmp_path / "spread", *CLUSTER)
    assert opened == [3, 3, 3], "rejection, mixture, evaluation"
    assert made(spread) == made(alone)
    assert figures(spread) == figures(alone)
    shards = sorted((alone / "readable" / "data").glob("*.parquet"))
    assert sum(pq.read_table(shard).num_rows for shard in shards) > 10
    run(recipe, tmp_path / "alone", *CLUSTER)
    assert len(opened) == 3, "where a run computes makes no stage stale"
