"""Read tests in LiveCodeBench's form.

    public_test_cases    JSON text: [{"input": "1 2", "output": "3", "testtype": "stdin"}, ...]
    private_test_cases   the same, or base64 of zlib of a pickle of that JSON text
    func_name            for tests of type "functional": the method of Solution; an input has one
                         JSON value a line, an output is one JSON value

A pickle of strangers is never run: of its opcodes only those that make one text are admitted.
"""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import zlib
from typing import Any

from r1.rewards.code.task_error import TaskError

COLUMNS = ("public_test_cases", "private_test_cases")
MAX_BYTES = 256 << 20
"""Of unpacked tests; the largest of the original are some tens of MB."""
_TEXT = frozenset({"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"})
_HARMLESS = frozenset({"PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP"})


def from_livecodebench(data: dict[str, Any]) -> dict[str, Any]:
    """Return metadata whose tests are in the forms of `r1.rewards.code.problem`."""
    cases = [case for column in COLUMNS for case in read_cases(data.get(column), column)]
    kinds = {str(case.get("testtype")) for case in cases}
    rest = {key: value for key, value in data.items() if key not in (*COLUMNS, "func_name")}
    if kinds == {"stdin"}:
        return {
            **rest,
            "tests": [{key: case.get(key) for key in ("input", "output")} for case in cases],
        }
    if kinds != {"functional"}:
        raise TaskError(f"tests of the types {sorted(kinds)}; stdin or functional alone can be run")
    if not isinstance(name := data.get("func_name"), str) or not name.isidentifier():
        raise TaskError(f"metadata.func_name is {name!r}; it must be the method's name")
    return {**rest, "entry": f"Solution.{name}", "tests": [_call(case) for case in cases]}


def read_cases(given: object, column: str) -> list[dict[str, Any]]:
    """Return the tests of a column; none where it is left out. Raises TaskError."""
    if given is None:
        return []
    if not isinstance(given, str):
        raise TaskError(f"metadata.{column} must be a text")
    text = given if given.lstrip().startswith("[") else _unpacked(given, column)
    try:
        cases = json.loads(text)
    except (ValueError, RecursionError):
        raise TaskError(f"metadata.{column} holds no JSON") from None
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise TaskError(f"metadata.{column} must hold a list of tests")
    return cases


def _unpacked(given: str, column: str) -> str:
    """Undo base64, zlib and the pickle of one text."""
    try:
        packed = base64.b64decode(given, validate=True)
        unpacker = zlib.decompressobj()
        pickled = unpacker.decompress(packed, MAX_BYTES)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise TaskError(f"metadata.{column} is neither JSON nor packed: {error}") from None
    if not unpacker.eof:
        raise TaskError(f"metadata.{column} unpacks to more than {MAX_BYTES >> 20} MB, or is cut")
    return text_of_pickle(pickled)


def text_of_pickle(pickled: bytes) -> str:
    """Return the one text that a pickle holds, without running it. Raises TaskError."""
    texts: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name in _TEXT:
                texts.append(str(argument))
            elif opcode.name not in _HARMLESS:
                raise TaskError(f"the packed tests are more than a text ({opcode.name}): refused")
    except ValueError as error:  # a damaged pickle
        raise TaskError(f"the packed tests are no pickle: {error}") from None
    if len(texts) != 1:
        raise TaskError(f"the packed tests are {len(texts)} texts; one is expected")
    return texts[0]


def _call(case: dict[str, Any]) -> dict[str, Any]:
    try:
        args = [json.loads(line) for line in str(case.get("input")).split("\n")]
        return {"args": args, "expected": json.loads(str(case.get("output")))}
    except (ValueError, RecursionError):
        raise TaskError("a functional test's input or output is no JSON") from None
