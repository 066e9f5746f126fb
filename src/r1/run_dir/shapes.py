"""Shapes that readers rely on in the files of runs and pipelines; other fields are allowed.

A run folder may come from another person: a text in place of a number is reported by file and field
(`r1.files.shapes`), not by a traceback from the figure that uses it.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from r1.files.shapes import Inside, open_shape

Step = Annotated[int, Field(ge=0, lt=1 << 53)]
Number = float | bool | None
Values = dict[str, Number]
"""A line of metrics.jsonl or timings.jsonl; it also has "step"."""


@open_shape
class StoredIdentity(TypedDict):
    """run.json"""

    kind: str


@open_shape
class FileMark(TypedDict):
    """A file of a checkpoint, in checkpoint.json."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: str


@open_shape
class Facts(TypedDict, total=False):
    """facts.json"""

    bos_token: str | None
    eos_token: str | None
    prompts_begin_with_bos: bool
    opens_think: bool
    counts: dict[str, Number]


class CheckpointMark(TypedDict):
    """checkpoint.json"""

    step: Step
    files: dict[Inside, FileMark]


@open_shape
class Origin(TypedDict, total=False):
    """A model or a data set in lineage.json."""

    source: str
    model: str
    kind: str
    sha256: str


class StoredFileHash(TypedDict):
    """The size and hash of a file from outside a run."""

    bytes: int
    sha256: str


@open_shape
class InputEntry(TypedDict):
    """A source that a run or a stage read from outside (r1.run_dir.inputs)."""

    role: str
    source: str
    files: dict[str, StoredFileHash]


@open_shape
class ChangeNote(TypedDict):
    """The step from which a run is longer, or has other inputs."""

    step: Step
    changes: list[str]


@open_shape
class CheckpointEntry(TypedDict):
    """A checkpoint in lineage.json."""

    step: Step
    folder: str
    sha256: str


@open_shape
class Story(TypedDict, total=False):
    """lineage.json"""

    parent: Origin
    datasets: list[Origin]
    checkpoints: list[CheckpointEntry]
    inputs: list[InputEntry]
    changes: list[ChangeNote]


@open_shape
class Bounds(TypedDict):
    """A figure with its interval."""

    value: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]


@open_shape
class FamilySummary(TypedDict, total=False):
    """A family of problems in an evaluation."""

    pass_at_1: Bounds
    cons_at_k: Bounds | None
    num_problems: int


@open_shape
class LengthSummary(TypedDict, total=False):
    """Held-out preferences whose chosen response is the longer, or the shorter one."""

    value: float | None
    num: int


@open_shape
class Summary(TypedDict):
    """evaluations/step-N.json"""

    step: Step
    k: NotRequired[int]
    num_problems: NotRequired[int]
    pass_at_1: NotRequired[Bounds | None]
    cons_at_k: NotRequired[Bounds | None]
    by_family: NotRequired[dict[str, FamilySummary]]
    format: NotRequired[float | None]
    language_consistency: NotRequired[float | None]
    mean_length: NotRequired[float | None]
    self_check_share: NotRequired[float | None]
    truncated: NotRequired[float | None]
    sampling: NotRequired[dict[str, Any]]
    outcomes: NotRequired[dict[str, int]]
    by_length: NotRequired[dict[str, LengthSummary]]
    length_correlation: NotRequired[float | None]


@open_shape
class InputOf(TypedDict):
    """Another stage's output that a stage reads."""

    stage: Inside
    output: str


@open_shape
class StageEntry(TypedDict):
    """A stage in pipeline.json."""

    name: Inside
    kind: str
    title: NotRequired[str | None]
    label: NotRequired[str]
    learns_from: NotRequired[str | None]
    inputs: NotRequired[dict[str, InputOf]]
    outputs: NotRequired[dict[str, str]]


@open_shape
class PipelineFile(TypedDict):
    """pipeline.json"""

    kind: NotRequired[str]
    recipe: NotRequired[dict[str, Any] | None]
    stages: list[StageEntry]


@open_shape
class OutputMark(TypedDict):
    """An output of a stage, in STAGE.json."""

    path: Inside
    type: str
    counts: dict[str, Number]
    sha256: str


@open_shape
class StageMark(TypedDict):
    """STAGE.json"""

    settings: NotRequired[Any]
    inputs: dict[str, str]
    external: NotRequired[list[InputEntry]]
    parents: dict[str, InputOf]
    outputs: dict[str, OutputMark]
    seconds: float | None


@open_shape
class Begun(TypedDict):
    """BEGUN.json"""

    settings: Any
    inputs: dict[str, str]
    external: NotRequired[list[InputEntry]]


@open_shape
class StageEvaluation(TypedDict, total=False):
    """evaluation.json of an evaluation stage."""

    stage: str | None
    title: str | None
    overall: dict[str, Any] | None
    families: dict[str, dict[str, Any]] | None
    general: dict[str, Any] | None
    num_samples: int | None
    num_problems: int | None
    num_parameters: float | None
    seconds: float | None
    sampling: dict[str, Any]
    begins_with_think: bool
