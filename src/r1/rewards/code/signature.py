"""Find the signature of a C++ function or a method, for a stub of the same types. Pure text.

Only plain types are accepted (names, templates, references): the signature becomes part of a
program that the answer must not be able to write, so preprocessor lines, bodies and literals are
refused, not escaped.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_CHARS = 1_000
_TYPE = re.compile(r"[\w:<>,&*\s]+\Z", re.ASCII)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#[^\n]*", re.M)
_WORDS_BEFORE = frozenset({"return", "else", "new", "throw", "using", "typedef", "operator"})
_METHOD_TYPE = re.compile(r"[\w<>,?&\[\].\s]+\Z", re.ASCII)
_MODIFIER = re.compile(
    r"\b(?:public|private|protected|internal|static|final|synchronized|virtual|override|async|unsafe)\b"
)
_ANNOTATION = re.compile(r"@\w+(?:\([^()]*\))?")
_BY_REFERENCE = re.compile(r"\b(?:ref|out|in|this)\b")
_DROPPED = re.compile(r"\b(?:static|inline|constexpr|public|private|protected|virtual)\b\s*:?")


class Signature(NamedTuple):
    """The result's type and the parameters, as written."""

    result: str
    parameters: str


def find_signature(source: str, name: str) -> Signature | None:
    """Return the signature of the first plain definition or declaration of `name`, or None."""
    code = _DIRECTIVE.sub(";", _COMMENT.sub(" ", source))
    definition = rf"\b{re.escape(name)}\s*\(([^(){{}};]*)\)\s*(?:const\s*)?[{{;]"
    for found in re.finditer(definition, code):
        text = code[max(0, found.start() - MAX_CHARS) : found.start()]
        result = _DROPPED.sub(" ", re.split(r"[;{}#]|\n\s*\n", text)[-1]).strip()
        parameters = found[1].strip()
        if not result or result.split()[0] in _WORDS_BEFORE or len(parameters) > MAX_CHARS:
            continue
        if _TYPE.match(result) and (not parameters or _TYPE.match(parameters)):
            return Signature(" ".join(result.split()), " ".join(parameters.split()))
    return None


def find_method(source: str, name: str) -> Signature | None:
    """Return the signature of a Java or C# method; C#'s `ref`, `out` and tuples are not plain."""
    code = _ANNOTATION.sub(" ", _COMMENT.sub(" ", source))
    definition = rf"\b{re.escape(name)}\s*\(([^(){{}};]*)\)\s*(?:throws[\w.,\s]+)?(?:\{{|=>)"
    for found in re.finditer(definition, code):
        text = code[max(0, found.start() - MAX_CHARS) : found.start()]
        result = _MODIFIER.sub(" ", re.split(r"[;{}]", text)[-1]).strip()
        parameters = re.sub(r"\bfinal\b", " ", found[1]).strip()
        if not result or result.split()[0] in _WORDS_BEFORE or len(parameters) > MAX_CHARS:
            continue
        is_plain = _METHOD_TYPE.match(result) and (not parameters or _METHOD_TYPE.match(parameters))
        if is_plain and result != "void" and not _BY_REFERENCE.search(parameters):
            return Signature(" ".join(result.split()), " ".join(parameters.split()))
    return None


def parameter_names(parameters: str) -> list[str]:
    """Return the last word of each parameter; commas in type arguments do not split."""
    flat = parameters
    while (shorter := re.sub(r"<[^<>]*>", "", flat)) != flat:
        flat = shorter
    words = (part.replace("[", " ").replace("]", " ").split() for part in flat.split(","))
    return [part[-1] for part in words if part]
