r"""Systems of equations, piecewise values and numbered parts, taken apart line by line.

    \begin{cases} x=1 \\ y=2 \end{cases}, aligned, array, x=1 \\ y=2      ["x=1", "y=2"]
    \begin{cases} x^2 & x>0 \\ -x & x \le 0 \end{cases}                   [("x^2", "x>0"), ...]
    (1) 3; (2) 4                                                          ["3", "4"]

Left out on purpose: "otherwise" and "else", which are no condition that can be compared; rows of
anything but one equation or one value with its condition; parts without their numbers.
"""

from __future__ import annotations

import re

from r1.rewards.math.parts import EQUALS, NAME, split

_ENVIRONMENT = re.compile(
    r"(?P<name>[^=]{1,20}=)?\s*(?:\\?\{)?\s*"
    r"\\begin\{(?P<kind>cases|dcases|aligned|align\*?|gathered|array)\}(?:\s*\{[lcr|\s]{1,6}\})?"
    r"(?P<body>.*)\\end\{(?P=kind)\}\s*",
    re.DOTALL,
)
_BREAK = r"\\\\"
_SIGNS = re.compile(r"[<>]|\\(?:le|ge|ne|in|approx)(?![a-z])")
_IF = re.compile(r"(?:\b(?:if|for|when|where)\b|当|若)\s*|[,，;；]\s*")
_LABEL = re.compile(r"(?:(?<=[\s;,])|\A)\((\d)\)\s*")


def equations_of(text: str) -> list[str] | None:
    """Return the equations of a system, one a line; None for anything else."""
    found = _ENVIRONMENT.fullmatch(text)
    if found and found["name"]:
        return None
    if not found and ("\\begin" in text or "=" not in text):
        return None
    rows = _rows(found["body"] if found else text)
    plain = [row.replace("&", " ").strip(" ,;.") for row in rows]
    if len(plain) < 2 or any(row.count("&") > 1 or not _is_equation(row) for row in rows):
        return None
    return plain


def _rows(body: str) -> list[str]:
    return [row.strip() for row in split(body, _BREAK) or [body] if row.strip(" ,;.")]


def _is_equation(row: str) -> bool:
    plain = row.replace("&", " ")
    sides = split(plain, EQUALS)
    return len(sides) == 2 and all(side.strip() for side in sides) and not _SIGNS.search(plain)


def pieces_of(text: str) -> list[tuple[str, str]] | None:
    r"""Return the values of `f(x) = \begin{cases}...\end{cases}`, each with its condition."""
    found = _ENVIRONMENT.fullmatch(text)
    if not found or (found["name"] and not NAME.fullmatch(found["name"][:-1])):
        return None
    pieces = []
    for row in _rows(found["body"]):
        value, _, condition = row.partition("&")
        value, condition = value.strip(" ,;."), _IF.sub("", condition).strip(" ,;.")
        if not value or "=" in value or "&" in condition or not _SIGNS.search(condition):
            return None
        pieces.append((value, condition))
    return pieces if len(pieces) > 1 else None


def numbered_parts(text: str) -> list[str] | None:
    """Return what stands behind (1), (2), ... in their order; None for anything else."""
    labels = list(_LABEL.finditer(text))
    numbers = [int(label[1]) for label in labels]
    if len(labels) < 2 or labels[0].start() > 0 or numbers != list(range(1, len(labels) + 1)):
        return None
    ends = [label.start() for label in labels[1:]] + [len(text)]
    parts = [text[label.end() : end].strip(" ,;.") for label, end in zip(labels, ends, strict=True)]
    return parts if all(parts) else None
