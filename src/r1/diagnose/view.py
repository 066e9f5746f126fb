"""A run as the diagnosis sees it: metrics, settings, and groups of samples of the first and last
steps.

Windows: the first quarter and the last third of the steps, at most WINDOW of each, the steps of the
highest reward between, and at most MAX_GROUPS groups of each, so that a run of ten thousand steps
is looked at in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from r1.diagnose.recipe_shape import DiagnosedRecipe
from r1.files.shapes import read_json
from r1.run_dir.evaluation import REQUEST, block_files, is_evaluation, read_result
from r1.run_dir.read import (
    is_done,
    read_evaluations,
    read_facts,
    read_metrics,
    require_run,
    rollout_steps,
    rollouts_path,
)
from r1.run_dir.shapes import StoredIdentity
from r1.run_dir.stored import iterate_judged, problem_ids
from r1.types import Outcome

Row = dict[str, Any]
WINDOW = 8
MAX_GROUPS = 64
HOPELESS_STEPS = 3
"""After so many steps in a row without any signal a run is called hopeless."""
LEAST_STEPS = 4
"""Of fewer steps nothing is said that only a course of steps can tell."""
ACCURACY = "accuracy"
EVALUATION = "evaluation"


class Trend(NamedTuple):
    """Means of the first and the last window, and the standard error of their difference."""

    first: float
    last: float
    error: float

    @property
    def rose(self) -> bool:
        """Whether the last window is higher by more than noise (2 standard errors)."""
        return self.last - self.first > max(2.0 * self.error, 1e-9)

    @property
    def fell(self) -> bool:
        """Whether the last window is lower by more than noise."""
        return self.first - self.last > max(2.0 * self.error, 1e-9)


@dataclass(frozen=True)
class SampledGroup:
    """The samples of one problem in one step, as rows of the run's table of completions."""

    step: int
    rows: list[Row]

    def values(self, part: str | None) -> list[float]:
        """Return a reward part's values (None: the whole reward) of samples with a verdict."""
        column = "reward" if part is None else f"reward/{part}"
        found = (row.get(column) for row in self.rows if row["valid"])
        return [value for value in found if value is not None and math.isfinite(value)]

    def mean(self, part: str | None) -> float | None:
        """Return the mean of `values`; None without any."""
        return mean(self.values(part))


@dataclass(frozen=True)
class RunView:
    """See the module. slow_too: checks that take seconds are wanted as well."""

    folder: Path
    kind: str
    recipe: dict[str, Any]
    facts: dict[str, Any]
    metrics: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    first: list[SampledGroup]
    best: list[SampledGroup]
    last: list[SampledGroup]
    done: bool = False
    slow_too: bool = True
    judge: bool = False

    @property
    def sorts(self) -> tuple[str, ...]:
        """The sorts of checks that apply (`diagnosis.Applies`)."""
        if self.kind == EVALUATION:
            return ("every", "samples") if self.last else ("every",)
        if self.last:
            return ("every", "any", "samples", "training")
        return ("every", "any", "supervised")

    @cached_property
    def rows(self) -> list[Row]:
        """The samples of the last steps."""
        return [row for group in self.last for row in group.rows]

    @property
    def steps_seen(self) -> str:
        """Name the last window: "the last 4 steps"."""
        number = len({group.step for group in self.last})
        if self.kind == EVALUATION:
            return "this evaluation"
        return f"the last {number} steps" if number > 1 else f"step {self.last[0].step + 1}"

    def setting(self, name: str, default: Any = None) -> Any:
        """Return a setting of the resolved recipe by its dotted name."""
        node: Any = self.recipe
        for part in name.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        return default if node is None else node

    def algorithm_key(self, name: str) -> str:
        """Return the dotted name of a setting in the algorithm's section."""
        for section, table in self.recipe.items():
            if isinstance(table, dict) and "group_size" in table:
                return f"{section}.{name}"
        return f"grpo.{name}"

    def of_algorithm(self, name: str, default: float) -> float:
        """Return a number in the algorithm's section, which may be a plugin's."""
        found = self.setting(self.algorithm_key(name), default)
        return found if isinstance(found, int | float) else default

    @cached_property
    def main_part(self) -> str | None:
        """The part of the reward that says whether an answer is right; None: the whole reward."""
        tables = [
            self.setting("rewards.weights", {}),
            *self.setting("rewards.families", {}).values(),
        ]
        paid = any(table.get(ACCURACY) for table in tables) or self.kind == EVALUATION
        judged = any(row.get(f"outcome/{ACCURACY}") is not None for row in self.rows)
        return ACCURACY if paid and judged else None

    def outcome(self, row: Row) -> str | None:
        """Return the main part's outcome of a sample."""
        found: str | None = row.get(f"outcome/{self.main_part}")
        return found

    def trend(
        self,
        value: Callable[[SampledGroup], float | None],
        begin: Sequence[SampledGroup] | None = None,
    ) -> Trend:
        """Return how a group's figure moved to the last steps, from the first or from `begin`."""
        groups = (self.first if begin is None else begin, self.last)
        windows = [[v for group in part if (v := value(group)) is not None] for part in groups]
        if not all(windows) or self.num_steps < 2:
            return Trend(0.0, 0.0, math.inf)
        (first, last), errors = map(_mean, windows), map(_squared_error, windows)
        return Trend(first, last, math.sqrt(sum(errors)))

    @cached_property
    def main_trend(self) -> Trend:
        """How the main part moved."""
        return self.trend(lambda group: group.mean(self.main_part))

    @cached_property
    def reward_trend(self) -> Trend:
        """How the whole reward moved."""
        return self.trend(lambda group: group.mean(None))

    @cached_property
    def fall_from_best(self) -> Trend:
        """How the whole reward moved from the steps in which it was highest."""
        return self.trend(lambda group: group.mean(None), self.best)

    def series(self, key: str) -> list[float]:
        """Return a metric's values, without steps that lack it."""
        return [float(row[key]) for row in self.metrics if row.get(key) is not None]

    def recent(self, key: str) -> float | None:
        """Return a metric's mean over the last third of the steps, at most WINDOW."""
        values = self.series(key)
        return mean(values[-_last_window(len(values)) :])

    @property
    def num_steps(self) -> int:
        """Steps done."""
        return len(self.metrics)

    @property
    def nothing_learnt(self) -> bool:
        """Whether none of the last HOPELESS_STEPS steps had a group with signal."""
        last = [row.get("zero_variance") for row in self.metrics[-HOPELESS_STEPS:]]
        return len(last) == HOPELESS_STEPS and all(
            share is not None and share >= 1.0 for share in last
        )


def load_view(folder: Path, *, slow_too: bool = True, judge: bool = False) -> RunView:
    """Read a run's or an evaluation's folder, even while it is being written.

    Raises UserError where it is neither, or a file is damaged.
    """
    if is_evaluation(folder):
        result = read_result(folder)
        groups = _groups(block_files(folder), MAX_GROUPS)
        found = [] if result is None else [result]
        request = read_json(folder / REQUEST, {}, DiagnosedRecipe)
        return RunView(
            folder, EVALUATION, request, {}, [], found, [], [], groups, True, slow_too, judge
        )
    require_run(folder)
    steps = rollout_steps(folder)
    first = [rollouts_path(folder, step) for step in steps[: _first_window(len(steps))]]
    last = [rollouts_path(folder, step) for step in steps[-_last_window(len(steps)) :]]
    metrics = read_metrics(folder)
    best = [rollouts_path(folder, step) for step in _best_steps(metrics) if step in steps]
    return RunView(
        folder=folder,
        kind=read_json(folder / "run.json", shape=StoredIdentity)["kind"],
        recipe=read_json(folder / "recipe.json", {}, DiagnosedRecipe),
        facts=read_facts(folder),
        metrics=metrics,
        evaluations=read_evaluations(folder),
        first=_groups(first, MAX_GROUPS),
        best=_groups(best, MAX_GROUPS),
        last=_groups(last, MAX_GROUPS) if steps else [],
        done=is_done(folder),
        slow_too=slow_too,
        judge=judge,
    )


def mean(values: Iterable[float]) -> float | None:
    """Return the mean; None without any value."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else None


def mean_length(group: SampledGroup) -> float | None:
    """Return the mean number of tokens of a group's responses."""
    return mean(float(row["num_tokens"]) for row in group.rows)


def _groups(paths: Sequence[Path], most: int) -> list[SampledGroup]:
    """Return groups of the files, of each the same number, evenly spaced."""
    found: list[SampledGroup] = []
    for path in paths:
        ids = problem_ids(path)
        each = max(1, most // len(paths))
        chosen = set(ids[:: -(-len(ids) // each)]) if ids else set()
        by_problem: dict[str, list[Row]] = {}
        for row in iterate_judged(path):
            if row["problem_id"] in chosen:
                by_problem.setdefault(row["problem_id"], []).append(row)
        found += [SampledGroup(rows[0]["step"], rows) for rows in by_problem.values()]
    return found


def _best_steps(metrics: Sequence[dict[str, Any]]) -> list[int]:
    """Return the steps before the last window with the highest mean reward: one of few steps, three
    in a row of twelve or more."""
    rewards = [(row["step"], row["reward"]) for row in metrics if row.get("reward") is not None]
    before = rewards[: -_last_window(len(rewards))]
    width = 1 if len(rewards) < 12 else 3
    runs = [before[i : i + width] for i in range(len(before) - width + 1)]
    best = max(runs, key=lambda run: sum(value for _, value in run), default=[])
    return [step for step, _ in best]


def _first_window(num_steps: int) -> int:
    return max(1, min(WINDOW, num_steps // 4))


def _last_window(num_steps: int) -> int:
    return max(1, min(WINDOW, num_steps // 3))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _squared_error(values: Sequence[float]) -> float:
    """Return the squared standard error of a mean."""
    if len(values) < 2:
        return math.inf
    center = _mean(values)
    return sum((v - center) ** 2 for v in values) / (len(values) - 1) / len(values)


def is_unparseable(outcome: str | None) -> bool:
    """Whether no answer was found in a response."""
    return outcome == Outcome.UNPARSEABLE
