"""A recipe of stages: references, `like`, seeds, order, and what a mistake in it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from r1.config import dump, validate
from r1.errors import UserError
from r1.pipeline import graph, references
from r1.pipeline.graph import InputSource
from r1.pipeline.r1 import R1Recipe, specs_of
from r1.pipeline.recipe import load_any_recipe
from r1.progress import TerminalProgress
from r1.stages.protocol import Artifact, ArtifactType

ZERO = {
    "kind": "r1_zero", "model": "tiny", "num_steps": 2,
    "data": {"train": [{"kind": "tiny", "split": "train", "num": 40}]},
}  # fmt: skip
SFT = {
    "kind": "sft", "model": "tiny",
    "data": {"train": [{"kind": "parquet", "path": "@readable"}]},
}  # fmt: skip
READABLE = {
    "kind": "rejection", "model": "@zero",
    "problems": [{"kind": "tiny", "split": "train", "num": 8}],
}  # fmt: skip
WHOLE = {"zero": ZERO, "readable": READABLE, "dev1": SFT, "dev2": {**ZERO, "model": "@dev1"}}


def specs(stages: dict, seed: int = 0):

    recipe = validate({"kind": "r1", "seed": seed, "stages": stages}, R1Recipe, "r1.toml")
    return specs_of(recipe, "r1.toml")


def test_references_are_edges_and_are_replaced_where_they_stand() -> None:
    found = {spec.name: spec for spec in specs(WHOLE)}
    assert found["zero"].inputs == {}
    assert found["readable"].inputs == {"model": InputSource("zero", "checkpoint")}
    assert found["dev1"].inputs == {"data.train.0.path": InputSource("readable", "data")}
    assert found["dev1"].input_types == {"data.train.0.path": ArtifactType.DATASET}
    values = references.replace(dump(found["dev1"].recipe), lambda field: f"<{field}>")
    assert values["data"]["train"][0]["path"] == "<data.train.0.path>"
    assert values["model"] == "tiny"


def test_stages_run_in_an_order_that_their_references_allow() -> None:
    backwards = dict(reversed(WHOLE.items()))
    assert [spec.name for spec in specs(backwards)] == ["zero", "readable", "dev1", "dev2"]


def test_like_lays_changes_over_another_stage() -> None:
    rewards = {"weights": {"accuracy": 1.0, "format": 1.0, "language": 1.0}}
    stages = {
        "a": {**ZERO, "rewards": rewards},
        "b": {"like": "a", "num_steps": 5, "rewards": {"weights": {"language": 0.0}}},
        "c": {"like": "b", "title": "third"},
    }
    a, b, c = specs(stages)
    assert (a.recipe.num_steps, b.recipe.num_steps, c.recipe.num_steps) == (2, 5, 5)
    assert b.recipe.rewards.weights == {"accuracy": 1.0, "format": 1.0, "language": 0.0}
    assert c.recipe == b.recipe
    assert (b.title, c.title) == ("b", "third")


def test_the_recipe_s_seed_is_every_stage_s_unless_it_names_one() -> None:
    stages = {"a": ZERO, "b": {**ZERO, "seed": 7}}
    assert [spec.recipe.seed for spec in specs(stages, seed=3)] == [3, 7]


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ({"a": {**ZERO, "kind": "r2"}}, r"stages\.a: kind = 'r2' is no kind of stage.*\"sft\""),
        ({"a": {"model": "tiny"}}, r"stages\.a: kind: this setting is required"),
        ({"a": {**ZERO, "num_stepz": 2}}, r"stages\.a:\s+num_stepz.*did you mean 'num_steps'"),
        ({"a": {**ZERO, "model": "@b"}}, r"stages\.a\.model: no stage 'b'"),
        ({"zero": ZERO, "b": {**ZERO, "model": "@zer"}}, r"did you mean @zero"),
        ({"a": {"like": "a"}}, r"stages\.a\.like = 'a' goes round in a circle \(a -> a\)"),
        ({"a": {"like": "b"}, "b": {"like": "a"}}, r"circle \(a -> b -> a\)"),
        ({"a": {"like": "dev"}, "dev1": ZERO}, r"Did you mean 'dev1'"),
        ({"a": {**ZERO, "model": "@b"}, "b": {**ZERO, "model": "@a"}}, r"wait for each other"),
        ({"a/b": ZERO}, r"letters, digits"),
    ],
)  # fmt: skip
def test_mistakes_are_named(stages, says) -> None:
    with pytest.raises(UserError, match=says):
        specs(stages)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"weight": (9.0, 1.0)}, "the weight of source 2 gives it none of the 4 problems"),
        ({"weight": (1.0, 1.0), "num": (9, 1)}, "a step takes 2 different problems but .* only 1"),
        ({"num": (2, 1)}, "a step takes 4 different problems but there are only 3"),
    ],
)
def test_a_later_stage_whose_steps_lack_problems_is_refused_first(changes, says, tmp_path) -> None:
    from r1.pipeline.run_r1 import run_pipeline

    sources = [{"kind": "tiny", "split": "train", "num": 9} for _ in range(2)]
    for name, values in changes.items():
        for source, value in zip(sources, values, strict=True):
            source[name] = value
    last = {**ZERO, "model": "@a", "data": {"train": sources}, "grpo": {"num_problems": 4}}
    recipe = validate({"kind": "r1", "stages": {"a": ZERO, "last": last}}, R1Recipe, "r1.toml")
    out = tmp_path / "out"
    with (
        TerminalProgress() as progress,
        pytest.raises(UserError, match=f"^stage last: .*{says}.*grpo\\.num_problems"),
    ):
        run_pipeline(recipe, Path(), out, progress)
    assert not out.exists()


def test_a_data_set_in_a_model_s_place_is_refused() -> None:
    from r1.pipeline.run_r1 import build

    stages = {"zero": ZERO, "readable": READABLE, "b": {**ZERO, "model": "@readable"}}
    recipe = validate({"kind": "r1", "stages": stages}, R1Recipe, "r1.toml")
    with pytest.raises(UserError, match="needs a checkpoint, but readable gives a dataset"):
        build(recipe, Path(), "r1.toml")


def test_changing_a_setting_makes_exactly_the_stages_below_it_stale(tmp_path) -> None:
    """Stages that only write a file stand in for training."""
    from r1.pipeline.run_r1 import build

    def stages_of(overrides: list[str]):
        recipe = load_any_recipe(write_recipe(tmp_path), overrides)
        built = build(recipe, tmp_path, "r1.toml").stages
        return [graph.Stage(s.name, s.settings, s.outputs, _writer(s), s.inputs) for s in built]

    folder = tmp_path / "run"
    for stage in stages_of([]):
        graph.run_stage(stage, folder)
    for change, stale in (
        ([], set()),
        (["stages.readable.num_samples=3"], {"readable", "dev1", "dev2"}),
        (["stages.dev2.num_steps=9"], {"dev2"}),
        (["seed=1"], {"zero", "readable", "dev1", "dev2"}),
        (["stages.dev1.title=again"], set()),
    ):
        found = {s.stage.name for s in graph.stand(stages_of(change), folder) if s.state != "done"}
        assert found == stale, change


def _writer(stage: graph.Stage):
    def run(folder: Path, inputs):
        (folder / "out").write_text(stage.name)
        return {name: Artifact("out", type_) for name, type_ in stage.outputs.items()}

    return run


def write_recipe(folder: Path) -> Path:
    path = folder / "r1.toml"
    path.write_text(
        """kind = "r1"
[stages.zero]
kind = "r1_zero"
model = "tiny"
num_steps = 2
data.train = [{ kind = "tiny", split = "train", num = 40 }]
[stages.readable]
kind = "rejection"
model = "@zero"
problems = [{ kind = "tiny", split = "train", num = 8 }]
[stages.dev1]
kind = "sft"
model = "tiny"
data.train = [{ kind = "parquet", path = "@readable" }]
[stages.dev2]
like = "zero"
model = "@dev1"
"""
    )
    return path
