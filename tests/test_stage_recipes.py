"""Every stage kind is a recipe of its own: a folder with what the stage made, and its marker."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from fake_endpoint import KEY, MODEL, FakeEndpoint
from r1.config import validate
from r1.curation.store import read_rows
from r1.errors import UserError
from r1.evaluation.battery_settings import EvaluationStageSettings
from r1.pipeline.plan import plan_json
from r1.pipeline.r1 import R1Recipe
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.pipeline.run_r1 import build
from r1.plan.estimate import Given
from r1.progress import TerminalProgress
from r1.report import report_json
from r1.stages import evaluation, registry
from r1.stages.check_cache import CheckCache
from small_models import save_small_model
from small_pipeline import READABLE, VERIFIER
from small_recipe import write_jsonl
from test_pipeline_cold_start import write_answer

ENDPOINT = """
[general.endpoint]
base_url = "URL"
model = "NAME"
api_key_env = "TEST_KEY"
"""
SUPPLIED = 'sources = [{ kind = "tiny", split = "train", families = ["dialogue"], num = 12 }]'
QUESTIONS = 'problems = [{ path = "questions.jsonl" }]'
EVALUATION = """
model = "model"
template = { kind = "plain" }
problems = [{ kind = "tiny", split = "heldout", num = 4 }]
evaluation = { num_samples = 2 }
max_new_tokens = 8
"""
PREFERENCES = """
model = "model"
num_samples = 2
template = { kind = "plain" }
sampling = { max_new_tokens = 16 }
problems = [{ path = "questions.jsonl" }]
[judge.endpoint]
base_url = "URL"
model = "NAME"
api_key_env = "TEST_KEY"
temperature = 1.0
"""
STEP_LABELS = """
model = "model"
num_samples = 2
rollouts = 2
template = { kind = "plain" }
sampling = { max_new_tokens = 8 }
problems = [{ kind = "tiny", split = "train", num = 4 }]
"""
REJECTION = READABLE.replace("[stages.readable]", "").replace('kind = "rejection"', "")
REJECTION = REJECTION.replace("MODEL", "model").replace("PLUGIN", "whatever_plugin")
RECIPES = {
    "examples": SUPPLIED,
    "mixture": 'sources = [{ path = "runs/examples/examples/data" }]',
    "rejection": REJECTION.replace("[stages.readable.", "["),
    "prompted": f'how = "direct"\n{QUESTIONS}\ndirect = {{ num_samples = 1 }}\n{ENDPOINT}',
    "refined": f'samples = "runs/prompted/prompted/data"\n{QUESTIONS}\n{ENDPOINT}',
    "review": f'samples = "runs/refined/refined/data"\n{QUESTIONS}\nwait = false\n',
    "evaluation": EVALUATION,
    "preferences": PREFERENCES,
    "step_labels": STEP_LABELS,
}
NEEDS = {"mixture": ["examples"], "refined": ["prompted"], "review": ["prompted", "refined"]}
"""The recipes that are run before one, whose data sets it reads."""
ELSEWHERE = {
    "benchmarks": "test_stages_benchmarks.py",
    "search": "test_stage_search.py",
    "search_data": "test_search_data.py",
    "verified_pairs": "test_verified_pairs.py",
    "critic_truth": "test_critic_truth.py",
}
"""Kinds whose runs have a file of tests of their own."""
RUN = [kind for kind in RECIPES if kind != "preferences"]
"""Those that are run here; test_pipeline_preferences.py runs the judge's."""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a recipe for every kind, and what they read."""
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.syspath_prepend(tmp_path)
    save_small_model(tmp_path / "model", "qwen2", scale=1.0)
    (tmp_path / "whatever_plugin.py").write_text(VERIFIER.replace("anything", "whatever"))
    rows = [
        {"id": f"p{i}", "prompt": f"What is {i} plus 1?", "reference": str(i + 1)}
        for i in range(16)
    ]
    write_jsonl(tmp_path / "data.jsonl", [{**row, "verifier": "whatever"} for row in rows])
    write_jsonl(tmp_path / "questions.jsonl", [{**row, "verifier": "math"} for row in rows[:4]])
    with FakeEndpoint(brain=write_answer) as endpoint:
        for kind, text in RECIPES.items():
            text = text.replace("URL", endpoint.base_url).replace("NAME", MODEL)
            (tmp_path / f"{kind}.toml").write_text(f'kind = "{kind}"\n{text}')
        yield tmp_path


def run(folder: Path, kind: str) -> Path:
    path, out = folder / f"{kind}.toml", folder / "runs" / kind
    with TerminalProgress() as progress:
        return run_recipe(load_any_recipe(path), folder, out, progress)


def test_every_kind_has_a_recipe_here_or_trains_into_a_run_folder() -> None:
    training = {name for name, kind in registry.kinds().items() if kind.train is not None}
    assert set(registry.kinds()) == training | set(RECIPES) | set(ELSEWHERE)
    assert all((Path(__file__).parent / name).is_file() for name in ELSEWHERE.values())


@pytest.mark.few(3)
@pytest.mark.parametrize("kind", RUN)
def test_it_runs_and_a_second_time_there_is_nothing_to_do(folder, kind) -> None:
    for needed in NEEDS.get(kind, ()):
        run(folder, needed)
    out = run(folder, kind)
    marker = out / kind / "STAGE.json"
    ((output, given),) = json.loads(marker.read_text())["outputs"].items()
    assert {output: given["type"]} == dict(registry.get(kind).outputs)
    made = out / kind / given["path"]
    if given["type"] == "dataset":
        assert len(list(read_rows(made))) == given["counts"]["rows"] > 0
    else:
        assert json.loads(made.read_text())["overall"]["pass_at_1"]["low"] >= 0.0
    before = marker.stat().st_mtime_ns
    run(folder, kind)
    assert marker.stat().st_mtime_ns == before
    (stage,) = report_json(out)["stages"]
    assert (stage["name"], stage["kind"], stage["state"]) == (kind, kind, "done")


@pytest.mark.parametrize("kind", RECIPES)
def test_it_is_planned(folder, kind) -> None:
    path = folder / f"{kind}.toml"
    (stage,) = plan_json(load_any_recipe(path), path, Given())["stages"]
    assert (stage["name"], stage["kind"]) == (kind, kind)


def test_what_the_whole_recipe_says_may_stand_beside_the_stage_s_own(folder) -> None:
    path = folder / "rejection.toml"
    recipe = load_any_recipe(path, ["cluster.engine_replicas=2", "seed=5", "title=readable"])
    assert isinstance(recipe, R1Recipe)
    assert recipe.cluster is not None
    assert recipe.cluster.engine_replicas == 2
    (spec,) = build(recipe, folder, str(path)).specs
    assert (spec.name, spec.title, spec.recipe.seed) == ("rejection", "readable", 5)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("num_smaples=2", r"rejection\.toml with --set num_smaples:\s+num_smaples.*num_samples"),
        ("model=@zero", r"stages\.rejection\.model: no stage 'zero'"),
        ("cluster.replicas=2", r"rejection\.toml.*cluster\.replicas"),
        ("stages.a.kind=sft", r"stages: unknown setting"),
    ],
)
def test_a_mistake_is_named_as_in_any_recipe(folder, override, says) -> None:
    path = folder / "rejection.toml"
    with pytest.raises(UserError) as refused:
        build(load_any_recipe(path, [override]), folder, str(path))
    assert re.search(says, str(refused.value), re.DOTALL), refused.value


@pytest.mark.parametrize("key", ["weight=2.0", "from_step=3", 'families=["arithmetic"]'])
def test_an_evaluation_refuses_what_only_training_reads(tmp_path, key) -> None:
    name, _, value = key.partition("=")
    recipe = (
        EVALUATION.replace('"model"', '"tiny"')
        + f"""
general = [{{ kind = "tiny", split = "heldout", families = ["dialogue"], num = 2 }}]
reward_models = {{ helpful = {{ path = "x", {name} = {value} }} }}
"""
    )
    own = validate(tomllib.loads(recipe), EvaluationStageSettings, "own")
    told = rf"reward_models\.helpful\.{name} has no effect in an evaluation"
    with pytest.raises(UserError, match=told):
        evaluation.check(own, CheckCache(tmp_path))
