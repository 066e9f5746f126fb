"""The results of several folders of `r1 bench run`, a model each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from r1.benchmarks.protocol import Benchmark
from r1.benchmarks.registry import benchmarks
from r1.benchmarks.running.against import mark_against
from r1.benchmarks.running.show import read_results

PageResult = Mapping[str, Any]


class ModelResults(NamedTuple):
    """What a model reached. title: its name in tables; results: by benchmark."""

    title: str
    folder: Path
    results: Mapping[str, PageResult]


class Row(NamedTuple):
    """A benchmark that some model was measured on. hidden: its questions must not be published.
    num_questions: of the set that the paper measured. others: the layouts, among those measured, of
    another set; where there are no others, `published` is empty."""

    name: str
    title: str
    published: Mapping[str, float]
    hidden: bool
    num_questions: int = 0
    others: frozenset[str] = frozenset()

    def score(self, result: PageResult | None) -> Mapping[str, float] | None:
        """A model's score; None where it has none, or where it is of another set than the paper's
        figures in the row."""
        if result is None or (self.published and result["layout"] in self.others):
            return None
        return result["score"] or None

    def mark(self, result: PageResult | None) -> str:
        """Whether a model's score is told apart from R1's; "" where that is not known."""
        score = self.score(result)
        if result is None or score is None or result["metric"] == "judged":
            return ""
        if "R1" not in self.published:
            return ""
        return mark_against(score, self.published["R1"], self.num_questions)


def read_models(folders: Sequence[Path]) -> list[ModelResults]:
    """Read each folder. Raises UserError where one holds no result."""
    found = [(folder, read_results(folder)) for folder in folders]
    titles = [_title(results) for _, results in found]
    twice = {title for title, count in Counter(titles).items() if count > 1}
    return [
        ModelResults(f"{title} ({folder.name})" if title in twice else title, folder, results)
        for title, (folder, results) in zip(titles, found, strict=True)
    ]


def rows_of(models: Sequence[ModelResults]) -> dict[str, Row]:
    """The benchmarks of all models by name."""
    known = benchmarks()
    rows: dict[str, Row] = {}
    for model in models:
        for name, result in model.results.items():
            benchmark = known.get(name.partition("@")[0])
            title = result["title"] + (" (F1)" if result["metric"] == "f1" else "")
            of_paper = benchmark if "@" not in name else None
            published, others = _published(of_paper, [m.results.get(name) for m in models])
            if others and not published:
                title += f" ({', '.join(sorted(others))})"
            hidden = bool(benchmark and not benchmark.public)
            asked = benchmark.num_questions if benchmark else 0
            rows[name] = Row(name, title, published, hidden, asked, others)
    return rows


def _published(
    benchmark: Benchmark | None, results: Sequence[PageResult | None]
) -> tuple[Mapping[str, float], frozenset[str]]:
    """The paper's figures, where some model was measured on its set, and the layouts of another."""
    if benchmark is None:
        return {}, frozenset()
    layouts = {result["layout"] for result in results if result is not None}
    others = frozenset(each for each in layouts if is_another_set(benchmark, each))
    return (benchmark.published if layouts - others else {}), others


def is_another_set(benchmark: Benchmark, layout: str) -> bool:
    """Whether the paper's figures are of another set than the layout of this name."""
    return bool(benchmark.published) and not benchmark.published_for(layout)


def _title(results: Mapping[str, PageResult]) -> str:
    """The model's name: what follows an endpoint's "#", or the last two parts of a path."""
    model = str(next(iter(results.values()))["model"])
    if "#" in model:
        return model.partition("#")[2]
    return "/".join(Path(model).parts[-2:])
