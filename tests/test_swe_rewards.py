"""Edits as actions: the verifier "repository" on toy repositories, and problems made of rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from r1.agents.swe import problems
from r1.agents.swe.problems import make_problem
from r1.agents.swe.tests import run_suite
from r1.agents.swe.verifier import check_task, score_edits
from r1.data.load import load_problems
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.rewards.accuracy import check_reference
from r1.rewards.pool import RewardPool
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, RolloutGroup
from swe_world import BUGS, edit, make_set

CLAMP, MEAN = BUGS[:2]
REWARDS = RewardSettings(weights={"accuracy": 1.0}, plugins=("r1.agents.swe.verifier",))
TEST_EDIT = (
    "tests/test_clamp.py\n```python\n<<<<<<< SEARCH\n    assert clamp(-1, 0, 9) == 0\n=======\n"
    "    assert True\n>>>>>>> REPLACE\n```\n"
)
NEW_FILE = "conftest.py\n```python\n<<<<<<< SEARCH\n=======\nimport os\n>>>>>>> REPLACE\n```\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    make_set(folder, [CLAMP, MEAN])
    return folder


@pytest.fixture(scope="module")
def clamp(data) -> Problem:
    rows = (data / "toy_verified.jsonl").read_text().splitlines()
    made = make_problem(problems.read_instance(json.loads(rows[0]), data))
    assert made.problem is not None, made.reason
    return made.problem


def with_body(body: str) -> str:
    """An edit of the toy function that puts other lines in place of its only one."""
    return edit(CLAMP, CLAMP.right).replace("    return max(low, min(x, high))", body)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (edit(CLAMP, CLAMP.right), Outcome.CORRECT),
        (f"<answer>\n{edit(CLAMP, CLAMP.right)}</answer>", Outcome.CORRECT),
        (edit(CLAMP, "0"), Outcome.WRONG),
        (with_body("    return ("), Outcome.WRONG),
        (with_body("    import os; os._exit(0)"), Outcome.WRONG),
        (with_body("    import sys; sys.exit(0)"), Outcome.WRONG),
        (with_body("    print('PASSED tests/test_issue.py::test_issue'); return 1"), Outcome.WRONG),
        (with_body("    import pytest; pytest.skip()"), Outcome.WRONG),
        ("It works as it should.", Outcome.UNPARSEABLE),
        (edit(CLAMP, CLAMP.right).replace("max(low", "max(lo"), Outcome.UNPARSEABLE),
        (edit(CLAMP, CLAMP.right).replace("=======\n", ""), Outcome.UNPARSEABLE),
        (with_body("    return max(low, min(x, low))"), Outcome.UNPARSEABLE),  # as it was
        (TEST_EDIT, Outcome.UNPARSEABLE),
        (edit(CLAMP, CLAMP.right) + TEST_EDIT, Outcome.UNPARSEABLE),
        (NEW_FILE, Outcome.UNPARSEABLE),
    ],
)
def test_edits_are_judged_by_the_repositorys_tests(clamp, answer, outcome) -> None:
    found = score_edits(clamp, answer, REWARDS)
    assert found.outcome == outcome, found.detail
    assert found.value == float(outcome == Outcome.CORRECT)


def test_a_machine_that_cannot_run_the_tests_is_no_wrong_answer(clamp, monkeypatch) -> None:
    from r1.agents.swe import verifier
    from r1.agents.swe.tests import SuiteRun

    monkeypatch.setattr(verifier, "run_suite", lambda *_: SuiteRun({}, 1, False, ""))
    found = score_edits(clamp, edit(CLAMP, CLAMP.right), REWARDS)
    assert found.outcome == Outcome.VERIFIER_FAILED


def test_problems_are_written_read_and_scored_by_the_pool(data, tmp_path, capsys) -> None:
    out = tmp_path / "train.jsonl"
    problems.main([str(data / "toy_verified.jsonl"), str(out)])
    assert "2: toy__mean-1" in capsys.readouterr().out
    REWARDS.validate_names()
    source = SourceSettings(kind="jsonl", path=str(out), verifier="repository")
    loaded = load_problems(source, Path(), check_reference)
    assert [problem.verifier for problem in loaded] == ["repository"] * 2
    assert "def clamp" in loaded[0].prompt
    assert "test_issue" not in loaded[0].prompt
    assert CLAMP.right not in loaded[0].prompt.partition("def clamp")[2].splitlines()[1]
    texts = [edit(MEAN, MEAN.right), edit(MEAN, "1"), "no"]
    drawn = [Completion([1], [0.0], text, "stop") for text in texts]
    with RewardPool(REWARDS) as pool:
        (scored,) = pool.score_groups([RolloutGroup(loaded[1], (1,), drawn)])
    found = [reward.parts["accuracy"].outcome for reward in scored.rewards]
    assert found == [Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSEABLE]


def test_rows_that_tell_nothing_apart_are_left_out(data) -> None:
    row = json.loads((data / "toy_verified.jsonl").read_text().splitlines()[0])
    passes = json.dumps(["tests/test_clamp.py::test_old"])
    for changed, reason in (
        ({"FAIL_TO_PASS": passes}, "the untouched repository is not told wrong"),
        ({"FAIL_TO_PASS": '["tests/test_issue.py::test_gone"]'}, "gold patch does not resolve"),
        ({"patch": row["patch"].replace("max", "maxi")}, "a patch does not apply"),
        ({"test_patch": ""}, "has no tests"),
    ):
        made = make_problem(problems.read_instance({**row, **changed}, data))
        assert made.problem is None
        assert reason in made.reason, made.reason


def test_odd_metadata_are_refused_by_name(clamp, tmp_path) -> None:
    for changed, words in (
        ({"files": {}}, "metadata.files must map"),
        ({"files": {"../x.py": ""}}, "'../x.py' it must not lead out"),
        ({"tests": ["a"]}, "metadata.tests must map"),
        ({"shown": ["nowhere.py"]}, "metadata.shown must name"),
        ({"shown": ["tests/test_clamp.py"]}, "may not change"),
        ({"fail_to_pass": []}, "fail_to_pass is empty"),
        ({"pass_to_pass": ["tests/test_gone.py::test"]}, "test_gone.py is named by a test id"),
    ):
        odd = Problem("p", "?", None, "repository", metadata={**clamp.metadata, **changed})
        assert words in (check_task(odd) or ""), changed
    assert check_task(clamp) is None
    (tmp_path / "rows.jsonl").write_text('{"instance_id": "a"}\n')
    with pytest.raises(UserError, match=r"rows.jsonl, line 1: repo is .*; mend or remove it"):
        problems.main([str(tmp_path / "rows.jsonl"), str(tmp_path / "out.jsonl")])
    assert not (tmp_path / "out.jsonl").exists()


def test_a_test_file_of_any_name_is_run() -> None:
    files = {"test_it's.py": "def test_a():\n    pass\n", "test_b.py": "def test_b():\n    pass\n"}
    assert run_suite(files, ["test_it's.py"]).statuses == {"test_it's.py::test_a": "PASSED"}
