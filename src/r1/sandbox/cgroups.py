"""Control groups, if this process may create them: limits for all processes of a program together.

rlimits bound one process each; a group bounds their sum, and counts their processor time, that of
processes that nobody waited for too. Version 1 has one hierarchy a controller,
version 2 one for all. Nothing is mounted, enabled or moved for this: where no group can be made
below (or, in version 2, beside) this process's own, the supervisor samples memory instead and the
number of processes rests on RLIMIT_NPROC alone.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

BOUNDING = ("memory", "pids")
"""Controllers that a group of version 2 must have; it counts processor time without any."""
CONTROLLERS = (*BOUNDING, "cpuacct")
SUPERVISOR_MB = 24
"""What the supervisor itself may hold in its group, beside the program."""
SUPERVISOR_PIDS = 6
"""The supervisor, bubblewrap's two or three processes, and what execs the program."""


@cache
def group_parents() -> list[str]:
    """Return folders in which a supervisor may create its group, at most one per hierarchy."""
    return find_group_parents(
        Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()
    )


def bounds_memory(parents: list[str]) -> bool:
    """Whether a group below these limits memory."""
    return any(
        Path(parent, "memory.limit_in_bytes").exists()
        or "memory" in _words(Path(parent, "cgroup.subtree_control"))
        for parent in parents
    )


def counts_cpu(parents: list[str]) -> bool:
    """Whether a group below these counts processor time."""
    return any(
        Path(parent, "cpuacct.usage").exists() or Path(parent, "cgroup.subtree_control").exists()
        for parent in parents
    )


def find_group_parents(own_groups: str, mountinfo: str) -> list[str]:
    """Find group_parents from the text of /proc/self/cgroup and /proc/self/mountinfo."""
    mounts = _mounted_controllers(mountinfo)
    parents: list[str] = []
    for line in own_groups.splitlines():
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",") if controllers else [""]
        for name in names:
            if name not in (*CONTROLLERS, "") or name not in mounts:
                continue
            folder = Path(mounts[name] + path)
            choices = [folder] if name else [folder, folder.parent]
            parents += [str(c) for c in choices if _can_make_groups(c, is_unified=not name)][:1]
    return parents


def _mounted_controllers(mountinfo: str) -> dict[str, str]:
    """Map each controller ("" for version 2) to the mount point of its hierarchy."""
    mounts: dict[str, str] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        root, folder = left.split()[3:5]
        kind, _, options = right.split(" ", 2)
        if root != "/":  # a part of the hierarchy only; paths would not fit
            continue
        if kind == "cgroup2":
            mounts[""] = folder
        elif kind == "cgroup":
            mounts.update((name, folder) for name in options.strip().split(","))
    return mounts


def _can_make_groups(folder: Path, is_unified: bool) -> bool:
    if not os.access(folder, os.W_OK) or not os.access(folder / "cgroup.procs", os.W_OK):
        return False
    return not is_unified or set(BOUNDING) <= set(_words(folder / "cgroup.subtree_control"))


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def group_limits(memory_mb: int, processes: int) -> dict[str, str]:
    """Return the files to write for one run, in order, for either version."""
    memory = str((memory_mb + SUPERVISOR_MB) * 2**20)
    return {
        "memory.limit_in_bytes": memory,
        "memory.max": memory,
        "memory.swap.max": "0",
        "memory.oom.group": "0",
        "pids.max": str(processes + SUPERVISOR_PIDS),
    }
