"""Known packages that the sandbox's Python lacks, named in the note when their import fails.

The answer is wrong nevertheless: a policy must not be able to choose "no verdict" by an import.
Tests that import such a package give no verdict. `r1 doctor` names the missing packages and how to
install them.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache

from r1.rewards.code.run import SandboxError
from r1.sandbox import Limits, Program, SandboxSettings, Status

WELL_KNOWN = {
    "numpy": "python3-numpy",
    "scipy": "python3-scipy",
    "pandas": "python3-pandas",
    "sympy": "python3-sympy",
    "networkx": "python3-networkx",
    "sortedcontainers": "python3-sortedcontainers",
    "sklearn": "python3-sklearn",
    "matplotlib": "python3-matplotlib",
    "dateutil": "python3-dateutil",
    "gmpy2": "python3-gmpy2",
    "bitarray": "python3-bitarray",
    "regex": "python3-regex",
    "pytest": "python3-pytest",
}
"""Package -> what installs it on Debian and Ubuntu."""
_MISSING = re.compile(r"No module named '?(\w+)")
_PROBE = "import importlib.util\nprint(*[n for n in {} if importlib.util.find_spec(n) is None])"


def lacked_package(answer: str, note: str, sandbox: SandboxSettings) -> str:
    """Return a note if a failure comes from a package that the sandbox lacks, else "".

    The note is the answer's to write, so its own imports and the sandbox are looked at as well.
    """
    found = _MISSING.search(note)
    if found is None or found[1] not in WELL_KNOWN or found[1] not in _imports(answer):
        return ""
    try:
        is_missing = found[1] in missing_packages(sandbox)
    except SandboxError:  # the answer is wrong all the same
        is_missing = False
    if not is_missing:
        return ""
    return f" (the sandbox's Python lacks it: apt-get install -y {WELL_KNOWN[found[1]]})"


@lru_cache(maxsize=4)
def missing_packages(sandbox: SandboxSettings) -> tuple[str, ...]:
    """Return the known packages that sandboxed programs cannot import."""
    program = Program.build("python", _PROBE.format(list(WELL_KNOWN)), sandbox)
    result = program.run(limits=Limits(wall_s=20.0))
    if result.status is not Status.OK:
        raise SandboxError(f"the sandbox's Python cannot be asked: {result.stderr[-200:]}")
    return tuple(result.stdout.split())


def _imports(source: str) -> set[str]:
    """Return the packages that a program always imports."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.split(".")[0] for name in names}
