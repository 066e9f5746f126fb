"""The files outside a run that its settings name: data, models, reward models, plugins.

    model, teacher = "path"          what a model is loaded from: config, weights, tokenizer
    path, samples, examples = "..."  a data file, or every file of a data folder
    searched = "..."                 a search's folder, likewise
    reward_models.X.path = "..."     a reward model
    search.scorer = "..."            one too, but for the names of scorers that are no models
    rewards.plugins = ["module"]     its source, and that of the modules beside it that it imports;
                                     also of a function's file, "my_file.py:problems"

Found by where they stand in the settings, as the pipeline's references are, so that a new section
with such a key needs nothing here. Left out: what has no local file (a hub id that is not cached,
an endpoint, a program that draws problems) and references to other stages ("@stage").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.data.rows import find_data
from r1.data.tiny import MODELS
from r1.errors import UserError
from r1.files.python_source import files_from, files_of_module
from r1.plugins import file_of, is_function
from r1.run_dir.checkpoint import MARKER, find_checkpoint
from r1.run_dir.inputs import Input, hash_files
from r1.run_dir.read import is_run
from r1.steps.scorers import BUILT_IN

_STAGE = "@"
_DATA_KEYS = ("path", "samples", "examples", "searched")
_MODEL_SUFFIXES = (".safetensors", ".json", ".jinja", ".model")
_MODEL_NAMES = ("vocab.txt", "merges.txt")


def inputs_of(settings: Mapping[str, Any], base_folder: Path, model: str = "") -> list[Input]:
    """Hash whatever a recipe's or a stage's dumped settings name outside the run.

    base_folder: where relative paths start. model: the folder that settings["model"] stands for,
    where the caller has resolved it.
    """
    found = []
    for role, kind, value in _named(settings):
        source, files = _files(kind, model if role == "model" and model else value, base_folder)
        found.append(Input(role, source, hash_files(files)))
    return found


def _named(values: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str]]:
    """Every (role, "model" | "scorer" | "data" | "plugin", value) of settings, in their order."""
    if isinstance(values, list | tuple):
        for index, value in enumerate(values):
            yield from _named(value, (*at, str(index)))
    if not isinstance(values, Mapping):
        return
    for key, value in values.items():
        role = ".".join((*at, key))
        if key == "plugins" and isinstance(value, list | tuple):
            yield from ((f"{role}.{module}", "plugin", str(module)) for module in value)
        elif not isinstance(value, str) or value.startswith(_STAGE):
            yield from _named(value, (*at, key))
        elif key in ("model", "teacher") or (key == "path" and "reward_models" in at):
            if "base_url" not in values:  # an endpoint's model is a name
                yield role, "model", value
        elif key == "scorer" and value not in BUILT_IN:
            yield role, "scorer", value
        elif key in _DATA_KEYS:
            yield role, "data", value


def _files(kind: str, value: str, base_folder: Path) -> tuple[str, dict[str, Path]]:
    """What a named thing is called in a record, and its files by their names."""
    if kind == "plugin" or is_function(value):
        return value, dict(sorted(_plugin_files(value, base_folder).items()))
    if kind == "model" and value in MODELS:
        return value, _model_files(MODELS[value])
    if kind == "scorer":
        folder = base_folder / Path(value).expanduser()  # as `find_reward_model` looks
        return str(folder), _model_files(_newest_checkpoint(folder)) if folder.is_dir() else {}
    place = find_data(value, base_folder)
    if kind == "model" and Path(value).expanduser().exists():
        place = Path(value).expanduser()  # as `find_model` looks
    if not place.exists():
        cached = _cached_on_hub(value) if kind == "model" else None
        return value, {} if cached is None else _model_files(cached)
    if place.is_file():
        return str(place), {place.name: place}
    if kind == "model":
        return str(place), _model_files(_newest_checkpoint(place))
    files = sorted(p for p in place.rglob("*") if p.is_file() and not p.name.startswith("."))
    return str(place), {p.relative_to(place).as_posix(): p for p in files}


def _model_files(folder: Path) -> dict[str, Path]:
    """What decides a model's numbers: config, weights, tokenizer, chat template, card."""
    names = sorted(path for path in folder.iterdir() if path.is_file())
    return {
        path.name: path
        for path in names
        if (path.suffix in _MODEL_SUFFIXES or path.name in _MODEL_NAMES) and path.name != MARKER
    }


def _newest_checkpoint(folder: Path) -> Path:
    """The folder itself, or of a run the checkpoint that it stands for."""
    run = folder if is_run(folder) else folder / "run"
    if not is_run(run):
        return folder
    try:
        return find_checkpoint(run)
    except UserError:  # none yet: whoever loads it says so, with the remedy
        return folder


def _cached_on_hub(name: str) -> Path | None:
    """The folder of a hub id's cached revision, or None."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(config).parent if isinstance(config, str) else None


def _plugin_files(module: str, base_folder: Path) -> dict[str, Path]:
    """The source of a module or a file, and of those beside it that it imports, however far."""
    file = file_of(module, base_folder)
    return files_of_module(module) if file is None else files_from(file)
