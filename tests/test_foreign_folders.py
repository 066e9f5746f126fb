"""Every command that is given a folder to write into leaves one that holds other things alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from r1 import cli
from r1.benchmarks.running.choose import require_place
from r1.claims.run import require_place as require_claims_place
from r1.config import validate
from r1.errors import UserError
from r1.pipeline.r1 import R1Recipe
from r1.pipeline.run_r1 import refuse_other_stages
from r1.pretrain.settings import PretrainRecipe
from r1.pretrain.train import STATE_FILE, pretrain
from test_typed_mistakes import CLAIM, RECIPE

OWN = 'name = "own"\ndata = "own.jsonl"\nprompt = "{q}"\nanswer = "a"\n'
STAGE = 'kind = "examples"\nsources = [{ kind = "jsonl", path = "own.jsonl" }]\n'


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a recipe of each kind, and `mine/`, which holds the user's notes."""
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "own.toml": OWN,
        "own.jsonl": '{"q": "1 + 1?", "a": "2"}\n',
        "train.jsonl": '{"prompt": "1 + 1?", "reference": "2"}\n' * 2,
        "r.toml": RECIPE,
        "stage.toml": STAGE,
        "claim.toml": CLAIM,
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    return tmp_path


COMMANDS = [
    "bench run tiny own.toml --out mine",
    "reproduce claim.toml --out mine",
    "reproduce claim.toml --page --out mine",
    "run stage.toml --out mine",
    "fetch smollm2 mine",
    "export tiny mine",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_of_other_things_is_refused_and_left_as_it_is(world: Path, command: str) -> None:
    with pytest.raises(UserError, match="mine") as refused:
        CliRunner().invoke(cli.app, command.split(), catch_exceptions=False)
    assert any(word in str(refused.value) for word in ("another", "new folder", "--page out"))
    assert [path.name for path in (world / "mine").iterdir()] == ["notes.txt"]


def test_results_of_benchmarks_go_where_such_results_or_their_beginnings_are(world: Path) -> None:
    """A kill may leave a benchmark's folder empty, or with a lock alone."""
    out = world / "suite"
    require_place(out)
    (out / "math500").mkdir(parents=True)
    require_place(out)
    (out / "math500" / ".lock").touch()
    require_place(out)
    (out / "page.html").touch()
    require_place(out)
    (world / "mine" / "math500").mkdir()
    with pytest.raises(UserError, match=r"holds no benchmark's results \(it holds notes\.txt\)"):
        require_place(world / "mine")


def test_claims_do_not_go_into_a_run_of_stages_nor_the_other_way_round(world: Path) -> None:
    def stages(folder: str, *names: str) -> Path:
        (world / folder).mkdir()
        told = {"stages": [{"name": name, "kind": "sft"} for name in names]}
        (world / folder / "pipeline.json").write_text(json.dumps(told))
        return world / folder

    claims = stages("claims", "sft-0123456789", "r1_zero-abcdefabcd")
    require_claims_place(claims, page_only=True)
    with pytest.raises(UserError, match=r"is a run of stages \(dev1\) and not of claims"):
        require_claims_place(stages("run", "dev1", "sft-0123456789"), page_only=False)
    with pytest.raises(UserError, match="no claim that has run; leave --page out"):
        require_claims_place(world / "nowhere", page_only=True)
    recipe = validate({"stages": {"dev1": {"kind": "sft"}}}, R1Recipe, "r.toml")
    refuse_other_stages(recipe, world / "run")
    with pytest.raises(UserError, match=r"claims is a run of other stages \(sft-0123456789, r1_"):
        refuse_other_stages(recipe, claims)


@pytest.mark.slow
def test_a_base_model_is_made_where_nothing_is_or_its_own_beginning(world: Path) -> None:
    recipe = PretrainRecipe.model_validate({"num_steps": 1})
    with pytest.raises(UserError, match=r"not a model in the making \(it holds notes\.txt\)"):
        pretrain(recipe, world / "mine")
    (world / "mine" / STATE_FILE).write_text("damaged")
    with pytest.raises(UserError, match=STATE_FILE):
        pretrain(recipe, world / "mine")


def test_a_file_that_is_no_page_and_no_contest_is_not_written_over(world: Path) -> None:
    with pytest.raises(UserError, match=r"r\.toml is there and is no page"):
        CliRunner().invoke(
            cli.app, ["bench", "show", "mine", "--page", "r.toml"], catch_exceptions=False
        )
    with pytest.raises(UserError, match=r"own\.jsonl is there and is no frozen"):
        CliRunner().invoke(
            cli.app, ["bench", "freeze", "a", "b", "--out", "own.jsonl"], catch_exceptions=False
        )
    assert (world / "r.toml").read_text() == RECIPE
