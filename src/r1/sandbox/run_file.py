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

MAX_TIME_S = 86_400
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
    if not 0 < time_s <= MAX_TIME_S or memory_mb <= 0:
        raise UserError(f"--time must be above 0 and at most {MAX_TIME_S:,}, --memory above 0.")
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the program's file.")
    language = language or SUFFIXES.get(path.suffix)
    if language is None:
        raise UserError(
            f"{path}: its ending names no language; say --language {'|'.join(LANGUAGES)}."
        )
    source = _text_of(path)
    text = "" if stdin is None else _input(stdin)
    limits = Limits(wall_s=time_s, memory_mb=memory_mb)
    with Program.build(language, source, settings, limits) as program:
        return as_json(program.run(text))


def as_json(result: RunResult) -> dict[str, Any]:
    """The result's fields, rounded for reading."""
    fields = asdict(result)
    for name, digits in (("wall_s", 4), ("peak_mb", 2), ("cpu_s", 3), ("asleep_s", 3)):
        fields[name] = round(fields[name], digits)
    return fields


def _input(stdin: Path) -> str:
    """Return what a program reads: a file's text, or that of standard input for "-"."""
    if str(stdin) != "-":
        return _text_of(stdin)
    return _decoded(sys.stdin.buffer.read(), "standard input")  # whatever this machine's locale


def _text_of(path: Path) -> str:
    try:
        return _decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from None


def _decoded(data: bytes, name: str) -> str:
    """Return bytes as text, every line end a newline."""
    try:
        return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8 text.") from None
