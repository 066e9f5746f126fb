"""The two edit formats: a table of responses, each with the files or the failure it must give."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from r1.edits.apply import MAX_NEW_FILES, apply_response

FENCE = "```"
FILES = {
    "main.py": "def f(x):\n    y = x + 1\n    return y\n\n\ndef g():\n    return 2\n",
    "lib/tool.py": "import os\n\n\nclass Tool:\n    def run(self):\n        go()\n        go()\n",
    "crlf.txt": "one\r\ntwo\r\nthree\r\n",
    "end.txt": "alpha\nomega",
    "tabs.c": "int f() {\n\tint x;\n\treturn x;\n}\n",
    "empty.py": "",
}
PROTECTED = ("main_test.py", "tests/Spec.java", "CMakeLists.txt")


class Case(NamedTuple):
    """said: the response. path and after: the file that changed and its text; kind: the failure."""

    name: str
    said: str
    path: str = ""
    after: str = ""
    kind: str = ""


def block(path: str, search: str, replace: str, language: str = "python") -> str:
    return (
        f"{path}\n{FENCE}{language}\n<<<<<<< SEARCH\n{search}=======\n{replace}"
        f">>>>>>> REPLACE\n{FENCE}\n"
    )


def bare(head: str, divider: str, end: str, above: str = "main.py\n") -> str:
    return f"{above}{head}\n    return 2\n{divider}\n    return 3\n{end}\n"


MAIN, TOOL = FILES["main.py"], FILES["lib/tool.py"]
THREE = MAIN.replace("return 2", "return 3")
PLUS = MAIN.replace("x + 1", "x + 2")
HEAD, DIV, END = "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"
OLD, NEW = "    return 2\n", "    return 3\n"


def three(name: str, said: str) -> Case:
    """A response that must turn `return 2` of main.py into `return 3`."""
    return Case(name, said, "main.py", THREE)


CASES = [
    # Exact.
    three("exact", block("main.py", OLD, NEW)),
    three("prose around", "Sure.\n\n" + block("main.py", OLD, NEW) + "\nDone.\n"),
    Case(
        "several lines",
        block("main.py", "    y = x + 1\n    return y\n", "    return x + 1\n"),
        "main.py",
        MAIN.replace("    y = x + 1\n    return y\n", "    return x + 1\n"),
    ),
    Case(
        "lines removed",
        block("main.py", "\n\ndef g():\n    return 2\n", ""),
        "main.py",
        MAIN[: MAIN.index("\n\ndef g")],
    ),
    Case(
        "the first of two places",
        block("lib/tool.py", "        go()\n", "        stop()\n"),
        "lib/tool.py",
        TOOL.replace("go()", "stop()", 1),
    ),
    Case(
        "the whole file",
        block("main.py", MAIN, "x = 1\n"),
        "main.py",
        "x = 1\n",
    ),
    Case("nothing changes", block("main.py", OLD, OLD), "main.py", MAIN),
    # Marks and places of the path.
    three("five characters", bare("<<<<< SEARCH", "=====", ">>>>> REPLACE")),
    three("nine characters", bare("<" * 9 + " SEARCH", "=" * 9, ">" * 9 + " REPLACE")),
    three("a head that is closed", bare("<<<<<<< SEARCH>", DIV, END)),
    three("the divider ends it", bare(HEAD, DIV, DIV)),
    three("white space behind the marks", bare(HEAD + "  ", DIV + " ", END + "\t")),
    Case("four characters are no mark", bare("<<<< SEARCH", DIV, END)),
    Case("ten characters are no mark", bare("<" * 10 + " SEARCH", DIV, END)),
    Case("an indented head is no mark", bare("  " + HEAD, DIV, END)),
    three("the path inside the fence", f"{FENCE}python\nmain.py\n{bare(HEAD, DIV, END, '')}"),
    three("the path behind the fence", f"{FENCE}main.py\n{bare(HEAD, DIV, END, '')}"),
    three("the path in bold", block("**main.py**", OLD, NEW)),
    three("the path in backquotes", block("`main.py`", OLD, NEW)),
    three("the path as a heading", block("### main.py", OLD, NEW)),
    three("the path with a colon", block("main.py:", OLD, NEW)),
    Case(
        "the name without its folder",
        block("tool.py", "import os\n", "import sys\n"),
        "lib/tool.py",
        TOOL.replace("import os", "import sys"),
    ),
    three("a path that is nearly right", block("mains.py", OLD, NEW)),
    Case("a blank line parts path and fence", block("main.py\n", OLD, NEW), kind="malformed"),
    # Indentation and blank lines.
    three("indented less", block("main.py", "return 2\n", "return 3\n")),
    Case(
        "two lines indented less",
        block("lib/tool.py", "def run(self):\n    go()\n", "def run(self):\n    stop()\n"),
        "lib/tool.py",
        TOOL.replace("go()", "stop()", 1),
    ),
    Case(
        "indented more",
        block(
            "main.py",
            "        def g():\n            return 2\n",
            "        def g():\n" + " " * 12 + "return 3\n",
        ),
        "main.py",
        THREE,
    ),
    Case(
        "indented more, and again another",
        block("main.py", "      y = x + 1\n      return y\n", "      return x\n"),
        "main.py",
        MAIN.replace("    y = x + 1\n    return y\n", "    return x\n"),
    ),
    Case(
        "indented unevenly", block("main.py", "y = x + 1\n  return y\n", "pass\n"), kind="no match"
    ),
    Case(
        "tabs for what is not there",
        block("tabs.c", "int x;\nreturn x;\n", "return 0;\n", "c"),
        "tabs.c",
        "int f() {\n\treturn 0;\n}\n",
    ),
    Case(
        "a blank line too many above",
        block("main.py", "\n    y = x + 1\n    return y\n", "    return x\n"),
        "main.py",
        MAIN.replace("    y = x + 1\n    return y\n", "    return x\n"),
    ),
    Case(
        "a blank line too many above, indented less",
        block("main.py", "\ny = x + 1\nreturn y\n", "return x\n"),
        "main.py",
        MAIN.replace("    y = x + 1\n    return y\n", "    return x\n"),
    ),
    Case(
        "a blank line above a single line stays",
        block("main.py", "\n    y = x + 1\n", "    pass\n"),
        kind="no match",
    ),
    Case(
        "new lines that are blank get no indentation",
        block("main.py", "return 2\n", "z = 2\n\nreturn z\n"),
        "main.py",
        MAIN.replace("    return 2\n", "    z = 2\n\n    return z\n"),
    ),
    Case(
        "white space at the end of a line",
        block("main.py", "    return 2 \n", NEW),
        kind="no match",
    ),
    Case(
        "other white space inside",
        block("main.py", "    y = x  + 1\n", "    pass\n"),
        kind="no match",
    ),
    # Elision.
    Case(
        "elided between",
        block("main.py", "def f(x):\n...\n    return y\n", "def h(x):\n...\n    return -y\n"),
        "main.py",
        MAIN.replace("def f", "def h").replace("return y", "return -y"),
    ),
    Case(
        "elided, indented dots",
        block(
            "main.py", "def f(x):\n    ...\n    return y\n", "def h(x):\n    ...\n    return y\n"
        ),
        "main.py",
        MAIN.replace("def f", "def h"),
    ),
    Case(
        "elided at the end",
        block("main.py", "def g():\n...\n", "def k():\n...\n"),
        "main.py",
        MAIN.replace("def g", "def k"),
    ),
    Case(
        "elided, added at the end",
        block("main.py", "def g():\n...\n", "def g():\n...\nx = 1\n"),
        "main.py",
        MAIN + "x = 1\n",
    ),
    Case(
        "elided on one side", block("main.py", "def f(x):\n...\n", "def h(x):\n"), kind="no match"
    ),
    Case(
        "elided with other dots",
        block("main.py", "def f(x):\n...\n", "def h(x):\n    ...\n"),
        kind="no match",
    ),
    Case(
        "an elided piece that occurs twice",
        block("lib/tool.py", "class Tool:\n...\n        go()\n", "class T:\n...\n        stop()\n"),
        kind="no match",
    ),
    Case(
        "an elided piece that is nowhere",
        block("main.py", "def f(x):\n...\n    return 9\n", "def f(x):\n...\n    return y\n"),
        kind="no match",
    ),
    # Near matches are not applied.
    Case("one letter differs", block("main.py", "def f(z):\n", "def f(q):\n"), kind="no match"),
    Case("a comment is missing", block("main.py", "    y = x + 1  # up\n", ""), kind="no match"),
    Case(
        "a line is missing",
        block("main.py", "def f(x):\n    return y\n", "pass\n"),
        kind="no match",
    ),
    # Other files, new files, empty SEARCH.
    three("the lines are in another file", block("end.txt", OLD, NEW)),
    Case("the lines are in no file", block("end.txt", "gamma\n", "beta\n"), kind="no match"),
    Case("a file that is not there", block("new_one.xyz", "gamma\n", "beta\n"), kind="no match"),
    Case("a new file", block("fresh/data.txt", "", "a\n"), "fresh/data.txt", "a\n"),
    Case("a new file of nothing", block("blank.xyz", "", ""), "blank.xyz", ""),
    Case("empty SEARCH appends", block("main.py", "", "x = 1\n"), "main.py", MAIN + "x = 1\n"),
    Case("blank SEARCH appends", block("main.py", "\n", "x = 1\n"), "main.py", MAIN + "x = 1\n"),
    Case("an empty file is filled", block("empty.py", "", "x = 1\n"), "empty.py", "x = 1\n"),
    # Line ends.
    Case(
        "CRLF in the file", block("crlf.txt", "two\n", "2\n"), "crlf.txt", "one\r\n2\r\nthree\r\n"
    ),
    three("CRLF in the response", block("main.py", OLD, NEW).replace("\n", "\r\n")),
    Case("no final newline", block("end.txt", "omega\n", "zeta\n"), "end.txt", "alpha\nzeta\n"),
    Case("no final newline, above", block("end.txt", "alpha\n", "a\n"), "end.txt", "a\nomega\n"),
    # Wrapped sections.
    three("the path again in SEARCH", block("main.py", "main.py\n" + OLD, NEW)),
    three(
        "fences in both sections",
        block("main.py", f"{FENCE}\n{OLD}{FENCE}\n", f"{FENCE}python\n{NEW}{FENCE}\n"),
    ),
    # Malformed.
    Case("no block at all", "I would change the return value."),
    Case("no divider", f"main.py\n{HEAD}\n{OLD}{END}\n", kind="malformed"),
    Case("no end", f"main.py\n{HEAD}\n{OLD}{DIV}\n{NEW}", kind="malformed"),
    Case("no path", f"{HEAD}\n{OLD}{DIV}\n{NEW}{END}\n", kind="malformed"),
    Case("dots for a path", block("...", OLD, NEW), kind="malformed"),
    Case("cut in the middle", f"main.py\n{FENCE}python\n{HEAD}\n    ret", kind="malformed"),
    Case(
        "the second is malformed: the first is not applied",
        block("main.py", OLD, NEW) + f"main.py\n{HEAD}\n{OLD}",
        kind="malformed",
    ),
    # Two blocks.
    Case(
        "two blocks",
        block("main.py", OLD, NEW) + block("main.py", "    y = x + 1\n", "    y = x + 2\n"),
        "main.py",
        THREE.replace("x + 1", "x + 2"),
    ),
    Case(
        "two blocks below one path",
        block("main.py", OLD, NEW) + f"{HEAD}\ndef g():\n{DIV}\ndef k():\n{END}\n",
        "main.py",
        THREE.replace("def g", "def k"),
    ),
    Case(
        "the second works on what the first left",
        block("main.py", OLD, NEW) + block("main.py", NEW, "    return 4\n"),
        "main.py",
        MAIN.replace("return 2", "return 4"),
    ),
    # Paths that are refused.
    *(
        Case(f"refused: {path!r}", block(path, "", "x\n"), kind="refused")
        for path in (
            "../main.py",
            "lib/../../x.py",
            "/etc/passwd.txt",
            "~/x.py",
            ".git/config.txt",
            "sub/.git/hooks/pre.sh",
            ".GIT/config.txt",
            ".meta/example.py",
            "main_test.py",
            "tests/Spec.java",
            "Tests/spec.JAVA",
            "CMakeLists.txt",
            "./new.xyz",
            "lib//new.xyz",
            "lib\\new.xyz",
            "C:/x.xyz",
            "main.py/x.xyz",
            "a\tb.xyz",
            "x" * 300 + ".xyz",
        )
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_response_in_the_diff_format(case: Case) -> None:
    done = apply_response(case.said, FILES, "diff", PROTECTED)
    assert [failure.kind for failure in done.failures] == ([case.kind] if case.kind else [])
    expected = {**FILES, case.path: case.after} if case.path else FILES
    assert done.files == expected
    assert done.changed == ((case.path,) if case.path else ())
    assert bool(done.message) == bool(case.kind)


WHOLE = [
    three("a path above", f"main.py\n{FENCE}python\n{THREE}{FENCE}\n"),
    three("a path above in bold", f"**main.py**:\n{FENCE}\n{THREE}{FENCE}\n"),
    three("a path in the text", f"Here is the new `main.py` file.\n\n{FENCE}\n{THREE}{FENCE}\n"),
    three(
        "the first fence counts",
        f"main.py\n{FENCE}\n{THREE}{FENCE}\nmain.py\n{FENCE}\nx\n{FENCE}\n",
    ),
    three(
        "a named one counts more",
        f"`main.py`: like\n\n{FENCE}\nx\n{FENCE}\nmain.py\n{FENCE}\n{THREE}{FENCE}\n",
    ),
    three("the fence is never closed", f"main.py\n{FENCE}\n{THREE}"),
    Case("a name without its folder", f"tool.py\n{FENCE}\nx\n{FENCE}\n", "lib/tool.py", "x\n"),
    Case("a new file", f"other/new.py\n{FENCE}\nx\n{FENCE}\n", "other/new.py", "x\n"),
    Case("no fence", "x = 1\n"),
    Case("no path", f"So it is this one then\n{FENCE}\nx\n{FENCE}\n", kind="malformed"),
    Case("a test", f"main_test.py\n{FENCE}\nx\n{FENCE}\n", kind="refused"),
    Case("an escape", f"../../x.py\n{FENCE}\nx\n{FENCE}\n", kind="refused"),
]


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_a_response_in_the_whole_format(case: Case) -> None:
    done = apply_response(case.said, FILES, "whole", PROTECTED)
    assert [failure.kind for failure in done.failures] == ([case.kind] if case.kind else [])
    assert done.files == ({**FILES, case.path: case.after} if case.path else FILES)


def test_the_only_file_needs_no_path() -> None:
    done = apply_response(f"This is it\n{FENCE}\nx\n{FENCE}\n", {"a.py": "y\n"}, "whole")
    assert done.files == {"a.py": "x\n"}


def test_the_model_is_told_what_failed_and_what_not_to_send_again() -> None:
    said = block("main.py", OLD, NEW)
    said += block("main.py", "def f(x):\n    y = x + 1\n    return x\n", "")
    done = apply_response(said, FILES, "diff")
    assert done.files == {**FILES, "main.py": THREE}
    assert "    y = x + 1\n    return y\n" in done.message  # the lines most like SEARCH
    assert "were applied (main.py)" in done.message
    again = apply_response(block("main.py", "def z():\n", "def g():\n"), FILES, "diff")
    assert "in the file already" in again.message
    none = apply_response(f"main.py\n{HEAD}\n{OLD}{DIV}\n", FILES, "diff")
    assert ">>>>>>> REPLACE" in none.message


def test_no_response_fills_the_memory_or_the_clock() -> None:
    many = "".join(block(f"new{i:03}.xyz", "", "x\n") for i in range(MAX_NEW_FILES + 5))
    done = apply_response(many, {}, "diff")
    assert (len(done.files), len(done.failures)) == (MAX_NEW_FILES, 5)
    grown = block("a.xyz", "", "x" * 99_999 + "\n") * 12
    assert len(apply_response(grown, {}, "diff").files["a.xyz"]) <= 1_000_000
    long = block("big.py", "y = 1\n" * 2000, "")
    assert (
        apply_response(long, {"big.py": "x = 1\n" * 20_000}, "diff").failures[0].kind == "no match"
    )
