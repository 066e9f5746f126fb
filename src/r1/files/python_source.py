"""The source files of a plugin: its own, and those of the modules beside it that it imports."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

_INSTALLED = ("site-packages", "dist-packages")


def files_from(file: Path) -> dict[str, Path]:
    """Return a source file and the modules of its folder that it imports, however far, by name."""
    found: dict[str, Path] = {}
    if file.is_file():
        _follow(file, file.parent, found)
    return found


def files_of_module(module: str) -> dict[str, Path]:
    """Return those of a module on the path of imports, or all of a package; {} if there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, SyntaxError):  # importing it says why
        spec = None
    if spec is None or spec.origin is None:
        return {}
    origin = Path(spec.origin)
    if spec.submodule_search_locations:
        return {f"{origin.parent.name}/{p.relative_to(origin.parent)}": p
                for p in origin.parent.rglob("*.py")}  # fmt: skip
    return files_from(origin)


def _follow(file: Path, folder: Path, found: dict[str, Path]) -> None:
    """Add a source file and the modules of its folder that it imports."""
    name = file.relative_to(folder).as_posix()
    if name in found:
        return
    found[name] = file
    if file.suffix != ".py" or any(part in _INSTALLED for part in folder.parts):
        return
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:
        return  # importing it says where
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
        for imported in names:
            stem = folder.joinpath(*imported.split("."))
            top = folder / imported.split(".")[0]
            inside = sorted(top.rglob("*.py")) if (top / "__init__.py").is_file() else []
            for path in (stem.with_suffix(".py"), *inside):
                if path.is_file():
                    _follow(path, folder, found)
