"""No text of others drives the terminal, whichever way it gets there."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from rich.live import Live
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from r1.evaluation.pretty import evaluation_table
from r1.progress import TerminalProgress
from r1.terminal import CleanStream, TerminalConsole, guard_terminal, terminal_console, visible

SOURCE = Path(__file__).parents[1] / "src" / "r1"
HOSTILE = {
    "clear": "\x1b[2J",
    "title": "\x1b]0;pwn\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "cursor": "\x1b[1A\x1b[2K",
    "colour": "\x1b[31mred",
    "C1 sequence": "\x9b2J",
    "C1 command": "\x9d0;pwn\x9c",
    "bell": "\x07",
    "backspace": "abc\x08\x08",
    "delete": "\x7f",
    "null": "\x00",
    "shift out": "\x0e",
    "form feed": "\x0c",
    "override": "\u202egnp.exe",
    "isolate": "\u2066x\u2069",
    "mark": "\u200f",
    "separator": "\u2028",
    "tags": "\U000e0041\U000e0042",
    "surrogate": "\udcff",
}
UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
    "|[\U000e0000-\U000e007f]"
)
OUR_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def shown(renderable: object, terminal: bool = True) -> str:
    out = io.StringIO()
    console = TerminalConsole(file=out, width=200, force_terminal=terminal, color_system="standard")
    console.print(renderable)
    return out.getvalue()


def renderings(text: str) -> dict[str, object]:
    """A text in every place where a command shows one."""
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    tree = Tree(text)
    tree.add(text)
    tree.add(Text.assemble((text, "bold"), text))
    progress = Progress(TextColumn("{task.description}", markup=False))
    progress.add_task(text, total=1)
    return {
        "str": text,
        "Text": Text(text, style="red"),
        "table": table,
        "tree": tree,
        "progress": progress.get_renderable(),
    }


@pytest.mark.parametrize("place", ["str", "Text", "table", "tree", "progress"])
@pytest.mark.parametrize("name", HOSTILE)
def test_the_console_shows_control_characters_as_signs(place: str, name: str) -> None:
    said = shown(renderings(f"a{HOSTILE[name]}b")[place])
    # Our own colours are there (and a colour in a text is none of ours: its escape is a sign).
    assert not UNSAFE.search(OUR_COLOURS.sub("", said)), said
    assert "\x1b[31mred" not in said or place == "Text"
    said.encode()


@pytest.mark.parametrize("place", ["str", "Text", "table", "tree", "progress"])
@pytest.mark.parametrize(
    "text",
    ["[red]", "[bold]x[/bold]", "[/]", "[link=http://e.example]x", ":smile:", "a\\[b]", "[1]"],
)
def test_the_console_reads_no_markup(place: str, text: str) -> None:
    assert text in OUR_COLOURS.sub("", shown(renderings(text)[place]))


def test_our_own_styles_and_cursor_moves_pass() -> None:
    assert "\x1b[31mred\x1b[0m" in shown(Text("red", style="red"))
    out = io.StringIO()
    console = TerminalConsole(file=out, force_terminal=True)
    with Live("one\ntwo", console=console) as live:
        live.update("three\nfour", refresh=True)
    assert "\x1b[1A" in out.getvalue()
    assert "\x1b[?25l" in out.getvalue()
    console.print("overwritten", end="\r")
    assert out.getvalue().endswith("overwritten\r")


def test_signs() -> None:
    assert visible("\x1b[2J\x07\x7f\x9b\u202e\ta\nb") == "␛[2J␇␡��\ta\nb"
    assert visible("é 目 😀 [red]") == "é 目 😀 [red]"


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_written_past_the_console_is_clean_too(name: str) -> None:
    out = io.StringIO()
    stream = CleanStream(out)
    text = f"a{HOSTILE[name]}b"
    print(text, file=stream)
    stream.writelines([text])
    logger = logging.Logger("test")
    logger.addHandler(logging.StreamHandler(stream))
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("%s", text)
    stream.write(warnings.formatwarning(text, UserWarning, "f", 1, line=text))
    assert not UNSAFE.search(OUR_COLOURS.sub("", out.getvalue()))
    out.getvalue().encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_json_stays_the_same_json(name: str) -> None:
    out = io.StringIO()
    value = {HOSTILE[name]: [HOSTILE[name], "é 目"]}
    CleanStream(out).write(json.dumps(value, ensure_ascii=False))
    assert json.loads(out.getvalue()) == value
    assert "目" in out.getvalue()


def test_the_guard_is_put_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", None)
    guard_terminal()
    guard_terminal()
    assert sys.stdout.stream is out  # type: ignore[union-attr]
    assert terminal_console().file is out
    print("\x1b[2J 目", flush=True)
    terminal_console().print("\x1b[2J 目")
    out.flush()
    assert out.buffer.getvalue() == b"\\u001b[2J \\u76ee\n\\u241b[2J \\u76ee\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_run_in_the_terminal(name: str) -> None:
    """Stages, notices and data of names that strangers chose."""
    text = HOSTILE[name] + "[red]"
    for terminal in (True, False):
        out = io.StringIO()
        console = TerminalConsole(file=out, width=200, force_terminal=terminal)
        with TerminalProgress(console) as progress:
            progress.stage(text, f"of {text}", 1, 2)
            progress.begin(1, 3, [text])
            progress.evaluating(1, 2, 3)
            progress.warn(text)
            progress.staged(text, 1.0, {text: 3})
            progress._live.refresh()
        said = out.getvalue()
        assert "[red]" in said
        moves = re.compile(r"\x1b\[(\?25[lh]|[0-9]*[ABCDGHK]|[0-9;]*m)")
        assert not UNSAFE.search(moves.sub("", said)), said
        assert "\x1b[2J" not in said


@pytest.mark.parametrize(("form", "said"), [(None, ", length 5"), (0.25, ", format 25%, length 5")])
def test_the_form_is_told_where_it_was_judged(form: float | None, said: str) -> None:
    out = io.StringIO()
    found = {"value": 0.5, "low": 0.0, "high": 1.0}
    summary = {"pass_at_1": found, "cons_at_k": found, "k": 2, "format": form}
    with TerminalProgress(TerminalConsole(file=out, width=200)) as progress:
        progress.evaluation(3, summary | {"mean_length": 5.0, "self_check_share": 0.0})
    assert f"cons@2 50.0% (0.0% to 100.0%){said}" in out.getvalue()


def test_the_table_of_an_evaluation() -> None:
    figure = {"value": 0.5, "low": 0.4, "high": 0.6}
    row = {"num_problems": 1, "pass_at_1": figure, "cons_at_k": figure}
    summary = row | {
        "k": 1,
        "by_family": {"[red]\x1b[2J": row, "[/]\x1b]0;pwn\x07": row, ":smile:": row},
        "pass_at_k": {},
        "sampling": {"temperature": 0.6, "top_p": 1.0, "max_new_tokens": 5},
        "mean_length": 3.0,
        "truncated": 0.0,
        "format": None,
        "self_check_share": 0.0,
        "outcomes": {},
    }
    said = OUR_COLOURS.sub("", shown(evaluation_table(summary, title="[bold]m\x1b[2J")))
    assert not UNSAFE.search(said)
    for family in ("[red]", "[/]", ":smile:", "[bold]m"):
        assert family in said


def in_a_terminal(*command: str) -> str:
    """What a command writes to a terminal of its own."""
    theirs, ours = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "r1", *command],
            stdin=subprocess.DEVNULL,
            stdout=ours,
            stderr=ours,
            env=os.environ | {"COLUMNS": "200", "TERM": "xterm-256color"},
        )
        os.close(ours)
        said = b""
        try:
            while data := os.read(theirs, 65536):
                said += data
        except OSError:  # the other side is closed
            pass
        process.wait()
        return said.decode("utf-8", "surrogateescape")
    finally:
        os.close(theirs)


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "command",
    [
        ["report", "w/x\x1b[2J"],
        ["lineage", "\x1b]0;pwn\x07[red]"],
        ["run", "no\x9b2Jrecipe.toml"],
        ["run", "\udcff.toml"],
        ["chat", "\x1b[2J:smile:"],
        ["eval", "tiny", "--recipe", "\x1b]0;pwn\x07.toml"],
        ["plan", "x\u202e.toml"],
        ["\x1b[2J"],
        ["run", "--\x1b[2J"],
        ["sandbox", "run", "\x1b[2J.py"],
    ],
    ids=range(10),
)
def test_commands_in_a_real_terminal(command: list[str]) -> None:
    said = in_a_terminal(*command)
    assert said
    assert not UNSAFE.search(OUR_COLOURS.sub("", said)), said


def test_a_traceback_of_ours_is_clean_too(tmp_path: Path) -> None:
    """A defect keeps its traceback, and the text in it stays text."""
    code = (
        "from r1 import cli\n"
        "def fail(): raise RuntimeError('\\x1b[2J\\x1b]0;pwn\\x07')\n"
        "cli.app = fail\ncli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RuntimeError: \\u001b[2J\\u001b]0;pwn\\u0007" in done.stderr


def test_every_command_prints_through_this_console() -> None:
    """One that made a console of its own, or wrote markup, would bypass all of the above."""
    for path in set(SOURCE.rglob("*.py")) - {SOURCE / "terminal.py"}:
        text = path.read_text()
        assert not re.search(r"\bConsole\(", text.replace("System.Console", "")), path
        assert "rich.markup" not in text, path
        assert "from_markup" not in text, path
        if path.name != "cli.py":  # typer's help texts are markup of ours
            assert not re.search(r"\[/?(bold|dim|red|green|yellow|cyan)\b", text), path
