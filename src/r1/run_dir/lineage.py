"""Where every checkpoint and data set of a run comes from: versions, sources, hashes."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from r1.run_dir import atomic
from r1.run_dir.checkpoint import step_name

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
)


def versions() -> dict[str, str]:
    """Versions of python and of the libraries that decide a run's numbers, without importing."""
    machine = f"{sys.platform} {platform.machine()}"
    found = {"python": platform.python_version(), "platform": machine}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def version_changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """One sentence for each version that differs between the start of a run and now."""
    return [
        f"{name} was {before.get(name, 'absent')} when this run began and is "
        f"{now.get(name, 'absent')} now; the last bits of the result may differ."
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def describe_source(source: str | Path) -> dict[str, Any]:
    """What identifies a model or a data set: its name, and for a path its size and SHA-256.

    A folder's hash is that of its sorted (file name, file hash) pairs.
    """
    path = Path(source)
    if path.is_file():
        return {"source": str(source), "bytes": path.stat().st_size, "sha256": atomic.sha256(path)}
    if not path.is_dir():
        return {"source": str(source)}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    hashes = {file.relative_to(path).as_posix(): atomic.sha256(file) for file in files}
    size = sum(file.stat().st_size for file in files)
    return {"source": str(source), "bytes": size, "sha256": hash_of(hashes)}


def hash_of(value: Any) -> str:
    """SHA-256 of a JSON value in its canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def checkpoint_entry(marker: dict[str, Any], stage: str, parent: dict[str, Any]) -> dict[str, Any]:
    """The line of a checkpoint in lineage.json: made by which stage, from what, with which hash."""
    return {
        "step": marker["step"],
        "folder": f"checkpoints/{step_name(marker['step'])}",
        "stage": stage,
        "parent": parent,
        "bytes": sum(file["bytes"] for file in marker["files"].values()),
        "sha256": hash_of({name: file["sha256"] for name, file in marker["files"].items()}),
    }
