"""The seam of the stage kinds: one file of the user's own is checked, planned, run and reported."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from r1.errors import UserError
from r1.pipeline.dry_run import dry_run
from r1.pipeline.plan import plan_json
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.pipeline.run_r1 import build, standings
from r1.plan.estimate import Given
from r1.progress import TerminalProgress
from r1.report import build_report, report_json
from r1.stages import registry

TOY = '''"""kind = "longest_rows": the longest rows of a data set."""

from __future__ import annotations

import json
from pydantic import Field

from r1.config import Settings
from r1.curation.store import read_rows
from r1.errors import UserError
from r1.plan.estimate import Estimate
from r1.stages import registry
from r1.stages.checks import check_paths
from r1.data.rows import find_data
from r1.stages.protocol import Artifact, ArtifactType, StageKind


class LongestStage(Settings):
    samples: str = Field(description="a data set")
    num: int = Field(4, ge=1, description="rows kept")


def run(stage, context):
    rows = list(read_rows(find_data(stage.samples, context.base_folder)))
    rows.sort(key=lambda row: -len(row["messages"][-1]["content"]))
    kept = [{"messages": row["messages"]} for row in rows[: stage.num]]
    lines = [json.dumps(row) + "\\n" for row in kept]
    (context.folder / "longest.jsonl").write_text("".join(lines))
    return {"data": Artifact("longest.jsonl", ArtifactType.DATASET, {"rows": len(kept)})}


def check(stage, cache):
    check_paths([stage.samples], cache)
    if stage.num > 1000:
        raise UserError(f"num = {stage.num} rows are more than a toy keeps; set 1000 or less.")


def estimate(name, stage, context):
    above = context.made_by(stage.samples)
    return Estimate(name, "longest_rows", makes=above and above._replace(rows=stage.num))


registry.register(
    StageKind(
        name="longest_rows",
        label="the longest",
        settings=LongestStage,
        outputs={"data": ArtifactType.DATASET},
        run=run,
        check=check,
        estimate=estimate,
        other_names=("lengthy",),
    )
)
'''
RECIPE = """
kind = "r1"
plugins = ["longest_stage"]

[stages.supplied]
kind = "examples"
sources = [{ kind = "tiny", split = "train", families = ["dialogue"], num = 12 }]

[stages.long]
kind = "longest_rows"
samples = "@supplied"

[stages.again]
kind = "examples"
sources = [{ kind = "jsonl", path = "@long" }]
"""


class Told(TerminalProgress):
    """Keeps the names of the stages that ran. stop_at: the one before which it is killed."""

    def __init__(self, stop_at: str = "") -> None:
        super().__init__(Console(file=io.StringIO()))
        self.names: list[str] = []
        self.stop_at = stop_at

    def stage(self, name, title, number, total):
        if name == self.stop_at:
            raise KeyboardInterrupt
        self.names.append(name)
        return super().stage(name, title, number, total)


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> Path:
    """The recipe, beside the one file that makes its kind known; both are forgotten afterwards."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry.kinds()))
    monkeypatch.setattr(registry, "_PLUGINS", {})
    monkeypatch.delitem(sys.modules, "longest_stage", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "longest_stage.py").write_text(TOY)
    path = tmp_path / "r1.toml"
    path.write_text(RECIPE)
    yield path
    sys.modules.pop("longest_stage", None)


def run(path: Path, out: Path, overrides=(), stop_at: str = "") -> list[str]:
    """Run the recipe; return the names of the stages that ran."""
    told = Told(stop_at)
    try:
        run_recipe(load_any_recipe(path, overrides), path.parent, out, told)
    except KeyboardInterrupt:
        assert stop_at
    return told.names


def rows_of(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_its_settings_and_its_check_refuse_before_anything_runs(recipe, tmp_path) -> None:
    for override, says in (
        ("stages.long.nmu=2", r"stages\.long:\s+nmu.*did you mean 'num'"),
        ("stages.long.num=2000", r"stage long: num = 2000 rows are more"),
        ("stages.long.kind=lengthy", r'did you mean "longest_rows"'),
        ("plugins=['no_such_module']", r"plugins: cannot import 'no_such_module'"),
    ):
        with pytest.raises(UserError, match=says):
            run(recipe, tmp_path / "out", [override])
        assert not (tmp_path / "out").exists()


def test_it_is_planned_and_its_rows_reach_the_stage_below(recipe) -> None:
    planned = plan_json(load_any_recipe(recipe), recipe, Given())
    made = {stage["name"]: stage["makes"] for stage in planned["stages"]}
    assert made["supplied"]["rows"] == 12
    assert made["long"]["rows"] == made["again"]["rows"] == 4


def test_it_runs_is_carried_on_and_grows_stale_with_its_settings_and_its_file(
    recipe, tmp_path
) -> None:
    out = tmp_path / "out"
    assert run(recipe, out, stop_at="again") == ["supplied", "long"]
    before = (out / "long" / "STAGE.json").read_bytes()
    assert run(recipe, out) == ["again"]
    assert (out / "long" / "STAGE.json").read_bytes() == before
    assert run(recipe, out) == []

    kept = rows_of(out / "long" / "longest.jsonl")
    lengths = [len(row["messages"][-1]["content"]) for row in kept]
    assert len(lengths) == 4
    assert lengths == sorted(lengths, reverse=True)
    assert json.loads((out / "again" / "STAGE.json").read_text())["outputs"]["data"]["counts"] == {
        "rows": 4
    }
    assert run(recipe, out, ["stages.long.num=5"]) == ["long", "again"]

    pipeline = build(load_any_recipe(recipe, ["stages.long.num=5"]), recipe.parent, "r1.toml")
    (tmp_path / "longest_stage.py").write_text(TOY + "# another program\n")
    reasons = {item.stage.name: item.reason for item in standings(pipeline, out)}
    assert reasons["supplied"] == ""
    assert "a file that it read changed: plugins.longest_stage" in reasons["long"]


def test_it_is_shown_by_the_dry_run_and_the_report(recipe, tmp_path) -> None:
    out, shown = tmp_path / "out", io.StringIO()
    run(recipe, out)
    dry_run(load_any_recipe(recipe), recipe, out, Console(file=shown, width=120))
    assert re.search(r"long +longest_rows +supplied +dataset +done", shown.getvalue())
    stages = {stage["name"]: stage for stage in report_json(out)["stages"]}
    assert (stages["long"]["kind"], stages["long"]["state"]) == ("longest_rows", "done")
    assert stages["long"]["outputs"]["data"]["counts"] == {"rows": 4}
    assert "the longest" in build_report(out).read_text()


def test_it_is_a_recipe_of_its_own(recipe, tmp_path) -> None:
    run(recipe, tmp_path / "out")
    alone = tmp_path / "alone.toml"
    alone.write_text(
        'kind = "longest_rows"\nplugins = ["longest_stage"]\nnum = 2\n'
        'samples = "out/supplied/data"\n'
    )
    out = tmp_path / "alone"
    assert run(alone, out) == ["longest_rows"]
    assert len(rows_of(out / "longest_rows" / "longest.jsonl")) == 2
    assert run(alone, out) == []


def test_one_file_was_enough(recipe) -> None:
    """Nothing but the toy's own file knows of it."""
    source = Path(registry.__file__).parents[1]
    assert registry.get("rejection").name == "rejection"
    assert not [path for path in source.rglob("*.py") if "longest_rows" in path.read_text()]
    load_any_recipe(recipe)
    with pytest.raises(KeyError):
        registry.get("longest_rows")  # a recipe of stages makes its plugins known when it is built
    build(load_any_recipe(recipe), recipe.parent, "r1.toml")
    assert registry.plugin_of("longest_rows") == "longest_stage"
    assert registry.plugin_of("rejection") is None
