"""The parts of a stage kind (torch-free).

    settings -> check -> run -> outputs          a stage of a pipeline, or a recipe of its own
    settings -> estimate                         `r1 plan`, before anything runs

Adding a kind costs one file that calls `registry.register(StageKind(...))`: in this package, or a
module of the user's own that the recipe names in `plugins`. The pipeline, the plan and the report
read what they need from the StageKind and know no kind by name.

The file is imported whenever a recipe is read, so its heavy imports (torch, pyarrow, engines)
belong inside the functions that run and check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from r1.cluster.settings import ClusterSettings
from r1.config import Settings
from r1.plan.estimate import Context, Estimate
from r1.rollout.settings import EngineSettings
from r1.stages.check_cache import CheckCache

MARK = "@"
"""Begins a setting's value that stands for what another stage gives: "@dev1"."""

LearnsFrom = Literal["rewards", "examples", "preferences"]


class ArtifactType(StrEnum):
    """The types of a stage's outputs."""

    CHECKPOINT = "checkpoint"
    DATASET = "dataset"
    REWARD_MODEL = "reward_model"
    RESULTS = "results"


class Artifact(NamedTuple):
    """An output of a stage.

    path: inside the stage's folder. counts: how much of it there is, by plural noun
    ({"rows": 812}), as the terminal and the report show it.
    """

    path: str
    type: ArtifactType
    counts: Mapping[str, float] = {}


class StageProgress(NamedTuple):
    """Receivers of events inside a stage: of training and evaluation, and of making data.

    What each is told depends on the stage (r1.run_dir.events and
    r1.curation.progress say).
    """

    training: Any
    data: Any


class StageContext(NamedTuple):
    """A stage's folders and event receivers.

    base_folder: where the recipe's relative paths start. folder: the stage's own; run fills it, or
    carries on there after a kill. cluster: the whole recipe's, for kinds that sample from a
    finished model; a kind that trains has it in its settings.
    """

    base_folder: Path
    folder: Path
    progress: StageProgress
    cluster: ClusterSettings | None = None


class SampledModel(NamedTuple):
    """A model that a stage samples by an engine here.

    at: the setting that names the model ("general.model"). max_new_tokens: the longest response.
    limits: every setting that limits a response, with its tokens; each must fit the model's
    context.
    """

    at: str
    model: str
    engine: EngineSettings
    max_new_tokens: int
    limits: Mapping[str, int]


class Train(Protocol):
    """Trains into the run folder `out`, or resumes there; returns it. Raises UserError."""

    def __call__(
        self,
        recipe: Any,
        base_folder: Path,
        out: Path,
        progress: Any,
        *,
        accept_changes: bool = False,
    ) -> Path: ...


Run = Callable[[Any, StageContext], Mapping[str, Artifact]]
Check = Callable[[Any, CheckCache], None]
EstimateStage = Callable[[str, Any, Context], Estimate]


def no_samplers(settings: Any) -> Sequence[SampledModel]:
    """Return no samplers."""
    return ()


@dataclass(frozen=True)
class StageKind:
    """One kind of stage.

    name: what `kind` in a recipe says. label: a short word for people ("SFT", "data").
    settings: the schema of a stage's table. One called `seed` is the whole recipe's by default. A
        setting that names a model is called `model`, one
        that names data `path`, `samples` or `examples`: by these names files are hashed
        (r1.data.external) and references checked (r1.pipeline.references).
    outputs: by name; the first is meant where a reference names none.
    run: (settings, context) -> an artifact for each output; references are replaced by paths.
    check: (settings, cache) -> None; raises UserError for what is wrong before anything runs.
        References still stand in the settings.
    estimate: (name, settings, context) -> what `r1 plan` says of it.
    samplers: the models that it samples by engines, from its settings.
    learns_from: what a kind that trains learns from; its settings then have `model`, `learner`,
        and `cluster`.
    may_change, may_grow: dotted settings that may differ, or be larger, when a stage is carried on.
    train: of a kind that trains, how a recipe of its own runs: into a plain run folder. A recipe of
        any other kind is a pipeline of one stage.
    other_names: what people write who mean this kind. assumed: a recipe without `kind` is of this.
    """

    name: str
    label: str
    settings: type[Settings]
    outputs: Mapping[str, ArtifactType]
    run: Run
    check: Check
    estimate: EstimateStage
    samplers: Callable[[Any], Sequence[SampledModel]] = no_samplers
    learns_from: LearnsFrom | None = None
    may_change: Sequence[str] = ()
    may_grow: Sequence[str] = ()
    train: Train | None = None
    other_names: Sequence[str] = ()
    assumed: bool = False
