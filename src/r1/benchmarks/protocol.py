"""What a benchmark is: where its data lie, how a row becomes a problem, how it is measured.

    folder of original files -> rows -> problems (prompt by the paper's protocol, verifier, gold)
                                     -> refused rows, each with its reason

A row that is odd (no gold answer, a key that names no option, a line that is no JSON) is refused by
name and counted; it is never credited, and never counted as the model's mistake. A layout is one
way in which the files are published; the first whose files are all there is read, and its name is
part of the result, as other rows are another benchmark.

A benchmark is a file that registers itself (`registry`); `math500.py` is the one to read first.

The paper's protocol: T 0.6, top-p 0.95, at most 32,768 tokens, zero-shot but for DROP, no system
prompt, responses begin with `<think>\\n`, pass@1 over k samples (k = 64 for AIME and GPQA, 16 for
MATH-500), each judged by what follows the last `</think>` (DeepSeek-R1, evaluation setup).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from r1.benchmarks.judging.protocol import Judging
from r1.data.rows import RowError, shown
from r1.errors import UserError
from r1.types import Problem

if TYPE_CHECKING:
    from r1.agents.ask import AskModel

RESULT, ASKED = "benchmark.json", "asked.json"
"""The file of a benchmark's result, in its folder, and that of a conversation's identity."""

Metric = Literal["accuracy", "f1", "judged"]


class Refused(NamedTuple):
    """A row that is no question: where it stands, and why."""

    where: str
    reason: str


Item = Problem | Refused
Row = tuple[str, Mapping[str, Any] | RowError]
"""Where a row stands ("test:3"), and its columns or why there are none."""


Converse = Callable[["AskModel", list[Problem], Path, str], dict[str, Any]]
"""How a benchmark of several requests a question is run: a model, the questions, a folder that
keeps what is done, and the model's name, to the figures that its benchmark.json holds. Killed, it
carries on."""


class DataLayout(NamedTuple):
    """One way in which a benchmark's files are published.

    name: which rows they are, for the result. files: patterns below the benchmark's folder, each
    of which must match a file. read: the matches of each pattern, sorted, to problems.
    of_paper: False where it is another set than the one the paper measured, or another figure of
    it, so that the paper's figures may not stand beside it.
    """

    name: str
    files: tuple[str, ...]
    read: Callable[[list[list[Path]]], Iterator[Item]]
    of_paper: bool = True


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. name, up to an "@", is its folder below the data folder too.

    num_questions: of the set that the paper measured. k: samples a question by the paper's
    protocol. metric: "accuracy" (the verifier's verdicts), "f1" (its partial credit) or "judged"
    (by `judging`, with a judge's verdicts).
    protocol: the variant of the protocol that prompts and judges. data: what to get, and where.
    published: the paper's figures in per cent, by model. parts: keys of the problems' metadata by
    which the score is told in parts too; mean_over: the one of them over whose parts the score is
    the plain mean. vary: makes the benchmark that `NAME@VARIANT` asks for, of the same data.
    further: makes further figures, JSON values; their "told" are lines for people.
    lies_in: the folder of the data, where that is not data/NAME. needs: what it takes besides data
    and a model, but for the judge of a judged one. public: False where its questions must not
    stand in plain text on the internet. converse: None where a question
    is one prompt and a verifier or a judge looks at the response.
    """

    name: str
    title: str
    measures: str
    num_questions: int
    k: int
    protocol: str
    data: str
    layouts: tuple[DataLayout, ...]
    metric: Metric = "accuracy"
    judging: Judging | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    mean_over: str = ""
    vary: Callable[[str], Benchmark] | None = None
    further: Callable[[Loaded, Mapping[str, Sequence[float]]], dict[str, Any]] | None = None
    lies_in: str = ""
    needs: str = ""
    public: bool = True
    converse: Converse | None = None

    @property
    def folder(self) -> str:
        """The folder below the data folder, which variants share, or a whole path."""
        return self.lies_in or self.name.partition("@")[0]

    @property
    def is_made(self) -> bool:
        """Whether its questions are made here, of no files."""
        return not any(layout.files for layout in self.layouts)

    @property
    def needs_folder(self) -> bool:
        """Whether its files lie in a folder of data that the user must name."""
        return not (self.lies_in or self.is_made)

    def published_for(self, layout: str) -> Mapping[str, float]:
        """The paper's figures, none where the layout of this name is another set."""
        others = {each.name for each in self.layouts if not each.of_paper}
        return {} if layout in others else self.published

    def __post_init__(self) -> None:
        if (self.metric == "judged") != (self.judging is not None):
            raise ValueError(f'{self.name}: metric = "judged" goes with a judging, and only it')


class Found(NamedTuple):
    """A layout whose files are there, by pattern."""

    layout: DataLayout
    paths: list[list[Path]]


class Loaded(NamedTuple):
    """The questions of a benchmark, in their order, and the rows that are none.

    left_out: the parts (of `Benchmark.mean_over`) of which no question is left, with a reason.
    paths: the files that were read, by pattern.
    """

    layout: str
    problems: list[Problem]
    refused: list[Refused]
    left_out: Mapping[str, str]
    paths: list[list[Path]]


def find(benchmark: Benchmark, data: Path) -> Found | None:
    """The first layout of which every pattern matches a file below data/NAME."""
    for layout in benchmark.layouts:
        paths = [sorted((data / benchmark.folder).glob(pattern)) for pattern in layout.files]
        if all(paths):
            return Found(layout, paths)
    return None


def load(benchmark: Benchmark, data: Path) -> Loaded:
    """Read a benchmark's questions from its original files.

    Every problem's verifier accepts its gold answer. Raises UserError where the files are missing
    or hold no question.
    """
    from r1.rewards.accuracy import check_reference

    found = find(benchmark, data)
    if found is None:
        wanted = " or ".join(" and ".join(layout.files) for layout in benchmark.layouts)
        there = f"put {wanted} there. To be had: {benchmark.data}."
        if data.absolute().name == benchmark.folder and find(benchmark, data.absolute().parent):
            there = f"--data is the folder above that of the benchmark: {data.absolute().parent}."
        raise UserError(f"{benchmark.name}: no data in {data / benchmark.folder}; {there}")
    problems: list[Problem] = []
    refused: list[Refused] = []
    reasons: dict[str, str] = {}
    seen: set[str] = set()
    for item in found.layout.read(found.paths):
        if isinstance(item, Problem):
            check = check_reference if benchmark.converse is None else _accepted
            reason = "its id occurs twice" if item.id in seen else check(item)
            seen.add(item.id)
            if reason is None:
                problems.append(item)
                continue
            if benchmark.mean_over:
                reasons[item.metadata[benchmark.mean_over]] = reason
            item = Refused(item.id, reason)
        refused.append(item)
    if not problems:
        told = "; ".join(f"{item.where}: {item.reason}" for item in refused[:3]) or "it is empty"
        files = ", ".join(str(path) for part in found.paths for path in part[:1])
        raise UserError(f"{benchmark.name}: no question of {files} can be used ({told}).")
    kept = {problem.metadata.get(benchmark.mean_over) for problem in problems}
    left_out = {part: reason for part, reason in reasons.items() if part not in kept}
    return Loaded(found.layout.name, problems, refused, left_out, found.paths)


def _accepted(problem: Problem) -> None:
    """A question that the benchmark itself judges: there is no verifier to ask."""


def items(rows: Iterable[Row], make: Callable[[str, Mapping[str, Any]], Problem]) -> Iterator[Item]:
    """Turn rows into problems; `make` raises RowError for an odd one, which is refused."""
    for where, row in rows:
        try:
            if isinstance(row, RowError):
                raise row
            yield make(where, row)
        except RowError as fault:
            yield Refused(where, str(fault))


def text_of(row: Mapping[str, Any], column: str) -> str:
    """A column's text, not empty. Raises RowError."""
    if column not in row:
        there = ", ".join(str(name) for name in list(row)[:12])
        raise RowError(f"there is no column {column}; the columns are: {there}")
    value = row[column]
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"{column} is {shown(value)}; it must be a text that is not empty")
    return value.strip()


def table_4(
    claude: float, gpt_4o: float, v3: float, o1_mini: float, r1: float, *, o1: float | None = None
) -> dict[str, float]:
    """The columns of the paper's table 4 (v1; the models' own names), without the empty one."""
    row = {"Claude-3.5-Sonnet-1022": claude, "GPT-4o-0513": gpt_4o, "DeepSeek-V3": v3}
    row |= {"o1-mini": o1_mini, "R1": r1}
    return row if o1 is None else {**row, "o1-1217": o1}


def stages(zero: float, dev1: float, dev2: float, dev3: float) -> dict[str, float]:
    """The figures of the stages on the way to R1 (Nature 2025, table 2)."""
    return {"R1-Zero": zero, "R1-Dev1": dev1, "R1-Dev2": dev2, "R1-Dev3": dev3}


def distilled(
    qwen_1_5b: float, qwen_7b: float, qwen_14b: float, qwen_32b: float, llama: tuple[float, float]
) -> dict[str, float]:
    """The figures of the distilled models (the paper's table 5); llama: 8B and 70B."""
    qwen = {"1.5B": qwen_1_5b, "7B": qwen_7b, "14B": qwen_14b, "32B": qwen_32b}
    row = {f"R1-Distill-Qwen-{size}": value for size, value in qwen.items()}
    return row | dict(zip(("R1-Distill-Llama-8B", "R1-Distill-Llama-70B"), llama, strict=True))
