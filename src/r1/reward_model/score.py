"""A trained reward model judges completions: the Reward protocol, one by one or a group at a time.

    scorer = RewardModelScorer.load(use, base_folder, PromptForm(opened=renderer.opens_think))
    scorer(problem, completion) -> Score            scorer.score_group(group) -> [Score]
    scorer.score_steps(prompts, responses) -> probabilities of steps (a process reward model)

A group is scored in packed rows, its prompt computed once. Rows never mix groups: the last bits of
a score depend on what else is in its row, and a resumed run must see the same bits whatever was
scored when.

The outcome is CORRECT where the score is above that of the mean held-out response (labels: where
the positive one is likelier; steps: where their aggregate is above 1/2), else WRONG; UNPARSEABLE
where there is nothing to score; and VERIFIER_FAILED, which teaches nothing, where the prompt alone
fills the model's limit.

Left out on purpose: scoring in the pool's workers (a model for each is waste) and moving the model
off its device between phases.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from r1.data.rows import RowError
from r1.errors import UserError
from r1.models.device import resolve_device
from r1.models.load import check_vocabulary, load_tokenizer
from r1.reward_model.card import RewardModelCard, find_reward_model, read_card
from r1.reward_model.encode import EncodedResponse, ResponseEncoder
from r1.reward_model.learner import score_texts
from r1.reward_model.model import RewardModel, check_packed_scores, load_reward_model
from r1.reward_model.settings import RewardModelUse
from r1.rewards.registry import PromptForm
from r1.rollout.scored import Scores
from r1.rollout.text import decode
from r1.steps.aggregate import aggregate
from r1.steps.ends import find_steps
from r1.steps.measure import THRESHOLD
from r1.template import Earlier
from r1.types import Completion, Outcome, Problem, RolloutGroup, Score, StepScore


class _Scored(NamedTuple):
    """A response as it is scored, and its steps where those are."""

    text: EncodedResponse
    steps: list[str]


class _Raw(NamedTuple):
    """Scores of a response, one or those of its steps; cut: it was above the limit."""

    values: list[float]
    cut: bool
    steps: list[str]


class RewardModelScorer:
    """See the module. Usable from any thread, one call at a time."""

    def __init__(
        self,
        model: RewardModel,
        tokenizer: Any,
        card: RewardModelCard,
        use: RewardModelUse,
        form: PromptForm | None = None,
    ) -> None:
        """form: how the completions were asked for.

        Raises UserError where the use does not fit the model.
        """
        check_use(use, card)
        self.model = model
        self.card = card
        self.use = use
        self.form = form or PromptForm()
        self.encoder = ResponseEncoder(
            tokenizer, card.template, card.part, card.max_tokens, card.separator
        )
        self._device = next(model.body.parameters()).device
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls, use: RewardModelUse, base_folder: Path = Path(), form: PromptForm | None = None
    ) -> RewardModelScorer:
        """Load the model that a recipe names; relative paths start at base_folder.

        Raises UserError for a missing or broken model, one that is no reward model, and a device
        that is not there.
        """
        folder = find_reward_model(use.path, base_folder)
        card = read_card(folder)
        check_use(use, card)
        tokenizer = load_tokenizer(folder)
        model = load_reward_model(folder, use.dtype, resolve_device(use.device))
        check_vocabulary(model.body, tokenizer)
        check_packed_scores(model)
        return cls(model, tokenizer, card, use, form)

    def __call__(self, problem: Problem, completion: Completion) -> Score:
        """Score one completion."""
        return self._score(problem, [completion])[0]

    def score_group(self, group: RolloutGroup) -> list[Score]:
        """Score a group's completions, in their order."""
        return self._score(group.problem, group.completions)

    def submit_group(self, group: RolloutGroup) -> Scores:
        """score_group, computed when it is asked for (r1.reward_model.mixture.CompletionScorer)."""
        return Scores(partial(self.score_group, group))

    def score_texts(
        self, prompt: str, responses: Sequence[str], earlier: Earlier = ()
    ) -> list[float | None]:
        """Raw scores of responses to a prompt; None where there is nothing to score.

        earlier: the turns before the prompt.

        Raises UserError for a prompt that fills the model's limit.
        """
        try:
            found = self._raw([prompt] * len(responses), responses, [earlier] * len(responses))
        except RowError as fault:
            raise UserError(f"reward model {self.use.path}: {fault}; shorten it.") from None
        return [None if item is None else self._value(item) for item in found]

    def score_steps(
        self, prompts: Sequence[str], responses: Sequence[str], earlier: Sequence[Earlier] = ()
    ) -> list[list[float]]:
        """The probability that each step of each response is right; [] of an empty response.

        earlier: the turns before each prompt; () where none has any. Of a model of whole responses,
        one probability a response. Steps beyond the model's limit get the last one's. Raises
        UserError where a prompt fills the limit.
        """
        try:
            found = self._raw(prompts, responses, earlier or [()] * len(prompts))
        except RowError as fault:
            raise UserError(f"reward model {self.use.path}: {fault}; shorten it.") from None
        return [[] if item is None else _probabilities(item) for item in found]

    def _score(self, problem: Problem, completions: Sequence[Completion]) -> list[Score]:
        texts = [completion.text for completion in completions]
        try:
            prompts, earlier = [problem.prompt] * len(texts), [problem.earlier] * len(texts)
            found = self._raw(prompts, texts, earlier)
        except RowError as fault:
            return [Score(0.0, Outcome.VERIFIER_FAILED, str(fault)) for _ in completions]
        return [
            self._nothing() if item is None else self._judge(item, completion)
            for item, completion in zip(found, completions, strict=True)
        ]

    def _raw(
        self, prompts: Sequence[str], responses: Sequence[str], earlier: Sequence[Earlier]
    ) -> list[_Raw | None]:
        """Raw scores; RowError where a prompt fills the limit."""
        with self._lock:
            given = [
                self._encode(prompt, response, turns)
                for prompt, response, turns in zip(prompts, responses, earlier, strict=True)
            ]
            present = [found.text for found in given if found is not None]
            budget = self.use.tokens_per_microbatch
            values = iter(score_texts(self.model, present, self._device, budget))
        return [
            None if found is None
            else _Raw(_of_each_step(next(values), *found), found.text.cut, found.steps)
            for found in given
        ]  # fmt: skip

    def _encode(self, prompt: str, response: str, earlier: Earlier) -> _Scored | None:
        """What is scored of a response; None where there is nothing."""
        if self.card.objective == "steps":
            steps = self.encoder.steps_of(response, self.form.opened)
            return (
                _Scored(self.encoder.encode_steps(prompt, steps, earlier), steps) if steps else None
            )
        part = self.encoder.part_of(response, self.form.opened)
        return None if part is None else _Scored(self.encoder.encode(prompt, part, earlier), [])

    def _value(self, raw: _Raw) -> float:
        """The score of a response: a number, or the aggregate of its steps."""
        if self.card.objective == "steps":
            return aggregate(_probabilities(raw), self.use.aggregate)
        return raw.values[0]

    def _judge(self, found: _Raw, completion: Completion) -> Score:
        raw, cut = self._value(found), found.cut
        if self.card.objective == "steps":
            detail = f"{len(found.steps)} steps, {self.use.aggregate} {raw:.3f}"
            outcome = Outcome.CORRECT if raw > THRESHOLD else Outcome.WRONG
            detail += ", those beyond the limit were not seen" if cut else ""
            return Score(raw, outcome, detail, self._in_tokens(found, completion))
        value = normalise(raw, self.use, self.card)
        middle = 0.0
        if self.card.objective == "pairwise" and self.card.statistics is not None:
            middle = self.card.statistics.mean
        outcome = Outcome.CORRECT if raw > middle else Outcome.WRONG
        detail = f"score {raw:.3f}" + (", its middle was cut out" if cut else "")
        return Score(value, outcome, detail)

    def _in_tokens(self, found: _Raw, completion: Completion) -> tuple[StepScore, ...]:
        """The steps at the completion's own tokens; () where this tokenizer does not decode them,
        as it is not the policy's."""
        lead = completion.text[: len(completion.text) - len(completion.text.lstrip())]
        first = found.steps[0].removeprefix("<think>") if self.form.opened else found.steps[0]
        steps = [first if self.form.opened else lead + first, *found.steps[1:]]
        tokenizer = self.encoder.tokenizer
        if not decode(tokenizer, completion.token_ids).startswith("".join(steps)):
            return ()
        there = find_steps(tokenizer, completion.token_ids, steps)
        values = _probabilities(found)
        return tuple(
            StepScore(end, min(values[n] for n in members))
            for end, members in zip(there.ends, there.members, strict=True)
        )

    def _nothing(self) -> Score:
        value = self.use.missing
        if value is None:
            value = 0.0
            is_share = self.use.normalise == "sigmoid" or self.card.objective == "steps"
            if not is_share and self.card.statistics is not None:
                value = normalise(self.card.statistics.min, self.use, self.card)
        what = "no answer after the thinking" if self.card.part == "answer" else "no response"
        return Score(value, Outcome.UNPARSEABLE, what)


def _of_each_step(values: list[float], text: EncodedResponse, steps: Sequence[str]) -> list[float]:
    """Scores as a response's steps have them: those that one token ends share one, and those
    beyond the limit have the last one's."""
    if not text.ends:
        return values
    shared = [value for value, members in zip(values, text.members, strict=True) for _ in members]
    return shared + [values[-1]] * (len(steps) - len(shared))


def _probabilities(raw: _Raw) -> list[float]:
    return [_sigmoid(value) for value in raw.values]


def _sigmoid(raw: float) -> float:
    return 1.0 / (1.0 + math.exp(-raw)) if raw >= 0 else 1.0 - 1.0 / (1.0 + math.exp(raw))


def normalise(raw: float, use: RewardModelUse, card: RewardModelCard) -> float:
    """The value that a raw score pays, before its weight."""
    value = raw
    if use.normalise == "sigmoid":
        value = _sigmoid(raw)
    elif use.normalise == "standard":
        assert card.statistics is not None, "check_use has seen to it"
        value = (raw - card.statistics.mean) / max(card.statistics.std, 1e-6)
    return value if use.clip is None else min(use.clip, max(-use.clip, value))


def check_use(use: RewardModelUse, card: RewardModelCard) -> None:
    """Raise UserError where a model cannot be used as a recipe says."""
    if card.objective == "steps":
        return
    if use.normalise == "standard" and card.statistics is None:
        raise UserError(
            f'reward model {use.path}: normalise = "standard" needs held-out scores, and it was '
            'trained without held-out data; add [[data.heldout]] there, or use "none" or "sigmoid".'
        )
    if use.missing is None and use.normalise == "none" and card.statistics is None:
        raise UserError(
            f"reward model {use.path}: it has no held-out scores, so the value of a response "
            "without an answer is unknown; set missing = ... (lower than any good one's)."
        )
