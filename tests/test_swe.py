"""SWE-bench without an agent: ten repositories made here, every phase, killed and carried on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from r1.agents.ask import ask_recorded
from r1.agents.swe import phases, select
from r1.agents.swe.instance import files_at_base
from r1.agents.swe.localise import elements_of, read_places, skeleton
from r1.agents.swe.measure import measure_instances
from r1.agents.swe.patches import apply_patch, make_patch
from r1.agents.swe.phases import PREDICTIONS, PhaseSizes, judge_patch
from r1.agents.swe.repair import normal_form, read_candidate
from r1.agents.swe.select import REPRODUCED
from r1.agents.swe.select import RESOLVED as RESOLVED_LINE
from r1.agents.swe.tests import SuiteRun
from r1.benchmarks.protocol import load
from r1.benchmarks.registry import find_benchmark
from r1.errors import UserError
from r1.types import Problem
from swe_world import BUGS, RESOLVED, Recorded, edit, files_of, make_set

DATA = Path(__file__).parents[2] / "shared/benchmarks"
SIZES = PhaseSizes(num_files=1, num_places=2, num_repairs=3, num_reproductions=2)


@pytest.mark.slow
def test_gold_patches_resolve_all_and_empty_ones_none(tmp_path) -> None:
    instances = make_set(tmp_path)
    found = [judge_patch(instance, instance.gold_patch) for instance in instances]
    assert [verdict.resolved for verdict in found] == [True] * 10, found
    assert not any(judge_patch(instance, "").resolved for instance in instances)


@pytest.mark.slow
def test_recorded_edits_reach_the_known_number(tmp_path) -> None:
    instances = make_set(tmp_path / "data")
    result = measure_instances(instances, ask_recorded(Recorded()), tmp_path / "out", SIZES)
    verdicts = (tmp_path / "out").glob("instances/*/verdict.json")
    resolved = {p.parent.name for p in verdicts if json.loads(p.read_text())["resolved"]}
    assert resolved == {f"toy__{name}-1" for name in RESOLVED}
    assert (result["resolved"], result["score"]["value"]) == (7, 0.7)
    assert result["outcomes"]["unreadable"] == pytest.approx(0.2)  # gcd and parse have no patch


def run_by_sight(files, names, settings=None) -> SuiteRun:
    """A suite's run that looks at the code, and runs nothing."""
    statuses = {"tests/test_mean.py::test_old": "PASSED"}
    statuses |= {f"tests/test_mean.py::test_many[{name}]": "PASSED" for name in ("one two", "b")}
    if "tests/test_issue.py" in files:
        right = "/ len(values)" in files["pack/mean.py"]
        statuses["tests/test_issue.py::test_issue"] = "PASSED" if right else "FAILED"
    return SuiteRun(statuses, int("FAILED" in statuses.values()), True, "")


def script_by_sight(files, script, settings=None) -> str:
    return RESOLVED_LINE if "/ len(values)" in files["pack/mean.py"] else REPRODUCED


def test_killed_at_any_phase_it_carries_on(tmp_path, monkeypatch) -> None:
    for module in (phases, select):
        monkeypatch.setattr(module, "run_suite", run_by_sight)
    monkeypatch.setattr(select, "run_script", script_by_sight)
    instances = make_set(tmp_path / "data", BUGS[1:2])
    said = Recorded()
    whole = measure_instances(instances, ask_recorded(said), tmp_path / "whole", SIZES)
    assert whole["resolved"] == 1
    written, killed_at, again = phases.atomic.write_json, [], Recorded()

    def killed(path, value):
        if path.name not in killed_at:
            killed_at.append(path.name)
            raise KeyboardInterrupt
        written(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(phases.atomic, "write_json", killed)
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                measure_instances(instances, ask_recorded(again), tmp_path / "killed", SIZES)
        found = measure_instances(instances, ask_recorded(again), tmp_path / "killed", SIZES)
    assert found == whole
    assert len(killed_at) == 5
    assert len(again.asked) == 2 * len(said.asked)  # the phase that was killed, once more each
    files = [path for path in (tmp_path / "whole").rglob("*") if path.is_file()]
    assert len(files) == 6
    for path in files:
        twin = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
        assert twin.read_bytes() == path.read_bytes()
    (line,) = (tmp_path / "whole" / PREDICTIONS).read_text().splitlines()
    assert sorted(json.loads(line)) == ["instance_id", "model_name_or_path", "model_patch"]
    assert apply_patch(files_at_base(instances[0]), json.loads(line)["model_patch"])


STATES = [
    ({"a.py": "x\n"}, {"a.py": "y\n"}),
    ({"a.py": "x"}, {"a.py": "x\n"}),
    ({"a.py": "x\ny"}, {"a.py": "x\nz"}),
    ({"a.py": "1\n" * 9}, {"a.py": "1\n" * 4 + "2\n" + "1\n" * 4}),
    ({}, {"d/new.py": "x\n"}),
    ({"a.py": "x\n"}, {}),
    ({"a.py": "x\r\ny\r\n"}, {"a.py": "x\r\nz\r\n"}),
    ({"a.py": "x\x0cy\n"}, {"a.py": "x\x0cz\n"}),
    ({"a.py": "é\n"}, {"a.py": "ü\n", "b.py": "x\n"}),
]


@pytest.mark.parametrize(("before", "after"), STATES)
def test_git_applies_the_patches_that_are_made(before, after) -> None:
    assert apply_patch(before, make_patch(before, after)) == after


def test_places_are_read_by_name_and_line() -> None:
    source = "class A:\n    def f(self):\n        pass\n\n\n@g\ndef f():\n    pass\n"
    assert elements_of(source) == {"A": (1, 3), "A.f": (2, 3), "f": (6, 8)}
    assert skeleton(source) == "class A:\n    def f(self):\n@g\n"
    files, said = {"a.py": source}, "a.py\nfunction: f\nline: 1\nline: 99\nclass: B\nb.py\nline: 2"
    assert read_places(said, files, ["a.py"]) == {"a.py": [(1, 2), (6, 8)]}
    assert read_places(said, files, ["a.py"], 10) == {"a.py": [(1, 9)]}
    assert read_places("line: 1", files, ["a.py"]) == {}


def test_a_candidate_changes_the_code_of_shown_files_and_parses() -> None:
    bug = BUGS[0]
    files, path = files_of(bug), f"pack/{bug.name}.py"
    good = read_candidate(edit(bug, bug.right), files, [path])
    assert good is not None
    commented = edit(bug, bug.right).replace("high))\n>", "high))  # fixed\n>")
    same = read_candidate(commented, files, [path])
    assert same is not None
    assert (same.normal, same.patch != good.patch) == (good.normal, True)
    idle = edit(bug, bug.right).replace("high))\n>", "low))\n>")
    broken = edit(bug, bug.right).replace("high))\n>", "high)\n>")
    elsewhere = edit(bug, bug.right).replace(path, "pack/new.py").replace("    return", "  gone")
    for said in (idle, broken, elsewhere, "No edits.", edit(bug, bug.right) + "<<<<<<< SEARCH\n"):
        assert read_candidate(said, files, [path]) is None
    assert read_candidate(edit(bug, bug.right), files, ["pack/other.py"]) is None
    assert normal_form('def f():\n    "doc"\n    return 1') == normal_form(
        "def f():  # c\n  return 1"
    )
    assert normal_form("def f(:") is None


def test_the_rows_and_repositories_are_read(tmp_path) -> None:
    folder = tmp_path / "swe_bench_verified"
    folder.mkdir()
    (instance,) = make_set(folder, BUGS[:1])
    loaded = load(find_benchmark("swe_bench_verified"), tmp_path)
    assert [problem.id for problem in loaded.problems] == ["toy__clamp-1"]
    assert instance.pass_to_pass[1].endswith("test_many[one")
    files = files_at_base(instance)
    assert files == files_of(BUGS[0])  # neither the fix nor the history
    with pytest.raises(UserError, match="git clone"):
        files_at_base(instance.__class__(**{**vars(instance), "clone": tmp_path / "none"}))


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
def test_the_500_are_read_and_need_clones(tmp_path) -> None:
    benchmark = find_benchmark("swe_bench_verified")
    with pytest.raises(
        UserError, match=r"put \*verified\*.jsonl and repos/\* or .* there.*git clone"
    ):
        load(benchmark, DATA)
    files = sorted((DATA / "swe_bench_verified").glob("*verified*.jsonl"))
    problems = list(benchmark.layouts[0].read([files, []]))
    assert len(problems) == 500
    assert all(isinstance(problem, Problem) for problem in problems)
    with pytest.raises(UserError, match="git clone"):
        benchmark.converse(ask_recorded(Recorded()), problems, tmp_path, "a model")
