"""Messages between a caller and its supervisor.

A message, either way: the lengths of all parts (32 bits each, their count first), then a JSON
object, then raw parts.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

FD_MARK = "\0"
"""An argument of NUL and a number stands for the file descriptor of that part of the message."""
STATUS_MARK = "\0status"


def send(channel: socket.socket, header: dict[str, Any], parts: list[bytes]) -> None:
    """Send one message."""
    payload = [json.dumps(header).encode(), *parts]
    lengths = struct.pack(f"<{len(payload) + 1}I", len(payload), *map(len, payload))
    channel.sendall(b"".join([lengths, *payload]))


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[bytes]]:
    """Receive one message. Raises EOFError if the other side is gone."""
    (count,) = struct.unpack("<I", _exactly(channel, 4))
    lengths = struct.unpack(f"<{count}I", _exactly(channel, 4 * count))
    header, *parts = [_exactly(channel, length) for length in lengths]
    return json.loads(header), parts


def _exactly(channel: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = channel.recv(min(length - len(data), 1 << 20))
        if not piece:
            raise EOFError("the other side has gone")
        data += piece
    return bytes(data)
