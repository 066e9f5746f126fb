"""Read the objects of a JSON document one after the other: an array, or an object with one list.

    [{...}, {...}]
    {"version": "1.1", "data": [{...}, {...}]}

Memory holds one item and what was read ahead of it, whatever the size of the file.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO, Any

from r1.files.json_text import (
    FormatError,
    SyntaxFormatError,
    parse_json_prefix,
)

_CHUNK = 1 << 16
_SPACE = " \t\r\n"


def read_items(file: IO[bytes], max_bytes: int) -> Iterator[Any]:
    """Yield the items of the document's array, or of the one list of objects that it holds.

    An object without such a list is itself the only item. max_bytes: of one item. Raises
    FormatError for what is no JSON, an item beyond max_bytes, and an object with several lists.
    """
    scanner = _Scanner(file, max_bytes)
    if scanner.peek() == "[":
        yield from scanner.items()
        scanner.end()
        return
    name = _only_list(scanner)
    file.seek(0)
    scanner = _Scanner(file, max_bytes)
    if name is None:
        yield scanner.value()
        scanner.end()
        return
    for key in scanner.members():
        if key == name:
            yield from scanner.items()
        else:
            scanner.value()


def _only_list(scanner: _Scanner) -> str | None:
    """The key of the one value that is a list of objects; the document is read to its end."""
    if scanner.peek() != "{":
        scanner.value()
        scanner.end()
        return None
    lists = []
    for key in scanner.members():
        if scanner.peek() != "[":
            scanner.value()
            continue
        num_objects = sum(isinstance(item, dict) for item in scanner.items())  # to the list's end
        if num_objects:
            lists.append(key)
    scanner.end()
    if len(lists) > 1:
        raise FormatError(
            f"holds several lists of objects ({', '.join(lists[:6])}); write the rows of each into "
            "a file of its own"
        )
    return lists[0] if lists else None


class _Scanner:
    """A position in a JSON document that is read as it is needed."""

    def __init__(self, file: IO[bytes], max_bytes: int) -> None:
        self.file = file
        self.max_bytes = max_bytes
        self.decode = codecs.getincrementaldecoder("utf-8-sig")()
        self.text = ""
        self.place = 0
        self.ended = False

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            while self.place < len(self.text):
                if self.text[self.place] not in _SPACE:
                    return self.text[self.place]
                self.place += 1
            if self.ended:
                return ""
            self._read(_CHUNK)

    def value(self) -> Any:
        """The next value."""
        self.peek()
        wanted = _CHUNK
        while True:
            try:
                value, end = parse_json_prefix(self.text, self.place)
                # A number may go on in what was not read yet.
                if end < len(self.text) or self.ended:
                    self.place = end
                    return value
            except SyntaxFormatError:
                if self.ended:
                    raise
            if len(self.text) - self.place > self.max_bytes:
                raise FormatError(f"no whole value within {self.max_bytes >> 20} MiB")
            self._read(wanted)
            wanted *= 2

    def items(self) -> Iterator[Any]:
        """The values of the array that begins here."""
        yield from (self.value() for _ in self._entries("[", "]"))

    def members(self) -> Iterator[str]:
        """The keys of the object that begins here; the caller reads the value after each."""
        for _ in self._entries("{", "}"):
            key = self.value()
            if not isinstance(key, str):
                raise FormatError(f"the key {key!r:.40} is no text")
            self._take(":")
            yield key

    def end(self) -> None:
        """Raise FormatError where anything but white space is left."""
        if self.peek():
            raise FormatError(f"something follows the end of the document: {self.peek()!r}")

    def _entries(self, opening: str, closing: str) -> Iterator[None]:
        self._take(opening)
        if self.peek() == closing:
            self.place += 1
            return
        while True:
            yield
            if self.peek() == closing:
                self.place += 1
                return
            self._take(",")

    def _take(self, character: str) -> None:
        found = self.peek()
        if found != character:
            what = repr(found) if found else "the end of the file"
            raise FormatError(f"not JSON: {what} where {character!r} belongs")
        self.place += 1

    def _read(self, size: int) -> None:
        data = self.file.read(size)
        self.ended = not data
        try:
            more = self.decode.decode(data, final=self.ended)
        except UnicodeDecodeError:
            raise FormatError("not UTF-8; save the file as UTF-8") from None
        self.text = self.text[self.place :] + more
        self.place = 0
