"""The house: imports point down only, torch stays where it belongs, nothing grows out of hand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from r1.track.backends import OPENERS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "r1"

LAYERS = {
    **dict.fromkeys(
        (
            "types",
            "config",
            "errors",
            "distributions",
            "intervals",
            "reflection",
            "significance",
            "thinking_stream",
        ),
        0,
    ),
    **dict.fromkeys(("terminal", "setting_hints", "files", "plugins", "edits"), 0),
    **dict.fromkeys(("run_dir", "template", "text", "data", "models", "native", "sandbox"), 1),
    **dict.fromkeys(("chat_template", "steps"), 1),
    **dict.fromkeys(("judge", "rewards", "rollout", "learner", "diagnose", "report", "track"), 2),
    **dict.fromkeys(
        ("algorithms", "sampling", "pretrain", "reward_model", "sft", "curation", "search"), 3
    ),
    "preferences": 3,
    "dpo": 3,
    "endpoint": 3,
    **dict.fromkeys(
        ("agents", "cluster", "evaluation", "chat", "doctor", "plan", "loop", "step_metrics"), 4
    ),
    **dict.fromkeys(("r1_zero", "benchmarks"), 5),
    "stages": 6,
    **dict.fromkeys(
        ("pipeline", "progress", "settings_reference", "settings_page", "sandbox_command"), 7
    ),
    **dict.fromkeys(("publish", "claims", "command_hints"), 7),
    **dict.fromkeys(("cli", "benchmarks_cli", "data_command", "evaluate_cli", "export_cli"), 8),
    **dict.fromkeys(("__main__", "api"), 8),
}
TRAINERS = {"algorithms", "sampling", "pretrain", "reward_model", "sft", "curation"}
"""Parts that do not import each other; `dpo` builds on fine-tuning's encoder and order."""
TORCH_FREE = (
    "r1.types", "r1.config", "r1.errors", "r1.reflection", "r1.run_dir", "r1.template", "r1.report",
    "r1.rewards.pool", "r1.rewards.accuracy", "r1.rewards.math.verifier", "r1.rewards.library",
    "r1.rewards.code.verifier", "r1.rewards.ifeval.verifier", "r1.rewards.language", "r1.data.load",
    "r1.data.source", "r1.data.tiny.problems", "r1.data.tiny.corpus", "r1.pipeline.recipe",
    "r1.pretrain.settings", "r1.rollout.protocol", "r1.rollout.scored", "r1.learner.protocol",
    "r1.algorithms.batch", "r1.algorithms.registry", "r1.sampling.choose",
    "r1.evaluation.estimators", "r1.sandbox", "r1.doctor", "r1.cli",
    "r1.judge.judge", "r1.judge.engine", "r1.text.language", "r1.text.readability",
    "r1.pipeline.run", "r1.plan.memory", "r1.plan.show", "r1.plan.layouts", "r1.plan.lengths",
    "r1.plan.show_layouts", "r1.pipeline.plan", "r1.evaluation.battery_settings",
    "r1.data.tiny.manners", "r1.rewards.manners", "r1.rewards.unjudged", "r1.intervals",
    "r1.distributions", "r1.significance",
    "r1.cluster.settings", "r1.rollout.usage", "r1.pipeline.metrics_port", "r1.plan.recommend",
    "r1.settings_page", "r1.r1_zero.settings", "r1.evaluation.compare_show", "r1.evaluation.stored",
    "r1.benchmarks.registry", "r1.benchmarks_cli", "r1.endpoint.engine", "r1.api.recipes",
    "r1.api.runs", "r1.api.rewards", "r1.track.trackers",
    "r1.diagnose", "r1.diagnose.live",
    "r1.claims.results", "r1.claims.page", "r1.claims.run",
)  # fmt: skip
MAX_LINES = 400


def part_of(path: Path) -> str:
    """The first name below r1: the package or module a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


RECIPE_SECTION = "r1.cluster.settings"
"""A section of every trainer's recipe: settings of any layer may hold it."""


@cache
def imports_of(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """The imports of a file, inside functions too."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return tuple(node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


def imported_parts(path: Path) -> set[str]:
    """The parts of r1 that a file imports."""
    parts: set[str] = set()
    for node in imports_of(path):
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


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions and for types count."""
    assert cycles(module_imports()) == set()


def test_no_part_imports_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        graph.setdefault(part_of(path), set()).update(imported_parts(path) - {part_of(path)})
    assert cycles(graph) == set()


def module_imports() -> dict[str, set[str]]:
    """Every module of r1, and those that it imports."""
    modules = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        modules[".".join(parts).removesuffix(".__init__")] = path
    graph = {}
    for module, path in modules.items():
        found: set[str] = set()
        for node in imports_of(path):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = {f"{node.module}.{alias.name}" for alias in node.names} & set(modules)
                found |= inside or {node.module}
        graph[module] = (found & set(modules)) - {module}
    return graph


def cycles(graph: dict[str, set[str]]) -> set[tuple[str, ...]]:
    """The sets of nodes that reach each other, each sorted."""
    reached = {node: reach(node, graph) for node in graph}
    groups = {
        tuple(sorted(other for other in reached[node] if node in reached[other]))
        for node in graph
        if node in reached[node]
    }
    return groups


def reach(node: str, graph: dict[str, set[str]]) -> set[str]:
    """All nodes on paths that leave a node; itself where a path leads back."""
    found: set[str] = set()
    waiting = list(graph[node])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += graph.get(other, ())
    return found


def test_a_cycle_would_be_seen() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}
    assert cycles(graph) == {("a", "b", "c")}


STAGE_SEAM = ("pipeline", "plan", "report", "progress", "cli", "setting_hints", "run_dir")
OTHER_MEANINGS = {
    "plan/training.py": {"evaluation"},  # a part of the work of a step
    "report/load.py": {"evaluation"},  # the kind of a folder of `r1 eval`
    "report/pipeline/contests.py": {"examples"},  # what a stage learns from
    # Stages of the paper's recipe, some of which are called as their kind is, and a type of output.
    "report/pipeline/claims.py": {"r1_zero"},
    "report/pipeline/columns.py": {"r1_zero"},
    "report/pipeline/load.py": {"r1_zero", "rejection", "mixture", "reward_model"},
}
"""Words that are a kind's name too, by the file where they mean something else."""


@pytest.mark.parametrize(
    "path", [p for p in FILES if part_of(p) in STAGE_SEAM], ids=lambda p: str(p.relative_to(SOURCE))
)
def test_no_stage_kind_is_known_by_name(path: Path) -> None:
    """Neither in a comparison of kinds, nor as any other string, nor by importing its file."""
    from r1.stages import registry

    names, other = set(registry.kinds()), path.relative_to(SOURCE).as_posix()
    nodes = list(ast.walk(ast.parse(path.read_text())))
    words = {node.value for node in nodes if isinstance(node, ast.Constant)}
    assert words & names == OTHER_MEANINGS.get(other, set())
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not modules & {f"r1.stages.{name}" for name in names}
    for node in nodes:
        if isinstance(node, ast.Compare) and ast.unparse(node.left).endswith("kind"):
            assert not {c.value for c in ast.walk(node) if isinstance(c, ast.Constant)} & names


def test_report_reads_run_folders_only() -> None:
    for path in (SOURCE / "report").rglob("*.py"):
        allowed = {
            "report",
            "run_dir",
            "errors",
            "types",
            "config",
            "distributions",
            "intervals",
            "significance",
            "files",
        }
        allowed |= {"diagnose"}  # which reads run folders as well
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


def test_no_two_classes_share_a_name() -> None:
    """A reader who looks for one finds it, and no other."""
    places: dict[str, list[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(SOURCE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


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


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_pages_name_files_that_exist(page: str) -> None:
    import re

    text = (ROOT / page).read_text()
    for name in set(re.findall(r"(?:recipes|bench|docs|src|tests)/[\w./-]+\.\w+", text)):
        assert (ROOT / name).exists(), name


def test_remedies_name_extras_that_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    known = set(extras["optional-dependencies"])
    sources = [path.read_text("utf-8") for path in SOURCE.rglob("*.py")]
    asked = re.compile(r"""install_extra\(['"](\w+)['"]\)""")
    named = {name for text in sources for name in asked.findall(text)}
    assert {"lora", "datasets", "cluster", "metrics", "real"} <= named <= known
    assert set(OPENERS) <= known
    assert not [text for text in sources if re.search(r"pip install (-e )?.\.\[(?!\{)", text)]
