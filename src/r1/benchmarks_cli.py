"""`r1 bench`: the paper's benchmarks, listed, run on a model, and shown beside its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from r1.terminal import terminal_console

bench_app = typer.Typer(help="Measure a model on the paper's benchmarks.")


@bench_app.command("list")
def list_benchmarks(
    data: Annotated[
        Path | None,
        typer.Option(help="Look in this folder, of one folder a benchmark [default: nowhere]"),
    ] = None,
) -> None:
    """Tell which benchmarks there are, and whether their data are found."""
    from r1.benchmarks.running.show import show_list

    show_list(terminal_console(), data)


@bench_app.command("run")
def run_on_model(
    model: Annotated[str, typer.Argument(help='A run, a model folder, a hub id, or "tiny"')],
    data: Annotated[
        Path, typer.Option(help="Folder with one folder of original files a benchmark")
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Benchmarks [default: all whose data are found]", metavar="[NAME]..."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results [default: runs/bench-MODEL]")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Questions of each benchmark [default: all]")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Samples a question, k [default: the paper's]")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest response, in tokens [default: 32768]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides every sample")] = 0,
    think: Annotated[
        bool, typer.Option(help="Begin every response by thinking, as the paper does")
    ] = True,
) -> None:
    """Measure a model by the paper's protocol. The same command carries on where it stopped."""
    from r1.benchmarks.protocol import find
    from r1.benchmarks.registry import benchmarks, find_benchmark
    from r1.benchmarks.running.measure import Options, run_benchmarks
    from r1.benchmarks.running.show import show_results
    from r1.errors import UserError
    from r1.pipeline.stopped import told_if_stopped

    chosen = [find_benchmark(name) for name in dict.fromkeys(names or [])]
    chosen = chosen or [known for known in benchmarks().values() if find(known, data)]
    if not chosen:
        raise UserError(f"no benchmark's data in {data}; `r1 bench list` says what to put there.")
    folder = out or Path("runs") / f"bench-{Path(model).resolve().name}"
    console = terminal_console()
    options = Options(limit, samples, max_new_tokens, seed, think)
    with told_if_stopped(folder):
        run_benchmarks(model, chosen, data, folder, console, options)
    show_results(console, folder)


@bench_app.command("show")
def show(
    out: Annotated[Path, typer.Argument(help="The --out of `r1 bench run`")],
) -> None:
    """Print results with intervals beside the paper's figures."""
    from r1.benchmarks.running.show import show_results

    show_results(terminal_console(), out)


@bench_app.command("freeze")
def freeze_contest(
    standings: Annotated[Path, typer.Argument(help="What contest.standings answered, a file")],
    changes: Annotated[Path, typer.Argument(help="What contest.ratingChanges answered, a file")],
    out: Annotated[Path, typer.Option(help="The frozen contest, e.g. codeforces/contests/N.json")],
) -> None:
    """Freeze a contest's standings and ratings for the benchmark codeforces."""
    from r1.benchmarks.contests.freeze import freeze
    from r1.benchmarks.contests.frozen import write_contest

    frozen = freeze(standings, changes)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_contest(out, frozen.contest)
    terminal_console().print(
        f"{out}: {frozen.contest.name}, {len(frozen.contest.competitors):,} rated competitors "
        f"({frozen.num_newcomers:,} newcomers counted with 1400; {frozen.num_missing:,} of the "
        "changes have no row)",
        highlight=False,
        soft_wrap=True,
    )
