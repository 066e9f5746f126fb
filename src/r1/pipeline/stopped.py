"""Report what a command stopped by Ctrl-C leaves behind (torch-free)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

STAGE_MARKER, RUN, BLOCKS = "STAGE.json", "run", "blocks"


class Stopped(SystemExit):
    """Ctrl-C, already reported to the user."""


@contextmanager
def told_if_stopped(folder: Path) -> Iterator[None]:
    """On Ctrl-C, report what the folder keeps, and exit with status 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. {saved_in(folder)}", err=True)
        raise Stopped(130) from None


def saved_in(folder: Path) -> str:
    """Return a sentence on what a run, pipeline or evaluation keeps, and how to resume."""
    from r1.run_dir.checkpoint import checkpoint_steps

    stages = sorted(path.parent.name for path in folder.glob(f"*/{STAGE_MARKER}"))
    under_way = [
        f"{run.parent.name} after step {steps[-1]}"
        for run in sorted(folder.glob(f"*/{RUN}"))
        if run.parent.name not in stages and (steps := checkpoint_steps(run))
    ]
    kept = [f"stages {', '.join(stages)}"] if stages else []
    kept += [f"stage {name}" for name in under_way]
    if steps := checkpoint_steps(folder):
        kept.append(f"the checkpoint after step {steps[-1]}")
    if blocks := len(list((folder / BLOCKS).glob("*.parquet"))):
        kept.append(f"{blocks} blocks of judged samples")
    if not kept:
        return f"Nothing was saved in {folder} yet; the same command begins again."
    return f"Saved in {folder}: {'; '.join(kept)}. The same command carries on from there."
