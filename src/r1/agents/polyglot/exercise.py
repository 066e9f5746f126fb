"""An Exercism task: instructions, the files to edit, the tests, an example solution.

LANGUAGE/exercises/practice/NAME/.meta/config.json     files: solution, test, example
                                /.docs/*.md            instructions
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import TypedDict

from r1.errors import UserError
from r1.files.regular import read_bytes
from r1.files.shapes import Inside, open_shape, read_json

LANGUAGES = ("cpp", "go", "java", "javascript", "python", "rust")
_DOCS = ("introduction.md", "instructions.md", "instructions.append.md")
_BUILD_FILES = frozenset(("CMakeLists.txt", "Cargo.toml", "package.json", "build.gradle", "go.mod"))
"""Never to be edited, whatever a configuration says."""
_MAX_BYTES = 1 << 20


@open_shape
class _Files(TypedDict):
    solution: list[Inside]
    test: list[Inside]
    example: list[Inside]


@open_shape
class _ExerciseConfig(TypedDict):
    files: _Files


@dataclass(frozen=True)
class Exercise:
    """One task. solution, tests, example: path -> text; an example's paths are the solution's.

    others: the project's further files, which stay as they are.
    """

    language: str
    name: str
    instructions: str
    solution: Mapping[str, str]
    tests: Mapping[str, str]
    example: Mapping[str, str]
    others: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.language}/{self.name}"

    @property
    def protected(self) -> tuple[str, ...]:
        """Paths that no edit may touch."""
        return (*self.tests, *self.others)


def read_exercise(folder: Path, language: str) -> Exercise:
    """Read a task's folder. Raises UserError where a file is missing, odd or leads out of it."""
    config = read_json(folder / ".meta" / "config.json", shape=_ExerciseConfig)
    if config is None:
        raise UserError(f"{folder} has no .meta/config.json: it is no exercise.")
    files = config["files"]
    editable = [name for name in files["solution"] if name not in _BUILD_FILES]
    texts = [_text(folder / ".docs" / name) for name in _DOCS if (folder / ".docs" / name).exists()]
    if not editable or not files["test"] or not texts:
        raise UserError(f"{folder} has no files to edit, no tests or no instructions in .docs.")
    solution = {name: _text(folder / name) for name in editable}
    known = {*solution, *files["test"]}
    others = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in (".meta", ".docs")
    )
    return Exercise(
        language=language,
        name=folder.name,
        instructions="\n\n".join(texts),
        solution=solution,
        tests={name: _text(folder / name) for name in files["test"]},
        example=_example(folder, files["example"], editable),
        others=tuple(name for name in others if name not in known),
    )


def _example(folder: Path, names: list[str], editable: list[str]) -> dict[str, str]:
    """The example solution's files under the names of the files to edit, matched by their ends.

    A header that an example lacks stays as it is.
    """
    found: dict[str, str] = {}
    for name in names:
        same = [path for path in editable if Path(path).name == Path(name).name]
        same = same or [path for path in editable if Path(path).suffix == Path(name).suffix]
        if not same:
            raise UserError(f"{folder}: the example {name} stands for no file of the solution.")
        found[same[0]] = _text(folder / name)
    return found


def _text(path: Path) -> str:
    try:
        return read_bytes(path, _MAX_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; restore it from the benchmark's repository.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; restore it.") from None
