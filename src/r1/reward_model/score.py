"""A trained reward model judges completions: the Reward protocol, one by one or a group at a time.

    scorer = RewardModelScorer.load(use, base_folder, PromptForm(opened=renderer.opens_think))
    scorer(problem, completion) -> Score            scorer.score_group(group) -> [Score]

A group is scored in packed rows, its prompt computed once. Rows never mix groups: the last bits of
a score depend on what else is in its row, and a resumed run must see the same bits whatever was
scored when.

The outcome is CORRECT where the score is above that of the mean held-out response (labels: where
the positive one is likelier), else WRONG; UNPARSEABLE where there is nothing to score; and
VERIFIER_FAILED, which teaches nothing, where the prompt alone fills the model's limit.

Left out on purpose: scoring in the pool's workers (a model for each is waste) and moving the model
off its device between phases.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from r1.data.rows import RowError
from r1.errors import UserError
from r1.models.device import resolve_device
from r1.models.load import check_vocabulary, load_tokenizer
from r1.reward_model.card import RewardModelCard, find_reward_model, read_card
from r1.reward_model.encode import ResponseEncoder
from r1.reward_model.learner import score_texts
from r1.reward_model.model import RewardModel, check_packed_scores, load_reward_model
from r1.reward_model.settings import RewardModelUse
from r1.rewards.registry import PromptForm
from r1.types import Completion, Outcome, Problem, RolloutGroup, Score


class _Raw(NamedTuple):
    """A score, and whether the response was above the limit and lost its middle."""

    value: float
    cut: bool


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
        self.encoder = ResponseEncoder(tokenizer, card.template, card.part, card.max_tokens)
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
        return self._score(problem.prompt, [completion])[0]

    def score_group(self, group: RolloutGroup) -> list[Score]:
        """Score a group's completions, in their order."""
        return self._score(group.problem.prompt, group.completions)

    def submit_group(self, group: RolloutGroup) -> Callable[[], list[Score]]:
        """score_group, computed when it is asked for (r1.reward_model.mixture.GroupScorer)."""
        return partial(self.score_group, group)

    def score_texts(self, prompt: str, responses: Sequence[str]) -> list[float | None]:
        """Raw scores of responses to a prompt; None where there is nothing to score.

        Raises UserError for a prompt that fills the model's limit.
        """
        try:
            found = self._raw(prompt, responses)
        except RowError as fault:
            raise UserError(f"reward model {self.use.path}: {fault}; shorten it.") from None
        return [None if item is None else item.value for item in found]

    def _score(self, prompt: str, completions: Sequence[Completion]) -> list[Score]:
        try:
            found = self._raw(prompt, [completion.text for completion in completions])
        except RowError as fault:
            return [Score(0.0, Outcome.VERIFIER_FAILED, str(fault)) for _ in completions]
        return [self._nothing() if item is None else self._judge(*item) for item in found]

    def _raw(self, prompt: str, responses: Sequence[str]) -> list[_Raw | None]:
        """Raw scores; RowError where the prompt fills the limit."""
        parts = [self.encoder.part_of(response, self.form.opened) for response in responses]
        with self._lock:
            texts = [None if part is None else self.encoder.encode(prompt, part) for part in parts]
            present = [text for text in texts if text is not None]
            budget = self.use.tokens_per_microbatch
            values = iter(score_texts(self.model, present, self._device, budget))
        return [None if text is None else _Raw(next(values), text.cut) for text in texts]

    def _judge(self, raw: float, cut: bool) -> Score:
        value = normalise(raw, self.use, self.card)
        middle = 0.0
        if self.card.objective == "pairwise" and self.card.statistics is not None:
            middle = self.card.statistics.mean
        outcome = Outcome.CORRECT if raw > middle else Outcome.WRONG
        detail = f"score {raw:.3f}" + (", its middle was cut out" if cut else "")
        return Score(value, outcome, detail)

    def _nothing(self) -> Score:
        value = self.use.missing
        if value is None:
            value = 0.0
            if self.use.normalise != "sigmoid" and self.card.statistics is not None:
                value = normalise(self.card.statistics.min, self.use, self.card)
        what = "no answer after the thinking" if self.card.part == "answer" else "no response"
        return Score(value, Outcome.UNPARSEABLE, what)


def normalise(raw: float, use: RewardModelUse, card: RewardModelCard) -> float:
    """The value that a raw score pays, before its weight."""
    value = raw
    if use.normalise == "sigmoid":
        value = 1.0 / (1.0 + math.exp(-raw)) if raw >= 0 else 1.0 - 1.0 / (1.0 + math.exp(raw))
    elif use.normalise == "standard":
        assert card.statistics is not None, "check_use has seen to it"
        value = (raw - card.statistics.mean) / max(card.statistics.std, 1e-6)
    return value if use.clip is None else min(use.clip, max(-use.clip, value))


def check_use(use: RewardModelUse, card: RewardModelCard) -> None:
    """Raise UserError where a model cannot be used as a recipe says."""
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
