"""Programs in eight languages: built once, run often, each limit told apart from the others."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from r1.errors import UserError
from r1.sandbox import LANGUAGES, Limits, Program, SandboxSettings, Status
from r1.sandbox.languages import TABLE, java_file_name, main_class
from r1.sandbox.probe import isolation_problem
from r1.sandbox.run_file import run_file
from r1.sandbox.supervisor import descendants
from r1.sandbox.toolchains import find_tool

PROBLEM = isolation_problem(SandboxSettings())
needs_isolation = pytest.mark.skipif(PROBLEM is not None, reason=f"no isolation here: {PROBLEM}")
ROOMY = Limits(wall_s=20.0, starved_wall_s=300.0)
PATIENT = SandboxSettings(compile_cpu_s=60.0)
BARE = SandboxSettings(isolation="none_programs_run_with_my_rights")

# ruff: noqa: E501 (programs of other languages)
ECHO = {  # reads a number, prints its double to stdout and its arguments to stderr, exits with 3
    "python": "import sys\nprint(2 * int(input()), 'é')\nprint(*sys.argv[1:], file=sys.stderr)\nexit(3)",
    "java": """import java.util.*;
public class Twice {
    // class Decoy { public static void main(String[] a) {} }
    record Pair(int a, int b) {}
    public static void main(String[] args) {
        System.out.println(2 * new Scanner(System.in).nextInt() + " é");
        System.err.println(String.join(" ", args));
        System.exit(3);
    }
}""",
    "cpp": """#include <iostream>
int main(int n, char **a) {
    int x; std::cin >> x; std::cout << 2 * x << " é" << std::endl;
    for (int i = 1; i < n; i++) std::cerr << a[i] << " ";
    return 3;
}""",
    "csharp": """using System; using System.Linq; using System.Numerics;
class Twice {
    static int Main(string[] args) {
        var x = BigInteger.Parse(Console.ReadLine());
        Console.WriteLine(new[] { x, x }.Aggregate((a, b) => a + b) + " é");
        Console.Error.WriteLine(string.Join(" ", args));
        return 3;
    }
}""",
    "javascript": """const x = parseInt(require('fs').readFileSync('/dev/stdin', 'utf8'));
console.log(2 * x + ' é'); console.error(process.argv.slice(2).join(' ')); process.exitCode = 3;""",
    "typescript": """import * as fs from 'fs';
const x: number = parseInt(fs.readFileSync(0, 'utf8'));
enum Factor { Two = 2 }
console.log(Factor.Two * x + ' é'); console.error(process.argv.slice(2).join(' ')); process.exit(3);""",
    "php": "<?php fwrite(STDERR, implode(' ', array_slice($argv, 1)));\n"
    "echo 2 * intval(fgets(STDIN)), ' é', PHP_EOL; exit(ctype_digit('3') ? 3 : 4);",
    "bash": "read -r x; echo $((2 * x)) é; echo \"$@\" >&2; exit 3",
}  # fmt: skip


def skip_unless_installed(language: str) -> None:
    for tool in (*TABLE[language].compile_tools, *TABLE[language].run_tools):
        if find_tool(tool) is None:
            pytest.skip(f"{tool} is not installed")


@needs_isolation
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_builds_once_and_runs_often(language: str) -> None:
    skip_unless_installed(language)
    with Program.build(language, ECHO[language], PATIENT, ROOMY) as program:
        compiled = program.compile_result
        assert (compiled is None) == (TABLE[language].compile is None)
        assert compiled is None or compiled.status is Status.OK, compiled
        for number in (21, -5):
            result = program.run(f"{number}\n", args=["one", "two three"])
            assert result.stdout == f"{2 * number} é\n", result
            assert result.stderr.strip() == "one two three"
            assert (result.status, result.exit_code) == (Status.RUNTIME_ERROR, 3)
            assert 0 < result.wall_s < 20
            assert 1 < result.peak_mb < 200


WRONG_SYNTAX = {
    "java": "public class Main { int }",
    "cpp": "int main() { return x; }",
    "csharp": "class P { static void Main() { return 1 } }",
    "typescript": "const = ;",
}


@needs_isolation
@pytest.mark.parametrize("language", WRONG_SYNTAX)
def test_what_does_not_compile_says_so_at_every_run(language: str) -> None:
    skip_unless_installed(language)
    program = Program.build(language, WRONG_SYNTAX[language], PATIENT)
    assert program.compile_result is not None
    result = program.run()
    assert result.status is program.compile_result.status is Status.COMPILE_ERROR
    assert "rror" in result.stderr
    assert result.stdout == ""


@pytest.mark.few(10)
@needs_isolation
@pytest.mark.parametrize(
    ("source", "limits", "status"),
    [
        ("print('x')", {}, Status.OK),
        ("raise SystemExit(1)", {}, Status.RUNTIME_ERROR),
        ("import os; os.abort()", {}, Status.RUNTIME_ERROR),
        ("import os; os.kill(os.getpid(), 9)", {}, Status.RUNTIME_ERROR),
        ("import time; time.sleep(9)", {"wall_s": 0.5}, Status.TIME_LIMIT),
        ("while True: pass", {"cpu_s": 1.0}, Status.TIME_LIMIT),
        ("import signal\nfor n in signal.valid_signals() - {9, 19}: signal.signal(n, "
         "signal.SIG_IGN)\nwhile True: pass", {"cpu_s": 1.0}, Status.TIME_LIMIT),
        ("import os\nfor _ in range(3): os.fork()\nwhile True: pass", {"cpu_s": 1.0},
         Status.TIME_LIMIT),
        ("import time; time.sleep(9)", {"wall_s": 2.0, "cpu_s": 1.0}, Status.TIME_LIMIT),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
         {"wall_s": 2.0, "cpu_s": 1.0}, Status.TIME_LIMIT),
        ("while True: pass", {"wall_s": 1.0, "cpu_s": 60.0, "starved_wall_s": 0.0},
         Status.STARVED),
        ("while True: pass", {"wall_s": 0.2, "cpu_s": 1.0, "starved_wall_s": 120.0},
         Status.TIME_LIMIT),
        ("x = sum(range(10 ** 7))", {"wall_s": 0.1, "cpu_s": 60.0, "starved_wall_s": 120.0},
         Status.OK),
        ("import time; time.sleep(1000)", {"wall_s": 2.0, "cpu_s": 1.0, "starved_wall_s": 900.0},
         Status.TIME_LIMIT),
        ("x = bytearray(10 ** 9)", {}, Status.MEMORY_LIMIT),
        ("print('x' * 300_000)", {}, Status.OUTPUT_LIMIT),
        ("print('x' * 300_000)", {"output_kb": 400}, Status.OK),
        ("import sys; sys.stderr.write('x' * 300_000)", {}, Status.OUTPUT_LIMIT),
        ("open('big', 'wb').write(bytes(17 << 20))", {}, Status.RUNTIME_ERROR),
        ("open('big', 'wb').write(bytes(15 << 20))", {}, Status.OK),
        ("x = [open('/dev/null') for _ in range(80)]", {}, Status.RUNTIME_ERROR),
        ("x = [open('/dev/null') for _ in range(80)]", {"open_files": 100}, Status.OK),
    ],
)  # fmt: skip
def test_limits(source: str, limits: dict[str, float], status: Status) -> None:
    result = Program.build("python", source).run(limits=replace(ROOMY, **limits))
    assert result.status is status, result
    stopped = status in (Status.TIME_LIMIT, Status.STARVED, Status.OUTPUT_LIMIT)
    assert (result.exit_code is None) == stopped
    if limits.get("cpu_s") == 1.0 and "wall_s" not in limits:
        assert 1.0 <= result.cpu_s < 2.0
        assert result.asleep_s < 0.5
    assert len(result.stdout) <= 1024 * limits.get("output_kb", 256)


ENDLESS = {
    "cpp": "constexpr long g(long n) { while (true) ++n; return n; }\n"
    "int main() { constexpr long x = g(0); }\n"
    "template <int A, int B> struct T { static const int v = T<A - 1, B>::v + T<A - 1, B + 1>::v; "
    "};\ntemplate <int B> struct T<0, B> { static const int v = 1; };\nint x = T<800, 0>::v;",
}


@needs_isolation
def test_a_compilers_processor_time_is_the_programs_fault_and_its_waiting_is_not(
    monkeypatch,
) -> None:
    skip_unless_installed("cpp")
    greedy = SandboxSettings(compile_cpu_s=1.0)
    compiled = Program.build("cpp", ENDLESS["cpp"], greedy).compile_result
    assert compiled is not None
    assert compiled.status is Status.TIME_LIMIT, compiled
    assert 1.0 <= compiled.cpu_s < 2.0
    monkeypatch.setattr(SandboxSettings, "compile_wall_s", 0.05)
    program = Program.build("cpp", "#include <iostream>\nint main() {}", SandboxSettings())
    assert program.run().status is Status.STARVED


@needs_isolation
def test_output_before_a_limit_is_kept() -> None:
    program = Program.build("python", "print('early', flush=True)\nwhile True: pass")
    result = program.run(limits=Limits(wall_s=1.0))
    assert (result.status, result.stdout) == (Status.TIME_LIMIT, "early\n")


@needs_isolation
def test_peak_memory_is_the_programs_own() -> None:
    """Not the caller's: this process holds far more than a small program does."""
    held = bytearray(200 << 20)
    small = Program.build("python", "print(1)").run(limits=ROOMY).peak_mb
    large = Program.build("python", "x = b'1' * (60 << 20); print(1)").run(limits=ROOMY).peak_mb
    assert 3 < small < 30
    assert 55 < large - small < 70
    assert len(held) == 200 << 20


@needs_isolation
def test_files_beside_the_source_and_in_the_working_folder() -> None:
    source = (
        "import os, helper, pkg.deep\nprint(helper.VALUE, pkg.deep.VALUE, os.getcwd(), "
        "open('data/in.txt').read(), sorted(os.listdir('.')))\n"
        "open('out.txt', 'w').write('x')\ntry: open(helper.__file__, 'w')\nexcept OSError: print('kept')"
    )
    files = {"helper.py": "VALUE = 7", "pkg/deep.py": "VALUE = 8"}
    program = Program.build("python", source, limits=ROOMY, files=files)
    result = program.run(files={"data/in.txt": "hello"})
    assert result.stdout == "7 8 /tmp hello ['data']\nkept\n", result


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "", ".", "a//b", "x\0y"])
def test_file_names_stay_below_their_folder(name: str) -> None:
    with pytest.raises(UserError, match="plain relative path"):
        Program.build("python", "", BARE, files={name: ""})


@needs_isolation
def test_any_text_can_be_a_source_or_an_input() -> None:
    program = Program.build("python", "import sys\nprint(len(sys.stdin.buffer.read())) # \udc80 鱼")
    assert program.run("\udcff" * 3, limits=ROOMY).stdout == "3\n"
    large = "x" * 5_000_000
    assert program.run(large, limits=ROOMY).stdout == "5000000\n"


def test_unknown_languages_name_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'python'"):
        Program.build("pyton", "", BARE)


@pytest.mark.parametrize(
    ("source", "file_name", "main"),
    [
        ("class A {} class B { static void main(String[] a) {} }", "Main.java", "B"),
        ("public final class C { public static void main (String[] a) {} }", "C.java", "C"),
        ("// public class X {}\n/* class Y { */ class Z { static int f() { return '}'; } "
         "static void main(String[] a) {} }", "Main.java", "Z"),
        ("class O { String s = \"class P {\"; static class Q { public static void main() {} } }",
         "Main.java", "O$Q"),
        ("class A { class B {} void main() {} } enum C { X; public static void main(String... a) {} }",
         "Main.java", "C"),
        ("package a.b; public class D { static void main(String[] a) {} }", "D.java", "a.b.D"),
        ("interface I {} public enum E { X; static final synchronized void main(String[] a) {} }",
         "E.java", "E"),
        ("not java", "Main.java", "Main"),
    ],
)  # fmt: skip
def test_java_names(source: str, file_name: str, main: str) -> None:
    assert (java_file_name(source), main_class(source)) == (file_name, main)


@needs_isolation
def test_many_threads_share_a_program() -> None:
    program = Program.build("python", "print(int(input()) ** 2)", limits=ROOMY)
    said: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda n=n: said.update({n: program.run(str(n)).stdout}))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {n: f"{n**2}\n" for n in range(12)}


@needs_isolation
def test_a_killed_supervisor_is_replaced() -> None:
    program = Program.build("python", "print(1)", limits=ROOMY)
    program.run()
    for pid in descendants(os.getpid()):
        os.kill(pid, signal.SIGKILL)
    assert program.run().stdout == "1\n"


@needs_isolation
def test_a_supervisor_killed_in_the_middle_fails_nobody() -> None:
    """The run is done again; what it had started is gone."""
    program = Program.build("python", "import time; time.sleep(1); print(1)", limits=ROOMY)
    before = set(descendants(os.getpid()))
    killed: set[int] = set()

    def kill_all() -> None:
        killed.update(descendants(os.getpid()))
        for pid in before:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Timer(0.5, kill_all)
    killer.start()
    assert program.run().stdout == "1\n"
    assert killed >= before
    assert not [pid for pid in killed if is_alive(pid)]


@needs_isolation
def test_a_killed_caller_leaves_no_process() -> None:
    code = (
        "from r1.sandbox import *\nprint('ready', flush=True)\n"
        "Program.build('python', 'import time; time.sleep(60)').run(limits=Limits(wall_s=60))"
    )
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert caller.stdout is not None
    caller.stdout.readline()
    deadline = time.monotonic() + 60
    while len(below := descendants(caller.pid)) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(below) >= 4  # supervisor, two of bubblewrap's, the program
    caller.kill()
    caller.wait()
    caller.stdout.close()
    while any(is_alive(pid) for pid in below) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [pid for pid in below if is_alive(pid)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@needs_isolation
def test_a_forked_child_has_supervisors_of_its_own() -> None:
    program = Program.build("python", "print(1)", limits=ROOMY)
    program.run()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if program.run().stdout == "1\n" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert program.run().stdout == "1\n"


def test_without_isolation_only_by_its_name() -> None:
    program = Program.build("python", "import os; print(os.getcwd(), open('in').read())", BARE)
    result = program.run(limits=ROOMY, files={"in": "x"})
    assert result.status is Status.OK, result
    folder, text = result.stdout.split()
    assert text == "x"
    assert not Path(folder).exists()
    sleeper = "import os, time\nif os.fork() == 0: os.setsid()\ntime.sleep(60)"
    assert Program.build("python", sleeper, BARE).run(limits=Limits(wall_s=0.5)).status is (
        Status.TIME_LIMIT
    )
    supervisors = descendants(os.getpid())
    assert not [pid for supervisor in supervisors for pid in descendants(supervisor)]


@needs_isolation
def test_command_line(tmp_path: Path) -> None:
    (tmp_path / "add.py").write_text("print(int(input()) + 1)")
    (tmp_path / "in.txt").write_text("41\n")
    words = ["run", "--language", "python", "add.py", "--stdin", "in.txt", "--time", "20"]
    command = [sys.executable, "-m", "r1", "sandbox", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    verdict = json.loads(done.stdout)
    times = {"wall_s", "cpu_s", "asleep_s"}
    assert set(verdict) == {"status", "exit_code", "stdout", "stderr", "peak_mb", *times}
    assert 0 < verdict["cpu_s"] < verdict["wall_s"]
    assert (verdict["status"], verdict["exit_code"], verdict["stdout"]) == ("ok", 0, "42\n")
    (tmp_path / "slow.sh").write_text("sleep 60")
    assert run_file(tmp_path / "slow.sh", None, None, 0.5, 64)["status"] == "time-limit"


@pytest.mark.parametrize(
    ("name", "language", "time_s", "message"),
    [
        ("absent.py", None, 1.0, "cannot read .*absent.py"),
        ("program.xyz", None, 1.0, "names no language"),
        ("program.xyz", "cobol", 1.0, "no language 'cobol'"),
        ("program.py", None, 0.0, "must be above 0"),
        ("program.py", None, 1e300, "at most 86,400"),
        ("latin.py", None, 1.0, "not UTF-8"),
    ],
)
def test_mistakes(
    name: str, language: str | None, time_s: float, message: str, tmp_path: Path
) -> None:
    (tmp_path / "program.xyz").write_text("")
    (tmp_path / "program.py").write_text("")
    (tmp_path / "latin.py").write_bytes(b"# \xe9")
    with pytest.raises(UserError, match=message):
        run_file(tmp_path / name, language, None, time_s, 64)


def test_standard_input_that_is_no_text_is_refused_whatever_the_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program.py").write_text("print(input())")
    given = io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8", "surrogateescape")
    monkeypatch.setattr(sys, "stdin", given)
    with pytest.raises(UserError, match="standard input is not UTF-8"):
        run_file(tmp_path / "program.py", None, Path("-"), 5.0, 64)
    given = io.TextIOWrapper(io.BytesIO("α\r\n".encode()), "ascii")
    monkeypatch.setattr(sys, "stdin", given)
    assert run_file(tmp_path / "program.py", None, Path("-"), 9.0, 64)["stdout"] == "α\n"


def test_the_command_line_shows_a_mistake_and_exits_with_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "r1", "sandbox", "run", str(tmp_path / "absent.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot read" in done.stderr
