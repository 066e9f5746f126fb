"""Supervisors: started on first use, kept for the next run, replaced when they die.

`execute` may be called from many threads; each run has its own supervisor while it lasts. A forked
child of this process starts its own supervisors and does not use its parent's.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

from r1.sandbox.cgroups import group_parents
from r1.sandbox.supervisor import GROUP_PREFIX, receive, send

GRACE_S = 5.0
"""Seconds beyond a run's wall clock after which its supervisor itself is given up."""
MAX_IDLE = 8
_SERVE = """import json, sys
sys.path.append(sys.argv[1])
from supervisor.serve import serve
serve(int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
"""
"""The package is imported by itself, below this folder: all of `r1` would cost its start."""


class Observation(NamedTuple):
    """A supervisor's observation of one run.

    `ended_by` is "exit", "wall", "cpu", "output", "memory", "caller", or "lost" where the
    supervisor itself went; `status_text`: bubblewrap's own status.
    """

    ended_by: str
    exit_status: int | None
    status_text: str
    wall_s: float
    cpu_s: float
    asleep_s: float
    peak_kb: int
    num_killed_for_memory: int
    stdout: bytes
    stderr: bytes


class Supervisor:
    """One supervisor process and the channel to it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._channel, other = socket.socketpair()
        command = [sys.executable, "-I", "-S", "-c", _SERVE, str(Path(__file__).parent)]
        command += [str(other.fileno()), str(self.owner), json.dumps(group_parents())]
        with other:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(other.fileno(),),
                env={},
                cwd="/",
            )

    def execute(self, request: dict[str, Any], parts: list[bytes]) -> Observation | None:
        """Run one program; None if the supervisor died or fell silent (it is then ended)."""
        self._channel.settimeout(request["longest_s"] + GRACE_S)
        try:
            send(self._channel, request, parts)
            header, (stdout, stderr) = receive(self._channel)
        except (EOFError, OSError):
            self.close()
            return None
        except BaseException:  # Ctrl-C in the middle: the channel is out of step
            self.close()
            raise
        return Observation(**header, stdout=stdout, stderr=stderr)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End it; the kernel ends the program it was running."""
        self._channel.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for parent in group_parents():  # it does so itself, unless it was killed
            with contextlib.suppress(OSError):
                os.rmdir(f"{parent}/{GROUP_PREFIX}{self._process.pid}")


_idle: list[Supervisor] = []
_lock = threading.Lock()


def execute(request: dict[str, Any], parts: list[bytes]) -> Observation:
    """Send `request` to a supervisor (see `supervisor.Run`); never raises because of the run.

    Where the supervisor itself is killed the run is done once more, by a new one.
    """
    for supervisor in (_take(), None):
        supervisor = supervisor or Supervisor()
        seen = supervisor.execute(request, parts)
        if seen is not None:
            _give_back(supervisor)
            return seen
    return Observation("lost", None, "", request["longest_s"], 0.0, 0.0, 0, 0, b"", b"")


def _take() -> Supervisor | None:
    """Return an idle living supervisor of this process, if there is one."""
    while True:
        with _lock:
            if not _idle:
                return None
            supervisor = _idle.pop()
        if supervisor.owner == os.getpid():
            if supervisor.is_alive():
                return supervisor
            supervisor.close()


def _give_back(supervisor: Supervisor) -> None:
    with _lock:
        if len(_idle) < MAX_IDLE:
            _idle.append(supervisor)
            return
    supervisor.close()


@atexit.register
def close_idle() -> None:
    """End the idle supervisors."""
    with _lock:
        mine = [supervisor for supervisor in _idle if supervisor.owner == os.getpid()]
        _idle.clear()
    for supervisor in mine:
        with contextlib.suppress(OSError):
            supervisor.close()
