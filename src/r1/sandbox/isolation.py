"""Turn a command into a supervisor's request: run in bubblewrap, or without isolation.

Inside bubblewrap a program sees /usr and the dynamic linker's cache read-only, its own files in
/program read-only, an empty /tmp of limited size, six harmless devices and the /proc of its own
process namespace. The root itself is read-only. Nothing else exists there.
"""

from __future__ import annotations

import glob
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.sandbox.bubblewrap import find_bubblewrap, needed_folders
from r1.sandbox.cgroups import bounds_memory, counts_cpu, group_limits, group_parents
from r1.sandbox.command import PROGRAM_FOLDER, WORK_FOLDER, Command, rlimits, with_rlimits
from r1.sandbox.launch import Observation, execute
from r1.sandbox.seccomp import filter_program
from r1.sandbox.settings import SandboxSettings
from r1.sandbox.supervisor import FD_MARK, STATUS_MARK, first_closed
from r1.sandbox.toolchains import INSTALL, find_tool, visible

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": WORK_FOLDER,
    "TMPDIR": WORK_FOLDER,
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
}
"""All that a program finds in its environment. The hash seed makes a verdict repeatable."""

DEVICES = ("null", "zero", "full", "random", "urandom")
LINKS = {
    "/proc/self/fd": "/dev/fd",
    "/proc/self/fd/0": "/dev/stdin",
    "/proc/self/fd/1": "/dev/stdout",
    "/proc/self/fd/2": "/dev/stderr",
    WORK_FOLDER: "/dev/shm",  # so that one size bounds both
}
INSIDE_UID = "1000"
NOBODY = 65534
FIRST_UID, MAX_PID = 0x7000_0000, 2**22
"""A sandbox's user is the first plus its supervisor's process id: above the users that systemd and
containers give out, below those of 31 bits that systemd reserves."""

_STDIN, _FILTER, _FIRST_FILE = 0, 1, 2
"""Places of the parts of a message to the supervisor."""


def observe(command: Command, settings: SandboxSettings) -> Observation:
    """Run a command as the settings say and return the observation."""
    if settings.isolation == "bubblewrap":
        return _observe_in_bubblewrap(command, settings)
    return _observe_without(command)


def _observe_in_bubblewrap(command: Command, settings: SandboxSettings) -> Observation:
    files = [
        (f"{folder}/{name}", content, mode)
        for folder, contents, mode in (
            (PROGRAM_FOLDER, command.program_files, "0555"),
            (WORK_FOLDER, command.work_files, "0644"),
        )
        for name, content in contents.items()
    ]
    placed = [
        word
        for number, (path, _, mode) in enumerate(files, start=_FIRST_FILE)
        for word in ("--perms", mode, "--file", f"{FD_MARK}{number}", path)
    ]
    bwrap = find_bubblewrap()
    if bwrap is None:
        raise UserError(f"running programs needs bubblewrap: {INSTALL['bwrap']}.")
    folders = visible(settings.toolchain_folders)
    size = ["--perms", "1777", "--size", str(command.limits.file_mb * 2**20)]
    argv = [
        *[bwrap, *namespaces(), *size, "--tmpfs", WORK_FOLDER],
        *shown_folders(command.etc, folders),  # some may lie below the working folder
        *placed,
        *environment_flags(command, settings),
        *["--remount-ro", "/", "--chdir", WORK_FOLDER],
        *["--seccomp", f"{FD_MARK}{_FILTER}", "--json-status-fd", STATUS_MARK],
        "--",
        *with_rlimits(command, *_limit_setters(folders)),
    ]
    request = _request(command, argv)
    request |= _other_user()
    if request["uid"] is not None:
        request["uncovers"] = closed_folders((*folders, *needed_folders(bwrap)))
    parts = [command.stdin, _filter(), *(content for _, content, _ in files)]
    return execute(request, parts)


def namespaces() -> list[str]:
    """Return bubblewrap's flags for the namespaces it unshares and for how it ends."""
    return [
        *["--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"],
        *["--uid", INSIDE_UID, "--gid", INSIDE_UID, "--hostname", "sandbox"],
        *["--die-with-parent", "--new-session"],
    ]


@cache
def shown_folders(etc: tuple[str, ...], toolchain_folders: tuple[str, ...]) -> list[str]:
    """Return bubblewrap's flags for the folders that a program can see, all read-only."""
    flags = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            flags += ["--symlink", os.readlink(str(path)), str(path)]
        elif path.is_dir():
            flags += ["--ro-bind", str(path), str(path)]
    paths = ["/etc/ld.so.cache", "/etc/alternatives"]
    paths += [path for pattern in etc for path in sorted(glob.glob(pattern))]
    for shown in (*paths, *toolchain_folders):
        flags += ["--ro-bind-try", shown, shown]
    flags += ["--proc", "/proc", "--size", "4096", "--tmpfs", "/proc/1", "--remount-ro", "/proc/1"]
    flags += ["--dir", PROGRAM_FOLDER, "--dir", "/dev"]
    for name in DEVICES:
        flags += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for target, link in LINKS.items():
        flags += ["--symlink", target, link]
    return flags


def environment_flags(command: Command, settings: SandboxSettings) -> list[str]:
    """Return bubblewrap's flags for the environment, which is otherwise empty."""
    words = ENVIRONMENT | dict(command.environment)
    if folders := visible(settings.toolchain_folders):
        first = ":".join(f"{folder}/bin" for folder in folders)
        words["PATH"] = f"{first}:{words['PATH']}"
    return [word for name, value in words.items() for word in ("--setenv", name, value)]


def _other_user() -> dict[str, Any]:
    """Return the user that programs run as if this process is root: one per supervisor, or nobody
    if the container maps no range of users.

    Users of their own share none of what the kernel counts by user: processes (before Linux 5.14),
    pending signals, pages of pipes, watches of files.
    """
    if _may_become(FIRST_UID + MAX_PID):
        return {"uid": FIRST_UID, "has_own_uid": True}
    return {"uid": NOBODY if _may_become(NOBODY) else None}


@cache
def _limit_setters(folders: tuple[str, ...]) -> tuple[str | None, str | None]:
    return find_tool("prlimit"), find_tool("python3", folders)


@cache
def closed_folders(folders: tuple[str, ...]) -> list[str]:
    """Return the folders that other users cannot reach."""
    return [folder for folder in folders if os.path.isdir(folder) and first_closed(folder)]


@cache
def _may_become(uid: int) -> bool:
    """Whether this process is root and that user exists here; a container may map few users."""
    if os.geteuid() != 0 or "deny" in Path("/proc/self/setgroups").read_text():
        return False
    ranges = [
        map(int, line.split()) for line in Path("/proc/self/uid_map").read_text().splitlines()
    ]
    return any(first <= uid < first + count for first, _, count in ranges)


@cache
def _filter() -> bytes:
    return filter_program(keeps_children=not counts_cpu(group_parents()))


def _request(command: Command, argv: list[str]) -> dict[str, Any]:
    """Return the part of the request that both ways share."""
    limits = command.limits
    groups = group_parents()
    return {
        "argv": argv,
        "passes_fds": True,
        "environment": {},
        "folder": "/",
        "uid": None,
        "has_own_uid": False,
        "uncovers": [],
        "hard_limits": rlimits(command),
        "wall_s": limits.wall_s,
        "longest_s": max(limits.wall_s, limits.starved_wall_s if limits.cpu_s else 0.0),
        "cpu_s": limits.cpu_s,
        "limit_stdout": 1024 * (command.stdout_kb or limits.output_kb),
        "limit_stderr": 1024 * limits.output_kb,
        "cuts_stdout": False,
        "cuts_stderr": command.cuts_stderr,
        "group_limits": group_limits(command.memory_mb, command.processes) if groups else {},
        "sampled_memory_kb": 0 if bounds_memory(groups) else command.memory_mb * 1024,
    }


def _observe_without(command: Command) -> Observation:
    with _files_on_disk(command) as folder:
        moved = [word.replace(PROGRAM_FOLDER, f"{folder}/program") for word in command.argv]
        argv = with_rlimits(command, find_tool("prlimit"), sys.executable)
        argv = [*argv[: len(argv) - len(moved)], *moved]
        request = _request(command, argv)
        request["passes_fds"] = False
        request["folder"] = f"{folder}/work"
        environment = ENVIRONMENT | dict(command.environment)
        request["environment"] = environment | {
            "HOME": f"{folder}/work",
            "TMPDIR": f"{folder}/work",
        }
        return execute(request, [command.stdin])


@contextmanager
def _files_on_disk(command: Command) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="r1-sandbox-", ignore_cleanup_errors=True) as folder:
        for below, contents in (("program", command.program_files), ("work", command.work_files)):
            Path(folder, below).mkdir()
            for name, content in contents.items():
                path = Path(folder, below, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                path.chmod(0o755)
        yield folder
