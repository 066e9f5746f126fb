"""Ask a judge any number of questions, each once, while a line shows how far it is.

Replies that a cache holds are not asked for again, so that the same call carries on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from r1.errors import UserError
from r1.judge.asker import NoVerdict
from r1.judge.batch import EndpointVotes, VoteRequest
from r1.judge.counts import JudgeCounts
from r1.judge.judge import Judge
from r1.judge.prompt import JudgeTask
from r1.judge.settings import JudgeSettings
from r1.judge.verdict import Verdict

CACHE_NAME = "judge.jsonl"
MAX_ANSWER_CHARS = 40_000
"""A longer answer is not sent: it would cost without bound."""
LINE_EVERY_S = 10.0
Answers = Mapping[JudgeTask, Verdict | NoVerdict]


class Asked(NamedTuple):
    """What a judge said of each task, and what was counted."""

    answers: Answers
    counts: JudgeCounts

    @property
    def failed(self) -> list[NoVerdict]:
        """What stands in place of a verdict."""
        return [found for found in self.answers.values() if isinstance(found, NoVerdict)]

    def told(self, settings: JudgeSettings) -> dict[str, Any]:
        """Return what a reader must know of the judge, as JSON values. failed: a share. cost: in
        the currency of the prices, of the replies read, kept ones too."""
        failed, read = self.failed, self.counts.read
        return {
            "base_url": settings.base_url,
            "sampling": settings.sampling(),
            "requests": len(self.answers),
            "failed": len(failed) / len(self.answers) if self.answers else 0.0,
            "reasons": dict(Counter(found.reason for found in failed).most_common(3)),
            "tokens_in": read.tokens_in,
            "tokens_out": read.tokens_out,
            "cost": read.cost(settings.budget),
        }


def ask(settings: JudgeSettings, tasks: Sequence[JudgeTask], console: Console) -> Asked:
    """Ask a judge every task once; kept replies are not asked for again."""
    requests = [VoteRequest(str(number), task, 0) for number, task in enumerate(tasks)]
    found = {}
    with Judge(settings) as judge, show_judging(console, len(tasks)) as on_verdict:
        for name, verdict in EndpointVotes(judge).begin(requests):
            found[name] = verdict
            on_verdict()
        counts = judge.take_counts()
    return Asked({request.task: found[request.id] for request in requests}, counts)


def require_verdict(asked: Asked, settings: JudgeSettings) -> None:
    """Raise UserError where the judge gave no verdict at all: that is no figure of a model."""
    failed = asked.failed
    if not failed or len(failed) < len(asked.answers):
        return
    reason, number = Counter(found.reason for found in failed).most_common(1)[0]
    remedy = "choose another judge"
    if settings.extra_body.get("logprobs"):
        remedy = (
            "if it gives no log-probabilities, set extra_body = {logprobs = false} in the judge's "
            f"file; else {remedy}"
        )
    raise UserError(
        f"the judge {settings.model} gave no verdict on any of {len(failed)} requests ({number}: "
        f"{reason}); {remedy}. The samples are kept."
    )


def verdict_json(found: Verdict | NoVerdict) -> dict[str, Any]:
    """Return a verdict, or why there is none, as JSON values."""
    if isinstance(found, NoVerdict):
        return {"failed": found.reason}
    return {"label": found.label, "share": found.share, "analysis": found.analysis}


@contextmanager
def show_judging(console: Console, num_requests: int) -> Iterator[Callable[[], None]]:
    """Show how many requests the judge has answered; return a callback for each."""
    done, told = 0, time.monotonic()

    def line() -> None:
        nonlocal done, told
        done += 1
        if done == num_requests or time.monotonic() - told >= LINE_EVERY_S:
            told = time.monotonic()
            console.print(f"judged {done:,}/{num_requests:,}", highlight=False)

    if not console.is_terminal:
        yield line
        return
    columns = (TextColumn("judged"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("judged", total=num_requests)
        yield lambda: progress.update(task, advance=1)
