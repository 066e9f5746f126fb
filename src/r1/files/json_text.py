"""Parse JSON and TOML that may be hostile: nesting, repeated keys and numbers are bounded.

Python's parser ends in a RecursionError on deep nesting, takes NaN and 1e999, and lets the last of
two equal keys win. These cases are checked here, so that no reader has to.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MAX_DEPTH = 100
"""Of lists and objects in one another; no file of ours or of a model's comes near."""

_MAX_INTEGER = 1 << 64


class FormatError(ValueError):
    """The fault in a text; the caller adds its place and the remedy."""


class SyntaxFormatError(FormatError):
    """A text that is no JSON; one that was cut inside a value is none either."""


def parse_json(text: bytes | str, finite: bool = False) -> Any:
    """Parse one JSON document. Raises FormatError for anything but well-formed JSON.

    finite: also refuse NaN, infinity and numbers beyond 64 bits, which no file of ours holds.
    """
    decoded = _decoded(text)
    with _json_faults():
        value = (_FINITE if finite else _PLAIN).decode(decoded)
    if decoded.count("[") + decoded.count("{") > MAX_DEPTH:
        _check_depth(value)
    return value


def parse_json_prefix(text: str, start: int) -> tuple[Any, int]:
    """Parse the value that begins at `start`; return it and where it ends.

    Raises FormatError as parse_json does, also where the text ends inside the value.
    """
    with _json_faults():
        value, end = _PLAIN.raw_decode(text, start)
    if text.count("[", start, end) + text.count("{", start, end) > MAX_DEPTH:
        _check_depth(value)
    return value, end


_BACKSLASH = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\/bfnrt]|)')


def with_bare_backslashes(text: str) -> str:
    """Return JSON in which a backslash that escapes nothing is one: models write LaTeX in it."""
    return _BACKSLASH.sub(lambda found: found[0] if found[1] else "\\\\", text)


@contextmanager
def _json_faults() -> Iterator[None]:
    try:
        yield
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise SyntaxFormatError(f"not JSON at {line}column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _too_deep() from None
    except FormatError:
        raise
    except ValueError:  # an integer of more digits than Python reads
        raise FormatError("a number has thousands of digits") from None


def parse_toml(text: bytes) -> dict[str, Any]:
    """Parse a TOML document. Raises FormatError for anything but well-formed TOML."""
    decoded = _decoded(text)
    try:
        value = tomllib.loads(decoded)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(str(error)) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # an integer of thousands of digits, a date that is none
        raise FormatError(str(error)) from None
    _check_depth(value)
    return value


def _decoded(text: bytes | str) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 at byte {error.start + 1}; save the file as UTF-8") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"the key {twice[:80]!r} occurs twice in one object")
    return values


def _check_depth(value: Any) -> None:
    """Check nesting level by level, without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for node in level
            if isinstance(node, dict | list)
            for item in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> FormatError:
    return FormatError(f"lists and objects are nested more than {MAX_DEPTH} deep")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise FormatError(f"the number {text[:40]} is too large")
    return value


def _bounded(text: str) -> int:
    if len(text) > 20 or not -_MAX_INTEGER < (value := int(text)) < _MAX_INTEGER:
        raise FormatError(f"the number {text[:40]} is too large")
    return value


def _refuse(text: str) -> Any:
    raise FormatError(f"{text} is no number of JSON")


_PLAIN = json.JSONDecoder(object_pairs_hook=_unique)
_FINITE = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_finite,
    parse_int=_bounded,
    parse_constant=_refuse,
)
