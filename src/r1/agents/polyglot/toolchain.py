"""How each language's tests are built and run: files for the sandbox, and a script over them.

A script's test runner reads a secret from standard input before the solution is loaded, and signs
its last line with it (r1.sandbox.tree). `project` holds the solution and the tests, `runner` the
stand-ins. A solution's files may have any name: none is a word of a script as it stands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from r1.agents.polyglot import go_names, go_tests
from r1.agents.polyglot.exercise import Exercise
from r1.sandbox.tree import SECRET

STAND_INS = Path(__file__).parent / "stand_ins"


class Commands(NamedTuple):
    """What to run. files: path -> text. script: for bash, above `project` and `runner`."""

    files: dict[str, str]
    script: str


class Toolchain(NamedTuple):
    """A language's tests. tools: what must be installed. plan: exercise, solution -> Commands."""

    tools: tuple[str, ...]
    plan: Callable[[Exercise, Mapping[str, str]], Commands]
    memory_mb: int = 1024


@cache
def stand_in(name: str) -> str:
    """The text of a stand-in."""
    return (STAND_INS / name).read_text(encoding="utf-8")


def _in_project(solution: Mapping[str, str]) -> dict[str, str]:
    return {f"project/{path}": text for path, text in solution.items()}


def _python(exercise: Exercise, solution: Mapping[str, str]) -> Commands:
    files = _in_project(solution)
    files["runner/run_unittest.py"] = stand_in("run_unittest.py")
    tests = {f"runner/{PurePosixPath(path).name}": text for path, text in exercise.tests.items()}
    names = " ".join(f'"$PWD/{name}"' for name in tests)
    run = f'exec python3 -I -B "$PWD/runner/run_unittest.py" "$PWD/project" {names} {SECRET}'
    return Commands(files | tests, run)


_CPP_FLAGS = "-std=c++17 -O0 -Wall -Wextra -Wpedantic -Werror -DEXERCISM_RUN_ALL_TESTS -pthread"


def _cpp(exercise: Exercise, solution: Mapping[str, str]) -> Commands:
    """Compiled with the flags of the exercises' own CMakeLists.txt, warnings as errors."""
    main = '#define CATCH_CONFIG_MAIN\n#include "catch.hpp"\n'
    files = _in_project(solution) | {f"project/{name}": t for name, t in exercise.tests.items()}
    files |= {"project/test/catch.hpp": stand_in("catch.hpp"), "project/test/tests-main.cpp": main}
    sources = [name for name in files if name.endswith(".cpp")]
    ordered = sorted(sources, key=lambda name: name != "project/test/tests-main.cpp")
    words = " ".join(shlex.quote(f"./{name.removeprefix('project/')}") for name in ordered)
    build = f"cd project && g++ {_CPP_FLAGS} -o ../tests {words} < /dev/null 1>&2"
    return Commands(files, f"{build} && cd .. && rm -r project && exec ./tests {SECRET}")


_JVM = "-Xshare:auto -XX:+UseSerialGC -XX:-UsePerfData -XX:TieredStopAtLevel=1 -Xmx512m"


def _java(exercise: Exercise, solution: Mapping[str, str]) -> Commands:
    folder = STAND_INS / "java"
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.java"))]
    files = {f"runner/{name}": stand_in(f"java/{name}") for name in names}
    files |= _in_project({p: t for p, t in solution.items() if p.endswith(".java")})
    files |= {f"project/{path}": text for path, text in exercise.tests.items()}
    classes = " ".join(
        PurePosixPath(path).stem for path in exercise.tests if path.endswith("Test.java")
    )
    flags = " ".join(f"-J{flag}" for flag in _JVM.split())
    build = (
        f"find runner project -name '*.java' -print0 | xargs -0 javac {flags} -proc:none -nowarn "
        "-g:none -encoding UTF-8 -d classes 1>&2 && rm -r runner project"
    )
    run = f"exec java {_JVM} -cp classes R1Runner {classes} {SECRET}"
    return Commands(files, f"{build} && {run}")


_IMPORT = re.compile(r"""((?:\bfrom|\bimport)\s*)(['"])(\.{1,2}/[^'"\n]+?)(?:\.js)?\2""")
_IS_MODULE = re.compile(r"^\s*(?:import\b|export\b)", re.MULTILINE)
_IGNORED = re.compile(r"\bxtest\(")


def _javascript(exercise: Exercise, solution: Mapping[str, str]) -> Commands:
    """Imports get the ending that Jest adds by itself; `xtest` is `test`, as Aider has it."""
    files = {f"project/{p}": _IMPORT.sub(r"\1\2\3.js\2", t) for p, t in solution.items()}
    is_module = any(_IS_MODULE.search(text) for text in solution.values())
    kind = "module" if is_module else "commonjs"
    files["project/package.json"] = f'{{"type": "{kind}"}}\n'
    files["runner/jest.mjs"] = stand_in("jest.mjs")
    specs = []
    for path, text in exercise.tests.items():
        name = f"project/{path.removesuffix('.js')}.mjs"
        files[name] = _IGNORED.sub("test(", _IMPORT.sub(r"\1\2\3.js\2", text))
        specs.append(f'"$PWD/{name}"')
    flags = "--no-warnings --max-old-space-size=512"
    return Commands(files, f"exec node {flags} runner/jest.mjs {' '.join(specs)} {SECRET}")


_RUST_TEST = re.compile(r"#\[test\]\s*((?:#\[[^\]]*\]\s*)*)(?:pub\s+)?fn\s+(\w+)")
_RUST_MAIN = """#[path = "cases.rs"]
mod cases;
use std::panic::catch_unwind;
extern "C" {{
    fn read(file: i32, into: *mut u8, most: usize) -> isize;
    fn close(file: i32) -> i32;
}}
static mut SECRET: [u8; 64] = [0; 64];
extern "C" fn take() {{
    unsafe {{
        let mut held = 0;
        let into = std::ptr::addr_of_mut!(SECRET) as *mut u8;
        while held < 64 && read(0, into.add(held), 1) == 1 {{ held += 1; }}
        close(0);
    }}
}}
#[used]
#[link_section = ".preinit_array"]
static FIRST: extern "C" fn() = take;
fn main() {{
    let held = unsafe {{ SECRET }};
    let secret = String::from_utf8_lossy(&held).replace('\\0', "");
    let tests: Vec<(&str, fn(), bool)> = vec![{tests}];
    let (mut passed, mut failed) = (0, 0);
    for (name, run, panics) in tests {{
        if catch_unwind(run).is_err() == panics {{ passed += 1; }}
        else {{ failed += 1; eprintln!("FAILED {{}}", name); }}
    }}
    println!("\\n{{}} {{}} {{}} 0", secret.trim(), passed, failed);
    std::process::exit((failed > 0) as i32);
}}
"""


def _rust(exercise: Exercise, solution: Mapping[str, str]) -> Commands:
    """Built by rustc alone: exercises that need other crates are refused with their example."""
    crate = exercise.name.replace("-", "_")
    files, cases = _in_project(solution), []
    for text in exercise.tests.values():
        for attributes, name in _RUST_TEST.findall(text):
            panics = str("should_panic" in attributes).lower()
            cases.append(f'("{name}", cases::{name} as fn(), {panics})')
        files["runner/cases.rs"] = _RUST_TEST.sub(r"pub fn \2", text)
    files["runner/main.rs"] = _RUST_MAIN.format(tests=", ".join(cases))
    flags = "--edition 2021 --cap-lints allow"
    build = (
        f"rustc {flags} --crate-type rlib --crate-name {crate} -o lib{crate}.rlib "
        f"project/src/lib.rs < /dev/null 1>&2 && rustc {flags} -o tests "
        f"--extern {crate}=lib{crate}.rlib runner/main.rs < /dev/null 1>&2"
    )
    return Commands(files, f"{build} && rm -r project runner && exec ./tests {SECRET}")


def _go(exercise: Exercise, solution: Mapping[str, str]) -> Commands:
    if taken := [name for text in solution.values() for name in go_names.shadowed(text)]:
        told = f"the package may not declare names of Go itself: {', '.join(taken)}"
        return Commands({}, f"echo '{told}' >&2; exit 1")
    return Commands(go_tests.files_of(exercise, solution), go_tests.SCRIPT)


TOOLCHAINS: dict[str, Toolchain] = {
    "python": Toolchain(("python3",), _python, 512),
    "cpp": Toolchain(("g++",), _cpp),
    "java": Toolchain(("java", "javac"), _java, 1536),
    "javascript": Toolchain(("node",), _javascript),
    "rust": Toolchain(("rustc",), _rust, 1536),
    "go": Toolchain(("go",), _go, 1536),
}
