"""End an engine's own processes with the process that started them, however it ends.

vLLM's engine is a tree of processes below the Ray actor. Killed with -9 the actor can end none of
them, and vLLM 0.32's engine process does not notice. So every replica has a guard, a small process
of its own session that waits at a pipe whose other end dies with the actor. It then ends all
processes with the replica's name in their environment, and removes from /dev/shm the weights in
transfer and the shared memory that those processes had mapped. While the engine starts, the guard
looks for that memory twice a second.

Processes are found by their environment (/proc, Linux), which every child inherits, so that
processes that were just starting when the actor died are found too. If a node dies, its processes
die with it.

Left out on purpose: processes that clear their environment (vLLM has none), and memory that was
made after the engine's start and that nobody has mapped any more.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

VARIABLE = "R1_ENGINE_OWNER"  # r1.rollout.vllm_weights.OWNER_VARIABLE: the guard imports no r1
_MEMORY = Path("/dev/shm")
_TRACKER = b"multiprocessing.resource_tracker"
_TRACKERS_S = 3.0  # time for Python's trackers to remove shared memory; they end by themselves
_PATIENCE_S = 20.0
_LOOK_S = 0.5


def guard(owner: str) -> None:
    """Clean up after an earlier process of this owner, and start a guard for this one.

    From here on every child of this process carries the owner's name and this process's id.
    """
    clear_up(f"{owner}.")
    life = f"{owner}.{os.getpid()}."  # a guard that comes late must not end the next life
    # -S and a file of its own: no site-packages, so that it takes a few megabytes. Its parent ends
    # at once, so that it is nobody's child: Ray ends the children of a worker that exits.
    command = [sys.executable, "-I", "-S", __file__, life]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as starter:
        assert starter.stdin is not None
        _pipes.append(os.dup(starter.stdin.fileno()))
    os.environ[VARIABLE] = life


def note_memory() -> None:
    """Tell the guard that the engine has started, so that it records the shared memory of this
    process's children: nobody can find it once all are killed together."""
    os.write(_pipes[-1], b"\n")


_pipes: list[int] = []


def processes_of(owner: str) -> list[int]:
    """Return ids of processes on this machine whose owner's name begins with `owner`."""
    mark, found = f"{VARIABLE}={owner}".encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            if any(variable.startswith(mark) for variable in variables):
                found.append(int(entry.name))
        except OSError:
            continue  # gone meanwhile, or another user's
    return found


def memory_of(process_ids: list[int]) -> set[Path]:
    """Return the files of Python's shared memory and semaphores that processes have mapped.

    Found by inode: who makes a semaphore has mapped it under the name it had before it was whole.
    """
    mapped = set()
    for process_id in process_ids:
        try:
            lines = Path(f"/proc/{process_id}/maps").read_text().splitlines()
        except OSError:
            continue
        mapped |= {line.split(maxsplit=5)[4] for line in lines if f" {_MEMORY}/" in line}
    found = set()
    for path in _MEMORY.iterdir() if mapped else ():
        try:
            if path.name.startswith(("psm_", "sem.mp-")) and str(path.stat().st_ino) in mapped:
                found.add(path)
        except OSError:
            continue  # removed meanwhile
    return found


def clear_up(owner: str, noted: set[Path] | None = None) -> None:
    """End an owner's processes and remove its files; return when they are gone.

    noted: files that its processes had mapped before.
    """
    begin = time.monotonic()
    memory = memory_of(processes_of(owner)) | (noted or set())
    while (found := processes_of(owner)) and time.monotonic() - begin < _PATIENCE_S:
        patient = time.monotonic() - begin < _TRACKERS_S
        for process_id in found:
            if patient and _is_tracker(process_id):
                continue
            try:
                os.kill(process_id, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
    if _MEMORY.is_dir():
        for path in memory:
            path.unlink(missing_ok=True)
        for folder in _MEMORY.glob(f"r1-weights-{owner}*"):
            shutil.rmtree(folder, ignore_errors=True)


def _is_tracker(process_id: int) -> bool:
    try:
        return _TRACKER in Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return False


def _watch(owner: str) -> None:
    """Run the guard: wait for the end of the pipe, then clean up."""
    if os.fork():
        os._exit(0)
    silent = os.open(os.devnull, os.O_RDWR)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    noted: set[Path] = set()
    # Who dies while the engine starts cannot have said what is mapped.
    while not select.select([0], [], [], _LOOK_S)[0]:
        noted |= memory_of(processes_of(owner))
    while os.read(0, 1):
        noted |= memory_of(processes_of(owner))
    clear_up(owner, noted)


if __name__ == "__main__":
    _watch(sys.argv[1])
