"""Whether the responses that a pipeline's stages ask for fit the contexts of their models."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.evaluate.source import resolve_model
from r1.pipeline.demands import first_model
from r1.pipeline.r1 import StageSpec
from r1.pipeline.r1_zero import find_model
from r1.rollout.make import check_limit


def check_limits(specs: Sequence[StageSpec], names: Collection[str], base_folder: Path) -> None:
    """Refuse a limit above the context of the model that the chain of references begins with.

    Models that are not here (a hub id) are left to the stage itself. Raises UserError.
    """
    by_name = {spec.name: spec for spec in specs}
    for spec in specs:
        if spec.name not in names:
            continue
        for at, holder, setting, limit in _limits(spec.recipe):
            name = find_model(first_model(holder.model, at, spec, by_name), base_folder)
            if Path(name).is_dir():
                try:
                    check_limit(limit, resolve_model(name).path, holder.engine, setting)
                except UserError as error:
                    raise UserError(f"stage {spec.name}: {error}") from None


def _limits(recipe: Any) -> Iterator[tuple[str, Any, str, int]]:
    """(place of the model, holder of model and engine, name of the limit, limit) of a stage."""
    for part in ("", "general", "judge"):
        holder = getattr(recipe, part, None) if part else recipe
        if getattr(holder, "model", None) is None or not hasattr(holder, "engine"):
            continue
        before = f"{part}." if part else ""
        sampling = getattr(holder, "sampling", None)
        if sampling is not None:
            name = f"{before}sampling.max_new_tokens"
            yield f"{before}model", holder, name, sampling.max_new_tokens
        limit = getattr(holder, "max_new_tokens", None)
        if limit is not None:
            yield f"{before}model", holder, f"{before}max_new_tokens", limit
        evaluation = getattr(holder, "evaluation", None)
        limit = getattr(evaluation, "max_new_tokens", None)
        if limit is not None:
            yield f"{before}model", holder, f"{before}evaluation.max_new_tokens", limit
