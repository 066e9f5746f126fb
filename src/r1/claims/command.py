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
    from r1.claims.earlier import command_of, earlier_claims, earlier_seeds, has_earlier
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
    console = terminal_console()
    looks = list_claims or page_only
    claims = find_claims(names or [], CLAIMS, optional=looks and has_earlier(out))
    plan = plan_claims(claims, seeds, scale)
    if not list_claims:
        require_place(out, page_only)
    if dry_run:
        show_claim_plan(claims, plan, out, console, scale)
        return
    earlier, left_out = earlier_claims(out, scale, {claim.name for claim in claims})
    shown = [*claims, *earlier] or find_claims([], CLAIMS)
    whole = plan_claims(shown, seeds, scale, earlier_seeds(out))
    for message in left_out:
        typer.echo(message, err=True)
    if list_claims:
        show_list(judge_claims(shown, whole, out), console)
        return
    make_folder(out)
    commands = {claim.name: command_of(claim, CLAIMS, out) for claim in shown}
    own = any(claim.path.resolve().parent != CLAIMS.resolve() for claim in shown)

    def write() -> Path:
        results = judge_claims(shown, whole, out)
        write_results(results, out)
        title = "Claims" if own else "Claims of the paper"
        return write_claims_page(results, out, commands, title)

    if not page_only:
        titles = {stage.name: stage.label for stage in plan.stages.values()}
        with told_if_stopped(out, titles), TerminalProgress() as progress:
            say = progress.console.print
            run_claims(plan, out, ClaimEvents(progress, say, plan, out, write))
    page = write()
    show_verdicts(judge_claims(claims or shown, whole, out), console)
    typer.echo(f"Wrote {page}: open it in a browser.")
