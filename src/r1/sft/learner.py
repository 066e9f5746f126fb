"""The update of supervised fine-tuning: one packed forward path, one loss, one optimiser step.

    loss = - sum over the step's learnt tokens of log p(token | what precedes it) / their number

The mean is over the whole step (a "token mean"): every micro-batch's sum is divided by the step's
count, so that any split into rows and micro-batches gives the gradient of one big batch.

Model, optimiser, LoRA, precision, recomputation and checkpoints are `LocalLearner`'s. Where several
processes hold the model (`learner.ranks`), each computes its share of the rows.

Left out on purpose: label smoothing, weights per example.

Shapes: M learnt tokens of a micro-batch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from r1.learner.local import LocalLearner
from r1.learner.lora import seed_dropout
from r1.learner.metrics import only_step
from r1.learner.microbatch import IDLE
from r1.learner.modes import reproducible
from r1.learner.objective import LossOutput, PolicyTokens, Totals
from r1.learner.packing import PackedRow, pack_groups
from r1.learner.ranks import Ranks
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.models.load import check_vocabulary
from r1.sft.batch import pack_examples
from r1.sft.examples import Examples
from r1.sft.order import best_fit


class LossSum(NamedTuple):
    """Sum of the negative log-likelihoods (nats) of so many tokens."""

    total: float
    num_tokens: int

    @property
    def mean(self) -> float:
        return self.total / max(1, self.num_tokens)


def token_mean_loss(logprobs_M: Tensor, num_tokens: float) -> Tensor:
    """A micro-batch's share of the mean over a step's num_tokens learnt tokens."""
    return -logprobs_M.sum() / num_tokens


class TokenMeanObjective:
    """The same loss as an Objective: one optimiser step a batch, no reference policy."""

    num_minibatches = 1
    num_epochs = 1
    needs_reference = False
    reference_every = 0

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        """Every response token counts once."""
        return LossOutput(token_mean_loss(tokens.logprobs_M, totals.num_tokens), {})


class SFTLearner:
    """A model that learns from rows of examples."""

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
        """As LocalLearner. Raises UserError for a broken model folder, an architecture the packed
        path cannot run, or a tokenizer with more tokens than the model embeds."""
        self.settings = settings
        self.local = LocalLearner(
            model_path,
            settings,
            optimizer,
            TokenMeanObjective(),
            total_steps=total_steps,
            seed=seed,
            tokenizer=tokenizer,
            ranks=ranks,
        )
        if tokenizer is not None:
            check_vocabulary(self.local.model, tokenizer)

    @reproducible
    def update(self, examples: Examples) -> dict[str, float]:
        """Do one optimiser step on a step's examples; return its metrics.

        Returns loss (nats a token, before the step), entropy, grad_norm (before clipping), lr,
        tokens_learnt, tokens_processed, num_examples, num_rows (micro-batches), padding_share (room
        of those rows that stays empty; nothing is computed for it) and seconds. With several ranks
        all but seconds are of all of them together.
        """
        begin = time.perf_counter()
        local = self.local
        seed_dropout(self.settings.lora, local.ranks, local.seed * 1_000_003 + local.step)
        num_learnt = examples.num_learnt
        budget = self.settings.tokens_per_microbatch
        rows = self._share(examples)
        sizes = [int(examples.lengths[row].sum()) for row in rows if row is not None]
        loss, entropy = self._accumulate(examples, rows, num_learnt)
        room = sum(max(budget, size) for size in sizes)
        counts = torch.tensor([len(sizes), sum(sizes), room], device=local.device)
        num_rows, processed, room = local.ranks.sum(counts).tolist()
        told = only_step(local.optimizer, local.step, loss)
        local.step += 1
        return {
            "loss": loss,
            "entropy": entropy,
            **told,
            "tokens_learnt": num_learnt,
            "tokens_processed": processed,
            "num_examples": len(examples),
            "num_rows": num_rows,
            "padding_share": 1.0 - processed / room,
            "seconds": time.perf_counter() - begin,
        }

    def _share(self, examples: Examples) -> Sequence[list[int] | None]:
        """This rank's rows; all of them in one process. None where it only keeps step."""
        return self.local.ranks.assign_rows(
            lambda budget: best_fit(range(len(examples)), examples.lengths, budget),
            lambda row: int(examples.lengths[row].sum()),
            self.settings.tokens_per_microbatch,
        )

    def _row(self, examples: Examples, indices: list[int] | None) -> PackedRow:
        if indices is None:
            return pack_groups([IDLE], self.local.device)
        return pack_examples(examples, indices, self.local.device)

    def _accumulate(
        self, examples: Examples, rows: Sequence[list[int] | None], num_learnt: int
    ) -> tuple[float, float]:
        """Add the step's gradient to the parameters'; return loss and entropy a token."""
        local = self.local
        sums = torch.zeros(2, dtype=torch.float64, device=local.device)
        for indices in rows:
            row = self._row(examples, indices)
            local.learning_mode(True)
            policy = local.logprobs(local.model, row)
            loss = token_mean_loss(policy.logprobs_N, num_learnt)
            (loss if indices is not None else loss * 0.0).backward()
            local.learning_mode(False)
            if indices is None:
                continue
            sums[0] -= policy.logprobs_N.detach().double().sum()
            sums[1] += policy.entropy_N.double().sum()
        mean_loss, mean_entropy = (local.ranks.sum(sums) / num_learnt).tolist()
        return mean_loss, mean_entropy

    @torch.no_grad()
    def measure(self, examples: Examples) -> LossSum:
        """The loss of examples under the weights as they are, summed."""
        total, num_tokens = 0.0, 0
        for indices in self._share(examples):
            row = self._row(examples, indices)
            logprobs_M = self.local.logprobs(self.local.model, row).logprobs_N
            if indices is not None:
                total -= logprobs_M.double().sum().item()
                num_tokens += len(logprobs_M)
        own = torch.tensor([total, num_tokens], dtype=torch.float64, device=self.local.device)
        total, tokens = self.local.ranks.sum(own).tolist()
        return LossSum(total, int(tokens))

    @property
    def step(self) -> int:
        """Updates done."""
        return self.local.step

    def save(self, folder: Path) -> None:
        """Write the model in Hugging Face layout and the learner's state beside it."""
        self.local.save(folder)

    def load(self, folder: Path) -> None:
        """Take up exactly where `save` left off."""
        self.local.load(folder)
