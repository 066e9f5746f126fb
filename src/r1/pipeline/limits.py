"""Check that the responses of a pipeline's stages fit the contexts of their models."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from r1.errors import UserError, prefixed
from r1.evaluation.source import find_model, resolve_model
from r1.pipeline.demands import first_model
from r1.pipeline.r1 import StageSpec
from r1.stages import registry


def check_limits(specs: Sequence[StageSpec], names: Collection[str], base_folder: Path) -> None:
    """Raise UserError for a limit above the context of the stage's original model.

    Models that are not here (a hub id) are left to the stage itself. Raises UserError.
    """
    from r1.rollout.make import check_limit

    by_name = {spec.name: spec for spec in specs}
    for spec in specs:
        if spec.name not in names:
            continue
        for sampler in registry.get(spec.kind).samplers(spec.recipe):
            name = find_model(first_model(sampler.model, sampler.at, spec, by_name), base_folder)
            if not Path(name).is_dir():
                continue
            try:
                for setting, limit in sampler.limits.items():
                    check_limit(limit, resolve_model(name).path, sampler.engine, setting)
            except UserError as error:
                raise prefixed(error, f"stage {spec.name}") from None
