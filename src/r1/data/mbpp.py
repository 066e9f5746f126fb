"""MBPP's rows (Austin et al. 2021): a task in one sentence, a gold program, and assertions.

The prompt shows the assertions that judge: without them the function's name and signature would be
a guess.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from typing import Any

from r1.data.rows import RowError, shown

COLUMNS = ("prompt", "text", "code", "test_list", "test_imports", "test_setup_code", "task_id")
TIME_LIMIT_S = 10.0
_ASK = (
    "{task}\n\nWrite it as a Python function that passes these tests:\n\n"
    "```python\n{tests}\n```\n\nPut the whole program into one block that begins with ```python."
)


def read_mbpp(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of either file as our columns, for the verifier "code". Raises RowError."""
    task, gold = row.get("prompt", row.get("text")), row.get("code")
    for name, value in (("the task", task), ("code", gold)):
        if not isinstance(value, str) or not value.strip():
            raise RowError(f"{name} is {shown(value)}; it must be a text")
    tests = row.get("test_list")
    if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
        raise RowError(f"test_list is {shown(tests)}; it must be a list of assertions")
    setup = row.get("test_imports") or [line for line in [row.get("test_setup_code")] if line]
    return {
        "id": f"mbpp/{row.get('task_id')}",
        "prompt": _ASK.format(task=task, tests="\n".join([*setup, *tests])),
        "reference": gold,
        "metadata": {
            "language": "python",
            "entry": _tested_function(str(gold), tests),
            "test_list": tests,
            "test_imports": setup,
            "time_limit_s": TIME_LIMIT_S,
        },
    }


def _tested_function(gold: str, tests: list[str]) -> str:
    """The function that the gold program defines and the tests call. Raises RowError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the gold programs' own escapes
            calls, defined = ast.parse("\n".join(tests)), ast.parse(gold)
    except SyntaxError:
        raise RowError("its tests or its gold program are no Python") from None
    names = {node.id for node in ast.walk(calls) if isinstance(node, ast.Name)}
    for node in defined.body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            return node.name
    raise RowError("its tests call no function of its gold program")
