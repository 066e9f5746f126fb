"""The update of a reward model: packed rows, one loss, one optimiser step.

    loss = sum over the step's pairs (or labelled responses) of their loss / their number

Every micro-batch's sum is divided by the step's count, so that any split into rows gives the
gradient of one big batch. A pair is never split: both responses share one prompt in one row.

Where several processes hold the model (`learner.ranks`), each computes its share of the rows. The
head is a module of its own to them.

Left out on purpose: adapters (the head must be saved in a plain model's layout).

Shapes: R responses of a micro-batch, P pairs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from r1.errors import UserError
from r1.learner import sharded_state
from r1.learner.export import save_gathered
from r1.learner.metrics import skipped_steps
from r1.learner.microbatch import IDLE, IndexedResponse, split_microbatches
from r1.learner.modes import autocast, learning_mode
from r1.learner.optimizer import PolicyOptimizer, lr_factor
from r1.learner.ranks import OneRank, Ranks
from r1.learner.settings import OptimizerSettings
from r1.learner.sharded import whole
from r1.learner.state import STATE_FILE, read_state, write_state
from r1.models.device import resolve_device
from r1.models.load import DTYPES, check_vocabulary
from r1.preferences.examples import PreferenceExample, PreferenceRow, pack_preferences
from r1.preferences.types import Pair
from r1.reward_model.encode import EncodedResponse
from r1.reward_model.loss import binary_cross_entropy, bradley_terry
from r1.reward_model.model import (
    RewardModel,
    check_packed_scores,
    load_reward_model,
    save_head,
    score_row,
    scored,
    set_padding,
)
from r1.reward_model.settings import RewardLearnerSettings


class RewardLearner:
    """A reward model that learns from pairs or from labelled responses."""

    def __init__(
        self,
        model_path: str | Path,
        settings: RewardLearnerSettings,
        optimizer: OptimizerSettings,
        total_steps: int = 1,
        seed: int = 0,
        tokenizer: PreTrainedTokenizerFast | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        """model_path: a causal language model, which gets a head seeded by `seed`, or a reward
        model to train on. tokenizer: written with every checkpoint. ranks: the processes that share
        the work; None for one on its own.

        Raises UserError for a broken model folder, an architecture the packed path cannot run, or
        a tokenizer with more tokens than the model embeds.
        """
        self.settings = settings
        self.tokenizer = tokenizer
        self.step = 0
        self.reference = self.critic = None  # which a checkpoint of ranks would hold
        self.device = resolve_device(settings.device)
        self.ranks = ranks or OneRank()
        place = self.ranks.load_device(self.device)
        self.model = load_reward_model(model_path, DTYPES[settings.dtype], place, seed)
        if tokenizer is not None:
            check_vocabulary(self.model.body, tokenizer)
            set_padding(self.model, tokenizer)
        check_packed_scores(self.model)
        if settings.gradient_checkpointing:
            self.model.body.gradient_checkpointing_enable({"use_reentrant": False})
        self.model.body.eval()  # dropout off: what is trained is what will score
        # The head first, to be apart from the body it may be a part of: it stays in fp32.
        self.ranks.shard(self.model.head, as_stored=True)
        self.ranks.shard(self.model.body)
        embeddings = self.model.body.get_input_embeddings().parameters()
        self.optimizer = PolicyOptimizer(
            self.model.named_parameters(),
            optimizer,
            total_steps,
            not_matrices=[*embeddings, *self.model.head.parameters()],
        )

    def update(self, examples: Sequence[PreferenceExample]) -> dict[str, float]:
        """Do one optimiser step; return its metrics.

        Returns loss and accuracy (both before the step; of a pair: is chosen above rejected, a tie
        counts half; of a label: is the score's sign right), score_mean, score_gap (mean chosen -
        rejected, or positive - negative), grad_norm (before clipping), lr, num_examples, num_rows,
        tokens_processed and seconds. With several ranks all but seconds are of all of them.
        """
        begin = time.perf_counter()
        scores: list[list[float]] = [[0.0] * len(example.responses) for example in examples]
        total, num_tokens, num_rows = 0.0, 0, 0
        for micro in self._share(examples):
            self._learning_mode(True)
            score_R = self._scores(micro)
            if micro is None:
                (score_R.sum() * 0.0).backward()
                self._learning_mode(False)
                continue
            loss = _losses(score_R, micro, examples).sum() / len(examples)
            loss.backward()
            self._learning_mode(False)
            total += loss.item()
            num_tokens += micro.content.num_tokens
            num_rows += 1
            _place(scores, micro, score_R)
        (total, tokens, rows), scores = self._summed([total, num_tokens, num_rows], scores)
        norm = self.optimizer.step(self.step, total)
        factor = lr_factor(self.step, self.optimizer.total_steps, self.optimizer.settings)
        self.step += 1
        return {
            "loss": total,
            **batch_figures(examples, scores),
            "grad_norm": norm.item(),
            **skipped_steps([norm.item()]),
            "lr": self.optimizer.settings.lr * factor,
            "num_examples": len(examples),
            "num_rows": int(rows),
            "tokens_processed": int(tokens),
            "seconds": time.perf_counter() - begin,
        }

    @torch.no_grad()
    def measure(self, examples: Sequence[PreferenceExample]) -> list[list[float]]:
        """Score every example's responses under the weights as they are, in their order."""
        scores: list[list[float]] = [[0.0] * len(example.responses) for example in examples]
        for micro in self._share(examples):
            score_R = self._scores(micro)
            if micro is not None:
                _place(scores, micro, score_R)
        return self._summed([], scores)[1]

    def save(self, folder: Path) -> None:
        """Write the model in Hugging Face layout and learner.pt beside it; ranks their state."""
        if self.ranks.sharded:
            self._save_ranks(folder)
            return
        self.model.save(folder, self.tokenizer)
        state = {"step": self.step, "optimizer": self.optimizer.state_dict()}
        write_state(folder, state)

    def _save_ranks(self, folder: Path) -> None:
        save_gathered(self.ranks, self.model.body, folder, self.tokenizer)
        with sharded_state.full_disk_told(folder):
            if not self.model.native:
                weight_1D = whole(self.model.head.weight.detach())
                if self.ranks.index == 0:
                    save_head(weight_1D, folder)
            sharded_state.save(self, folder)

    def load(self, folder: Path) -> None:
        """Take up exactly where `save` left off; UserError when it is no such checkpoint."""
        if self.ranks.sharded or sharded_state.written_by_ranks(folder):
            sharded_state.load(self, folder)
            return
        state = read_state(folder)
        values = dict(self.stored_weights(folder))
        own = dict(self.model.named_parameters())
        if set(values) != set(own):
            raise UserError(f"{folder} was written by a learner with another model.")
        with torch.no_grad():
            for name, tensor in values.items():
                own[name].copy_(tensor)
        self.optimizer.load_state_dict(state["optimizer"], folder / STATE_FILE)
        self.step = state["step"]

    def stored_weights(self, folder: Path) -> Iterator[tuple[str, Tensor]]:
        """The weights that a checkpoint holds, whole."""
        place = self.ranks.load_device(torch.device("cpu"))
        model = load_reward_model(folder, self.model.body.dtype, place)
        return ((name, self.ranks.broadcast(p)) for name, p in model.named_parameters())

    def _share(self, examples: Sequence[PreferenceExample]) -> Sequence[PreferenceRow | None]:
        """This rank's rows; all of them in one process. None where it only keeps step."""
        return self.ranks.assign_rows(
            lambda budget: pack_preferences(examples, budget, scored),
            lambda micro: micro.content.num_tokens,
            self.settings.tokens_per_microbatch,
        )

    def _scores(self, micro: PreferenceRow | None) -> Tensor:
        groups = [IDLE] if micro is None else micro.content.groups
        with autocast(self.settings.autocast, self.device):
            return self.model.scores(score_row(groups, self.device), self.ranks)

    def _summed(
        self, numbers: list[float], scores: list[list[float]]
    ) -> tuple[list[float], list[list[float]]]:
        """Both summed over ranks: a score stands on one rank, the others have 0 there."""
        flat = [*numbers, *(value for values in scores for value in values)]
        found = self.ranks.sum(torch.tensor(flat, dtype=torch.float64, device=self.device)).tolist()
        rest = iter(found[len(numbers) :])
        return found[: len(numbers)], [[next(rest) for _ in values] for values in scores]

    def _learning_mode(self, on: bool) -> None:
        learning_mode(self.model.body, on, self.settings.gradient_checkpointing)


def batch_figures(
    examples: Sequence[PreferenceExample], scores: Sequence[Sequence[float]]
) -> dict[str, float]:
    """accuracy, score_mean and score_gap of a batch; see RewardLearner.update."""
    right, up, down = [], [], []
    for example, values in zip(examples, scores, strict=True):
        if isinstance(example.source, Pair):
            gap = values[0] - values[1]
            up.append(values[0])
            down.append(values[1])
        else:
            gap = values[0] if example.source.positive else -values[0]
            (up if example.source.positive else down).append(values[0])
        right.append(0.5 if gap == 0 else float(gap > 0))
    return {
        "accuracy": sum(right) / len(right),
        "score_mean": _mean([*up, *down]),
        "score_gap": _mean(up) - _mean(down) if up and down else float("nan"),
    }


@torch.no_grad()
def score_texts(
    model: RewardModel, texts: Iterable[EncodedResponse], device: torch.device | str, budget: int
) -> list[float]:
    """Score texts in rows of at most `budget` tokens, in which equal prompts are shared.

    A text longer than the budget gets a row of its own. The same texts give the same scores. Equal
    texts are scored once: in two places of a row their last bits could differ, and a group of equal
    responses would seem to hold something to learn.
    """
    places: dict[tuple[tuple[int, ...], bytes], int] = {}
    distinct: list[EncodedResponse] = []
    index_of: list[int] = []
    for text in texts:
        key = (text.prompt_ids, text.response_ids.tobytes())
        if places.setdefault(key, len(distinct)) == len(distinct):
            distinct.append(text)
        index_of.append(places[key])
    groups: dict[tuple[int, ...], int] = {}
    flat = [
        IndexedResponse(
            index,
            groups.setdefault(text.prompt_ids, index),
            text.prompt_ids,
            scored(text.response_ids),
        )
        for index, text in enumerate(distinct)
    ]
    scores = [0.0] * len(distinct)
    for micro in split_microbatches(flat, budget):
        values = model.scores(score_row(micro.groups, device)).tolist()
        for index, value in zip(micro.indices, values, strict=True):
            scores[index] = value
    return [scores[index] for index in index_of]


def _losses(score_R: Tensor, micro: PreferenceRow, examples: Sequence[PreferenceExample]) -> Tensor:
    """The loss of every pair, or of every labelled response, of a row."""
    place = {owner: position for position, owner in enumerate(micro.owners)}
    numbers = sorted({number for number, _ in micro.owners})
    target_P = torch.tensor(
        [examples[number].target for number in numbers], dtype=score_R.dtype, device=score_R.device
    )
    first_P = score_R[[place[number, 0] for number in numbers]]
    if len(examples[numbers[0]].responses) == 1:
        return binary_cross_entropy(first_P, target_P)
    return bradley_terry(first_P, score_R[[place[number, 1] for number in numbers]], target_P)


def _place(scores: list[list[float]], micro: PreferenceRow, score_R: Tensor) -> None:
    values = score_R.detach().tolist()
    for (number, position), value in zip(micro.owners, values, strict=True):
        scores[number][position] = value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
