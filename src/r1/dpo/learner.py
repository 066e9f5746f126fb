"""The update of direct preference optimisation: packed pairs, two policies, one optimiser step.

    loss = sum over the step's pairs of their loss / their number                    (r1.dpo.loss)

Both responses of a pair share its prompt in one row, and no pair is split, so that any split into
rows gives the gradient of one big batch. The reference is the model that training starts from:
with adapters the base without them, else a frozen copy; a loss without a reference keeps none.

Model, optimiser, LoRA, precision, recomputation, ranks and checkpoints are `LocalLearner`'s. Left
out on purpose: log-probabilities of the reference computed once and stored (a second epoch would
save its pass).

Shapes: E pairs of a batch, R responses of a row, P pairs of a row, M response tokens of a row; P2
and E2: [:, 0] chosen, [:, 1] rejected.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1.dpo.loss import PairLogprobs, pair_losses
from r1.dpo.measure import MeasuredPairs, pair_figures
from r1.dpo.rows import PairTable, learnt, pairs_of, response_sums
from r1.dpo.settings import DPOLossSettings
from r1.learner.local import LocalLearner
from r1.learner.lora import seed_dropout
from r1.learner.metrics import only_step
from r1.learner.microbatch import IDLE
from r1.learner.modes import autocast, reproducible
from r1.learner.objective import LossOutput, PolicyTokens, Totals
from r1.learner.packing import PackedRow, pack_groups
from r1.learner.ranks import Ranks
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.learner.sharded import whole
from r1.learner.shared_prefix import head_inputs, packed_hidden_states
from r1.learner.token_kl import token_kl
from r1.learner.token_logprobs import token_logprobs
from r1.models.load import check_vocabulary
from r1.preferences.examples import PreferenceExample, PreferenceRow, pack_preferences


class DPOObjective(NamedTuple):
    """The same loss as an Objective on groups of two responses: chosen (weight above 0), rejected.
    One optimiser step a batch; the reference stays."""

    settings: DPOLossSettings
    num_minibatches: int = 1
    num_epochs: int = 1
    reference_every: int = 0

    @property
    def needs_reference(self) -> bool:
        """Whether the loss compares with the reference policy."""
        return self.settings.needs_reference

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        """The mean over pairs; a pair's responses stand side by side, whichever first."""
        policy_R = response_sums(tokens.logprobs_M, tokens.response_M, len(tokens.weights_R))
        reference_R = torch.zeros_like(policy_R)
        if tokens.reference_logprobs_M is not None:
            reference_R = response_sums(
                tokens.reference_logprobs_M, tokens.response_M, len(reference_R)
            )
        turned_P = tokens.weights_R.reshape(-1, 2)[:, 1] > 0  # chosen stands second
        order_P2 = torch.stack([turned_P, ~turned_P], 1).to(torch.int64)
        policy_P2, reference_P2, lengths_P2 = (
            values_R.reshape(-1, 2).gather(1, order_P2)
            for values_R in (policy_R, reference_R, tokens.lengths_R)
        )
        margin_P = torch.full_like(policy_R[::2], self.settings.asked_margin)
        pairs = PairLogprobs(policy_P2, reference_P2, lengths_P2, margin_P)
        loss = pair_losses(pairs, self.settings).sum() / (totals.num_responses / 2)
        return LossOutput(loss, {})


class DPOLearner:
    """A policy that learns from pairs."""

    def __init__(
        self,
        loss: DPOLossSettings,
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
        self.loss, self.settings = loss, settings
        self.local = LocalLearner(
            model_path,
            settings,
            optimizer,
            DPOObjective(loss),
            total_steps=total_steps,
            seed=seed,
            tokenizer=tokenizer,
            ranks=ranks,
        )
        if tokenizer is not None:
            check_vocabulary(self.local.model, tokenizer)

    @property
    def step(self) -> int:
        """Updates done."""
        return self.local.step

    @reproducible
    def update(self, examples: Sequence[PreferenceExample]) -> dict[str, float]:
        """Do one optimiser step; return its metrics.

        Returns those of `pair_figures` (before the step), entropy (nats a token), grad_norm (before
        clipping), lr, num_examples, num_rows, tokens_trained (of responses), tokens_processed and
        seconds. With several ranks all but seconds are of all of them together.
        """
        begin, local = time.perf_counter(), self.local
        seed_dropout(self.settings.lora, local.ranks, local.seed * 1_000_003 + local.step)
        table = PairTable(examples, local.device)
        entropy, num_rows, processed = self._accumulate(examples, table)
        local.ranks.sum(table.values_2E2)
        pairs = table.pairs()
        figures = pair_figures(pairs, self.loss)
        told = only_step(local.optimizer, local.step, figures["loss"])
        local.step += 1
        trained = int(pairs.lengths_P2.sum())
        return {
            **figures,
            "entropy": entropy / trained,
            **told,
            "num_examples": len(examples),
            "num_rows": int(num_rows),
            "tokens_trained": trained,
            "tokens_processed": int(processed),
            "seconds": time.perf_counter() - begin,
        }

    def _accumulate(
        self, examples: Sequence[PreferenceExample], table: PairTable
    ) -> tuple[float, float, float]:
        """Add the step's gradient to the parameters' and its log-probabilities to the table; return
        summed entropy, rows and row tokens, of all ranks."""
        local = self.local
        sums = torch.zeros(3, dtype=torch.float64, device=local.device)
        for micro in self._share(examples):
            row = self._row(micro)
            reference_M = self._reference(row)
            local.learning_mode(True)
            policy = local.logprobs(local.model, row)
            policy_R = response_sums(policy.logprobs_N, row.response_M, row.num_responses)
            if micro is None:
                (policy_R.sum() * 0.0).backward()
                local.learning_mode(False)
                continue
            reference_R = response_sums(reference_M, row.response_M, row.num_responses)
            loss_P = pair_losses(pairs_of(micro, examples, policy_R, reference_R), self.loss)
            (loss_P.sum() / len(examples)).backward()
            local.learning_mode(False)
            table.enter(micro, policy_R, reference_R)
            counts = sums.new_tensor([0.0, 1.0, micro.content.num_tokens])
            counts[0] = policy.entropy_N.double().sum()
            sums += counts
        entropy, num_rows, processed = local.ranks.sum(sums).tolist()
        return entropy, num_rows, processed

    @torch.no_grad()
    def measure(self, examples: Sequence[PreferenceExample]) -> MeasuredPairs:
        """Log-probabilities and KL of pairs under the weights as they are."""
        local = self.local
        table = PairTable(examples, local.device)
        kl = torch.zeros((), dtype=torch.float64, device=local.device)
        head = other = self._head(local.model)  # gathered once, not for every row
        if local.reference is not None:
            with local.reference.model() as model:
                other = self._head(model)
        for micro in self._share(examples):
            row = self._row(micro)
            hidden_M = self._hidden(local.model, row)
            policy_M, reference_M = self._of(hidden_M, head, row), None
            if local.reference is not None:
                with local.reference.model() as model:
                    other_M = self._hidden(model, row)
                reference_M = self._of(other_M, other, row)
                own = token_kl(hidden_M, head, other_M, other, self.settings.logits_budget_mb)
                kl += own.double().sum() if micro is not None else 0.0
            if micro is not None:
                policy_R = response_sums(policy_M, row.response_M, row.num_responses)
                reference_R = response_sums(reference_M, row.response_M, row.num_responses)
                table.enter(micro, policy_R, reference_R)
        local.ranks.sum(table.values_2E2)
        pairs = table.pairs()
        per_token = float(local.ranks.sum(kl)) / float(pairs.lengths_P2.sum())
        return MeasuredPairs(pairs, None if local.reference is None else per_token)

    def save(self, folder: Path) -> None:
        """Write the policy in Hugging Face layout and the learner's state beside it."""
        self.local.save(folder)

    def load(self, folder: Path) -> None:
        """Take up exactly where `save` left off."""
        self.local.load(folder)

    def _share(self, examples: Sequence[PreferenceExample]) -> Sequence[PreferenceRow | None]:
        """This rank's rows; all of them in one process. None where it only keeps step."""
        return self.local.ranks.assign_rows(
            lambda budget: pack_preferences(examples, budget, learnt),
            lambda micro: micro.content.num_tokens,
            self.settings.tokens_per_microbatch,
        )

    def _row(self, micro: PreferenceRow | None) -> PackedRow:
        groups = [IDLE] if micro is None else micro.content.groups
        return pack_groups(groups, self.local.device)

    @torch.no_grad()
    def _reference(self, row: PackedRow) -> Tensor | None:
        if self.local.reference is None:
            return None
        with self.local.reference.model() as model:
            return self.local.logprobs(model, row).logprobs_N

    def _hidden(self, model: PreTrainedModel, row: PackedRow) -> Tensor:
        """What the output embedding takes to predict the M response tokens."""
        with autocast(self.settings.autocast, self.local.device):
            return head_inputs(model, self.local.ranks.run(model, packed_hidden_states, row))

    @staticmethod
    def _head(model: PreTrainedModel) -> Tensor:
        """The whole output embedding; all ranks must ask for it together."""
        return whole(model.get_output_embeddings().weight.detach())

    def _of(self, hidden_MD: Tensor, head_VD: Tensor, row: PackedRow) -> Tensor:
        with autocast(self.settings.autocast, self.local.device):
            return token_logprobs(
                hidden_MD, head_VD, row.targets_M, budget_mb=self.settings.logits_budget_mb
            ).logprobs_N
