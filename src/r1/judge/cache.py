"""Paid replies on disk: an append-only file of JSON lines.

A line is a reply with the key of its request and the nonce it must return, or the record of a
request that brought no reply and may have been billed. Verdicts are read from the replies every
time, so that a stricter or better reader costs nothing.

key = SHA-256 over the model's identity, the prompt with a placeholder for its nonce, and the
number of the vote: the same question to the same model, and nothing else.

A line is written under a lock in one call, before anyone sees its verdict. What a killed process
leaves behind is at most one torn line: the next writer begins a new line after it, and readers
pass over it. Several processes may share a file; each sees the others' lines. Lines are on disk
for good (fdatasync) within about a second: only that second can be lost with the power.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from r1.errors import UserError
from r1.judge.budget import TokenUsage
from r1.judge.http_reply import MAX_TOKENS
from r1.judge.model import Reply
from r1.judge.settings import JUDGE_WORDS, EndpointWords

SYNC_EVERY_S = 1.0


class Kept(NamedTuple):
    """A paid reply with the nonce of its prompt."""

    nonce: str
    reply: Reply


def cache_key(identity: dict[str, Any], prompt: str, vote: int) -> str:
    """Return the key of a request; prompt contains prompt.PLACEHOLDER for its nonce."""
    content = json.dumps([identity, prompt, vote], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


class ReplyCache:
    """Replies by key; a key has several if the first were malformed. Not thread-safe.

    Memory holds where the lines are, not what is in them. path None keeps them in memory.
    Raises UserError for a file that cannot be written or is something else.
    """

    def __init__(self, path: Path | None, words: EndpointWords = JUDGE_WORDS) -> None:
        self.path = path
        self._words = words
        self.usage = TokenUsage()
        self.num_damaged = 0
        self._lines: dict[str, list[tuple[int, int]]] = {}
        self._held: dict[str, list[Kept]] = {}
        self._read_to = 0
        self._synced = time.monotonic()
        self._file = -1 if path is None else _open(path, words)
        if path is not None:
            self._read_on()
            if self.num_damaged and not self._lines and not self.usage.requests:
                self.close()
                raise UserError(
                    f"{path} is not a cache of an endpoint's replies; name a new file as "
                    f"{words.section}.cache."
                )

    def get(self, key: str) -> list[Kept]:
        """Return the stored replies of a key, oldest first."""
        if self.path is None:
            return list(self._held.get(key, ()))
        self._read_on()
        return [self._load(*place) for place in self._lines.get(key, ())]

    def add(self, key: str, nonce: str, reply: Reply) -> None:
        """Store a reply before it is used."""
        if self.path is None:
            self._held.setdefault(key, []).append(Kept(nonce, reply))
            self.usage.add(TokenUsage(1, reply.tokens_in, reply.tokens_out))
            return
        record = {
            "key": key,
            "nonce": nonce,
            "tokens_in": reply.tokens_in,
            "tokens_out": reply.tokens_out,
            "finish_reason": reply.finish_reason,
            "reply": reply.text,
        }
        more = {"first_token": reply.first_token, "thinking": reply.thinking}
        self._append(record | {name: value for name, value in more.items() if value})

    def add_unanswered(self, key: str, cause: str, usage: TokenUsage) -> None:
        """Record a request that brought no reply and may be billed."""
        if self.path is None:
            self.usage.add(usage)
            return
        tokens = {"tokens_in": usage.tokens_in, "tokens_out": usage.tokens_out}
        self._append({"key": key, **tokens, "unanswered": cause})

    def close(self) -> None:
        """Flush to the disk and close; may be called twice."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record).encode() + b"\n"
        try:
            with _locked(self._file):
                size = os.fstat(self._file).st_size
                torn = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"
                data = b"\n" + line if torn else line
                while data:
                    data = data[os.write(self._file, data) :]
        except OSError as error:
            raise UserError(
                f"{self._words.owner}'s cache {self.path} cannot be written ({error.strerror}); "
                "make room, then start the same command again."
            ) from None
        if time.monotonic() - self._synced > SYNC_EVERY_S:
            os.fdatasync(self._file)
            self._synced = time.monotonic()
        self._read_on()

    def _read_on(self) -> None:
        """Read the whole lines that any process appended since the last call."""
        if os.fstat(self._file).st_size <= self._read_to:
            return
        with open(self._file, "rb", closefd=False) as file:
            file.seek(self._read_to)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # torn, or being written
                self._take_in(line, self._read_to)
                self._read_to += len(line)

    def _take_in(self, line: bytes, start: int) -> None:
        try:
            record = json.loads(line)
            usage = TokenUsage(1, _tokens(record["tokens_in"]), _tokens(record["tokens_out"]))
            key = _text(record["key"])
            if "unanswered" not in record:
                _kept(record)
                self._lines.setdefault(key, []).append((start, len(line)))
        except (ValueError, KeyError, TypeError, RecursionError):
            self.num_damaged += 1
            return
        self.usage.add(usage)

    def _load(self, start: int, length: int) -> Kept:
        return _kept(json.loads(os.pread(self._file, length, start)))


def _kept(record: dict[str, Any]) -> Kept:
    """Read a line. Raises TypeError for a field of another type, as the file may be anyone's."""
    text, finish_reason = _text(record["reply"]), _text(record["finish_reason"])
    tokens = _tokens(record["tokens_in"]), _tokens(record["tokens_out"])
    first_token = tuple((_text(token), _logprob(p)) for token, p in record.get("first_token", ()))
    thinking = _text(record.get("thinking", ""))
    reply = Reply(text, finish_reason, *tokens, first_token, thinking)
    return Kept(_text(record["nonce"]), reply)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _logprob(value: Any) -> float:
    if type(value) is not float or not -math.inf < value <= 0.0:
        raise TypeError("no log-probability")
    return value


def _tokens(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_TOKENS:
        raise TypeError("no number of tokens")
    return value


def _open(path: Path, words: EndpointWords) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "not a regular file")
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UserError(
            f"{words.owner}'s cache {path} cannot be written ({error.strerror}); name another file "
            f"as {words.section}.cache."
        ) from None


@contextlib.contextmanager
def _locked(file: int) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
