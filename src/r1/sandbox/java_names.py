"""The names that javac and java require for a source: its file's, and the class to start.

A scan of tokens in one pass. Each of its expressions consumes the text it has read, so that its
time is linear in the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_NAME_BYTES = 240
"""A file's name may have 255, its ending included. A longer class can never be written, and javac
says so itself where the file has another name."""

# A literal that is never closed ends with its line, or it would be read again from each of its
# quotes.
_NOISE = re.compile(
    r'//[^\n]*+|/\*.*?(?:\*/|\Z)|"""[\s\S]*?(?:"""|\Z)|"(?:\\.|[^"\\\n])*+"?|'
    r"'(?:\\.|[^'\\\n])*+'?",
    re.DOTALL,
)
_TOKEN = re.compile(r"\w+|[^\w\s]")
_PACKAGE = re.compile(r"^[ \t]*+package\s++([\w.]++)\s*+;", re.MULTILINE)
_KINDS = frozenset({"class", "record", "enum", "interface"})
_MODIFIERS = frozenset({"public", "final", "abstract", "sealed", "strictfp"})


def java_file_name(source: str) -> str:
    """Return the file name that javac requires: that of the public type, else Main.java."""
    is_public, previous = False, ""
    for token in _tokens(_NOISE.sub(" ", source)):
        if is_public and previous in _KINDS and _is_word(token):
            is_short = len(token.encode()) <= MAX_NAME_BYTES
            return f"{token if is_short else 'Main'}.java"
        is_public = token == "public" or (is_public and token in _MODIFIERS | _KINDS)
        previous = token
    return "Main.java"


def main_class(source: str) -> str:
    """Return the innermost type around the first `static void main(`, else Main."""
    code = _NOISE.sub(" ", source)
    package = _PACKAGE.search(code)
    prefix = f"{package[1]}." if package else ""
    open_blocks: list[str] = []  # the type that each opens, "" for other blocks
    declared = before = previous = ""
    is_static = False
    for token in _tokens(code):
        if previous in _KINDS and _is_word(token):
            declared = token
        elif token == "{":
            open_blocks.append(declared)
            declared = ""
        elif token == "}":
            del open_blocks[-1:]
        elif token == "(" and is_static and (before, previous) == ("void", "main"):
            return prefix + ("$".join(filter(None, open_blocks)) or "Main")
        is_static = token == "static" or (is_static and token not in ";{}()")
        before, previous = previous, token
    return f"{prefix}Main"


def _tokens(code: str) -> Iterator[str]:
    return (found[0] for found in _TOKEN.finditer(code))


def _is_word(token: str) -> bool:
    return token[0].isalnum() or token[0] == "_"
