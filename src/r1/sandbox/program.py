"""A program: built once, run many times, each run in a fresh sandbox.

No part of a program is on disk: compilers return their output through a pipe, and each run gets its
files from memory. So there is nothing to clean up after a crash, and no run can leave anything for
the next.
"""

from __future__ import annotations

import difflib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from r1.errors import UserError
from r1.sandbox.command import PROGRAM_FOLDER, Command, check_file_name
from r1.sandbox.isolation import observe
from r1.sandbox.languages import TABLE, Language, Where
from r1.sandbox.probe import require_isolation
from r1.sandbox.result import Limits, RunResult, Status
from r1.sandbox.settings import SandboxSettings
from r1.sandbox.toolchains import find_typescript, require_tool, visible
from r1.sandbox.verdict import judge

LANGUAGES = tuple(TABLE)

MAX_FILES = 200
"""Files of one program: each takes a descriptor and some arguments of bubblewrap."""
_MAX_BUILT_MB = 64
_COMPILER_OUTPUT_KB = 64
_BUILD = 'mkdir out && "$@" 1>&2 && exec tar -C out -cf - .'


@dataclass(frozen=True)
class Program:
    """A program that can be run, or that its compiler refused (see `compile_result`).

    An immutable value, safe to share between threads. The context manager is there for callers who
    like to say where a program's life ends; it holds nothing that needs releasing.
    """

    language: str
    source: str
    settings: SandboxSettings
    limits: Limits
    files: Mapping[str, bytes]
    compile_result: RunResult | None = None

    @classmethod
    def build(
        cls,
        language: str,
        source: str,
        settings: SandboxSettings | None = None,
        limits: Limits | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Program:
        """Compile if the language needs it.

        Args:
            language: one of LANGUAGES.
            source: the program's text.
            limits: the default of its runs; compilers have limits of their own (in the settings).
            files: path -> text of more files beside the source, read-only for the program.

        Never raises for a program that does not compile: its `compile_result` says so, and so does
        every run. Raises UserError for an unknown language, a missing toolchain, and where
        bubblewrap is missing or cannot work here.
        """
        settings = settings or SandboxSettings()
        spec = find_language(language)
        require_isolation(settings)
        find_tools(spec, settings, language)
        contents = {check_file_name(name): _encode(text) for name, text in (files or {}).items()}
        if len(contents) >= MAX_FILES:
            raise UserError(f"a program of {len(contents)} files: give fewer than {MAX_FILES}.")
        contents[spec.file_name(source)] = _encode(source)
        program = cls(language, source, settings, limits or Limits(), contents)
        return program if spec.compile is None else program._compiled(spec)

    def run(
        self,
        stdin: str = "",
        args: Sequence[str] = (),
        limits: Limits | None = None,
        files: Mapping[str, str] | None = None,
    ) -> RunResult:
        """Run once, in its own sandbox.

        Args:
            stdin: what it reads; a file, not a pipe, so that all of it is there at once.
            args: its arguments.
            limits: of this run; the program's own by default.
            files: path -> text of files in its working folder, which is empty otherwise.

        Never raises because of the program. Where it did not compile the status is COMPILE_ERROR,
        and stderr is the compiler's; where its compiler was STARVED, that.
        """
        if self.compile_result is not None and self.compile_result.status is not Status.OK:
            if self.compile_result.status in (Status.SANDBOX_FAILED, Status.STARVED):
                return self.compile_result
            return replace(self.compile_result, status=Status.COMPILE_ERROR)
        spec = TABLE[self.language]
        limits = limits or self.limits
        where = Where(find_tools(spec, self.settings), PROGRAM_FOLDER, limits.memory_mb)
        name = spec.file_name(self.source)
        command = Command(
            argv=(*spec.run(where, name, self.source), *args),
            limits=limits,
            stdin=_encode(stdin),
            program_files=self.files,
            work_files={check_file_name(n): _encode(text) for n, text in (files or {}).items()},
            environment=spec.environment,
            etc=spec.etc,
            overhead_mb=spec.overhead_mb,
            reserve_mb=spec.reserve_mb,
            threads=spec.threads,
            stack_mb=min(spec.stack_mb, limits.memory_mb),
        )
        return self._judged(command)

    def _compiled(self, spec: Language) -> Program:
        """Return this program with the compiler's output as its files."""
        assert spec.compile is not None
        limits = Limits(
            wall_s=self.settings.compile_wall_s,
            cpu_s=self.settings.compile_cpu_s,
            memory_mb=self.settings.compile_memory_mb,
            file_mb=_MAX_BUILT_MB,
            output_kb=_COMPILER_OUTPUT_KB,
            open_files=256,
        )
        where = Where(find_tools(spec, self.settings), PROGRAM_FOLDER, limits.memory_mb)
        compiler = spec.compile(where, spec.file_name(self.source), self.source)
        command = Command(
            argv=(require_tool("bash"), "-c", _BUILD, "build", *compiler),
            limits=limits,
            program_files=self.files,
            etc=spec.etc,
            overhead_mb=spec.overhead_mb,
            reserve_mb=max(spec.reserve_mb, 4096 if "tsc" in spec.compile_tools else 0),
            threads=spec.threads,
            stdout_kb=_MAX_BUILT_MB * 1024,
            cuts_stderr=True,
        )
        seen = observe(command, self.settings)
        result = judge(command, seen, self.settings.isolation == "bubblewrap")
        result = replace(result, stdout="")
        if result.status is Status.RUNTIME_ERROR:
            result = replace(result, status=Status.COMPILE_ERROR)
        if result.status is not Status.OK:
            return replace(self, compile_result=result)
        built = _unpacked(seen.stdout)
        if spec.archive is not None and len(built) + len(self.files) > MAX_FILES:
            built = {spec.archive: _zipped(built)}
        return replace(self, files={**self.files, **built}, compile_result=result)

    def _judged(self, command: Command) -> RunResult:
        seen = observe(command, self.settings)
        return judge(command, seen, self.settings.isolation == "bubblewrap")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def find_language(name: str) -> Language:
    """Return the language of that name; UserError names the nearest one otherwise."""
    if name not in TABLE:
        near = difflib.get_close_matches(name, TABLE, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"no language {name!r}: {hint}There are {', '.join(TABLE)}.")
    return TABLE[name]


def find_tools(
    spec: Language, settings: SandboxSettings, purpose: str = ""
) -> dict[str, list[str]]:
    """Return tool -> the words that start it; UserError with the remedy for a missing one."""
    folders = visible(settings.toolchain_folders)
    found: dict[str, list[str]] = {}
    for name in (*spec.run_tools, *spec.compile_tools):
        path = require_tool(name, folders, purpose)
        if name == "tsc":
            found[name] = find_typescript(folders) or [path]
        elif name == "mcs":
            found[name] = [require_tool("mono", folders, purpose), "/usr/lib/mono/4.5/mcs.exe"]
        else:
            found[name] = [path]
    return found


def _encode(text: str) -> bytes:
    """Encode as UTF-8; a lone surrogate, which tokens can form, becomes a question mark."""
    return text.encode("utf-8", "replace")


def _unpacked(archive: bytes) -> dict[str, bytes]:
    """Return the regular files of a tar from a compiler's sandbox, and nothing else of it."""
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is not None:
                files[check_file_name(member.name.removeprefix("./"))] = content.read()
    return files


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """Return the files as one uncompressed archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()
