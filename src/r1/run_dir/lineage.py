"""The origin of every checkpoint and data set of a run: versions, sources, hashes."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from r1.run_dir.atomic import hash_of, sha256
from r1.run_dir.checkpoint import step_name
from r1.run_dir.inputs import hash_file, hash_files

_PACKAGES = (
    "r1",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "pyarrow",
    "math-verify",
    "reasoning-gym",
    "peft",
    "datasets",
    "sympy",
    "latex2sympy2_extended",
    "langdetect",
    "vllm",
)


def versions() -> dict[str, str]:
    """Return versions of python and the libraries that affect numbers, without importing."""
    machine = f"{sys.platform} {platform.machine()}"
    found = {"python": platform.python_version(), "platform": machine}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {**found, "r1 source": source_hash()}


@cache
def source_hash() -> str:
    """Return a hash of this package's source, which changes more often than its version."""
    package = Path(__file__).parents[1]
    files = sorted(p for p in package.rglob("*") if p.suffix in (".py", ".c", ".h"))
    return hash_of({str(p.relative_to(package)): sha256(p) for p in files})[:12]


def version_changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return a sentence per version that differs between the start of a run and now."""
    return [
        f"{name} was {before.get(name, 'absent')} when this run began and is "
        f"{now.get(name, 'absent')} now; the last bits of the result may differ."
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not _unknown(name, before, now)
    ]


def _unknown(name: str, before: dict[str, str], now: dict[str, str]) -> bool:
    """Whether one run lacks the record of a kernel or of the source, as an older run does."""
    return name.startswith(("kernel ", "r1 source")) and (name not in before or name not in now)


def describe_source(source: str | Path) -> dict[str, Any]:
    """Return a model's or data set's identity: its name and, for a path, size and SHA-256.

    A folder's hash is that of its sorted (file name, file hash) pairs.
    """
    path = Path(source)
    if path.is_file():
        return {"source": str(source), **hash_file(path)._asdict()}
    if not path.is_dir():
        return {"source": str(source)}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    found = hash_files({file.relative_to(path).as_posix(): file for file in files})
    hashes = {name: file.sha256 for name, file in found.items()}
    size = sum(file.bytes for file in found.values())
    return {"source": str(source), "bytes": size, "sha256": hash_of(hashes)}


def short_identity(described: Mapping[str, Any]) -> str:
    """Return the name of what `describe_source` described, and 16 digits of its hash."""
    name, digest = Path(str(described.get("source"))).name, str(described.get("sha256", "unknown"))
    return f"{name} sha256:{digest[:16]}"


def checkpoint_entry(marker: dict[str, Any], stage: str, parent: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's entry in lineage.json: its stage, its inputs, its hash."""
    return {
        "step": marker["step"],
        "folder": f"checkpoints/{step_name(marker['step'])}",
        "stage": stage,
        "parent": parent,
        "bytes": sum(file["bytes"] for file in marker["files"].values()),
        "sha256": hash_of({name: file["sha256"] for name, file in marker["files"].items()}),
    }
