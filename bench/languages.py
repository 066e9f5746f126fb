"""What isolation costs in each language: compiling and running with and without the sandbox.

    python bench/languages.py [--json] [--pairs 7] [--languages cpp java]

A pair is the language's own command line as a plain child process, then the same through
`r1.sandbox`, so that both see the same machine. The program reads numbers and prints their sum.
Medians; a language whose toolchain is missing is named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from r1.errors import UserError
from r1.sandbox import Limits, Program, SandboxSettings, Status
from r1.sandbox.languages import TABLE, Where
from r1.sandbox.program import find_tools

NUMBERS = "3 4\n5\n"
LIMITS = Limits(wall_s=30.0, memory_mb=512)
SOURCES = {
    "python": "import sys\nprint(sum(map(int, sys.stdin.read().split())))\n",
    "java": (
        "import java.util.*;\npublic class Main { public static void main(String[] a) {\n"
        "Scanner in = new Scanner(System.in); long s = 0;\n"
        "while (in.hasNextLong()) s += in.nextLong(); System.out.println(s); } }\n"
    ),
    "cpp": (
        "#include <bits/stdc++.h>\nusing namespace std;\n"
        "int main() { long long s = 0, x; while (cin >> x) s += x; cout << s << endl; }\n"
    ),
    "csharp": (
        "using System;\nclass P { static void Main() { long s = 0;\n"
        "foreach (var w in Console.In.ReadToEnd().Split((char[])null,\n"
        "StringSplitOptions.RemoveEmptyEntries)) s += long.Parse(w); Console.WriteLine(s); } }\n"
    ),
    "javascript": (
        "const t = require('fs').readFileSync(0, 'utf8').split(/\\s+/).filter(Boolean);\n"
        "console.log(t.reduce((s, x) => s + Number(x), 0));\n"
    ),
    "typescript": (
        "declare var require: any;\n"
        "const t: string[] = require('fs').readFileSync(0, 'utf8').split(/\\s+/).filter(Boolean);\n"
        "console.log(t.reduce((s: number, x: string) => s + Number(x), 0));\n"
    ),
    "php": "<?php echo array_sum(preg_split('/\\s+/', trim(stream_get_contents(STDIN)))), PHP_EOL;",
    "bash": "s=0; for x in $(cat); do s=$((s + x)); done; echo $s\n",
}


class Pair(NamedTuple):
    """Milliseconds of one act, outside and inside."""

    bare: float
    isolated: float


class Bare:
    """A language's own commands, in a folder, without the sandbox."""

    def __init__(self, language: str, folder: Path) -> None:
        settings = SandboxSettings()
        self.spec, self.source = TABLE[language], SOURCES[language]
        self.folder = folder
        tools = find_tools(self.spec, settings, language)
        self.compiler = Where(tools, str(folder), settings.compile_memory_mb)
        self.runner = Where(tools, str(folder), LIMITS.memory_mb)
        self.name = self.spec.file_name(self.source)
        (folder / self.name).write_text(self.source)
        (folder / "out").mkdir()

    def compile(self) -> float:
        """Milliseconds; the output is moved to where the run command looks for it."""
        assert self.spec.compile is not None
        command = self.spec.compile(self.compiler, self.name, self.source)
        spent = self._timed(command, "")[0]
        for built in (self.folder / "out").iterdir():
            built.replace(self.folder / built.name)
        return spent

    def run(self) -> float:
        """Milliseconds, its output read and checked."""
        spent, said = self._timed(self.spec.run(self.runner, self.name, self.source), NUMBERS)
        assert said.strip() == "12", said
        return spent

    def _timed(self, command: list[str], stdin: str) -> tuple[float, str]:
        environment = {"PATH": "/usr/bin:/bin", **self.spec.environment}
        begin = time.perf_counter()
        done = subprocess.run(
            command,
            input=stdin,
            text=True,
            capture_output=True,
            check=True,
            cwd=self.folder,
            env=environment,
        )
        return 1000 * (time.perf_counter() - begin), done.stdout


def measure(language: str, num_pairs: int) -> dict[str, float]:
    """Medians of compiling (where the language is compiled) and of running."""
    compiled: list[Pair] = []
    ran: list[Pair] = []
    for _ in range(num_pairs):
        with tempfile.TemporaryDirectory() as folder:
            bare = Bare(language, Path(folder))
            bare_compile = bare.compile() if bare.spec.compile else 0.0
            begin = time.perf_counter()
            program = Program.build(language, SOURCES[language], limits=LIMITS)
            compiled.append(Pair(bare_compile, 1000 * (time.perf_counter() - begin)))
            bare_run = bare.run()
            begin = time.perf_counter()
            result = program.run(NUMBERS)
            ran.append(Pair(bare_run, 1000 * (time.perf_counter() - begin)))
            assert result.status is Status.OK, result
            assert result.stdout.strip() == "12", result
    figures = _figures("run", ran)
    return figures if TABLE[language].compile is None else _figures("compile", compiled) | figures


def _figures(what: str, pairs: list[Pair]) -> dict[str, float]:
    return {
        f"{what}_bare_ms": round(statistics.median(p.bare for p in pairs), 1),
        f"{what}_isolated_ms": round(statistics.median(p.isolated for p in pairs), 1),
        f"{what}_added_ms": round(statistics.median(p.isolated - p.bare for p in pairs), 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--languages", nargs="+", default=list(TABLE), choices=list(TABLE))
    options = parser.parse_args()
    figures: dict[str, object] = {"load_before": round(os.getloadavg()[0], 2)}
    for language in options.languages:
        try:
            figures[language] = measure(language, options.pairs)
        except UserError as missing:
            figures[language] = str(missing)
    if options.json:
        print(json.dumps(figures))
        return
    for name, found in figures.items():
        print(f"{name:12}", found)


if __name__ == "__main__":
    main()
