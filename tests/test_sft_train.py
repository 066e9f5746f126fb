"""Supervised fine-tuning as a run: it learns, and a kill at any moment changes no byte of it."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import random
import sys
import time
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from kills import num_kills
from r1 import cli
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.report import build_report
from r1.report.figures import main_charts
from r1.report.load import load_run
from r1.run_dir import find_checkpoint, is_done, read_evaluations, read_metrics, read_timings
from r1.sft.train import prepare
from run_story import story
from sft_data import PLAIN_CHAT, write_model, write_recipe
from small_recipe import write_jsonl

TIMED = ("timings.jsonl", "report.html")
SECTIONS = """
[batch]
size = 4
epochs = 3
[optimizer]
lr = 3e-3
warmup_steps = 2
[evaluation]
every = 5
[checkpoints]
every = 2
"""


class Silent:
    """A Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.steps: list[int] = []
        self.first = -1

    def begin(self, first_step, num_steps, notices) -> None:
        self.first, self.notices = first_step, notices

    def step(self, step, metrics) -> None:
        self.steps.append(step)

    def evaluation(self, step, summary) -> None:
        pass


def run(recipe: Path, out: Path, *overrides: str) -> Silent:
    progress = Silent()
    run_recipe(load_any_recipe(recipe, overrides), recipe.parent, out, progress)
    return progress


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("sft"), SECTIONS)


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    run(recipe, out)
    return out


def test_a_run_learns_and_tells_its_story(finished) -> None:
    rows, timings, measured = (f(finished) for f in (read_metrics, read_timings, read_evaluations))
    assert len(rows) == len([t for t in timings if "speed/tokens_per_s" in t]) == 18
    assert [row["num_examples"] for row in rows] == [4] * 18
    assert [row["epoch"] for row in rows[::6]] == [0.0, 1.0, 2.0]
    assert {"loss", "tokens_learnt", "lr", "grad_norm", "padding_share"} <= set(rows[0])
    assert rows[-1]["lr"] == pytest.approx(3e-4)
    assert [item["step"] for item in measured] == [0, 5, 10, 15, 18]
    assert measured[-1]["loss"] < measured[0]["loss"] - 0.5
    assert is_done(finished)
    AutoModelForCausalLM.from_pretrained(find_checkpoint(finished))


def test_the_report_shows_the_loss(finished) -> None:
    charts = {chart.id: chart for chart in main_charts(load_run(finished))}
    training, heldout = charts["loss"].series
    assert training.y == [row["loss"] for row in read_metrics(finished)]
    assert (heldout.x, heldout.y[0]) == ([0, 5, 10, 15, 18], read_evaluations(finished)[0]["loss"])
    assert "Loss" in build_report(finished).read_text()


def test_the_lineage_names_model_and_data(recipe, finished) -> None:
    story = json.loads((finished / "lineage.json").read_text())
    assert story["parent"]["model"] == "model"
    names = [Path(item["source"]).name for item in story["datasets"]]
    assert names == ["train.jsonl", "heldout.jsonl"]
    digest = hashlib.sha256((recipe.parent / "train.jsonl").read_bytes()).hexdigest()
    assert story["datasets"][0]["sha256"] == digest


def test_the_next_stage_starts_from_a_run(recipe, finished, tmp_path) -> None:
    """model = a run takes its newest checkpoint; the first loss is where the run left off."""
    out = tmp_path / "next"
    run(recipe, out, f'model="{finished}"', "batch.max_steps=1")
    before, after = read_evaluations(finished)[-1]["loss"], read_evaluations(out)[0]["loss"]
    assert after == pytest.approx(before, abs=1e-6)


def test_changed_data_is_not_carried_on_with(tmp_path) -> None:
    recipe = write_recipe(tmp_path, SECTIONS)
    run(recipe, tmp_path / "out", "batch.max_steps=2")
    assert run(recipe, tmp_path / "out", "batch.max_steps=2").steps == []
    write_jsonl(tmp_path / "train.jsonl", [{"prompt": "a", "response": "b"}] * 24)
    with pytest.raises(ValueError, match=r"data\.train\.0\.path \(.*train\.jsonl"):
        run(recipe, tmp_path / "out", "batch.max_steps=2")


def test_what_the_user_should_know_is_said(tmp_path) -> None:
    recipe = write_recipe(tmp_path)
    rows = [{"prompt": "a", "response": "b"}] * 3 + [{"prompt": "a", "response": "b" * 50}]
    write_jsonl(tmp_path / "train.jsonl", rows)
    options = ("batch.max_steps=1", "batch.max_tokens=40", "examples.overlong=drop")
    notices = run(recipe, tmp_path / "out", *options).notices
    assert any("2 of 4 examples repeat" in notice for notice in notices)
    assert any("1 over-long examples were dropped" in notice for notice in notices)


def test_responses_that_end_otherwise_than_the_sampler_stops_are_told_of(tmp_path) -> None:
    recipe = write_recipe(tmp_path)
    write_model(tmp_path / "other", template=PLAIN_CHAT.replace("<eos>", "<pad>"))
    settings = load_any_recipe(recipe, ['template.kind="chat"'])
    notices = prepare(settings, str(tmp_path / "other"), tmp_path).notices
    assert any("24 examples do not end" in n and "'<pad>'" in n for n in notices), notices
    assert prepare(load_any_recipe(recipe), str(tmp_path / "other"), tmp_path).notices == []


@pytest.mark.parametrize("lora", [False, True])
def test_carried_on_it_ends_as_if_never_stopped(recipe, finished, tmp_path, lora) -> None:
    """Stopped between checkpoints, in another epoch than it ends in; with adapters too."""
    options = ["learner.lora={rank=2, dropout=0.1}"] if lora else []
    whole = finished
    if lora:
        whole = tmp_path / "whole"
        run(recipe, whole, *options)

    class Stop(Silent):
        def step(self, step, metrics) -> None:
            if step == 8:
                raise KeyboardInterrupt

    settings = load_any_recipe(recipe, options)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(settings, recipe.parent, tmp_path / "out", Stop())
    assert run(recipe, tmp_path / "out", *options).first == 8
    assert story(tmp_path / "out", TIMED) == story(whole, TIMED)


def command(recipe: Path, out: Path) -> None:
    """`r1 run`, in a process that has everything imported already."""
    sys.argv = ["r1", "run", str(recipe), "--out", str(out)]
    cli.main()


def start(recipe: Path, out: Path) -> multiprocessing.process.BaseProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_sft_train", "r1.sft.train", "r1.progress"])
    process = context.Process(target=command, args=(recipe, out))
    process.start()
    return process


def check_kills(recipe: Path, out: Path, kills: int) -> None:
    """Kill at random moments of the run's own progress, however slow the machine is."""
    whole = start(recipe, out / "whole")
    rng = random.Random(kills)
    hits = 0
    for target in sorted(rng.randrange(18) for _ in range(kills)):
        process = start(recipe, out / "killed")
        while process.is_alive() and num_lines(out / "killed") <= target:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.1))
        hits += process.is_alive()
        process.kill()
        process.join()
    assert hits >= kills // 2
    process = start(recipe, out / "killed")
    for each in (process, whole):
        each.join()
        assert each.exitcode == 0
    assert story(out / "killed", TIMED) == story(out / "whole", TIMED)
    assert {"metrics.jsonl", "checkpoints/step-000018/model.safetensors"} <= set(
        story(out / "killed", TIMED)
    )


def num_lines(out: Path) -> int:
    path = out / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
def test_killed_at_random_moments(recipe, tmp_path) -> None:
    check_kills(recipe, tmp_path, num_kills(8))


def test_held_out_examples_are_left_out_of_training(tmp_path) -> None:
    recipe = write_recipe(tmp_path)
    held = (tmp_path / "heldout.jsonl").read_text()
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write(held)
    loaded = load_any_recipe(recipe)
    prepared = prepare(loaded, str(tmp_path / "model"), tmp_path)
    assert (len(prepared.train), prepared.train.counts["heldout"]) == (24, 4)
    told = "4 training examples are held out too; they were left out of training."
    assert told in prepared.notices
    write_jsonl(tmp_path / "train.jsonl", [json.loads(line) for line in held.splitlines()])
    with pytest.raises(UserError, match="every training example is held out too; give data"):
        prepare(loaded, str(tmp_path / "model"), tmp_path)
