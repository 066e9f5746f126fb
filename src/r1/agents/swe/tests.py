"""Run a repository's tests, or a script over it, in the sandbox: pytest, without git's history.

Each test's status is signed by a plugin with a secret that it reads before anything of the
repository is loaded; printed lines count for nothing. Tests and the code they test share a process:
code that searches it for the secret is not stopped.
"""

from __future__ import annotations

import importlib.util
import re
import secrets
import shlex
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from r1.agents.swe.status import RANK
from r1.errors import UserError
from r1.sandbox import Limits, RunResult, SandboxSettings, Status
from r1.sandbox.tree import SECRET, TreeRun, run_tree

_PACKAGES = (
    "pytest",
    "_pytest",
    "pluggy",
    "iniconfig",
    "packaging",
    "pygments",
    "exceptiongroup",
    "tomli",
)
_NEEDED = _PACKAGES[:5]
SUITE_TIMEOUT_S = 300.0
_LIMITS = Limits(
    wall_s=SUITE_TIMEOUT_S, cpu_s=120.0, memory_mb=2048, processes=64, file_mb=512, open_files=512,
    output_kb=4096,
)  # fmt: skip
_PLUGIN = Path(__file__).parent / "stand_ins" / "r1_signed.py"


class SuiteRun(NamedTuple):
    """One run of tests. statuses: test id -> status. judged: False where the machine failed."""

    statuses: dict[str, str]
    exit_code: int
    judged: bool
    output: str


@cache
def _pytest_folders() -> tuple[str, tuple[str, ...]]:
    """pytest's packages beside this interpreter: their common folder, and each of them.

    Raises UserError where there is no pytest.
    """
    found = {}
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            found[name] = str(Path(next(iter(spec.submodule_search_locations))).resolve())
    if missing := [name for name in _NEEDED if name not in found]:
        raise UserError(f"judging repositories needs {missing[0]}: pip install pytest.")
    return str(Path(found["pytest"]).parent), tuple(found.values())


def run_suite(
    files: Mapping[str, str], names: Iterable[str], settings: SandboxSettings | None = None
) -> SuiteRun:
    """Run pytest on test files of a repository (path -> text); names: what to run, "." for all.

    A run that the machine failed is repeated once.
    """
    listed = list(names)
    run = _run_suite_once(files, listed, settings)
    return run if run.judged else _run_suite_once(files, listed, settings)


def _run_suite_once(
    files: Mapping[str, str], names: Iterable[str], settings: SandboxSettings | None
) -> SuiteRun:
    site, _ = _pytest_folders()
    secret = secrets.token_hex(16)
    words = shlex.join(names)
    script = (
        f"export PYTHONPATH=$PWD/runner:{site} && cd project && exec python3 -B -P -m pytest "
        f"-p r1_signed -p no:cacheprovider -q -rA -- {words} {SECRET}"
    )
    result = _run(files, script, secret, settings)
    statuses: dict[str, str] = {}
    signed = re.compile(rf"^{secret} (\w+) (.+)$", re.MULTILINE)
    for status, test in signed.findall(result.stdout):
        if status in RANK:
            statuses[test] = max(statuses.get(test, status), status, key=RANK.index)
    code = 1 if result.exit_code is None else result.exit_code
    judged = result.status not in (Status.STARVED, Status.SANDBOX_FAILED)
    return SuiteRun(statuses, code, judged, result.stdout.replace(secret, "test") + result.stderr)


def run_script(
    files: Mapping[str, str], script: str, settings: SandboxSettings | None = None
) -> str:
    """Run a Python script beside a repository's files; return what it printed."""
    with_script = {**files, "r1_reproduce.py": script}
    command = "cd project && exec python3 -B r1_reproduce.py"
    return _run(with_script, command, "", settings).stdout


def _run(
    files: Mapping[str, str], script: str, secret: str, settings: SandboxSettings | None
) -> RunResult:
    settings = settings or SandboxSettings()
    shown = (*settings.toolchain_folders, *_pytest_folders()[1])
    settings = settings.model_copy(update={"toolchain_folders": shown})
    contents = {f"project/{path}": text.encode() for path, text in files.items()}
    contents["runner/r1_signed.py"] = _PLUGIN.read_bytes()
    single = Path(_pytest_folders()[0], "py.py")  # a module of pytest's that is no folder
    if single.is_file():
        contents["runner/py.py"] = single.read_bytes()
    return run_tree(TreeRun(script, contents, _LIMITS, secret), settings)
