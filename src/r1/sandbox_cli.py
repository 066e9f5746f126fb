"""`r1 sandbox`: run one untrusted program, isolated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

sandbox_app = typer.Typer(help="Run untrusted programs apart from everything else.")


@sandbox_app.command("run")
def run_in_sandbox(
    file: Annotated[Path, typer.Argument(help="The program's source")],
    language: Annotated[
        str | None, typer.Option(help="Of the program [default: by the file's ending]")
    ] = None,
    stdin: Annotated[
        Path | None, typer.Option(help="File that it reads; - for standard input [default: none]")
    ] = None,
    time: Annotated[float, typer.Option(min=0.001, help="Limit on the clock, in seconds")] = 2.0,
    memory: Annotated[int, typer.Option(min=1, help="Limit of memory, in MB")] = 512,
) -> None:
    """Build and run one program, isolated; print its verdict as JSON."""
    from r1.sandbox.run_file import run_file

    verdict = run_file(file, language, stdin, time, memory)
    typer.echo(json.dumps(verdict, indent=2, ensure_ascii=False))
