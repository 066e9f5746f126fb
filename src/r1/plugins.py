"""Import the user's modules and files, which register or hold rewards, algorithms, stages, data.

"my_module"            a module on PYTHONPATH
"my_file.py"           a file, relative to the recipe's folder or to the working one
"my_file.py:brevity"   a function of that file
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from r1.errors import UserError
from r1.files.python_source import files_from, files_of_module

_REGISTERED: list[str] = []
"""Names of all that registered itself, in order."""
_SILENT: set[str] = set()
"""Modules in sys.modules that registered nothing when they were imported as plugins."""
_HASHES: dict[str, dict[str, str]] = {}
"""By module, the hashes of its source files when it was imported."""
_CALLS = {
    "rewards.plugins": "register_reward or register_verifier (r1.rewards.registry)",
    "--plugin": "register_benchmark (r1.benchmarks.registry) or register_verifier "
    "(r1.rewards.registry)",
    "plugins": "register_algorithm (r1.algorithms.registry) or register (r1.stages.registry)",
}
"""By setting, what its modules call."""
_PREFIX = "r1_plugin_"
_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<name>\w+))?")


def import_plugins(
    modules: Iterable[str], setting: str = "rewards.plugins"
) -> dict[str, Callable[..., Any]]:
    """Import each module or file; return the functions that were named, by their names.

    Raises UserError with the setting and the missing module, file or function, and for a module
    that registers nothing.
    """
    functions = {}
    for module in modules:
        named = _FILE.fullmatch(module)
        if named is not None and named["name"] is not None:
            functions[named["name"]] = load_function(module, None, setting)
            continue
        file = None if named is None else find_file(named["path"])
        name = module if file is None else _name_of(file)
        _refuse_edited(name, file, setting)
        known, before = name in sys.modules and name not in _SILENT, len(_REGISTERED)
        loaded = _import(module, setting) if file is None else _load(file, setting)
        if known or len(_REGISTERED) > before:
            continue
        _SILENT.add(name)
        raise UserError(_registered_nothing(module, loaded, setting))
    return functions


def note_registration(name: str) -> None:
    """Note that something was registered; a plugin whose import notes nothing is refused.

    For a plugin of the user's, too, that registers something with another library alone.
    """
    _REGISTERED.append(name)


def _registered_nothing(module: str, loaded: ModuleType, setting: str) -> str:
    told = f"{setting}: {module!r} was imported and registered nothing; call "
    told += f"{_CALLS.get(setting, _CALLS['plugins'])} in it, or leave it out. Where it registers "
    told += "with another library, it says so: r1.plugins.note_registration(NAME)."
    own = _functions_of(loaded)
    if setting != "rewards.plugins" or not own:
        return told
    file = module if module.endswith(".py") else Path(str(loaded.__file__)).name
    return f'{told} To make a reward of a function, name it: "{file}:{own[0]}".'


def _functions_of(module: ModuleType) -> list[str]:
    """Public names of what a module defines and can be called, not of what it imports."""
    return [
        name
        for name, value in vars(module).items()
        if callable(value)
        and name[0] != "_"
        and getattr(value, "__module__", None) == module.__name__
    ]


def is_function(text: str) -> bool:
    """Whether a text names a function of a file: "my_file.py:brevity"."""
    named = _FILE.fullmatch(text)
    return named is not None and named["name"] is not None


def file_of(text: str, base_folder: Path | None = None) -> Path | None:
    """The file that "my_file.py" or "my_file.py:brevity" names, or None for a module."""
    named = _FILE.fullmatch(text)
    return None if named is None else find_file(named["path"], base_folder)


def load_function(text: str, base_folder: Path | None, setting: str) -> Callable[..., Any]:
    """Return the function that "my_file.py:brevity" names.

    Raises UserError, with the setting, where the file or the function is not there.
    """
    named = _FILE.fullmatch(text)
    assert named is not None, text
    file = find_file(named["path"], base_folder)
    _refuse_edited(_name_of(file), file, setting)
    module = _load(file, setting)
    function = getattr(module, str(named["name"]), None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    own = _functions_of(module)
    near = difflib.get_close_matches(named["name"], own, n=1) or own[:1]
    hint = f"did you mean {near[0]!r}?" if near else "define it there."
    raise UserError(f"{setting}: {named['path']} has no function {named['name']!r}; {hint}")


def find_file(path: str, base_folder: Path | None = None) -> Path:
    """A file: absolute, in base_folder, the working folder, or one of those modules are found in.

    What exists in none is named in the first.
    """
    given = Path(path).expanduser()
    folders = [*([base_folder] if base_folder else []), Path(), *map(Path, sys.path)]
    places = [folder / given for folder in folders]
    return next((place for place in places if place.is_file()), places[0])


def loaded_files() -> dict[str, str]:
    """Return the files that were loaded as plugins in this process, by their modules' names."""
    return {
        name: str(Path(str(module.__file__)).resolve())
        for name, module in sys.modules.items()
        if name.startswith(_PREFIX)
    }


def find_files(files: Mapping[str, str]) -> None:
    """Let this process import what another one loaded: its `loaded_files`."""
    _FromFiles.files |= files
    if not any(isinstance(finder, _FromFiles) for finder in sys.meta_path):
        sys.meta_path.append(_FromFiles())


class _FromFiles(MetaPathFinder):
    """Finds the modules of plugins that are files. files: by the modules' names."""

    files: ClassVar[dict[str, str]] = {}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Implement MetaPathFinder."""
        file = self.files.get(fullname)
        return None if file is None else importlib.util.spec_from_file_location(fullname, file)


def find_beside(folder: Path) -> None:
    """Let plugins that lie in a recipe's folder be found, here and in reward workers."""
    added = str(folder.resolve())
    if added not in sys.path:
        sys.path.append(added)


def _refuse_edited(name: str, file: Path | None, setting: str) -> None:
    """Raise UserError for an imported module whose source was edited since: its old code would run
    under the new source's name, and hash.

    Rewards are read anew in each run's workers, so theirs may be edited.
    """
    if setting == "rewards.plugins" and name in _HASHES:
        return
    found = files_of_module(name) if file is None else files_from(file)
    now = {each: hashlib.sha256(path.read_bytes()).hexdigest() for each, path in found.items()}
    before = _HASHES.get(name, now) if name in sys.modules else now
    _HASHES[name] = before
    edited = [each for each in before | now if before.get(each) != now.get(each)]
    if edited:
        raise UserError(
            f"{setting}: {edited[0]} changed since it was imported; restart Python, or the "
            "notebook's kernel."
        )


def _import(module: str, setting: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{setting}: cannot import {module!r} ({error}); install it, put its folder on "
            'PYTHONPATH, or give its file ("my_file.py").'
        ) from None
    except SyntaxError as error:
        raise _no_python(setting, error) from None


def _no_python(setting: str, error: SyntaxError) -> UserError:
    """The message for a file of the user's that Python cannot read."""
    return UserError(f"{setting}: {error.filename}, line {error.lineno}: {error.msg}; mend it.")


def _name_of(file: Path) -> str:
    """What the module of a file is called in sys.modules."""
    digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()
    return f"{_PREFIX}{file.stem}_{digest[:8]}"


def _load(file: Path, setting: str) -> ModuleType:
    """The module of a file, run once. Raises UserError where there is none."""
    if not file.is_file():
        raise UserError(f"{setting}: {file} does not exist; give a file, relative to the recipe.")
    name = _name_of(file)
    if name in sys.modules:
        return sys.modules[name]
    find_beside(file.parent)  # for what it imports itself
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        del sys.modules[name]
        raise _no_python(setting, error) from None
    except BaseException:
        del sys.modules[name]
        raise
    return module


@cache
def import_modules_of(package: str) -> None:
    """Import every module that stands in a package itself, once; each registers what it has."""
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not found.ispkg:
            importlib.import_module(f"{package}.{found.name}")
