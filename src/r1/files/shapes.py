"""Read JSON files against the shape that the reader needs; errors name file and field.

A shape is a type: `dict[str, str]`, or a TypedDict with the fields that are read (others pass).
Values are not converted: "7" is no number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError, with_config

from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import MAX_BYTES, open_file, read_bytes

T = TypeVar("T")

open_shape = with_config(ConfigDict(extra="allow"))
"""Decorator of a TypedDict whose other fields pass."""


def _inside(name: str) -> str:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise ValueError("it must name something inside the folder")
    return name


Inside = Annotated[str, AfterValidator(_inside)]
"""A name relative to the file's folder, which cannot lead out of it."""

RESTORE = "restore it or remove it"


def read_json(
    path: Path, default: Any = None, shape: Any = dict[str, Any], finite: bool = True
) -> Any:
    """Parse a JSON file; return `default` if there is none.

    shape: the type it must have. Raises UserError if it is malformed or of another shape, or
    contains NaN or a number beyond 64 bits, unless finite is False (a model's config).
    """
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        return default
    try:
        value = parse_json(content, finite)
    except FormatError as fault:
        raise UserError(f"{path} is not valid JSON ({fault}); {RESTORE}.") from None
    try:
        return fitted(value, shape)
    except FormatError as fault:
        raise UserError(f"{path} cannot be used ({fault}); {RESTORE}.") from None


def read_json_lines(path: Path, shape: Any = dict[str, Any]) -> Iterator[Any]:
    """Yield the lines of a file of JSON lines; nothing if there is no file.

    A torn last line (a write in progress) is left out. Raises UserError, as read_json does, naming
    the line.
    """
    try:
        file = open_file(path)
    except FileNotFoundError:
        return
    with file:
        number = 0
        while line := file.readline(MAX_BYTES):
            number += 1
            if len(line) >= MAX_BYTES:
                raise UserError(
                    f"{path}, line {number}: longer than {MAX_BYTES >> 20} MiB; {RESTORE}."
                )
            if not line.endswith(b"\n"):
                return
            try:
                yield fitted(parse_json(line, finite=True), shape)
            except FormatError as fault:
                raise UserError(f"{path}, line {number}: {fault}; restore the file.") from None


def fitted(value: Any, shape: Any) -> Any:
    """Return the value if it has the shape. Raises FormatError that names the first wrong field."""
    if shape is Any:
        return value
    try:
        _adapter(shape).validate_python(value, strict=True)
        return value  # itself: pydantic would make floats of integers
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part)[:80] for part in first["loc"]) or "the whole of it"
        if first["type"] == "missing":
            raise FormatError(f'it has no "{field}"') from None
        message = first["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        raise FormatError(f"{field}: {message}, not {_shown(first['input'])}") from None


def made_of(kind: type[T], told: Mapping[str, Any]) -> T:
    """Return a named tuple or a dataclass of what a file says; other fields pass, as in shapes."""
    names = getattr(kind, "_fields", None) or [each.name for each in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: told[name] for name in names if name in told})


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
