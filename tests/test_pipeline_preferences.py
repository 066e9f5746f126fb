"""Preferences as a stage of a recipe: sampled, judged, and learnt from by a reward model."""

from __future__ import annotations

import json
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from fake_endpoint import KEY, FakeEndpoint, data_of, reply_json
from r1.curation.store import read_rows
from r1.errors import UserError
from r1.judge.prompt import quote
from r1.pipeline.estimates import estimate_pipeline
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.pipeline.run_r1 import build
from r1.progress import TerminalProgress
from r1.rollout.engine_pool import EnginePool
from r1.rollout.make import make_engine
from r1.rollout.protocol import FinishedGroup
from r1.run_dir.read import read_metrics
from r1.types import Completion
from small_models import make_tokenizer, save_small_model
from small_recipe import write_jsonl

RECIPE = """
kind = "r1"

[stages.pairs]
kind = "preferences"
model = "model"
num_samples = 4
template = { kind = "plain" }
sampling = { max_new_tokens = 96, stop = ["E", "N", "(", "9", "x", "K", "0", "#"] }
judging = { max_length_ratio = 1000.0 }
problems = [{ path = "requests.jsonl", verifier = "none" }]
call = { prompts = 4 }
[stages.pairs.judge]
model = "judge"
template = { kind = "plain" }

[stages.labels]
like = "pairs"
objective = "pointwise"
num_samples = 2

[stages.helpful]
kind = "reward_model"
model = "model"
objective = "pairwise"
part = "answer"
data = { train = [{ kind = "parquet", path = "@pairs" }] }
template = { kind = "plain" }
batch = { size = 4, max_tokens = 512, max_steps = 2 }

[stages.harmless]
like = "helpful"
objective = "pointwise"
part = "whole"
data = { train = [{ kind = "parquet", path = "@labels" }] }
"""
ENDPOINT = """
[stages.pairs.judge.endpoint]
base_url = "%s"
model = "fake-judge"
api_key_env = "JUDGE_KEY"
temperature = 1.0
"""


def verdict(prompt: str) -> str:
    """The longer response is much better; one of an even number of characters is safe."""
    if " DATA response]]" in prompt:
        even = len(data_of(prompt, "response")) % 2 == 0
        return reply_json(prompt, "safe" if even else "unsafe")
    a, b = (len(data_of(prompt, f"answer {name}")) for name in "AB")
    return reply_json(prompt, "A>>B" if a > b else "B>>A" if b > a else "A=B")


def length(response: str) -> int:
    """Of a response as the judge sees it: characters of control are written out."""
    lines = quote(response.strip()).split("\n")
    return len("\n".join(line.removeprefix("| ") for line in lines))


class JudgeEngine:
    """A model that judges, behind the real tokenizer."""

    def __init__(self) -> None:
        self.tokenizer, self.num_parameters = make_tokenizer(), 1

    def generate(self, requests, sampling):
        for request in requests:
            text = verdict(self.tokenizer.decode(request.prompt_ids))
            yield FinishedGroup(request, [Completion([1], [], text, "stop")])

    def close(self) -> None: ...


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> Path:
    """The recipe and its models; "judge" loads as an engine that judges."""
    save_small_model(tmp_path / "model", "qwen2", scale=1.0)
    save_small_model(tmp_path / "judge", "qwen2", seed=1)
    rows = [{"id": f"p{i}", "prompt": f"Write {i} lines.", "family": "writing"} for i in range(14)]
    write_jsonl(tmp_path / "requests.jsonl", rows)
    path = tmp_path / "preferences.toml"
    path.write_text(RECIPE)
    monkeypatch.setattr("r1.evaluation.source.load_engine", lambda model, s: engine(model.path, s))
    return path


def engine(model, settings):
    return JudgeEngine() if Path(model).name == "judge" else make_engine(model, settings)


def run(recipe: Path, out: Path, *overrides: str) -> Path:
    with TerminalProgress() as progress:
        run_recipe(load_any_recipe(recipe, overrides), recipe.parent, out, progress)
    return out


def data_of_stages(out: Path) -> dict[str, bytes]:
    files = [p for name in ("pairs", "labels") for p in (out / name).rglob("*") if p.is_file()]
    kept = [p for p in files if p.name not in (".lock", "STAGE.json")]
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(kept)}


@pytest.mark.slow
def test_a_reward_model_learns_from_what_a_judge_prefers(recipe, tmp_path, monkeypatch):
    alone = run(recipe, tmp_path / "alone")
    pairs, labels = (list(read_rows(alone / name)) for name in ("pairs", "labels"))
    assert len(pairs) > 8
    assert all(length(row["chosen"]) > length(row["rejected"]) for row in pairs)
    assert {row["label"] for row in labels} == {"safe", "unsafe"}
    assert all((length(row["response"]) % 2 == 0) == (row["label"] == "safe") for row in labels)
    for name in ("helpful", "harmless"):
        assert len(read_metrics(alone / name / "run")) == 2
    marker = json.loads((alone / "pairs" / "STAGE.json").read_text())
    assert marker["outputs"]["data"]["counts"] == {
        "rows": len(pairs), "prompts": 14, "sampled": 28
    }  # fmt: skip

    opened = []

    @contextmanager
    def open_replicas(model, settings, cluster):
        opened.append(Path(model).name)
        engines = [engine(model, settings) for _ in range(cluster.engine_replicas)]
        tokenizer, size = engines[0].tokenizer, engines[0].num_parameters
        with closing(EnginePool(engines, tokenizer, size, settings.max_batch)) as pool:
            yield pool

    monkeypatch.setitem(
        sys.modules, "r1.cluster.offline", SimpleNamespace(open_replicas=open_replicas)
    )
    cluster = (
        'cluster.address="local"',
        "cluster.engine_replicas=3",
        "cluster.cpus_per_process=0.5",
    )
    table = RECIPE.split("[stages.helpful]")[0]
    recipe.write_text(table)
    spread = run(recipe, tmp_path / "spread", *cluster)
    assert opened == ["model", "judge"] * 2, "one after the other"
    assert data_of_stages(spread) == data_of_stages(alone)


def test_an_endpoint_judges_and_its_replies_are_kept(recipe, tmp_path, monkeypatch):
    with FakeEndpoint(brain=verdict) as endpoint:
        table = RECIPE.split("[stages.pairs.judge]")[0] + ENDPOINT % endpoint.base_url
        recipe.write_text(table)
        monkeypatch.setenv("JUDGE_KEY", "another")
        with pytest.raises(UserError, match="refuses the key in JUDGE_KEY"):
            run(recipe, tmp_path / "refused")
        assert not (tmp_path / "refused" / "pairs" / "responses").exists()
        monkeypatch.setenv("JUDGE_KEY", KEY)
        out = run(recipe, tmp_path / "out")
        paid = endpoint.num_requests
    card = json.loads((out / "pairs" / "card.json").read_text())
    assert paid == card["judging"]["votes"] > 40
    assert card["judging"]["judge"] == "fake-judge"
    assert len((out / "pairs" / "judge.jsonl").read_text().splitlines()) == paid


def test_what_is_wrong_is_said_before_anything_runs(recipe, tmp_path):
    for change, said in (
        ("stages.pairs.num_samples=3", "even number"),
        ("stages.pairs.judge.sampling.temperature=0.0", "judge.sampling.temperature = 1.0"),
        ('stages.pairs.judge.model="nowhere"', "nowhere"),
        ('stages.pairs.problems=[{path="none.jsonl"}]', "none.jsonl"),
        ("stages.pairs.part=0", "answer"),
    ):
        with pytest.raises(UserError, match=said):
            run(recipe, tmp_path / "out", change)
    assert not (tmp_path / "out" / "pairs").exists()


def test_the_estimate_counts_responses_and_votes(recipe):
    pipeline = build(load_any_recipe(recipe), recipe.parent, "recipe")
    made = {e.name: e for e in estimate_pipeline(pipeline.specs, recipe.parent)}
    assert made["pairs"].samples == 14 * 4 + 14 * 2 * 4
    assert [part.name for part in made["pairs"].parts] == ["generation", "judging"]
    assert made["pairs"].makes.rows == 14
    assert made["labels"].samples == 14 * 2 + 14 * 2 * 4
    assert made["helpful"].unknown == ()
