"""Whatever a replica's process has started ends with it, however it ends; Ray is not started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import shared_memory
from pathlib import Path

import pytest
import torch

from r1.cluster.offspring import VARIABLE, clear_up, processes_of
from r1.rollout.vllm_weights import FileTransfer

ACTOR = """
import subprocess, sys, time
from r1.cluster import offspring

CHILD = '''
import multiprocessing, subprocess, sys, time
from multiprocessing import resource_tracker, shared_memory
memory = shared_memory.SharedMemory(sys.argv[1])
lock = multiprocessing.get_context("spawn").Lock()
resource_tracker.unregister(lock._semlock.name, "semaphore")  # as if the tracker had been killed
subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
print(lock._semlock.name, flush=True)
time.sleep(600)
'''

offspring.guard(sys.argv[1])
child = subprocess.Popen(
    [sys.executable, "-c", CHILD, sys.argv[2]], stdout=subprocess.PIPE, start_new_session=True
)
name = child.stdout.readline().decode().strip()
if sys.argv[3] == "started":
    offspring.note_memory()
time.sleep(1.5)  # the guard looks
print(name, flush=True)
time.sleep(600)
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


def until(condition, within_s: float = 20.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("children_die_first", "phase"), [(False, "started"), (True, "started"), (True, "starting")]
)
def test_nothing_outlives_a_killed_process(children_die_first, phase) -> None:
    owner = f"test-{os.getpid()}-{children_die_first}-{phase}"
    memory = shared_memory.SharedMemory(create=True, size=4096)
    file = Path("/dev/shm") / memory.name
    folder = Path("/dev/shm") / f"r1-weights-{owner}.1.-x"
    folder.mkdir()
    command = [sys.executable, "-c", ACTOR, owner, memory.name, phase]
    actor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        semaphore = Path(f"/dev/shm/sem.{actor.stdout.readline().strip()[1:]}")
        assert semaphore.is_file()
        assert not folder.exists(), "left by an earlier life"
        assert len(processes_of(f"{owner}.{actor.pid}.")) >= 2, "the child and the child's child"
        assert file.exists()
        if children_die_first:
            for process_id in processes_of(f"{owner}."):
                os.kill(process_id, signal.SIGKILL)
            assert until(lambda: not processes_of(f"{owner}."))
        actor.send_signal(signal.SIGKILL)
        actor.wait(10)
        assert until(lambda: not processes_of(f"{owner}."))
        assert until(lambda: not file.exists() and not semaphore.exists())
    finally:
        actor.kill()
        clear_up(f"{owner}.")
        memory.close()
        if file.exists():
            memory.unlink()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs /dev/shm")
def test_weights_on_their_way_are_the_owners(monkeypatch) -> None:
    """The guard cannot import r1, so that it names the variable by itself."""
    owner, existed = f"test-{os.getpid()}-weights.", []

    class Killed:
        def collective_rpc(self, name, args) -> None:
            existed.append((Path(args[0]) / "model.safetensors").is_file())
            clear_up(owner)
            existed.append(Path(args[0]).exists())

    monkeypatch.setenv(VARIABLE, f"{owner}1.")
    FileTransfer(Killed()).send({"weight": torch.zeros(2)}, torch.float32)
    assert existed == [True, False]
