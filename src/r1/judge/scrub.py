"""Remove a secret key from every text that comes from an endpoint or describes it.

    hide = KeyScrubber("sk-…")
    hide("Incorrect API key: sk-…")             # "Incorrect API key: (key)"

Endpoints, gateways and models quote the key: whole, cut, broken over lines, in quotation marks'
escapes, URL-encoded, as an HTML entity, in base64 or hexadecimal digits. All of these count as the
key, and so does a piece of MIN_PIECE characters. Scrub before a text is cut: a shorter rest of a
key is no longer recognised.

Left out on purpose: ciphers and spelling backwards. The operator of the endpoint has the key
anyway; the scrubber protects the run's folder, its report and the terminal.
"""

from __future__ import annotations

import base64
import bisect
import re
from collections.abc import Iterator
from typing import NamedTuple

MARK = "(key)"
MIN_PIECE = 8
"""A piece of the key this long is hidden; a shorter key only as a word of its own."""
MIN_TAIL = 6
"""A beginning of the key this long is hidden where the text ends in it: it was cut there."""
MAX_CHARS = 2**20
"""Longer texts are cut: no reply of use is as long."""
_STEP = 4  # pieces are found by every fourth group of four characters, then extended

# What may stand between two characters of a broken key, and other ways to write a character.
_WRITTEN = re.compile(
    r"%([0-9a-fA-F]{2})|\\+u([0-9a-fA-F]{4})|\\+x([0-9a-fA-F]{2})|&#x([0-9a-fA-F]{1,6});"
    r"|&#([0-9]{1,7});|(?:\\+[nrtbf/]|[\s\\|\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff])+"
)


class _Folded(NamedTuple):
    """A text with escapes decoded and white space removed, with the origin of each character."""

    text: str
    folded_starts: list[int]
    starts: list[int]
    plain: list[bool]

    def origin(self, position: int) -> int:
        """Return the original position of the character at a folded position."""
        i = bisect.bisect_right(self.folded_starts, position) - 1
        inside = position - self.folded_starts[i] if self.plain[i] else 0
        return self.starts[i] + inside


class KeyScrubber:
    """Replaces a key by MARK in any text; an empty key or None is never found."""

    def __init__(self, key: str | None) -> None:
        self._key = _fold(key or "").text
        self._needles = _spellings(self._key) if len(self._key) >= MIN_PIECE else []
        self._word = (
            re.compile(rf"(?<!\w){re.escape(self._key)}(?!\w)")
            if 0 < len(self._key) < MIN_PIECE
            else None
        )

    def __call__(self, text: str) -> str:
        """Return the text without the key and without surrogates, which cannot be encoded."""
        text = text[:MAX_CHARS].encode("utf-8", "replace").decode()
        if self._word is not None:
            return self._word.sub(MARK, text)
        if not self._needles:
            return text
        folded = _fold(text)
        found = sorted(self._found(folded.text))
        pieces, end = [], 0
        for first, last in found:
            start = folded.origin(first)
            if start >= end:
                pieces += [text[end:start], MARK]
            end = max(end, _end_of(folded, last, len(text)))
        return "".join([*pieces, text[end:]])

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the first and last position of each piece of a spelling."""
        for needle in self._needles:
            for offset in range(0, len(needle) - _STEP + 1, _STEP):
                yield from _pieces(text, needle, offset)
        for length in range(min(len(self._key), len(text)), MIN_TAIL - 1, -1):
            if text.endswith(self._key[:length]):
                yield len(text) - length, len(text) - 1
                return


def _pieces(text: str, needle: str, offset: int) -> Iterator[tuple[int, int]]:
    """Yield matches of `needle` around its characters offset … offset + _STEP."""
    core = needle[offset : offset + _STEP]
    at = text.find(core)
    while at >= 0:
        low, first = offset, at
        while low > 0 and first > 0 and needle[low - 1] == text[first - 1]:
            low, first = low - 1, first - 1
        high, after = offset + _STEP, at + _STEP
        while high < len(needle) and after < len(text) and needle[high] == text[after]:
            high, after = high + 1, after + 1
        if after - first >= MIN_PIECE:
            yield first, after - 1
        at = text.find(core, max(at + 1, after - _STEP + 1))


def _spellings(key: str) -> list[str]:
    """Return the spellings of the key: both cases, base64 at each alignment, hexadecimal."""
    data = key.encode()
    spelled = [key, key.lower(), key.upper(), data.hex(), data.hex().upper()]
    for shift in range(3):
        # The characters that what stands before or after the key has a share in are left out.
        whole = base64.b64encode(b"\0" * shift + data)[(0, 2, 3)[shift] :].decode()
        core = whole.rstrip("=")
        core = core if (len(data) + shift) % 3 == 0 else core[:-1]
        spelled += [core, core.replace("+", "-").replace("/", "_")]
    return list(dict.fromkeys(spelled))


def _fold(text: str) -> _Folded:
    parts: list[str] = []
    folded = _Folded("", [], [], [])
    length = end = 0
    for found in _WRITTEN.finditer(text):
        digits = next(
            ((g, base) for g, base in zip(found.groups(), _BASES, strict=True) if g), None
        )
        decoded = "" if digits is None else _character(*digits)
        for piece, start, plain in (
            (text[end : found.start()], end, True),
            (decoded, found.start(), False),
        ):
            if piece:
                folded.folded_starts.append(length)
                folded.starts.append(start)
                folded.plain.append(plain)
                parts.append(piece)
                length += len(piece)
        end = found.end()
    folded.folded_starts.append(length)
    folded.starts.append(end)
    folded.plain.append(True)
    return folded._replace(text="".join([*parts, text[end:]]))


_BASES = (16, 16, 16, 16, 10)


def _character(digits: str, base: int) -> str:
    code = int(digits, base)
    return chr(code) if code < 0x80 else "\ufffd"


def _end_of(folded: _Folded, last: int, length: int) -> int:
    """Return where the original of the character at folded position `last` ends."""
    i = bisect.bisect_right(folded.folded_starts, last) - 1
    if folded.plain[i]:
        return folded.origin(last) + 1
    # An escape ends where what follows it begins: leave nothing of it over.
    return folded.starts[i + 1] if i + 1 < len(folded.starts) else length
