r"""The prose of a text, without its formulas, code, links and tags.

    prose("Since $a^2+b^2=c^2$, run `f(3)`.") == "Since  , run  ."

Prose inside formula or code marks is kept: three plain words in a row inside $…$, four inside `…`,
a fenced block whose lines are mostly sentences, and any text in a script that formulas do not use.
Otherwise a reward on the language of the prose would be earned by putting dollar signs around
everything.

Linear in the length of the text, whatever it is.
"""

from __future__ import annotations

import re
import unicodedata

from r1.text.scripts import SCRIPTS, letters_of

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ud800-\udfff]"
)
_FENCE = re.compile(r"[ \t]*(```+|~~~+)")
_COMMENT_LINE = re.compile(r"^\s*(?:#|//|/\*|\*|--|\"\"\"|''')")
_PLAIN_WORD = r"[A-Za-z]{2,}(?:'[a-z]+)?"
_NEXT_WORD = rf"(?:{_PLAIN_WORD}|[aI](?![A-Za-z]))"
_SENTENCE_LIKE = re.compile(rf"(?<![\w\\]){_PLAIN_WORD}(?:[ ,]{{1,3}}{_NEXT_WORD}){{3,}}")
_RUN_OF_THREE = re.compile(rf"(?<![\w\\]){_PLAIN_WORD}(?:[ ,~]{{1,3}}{_NEXT_WORD}){{2,}}")
_NOT_OF_FORMULAS = "".join(letters_of(s) for s in SCRIPTS if s not in ("latin", "greek"))
_FOREIGN_TO_FORMULAS = re.compile(f"[{_NOT_OF_FORMULAS}]+")
_FOREIGN_RUN = re.compile(f"[{_NOT_OF_FORMULAS}]{{4}}")
_TEXT_COMMAND = re.compile(r"\\(?:text|textbf|textit|textrm|mbox|hbox|mathrm|mathbf)\s*\{")
_COMMAND = re.compile(r"\\(?:begin|end)\s*\{[A-Za-z*]{1,30}\}|\\[A-Za-z]+\*?")
_LINK = re.compile(r"(?:https?://|www\.)[!-~]+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}")
_TAG = re.compile(r"</?[A-Za-z][\w-]{0,40}\s{0,3}/?>")
_IDENTIFIER = re.compile(
    r"(?<![A-Za-z0-9_])(?=[A-Za-z_])[A-Za-z0-9]{0,40}(?:_[A-Za-z0-9]{0,40}){1,3}(?![A-Za-z0-9_])"
)
_OPENING = re.compile(r"\\\[|\\\(|\$\$|\$(?=\S)|`+|\\begin\{")
_MATHEMATICS = """
    equation align gather multline eqnarray array matrix pmatrix bmatrix vmatrix cases aligned split
    displaymath math
"""
_MATH_ENVIRONMENTS = frozenset(_MATHEMATICS.split())
_CODE_ENVIRONMENTS = frozenset(("verbatim", "lstlisting", "minted"))
MAX_INLINE_CHARS = 1000
"""Longer than this, nothing between two `$` or two backticks on one line is a formula or code."""
MAX_MONEY = 8
"""Signs of money in a row after which a `$` is no longer looked at as a formula's."""


def clean(text: str) -> str:
    """Normalise full-width letters and look-alikes (NFKC) and remove invisible characters."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def prose(text: str) -> str:
    """Return the text without formulas, code, links, tags and snake_case names.

    Line breaks in the rest are kept.
    """
    kept = _without_spans(without_code_blocks(clean(text)))
    kept = _TAG.sub(" ", _LINK.sub(" ", kept))
    return _IDENTIFIER.sub(" ", _COMMAND.sub(" ", kept))


def code_blocks(text: str) -> list[str]:
    """Return the content of the fenced blocks that hold code; the last may be unclosed."""
    return [block for kind, block in _split_fences(text) if kind == "code"]


def without_code_blocks(text: str) -> str:
    """Return the text with a blank line for each fenced block of code."""
    pieces = ["" if kind == "code" else part for kind, part in _split_fences(text)]
    return "\n".join(pieces)


def _split_fences(text: str) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = []
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            parts.append(_named(lines, fence))
            lines, fence = [], "" if fence else mark[1][:3]
        else:
            lines.append(line)
    parts.append(_named(lines, fence))
    return parts


def _named(lines: list[str], fence: str) -> tuple[str, str]:
    code = bool(fence) and looks_like_code(lines)
    return ("code" if code else "text"), "\n".join(lines)


def looks_like_code(lines: list[str]) -> bool:
    """Whether sentences and comments are not the majority of the lines."""
    filled = [line for line in lines if line.strip()]
    comments = sum(1 for line in filled if _COMMENT_LINE.match(line))
    sentences = sum(1 for line in filled if not _COMMENT_LINE.match(line) and _is_prose(line))
    code = len(filled) - comments - sentences
    return code >= sentences and 2 * code >= comments


def _is_prose(code: str) -> bool:
    """Whether text set as code reads as a sentence."""
    return bool(_SENTENCE_LIKE.search(code) or _FOREIGN_RUN.search(code))


def _without_spans(text: str) -> str:
    """Remove inline code and formulas, but keep the prose inside them."""
    pieces: list[str] = []
    position = 0
    missing: set[str] = set()  # closings that occur nowhere further on
    while opening := _OPENING.search(text, position):
        start, mark = opening.span()[0], opening[0]
        pieces.append(text[position:start])
        end, inside = _find_closing(text, opening, missing)
        if end < 0:
            pieces.append(" ")
            position = opening.end()
            continue
        kept = _prose_in_code(inside) if mark[0] == "`" else _prose_in_formula(inside)
        if mark == "\\begin{":
            kept = _prose_in_environment(inside)
        pieces.append(f" {kept} ")
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


def _find_closing(text: str, opening: re.Match[str], missing: set[str]) -> tuple[int, str]:
    """Return where the span ends and its content; (-1, "") if it is no span."""
    mark, inner = opening[0], opening.end()
    if mark in ("$",) or mark[0] == "`":
        return _find_on_line(text, mark, inner)
    closing = {"\\[": "\\]", "\\(": "\\)", "$$": "$$", "\\begin{": "\\end{"}[mark]
    if closing in missing:
        return -1, ""
    found = text.find(closing, inner)
    if found < 0:
        missing.add(closing)
        return -1, ""
    if mark != "\\begin{":
        return found + len(closing), text[inner:found]
    brace = text.find("}", found, found + 40)
    return (brace + 1 if brace > 0 else found + len(closing)), text[inner:found]


def _find_on_line(text: str, mark: str, inner: int) -> tuple[int, str]:
    limit = min(inner + MAX_INLINE_CHARS, len(text))
    line_end = text.find("\n", inner, limit)
    limit = limit if line_end < 0 else line_end
    found = text.find(mark, inner, limit)
    # As in pandoc: "$5 and $10" is money, a formula's closing $ touches it and no digit follows.
    for _ in range(MAX_MONEY if mark == "$" else 0):
        if found < 0 or not (text[found - 1].isspace() or text[found + 1 : found + 2].isdigit()):
            break
        found = text.find(mark, found + 1, limit)
    return (-1, "") if found < 0 else (found + len(mark), text[inner:found])


def _prose_in_code(code: str) -> str:
    return code if _is_prose(code) else ""


def _prose_in_formula(formula: str) -> str:
    plain = _COMMAND.sub("|", _TEXT_COMMAND.sub(" ", formula)).replace("}", " ")
    runs = [found[0] for found in _RUN_OF_THREE.finditer(plain)]
    return " ".join(runs + [found[0] for found in _FOREIGN_TO_FORMULAS.finditer(formula)])


def _prose_in_environment(inside: str) -> str:
    name, _, body = inside.partition("}")
    name = name.rstrip("*")
    if name in _MATH_ENVIRONMENTS:
        return _prose_in_formula(body)
    if name in _CODE_ENVIRONMENTS:
        return "" if looks_like_code(body.split("\n")) else body
    return body
