"""Patches between two states of files: unified diffs that `git apply` takes, and their application.

Files are mappings from a path to a text; files that are no UTF-8 text are left out of them.
"""

from __future__ import annotations

import difflib
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from r1.edits.paths import path_fault

_TIMEOUT_S = 60.0
_NO_NEWLINE = "\\ No newline at end of file\n"


def make_patch(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The diff from one state to another in git's format; "" where they are equal."""
    parts = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        head = f"diff --git a/{path} b/{path}\n"
        if old is None:
            head += "new file mode 100644\n"
        elif new is None:
            head += "deleted file mode 100644\n"
        names = (
            "/dev/null" if old is None else f"a/{path}",
            "/dev/null" if new is None else f"b/{path}",
        )
        lines = difflib.unified_diff(_lines(old), _lines(new), *names)
        parts.append(
            head
            + "".join(line if line.endswith("\n") else line + "\n" + _NO_NEWLINE for line in lines)
        )
    return "".join(parts)


def _lines(text: str | None) -> list[str]:
    """Split at line feeds alone, as git does."""
    pieces = (text or "").split("\n")
    lines = [f"{piece}\n" for piece in pieces[:-1]]
    return [*lines, pieces[-1]] if pieces[-1] else lines


def apply_patch(files: Mapping[str, str], patch: str) -> dict[str, str] | None:
    """The files after a patch; None where it is empty or `git apply` refuses it.

    Links, and paths that lead out or into `.git`, are refused.
    """
    if not patch.strip():
        return None
    touched = {path for path in files if path in patch}
    with tempfile.TemporaryDirectory(prefix="r1-patch-") as name:
        folder = Path(name)
        for path in touched:
            if path_fault(path) is None:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(files[path].encode())
        command = ["git", "apply", "--whitespace=nowarn", "-"]
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": name,
            "GIT_CEILING_DIRECTORIES": "/",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        text = patch if patch.endswith("\n") else patch + "\n"
        try:
            done = subprocess.run(
                command, cwd=folder, input=text.encode("utf-8", "replace"), env=environment,
                capture_output=True, timeout=_TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        if done.returncode:
            return None
        left = {path: text for path, text in files.items() if path not in touched}
        return _read_back(folder, left)


def _read_back(folder: Path, files: dict[str, str]) -> dict[str, str] | None:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            return None
        if not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        if path_fault(name) is not None:
            return None
        try:
            files[name] = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            return None
    return files


def is_test_path(path: str) -> bool:
    """Whether a file decides how tests run: tests, conftest.py, and configurations of pytest.

    A patch's changes of these count for nothing: they are undone before any test runs.
    """
    parts = PurePosixPath(path).parts
    name = parts[-1]
    if name in _CONFIGURATION or name.endswith((".pth", "_test.py")) or name.startswith("test_"):
        return True
    return bool({"tests", "test", "testing"} & set(parts[:-1]))


_CONFIGURATION = frozenset(
    ("conftest.py", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml",
     "sitecustomize.py", "usercustomize.py")
)  # fmt: skip


def with_tests_of(files: Mapping[str, str], original: Mapping[str, str]) -> dict[str, str]:
    """Patched files with everything that decides how tests run as it is in the original."""
    kept = {path: text for path, text in files.items() if not is_test_path(path)}
    return kept | {path: text for path, text in original.items() if is_test_path(path)}
