"""A run in the terminal: one line a step, with what it is judged by and the time left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from r1.curation.progress import DataProgress
from r1.pipeline.progress import StageProgress


class TerminalProgress:
    """A bar with the newest figures on a terminal; a line a step where output goes to a file."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.num_steps = 0
        self.done_here = 0
        self.stage_name = "training"
        self.started = self.began = time.monotonic()
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> TerminalProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, first_step: int, num_steps: int, notices: list[str]) -> None:
        """The run starts, or carries on at first_step."""
        self.num_steps, self.done_here = num_steps, 0
        self.started = time.monotonic()
        for notice in notices:
            self.warn(notice)
        if first_step:
            self.console.print(f"Carrying on after step {first_step} of {num_steps}.")
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(
            self.stage_name, total=num_steps, completed=first_step, figures=""
        )

    def stage(self, name: str, title: str, number: int, total: int) -> StageProgress:
        """A stage of a pipeline begins or carries on."""
        self.stage_name = name
        about = "" if title == name else f": {escape(title)}"
        self._line(f"[bold]{number}/{total} {escape(name)}[/]{about}")
        return StageProgress(self, DataProgress(name, self.console))

    def staged(self, name: str, seconds: float, counts: Mapping[str, float]) -> None:
        """A stage of a pipeline is done."""
        shown = ", ".join(f"{number:,} {what}" for what, number in counts.items())
        so_far = _clock(time.monotonic() - self.began)
        self._line(f"  {escape(name)} done in {_clock(seconds)} ({shown}); {so_far} in all")

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """A step was committed."""
        self.done_here += 1
        each = (time.monotonic() - self.started) / self.done_here
        left = each * (self.num_steps - step - 1)
        figures = f"{_figures(metrics)}  left {_clock(left)}"
        if self._task is not None:
            self._bar.update(self._task, completed=step + 1, figures=figures)
        if not self.console.is_terminal:
            seconds = metrics.get("seconds/total", 0.0)
            self._line(f"step {step + 1}/{self.num_steps}  {figures}  ({seconds:.1f} s)")

    def warn(self, message: str) -> None:
        """Something the user should know of; the run goes on."""
        self.console.print(f"[yellow]{escape(message)}", soft_wrap=True)

    def evaluating(self, step: int, done: int, total: int) -> None:
        """An evaluation has judged `done` of `total` problems."""
        if self._task is not None:
            self._bar.update(self._task, figures=f"evaluating step {step}: {done}/{total} problems")

    def evaluation(self, step: int, summary: Mapping[str, Any]) -> None:
        """An evaluation was committed."""
        if "pass_at_1" not in summary:
            self._line(f"held-out loss after {step} steps: {summary['loss']:.4f}")
            return
        passed, voted = summary["pass_at_1"], summary["cons_at_k"]
        self._line(
            f"held-out after {step} steps: pass@1 {_interval(passed)}, "
            f"cons@{summary['k']} {_interval(voted)}, format {summary['format'] or 0.0:.0%}, "
            f"length {summary['mean_length']:.0f}, checks {summary['self_check_share']:.0%}"
        )

    def _line(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)


def _figures(metrics: Mapping[str, float]) -> str:
    """What a step of reinforcement learning, or of supervised fine-tuning, is judged by."""
    if "reward" not in metrics:
        return (
            f"loss {metrics['loss']:.4f}  lr {metrics['lr']:.1e}  "
            f"{metrics['speed/tokens_per_s']:,.0f} tokens/s"
        )
    return (
        f"reward {metrics['reward']:.2f}  pass {metrics.get('pass_rate', 0.0):.0%}  "
        f"length {metrics['length_mean']:.0f}  checks {metrics['self_check_share']:.0%}"
    )


def _interval(estimate: Mapping[str, float]) -> str:
    if estimate["value"] is None:
        return "unknown"
    return f"{estimate['value']:.1%} ({estimate['low']:.1%} to {estimate['high']:.1%})"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes}:{seconds:02d}"
