"""All phases on one instance after another, each stored when it is done: killed, they carry on.

instances/ID/located.json     files, elements, sets of lines
            /repaired.json    candidates: patch and normal form
            /tests.json       regression tests, reproduction script
            /chosen.json      the patch
            /verdict.json     resolved or not, where the tests run here
predictions.jsonl             in the official harness's format
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from typing_extensions import TypedDict

from r1.agents.ask import AskModel
from r1.agents.swe.instance import SweInstance, files_at_base
from r1.agents.swe.localise import locate_elements, locate_files, locate_lines
from r1.agents.swe.patches import apply_patch, with_tests_of
from r1.agents.swe.repair import CandidatePatch, repair
from r1.agents.swe.select import regression_tests, reproduction_script, vote
from r1.agents.swe.status import Resolution, judge_statuses
from r1.agents.swe.tests import run_suite
from r1.files.shapes import read_json
from r1.run_dir import atomic
from r1.sandbox import SandboxSettings

PREDICTIONS = "predictions.jsonl"


class PhaseSizes(NamedTuple):
    """How much each phase asks for; Agentless 1.5's by default."""

    num_files: int = 3
    num_places: int = 4
    num_repairs: int = 10
    num_reproductions: int = 40


_Span = Annotated[list[int], Field(min_length=2, max_length=2)]


class _Located(TypedDict):
    files: list[str]
    elements: Any
    lines: list[dict[str, list[_Span]]]


class _CandidateFields(TypedDict):
    patch: str
    normal: str


class _Repaired(TypedDict):
    candidates: list[_CandidateFields]


class _ChosenTests(TypedDict):
    regression: list[str]
    script: str | None


class _ChosenPatch(TypedDict):
    patch: str


def propose(
    instance: SweInstance,
    ask: AskModel,
    folder: Path,
    sizes: PhaseSizes = PhaseSizes(),  # noqa: B008 (never changed)
    settings: SandboxSettings | None = None,
) -> str:
    """The patch that the phases choose for an instance, "" for none."""
    files = files_at_base(instance)
    atomic.make_folder(folder)
    name, issue = instance.id, instance.issue

    def locate() -> dict[str, Any]:
        paths = locate_files(ask, name, issue, files, sizes.num_files)
        elements = locate_elements(ask, name, issue, files, paths)
        lines = locate_lines(ask, name, issue, files, elements, sizes.num_places)
        return {"files": paths, "elements": elements, "lines": lines}

    def mend() -> dict[str, Any]:
        found = repair(ask, name, issue, files, places, sizes.num_repairs)
        return {"candidates": [candidate._asdict() for candidate in found]}

    def test() -> dict[str, Any]:
        regression = regression_tests(ask, name, issue, files, settings)
        number = sizes.num_reproductions
        script = reproduction_script(ask, name, issue, files, number, settings)
        return {"regression": regression, "script": script}

    located = _stored(folder / "located.json", _Located, locate)
    places = [{p: [(a, b) for a, b in s] for p, s in each.items()} for each in located["lines"]]
    found = _stored(folder / "repaired.json", _Repaired, mend)["candidates"]
    candidates = [CandidatePatch(each["patch"], each["normal"]) for each in found]
    tests = _stored(folder / "tests.json", _ChosenTests, test)
    chosen = _stored(
        folder / "chosen.json",
        _ChosenPatch,
        lambda: {"patch": vote(candidates, files, tests["regression"], tests["script"], settings)},
    )
    return str(chosen["patch"])


def _stored(path: Path, shape: type, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A phase's result: read where it is stored, else made and stored."""
    found: dict[str, Any] | None = read_json(path, shape=shape)
    if found is None:
        found = make()
        atomic.write_json(path, found)
    return found


def judge_patch(
    instance: SweInstance, patch: str, settings: SandboxSettings | None = None
) -> Resolution | None:
    """Whether a patch resolves an instance, by its lists of tests; None where the machine failed.

    The patch is applied, whatever decides how tests run is put back, then the tests' own patch is
    applied, and the files that it touches are run.
    """
    files = files_at_base(instance)
    after = apply_patch(files, patch)
    if after is None:
        return Resolution(False, "the patch is empty or does not apply", instance.fail_to_pass, ())
    tested = apply_patch(with_tests_of(after, files), instance.test_patch)
    if tested is None:
        return Resolution(False, "the tests' patch does not apply", instance.fail_to_pass, ())
    listed = (*instance.fail_to_pass, *instance.pass_to_pass)
    names = list(dict.fromkeys(test.partition("::")[0] for test in listed))
    run = run_suite(tested, names, settings)
    if not run.judged:
        return None
    expected = instance.fail_to_pass, instance.pass_to_pass
    return judge_statuses(run.statuses, run.exit_code, *expected)


def write_predictions(path: Path, model: str, patches: Sequence[tuple[str, str]]) -> None:
    """Write (instance id, patch) pairs as the official harness reads them."""
    rows = [
        {"instance_id": name, "model_name_or_path": model, "model_patch": patch}
        for name, patch in patches
    ]
    atomic.write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
