"""Processor time is counted however a program's processes end, and sleep however it is cut."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from r1.sandbox import Limits, Program, SandboxSettings, Status
from r1.sandbox.cgroups import counts_cpu, group_parents
from r1.sandbox.probe import isolation_problem
from r1.sandbox.supervisor.processes import Meter

ROOT = Path(__file__).parents[1]
PROBLEM = isolation_problem(SandboxSettings())
pytestmark = [
    pytest.mark.skipif(PROBLEM is not None, reason=f"no isolation here: {PROBLEM}"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="call numbers are those of x86_64"),
]
USED_S, LIMIT_S = 3.0, 1.0
BURN = f"""
import ctypes, os, signal, sys, threading, time
libc = ctypes.CDLL(None)
SHARE = 0.05
def burn(seconds=SHARE):
    began = time.process_time()
    while time.process_time() - began < seconds: pass
def in_child(work=burn, fork=os.fork):
    "Burn in a child and know when it is done without waiting for it."
    reader, writer = os.pipe()
    if fork() == 0:
        try:
            os.close(reader); work()
        finally:
            os._exit(0)
    os.close(writer); os.read(reader, 1); os.close(reader)
TIMES = int({USED_S} / SHARE)
"""
EVADERS = {
    "ignores SIGCHLD": """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(TIMES): in_child()
""",
    "SA_NOCLDWAIT": """
class Action(ctypes.Structure):
    _fields_ = [("handler", ctypes.c_void_p), ("flags", ctypes.c_ulong),
                ("restorer", ctypes.c_void_p), ("mask", ctypes.c_ulong)]
libc.syscall(13, signal.SIGCHLD, ctypes.byref(Action(0, 2, 0, 0)), None, 8)
for _ in range(TIMES): in_child()
""",
    "children that are never waited for": "for _ in range(20): in_child(lambda: burn(0.15))",
    "orphans that the first process reaps": """
for _ in range(TIMES):
    in_child(lambda: in_child())
    os.wait()
""",
    "orphans whose parent ends first": """
def leave():
    if os.fork() == 0:
        os.setsid(); burn()
for _ in range(TIMES):
    in_child(leave); os.wait()
""",
    "ignored in a child that has children": """
def family():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(TIMES): in_child()
in_child(family)
""",
    "a child that sends no SIGCHLD": """
for _ in range(20):
    in_child(lambda: burn(0.15), lambda: libc.syscall(56, 0, 0, 0, 0, 0))
""",
    "vfork-like children": """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
code = "import time\\nwhile time.process_time() < 0.1: pass"
for _ in range(int(TIMES / 2)):
    os.spawnv(os.P_WAIT, sys.executable, ["python3", "-I", "-S", "-c", code])
""",
    "children killed by their parent": """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(TIMES):
    if (pid := os.fork()) == 0:
        burn(60)
    time.sleep(0.1); os.kill(pid, 9)
""",
    "threads that end": """
for _ in range(TIMES):
    thread = threading.Thread(target=burn); thread.start(); thread.join()
""",
    "a thread of its own becomes another program": """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def become():
    burn()
    threading.Thread(target=os.execv, args=("/bin/true", ["true"])).start(); time.sleep(9)
for _ in range(TIMES): in_child(become)
""",
    "a subreaper that ignores": """
libc.prctl(36, 1, 0, 0, 0)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(TIMES): in_child(lambda: in_child())
""",
}  # fmt: skip


def is_held(source: str) -> str:
    """ "" where the program was ended, or could not use what it wanted; else what happened."""
    # The programs of children that may not be reaped end at the limit on processes instead.
    say = "\nprint('used', flush=True)"
    program = Program.build("python", BURN + source + say)
    result = program.run(limits=Limits(wall_s=60.0, cpu_s=LIMIT_S))
    if result.status is Status.OK:
        return f"paid after {result.cpu_s:.2f} s: {result.stdout}"
    return ""


@pytest.mark.few(3)
@pytest.mark.parametrize("name", EVADERS)
def test_no_way_to_end_hides_processor_time(name: str) -> None:
    assert is_held(EVADERS[name]) == ""


CODE = """
import json, sys
sys.path.insert(0, {tests!r})
import test_sandbox_cpu as cpu
print(json.dumps([bool(cpu.group_parents()), [cpu.is_held(s) for s in cpu.EVADERS.values()]]))
"""


@pytest.mark.slow
def test_nor_without_control_groups() -> None:
    if os.geteuid() != 0 or not counts_cpu(group_parents()):
        pytest.skip("the test above has no control groups already")
    prefix = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    environment = {"PYTHONPATH": f"{ROOT}/src:{packages}", "PATH": os.environ["PATH"]}
    code = CODE.format(tests=str(ROOT / "tests"))
    command = [*prefix, "/usr/bin/python3", "-B", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if "PermissionError" in done.stderr or "ModuleNotFoundError" in done.stderr:
        pytest.skip("the system's Python cannot import the project there")
    has_groups, held = json.loads(done.stdout)
    assert not has_groups
    assert dict(zip(EVADERS, held, strict=True)) == dict.fromkeys(EVADERS, "")


def test_honest_children_run_as_ever() -> None:
    source = """
import multiprocessing, os, subprocess
print(subprocess.run("echo a; (exit 3) & wait $!; echo $?", shell=True, executable="/bin/bash",
                     capture_output=True).stdout, os.system("exit 2") >> 8)
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))
"""
    result = Program.build("python", source).run(limits=Limits(wall_s=60.0, cpu_s=20.0))
    assert result.stdout == "b'a\\n3\\n' 2\n[1, 2]\n", result


def test_a_program_cannot_choose_to_starve() -> None:
    program = """
import ctypes, os
def standing():
    at = os.getpid()
    return os.sched_getscheduler(at), os.getpriority(os.PRIO_PROCESS, at), os.sched_getaffinity(at)
before = standing()
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
os.nice(19)
os.sched_setaffinity(0, {0})
ctypes.CDLL(None).syscall(314, 0, (ctypes.c_uint32 * 12)(48, 5), 0)  # sched_setattr: idle
assert standing() == before
try:
    os.setpriority(os.PRIO_PROCESS, 0, -5)
except PermissionError:
    print("as before")
"""
    done = Program.build("python", program).run(limits=Limits(wall_s=60.0, starved_wall_s=300.0))
    assert (done.status, done.stdout) == (Status.OK, "as before\n"), done.stderr


def test_a_caller_that_ignores_the_end_of_children_is_served() -> None:
    code = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from r1.sandbox import *\n"
        "print(Program.build('python', 'print(1)').run(limits=Limits(wall_s=60)).status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "ok\n", done.stderr


def test_short_sleep_is_seen_and_group_time_counts() -> None:
    """A program that ends before a second look did to its end what it did at the first."""
    counted = iter([5.0, 5.2, 5.9, 6.5])
    meter = Meter(10.0, 1.0, lambda: next(counted))
    assert not meter.look([], 10.03)
    assert (round(meter.cpu_s, 6), meter.asleep_s) == (0.2, 0.0)
    assert not meter.look([2**22 + 1], 10.1)  # no such process: none runs
    meter.end(10.5)
    assert (round(meter.cpu_s, 6), round(meter.asleep_s, 6)) == (1.5, 0.5)


def test_moments_of_looking_cannot_be_foreseen() -> None:
    meter = Meter(0.0, None, lambda: None)
    pauses = []
    for _ in range(40):
        due = meter.due_in(0.0)
        meter.look([], due)
        pauses.append(round(meter.due_in(due), 3))
    assert len(set(pauses)) > 20
