"""Compile the C beside the Python that it speeds up, once, with the machine's compiler.

A C compiler is optional: if none is found, or the compilation fails, `load` returns None and the
caller computes the same with torch, except for the last bits. `kernels` says which way each file is
computed, so that a run can record it. The object file is kept in the user's cache folder under a
name made of the source, the flags, the compiler and the processor; where that folder cannot be
written, it is compiled for this process alone, which gives the same numbers.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch

PACKAGE = Path(__file__).parent
HEADER = PACKAGE / "native_math.h"
SOURCES = (PACKAGE / "learner" / "tree_attention.c", PACKAGE / "rollout" / "decode.c")
# Sums may be reordered (vectorised); NaN and infinity keep their meaning.
_FLAGS = (
    "-O3", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros",
    "-fassociative-math",
)  # fmt: skip
_VARIANTS = (("-march=native", "-fopenmp"), ("-mcpu=native", "-fopenmp"), ("-fopenmp",), ())


class Built(NamedTuple):
    """A compiled C file, or the reason for its absence. told: for people and for a run's record."""

    functions: ctypes.CDLL | None
    told: str


def load(source: Path) -> ctypes.CDLL | None:
    """Return the compiled functions of a C file, or None if they are not available."""
    return build(source).functions


def kernels() -> dict[str, str]:
    """Return how each C file of this package is computed here: "compiled <hash>" or "torch
    (<why>)".

    Two machines with the same hash compute the same bits.
    """
    return {f"kernel {source.name}": build(source).told for source in SOURCES}


@cache
def build(source: Path) -> Built:
    """Compile a C file, or reuse the compiled one."""
    compiler = find_compiler()
    if compiler is None:
        return Built(None, "torch (no C compiler)")
    identity = [
        source.read_text(),
        HEADER.read_text(),
        *_FLAGS,
        *compiler,
        torch.__version__,
        _processor(),
    ]
    name = f"{source.stem}-{sha256(chr(0).join(identity).encode()).hexdigest()[:16]}.so"
    try:
        return _built_in(cache_folder(), name, compiler, source)
    except OSError:  # no such folder can be made or written to
        with tempfile.TemporaryDirectory(prefix="r1-native-") as folder:  # a loaded file may go
            try:
                return _built_in(Path(folder), name, compiler, source)
            except OSError as error:
                return Built(None, f"torch (the compiled file does not load: {error})")


def find_compiler() -> list[str] | None:
    """Return the C compiler's command: $CC with its options, else cc or gcc; None without any."""
    given = shlex.split(os.environ.get("CC", ""))
    if given:
        return given if shutil.which(given[0]) else None
    found = shutil.which("cc") or shutil.which("gcc")
    return [found] if found else None


def cache_folder() -> Path:
    """Return the folder of compiled files."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "r1"


def _built_in(folder: Path, name: str, compiler: list[str], source: Path) -> Built:
    """Compile into a folder and load from there. Raises OSError if either is impossible."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    if not target.exists():
        refused = _compile(compiler, source, target)
        if refused:
            return Built(None, f"torch ({refused})")
    digest = sha256(target.read_bytes()).hexdigest()[:12]
    return Built(ctypes.CDLL(str(target)), f"compiled {digest}")


def _processor() -> str:
    """Return the processor's features that -march=native may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return platform.machine() + next((line for line in lines if line.startswith("flags")), "")


def _compile(compiler: list[str], source: Path, target: Path) -> str:
    """Try the flags from best to plainest; rename the finished file into place.

    Returns why there is none, "" where there is.
    """
    for variant in _VARIANTS:
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            made = Path(scratch) / "native.so"
            include = f"-I{HEADER.parent}"
            command = [*compiler, *_FLAGS, *variant, include, str(source), "-o", str(made), "-lm"]
            try:
                done = subprocess.run(command, capture_output=True, timeout=120, check=False)
            except subprocess.TimeoutExpired:
                return f"{shlex.join(compiler)} takes over 120 s"
            if done.returncode == 0:
                os.replace(made, target)
                return ""
    return f"{shlex.join(compiler)} cannot compile {source.name}"
