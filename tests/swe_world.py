"""Ten small repositories with one bug each, made with git; the fix stands in their history.

Rows are in SWE-bench's format: the old tests pass before and after, one test of the test patch
fails before. `Recorded` replays a model whose edits resolve seven of the ten.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

from r1.agents.ask import OpenConversation
from r1.agents.swe.instance import SweInstance, read_instance
from r1.agents.swe.patches import make_patch


class Bug(NamedTuple):
    """A function with a bug. wrong and right: the piece of `source` that differs. old: what holds
    before and after; new: what the bug breaks."""

    name: str
    source: str
    wrong: str
    right: str
    old: tuple[str, str]
    new: str


BUGS = [
    Bug(
        "clamp",
        "def clamp(x, low, high):\n    return max(low, min(x, {}))\n",
        "low",
        "high",
        ("clamp(-1, 0, 9) == 0", "clamp(0, 0, 9) == 0"),
        "clamp(5, 0, 9) == 5",
    ),
    Bug(
        "mean",
        "def mean(values):\n    return sum(values) / {}\n",
        "(len(values) - 1)",
        "len(values)",
        ("mean([0, 0]) == 0", "mean([0, 0, 0]) == 0"),
        "mean([2, 4]) == 3",
    ),
    Bug(
        "chunks",
        "def chunks(items, n):\n    return [items[i : i + n] for i in range(0, {}, n)]\n",
        "len(items) - n",
        "len(items)",
        ("chunks([], 2) == []", "chunks([1, 2, 3], 2)[0] == [1, 2]"),
        "chunks([1, 2, 3], 2) == [[1, 2], [3]]",
    ),
    Bug(
        "slug",
        "def slug(text):\n    return '-'.join(text{}.split())\n",
        "",
        ".lower()",
        ("slug('a b') == 'a-b'", "slug('') == ''"),
        "slug('A b') == 'a-b'",
    ),
    Bug(
        "flatten",
        "def flatten(items):\n    out = []\n    for item in items:\n        out.{}(item)\n"
        "    return out\n",
        "append",
        "extend",
        ("flatten([]) == []", "type(flatten([])) is list"),
        "flatten([[1], [2]]) == [1, 2]",
    ),
    Bug(
        "leap",
        "def leap(year):\n    return year % 4 == 0{}\n",
        "",
        " and (year % 100 != 0 or year % 400 == 0)",
        ("leap(2024)", "not leap(2023)"),
        "not leap(1900)",
    ),
    Bug(
        "count",
        "def count(text, word):\n    return text.split().{}(word)\n",
        "index",
        "count",
        ("count('b a', 'a') == 1", "count('x a', 'a') == 1"),
        "count('a a', 'a') == 2",
    ),
    Bug(
        "initials",
        "def initials(name):\n    return ''.join(part[{}] for part in name.split())\n",
        ":2",
        "0",
        ("initials('') == ''", "initials('A B') == 'AB'"),
        "initials('Al Bo') == 'AB'",
    ),
    Bug(
        "gcd",
        "def gcd(a, b):\n    while b:\n        a, b = b, a % b\n    return {}\n",
        "a",
        "abs(a)",
        ("gcd(4, 6) == 2", "gcd(3, 0) == 3"),
        "gcd(-4, -6) == 2",
    ),
    Bug(
        "parse",
        "def parse(text):\n    return dict(pair.split('='{}) for pair in text.split('&'))\n",
        "",
        ", 1",
        ("parse('a=1') == {'a': '1'}", "parse('a=1&b=2')['b'] == '2'"),
        "parse('a=b=c') == {'a': 'b=c'}",
    ),
]
RESOLVED = {"clamp", "mean", "chunks", "slug", "flatten", "leap", "count"}


def text_of(bug: Bug, piece: str) -> str:
    return f'"""Function {bug.name}."""\n\n\n' + bug.source.replace("{}", piece)


def files_of(bug: Bug) -> dict[str, str]:
    head = f"import pytest\n\nfrom pack.{bug.name} import {bug.name}\n\n\n"
    first, second = bug.old
    old = f"{head}def test_old():\n    assert {first}\n\n\n"
    old += (
        f"@pytest.mark.parametrize('x', ['one two', 'b'])\ndef test_many(x):\n    assert {second}\n"
    )
    return {
        "pack/__init__.py": "",
        f"pack/{bug.name}.py": text_of(bug, bug.wrong),
        "pack/other.py": "def unrelated():\n    return None\n",
        f"tests/test_{bug.name}.py": old,
    }


def new_test(bug: Bug) -> dict[str, str]:
    head = f"from pack.{bug.name} import {bug.name}\n\n\n"
    return {"tests/test_issue.py": f"{head}def test_issue():\n    assert {bug.new}\n"}


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def make_instance(bug: Bug, data: Path) -> dict[str, str]:
    """Make a repository below data/repos and return its row."""
    clone = data / "repos" / f"toy__{bug.name}"
    before, fix = files_of(bug), {f"pack/{bug.name}.py": text_of(bug, bug.right)}
    clone.mkdir(parents=True)
    git(clone, "init", "-q")
    commits = []
    for files in (before, {**fix, **new_test(bug)}):
        for path, text in files.items():
            (clone / path).parent.mkdir(exist_ok=True)
            (clone / path).write_text(text)
        git(clone, "add", "-A")
        git(clone, "commit", "-q", "-m", "work")
        commits.append(git(clone, "rev-parse", "HEAD"))
    old = f"tests/test_{bug.name}.py::"
    return {
        "instance_id": f"toy__{bug.name}-1",
        "repo": f"toy/{bug.name}",
        "base_commit": commits[0],
        "problem_statement": f"`{bug.name}` is wrong: `{bug.new}` should hold.",
        "patch": make_patch(before, {**before, **fix}),
        "test_patch": make_patch({}, new_test(bug)),
        "FAIL_TO_PASS": json.dumps(["tests/test_issue.py::test_issue"]),
        # The second id is cut, as 676 of the data set are.
        "PASS_TO_PASS": json.dumps([f"{old}test_old", f"{old}test_many[one", f"{old}test_many[b]"]),
    }


def make_set(data: Path, bugs: list[Bug] = BUGS) -> list[SweInstance]:
    """Make repositories and verified.jsonl below `data`; return the instances."""
    rows = [make_instance(bug, data) for bug in bugs]
    (data / "toy_verified.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [read_instance(row, data) for row in rows]


def edit(bug: Bug, piece: str) -> str:
    """A response that explains, and replaces the wrong piece."""
    old, new = (text_of(bug, each).splitlines() for each in (bug.wrong, piece))
    at = next(i for i, line in enumerate(old) if line != new[i])
    return (
        f"The bug is in {bug.name}.\n\npack/{bug.name}.py\n```python\n<<<<<<< SEARCH\n{old[at]}\n"
        f"=======\n{new[at]}\n>>>>>>> REPLACE\n```\n"
    )


class Recorded:
    """A model that replays what it is recorded to say.

    Right: the functions of RESOLVED; of `mean` only one sample of six, which the reproduction test
    finds; of `leap` the samples that break a test are more, and lose by regression. `initials` gets
    a wrong edit, `gcd` one that does not match, `parse` no edit.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, question: OpenConversation, sample: int) -> str | None:
        self.asked.append(question.id)
        name, _, phase = question.id.partition("/")
        bug = next(each for each in BUGS if name == f"toy__{each.name}-1")
        path = f"pack/{bug.name}.py"
        if phase == "files":
            return f"```\n{path}\nnot/there.py\n```"
        if phase in ("elements", "lines"):
            return f"```\n{path}\nfunction: {bug.name}\nline: 999\n```"
        if phase == "regression":
            return "```\n```"
        if phase == "reproduce":
            return reproduction(bug)
        return self.repair(bug, greedy=phase.endswith("greedy"), sample=sample)

    def repair(self, bug: Bug, greedy: bool, sample: int) -> str | None:
        right = edit(bug, bug.right)
        if bug.name == "mean":
            return right if greedy else edit(bug, "(len(values) + 1)")
        if bug.name == "leap":
            return right if greedy else edit(bug, " and False")
        if bug.name == "initials":
            return edit(bug, "-1")
        if bug.name == "gcd":
            return right.replace("return a\n", "return a  # twice\n", 1)
        if bug.name == "parse":
            return None if greedy else "It works as it should."
        return right


def reproduction(bug: Bug) -> str:
    return (
        f"```python\nfrom pack.{bug.name} import {bug.name}\n\ntry:\n    good = {bug.new}\n"
        "except Exception:\n    good = False\n"
        "print('Issue resolved' if good else 'Issue reproduced')\n```"
    )
