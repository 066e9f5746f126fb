"""Read tests in the forms of other data sets. Pure.

    APPS, TACO: {"inputs": [...], "outputs": [...]}, with "fn_name" for calls of a function, as
    metadata, as its "tests" or "input_output", or as the JSON text of them
    MBPP: "tests" (or "test_list") is a list of assertions, with "entry" and maybe "test_imports"
    LiveCodeBench: see `r1.rewards.code.livecodebench`

APPS writes what a function returns as a list of one: where every output is a list of one item, that
item is what is expected.
"""

from __future__ import annotations

import json
from typing import Any

from r1.rewards.code.livecodebench import COLUMNS, from_livecodebench
from r1.rewards.code.task_error import TaskError

APPS_KEYS = ("inputs", "outputs")


def normal_form(data: dict[str, Any]) -> dict[str, Any]:
    """Return metadata whose tests are in the forms of `r1.rewards.code.problem`."""
    if any(column in data for column in COLUMNS):
        return from_livecodebench(data)
    for key in ("tests", "input_output"):
        given = _from_json(data[key], key) if isinstance(data.get(key), str) else data.get(key)
        if isinstance(given, dict):
            rest = {name: value for name, value in data.items() if name != key}
            return _from_apps(rest, given, f"metadata.{key}")
    if "inputs" in data or "outputs" in data:
        rest = {key: value for key, value in data.items() if key not in (*APPS_KEYS, "fn_name")}
        return _from_apps(rest, data, "metadata")
    for key in ("tests", "test_list"):
        lines = data.get(key)
        if isinstance(lines, list) and lines and all(isinstance(line, str) for line in lines):
            return _from_assertions(data, key)
    return data


def _from_json(text: str, key: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise TaskError(f"metadata.{key} is a text that is not JSON") from None


def _from_apps(rest: dict[str, Any], given: dict[str, Any], where: str) -> dict[str, Any]:
    inputs, outputs = (given.get(key) for key in APPS_KEYS)
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise TaskError(
            f'{where} must be {{"inputs": [...], "outputs": [...]}} as in APPS and TACO, or a list '
            "of tests"
        )
    if len(inputs) != len(outputs) or not inputs:
        raise TaskError(f"{where} has {len(inputs)} inputs and {len(outputs)} outputs")
    entry = given.get("fn_name") or rest.get("entry")
    if entry is None:
        tests: list[Any] = [
            {"input": _as_lines(i), "output": _as_lines(o)}
            for i, o in zip(inputs, outputs, strict=True)
        ]
        return {**rest, "tests": tests}
    if all(isinstance(output, list) and len(output) == 1 for output in outputs):
        outputs = [output[0] for output in outputs]
    tests = [{"args": i, "expected": o} for i, o in zip(inputs, outputs, strict=True)]
    return {**rest, "entry": entry, "tests": tests}


def _as_lines(value: Any) -> Any:
    """Return a text or a list of lines as one text."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in value)
    return value


def _from_assertions(data: dict[str, Any], key: str) -> dict[str, Any]:
    rest = {name: value for name, value in data.items() if name not in (key, "test_imports")}
    if "entry" not in data:
        raise TaskError(
            f"metadata.{key} is a list of assertions, as in MBPP: add the name of the function "
            "that they call as metadata.entry"
        )
    imports = data.get("test_imports") or []
    if isinstance(imports, str):
        imports = [imports]
    if not isinstance(imports, list) or not all(isinstance(line, str) for line in imports):
        raise TaskError(f"metadata.test_imports is {imports!r}; it must be a list of lines")
    return {**rest, "test_program": "\n".join([*imports, *data[key]])}
