"""The update of a reward model: packed rows, one loss, one optimiser step.

    loss = sum over the step's pairs (or labelled responses, or steps) of their loss / their number

Every micro-batch's sum is divided by the step's count, so that any split into rows gives the
gradient of one big batch. A pair is never split: both responses share one prompt in one row.

Where several processes hold the model (`learner.ranks`), each computes its share of the rows. The
head is a module of its own to them. With adapters (`learner.lora`) they learn and the head does; a
checkpoint has them merged, in a plain model's layout.

Shapes: R responses of a micro-batch, S scores, P pairs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from r1.learner import lora, sharded_state
from r1.learner.export import save_gathered
from r1.learner.metrics import only_step
from r1.learner.microbatch import IDLE, IndexedResponse, split_microbatches
from r1.learner.modes import autocast, learning_mode, reproducible, reserve_cublas
from r1.learner.optimizer import PolicyOptimizer
from r1.learner.ranks import OneRank, Ranks
from r1.learner.recompute import set_recomputation
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.learner.sharded import whole
from r1.learner.state import STATE_FILE, check_fits, read_state, write_state
from r1.models.device import resolve_device
from r1.models.load import DTYPES, check_vocabulary
from r1.preferences.examples import PreferenceExample, PreferenceRow, pack_preferences
from r1.preferences.types import Pair
from r1.reward_model.encode import EncodedResponse
from r1.reward_model.loss import binary_cross_entropy, bradley_terry
from r1.reward_model.model import (
    RewardModel,
    check_packed_scores,
    check_used_scores,
    load_reward_model,
    save_head,
    score_row,
    scored,
    set_padding,
)


class RewardLearner:
    """A reward model that learns from pairs, labelled responses or labelled steps."""

    def __init__(
        self,
        model_path: str | Path,
        settings: LearnerSettings,
        optimizer: OptimizerSettings,
        total_steps: int = 1,
        seed: int = 0,
        tokenizer: PreTrainedTokenizerFast | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        """model_path: a causal language model, which gets a head seeded by `seed`, or a reward
        model to train on. tokenizer: written with every checkpoint. ranks: the processes that share
        the work; None for one on its own.

        Raises UserError for a broken model folder, an architecture the packed path cannot run,
        or a tokenizer with more tokens than the model embeds.
        """
        self.settings, self.seed = settings, seed
        self.tokenizer = tokenizer
        self.step = 0
        self.reference = self.critic = None  # which a checkpoint of ranks would hold
        self.device = resolve_device(settings.device)
        reserve_cublas(settings.deterministic)
        self.ranks = ranks or OneRank()
        place = self.ranks.load_device(self.device)
        self.model = load_reward_model(model_path, DTYPES[settings.dtype], place, seed)
        if tokenizer is not None:
            check_vocabulary(self.model.body, tokenizer)
            set_padding(self.model, tokenizer)
        plain_R = check_packed_scores(self.model)
        if settings.lora is not None:
            lora.attach(self.model.body, settings.lora, seed, self.model.head)
        set_recomputation(self.model.body, settings)
        self.model.body.eval()  # dropout off: what is trained is what will score
        # The head first, to be apart from the body it may be a part of: it stays in fp32.
        self.ranks.shard(self.model.head, as_stored=True)
        self.ranks.shard(self.model.body)
        check_used_scores(self.model, plain_R, self.ranks, self.device, settings.autocast)
        embeddings = self.model.body.get_input_embeddings().parameters()
        self.optimizer = PolicyOptimizer(
            self.model.named_parameters(),
            optimizer,
            total_steps,
            not_matrices=[*embeddings, *self.model.head.parameters()],
        )

    @reproducible
    def update(self, examples: Sequence[PreferenceExample]) -> dict[str, float]:
        """Do one optimiser step; return its metrics.

        Returns loss and accuracy (both before the step; of a pair: is chosen above rejected, a tie
        counts half; of a label: is the score's sign right), score_mean, score_gap (mean chosen -
        rejected, or positive - negative), grad_norm (before clipping), lr, num_examples, num_rows,
        tokens_processed and seconds. With several ranks all but seconds are of all of them.
        """
        begin = time.perf_counter()
        lora.seed_dropout(self.settings.lora, self.ranks, self.seed * 1_000_003 + self.step)
        scores, count = _zeros(examples), num_items(examples)
        total, num_tokens, num_rows = 0.0, 0, 0
        for micro in self._share(examples):
            self._learning_mode(True)
            score_S = self._scores(micro, examples)
            if micro is None:
                (score_S.sum() * 0.0).backward()
                self._learning_mode(False)
                continue
            loss = _losses(score_S, micro, examples).sum() / count
            loss.backward()
            self._learning_mode(False)
            total += loss.item()
            num_tokens += micro.content.num_tokens
            num_rows += 1
            _place(scores, micro, score_S, examples)
        (total, tokens, rows), scores = self._summed([total, num_tokens, num_rows], scores)
        told = only_step(self.optimizer, self.step, total)
        self.step += 1
        return {
            "loss": total,
            **batch_figures(examples, scores),
            **told,
            "num_examples": len(examples),
            "num_rows": int(rows),
            "tokens_processed": int(tokens),
            "seconds": time.perf_counter() - begin,
        }

    @torch.no_grad()
    def measure(self, examples: Sequence[PreferenceExample]) -> list[list[float]]:
        """Score every example's responses, or steps, under the weights as they are, in their
        order."""
        scores = _zeros(examples)
        for micro in self._share(examples):
            score_S = self._scores(micro, examples)
            if micro is not None:
                _place(scores, micro, score_S, examples)
        return self._summed([], scores)[1]

    def save(self, folder: Path) -> None:
        """Write the model in Hugging Face layout and learner.pt beside it; ranks their state."""
        if self.ranks.sharded:
            self._save_ranks(folder)
            return
        state: dict[str, Any] = {"step": self.step, "optimizer": self.optimizer.state_dict()}
        if self.settings.lora is None:
            self.model.save(folder, self.tokenizer)
        else:
            replace(self.model, body=lora.merged_model(self.model.body)).save(
                folder, self.tokenizer
            )
            state["adapters"] = self.adapted
        write_state(folder, state)

    @property
    def adapted(self) -> dict[str, Tensor]:
        """What learns under LoRA, the adapters and the head, by name; none without."""
        if self.settings.lora is None:
            return {}
        named = self.model.named_parameters()
        return {name: p.detach() for name, p in named if p.requires_grad}

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
        own: dict[str, Tensor] = dict(self.model.named_parameters())
        if self.settings.lora is not None:
            own, values = self.adapted, state.get("adapters", {})
        else:
            values = dict(self.stored_weights(folder))
        check_fits(folder / STATE_FILE, values, own)
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

    def _scores(self, micro: PreferenceRow | None, examples: Sequence[PreferenceExample]) -> Tensor:
        groups, at_R = [IDLE], None
        if micro is not None:
            groups = micro.content.groups
            at_R = [examples[number].scored_at(place) for number, place in micro.owners]
        with autocast(self.settings.autocast, self.device):
            return self.model.scores(score_row(groups, self.device, at_R), self.ranks)

    def _summed(
        self, numbers: list[float], scores: list[list[float]]
    ) -> tuple[list[float], list[list[float]]]:
        """Both summed over ranks: a score stands on one rank, the others have 0 there."""
        flat = [*numbers, *(value for values in scores for value in values)]
        found = self.ranks.sum(torch.tensor(flat, dtype=torch.float64, device=self.device)).tolist()
        rest = iter(found[len(numbers) :])
        return found[: len(numbers)], [[next(rest) for _ in values] for values in scores]

    def _learning_mode(self, on: bool) -> None:
        learning_mode(self.model.body, on, self.settings.recomputes)


def batch_figures(
    examples: Sequence[PreferenceExample], scores: Sequence[Sequence[float]]
) -> dict[str, float]:
    """accuracy, score_mean and score_gap of a batch; see RewardLearner.update."""
    right, up, down = [], [], []
    for example, values in zip(examples, scores, strict=True):
        if example.ends:
            known = [(v, t) for v, t in zip(values, example.targets, strict=True) if t == t]
            up += [value for value, target in known if target >= 0.5]
            down += [value for value, target in known if target < 0.5]
            right += [float((value > 0) == (target >= 0.5)) for value, target in known]
            continue
        if isinstance(example.source, Pair):
            gap = values[0] - values[1]
            up.append(values[0])
            down.append(values[1])
        else:
            gap = values[0] if example.target > 0.5 else -values[0]
            (up if example.target > 0.5 else down).append(values[0])
        right.append(0.5 if gap == 0 else float(gap > 0))
    return {
        "accuracy": sum(right) / len(right),
        "score_mean": _mean([*up, *down]),
        "score_gap": _mean(up) - _mean(down) if up and down else float("nan"),
    }


@torch.no_grad()
def score_texts(
    model: RewardModel, texts: Iterable[EncodedResponse], device: torch.device | str, budget: int
) -> list[list[float]]:
    """Score texts in rows of at most `budget` tokens, in which equal prompts are shared; a score
    for each text, or for each of its steps.

    A text longer than the budget gets a row of its own. The same texts give the same scores. Equal
    texts are scored once: in two places of a row their last bits could differ, and a group of equal
    responses would seem to hold something to learn.
    """
    places: dict[tuple[tuple[int, ...], bytes, tuple[int, ...]], int] = {}
    distinct: list[EncodedResponse] = []
    index_of: list[int] = []
    for text in texts:
        key = (text.prompt_ids, text.response_ids.tobytes(), text.ends)
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
    scores: list[list[float]] = [[] for _ in distinct]
    for micro in split_microbatches(flat, budget):
        at_R = [distinct[index].scored_at for index in micro.indices]
        values = iter(model.scores(score_row(micro.groups, device, at_R)).tolist())
        for index, ats in zip(micro.indices, at_R, strict=True):
            scores[index] = [next(values) for _ in ats]
    return [scores[index] for index in index_of]


def num_items(examples: Sequence[PreferenceExample]) -> int:
    """How many losses a batch has: its pairs, labelled responses, or labelled steps."""
    if not examples[0].ends:
        return len(examples)
    return sum(target == target for example in examples for target in example.targets)


def _losses(score_S: Tensor, micro: PreferenceRow, examples: Sequence[PreferenceExample]) -> Tensor:
    """The loss of every pair, labelled response or labelled step of a row."""
    if examples[0].ends:
        targets = [target for number, _ in micro.owners for target in examples[number].targets]
        target_S = torch.tensor(targets, dtype=score_S.dtype, device=score_S.device)
        known_S = ~target_S.isnan()
        return binary_cross_entropy(score_S[known_S], target_S[known_S])
    score_R = score_S
    place = {owner: position for position, owner in enumerate(micro.owners)}
    numbers = sorted({number for number, _ in micro.owners})
    target_P = torch.tensor(
        [examples[number].target for number in numbers], dtype=score_R.dtype, device=score_R.device
    )
    first_P = score_R[[place[number, 0] for number in numbers]]
    if len(examples[numbers[0]].responses) == 1:
        return binary_cross_entropy(first_P, target_P)
    return bradley_terry(first_P, score_R[[place[number, 1] for number in numbers]], target_P)


def _zeros(examples: Sequence[PreferenceExample]) -> list[list[float]]:
    return [[0.0] * example.num_scores for example in examples]


def _place(
    scores: list[list[float]],
    micro: PreferenceRow,
    score_S: Tensor,
    examples: Sequence[PreferenceExample],
) -> None:
    """Put a row's scores where their examples have them."""
    values = iter(score_S.detach().tolist())
    for number, place in micro.owners:
        for step in range(len(examples[number].scored_at(place))):
            scores[number][place + step] = next(values)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
