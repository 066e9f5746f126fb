"""Report what a command stopped by Ctrl-C leaves behind (torch-free)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import typer

STAGE_MARKER, RUN, BLOCKS = "STAGE.json", "run", "blocks"
MAX_NAMED = 12


class Stopped(SystemExit):
    """Ctrl-C, already reported to the user."""


@contextmanager
def told_if_stopped(folder: Path, titles: Mapping[str, str] | None = None) -> Iterator[None]:
    """On Ctrl-C, report what the folder keeps, and exit with status 130. titles: see saved_in."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. {saved_in(folder, titles)}", err=True)
        raise Stopped(130) from None


def saved_in(folder: Path, titles: Mapping[str, str] | None = None) -> str:
    """Return a sentence on what a run, pipeline or evaluation keeps, and how to resume.

    titles: what stages are called for people, by their folders' names.
    """
    from r1.run_dir.checkpoint import checkpoint_steps

    def called(name: str) -> str:
        return (titles or {}).get(name, name)

    stages = sorted(path.parent.name for path in folder.glob(f"*/{STAGE_MARKER}"))
    under_way = [
        f"{called(run.parent.name)} after step {steps[-1]}"
        for run in sorted(folder.glob(f"*/{RUN}"))
        if run.parent.name not in stages and (steps := checkpoint_steps(run))
    ]
    kept = []
    if len(stages) > MAX_NAMED:
        kept.append(f"{len(stages)} stages")
    elif stages:
        kept.append(f"stages {', '.join(called(name) for name in stages)}")
    kept += [f"stage {name}" for name in under_way]
    if steps := checkpoint_steps(folder):
        kept.append(f"the checkpoint after step {steps[-1]}")
    if blocks := len(list((folder / BLOCKS).glob("*.parquet"))):
        kept.append(f"{blocks} blocks of judged samples")
    if not kept:
        return f"Nothing was saved in {folder} yet; the same command begins again."
    return f"Saved in {folder}: {'; '.join(kept)}. The same command carries on from there."
