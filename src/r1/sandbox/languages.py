"""The eight languages: what each needs, how it compiles and runs. One entry per language.

A program's own files lie in one read-only folder; its working folder is an empty /tmp. Compilers
write into `out` below their working folder.

What differs between them, beside the commands, is memory. Address space (RLIMIT_AS) bounds Python,
PHP, Bash, Mono and compiled C++ well. Node and the JVM reserve far more than they use, so they get
4 GB of addresses and their own heap limits, and the group (or the sampling) bounds the whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from r1.sandbox.java_names import java_file_name, main_class


class Where(NamedTuple):
    """The parts of a command: tool -> command words, the program's folder, its memory."""

    tools: dict[str, list[str]]
    folder: str
    memory_mb: int


@dataclass(frozen=True)
class Language:
    """How programs of one language are built and run.

    Attributes:
        file_name: source text -> the name its file must have.
        run_tools, compile_tools: what must be installed.
        run, compile: (where, source's file name, source) -> argument list; `compile` is None for
            languages that are not compiled.
        overhead_mb: memory that the language takes for itself, granted beyond the limit.
        reserve_mb: addresses that it reserves and does not use.
        threads: threads that it starts for itself, granted beyond the limit on processes.
        stack_mb: stack of the main thread.
        etc: files and folders that its tools read in /etc.
        environment: variables that it sees beside the common ones.
        archive: name of the zip file that takes the compiler's output where that is many files;
            None where it is one.
    """

    file_name: Callable[[str], str]
    run_tools: tuple[str, ...]
    run: Callable[[Where, str, str], list[str]]
    compile_tools: tuple[str, ...] = ()
    compile: Callable[[Where, str, str], list[str]] | None = None
    overhead_mb: int = 16
    reserve_mb: int = 64
    threads: int = 0
    stack_mb: int = 64
    etc: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    archive: str | None = None


def _run_python(where: Where, name: str, source: str) -> list[str]:
    return [*where.tools["python3"], "-B", f"{where.folder}/{name}"]


def _run_bash(where: Where, name: str, source: str) -> list[str]:
    return [*where.tools["bash"], "--norc", "--noprofile", f"{where.folder}/{name}"]


def _run_php(where: Where, name: str, source: str) -> list[str]:
    options = [f"memory_limit={where.memory_mb}M", "display_errors=stderr", "html_errors=0"]
    flags = [word for option in options for word in ("-d", option)]
    return [*where.tools["php"], *flags, f"{where.folder}/{name}"]


def _compile_cpp(where: Where, name: str, source: str) -> list[str]:
    flags = ["-std=gnu++20", "-O2", "-w", "-fdiagnostics-color=never", "-o", "out/program"]
    return [*where.tools["g++"], *flags, f"{where.folder}/{name}"]


def _run_binary(where: Where, name: str, source: str) -> list[str]:
    return [f"{where.folder}/program"]


_JAR = "program.jar"
_JVM = ("-Xshare:auto", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1")


def _compile_java(where: Where, name: str, source: str) -> list[str]:
    jvm = [f"-J{flag}" for flag in (*_JVM, f"-Xmx{where.memory_mb // 2}m")]
    flags = ["-proc:none", "-nowarn", "-g:none", "-encoding", "UTF-8", "-d", "out"]
    return [*where.tools["javac"], *jvm, *flags, f"{where.folder}/{name}"]


def _run_java(where: Where, name: str, source: str) -> list[str]:
    jvm = [*_JVM[:3], f"-Xmx{where.memory_mb}m", "-Xss64m", "-Dfile.encoding=UTF-8", "-ea"]
    words = [*where.tools["java"], *jvm, "-cp", f"{where.folder}:{where.folder}/{_JAR}"]
    return [*words, main_class(source)]


def _compile_csharp(where: Where, name: str, source: str) -> list[str]:
    flags = ["-nologo", "-optimize+", "-warn:0", "-d:DEBUG", "-d:TRACE", "-out:out/program.exe"]
    libraries = ["-r:System.Numerics.dll", "-r:Microsoft.CSharp.dll"]
    return [*where.tools["mcs"], *flags, *libraries, f"{where.folder}/{name}"]


def _run_csharp(where: Where, name: str, source: str) -> list[str]:
    return [*where.tools["mono"], f"{where.folder}/program.exe"]


def _run_javascript(where: Where, name: str, source: str) -> list[str]:
    flags = [f"--max-old-space-size={where.memory_mb}", "--stack-size=50000", "--no-warnings"]
    return [*where.tools["node"], *flags, f"{where.folder}/{name}"]


def _compile_typescript(where: Where, name: str, source: str) -> list[str]:
    flags = ["--noCheck", "--target", "es2022", "--module", "commonjs", "--outDir", "out"]
    return [*where.tools["tsc"], *flags, "--types", "", f"{where.folder}/{name}"]


def _run_typescript(where: Where, name: str, source: str) -> list[str]:
    return _run_javascript(where, "main.js", source)


def _always(name: str) -> Callable[[str], str]:
    return lambda source: name


def _javascript_name(source: str) -> str:
    is_module = re.search(r"^[ \t]*(import\s[^(]|import\{|export\s)", source, re.MULTILINE)
    return "main.mjs" if is_module and "require(" not in source else "main.js"


_JAVA_ETC = ("/etc/java-*-openjdk",)

TABLE: dict[str, Language] = {
    "python": Language(_always("main.py"), ("python3",), _run_python),
    "java": Language(
        java_file_name,
        ("java",),
        _run_java,
        ("javac",),
        _compile_java,
        overhead_mb=256,
        reserve_mb=4096,
        threads=32,
        stack_mb=8,
        etc=_JAVA_ETC,
        archive=_JAR,
    ),
    "cpp": Language(
        _always("main.cpp"), (), _run_binary, ("g++",), _compile_cpp, stack_mb=256, reserve_mb=16
    ),
    "csharp": Language(
        _always("main.cs"),
        ("mono",),
        _run_csharp,
        ("mcs",),
        _compile_csharp,
        overhead_mb=64,
        reserve_mb=192,
        threads=12,
        etc=("/etc/mono",),
        environment={"MONO_TRACE_LISTENER": "Console.Error"},
    ),
    "javascript": Language(
        _javascript_name, ("node",), _run_javascript, overhead_mb=128, reserve_mb=4096, threads=16
    ),
    "typescript": Language(
        _always("main.ts"),
        ("node",),
        _run_typescript,
        ("tsc",),
        _compile_typescript,
        overhead_mb=128,
        reserve_mb=4096,
        threads=16,
    ),
    "php": Language(_always("main.php"), ("php",), _run_php, reserve_mb=256, etc=("/etc/php",)),
    "bash": Language(_always("main.sh"), ("bash",), _run_bash),
}
