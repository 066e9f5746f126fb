"""The claims that ran into a folder before, so that its page has them whoever is named today."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from r1.claims.arms import plan_claims
from r1.claims.results import RESULTS
from r1.claims.settings import LoadedClaim, load_claim
from r1.errors import UserError
from r1.files.shapes import open_shape, read_json

DEFAULT_OUT = Path("runs/claims")


@open_shape
class _RecordedArm(TypedDict):
    stages: list[str]


@open_shape
class _Recorded(TypedDict):
    claim: str
    file: NotRequired[str]
    arms: NotRequired[dict[str, _RecordedArm]]


@open_shape
class RecordedClaims(TypedDict):
    """What is read of claims.json."""

    claims: list[_Recorded]


def has_earlier(out: Path) -> bool:
    """Whether claims ran into a folder before."""
    return (out / RESULTS).is_file()


def earlier_claims(
    out: Path, scale: str, named: Collection[str]
) -> tuple[list[LoadedClaim], list[str]]:
    """Return the claims of OUT/claims.json beside the named ones, and a message for each that
    cannot be read any more."""
    found, messages = [], []
    for entry in (entry for entry in _recorded(out) if entry["claim"] not in named):
        try:
            claim = load_claim(Path(os.path.normpath(out.resolve() / entry.get("file", ""))))
            plan_claims([claim], 1, scale)
        except UserError as error:
            messages.append(
                f"Left out of the page: the claim {entry['claim']}, run before: {error}"
            )
        else:
            found.append(claim)
    return found, messages


def earlier_seeds(out: Path) -> dict[str, int]:
    """Return with how many seeds each claim of OUT/claims.json was run."""
    return {
        entry["claim"]: max(
            (len(arm["stages"]) for arm in entry.get("arms", {}).values()), default=1
        )
        for entry in _recorded(out)
    }


def _recorded(out: Path) -> list[_Recorded]:
    told = read_json(out / RESULTS, shape=RecordedClaims) if out.is_dir() else None
    return [] if told is None else told["claims"]


def command_of(claim: LoadedClaim, folder: Path, out: Path) -> str:
    """Return the command that runs a claim with three seeds. folder: of the claims that are known
    by name."""
    shipped = claim.path.resolve().parent == folder.resolve()
    name = claim.name if shipped else os.path.relpath(claim.path)
    where = "" if out == DEFAULT_OUT else f" --out {shlex.quote(str(out))}"
    return f"r1 reproduce {shlex.quote(name)} --seeds 3{where}"
