"""Checkpoints: folders in the Hugging Face layout, either complete or absent.

`checkpoints/step-000020` holds the weights after 20 updates. Its marker `checkpoint.json`, written
last, gives size and SHA-256 of every other file, so that a truncated or changed one is noticed
before anything is computed from it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field

from r1.config import Settings
from r1.errors import UserError
from r1.files.shapes import read_json
from r1.run_dir import atomic
from r1.run_dir.shapes import CheckpointMark

MARKER = "checkpoint.json"
_NAME = re.compile(r"step-(\d{6,})")


class CheckpointSettings(Settings):
    """How often weights are kept, and how many checkpoints."""

    every: int = Field(
        default=10, ge=1, description="steps from one checkpoint to the next; the end has one too"
    )
    keep: int = Field(default=2, ge=0, description="so many of the newest are kept; 0: all")


def step_name(step: int) -> str:
    """Return a name that sorts by step: step-000020."""
    return f"step-{step:06d}"


def checkpoint_steps(run_folder: Path) -> list[int]:
    """Return the number of updates behind each checkpoint of a run, ascending."""
    return numbered(run_folder / "checkpoints", "")


def numbered(folder: Path, suffix: str) -> list[int]:
    """Return the N of every entry step-N<suffix> in `folder`, ascending; [] without the folder."""
    if not folder.is_dir():
        return []
    found = []
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name.removesuffix(suffix))
        if match and path.name.endswith(suffix):
            found.append(int(match[1]))
    return sorted(found)


def write_checkpoint(folder: Path, step: int, save: Callable[[Path], None]) -> dict[str, Any]:
    """Fill a temporary folder by `save`, add the marker, rename the folder; return the marker.

    Raises UserError for a full disk; earlier checkpoints are untouched.
    """
    temporary = folder.with_name(atomic.TEMPORARY + folder.name)
    with atomic.writing(folder):
        try:
            folder.parent.mkdir(exist_ok=True)
            if temporary.exists():
                atomic.remove(temporary)
            temporary.mkdir()
            save(temporary)
            marker = _seal(temporary, step)
            if folder.exists():
                atomic.remove(folder)
            os.rename(temporary, folder)
        except BaseException as error:
            full = atomic.is_disk_full(error, folder.parent)  # before room is made
            written = _size(temporary)
            if temporary.exists():
                atomic.remove(temporary)
            if full:
                raise atomic.disk_full(folder, _numbers(folder, written)) from error
            raise
        atomic.flush_folder(folder.parent)
    return marker


def _size(folder: Path) -> int:
    """Return the bytes of the files below a folder; 0 without the folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _numbers(folder: Path, written: int) -> str:
    """Return the space needed (that of the previous checkpoint) and the free space, as text."""
    earlier = [s for s in checkpoint_steps(folder.parent.parent) if step_name(s) != folder.name]
    before = _size(folder.parent / step_name(earlier[-1])) if earlier else 0
    need = f"about {_megabytes(before)}" if before > written else f"over {_megabytes(written)}"
    return f" (it needs {need}, and {_megabytes(shutil.disk_usage(folder.parent).free)} are free)"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _seal(folder: Path, step: int) -> dict[str, Any]:
    """Flush every file of a checkpoint and write its marker."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        atomic.flush_file(path)
        name = path.relative_to(folder).as_posix()
        files[name] = {"bytes": path.stat().st_size, "sha256": atomic.sha256(path)}
    for path in folder.rglob("*"):
        if path.is_dir():
            atomic.flush_folder(path)
    marker = {"step": step, "files": files}
    atomic.write_json(folder / MARKER, marker)
    return marker


def read_marker(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's marker. Raises UserError if it is missing or unreadable."""
    try:
        marker = read_json(folder / MARKER, shape=CheckpointMark)
    except UserError as error:
        raise _damaged(folder, MARKER, f"cannot be used: {error}") from None
    if marker is None:
        raise _damaged(folder, MARKER, "is missing")
    return marker


def verify_checkpoint(folder: Path, hashes: bool = True) -> dict[str, Any]:
    """Compare every file with the marker and return it; UserError names the first difference."""
    marker = read_marker(folder)
    for name, expected in marker["files"].items():
        path = folder / name
        if not path.is_file():
            raise _damaged(folder, name, "is missing")
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise _damaged(folder, name, f"has {size} bytes instead of {expected['bytes']}")
        if hashes and atomic.sha256(path) != expected["sha256"]:
            raise _damaged(folder, name, "has other content than was written (SHA-256 differs)")
    return marker


def find_checkpoint(run_folder: Path, step: int | None = None) -> Path:
    """Return a run's newest checkpoint, or the one after `step` updates, with its sizes checked.

    Raises UserError when there is none, naming those that exist.
    """
    steps = checkpoint_steps(run_folder)
    if not steps:
        raise UserError(f"{run_folder} holds no checkpoint yet; let the run reach its first one.")
    if step is not None and step not in steps:
        raise UserError(
            f"{run_folder} holds no checkpoint of step {step}; it has {', '.join(map(str, steps))}."
        )
    folder = run_folder / "checkpoints" / step_name(steps[-1] if step is None else step)
    verify_checkpoint(folder, hashes=False)
    return folder


def prune(run_folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints; 0 removes none."""
    for step in checkpoint_steps(run_folder)[:-keep] if keep else []:
        atomic.remove(run_folder / "checkpoints" / step_name(step))


def _damaged(folder: Path, name: str, what: str) -> UserError:
    earlier = [s for s in checkpoint_steps(folder.parent.parent) if step_name(s) < folder.name]
    back = f"go back to step {earlier[-1]}" if earlier else "start from the beginning"
    return UserError(
        f"checkpoint {folder} is damaged: {name} {what}. Nothing was changed. "
        f"Put the file back, or {back}: remove that folder (rm -r {folder}) "
        "and start the same command again."
    )
