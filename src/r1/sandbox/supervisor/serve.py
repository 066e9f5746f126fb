"""A supervisor's main loop."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys

from .channel import receive, send
from .groups import ControlGroups
from .run import Run

_PR_SET_CHILD_SUBREAPER = 36


def serve(fd: int, parent: int, group_parents: list[str]) -> None:
    """Serve requests until the caller closes the channel or ends."""
    channel = socket.socket(fileno=fd)
    channel.set_inheritable(False)  # it came through an exec; a program must not have it
    for number in (signal.SIGINT, signal.SIGHUP):  # the terminal's signals are the caller's
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a caller that ignores it would have it ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    groups = ControlGroups(group_parents)
    try:
        while True:
            while not select.select([channel], [], [], 1.0)[0]:
                if os.getppid() != parent:
                    return
            request, parts = receive(channel)
            groups.set_limits(request["group_limits"])
            num_killed = groups.num_killed()
            run = Run(request, parts, parent, groups.cpu_s)
            run.watch(channel)
            header, output = run.answer()
            header["num_killed_for_memory"] = groups.num_killed() - num_killed
            send(channel, header, output)
            if run.left_behind:
                return  # the kernel holds on to a process: a new supervisor starts clean
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    finally:
        groups.remove()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
