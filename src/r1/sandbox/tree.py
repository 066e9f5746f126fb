"""Run a script over a tree of files: for tests of whole projects, built and run in one sandbox.

The files arrive in the working folder as one archive, so that their number is not bounded by
descriptors, and the script may change them. Nothing of the tree outlives the run.

A secret, with which a script's last command signs what it says, reaches that command alone, by a
pipe: standard input is a file, which compilers could include and programs open again.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from r1.sandbox.command import PROGRAM_FOLDER, Command, check_file_name
from r1.sandbox.isolation import observe
from r1.sandbox.languages import TABLE
from r1.sandbox.probe import require_isolation
from r1.sandbox.result import Limits, RunResult
from r1.sandbox.settings import SandboxSettings
from r1.sandbox.toolchains import require_tool
from r1.sandbox.verdict import judge

_ARCHIVE = "tree.tar"
_UNPACK = f"tar --no-same-owner -xf {PROGRAM_FOLDER}/{_ARCHIVE} && "
_TAKE_SECRET = "IFS= read -r r1_secret; exec < /dev/null; "
SECRET = "< <(printf '%s\\n' \"$r1_secret\")"
"""Gives a script's last command, behind its words, the secret as standard input: `exec ./tests`."""
_RESERVE_MB = 4096
"""Addresses that compilers, node and the JVM reserve and do not use."""
_THREADS = 64


@dataclass(frozen=True)
class TreeRun:
    """A script and the files it runs over.

    script: for bash, in the working folder. files: path below that folder -> content. environment:
    beside the common variables. limits: of all that the script starts, together. secret: a line
    that only the command with SECRET in the script gets, without which there is no standard input.
    """

    script: str
    files: Mapping[str, bytes]
    limits: Limits
    secret: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def run_tree(run: TreeRun, settings: SandboxSettings | None = None) -> RunResult:
    """Run a script over its files. Never raises because of what it does.

    Raises UserError where bash, tar or the isolation is missing, or a path leads out.
    """
    settings = settings or SandboxSettings()
    require_isolation(settings)
    require_tool("tar")
    command = Command(
        argv=(require_tool("bash"), "-c", _TAKE_SECRET + _UNPACK + run.script),
        limits=run.limits,
        stdin=f"{run.secret}\n".encode(),
        program_files={_ARCHIVE: _archive(run.files)},
        environment=run.environment,
        etc=tuple(pattern for language in TABLE.values() for pattern in language.etc),
        reserve_mb=_RESERVE_MB,
        threads=_THREADS,
        cuts_stderr=True,
    )
    return judge(command, observe(command, settings), settings.isolation == "bubblewrap")


def _archive(files: Mapping[str, bytes]) -> bytes:
    """The files as a tar, the same bytes for the same files."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(check_file_name(name))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()
