"""The newest metrics as Prometheus reads them, over HTTP."""

from __future__ import annotations

import builtins
import json
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from r1.cli import app
from r1.errors import UserError
from r1.pipeline.metrics_port import MetricsPort
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.progress import TerminalProgress
from small_recipe import write_recipe

parser = pytest.importorskip("prometheus_client.parser")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(port: MetricsPort) -> Samples:
    """What a scrape gives, by name and labels; fails where it is not Prometheus' format."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port.port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(stage: str, name: str, /, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted({"stage": stage, **labels}.items()))


STEP = {
    "reward": 0.5,
    "reward/format": 0.75,
    "loss": -0.01,
    "length_mean": 61.0,
    "self_check_share": 0.125,
    "seconds/rollout": 1.5,
    "speed/step_tokens": 2000.0,
    "busy/engine_1": 0.4,
    "queue/engines": 3.0,
    "outcome/correct": 12.0,
    "pool/engine_restarts": 1.0,
}


def test_every_family_of_metrics_has_its_labels() -> None:
    with MetricsPort("0") as port:
        progress = TerminalProgress(Console(quiet=True), [port])
        progress.begin(0, 10, [])
        before = time.time()
        progress.step(0, STEP)
        progress.step(1, {**STEP, "reward": 0.625})
        summary = {"pass_at_1": {"value": 0.25, "low": 0.2, "high": 0.3}, "k": 4, "format": 0.5}
        port.evaluation("training", 2, {**summary, "by_family": {"a": {}}, "note": "text"})
        found = read(port)
        expected = {
            of("training", "r1_step"): 2,
            of("training", "r1_num_steps"): 10,
            of("training", "r1_reward", part="total"): 0.625,
            of("training", "r1_reward", part="format"): 0.75,
            of("training", "r1_metric", name="loss"): -0.01,
            of("training", "r1_metric", name="length_mean"): 61,
            of("training", "r1_metric", name="self_check_share"): 0.125,
            of("training", "r1_step_seconds", phase="rollout"): 1.5,
            of("training", "r1_tokens_per_second", of="step_tokens"): 2000,
            of("training", "r1_busy_share", who="engine_1"): 0.4,
            of("training", "r1_queue_groups", at="engines"): 3,
            of("training", "r1_outcome", outcome="correct"): 12,
            of("training", "r1_events_total", event="engine_restarts"): 2,
            of("training", "r1_evaluation", measure="pass_at_1"): 0.25,
            of("training", "r1_evaluation", measure="format"): 0.5,
            of("training", "r1_evaluation", measure="k"): 4,
            of("training", "r1_evaluation", measure="step"): 2,
        }
        when = found.pop(of("training", "r1_last_step_timestamp_seconds"))
        assert found == expected
        assert before <= when <= time.time()


def test_stages_of_a_pipeline_stand_beside_each_other() -> None:
    with MetricsPort("127.0.0.1:0") as port:
        progress = TerminalProgress(Console(quiet=True), [port])
        for name, loss in (("cold_start", 2.0), ("r1_zero", 1.0)):
            progress.stage(name, name, 1, 2)
            progress.begin(0, 5, [])
            progress.step(0, {"loss": loss, "lr": 1e-4, "speed/tokens_per_s": 9.0})
        found = read(port)
        assert found[of("cold_start", "r1_metric", name="loss")] == 2.0
        assert found[of("r1_zero", "r1_metric", name="loss")] == 1.0


def test_a_port_in_use_is_named_and_a_closed_one_is_free_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {number} of 127\.0\.0\.1 .*in use"):
            MetricsPort(str(number))
    with MetricsPort("0") as port:
        number = port.port
    with MetricsPort(str(number)) as again:
        assert again.port == number


@pytest.mark.parametrize("where", ["", "http", "localhost:", "70000", "-1", "1.5"])
def test_what_is_no_port_is_refused(where: str) -> None:
    with pytest.raises(UserError, match="is no port"):
        MetricsPort(where)


def test_the_library_is_asked_for_where_it_is_missing(monkeypatch) -> None:
    real: Callable = builtins.__import__

    def without(name: str, *args, **kwargs):
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install -e '\.\[metrics\]'"):
        MetricsPort("0")


def test_the_command_refuses_before_it_writes(tmp_path: Path) -> None:
    recipe = Path(__file__).parents[1] / "recipes" / "tiny" / "r1_zero.toml"
    arguments = ["run", str(recipe), "--out", str(tmp_path / "run"), "--metrics-port", "many"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UserError)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_is_served_while_it_goes_on(tmp_path: Path, monkeypatch) -> None:
    """The last scrape inside the run tells what the run's own files tell of that step."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    recipe = write_recipe(tmp_path, "qwen2", 3, "[grpo]\nnum_problems = 2\ngroup_size = 2\n")
    with MetricsPort("0") as port:
        progress = TerminalProgress(Console(quiet=True), [port])
        run_recipe(load_any_recipe(recipe), recipe.parent, tmp_path / "run", progress)
        found = read(port)
    last = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()][-1]
    assert found[of("training", "r1_step")] == 3
    assert found[of("training", "r1_metric", name="loss")] == last["loss"]
    assert found[of("training", "r1_metric", name="engine_gap")] == last["engine_gap"]
    assert 0 < found[of("training", "r1_busy_share", who="engines")] < 1
