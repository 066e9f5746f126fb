"""recipes/gpus fits the GPUs it names; its comments and its page have the figures of the plan.

Planned, not measured: no recipe here has been run on a GPU.
"""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from r1.cli import app

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "recipes" / "gpus"
RECIPES = {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
REWARDED = [name for name in RECIPES if not name.startswith("sft")]
PAGE = ROOT / "docs" / "training-on-gpus.md"
ONE_GPU = "r1_zero_1.5b_1_gpu"


@cache
def plan(name: str, *settings: str, hardware: tuple[str, ...] = ()) -> dict[str, Any]:
    """What `r1 plan` prints as JSON, on the GPUs that the recipe asks for."""
    words = [*hardware, *(word for setting in settings for word in ("--set", setting))]
    done = CliRunner().invoke(
        app, ["plan", str(RECIPES[name]), "--json", *words], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def peak_gb(name: str, *settings: str) -> str:
    own = plan(name, *settings)["own"]
    assert own["fits"], own["reason"]
    return f"{own['learner_bytes'] / 1e9:.1f}"


def comment(name: str) -> str:
    """The recipe's leading comment, as one line."""
    lines = takewhile(lambda line: line[0] == "#", RECIPES[name].read_text().splitlines())
    return " ".join(" ".join(line.removeprefix("#") for line in lines).split())


def test_there_are_recipes_of_one_two_and_eight_gpus() -> None:
    gpus = {name: plan(name)["stages"][0]["num_gpus"] for name in RECIPES}
    assert gpus == {name: int(re.findall(r"_(\d)_gpus?$", name)[0]) for name in RECIPES}
    assert set(gpus.values()) == {1, 2, 8}


@pytest.mark.parametrize("name", REWARDED)
def test_it_fits_and_no_layout_is_faster(name: str) -> None:
    planned = plan(name)
    assert planned["own"]["fits"], planned["own"]["reason"]
    assert planned["recommended"] is None


@pytest.mark.parametrize("name", REWARDED)
def test_its_comment_says_what_the_plan_says(name: str) -> None:
    text, own = comment(name), plan(name)["own"]
    assert "never run on a GPU" in text
    assert f"{own['learner_bytes'] / 1e9:.1f} GB of 74.0 usable" in text
    assert f"a step in {own['step_s']:.3g} s on" in text
    if not own["shared"]:
        assert f"{own['engine_bytes'] / 1e9:.1f} GB on one that samples" in text


def test_fine_tuning_fits_over_eight_ranks() -> None:
    planned, text = plan("sft_7b_8_gpus"), comment("sft_7b_8_gpus")
    assert planned["place"]["fits"], planned["place"]["reason"]
    assert f"{planned['place']['gpu_bytes'] / 1e9:.1f} GB of 74.0 usable" in text
    assert f"{planned['hours']:.1f} hours on H800s" in text


def test_the_other_figures_of_the_comments() -> None:
    fewer = "learner.tokens_per_microbatch=8192"
    text = comment(ONE_GPU)
    assert f"= 8192 needs {peak_gb(ONE_GPU, fewer)} GB" in text
    assert f"besides {peak_gb(ONE_GPU, fewer, 'learner.lora.rank=64')} GB" in text
    vllm = ("gpu_memory_utilization=0.4", "max_model_len=1536")
    beside = ("engine.kind=vllm", *(f"engine.vllm.{setting}" for setting in vllm))
    assert f"1536) needs {peak_gb(ONE_GPU, *beside)} GB" in text
    apart = next(x for x in plan("r1_zero_1.5b_2_gpus")["layouts"] if not x["shared"])
    assert f"one to sample: {apart['step_s']:.2f} s" in comment("r1_zero_1.5b_2_gpus")
    shared = (
        "cluster.learner_ranks=8",
        "cluster.engine_replicas=8",
        "cluster.placement=shared",
        "engine.vllm.sleep=true",
        "engine.vllm.gpu_memory_utilization=0.5",
        "grpo.staleness=0",
    )
    own = plan("r1_zero_7b_8_gpus", *shared)["own"]
    assert own["fits"], own["reason"]
    assert f"a step takes {own['step_s']:.1f} s" in comment("r1_zero_7b_8_gpus")


def table(first: str) -> list[list[str]]:
    """The rows of the page's table whose heading begins with `first`."""
    _, _, after = PAGE.read_text().partition(f"\n| {first} |")
    rows = takewhile(lambda line: line.startswith("|"), after.splitlines()[2:])
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


def settings_in(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([\w.]+=[^`]+)`", cell))


def test_the_page_s_table_of_recipes() -> None:
    rows = {row[0].strip("`"): row[1:] for row in table("recipe in `recipes/gpus`")}
    assert rows.keys() == RECIPES.keys()
    for name in REWARDED:
        _, memory, step = rows[name]
        own = plan(name)["own"]
        sizes = [own["learner_bytes"], *([] if own["shared"] else [own["engine_bytes"]])]
        assert memory == " and ".join(f"{size / 1e9:.1f}" for size in sizes)
        assert step == f"{own['step_s']:.3g} s"
    assert rows["sft_7b_8_gpus"][1] == f"{plan('sft_7b_8_gpus')['place']['gpu_bytes'] / 1e9:.1f}"


def test_the_page_s_table_of_other_gpus() -> None:
    rows = table("| recipe | options")
    assert len(rows) == 4
    for row in rows:
        on, name, options, memory, step = row[-5:]
        hardware = ("--hardware", "H200") if "H200" in on else ()
        own = plan(name.strip("`"), *settings_in(options), hardware=hardware)["own"]
        assert own["fits"], own["reason"]
        assert memory == f"{own['learner_bytes'] / 1e9:.1f}", row
        assert step == f"{own['step_s']:.1f} s", row


def test_the_page_s_list_against_a_lack_of_memory() -> None:
    rows = table("try")
    assert len(rows) == 9
    for settings, memory, _ in rows:
        assert peak_gb(ONE_GPU, *settings_in(settings)) == memory, settings
    without = plan(ONE_GPU, "learner.gradient_checkpointing=false")["own"]
    assert f"off needs {without['learner_bytes'] / 1e9:.1f}" in rows[0][0]


def test_the_page_names_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = [name for row in table("extra") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(extras)
