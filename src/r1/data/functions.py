"""Rows from a function of the user's: path = "my_data.py:problems".

    def problems():
        yield {"prompt": "1 + 1?", "reference": "2"}

The function gives an iterable of dictionaries, and the same ones whenever it is called: a source is
read more than once, and again when a run is carried on.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.data.rows import RowError, Rows, shown
from r1.data.source_base import DataSource
from r1.errors import UserError
from r1.plugins import load_function


def rows_of(source: DataSource, base_folder: Path) -> Callable[[], Rows]:
    """What gives the rows that a source's function makes.

    Raises UserError for a file or a function that is not there.
    """
    spec = str(source.path)
    function = load_function(spec, base_folder, "path")
    parameters: dict[str, Any] = getattr(source, "parameters", {})
    return lambda: _numbered(spec, function, parameters)


def _numbered(spec: str, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Rows:
    for number, row in enumerate(_made(spec, function, parameters), start=1):
        mapping = isinstance(row, Mapping)
        yield number, row if mapping else RowError(f"a row is {shown(row)}; yield a dictionary")


def _check_arguments(
    spec: str, function: Callable[..., Any], parameters: Mapping[str, Any]
) -> None:
    """Raise UserError where the function does not take the parameters that the recipe gives."""
    try:
        inspect.signature(function).bind(**parameters)
    except TypeError as error:
        raise UserError(f"{spec}: {error}; `parameters` beside the path gives them.") from None
    except ValueError:
        return  # some functions in C tell no signature


def _made(spec: str, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Iterator[Any]:
    """What the function gives. Raises UserError where it fails, with the line that failed."""
    _check_arguments(spec, function, parameters)
    try:
        made = function(**parameters)
        if not isinstance(made, Iterable):
            raise UserError(f"{spec} gave {shown(made)}; return a list of dictionaries, or yield.")
        yield from made
    except UserError:
        raise
    except Exception as error:  # the user's code may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}, line {last.lineno}"
        raise UserError(f"{spec}: {type(error).__name__}: {error} ({place}).") from error
