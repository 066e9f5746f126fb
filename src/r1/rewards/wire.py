"""Messages between the reward pool and its workers."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Problem

PROGRESS = struct.Struct("=qd")
"""Shared memory: the item a worker is at, and when it began (time.monotonic, machine-wide)."""
IDLE = -1
PREPARING = -2
"""In place of an item: waiting for a job; warming up the verifiers of one."""
_LENGTH = struct.Struct("=Q")


class Setup(NamedTuple):
    """The first message to a worker."""

    settings: RewardSettings
    form: PromptForm


class ScoreItem(NamedTuple):
    """One score to compute: a reward of one sample or, with reward None, the equality of a pair."""

    number: int
    reward: str | None
    sample: int = 0
    pair: tuple[str, str] = ("", "")


class Job(NamedTuple):
    """Items of one problem. completions carry no log-probabilities."""

    problem: Problem
    completions: list[Completion]
    items: list[ScoreItem]
    verifiers: tuple[str, ...]


def send(channel: socket.socket, message: bytes) -> None:
    """Send one message. Raises OSError or TimeoutError if the other side is gone or stuck."""
    channel.sendall(_LENGTH.pack(len(message)) + message)


def receive(channel: socket.socket) -> bytes:
    """Wait for one message. Raises EOFError if the other side is gone."""
    (length,) = _LENGTH.unpack(_receive_exactly(channel, _LENGTH.size))
    return _receive_exactly(channel, length)


def _receive_exactly(channel: socket.socket, length: int) -> bytes:
    pieces, missing = [], length
    while missing:
        try:
            piece = channel.recv(min(missing, 2**20))
        except ConnectionError:
            raise EOFError from None
        if not piece:
            raise EOFError
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
