"""`r1 eval`: its options, and the parts of a recipe that it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from r1.endpoint.settings import split_overrides
from r1.errors import UserError
from r1.evaluation.source import name_of, resolve_model
from r1.pipeline.stopped import told_if_stopped
from r1.terminal import terminal_console

Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Change a setting of the recipe, such as clip_high in [grpo]: "
        "--set grpo.clip_high=0.28; may be given again",
    ),
]


OnCluster = Annotated[str | None, typer.Option(help='Sample on Ray: "auto", "local" or HOST:PORT')]
Replicas = Annotated[
    int | None,
    typer.Option(min=1, help="Engines on the cluster [default: the recipe's [cluster], else 1]"),
]


def eval_command(
    model: Annotated[
        str,
        typer.Argument(help='A run, a model folder, "tiny" (the base), or an endpoint URL#model'),
    ],
    recipe: Annotated[
        Path | None,
        typer.Option(help="Evaluate on this recipe's held-out problems, with its template"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results [default: runs/eval-MODEL]")
    ] = None,
    step: Annotated[
        int | None, typer.Option(min=0, help="Step of a run's checkpoint [default: the newest]")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Samples a problem, k [default: the run's, else 16]")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(min=0.0, help="Of sampling; 0 is greedy [default: the run's, else 0.6]"),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Share of probability sampled from [default: the run's, else 0.95]",
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Longest response, in tokens [default: as the run was trained]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Decides every sample [default: the run's, else 0]")
    ] = None,
    cluster: OnCluster = None,
    replicas: Replicas = None,
    search: Annotated[
        str | None,
        typer.Option(help="Search for the answer: best_of_n, vote, beam or mcts [default: none]"),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            help='Says how good branches are: a reward model, "constant" or "oracle" (tiny world) '
            "[default: none; vote alone needs none]"
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Generated tokens a problem, for beam and mcts [default: none; mcts needs one]",
        ),
    ] = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Evaluate a model: pass@1 from k samples, pass@k and cons@k, with intervals, by family."""
    given = {
        "num_samples": samples,
        "temperature": temperature,
        "top_p": top_p,
        "max_new_tokens": max_new_tokens,
        "seed": seed,
    }
    from r1.evaluation.search import refuse_samples, search_settings

    searched, overrides = search_settings(search, scorer, budget, overrides)
    if searched is not None:
        refuse_samples(searched, samples)
    endpoint, others = split_overrides(overrides)
    sections = _evaluation_sections(recipe, others)
    sections["cluster"] = cluster_options(cluster, replicas, sections.pop("cluster", None))
    folder = out or Path("runs") / f"eval-{name_of(model)}"
    from r1.run_dir import lock

    lock.refuse_held(folder)
    source = resolve_model(model, step, endpoint)  # a mistake is told before torch is imported
    from r1.evaluation.command import run_eval_command

    with told_if_stopped(folder):
        run_eval_command(
            model,
            folder,
            terminal_console(),
            overrides=given,
            search=searched,
            source=source,
            **sections,
        )


def cluster_options(
    address: str | None, replicas: int | None, own: dict[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return the settings of the cluster that was asked for, over a recipe's own; None: none was.

    Raises UserError for replicas without a cluster.
    """
    if address is None:
        if replicas is not None:
            raise UserError('--replicas counts engines on a cluster; say which: --cluster "local".')
        return None
    given = {"address": address, "engine_replicas": replicas}
    return {**(own or {}), **{name: value for name, value in given.items() if value is not None}}


def _evaluation_sections(recipe: Path | None, overrides: list[str]) -> dict[str, Any]:
    """Return the sections of a recipe that evaluation uses: held-out problems, template and
    rewards."""
    if recipe is None:
        if overrides:
            raise UserError("--set changes settings of a recipe; name one with --recipe.")
        return {}
    from r1.config import load_recipe, read_toml
    from r1.pipeline.recipe import refuse_other_tables
    from r1.r1_zero.settings import R1ZeroRecipe

    values = read_toml(recipe)
    refuse_other_tables(values, str(recipe))
    kind = values.get("kind", "r1_zero")
    if kind != "r1_zero":
        raise UserError(
            f"{recipe}: kind = {json.dumps(kind, default=str)}: an evaluation takes held-out "
            'problems, template and rewards of a recipe of kind = "r1_zero"; name such a one.'
        )
    settings = load_recipe(recipe, R1ZeroRecipe, overrides)
    from r1.evaluation.command import evaluation_sections  # imports torch: after what may be wrong

    return evaluation_sections(settings, recipe.parent)
