"""Claims in the terminal: the list, the plan, the verdicts. All fit 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from r1.claims.arms import ClaimPlan
from r1.claims.difference import ClaimVerdict
from r1.claims.estimate import stage_seconds
from r1.claims.results import ClaimResult, ComparisonResult, is_done
from r1.claims.settings import COSTS, SHARES, TINY, LoadedClaim

COLOURS = {
    ClaimVerdict.SHOWN: "green",
    ClaimVerdict.OTHER_WAY: "red",
    ClaimVerdict.NOT_TOLD_APART: "yellow",
    ClaimVerdict.TO_COME: "cyan",
}


def show_list(results: Sequence[ClaimResult], console: Console) -> None:
    """Print every claim with its verdict and budget."""
    table = Table(box=None, padding=(0, 1, 0, 0), width=min(80, console.width))
    table.add_column("claim", no_wrap=True)
    table.add_column("what it says")
    table.add_column("min", justify="right", no_wrap=True)
    table.add_column("verdict")
    for result in results:
        settings = result.claim.settings
        verdict = Text(str(result.verdict), COLOURS[result.verdict])
        table.add_row(result.claim.name, settings.title, f"{settings.minutes:g}", verdict)
    console.print(table)
    console.print("min: budget of one seed on two quiet cores.", highlight=False)


def show_claim_plan(
    claims: Sequence[LoadedClaim], plan: ClaimPlan, out: Path, console: Console, scale: str = TINY
) -> None:
    """Print what would run for every claim, and how long it takes; budgets are of scale "tiny"."""
    expected = stage_seconds(plan, out)
    counted: set[str] = set()
    table = Table(box=None, padding=(0, 1, 0, 0), width=min(80, console.width))
    for heading in ("claim", "stages", "done", "shared", "minutes left", "budget"):
        table.add_column(heading, justify="left" if heading == "claim" else "right")
    total = 0.0
    for claim in claims:
        names = plan.needs[claim.name]
        new = [name for name in names if name not in counted]
        to_do = [name for name in new if not is_done(out, name)]
        seconds = sum(expected[name] or 0.0 for name in to_do)
        unknown = sum(expected[name] is None for name in to_do)
        counted |= set(names)
        total += seconds
        done = sum(is_done(out, name) for name in names)
        left = f"{seconds / 60:.1f}" + (f" + {unknown} unknown" if unknown else "")
        budget = f"{claim.settings.minutes * _num_seeds(plan, claim):g}" if scale == TINY else "–"
        table.add_row(
            claim.name, str(len(names)), str(done), str(len(names) - len(new)), left, budget
        )
    console.print(table)
    measured = any(is_done(out, name) for name in plan.stages)
    rates = "`r1 plan`'s rates for two CPU cores; none ran here yet"
    how = "steps/s measured in this folder" if measured else rates
    console.print(f"About {_long(total)} left, by {how}.", highlight=False)


def _long(seconds: float) -> str:
    if seconds < 3 * 3600:
        return f"{seconds / 60:.0f} min"
    days = seconds / 86_400
    return f"{seconds / 3600:.0f} hours" if days < 3 else f"{days:,.0f} days"


def _num_seeds(plan: ClaimPlan, claim: LoadedClaim) -> int:
    return max(len(stages) for stages in plan.arms[claim.name].values())


def show_verdicts(results: Sequence[ClaimResult], console: Console) -> None:
    """Print every comparison with its numbers and verdict."""
    for result in results:
        title = Text.assemble(
            (result.claim.name, "bold"),
            f": {result.claim.settings.title}: ",
            (str(result.verdict), COLOURS[result.verdict]),
        )
        console.print(title, highlight=False)
        for each in result.comparisons:
            verdict = (str(each.verdict), COLOURS[each.verdict])
            beside = "" if each.settings.decides else " (beside the claim)"
            said = Text.assemble("  ", verdict, f": {each.settings.says}{beside}")
            console.print(said, highlight=False)
            if each.reason:
                console.print(Text(f"    {each.reason}"), highlight=False)
            if each.found is not None:
                console.print(Text(f"    {numbers(result, each)}"), highlight=False)


def numbers(result: ClaimResult, each: ComparisonResult) -> str:
    """Return a comparison's figures in a sentence."""
    assert each.found is not None
    assert each.arm is not None
    assert each.than is not None
    unit, arms = each.settings.measure, result.arms
    value, low, high = each.found.interval
    seeds = len(each.found.of_seeds)
    other = each.settings.than_measure
    ours, theirs = (f", {unit},", f", {other},") if other else ("", "")
    who = f"{arms[each.settings.arm].title}{ours} {figure(each.arm, unit)}"
    than = f"{arms[each.settings.than].title}{theirs} {figure(each.than, unit)}"
    how = "least to largest" if unit in COSTS else "95 %"
    over = f", {each.found.num_problems} problems" if each.found.num_problems else ""
    return (
        f"{who}, {than}: {figure(value, unit, '+')} ({how} {figure(low, unit, '+')} to "
        f"{figure(high, unit, '+')}; {seeds} seed{'s' if seeds > 1 else ''}{over})"
    )


def figure(value: float, measure: str, sign: str = "") -> str:
    """Format a measure's value, or a difference with its sign ("+")."""
    if measure in SHARES:
        return f"{100 * value:{sign}.1f}" + ("" if sign else " %")
    if measure == "state_bytes":
        return f"{value / 1e6:{sign},.1f} MB"
    if measure in ("explained_variance", "proxy_gain", "value_error", "constant_error"):
        return f"{value:{sign}.3f}"
    return f"{value:{sign},.1f}" if abs(value) < 1000 else f"{value:{sign},.0f}"
