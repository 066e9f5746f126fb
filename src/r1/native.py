"""Compiles C that stands beside the Python it speeds up, once, with the machine's own compiler.

A C compiler is a luxury: where none is found, or the compilation fails, `load` gives None and the
caller computes the same with torch. The object file is kept in the user's cache folder under a name
made of the source, the flags, the compiler and the processor.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch

HEADER = Path(__file__).with_name("native_math.h")
# Sums may be reordered (vectorised); NaN and infinity keep their meaning.
_FLAGS = (
    "-O3", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros",
    "-fassociative-math",
)  # fmt: skip
_VARIANTS = (("-march=native", "-fopenmp"), ("-mcpu=native", "-fopenmp"), ("-fopenmp",), ())


@cache
def load(source: Path) -> ctypes.CDLL | None:
    """The compiled functions of a C file, or None where they cannot be had."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler or not source.exists():
        return None
    identity = [
        source.read_text(),
        HEADER.read_text(),
        *_FLAGS,
        compiler,
        torch.__version__,
        _processor(),
    ]
    name = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "r1"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{source.stem}-{name}.so"
        if not target.exists() and not _compile(compiler, source, target):
            return None
        return ctypes.CDLL(str(target))
    except OSError:  # no folder to write to, or an object that does not load here
        return None


def _processor() -> str:
    """What decides which instructions -march=native may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return platform.machine() + next((line for line in lines if line.startswith("flags")), "")


def _compile(compiler: str, source: Path, target: Path) -> bool:
    """Try the flags from best to plainest; the finished file is put in place whole."""
    for variant in _VARIANTS:
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            made = Path(scratch) / "native.so"
            include = f"-I{HEADER.parent}"
            command = [compiler, *_FLAGS, *variant, include, str(source), "-o", str(made), "-lm"]
            try:
                done = subprocess.run(command, capture_output=True, timeout=120, check=False)
            except (OSError, subprocess.TimeoutExpired):
                return False
            if done.returncode == 0:
                os.replace(made, target)
                return True
    return False
