"""`r1 eval`: its options, and the parts of a recipe that it takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from r1.endpoint.settings import is_endpoint, split_overrides
from r1.errors import UserError
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
    cluster: Annotated[
        str | None, typer.Option(help='Sample on Ray: "auto", "local" or HOST:PORT')
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(
            min=1, help="Engines on the cluster [default: the recipe's [cluster], else 1]"
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
    endpoint, others = split_overrides(overrides)
    sections = _evaluation_sections(recipe, others)
    own = sections.pop("cluster", None)
    if cluster is not None:
        address = {"address": cluster, "engine_replicas": replicas}
        sections["cluster"] = {**(own or {}), **{k: v for k, v in address.items() if v is not None}}
    elif replicas is not None:
        raise UserError('--replicas counts engines on a cluster; say which: --cluster "local".')
    folder = out or Path("runs") / f"eval-{name_of(model)}"
    from r1.evaluate.command import run_eval_command
    from r1.run_dir import lock

    lock.refuse_held(folder)
    with told_if_stopped(folder):
        run_eval_command(
            model,
            folder,
            terminal_console(),
            step=step,
            overrides=given,
            endpoint=endpoint,
            **sections,
        )


def name_of(model: str) -> str:
    """Return a folder's name for a model: the last part of a path, an endpoint's model."""
    if is_endpoint(model):
        return re.sub(r"[^\w.-]+", "-", model.partition("#")[2]).strip("-.") or "endpoint"
    return Path(model).resolve().name


def _evaluation_sections(recipe: Path | None, overrides: list[str]) -> dict[str, Any]:
    """Return the sections of a recipe that evaluation uses: held-out problems, template and
    rewards."""
    if recipe is None:
        if overrides:
            raise UserError("--set changes settings of a recipe; name one with --recipe.")
        return {}
    from r1.config import load_recipe
    from r1.r1_zero.settings import R1ZeroRecipe

    settings = load_recipe(recipe, R1ZeroRecipe, overrides)
    names = ("template", "rewards", "sampling", "evaluation", "engine")
    return {
        **{name: getattr(settings, name) for name in names},
        "sources": settings.data.heldout,
        "base_folder": recipe.parent,
        "cluster": settings.cluster and settings.cluster.model_dump(exclude_unset=True),
    }
