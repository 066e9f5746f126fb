"""Types that travel along the line: problems -> rollouts -> rewards -> advantages -> update.

Plain dataclasses, free of torch, so that verifiers, reports and tests import them quickly. Sizes: P
problems, G samples in a group, T tokens of one response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with the data to check its answer.

    verifier names the accuracy reward that judges the answer ("math", "exact", "choice",
    "reasoning_gym", ...); reference is the gold answer where that verifier needs one;
    metadata is JSON-serialisable and holds what only the verifier needs (a reasoning-gym entry,
    the options of a multiple-choice question). earlier: (role, text) of the turns before the
    prompt, where it ends a dialogue or follows a system turn.
    """

    id: str
    prompt: str
    reference: str | None
    verifier: str
    language: str = "en"
    family: str = "default"
    metadata: dict[str, Any] = field(default_factory=dict)
    earlier: tuple[tuple[str, str], ...] = ()

    @property
    def dialogue(self) -> str:
        """The prompt with all that precedes it, for people, judges and comparisons."""
        return dialogue_text(self.earlier, self.prompt)


def dialogue_text(earlier: Sequence[tuple[str, str]], prompt: str) -> str:
    """A prompt as text, after the turns before it where there are any."""
    if not earlier:
        return prompt
    return "\n\n".join(
        f"{role.capitalize()}: {text}" for role, text in (*earlier, ("user", prompt))
    )


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """A request for G samples of one tokenized prompt; seeds[g] alone determines sample g."""

    id: str
    prompt_ids: tuple[int, ...]
    seeds: tuple[int, ...]


FAILED: Final = "failed"
"""How a response ended that never came: the engine's failure, which no verifier judges."""


@dataclass(slots=True)
class Completion:
    """One sampled response.

    token_ids: T response tokens, including the end token or the tokens of the stop string.
    logprobs: T natural log-probabilities of those tokens under the *sampled-from* weights at
        temperature 1 when the sampling temperature is 1, else under logits / temperature, before
        any top-p or top-k truncation.
    text: the decoded response without end token and without the stop string.
    finish_reason: "stop" (end token or stop string), "length" (cut at the token limit), or FAILED.
    version: the number of policy updates behind the weights that generated it.
    """

    token_ids: list[int]
    logprobs: list[float]
    text: str
    finish_reason: str
    version: int = 0


@dataclass(slots=True)
class RolloutGroup:
    """A problem, the prompt the model saw, and its G completions in the order of their seeds."""

    problem: Problem
    prompt_ids: tuple[int, ...]
    completions: list[Completion]


class Outcome(StrEnum):
    """A verifier's result. Only CORRECT and WRONG judge the answer itself."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSEABLE = "unparseable"  # no answer could be read from the response: the model's fault
    VERIFIER_FAILED = "verifier-failed"  # the verifier crashed: never counted against the model
    TIMED_OUT = "timed-out"  # the verifier hit its wall clock: likewise

    @property
    def is_verdict(self) -> bool:
        """Whether the outcome concerns the response rather than the verifier."""
        return self in (Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSEABLE)


class StepScore(NamedTuple):
    """A step of a completion: the index of its last token, and the probability that it is right."""

    end: int
    value: float


@dataclass(frozen=True, slots=True)
class Score:
    """One reward's judgement of one completion; detail is text for people.

    steps: those of a process reward model, in order.
    """

    value: float
    outcome: Outcome
    detail: str = ""
    steps: tuple[StepScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Reward:
    """The weighted sum of a completion's scores, and its parts.

    valid is False when any part has no verdict (verifier failed or timed out): such a sample is
    left out of the group's mean and deviation and out of the update.
    """

    total: float
    parts: dict[str, Score]
    valid: bool


@dataclass(slots=True)
class ScoredGroup:
    """A rollout group with one Reward per completion."""

    group: RolloutGroup
    rewards: list[Reward]


@dataclass(slots=True)
class TrainResponse:
    """One response to learn from; engine_logprobs and advantages have one number per token.

    Both are empty where nothing is learnt from them (supervised examples). weight 0 leaves the
    response out of the loss but keeps it in counts: of a rank that has nothing to do, it only keeps
    step.
    """

    token_ids: list[int]
    engine_logprobs: list[float]
    advantages: list[float]
    weight: float = 1.0


@dataclass(slots=True)
class TrainGroup:
    """Responses to one prompt, which is stored and computed once."""

    prompt_ids: tuple[int, ...]
    responses: list[TrainResponse]


@dataclass(slots=True)
class TrainBatch:
    """The data of one policy update.

    num_responses counts all sampled responses, those of skipped groups too: it is the
    denominator of the "sequence" aggregation, so that skipping a group without signal changes
    no gradient. num_tokens counts their response tokens likewise (the "token" aggregation).
    """

    groups: list[TrainGroup]
    num_responses: int
    num_tokens: int
