"""The control groups of a supervisor and of the programs it starts."""

from __future__ import annotations

import contextlib
import os
import time

from .processes import read

GROUP_PREFIX = "r1-sandbox-"


class ControlGroups:
    """This supervisor's own groups, one per hierarchy; its children start inside them.

    Moving a process into a group waits for every processor of the machine, so it is done once, not
    once a run. The supervisor is in the group too: its children carry a higher oom_score_adj, so it
    is never the one that is killed.
    """

    def __init__(self, parents: list[str]) -> None:
        self._homes = [(parent, f"{parent}/{GROUP_PREFIX}{os.getpid()}") for parent in parents]
        for parent, group in self._homes:
            _remove_orphans(parent)
            with contextlib.suppress(FileExistsError):
                os.mkdir(group)
            write(f"{group}/cgroup.procs", str(os.getpid()))

    def set_limits(self, values: dict[str, str]) -> None:
        """Write each value into the file of that name in every group that has it."""
        for name, value in values.items():
            for _, group in self._homes:
                if os.path.exists(f"{group}/{name}"):
                    with contextlib.suppress(OSError):  # below what is still held: stays higher
                        write(f"{group}/{name}", value)

    def num_killed(self) -> int:
        """Return how often the kernel killed one of our processes for memory in this group."""
        for _, group in self._homes:
            for name in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError):
                    for line in read(f"{group}/{name}").splitlines():
                        if line.startswith("oom_kill "):
                            return int(line.split()[1])
        return 0

    def cpu_s(self) -> float | None:
        """Return the processor seconds of all processes that ran in the group, without this one;
        None if no group counts them."""
        for _, group in self._homes:
            if os.path.exists(f"{group}/cpuacct.usage"):
                return int(read(f"{group}/cpuacct.usage")) / 1e9 - time.process_time()
            if os.path.exists(f"{group}/cgroup.subtree_control"):
                fields = dict(line.split() for line in read(f"{group}/cpu.stat").splitlines())
                return int(fields["usage_usec"]) / 1e6 - time.process_time()
        return None

    def remove(self) -> None:
        """Leave the groups and remove them."""
        for parent, group in self._homes:
            with contextlib.suppress(OSError):
                write(f"{parent}/cgroup.procs", str(os.getpid()))
                os.rmdir(group)


def _remove_orphans(parent: str) -> None:
    """Remove the groups of supervisors that were killed together with their callers."""
    for name in os.listdir(parent):
        pid = name.removeprefix(GROUP_PREFIX)
        if pid != name and not os.path.exists(f"/proc/{pid}"):
            with contextlib.suppress(OSError):
                os.rmdir(f"{parent}/{name}")


def write(path: str, text: str) -> None:
    """Write a small file."""
    with open(path, "w") as file:
        file.write(text)
