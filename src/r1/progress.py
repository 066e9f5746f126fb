"""Show a run in the terminal: the quality of a step, and its use of time.

A terminal shows the newest step in two lines under a bar, each of at most 80 columns; a file gets
one line per step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from r1.curation.progress import DataProgress
from r1.pipeline.progress import MetricsSink
from r1.run_dir.evaluation import outcomes_line
from r1.stages.protocol import StageProgress
from r1.terminal import terminal_console


class TerminalProgress:
    """Shows a run or a pipeline, and passes its figures on to `sinks`."""

    def __init__(self, console: Console | None = None, sinks: Sequence[MetricsSink] = ()) -> None:
        self.console = console or terminal_console(stderr=True)
        self.sinks = sinks
        self.num_steps = 0
        self.done_here = 0
        self.stage_name = "training"
        self.started = self.began = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[now]}"),
            TimeElapsedColumn(),
            console=self.console,
        )
        self._task: TaskID | None = None
        self._lines = ("", "")
        self._live = Live(get_renderable=self._picture, console=self.console, refresh_per_second=4)

    def __enter__(self) -> TerminalProgress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begin(self, first_step: int, num_steps: int, notices: list[str]) -> None:
        """The run starts, or resumes at first_step."""
        self.num_steps, self.done_here = num_steps, 0
        self.started = time.monotonic()
        for notice in notices:
            self.warn(notice)
        if first_step:
            self.console.print(f"Carrying on after step {first_step} of {num_steps}.")
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._lines = ("", "")
        self._task = self._bar.add_task(
            self.stage_name, total=num_steps, completed=first_step, now=""
        )
        for sink in self.sinks:
            sink.begin(self.stage_name, first_step, num_steps)

    def stage(self, name: str, title: str, number: int, total: int) -> StageProgress:
        """A stage of a pipeline begins or resumes."""
        self.stage_name = name
        about = "" if title == name else f": {title}"
        self._line(Text.assemble((f"{number}/{total} {name}", "bold"), about))
        return StageProgress(self, DataProgress(name, self.console))

    def staged(self, name: str, seconds: float, counts: Mapping[str, float]) -> None:
        """A stage of a pipeline is done."""
        shown = ", ".join(f"{number:,} {what}" for what, number in counts.items())
        so_far = _clock(time.monotonic() - self.began)
        self._line(f"  {name} done in {_clock(seconds)} ({shown}); {so_far} in all")

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """A step was committed."""
        self.done_here += 1
        each = (time.monotonic() - self.started) / self.done_here
        left = _clock(each * (self.num_steps - step - 1))
        self._lines = (_figures(metrics) + _unusual(metrics), work_line(metrics))
        if self._task is not None:
            self._bar.update(self._task, completed=step + 1, now=f"left {left}")
        if not self.console.is_terminal:
            figures = "  ".join(filter(None, self._lines))
            self._line(f"step {step + 1}/{self.num_steps}  {figures}  left {left}")
        for sink in self.sinks:
            sink.step(self.stage_name, step, metrics)

    def warn(self, message: str) -> None:
        """Show a warning; the run goes on."""
        self.console.print(Text(message, style="yellow"), soft_wrap=True)

    def evaluating(self, step: int, done: int, total: int) -> None:
        """An evaluation has judged `done` of `total` problems."""
        if self._task is not None:
            self._bar.update(self._task, now=f"evaluating {done}/{total}")

    def evaluation(self, step: int, summary: Mapping[str, Any]) -> None:
        """An evaluation was committed."""
        for sink in self.sinks:
            sink.evaluation(self.stage_name, step, summary)
        if "pass_at_1" not in summary:
            right = f", accuracy {_interval(found)}" if (found := summary.get("accuracy")) else ""
            self._line(f"held-out loss after {step} steps: {summary['loss']:.4f}{right}")
            return
        passed, voted = summary["pass_at_1"], summary["cons_at_k"]
        form = "" if summary["format"] is None else f"format {summary['format']:.0%}, "
        self._line(
            f"held-out after {step} steps: pass@1 {_interval(passed)}, "
            f"cons@{summary['k']} {_interval(voted)}, {form}"
            f"length {summary['mean_length']:.0f}, checks {summary['self_check_share']:.0%}"
        )
        self._line(f"  {outcomes_line(summary.get('outcomes', {}), summary.get('truncated'))}")

    def _picture(self) -> Group:
        """Return the bar and the lines under it."""
        lines = [Text(f"  {line}", no_wrap=True, overflow="crop") for line in self._lines if line]
        return Group(self._bar.get_renderable(), *lines)

    def _line(self, text: str | Text) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)


def _figures(metrics: Mapping[str, float]) -> str:
    """Return the main figures of a step: of rewards, or of a loss on fixed data."""
    if "reward" not in metrics:
        right = f"  accuracy {metrics['accuracy']:.0%}" if "accuracy" in metrics else ""
        return f"loss {metrics['loss']:.4f}{right}  lr {metrics['lr']:.1e}"
    return (
        f"reward {_known(metrics['reward'], '.2f')}  "
        f"pass {_known(metrics.get('pass_rate', 0.0), '.0%')}  "
        f"length {metrics['length_mean']:.0f}  checks {metrics['self_check_share']:.0%}"
    )


def _known(value: float, form: str) -> str:
    """Format a figure; a dash where no sample had a verdict."""
    return "–" if math.isnan(value) else format(value, form)


def work_line(metrics: Mapping[str, float]) -> str:
    """Format a step's use of time: "3.9 s: rollout 45% update 53% 2,114 tokens/s engines 42%".

    Phases above 1 % of the step, tokens of responses (supervised: of examples) a second of it, the
    engines' busy share.
    """
    total = metrics.get("seconds/total", 0.0)
    if total <= 0:
        return ""
    phases = {
        key.removeprefix("seconds/"): value / total
        for key, value in metrics.items()
        if key.startswith("seconds/") and key not in ("seconds/total", "seconds/evaluate")
    }
    shown = " ".join(f"{name} {share:.0%}" for name, share in phases.items() if share > 0.01)
    parts = [f"{total:.3g} s" + (f": {shown}" if shown else "")]
    speed = metrics.get("speed/step_tokens", metrics.get("speed/tokens_per_s"))
    if speed is not None:
        parts.append(f"{speed:,.0f} tokens/s")
    if "busy/engines" in metrics:
        parts.append(f"engines {metrics['busy/engines']:.0%}")
    return "  ".join(parts)


def _unusual(metrics: Mapping[str, float]) -> str:
    """Return restarts, skipped steps, staleness and waiting groups; empty without any."""
    who = ("engine", "learner", "reward_server")
    restarts = sum(metrics.get(f"pool/{kind}_restarts", 0.0) for kind in who)
    parts = [f"  restarts {restarts:.0f}"] if restarts else []
    if metrics.get("skipped_steps"):
        parts.append(f"  skipped {metrics['skipped_steps']:.0f}")
    if metrics.get("staleness"):
        parts.append(f"  stale {metrics['staleness']:.1f}")
    if metrics.get("queue/engines"):
        parts.append(f"  queue {metrics['queue/engines']:.0f}")
    return "".join(parts)


def _interval(estimate: Mapping[str, float]) -> str:
    if estimate["value"] is None:
        return "unknown"
    return f"{estimate['value']:.1%} ({estimate['low']:.1%} to {estimate['high']:.1%})"


def _clock(seconds: float) -> str:
    """Format 75 s as 1:15 and two hours as 2:00:00; 120:00 could be hours."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
