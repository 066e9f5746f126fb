"""The names that a Go file declares for its whole package, where a solution and its tests meet.

`const true = false` or `func len(any) int` beside a test file decides its comparisons and loops.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_TYPES = """any bool byte comparable complex64 complex128 error float32 float64 int int8 int16 int32
int64 rune string uint uint8 uint16 uint32 uint64 uintptr"""
_VALUES = "true false iota nil"
_FUNCTIONS = """append cap clear close complex copy delete imag len make max min new panic print
println real recover"""
PREDECLARED = frozenset(f"{_TYPES} {_VALUES} {_FUNCTIONS}".split())
_OPAQUE = re.compile(
    r"//[^\n]*|/\*.*?\*/|`[^`]*`|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL
)
_TOKEN = re.compile(r"\w+|\S|\n")
_NAMES = re.compile(r"\s*(\w+(?:\s*,\s*\w+)*)")
_GROUPED = ("var", "const", "type")


def shadowed(text: str) -> list[str]:
    """The predeclared names that a file declares outside every function, sorted."""
    return sorted(declared(text, (*_GROUPED, "func")) & PREDECLARED)


def declared(text: str, kinds: Collection[str]) -> set[str]:
    """The names that a file declares for its package by "var", "const", "type" or "func" (`kinds`).

    Methods are their types' own.
    """
    code = _OPAQUE.sub(lambda found: "\n" if found[0].startswith("//") else " ", text)
    names: set[str] = set()
    depth, keyword, group = 0, "", ""
    for token in _TOKEN.finditer(code):
        word = token[0]
        at_top = depth == 0 or (group and depth == 1)
        if at_top and word not in "\n;()":
            if depth == 0 and word in (*_GROUPED, "func"):
                keyword = word
            elif keyword and (found := _NAMES.match(code, token.start())):
                if keyword in kinds:
                    names.update(re.split(r"\s*,\s*", found[1]))
                keyword = ""
        if word in "([{":
            if depth == 0 and word == "(":
                group, keyword = keyword if keyword in _GROUPED else "", ""
            depth += 1
        elif word in ")]}":
            depth -= 1
            group = group if depth else ""
        if group and depth == 1 and word in "\n;(":
            keyword = group
    return names
