"""Names of Go itself that a solution declares for its whole package, and so for the tests in it.

`const true = false` or `func len(any) int` beside a test file decides its comparisons and loops.
"""

from __future__ import annotations

import re

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
_KEYWORDS = ("var", "const", "type")


def shadowed(text: str) -> list[str]:
    """The predeclared names that a file declares outside every function, sorted."""
    return sorted(set(_declared(text)) & PREDECLARED)


def _declared(text: str) -> list[str]:
    """The names that a file declares for its package; methods are their types' own."""
    code = _OPAQUE.sub(lambda found: "\n" if found[0].startswith("//") else " ", text)
    names: list[str] = []
    depth, keyword, grouped = 0, "", False
    for token in _TOKEN.finditer(code):
        word = token[0]
        at_top = depth == 0 or (grouped and depth == 1)
        if at_top and word not in "\n;()":
            if depth == 0 and word in (*_KEYWORDS, "func"):
                keyword = word
            elif keyword and (found := _NAMES.match(code, token.start())):
                names += re.split(r"\s*,\s*", found[1])
                keyword = ""
        if word in "([{":
            if depth == 0 and word == "(":
                grouped, keyword = keyword in _KEYWORDS, ""
            depth += 1
        elif word in ")]}":
            depth -= 1
            grouped = grouped and depth > 0
        if grouped and depth == 1 and word in "\n;(":
            keyword = "var"
    return names
