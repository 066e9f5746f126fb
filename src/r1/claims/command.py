"""`r1 reproduce`: run the paper's claims, and write one page with every verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from r1.errors import UserError
from r1.terminal import terminal_console

CLAIMS = Path("recipes/claims")


def reproduce_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CLAIM]...",
            help="Claims by name (--list shows them), or TOML files of your own [default: all]",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Train every arm with so many seeds")] = 1,
    scale: Annotated[
        str, typer.Option(help='Scale of the experiments: "tiny", or another that a claim names')
    ] = "tiny",
    out: Annotated[Path, typer.Option(help="Folder of the runs and the page")] = Path(
        "runs/claims"
    ),
    list_claims: Annotated[
        bool, typer.Option("--list", help="List the claims with the verdicts so far; run nothing")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run, and how long; run nothing")
    ] = False,
    page_only: Annotated[
        bool, typer.Option("--page", help="Write the page from what is done; run nothing")
    ] = False,
) -> None:
    """Re-run the paper's claims: each with our numbers, interval and verdict on one page.

    Runs what is not done; the same command resumes where it stopped.
    """
    from r1.claims.arms import plan_claims
    from r1.claims.page import write_claims_page
    from r1.claims.results import judge_claims, write_results
    from r1.claims.run import ClaimEvents, require_place, run_claims
    from r1.claims.settings import find_claims
    from r1.claims.show import show_claim_plan, show_list, show_verdicts
    from r1.pipeline.stopped import told_if_stopped
    from r1.progress import TerminalProgress
    from r1.run_dir.atomic import make_folder

    if list_claims + dry_run + page_only > 1:
        raise UserError("--list, --dry-run and --page are three things; give one.")
    claims = find_claims(names or [], CLAIMS)
    plan = plan_claims(claims, seeds, scale)
    console = terminal_console()
    if not (list_claims or dry_run):
        require_place(out, page_only)
        make_folder(out)
    if list_claims:
        show_list(judge_claims(claims, plan, out), console)
        return
    if dry_run:
        show_claim_plan(claims, plan, out, console)
        return

    def write() -> Path:
        results = judge_claims(claims, plan, out)
        write_results(results, out)
        return write_claims_page(results, seeds, out)

    if not page_only:
        with told_if_stopped(out), TerminalProgress() as progress:
            say = progress.console.print
            run_claims(plan, out, ClaimEvents(progress, say, plan, out, write))
    page = write()
    show_verdicts(judge_claims(claims, plan, out), console)
    typer.echo(f"Wrote {page}: open it in a browser.")
