"""Checks shared by stage kinds. All raise UserError; another stage's output passes unchecked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from r1.data.rows import find_data
from r1.data.settings import SourceSettings
from r1.errors import UserError, prefixed
from r1.evaluation.source import find_weights
from r1.rewards.settings import RewardSettings
from r1.stages.check_cache import CheckCache
from r1.stages.protocol import MARK
from r1.types import Problem


def is_reference(value: str | None) -> bool:
    """Whether a setting refers to another stage's output ("@dev1")."""
    return value is not None and value.startswith(MARK)


def check_model(
    name: str, cache: CheckCache, setting: str = "model", *, scores: bool = False
) -> None:
    """Raise UserError for a model folder without a model's files, and for a reward model.

    setting: what the recipe calls it. scores: whether it may be a reward model.
    """
    from r1.models.load import check_model_folder

    if is_reference(name):
        return
    try:
        check_model_folder(find_weights(name, cache.base_folder), scores=scores)
    except UserError as refusal:
        if setting == "model":
            raise
        raise prefixed(refusal, f"{setting} = {name!r}") from None


def check_problems(
    sources: Sequence[SourceSettings], rewards: RewardSettings, cache: CheckCache
) -> list[Problem]:
    """Check the sources that no stage makes; return one problem per verifier and family."""
    own = [source for source in sources if not is_reference(source.path)]
    return [problem for source in own for problem in cache.examples(source, rewards)]


def check_paths(paths: Iterable[str | None], cache: CheckCache) -> None:
    """Raise UserError for a data file or folder that does not exist."""
    for path in paths:
        if path and not is_reference(path) and not find_data(path, cache.base_folder).exists():
            raise UserError(f"{path} does not exist; make it, or name a stage's with @.")
