"""`r1 sandbox run`: one program file, its verdict as JSON. For people and for scripts."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.sandbox.program import LANGUAGES, Program
from r1.sandbox.result import Limits, RunResult
from r1.sandbox.settings import SandboxSettings

SUFFIXES = {
    ".py": "python",
    ".java": "java",
    ".cpp": "cpp",
    ".cc": "cpp",
    ".cxx": "cpp",
    ".cs": "csharp",
    ".js": "javascript",
    ".mjs": "javascript",
    ".ts": "typescript",
    ".php": "php",
    ".sh": "bash",
}


def run_file(
    path: Path,
    language: str | None,
    stdin: Path | None,
    time_s: float,
    memory_mb: int,
    settings: SandboxSettings | None = None,
) -> dict[str, Any]:
    """Build and run `path` and return the verdict's fields.

    language: by the file's ending where it is None. stdin: a file, "-" for this process's own, None
    for nothing. Raises UserError for what cannot be read, an unknown language and bad limits.
    """
    if time_s <= 0 or memory_mb <= 0:
        raise UserError("--time and --memory must be above 0.")
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the program's file.")
    language = language or SUFFIXES.get(path.suffix)
    if language is None:
        raise UserError(
            f"{path}: its ending names no language; say --language {'|'.join(LANGUAGES)}."
        )
    source = _text_of(path)
    text = "" if stdin is None else sys.stdin.read() if str(stdin) == "-" else _text_of(stdin)
    limits = Limits(wall_s=time_s, memory_mb=memory_mb)
    with Program.build(language, source, settings, limits) as program:
        return as_json(program.run(text))


def as_json(result: RunResult) -> dict[str, Any]:
    """The result's fields, rounded for reading."""
    fields = asdict(result)
    for name, digits in (("wall_s", 4), ("peak_mb", 2), ("cpu_s", 3), ("asleep_s", 3)):
        fields[name] = round(fields[name], digits)
    return fields


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text.") from None
