"""Every attack is tried: none succeeds, none outlasts its limit, none leaves anything behind."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from r1.sandbox import Limits, Program, SandboxSettings, Status
from r1.sandbox.cgroups import group_parents
from r1.sandbox.launch import close_idle
from r1.sandbox.probe import isolation_problem
from r1.sandbox.supervisor import descendants
from r1.sandbox.toolchains import find_tool
from sandbox_attacks import ATTACKS, PYTHON, Attack

PROBLEM = isolation_problem(SandboxSettings())
pytestmark = [
    pytest.mark.skipif(PROBLEM is not None, reason=f"no isolation here: {PROBLEM}"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="call numbers are those of x86_64"),
]
SECRET = "r1-secret-of-the-tests"
TOOL = {"python": "python3", "cpp": "g++", "bash": "bash"}


@dataclass(frozen=True)
class Host:
    """What attacks aim at."""

    words: dict[str, str]

    def fill(self, source: str) -> str:
        for name, value in self.words.items():
            source = source.replace(f"«{name}»", value)
        return source


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A listener on every address, two UNIX sockets, a readable file and a secret variable."""
    folder = tmp_path_factory.mktemp("host")
    folder.chmod(0o755)
    secret_file = folder / "secret.txt"
    secret_file.write_text(SECRET)
    secret_file.chmod(0o644)
    abstract = f"r1-tests-{os.getpid()}"
    with (
        socket.socket() as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as named,
    ):
        tcp.bind(("0.0.0.0", 0))
        unix.bind("\0" + abstract)
        named.bind(str(folder / "socket"))
        for listener in (tcp, unix, named):
            listener.listen()
        os.environ["R1_TEST_SECRET"] = SECRET
        yield Host(
            {
                "file": str(secret_file),
                "socket": str(folder / "socket"),
                "project": str(Path(__file__).parents[1] / "README.md"),
                "pid": str(os.getpid()),
                "port": str(tcp.getsockname()[1]),
                "address": _own_address(),
                "abstract": abstract,
                "secret": SECRET,
            }
        )
        del os.environ["R1_TEST_SECRET"]


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def mounts() -> list[str]:
    """Without that of another test, which may come and go meanwhile (test_run_dir.py)."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if "/test_full_disk_for_real" not in line]


def leftovers() -> set[str]:
    """Everything a program could have left: files where it might write, processes, groups."""
    files = {str(path) for folder in ("/tmp", "/dev/shm", "/var/tmp") for path in _ours(folder)}
    supervisors = descendants(os.getpid())
    below = {str(pid) for root in supervisors for pid in descendants(root)}
    members = {
        f"group member {pid}"
        for parent in group_parents()
        for supervisor in supervisors
        for pid in _members(Path(parent, f"r1-sandbox-{supervisor}"))
        if int(pid) not in supervisors
    }
    return files | below | members


def _ours(folder: str) -> list[Path]:
    names = ("r1-sandbox-", "r1-attack", "fill", "link", "hard", "core")
    return [path for path in Path(folder).iterdir() if path.name.startswith(names)]


def _members(group: Path) -> list[str]:
    path = group / "cgroup.procs"
    return path.read_text().split() if path.exists() else []


@pytest.mark.few(40)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "_"))
def test_attack(attack: Attack, host: Host) -> None:
    if find_tool(TOOL[attack.language]) is None:
        pytest.skip(f"{TOOL[attack.language]} is not installed")
    before, mounted = leftovers(), mounts()
    source = host.fill((PYTHON if attack.language == "python" else "") + attack.source)
    settings = SandboxSettings(compile_cpu_s=attack.compile_s)
    program = Program.build(attack.language, source, settings, attack.limits)
    started = time.monotonic()
    result = program.run()
    seconds = time.monotonic() - started
    said = result.stdout + result.stderr
    assert "ESCAPED" not in said, said[:2000]
    assert SECRET not in said
    assert result.status in attack.ends, result
    if result.status is Status.OK and attack.language != "cpp":
        assert "contained" in result.stdout or attack.name in SILENT, result
    assert seconds < attack.limits.wall_s + 1.0
    if program.compile_result is not None:
        assert program.compile_result.cpu_s < attack.compile_s + 1.0
    assert leftovers() <= before
    assert mounts() == mounted


SILENT = {"kills everything it sees"}
"""Attacks that may end themselves before they can say anything."""


def test_the_attacks_are_real(host: Host) -> None:
    """Without isolation the same programs do get out, so the tests above can fail."""
    exposed = SandboxSettings(isolation="none_programs_run_with_my_rights")
    harmless = {
        "reads the host's files",
        "connects to the host",
        "sockets of every family",
        "the host's abstract socket",
        "other processes in /proc",
        "shared memory of no process",
        "user namespaces",
        "calls that nobody knows",
    }
    chosen = [attack for attack in ATTACKS if attack.name in harmless]
    assert len(chosen) == len(harmless)
    for attack in chosen:
        program = Program.build("python", host.fill(PYTHON + attack.source), exposed)
        assert "ESCAPED" in program.run(limits=Limits(wall_s=20.0)).stdout, attack.name


def test_nothing_stays_from_one_run_to_the_next() -> None:
    leave = "import os; print(os.listdir('/tmp')); open('/tmp/note', 'w').write('x')"
    program = Program.build("python", leave)
    assert [program.run().stdout.strip() for _ in range(3)] == ["[]"] * 3


def test_supervisors_end_without_a_trace() -> None:
    close_idle()
    others = set(descendants(os.getpid()))  # of multiprocessing, say
    Program.build("bash", "echo").run()
    supervisors = set(descendants(os.getpid())) - others
    assert supervisors
    close_idle()
    assert not supervisors & set(descendants(os.getpid()))
    groups = [
        Path(parent, f"r1-sandbox-{pid}") for parent in group_parents() for pid in supervisors
    ]
    assert not [group for group in groups if group.exists()]
