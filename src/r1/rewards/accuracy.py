"""The accuracy reward: read the answer and give it to the problem's verifier (§2.2.2).

An answer that cannot be read is UNPARSEABLE with value 0. A verifier's exception goes to the worker
that runs it, which reports it as verifier-failed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from r1.errors import UserError
from r1.rewards.protocol import RewardFunction
from r1.rewards.reading import find_answer, find_source_fault
from r1.rewards.registry import PromptForm, Verifier, find_verifier, register_reward
from r1.rewards.settings import AnswerSource, RewardSettings
from r1.template import TemplateSettings
from r1.types import Completion, Outcome, Problem, Score

logger = logging.getLogger(__name__)

_BOX_IN_TEXT = '(it holds a box, which rewards.answer_from = "boxed" would judge alone)'


def make_accuracy(settings: RewardSettings, form: PromptForm) -> RewardFunction:
    """Build the reward for one form of prompt."""

    def score(problem: Problem, completion: Completion) -> Score:
        verifier = find_verifier(problem.verifier)
        return judge_answer(problem, completion, verifier, settings, form)

    return score


def judge_answer(
    problem: Problem,
    completion: Completion,
    verifier: Verifier,
    settings: RewardSettings,
    form: PromptForm,
) -> Score:
    """Read the answer where the problem puts it, and judge it; the detail names the rule used."""
    source = answer_source(problem, verifier, settings)
    found = find_answer(completion, source, form)
    if found is None:
        return Score(0.0, Outcome.UNPARSEABLE, "no answer could be read")
    score = verifier.score(problem, found.answer, settings)
    if found.rule:
        return replace(score, detail=f"{found.rule}: {found.answer[:60]!r}. {score.detail}".strip())
    if source == "text" and score.value == 0.0 and verifier.boxes and "\\boxed" in found.answer:
        return replace(score, detail=f"{score.detail} {_BOX_IN_TEXT}".strip())
    return score


def answer_source(problem: Problem, verifier: Verifier, settings: RewardSettings) -> AnswerSource:
    """Return where an answer is read: set by the problem, its verifier or the recipe."""
    own: AnswerSource | None = problem.metadata.get("answer_from") or verifier.answer_from
    if own:
        return own
    if settings.answer_from not in ("answer", "tag") and not verifier.boxes:
        return "text"
    return settings.answer_from


def source_notice(
    problems: Iterable[Problem], settings: RewardSettings, asked: str = ""
) -> str | None:
    """Return a warning if the prompts ask for an answer in a place that is not read, else None.

    asked: what stands before every prompt (a system prompt). "text" judges a whole
    summary where the prompts ask for a box; "boxed" finds nothing where they ask for tags.
    """
    if not {"accuracy", "checked_accuracy"} & set(settings.names):
        return None
    missed, total = Counter[tuple[str, str]](), 0
    for problem in problems:
        total += 1
        verifier = find_verifier(problem.verifier)
        if verifier.answer_from:
            continue
        source = answer_source(problem, verifier, settings)
        words = f"{asked}\n{problem.prompt}"
        if source == "text" and "\\boxed" in words and verifier.boxes:
            missed[source, "boxed"] += 1
        if source == "boxed" and "<answer>" in words and "\\boxed" not in words:
            missed[source, "tag"] += 1
    if not missed:
        return None
    (read, wanted), number = missed.most_common(1)[0]
    form = "\\boxed{}" if wanted == "boxed" else "<answer> tags"
    reads = "all that follows the thinking" if read == "text" else "the last \\boxed{} alone"
    return (
        f"{number:,} of {total:,} prompts ask for the answer in {form}, but rewards.answer_from = "
        f'"{read}" judges {reads}: right answers will count as wrong. Set rewards.answer_from = '
        f'"{wanted}".'
    )


def warn_of_source(
    settings: RewardSettings, problems: Iterable[Problem], template: TemplateSettings
) -> None:
    """Log before sampling where answers are read if the prompts name no place."""
    if (notice := source_notice(problems, settings, template.system or "")) is not None:
        logger.warning("%s", notice)


def check_reference(problem: Problem, settings: RewardSettings | None = None) -> str | None:
    """Return why the problem's reference cannot be verified, or None if it can.

    The verifier must accept its own gold answer, on this machine. Runs in the caller's process:
    references are the user's own data, not a model's output.
    """
    try:
        verifier = find_verifier(problem.verifier)
        source = problem.metadata.get("answer_from")
        if source and (fault := find_source_fault(source)):
            return f"metadata: {fault}"
        reason = verifier.check_reference(problem)
        if reason is None and verifier.check_machine is not None:
            reason = verifier.check_machine(problem, settings or RewardSettings())
        return reason
    except UserError as error:
        return str(error)


register_reward("accuracy", make_accuracy)
