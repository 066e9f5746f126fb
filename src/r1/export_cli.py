"""`r1 export`: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from r1.errors import UserError
from r1.terminal import terminal_console


def export_command(
    run: Annotated[Path, typer.Argument(help="A run, or one of its stages (RUN/dev3)")],
    dest: Annotated[Path, typer.Argument(help="Folder to write; it must not be there, or empty")],
    step: Annotated[
        int | None, typer.Option(min=0, help="Step of the checkpoint [default: the newest]")
    ] = None,
    adapter: Annotated[
        bool,
        typer.Option(
            "--adapter/--merged",
            help="Of a run with LoRA the adapters alone, for peft, or merged into the weights",
        ),
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option("--license", help="Such as apache-2.0 [default: none, and the card says so]"),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(help="Upload to OWNER/NAME on the Hugging Face Hub too [default: do not]"),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Make a pushed model public")] = False,
) -> None:
    """Write a checkpoint as a plain Hugging Face folder with a model card."""
    if public and push is None:
        raise UserError("--public is of an upload; name it with --push OWNER/NAME.")
    from r1.publish.export import export

    console = terminal_console(stderr=True)

    def tell(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False)

    made = export(
        run,
        dest,
        step=step,
        adapter=adapter,
        licence=licence,
        push_to=push,
        public=public,
        tell=tell,
    )
    for notice in made.notices:
        tell(notice)
    typer.echo(f"Wrote {dest}" + (f" and {made.address}" if made.address else "") + ".")
