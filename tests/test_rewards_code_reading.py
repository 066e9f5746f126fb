"""Which part of an answer is the program, and what counts as the same output or value."""

from __future__ import annotations

import math

import pytest

from clock import soon
from r1.rewards.code.calls import as_word, call_line, for_printf, read_records
from r1.rewards.code.compare import parse_value, same_text, same_value
from r1.rewards.code.problem import TaskError, read_task
from r1.rewards.code.reading import extract_code
from r1.rewards.code.signature import find_signature
from r1.types import Problem


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("print(1)", "print(1)"),
        ("```python\nprint(1)\n```", "print(1)\n"),
        ("So:\n```python\nprint(1)\n```\nIt prints 1.", "print(1)\n"),
        ("```py\na\n```\nbetter:\n```Python3\nb\n```", "b\n"),
        ("```python\nprint(1)\n```\nwhich prints\n```\n1\n```", "print(1)\n"),
        ("```\nprint(1)\n```\nwhich prints\n```text\n1\n```", "print(1)\n"),
        ("```cpp\nint x;\n```", None),
        ("```python\nprint(1)", "print(1)"),
        ("```python\nprint(1)```", "print(1)"),
        ("~~~python\nprint('```')\n~~~", "print('```')\n"),
        ("````python\n'''\n```\n'''\n````", "'''\n```\n'''\n"),
        ("  ```python\n  x = 1\n  ```", "x = 1\n"),
        ("1. Do:\n   ```python\n   if x:\n       y\n   ```\n2. End", "if x:\n    y\n"),
        ("- ```python\n  a\n  ```", "a\n"),
        ("* A:\n\t```python\n\ta\n\tb\n\t```", "a\nb\n"),
        ("  ```python\nif x:\n  y\n  ```", "if x:\n  y\n"),
        (
            "   ```python\n   s = '''\nat the margin\n   '''\n   ```",
            "s = '''\nat the margin\n'''\n",
        ),
        ("    ```python\n  x = 1\n    ```", "x = 1\n"),
        ("10. B\n    ~~~py\n    a\n\n    b\n    ~~~", "a\n\nb\n"),
        ("`print(1)`", "print(1)"),
        ("```python\n```", None),
        ("```", None),
        ("x = '```'", "x = '```'"),
    ],
)
def test_extracting(answer: str, code: str | None) -> None:
    assert extract_code(answer, "python") == code


@pytest.mark.parametrize("text", ["```" + "a" * 99_990 + "`", "\n" * 100_000, "```\n" * 25_000])
def test_extracting_takes_linear_time(text: str) -> None:
    with soon():
        extract_code(text, "python")
        find_signature("/* " + text * 2, "f")
        find_signature("/* " * 30_000, "f")


def test_extracting_knows_the_languages_names() -> None:
    for tag, language in (("c++", "cpp"), ("C#", "csharp"), ("ts", "typescript"), ("sh", "bash")):
        assert extract_code(f"```{tag}\nx\n```\n```python\ny\n```", language) == "x\n"


@pytest.mark.parametrize(
    ("given", "expected", "tolerance", "same"),
    [
        ("1 2\n3", "1 2 3\n", None, True),
        ("1 2", "12", None, False),
        ("", "", None, True),
        ("", "0", None, False),
        ("yes", "YES", None, False),
        ("0.3333333", "0.333333333", 1e-6, True),
        ("0.33", "0.333333333", 1e-6, False),
        ("1e-7", "0.0", 1e-6, True),
        ("1000000.4", "1000000.0", 1e-6, True),
        ("1000000007", "1000000008", 1e-6, False),
        ("1000000008.0", "1000000007", 1e-6, False),
        ("5.0000000001", "5", 1e-6, True),
        ("5", "5.0", 1e-6, True),
        ("5.0", "5", None, False),
        ("nan", "0.5", 1e-6, False),
        ("nan", "nan", 1e-6, True),
        ("inf", "1.5", 1e-6, False),
        ("inf", "inf", 1e-6, True),
        ("1e400", "1.5", 1e-6, False),
        ("1e400", "1e308", 1e-6, False),
        ("1e999999999999", "2", 1e-6, False),
        ("0x10", "16.0", 1e-6, False),
        ("1_6", "16", 1e-6, False),
        ("１６", "16", 1e-6, False),
        ("1.6e1", "16.0", 1e-6, True),
        ("1 2 3 4 5", "3", None, False),
        ("3 3", "3", None, False),
        ("9" * 100_000, "9.5", 1e-6, False),
    ],
)
def test_same_text(given: str, expected: str, tolerance: float | None, same: bool) -> None:
    assert same_text(given, expected, tolerance) is same


def test_modes_of_white_space_and_case() -> None:
    assert same_text(" *\n***  \n", " *\n***", None, "lines")
    assert not same_text("*\n***", " *\n***", None, "lines")
    assert not same_text("a  b", "a b", None, "exact")
    assert same_text("a b\n", "a b", None, "exact")
    assert same_text("yes", "YES", None, case=False)


@pytest.mark.parametrize(
    ("given", "expected", "same"),
    [
        (2.0, 2, True),
        (2, 2.0, True),
        (True, 1, False),
        (1, True, False),
        (True, True, True),
        ("1", 1, False),
        (1, "1", False),
        (None, None, True),
        (None, False, False),
        (None, 0, False),
        ([], {}, False),
        ([], None, False),
        ([1, 2], [2, 1], False),
        ([1, [2.0000001]], [1, [2.0]], True),
        ([1, [2.001]], [1, [2.0]], False),
        (10**30, 10**30 + 1, False),
        (10**400, 1.0, False),
        (math.nan, 1.0, False),
        (math.nan, math.nan, True),
        (math.inf, 1.0, False),
        (1.0, math.inf, False),
        (math.inf, math.inf, True),
        (-math.inf, math.inf, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": [1]}, {"a": [1]}, True),
        ("a" * 10, "a" * 10, True),
    ],
)
def test_same_value(given: object, expected: object, same: bool) -> None:
    assert same_value(given, expected) is same


def test_order_counts_unless_it_is_said_not_to() -> None:
    assert same_value([2, 1, 1], [1, 2, 1], order="any")
    assert not same_value([2, 1], [1, 2, 1], order="any")
    assert not same_value([2, 2, 1], [1, 2, 1], order="any")
    assert not same_value([["b", "a"]], [["a", "b"]], order="any")
    assert same_value([["b", "a"], ["c"]], [["c"], ["a", "b"]], order="any at every level")
    assert same_value([2.0, 10], [10, 2], order="any")


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000, "", "1 2", "{'a': 1}", "nul"])
def test_hostile_values_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_value(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([[2.0], [20.0]], [[2], [20]]),  # as JavaScript's numbers may come from elsewhere
        ([5.0, 9.999999999999998], [10.0, 5.0]),
        ([[9.999999999999998], [5.0]], [[5.0], [10.0]]),
        ([[0.1 + 0.2, "a"], [0.3, "b"]], [[0.3, "b"], [0.3, "a"]]),
        ([None, True, "a", {"b": [1, 2.0]}, [3]], [[3], {"b": [1.0, 2]}, "a", True, None]),
        ([float("nan"), 10**30, 1], [1, float("nan"), 10**30]),
    ],
)
def test_in_any_order_equal_numbers_take_equal_places(given, expected) -> None:
    assert same_value(given, expected, order="any")
    assert not same_value([*given[:-1], 7.5], expected, order="any")


def test_deep_values_end_in_a_verdict() -> None:
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert not same_value(deep, [1])
    assert not same_value(deep, deep)
    assert not same_value(deep, [1], order="any")
    while deep:
        deep = deep[0]  # else its own destruction would recurse


def test_records_are_the_first_of_their_number_under_the_right_nonce() -> None:
    told = 'hello\nabc 0 ok 1\nabc 0 ok 2\nother 1 ok 5\n abc 1 ok 6\nabc 1 error "no"\nabc x ok 1'
    records = read_records(told, "abc")
    assert [(n, r.ok, r.text) for n, r in records.items()] == [(0, True, "1"), (1, False, '"no"')]


def test_words_for_bash() -> None:
    assert as_word([1, "a b", None, True, 2.5]) == "1 a b  true 2.5"
    assert for_printf("a b\\\n") == r"a\0040b\0134\0012"
    assert call_line("bash", ["", "x y"]) == ". .x\\0040y\n"
    assert call_line("python", [1, [None]]) == "[1, [null]]\n"


@pytest.mark.parametrize(
    ("source", "signature"),
    [
        ("int add(int a, int b) { return a + b; }", ("int", "int a, int b")),
        (
            "#include <vector>\nusing x;\nstatic vector<long> f(const map<string,int>& m)\n{}",
            ("vector<long>", "const map<string,int>& m"),
        ),
        ("// int f(int x) {\nbool f() {}", ("bool", "")),
        (
            "class Solution {\npublic:\n  string f(string s) { return s; }\n};",
            ("string", "string s"),
        ),
        ("int g() { return f(1); }\nint f(int x) { return x; }", ("int", "int x")),
        ('int f(int x = system("ls")) {}', None),
        ("auto f = [](int x) { return x; };", None),
        ("", None),
    ],
)
def test_signatures(source: str, signature: tuple[str, str] | None) -> None:
    assert find_signature(source, "f" if "add" not in source else "add") == signature


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({}, "metadata.language"),
        ({"language": "cobol"}, "valid: bash, cpp"),
        ({"language": "python"}, "either"),
        ({"language": "python", "tests": []}, "at least one"),
        ({"language": "python", "tests": [{"input": "1"}]}, "test 1"),
        ({"language": "python", "tests": [{"args": [1], "expected": 1}]}, "metadata.entry"),
        ({"language": "python", "entry": "f", "tests": [{"args": 1, "expected": 1}]}, "test 1"),
        ({"language": "python", "test_program": "x"}, "metadata.entry"),
        ({"language": "python", "tests": [{"input": "", "output": ""}], "order": "no"}, "order"),
        (
            {"language": "python", "tests": [{"input": "", "output": ""}], "time_limit_s": -1},
            "above 0",
        ),
        (
            {"language": "python", "tests": [{"input": "", "output": ""}], "case": "false"},
            "case is 'false'; it must be true or false",
        ),
        (
            {"language": "python", "tests": [{"input": "", "output": ""}], "checker": "x"},
            "metadata.checker",
        ),
    ],
)
def test_metadata_that_make_no_task(metadata: dict, complaint: str) -> None:
    with pytest.raises(TaskError, match=complaint):
        read_task(Problem("p", "", None, "code", metadata=metadata))


def test_tolerance_is_for_problems_with_decimals_only() -> None:
    def tolerance(*outputs: str, **more: object) -> float | None:
        tests = [{"input": "", "output": output} for output in outputs]
        data = {"language": "python", "tests": tests, **more}
        return read_task(Problem("p", "", None, "code", metadata=data)).tolerance

    assert tolerance("5", "7") is None
    assert tolerance("5", "7.5") == 1e-6
    assert tolerance("5", "7.5", tolerance=None) is None
    assert tolerance("5", tolerance=0.01) == 0.01
