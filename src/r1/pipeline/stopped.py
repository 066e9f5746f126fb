"""What a command that Ctrl-C stopped leaves behind (torch-free)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

STAGE_MARKER, RUN, BLOCKS = "STAGE.json", "run", "blocks"


class Stopped(SystemExit):
    """Ctrl-C, of which the user has been told."""


@contextmanager
def told_if_stopped(folder: Path) -> Iterator[None]:
    """After Ctrl-C say what the folder keeps, and end with exit status 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. {saved_in(folder)}", err=True)
        raise Stopped(130) from None


def saved_in(folder: Path) -> str:
    """One sentence: what of a run, a pipeline or an evaluation is kept, and how to go on."""
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
