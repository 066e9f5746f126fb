"""Memory and processor time of a run's processes, read from /proc."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable
from typing import NamedTuple

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_SHORTEST_S = 0.01
_FIRST_LOOK_S = 0.03
LOOK_S = 0.25


def descendants(root: int) -> list[int]:
    """Return the process ids below `root`, without `root`."""
    found: list[int] = []
    queue = [root]
    while queue:
        pid = queue.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                children = [int(word) for word in read(f"/proc/{pid}/task/{task}/children").split()]
                found += children
                queue += children
    return found


def resident_kb(pids: list[int]) -> int:
    """Return the sum of resident memory; shared pages count once per process."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            total += int(read(f"/proc/{pid}/statm").split()[1])
    return total * resource.getpagesize() // 1024


def proportional_kb(pids: list[int]) -> int:
    """Return the sum of resident memory; each page counts once (Pss)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = read(f"/proc/{pid}/smaps_rollup").splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


class Use(NamedTuple):
    """Processor seconds so far, reaped processes included, and whether any process wants more."""

    cpu_s: float
    is_awake: bool


def use_of(pids: list[int]) -> Use:
    """Return the processes' use, and whether one of their threads runs or waits for a processor."""
    ticks, is_awake = 0, False
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = _stat(f"/proc/{pid}/stat")
            ticks += sum(int(field) for field in fields[11:15])
            is_awake = is_awake or fields[0] == "R"
            for task in () if is_awake else os.listdir(f"/proc/{pid}/task"):
                is_awake = is_awake or _stat(f"/proc/{pid}/task/{task}/stat")[0] == "R"
    return Use(ticks * _TICK_S, is_awake)


def _stat(path: str) -> list[str]:
    """Return the fields after the name (it may contain anything): state first, user time at 11."""
    return read(path).rpartition(")")[2].split()


class Meter:
    """Measures a run up to LOOK_S apart, sooner when it may exceed its processor time.

    The moments are random, or a program could be awake in just those.

    asleep_s: seconds in which none of its processes ran or waited for a processor.
    cpu_s: processor seconds at the last look.
    """

    def __init__(
        self, started: float, cpu_limit_s: float | None, group_cpu_s: Callable[[], float | None]
    ) -> None:
        """Start an account. group_cpu_s: the control group's count since its creation; None without
        one."""
        self.asleep_s = self.cpu_s = 0.0
        self._limit_s = cpu_limit_s
        self._group_cpu_s = group_cpu_s
        self._counted_before = group_cpu_s()
        self._started = self._looked = started
        self._was_asleep = self._has_begun = False
        self._due = started + min(_FIRST_LOOK_S, self._pause_s(0.0))

    def due_in(self, now: float) -> float:
        """Return the seconds to the next measurement."""
        return self._due - now

    def look(self, pids: list[int], now: float) -> bool:
        """Measure; return whether the processes exceed the limit together. No pids: not started
        yet."""
        used = use_of(pids)
        self._has_begun = self._has_begun or bool(pids)
        self._was_asleep = bool(pids) and not used.is_awake
        self._pass(now)
        self.count(used.cpu_s)
        self._due = now + self._pause_s(self.cpu_s)
        return self._limit_s is not None and self.cpu_s > self._limit_s

    def end(self, now: float) -> None:
        """Close the account; the run is charged since the last measurement at its last rate."""
        self._pass(now)
        self.count(0.0)

    def count(self, cpu_s: float) -> None:
        """Take the larger of the processes' sum and the group's count."""
        counted = self._group_cpu_s()
        if counted is not None and self._counted_before is not None:
            cpu_s = max(cpu_s, counted - self._counted_before)
        self.cpu_s = max(self.cpu_s, cpu_s)

    def _pass(self, now: float) -> None:
        if self._was_asleep:
            self.asleep_s += now - self._looked
        if self._has_begun or now - self._started > LOOK_S:  # a usual start belongs to what follows
            self._looked = now

    def _pause_s(self, used_s: float) -> float:
        usual_s = LOOK_S * (0.5 + os.urandom(1)[0] / 256)
        if self._limit_s is None:
            return usual_s
        soonest = (self._limit_s - used_s) / (os.cpu_count() or 1)
        return min(usual_s, max(_SHORTEST_S, soonest))


def read(path: str) -> str:
    """Return the text of a small file."""
    with open(path, errors="replace") as file:
        return file.read()
