"""One program from its start to the last of its processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from .channel import FD_MARK, STATUS_MARK
from .groups import write
from .processes import LOOK_S, Meter, descendants, proportional_kb, resident_kb
from .uncover import Handshake

_ALL_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # no more seals, no shrinking, no growing, no writing
_SAMPLE_S = 0.02
_REAP_S = 0.8
_CHUNK = 65536


class Run:
    """One program from its start to the last of its processes."""

    def __init__(
        self,
        request: dict[str, Any],
        parts: list[bytes],
        caller: int,
        group_cpu_s: Callable[[], float | None],
    ) -> None:
        self.request = request
        self.caller = caller
        self.output = {"stdout": bytearray(), "stderr": bytearray()}
        self.ended_by = "exit"
        self.left_behind = False
        self.status_text = b""
        self.exit_status: int | None = None
        self.peak_kb = 0
        self.cpu_s = 0.0
        self.started = time.monotonic()
        self.meter = Meter(self.started, request["cpu_s"], group_cpu_s)
        self.uid = request["uid"]
        if request["has_own_uid"]:
            self.uid += os.getpid()
        self.init_pidfd = -1
        self.init_pid = 0
        self._pipes: dict[int, str] = {}
        self.pid = self._start(parts)
        self.pidfd = os.pidfd_open(self.pid)

    def _start(self, parts: list[bytes]) -> int:
        """Fork the program's first process and keep the other ends of its pipes."""
        files = [_memory_file(part) for part in parts]
        writers = {}
        for name in ("stdout", "stderr", "status"):
            reader, writers[name] = os.pipe()
            os.set_blocking(reader, False)
            self._pipes[reader] = name
        numbers = {FD_MARK + str(i): str(fd) for i, fd in enumerate(files)}
        numbers[STATUS_MARK] = str(writers["status"])
        arguments = [numbers.get(word, word) for word in self.request["argv"]]
        handshake = Handshake() if self.request["uncovers"] else None
        pid = os.fork()
        if pid == 0:
            self._become(arguments, files, writers, handshake)
        if handshake is not None:
            handshake.map_users(pid, self.uid)
        for fd in (*files, *writers.values()):
            os.close(fd)
        return pid

    def _become(
        self,
        arguments: list[str],
        files: list[int],
        writers: dict[str, int],
        handshake: Handshake | None,
    ) -> None:
        """In the child: apply limits and user, then execute the first program."""
        try:
            os.dup2(files[0], 0)
            os.dup2(writers["stdout"], 1)
            os.dup2(writers["stderr"], 2)
            for fd in [*files[1:], writers["status"]]:
                os.set_inheritable(fd, self.request["passes_fds"])
            os.setsid()
            with contextlib.suppress(OSError):  # first to go when the machine's memory ends
                write("/proc/self/oom_score_adj", "1000")
            for name, wanted in self.request["hard_limits"].items():
                _raise_hard_limit(getattr(resource, name), wanted)
            for name in ("SIGPIPE", "SIGXFSZ", "SIGINT", "SIGHUP", "SIGTERM"):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            os.umask(0o022)
            if (uid := self.uid) is not None:
                if handshake is not None:
                    handshake.uncover(self.request["uncovers"])
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            os.chdir(self.request["folder"])
            os.execve(arguments[0], arguments, self.request["environment"])
        except BaseException as error:  # nothing may return into the parent's code
            os.write(2, f"r1-sandbox: cannot start {arguments[0]}: {error}\n".encode())
        finally:
            os._exit(126)

    def watch(self, channel: socket.socket) -> None:
        """Read the output until the run ends or breaks a limit; then end all its processes."""
        poller = select.poll()
        for fd in (*self._pipes, self.pidfd, channel.fileno()):
            poller.register(fd, select.POLLIN)
        deadline = self.started + self.request["wall_s"]
        longest = _SAMPLE_S if self.request["sampled_memory_kb"] else LOOK_S
        while True:
            now = time.monotonic()
            if now >= deadline:
                self._uses_too_much(deadline)
                if self._lacked_only_time(now):
                    deadline = min(now + LOOK_S, self.started + self.request["longest_s"])
                    continue
                self.ended_by = "wall"
                break
            wait_s = min(deadline - now, self.meter.due_in(now), longest)
            ready = [fd for fd, _ in poller.poll(1000 * max(wait_s, 0) + 1)]
            for fd in ready:
                if fd in self._pipes and not self._read(fd):
                    poller.unregister(fd)
                    os.close(fd)
                    del self._pipes[fd]
            if channel.fileno() in ready or os.getppid() != self.caller:
                self.ended_by = "caller"
            elif self.request["sampled_memory_kb"] and self._holds_too_much():
                self.ended_by = "memory"
            elif self.meter.due_in(now := time.monotonic()) <= 0 and self._uses_too_much(now):
                self.ended_by = "cpu"
            if self.ended_by != "exit" or self.pidfd in ready:
                break
        self.meter.end(min(time.monotonic(), deadline))
        self._end()
        self.meter.count(self.cpu_s)

    def _lacked_only_time(self, now: float) -> bool:
        """Whether a run was kept waiting for a processor, and may wait on."""
        if self.request["cpu_s"] is None or now >= self.started + self.request["longest_s"]:
            return False
        return self.meter.cpu_s + self.meter.asleep_s < self.request["cpu_s"]

    def _read(self, fd: int) -> bool:
        """Read from a pipe; return False at its end."""
        piece = os.read(fd, _CHUNK)
        name = self._pipes[fd]
        if name == "status":
            self.status_text += piece
            self._find_init()
            return bool(piece)
        room = self.request["limit_" + name] - len(self.output[name])
        self.output[name] += piece[: max(room, 0)]
        if len(piece) > room and not self.request["cuts_" + name]:
            self.ended_by = "output"
        return bool(piece)

    def _find_init(self) -> None:
        """Find the first process of the namespace, whose death ends all processes in it."""
        if self.init_pidfd < 0 and b"}" in self.status_text:
            first = json.loads(self.status_text[: self.status_text.index(b"}") + 1])
            with contextlib.suppress(ProcessLookupError):
                self.init_pid = first["child-pid"]
                self.init_pidfd = os.pidfd_open(self.init_pid)

    def _holds_too_much(self) -> bool:
        """Whether all processes together exceed the limit; shared pages count once."""
        limit = self.request["sampled_memory_kb"]
        pids = descendants(self.init_pid or self.pid)
        return resident_kb(pids) > limit and proportional_kb(pids) > limit

    def _uses_too_much(self, now: float) -> bool:
        """Measure the processor time of all processes, or of none before the program starts."""
        if not self.request["passes_fds"]:
            return self.meter.look([self.pid, *descendants(self.pid)], now)
        return self.meter.look(descendants(self.init_pid) if self.init_pid else [], now)

    def _end(self) -> None:
        """Kill all processes of the sandbox, reap them, and drain the pipes."""
        for pidfd in (self.init_pidfd, self.pidfd):
            if pidfd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        deadline = time.monotonic() + _REAP_S
        while (left := self._reap()) and time.monotonic() < deadline:
            for pid in descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.0005)
        self.left_behind = left
        for fd in list(self._pipes):
            with contextlib.suppress(BlockingIOError):
                while self._read(fd):
                    pass
            os.close(fd)
        for fd in (self.pidfd, self.init_pidfd):
            if fd >= 0:
                os.close(fd)

    def _reap(self) -> bool:
        """Reap dead processes; return whether any of ours still lives.

        The figures of the namespace's first process hold those of all it has waited for. The outer
        bubblewrap's own are left out: they would say what this supervisor weighs.
        """
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.cpu_s += usage.ru_utime + usage.ru_stime
            if pid == self.pid:
                self.exit_status = os.waitstatus_to_exitcode(status)
            if pid != self.pid or not self.request["passes_fds"]:
                self.peak_kb = max(self.peak_kb, usage.ru_maxrss)

    def answer(self) -> tuple[dict[str, Any], list[bytes]]:
        """Return the result as a message."""
        header = {
            "ended_by": self.ended_by,
            "exit_status": self.exit_status,
            "status_text": self.status_text.decode(),
            "wall_s": time.monotonic() - self.started,
            "cpu_s": self.meter.cpu_s,
            "asleep_s": self.meter.asleep_s,
            "peak_kb": self.peak_kb,
        }
        return header, [bytes(self.output["stdout"]), bytes(self.output["stderr"])]


def _memory_file(content: bytes) -> int:
    """Return a file descriptor of an anonymous file with `content`, at its start.

    The program gets it sealed and open for reading only: what it does with its standard input
    cannot outgrow what was given.
    """
    fd = os.memfd_create("input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _ALL_SEALS)
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(fd)


def _raise_hard_limit(number: int, wanted: int) -> None:
    """Raise a hard limit to the program's; only a privileged caller can."""
    _, hard = resource.getrlimit(number)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(number, (wanted, wanted))
