"""`r1 bench`: the paper's benchmarks, listed, run on a model, and shown beside its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from r1.errors import UserError
from r1.evaluate_cli import OnCluster, Replicas, cluster_options
from r1.evaluation.source import name_of
from r1.terminal import terminal_console

bench_app = typer.Typer(help="Measure a model on the paper's benchmarks.")


Plugins = Annotated[
    list[str],
    typer.Option(
        "--plugin",
        metavar="MODULE",
        help="Your own Python module on PYTHONPATH, which registers benchmarks or verifiers; may "
        "be given again",
    ),
]


@bench_app.command("list")
def list_benchmarks(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="These alone, FILE.toml too [default: all]", metavar="[NAME]..."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Look in this folder, of one folder a benchmark [default: nowhere]"),
    ] = None,
    plugins: Plugins = [],  # noqa: B006 (typer copies it)
) -> None:
    """Tell which benchmarks there are, what they need, and whether their data are found."""
    from r1.benchmarks.registry import benchmarks
    from r1.benchmarks.running.choose import named, require_data
    from r1.benchmarks.running.show import show_list

    require_data(data)
    chosen = named(names or [], plugins)
    known = chosen or list(benchmarks().values())
    show_list(terminal_console(), known, data, sources=bool(chosen))


@bench_app.command("run")
def run_on_model(
    model: Annotated[
        str,
        typer.Argument(help='A run, a model folder, a hub id, "tiny", or an endpoint URL#model'),
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Benchmarks, NAME@VARIANT or your own FILE.toml [default: all with data; "
            "judged: --judge]",
            metavar="[NAME]...",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of one folder a benchmark, its files [default: your own tables' alone]"
        ),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help='"paper": those of its tables; "all" [default: all]')
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
    temperature: Annotated[
        float, typer.Option(min=0.0, help="Of sampling, 0 is greedy; the paper's by default")
    ] = 0.6,
    seed: Annotated[int, typer.Option(min=0, help="Decides every sample")] = 0,
    think: Annotated[
        bool, typer.Option(help="Begin every response by thinking, as the paper does")
    ] = True,
    judge: Annotated[
        str | None,
        typer.Option(
            help="URL#MODEL, or a TOML file of [rewards.judge] [default: no judged benchmark]"
        ),
    ] = None,
    cluster: OnCluster = None,
    replicas: Replicas = None,
    overrides: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="endpoint.KEY=VALUE",
            help="Change a setting of the endpoint (r1 settings endpoint); may be given again",
        ),
    ] = [],  # noqa: B006 (typer copies it)
    plugins: Plugins = [],  # noqa: B006
) -> None:
    """Measure a model by the paper's protocol. The same command carries on where it stopped."""
    from r1.benchmarks.registry import benchmarks
    from r1.benchmarks.running.choose import by_reason, choose, require_data, require_place
    from r1.benchmarks.table import is_table
    from r1.judge.given import read_judge
    from r1.pipeline.stopped import told_if_stopped

    folder = out or Path("runs") / f"bench-{name_of(model)}"
    require_data(data)
    require_place(folder)
    if (model in benchmarks() and not Path(model).exists()) or is_table(Path(model)):
        raise UserError(
            f"{model} is a benchmark; the model comes first: r1 bench run MODEL {model}"
        )
    chosen, left_out = choose(names or [], data, plugins, suite, judged=judge is not None)
    if names and judge and not any(benchmark.judging for benchmark in chosen):
        raise UserError("no benchmark that was named has a judge; leave --judge out.")
    settings = read_judge(judge) if judge else None
    from r1.benchmarks.running.measure import Options, run_benchmarks
    from r1.benchmarks.running.show import show_results

    console = terminal_console()
    if left_out:
        console.print(f"Left out: {by_reason(left_out)}.", highlight=False, soft_wrap=True)
    options = Options(
        limit,
        samples,
        max_new_tokens,
        temperature,
        seed,
        think,
        settings,
        tuple(overrides),
        tuple(plugins),
        cluster_options(cluster, replicas),
    )
    with told_if_stopped(folder):
        run_benchmarks(model, chosen, data, folder, console, options)
    show_results(console, folder)


@bench_app.command("show")
def show(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Folders that `r1 bench run` wrote, one a model; or a run of stages"),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Look here for the data of what was not run [default: nowhere]"),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Also write one page with figures and samples here [default: no page]"),
    ] = None,
) -> None:
    """Print results with intervals, and the paper's table 4 whole with every row's state."""
    from r1.benchmarks.page.page import refuse_other_file, write_page
    from r1.benchmarks.page.stages import show_stages
    from r1.benchmarks.running.beside import show_beside
    from r1.benchmarks.running.choose import require_data
    from r1.benchmarks.running.show import show_results
    from r1.report.pipeline.load import is_pipeline

    require_data(data)
    if page is not None:
        refuse_other_file(page)
    console = terminal_console()
    if len(folders) == 1 and is_pipeline(folders[0]):
        if page is not None:
            raise UserError(
                f"--page: the page of a run of stages is its report: r1 report {folders[0]}"
            )
        show_stages(console, folders[0])
        return
    for folder in folders:
        show_results(console, folder)
    show_beside(console, folders, data)
    if page is not None:
        write_page(folders, page)
        typer.echo(f"Wrote {page}: open it in a browser.")


@bench_app.command("compare")
def compare(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="A B...", help="Two or more folders that `r1 bench run` wrote"),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON")] = False,
) -> None:
    """Tell which differences between models are real, benchmark by benchmark: paired, corrected."""
    from r1.benchmarks.running.compare import compare_suites
    from r1.evaluation.compare_command import check_distinct
    from r1.evaluation.compare_show import comparison_json, show_comparisons

    check_distinct(folders)
    stored, found = compare_suites(folders)
    if as_json:
        typer.echo(json.dumps(comparison_json(stored, found), indent=2, ensure_ascii=False))
    else:
        show_comparisons(terminal_console(), stored, found)


@bench_app.command("freeze")
def freeze_contest(
    standings: Annotated[Path, typer.Argument(help="What contest.standings answered, a file")],
    changes: Annotated[Path, typer.Argument(help="What contest.ratingChanges answered, a file")],
    out: Annotated[Path, typer.Option(help="The frozen contest, e.g. codeforces/contests/N.json")],
) -> None:
    """Freeze a contest's standings and ratings for the benchmark codeforces."""
    from r1.benchmarks.contests.freeze import freeze
    from r1.benchmarks.contests.frozen import is_contest, write_contest
    from r1.run_dir.atomic import make_folder

    if out.is_file() and not is_contest(out):
        raise UserError(f"{out} is there and is no frozen contest; give another name to --out.")
    frozen = freeze(standings, changes)
    make_folder(out.parent)
    write_contest(out, frozen.contest)
    terminal_console().print(
        f"{out}: {frozen.contest.name}, {len(frozen.contest.competitors):,} rated competitors "
        f"({frozen.num_newcomers:,} newcomers counted with 1400; {frozen.num_missing:,} of the "
        f"changes have no row; {frozen.num_left_out:,} rows of practice or virtual participation "
        "left out)",
        highlight=False,
        soft_wrap=True,
    )
