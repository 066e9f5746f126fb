"""References between stages: "@dev1" in a stage's settings means the output of stage dev1.

    model = "@dev1"                              the checkpoint that dev1 ends with
    distill.teacher = "@r1"                      likewise
    path = "@cold_start"                         a data set
    reward_models.helpful.path = "@helpful"      a reward model
    search.scorer = "@prm"                       one too
    searched = "@tree"                           what a search found
    path = "@dev1/checkpoint"                    the same, with the output's name spelt out

The setting of a reference determines its type, so that a data set in a model's place is refused
before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from r1.stages.protocol import MARK, ArtifactType


class Reference(NamedTuple):
    """One reference: its setting ("data.train.0.path") and its target.

    output is "" where the text leaves it out: the stage's first output.
    """

    field: str
    stage: str
    output: str


def find(values: Any, at: tuple[str, ...] = ()) -> Iterator[Reference]:
    """Return every reference in nested settings, in order."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from find(value, (*at, str(key)))
    elif isinstance(values, list | tuple):
        for index, value in enumerate(values):
            yield from find(value, (*at, str(index)))
    elif isinstance(values, str) and values.startswith(MARK):
        stage, _, output = values.removeprefix(MARK).partition("/")
        yield Reference(".".join(at), stage, output)


def replace(values: Any, path_of: Callable[[str], str], at: tuple[str, ...] = ()) -> Any:
    """Return the settings with path_of(field) in place of every reference."""
    if isinstance(values, Mapping):
        return {key: replace(value, path_of, (*at, str(key))) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [replace(value, path_of, (*at, str(i))) for i, value in enumerate(values)]
    if isinstance(values, str) and values.startswith(MARK):
        return path_of(".".join(at))
    return values


def wanted_type(field: str) -> ArtifactType:
    """Return the type of artifact that this setting needs."""
    parts = field.split(".")
    if "reward_models" in parts or parts[-1] == "scorer":
        return ArtifactType.REWARD_MODEL
    if parts[-1] == "searched":
        return ArtifactType.RESULTS
    is_model = parts[-1] in ("model", "teacher")
    return ArtifactType.CHECKPOINT if is_model else ArtifactType.DATASET
