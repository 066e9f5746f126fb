"""The house: imports point down only, torch stays where it belongs, nothing grows out of hand."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "r1"

LAYERS = {
    **dict.fromkeys(("types", "config", "errors", "intervals", "reflection", "thinking_stream"), 0),
    **dict.fromkeys(("terminal", "setting_hints", "files", "plugins"), 0),
    **dict.fromkeys(("run_dir", "template", "text", "data", "models", "native", "sandbox"), 1),
    "chat_template": 1,
    **dict.fromkeys(("judge", "rewards", "rollout", "learner", "report"), 2),
    **dict.fromkeys(("algorithms", "sampling", "pretrain", "reward_model", "sft", "curation"), 3),
    **dict.fromkeys(("cluster", "evaluate", "chat", "doctor", "plan", "loop", "step_metrics"), 4),
    **dict.fromkeys(("pipeline", "progress", "settings_reference", "settings_page"), 5),
    **dict.fromkeys(("cli", "__main__"), 6),
}
TRAINERS = {"algorithms", "sampling", "pretrain", "reward_model", "sft"}
TORCH_FREE = (
    "r1.types", "r1.config", "r1.errors", "r1.reflection", "r1.run_dir", "r1.template", "r1.report",
    "r1.rewards.pool", "r1.rewards.accuracy", "r1.rewards.math.verifier", "r1.rewards.library",
    "r1.rewards.code.verifier", "r1.rewards.ifeval.verifier", "r1.rewards.language", "r1.data.load",
    "r1.data.source", "r1.data.tiny.problems", "r1.data.tiny.corpus", "r1.pipeline.recipe",
    "r1.pretrain.settings", "r1.rollout.protocol", "r1.rollout.scored", "r1.learner.protocol",
    "r1.algorithms.batch", "r1.algorithms.registry", "r1.sampling.choose",
    "r1.evaluate.estimators", "r1.sandbox", "r1.doctor", "r1.cli",
    "r1.judge.judge", "r1.judge.engine", "r1.text.language", "r1.text.readability",
    "r1.plan.kinds", "r1.plan.memory", "r1.plan.show", "r1.plan.layouts", "r1.plan.lengths",
    "r1.plan.show_layouts", "r1.pipeline.plan", "r1.evaluate.battery_settings",
    "r1.data.tiny.manners", "r1.rewards.manners", "r1.rewards.unjudged", "r1.intervals",
    "r1.cluster.settings", "r1.rollout.usage", "r1.pipeline.metrics_port", "r1.plan.recommend",
    "r1.settings_page",
)  # fmt: skip
MAX_LINES = 400


def part_of(path: Path) -> str:
    """The first name below r1: the package or module a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


RECIPE_SECTION = "r1.cluster.settings"
"""A section of every trainer's recipe: settings of any layer may hold it."""


def imported_parts(path: Path) -> set[str]:
    """The parts of r1 that a file imports, inside functions too."""
    parts: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        if path.name == "settings.py":
            names = [name for name in names if name != RECIPE_SECTION]
        parts |= {name.split(".")[1] for name in names if name.startswith("r1.")}
    return parts


FILES = sorted(
    path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem != "__init__"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    own = part_of(path)
    for other in imported_parts(path) - {own}:
        assert LAYERS[other] <= LAYERS[own], f"{own} (layer {LAYERS[own]}) imports {other}"
        assert not (own in TRAINERS and other in TRAINERS), f"trainer {own} imports {other}"


def test_report_reads_run_folders_only() -> None:
    for path in (SOURCE / "report").rglob("*.py"):
        allowed = {"report", "run_dir", "errors", "types", "config", "intervals", "files"}
        assert imported_parts(path) <= allowed, path


def test_no_torch_where_it_does_not_belong() -> None:
    """One process imports them all; a second names the culprit."""
    assert loads_torch(TORCH_FREE) is False, [m for m in TORCH_FREE if loads_torch([m])]


def loads_torch(modules) -> bool:
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_readme_names_commands_that_exist() -> None:
    """Every `make TARGET` and `r1 COMMAND` of the README is there."""
    import re

    from typer.main import get_command

    from r1.cli import app

    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", readme)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    commands = set(get_command(app).commands)
    used = set(re.findall(r"^(?:\S*/)?r1 ([a-z][a-z-]*)", readme, re.MULTILINE))
    assert used <= commands, used - commands


def test_readme_names_files_that_exist() -> None:
    import re

    readme = (ROOT / "README.md").read_text()
    for name in set(re.findall(r"(?:recipes|bench|docs|src|tests)/[\w./-]+\.\w+", readme)):
        assert (ROOT / name).exists(), name
