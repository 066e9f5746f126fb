"""One policy on one device: the Learner of a laptop or a single GPU.

An update is: split into minibatches; per minibatch split into micro-batches; per micro-batch pack
the groups into one row, run the model once, take chunked log-probabilities, compute the objective,
go backward; then clip and step. With one minibatch and one epoch the old policy *is* the current
one, so its log-probabilities are the detached ones of the same pass; otherwise they are computed
for the whole batch before the first step. The reference policy exists only where the objective
needs it.

Dropout is off: a policy must give the same log-probabilities to the same tokens. Only LoRA's own
dropout, where asked for, is on during the learning pass.

Several processes may hold the policy together (`ranks`): each computes its share of the
micro-batches, and all of them save, load and give their weights away together.

Left out on purpose: offloading of optimiser state.

Shapes: M response tokens of a micro-batch, R its responses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1.errors import UserError
from r1.learner import lora, sharded_state
from r1.learner.export import save_gathered
from r1.learner.metrics import UpdateMetrics
from r1.learner.microbatch import (
    MicroBatch,
    MiniBatch,
    index_responses,
    split_minibatches,
)
from r1.learner.modes import autocast, learning_mode
from r1.learner.objective import FinishingObjective, Objective, PolicyTokens
from r1.learner.optimizer import PolicyOptimizer, lr_factor
from r1.learner.packing import PackedRow, pack_groups
from r1.learner.ranks import OneRank, Ranks
from r1.learner.reference import ReferenceWeights
from r1.learner.self_check import check_packed_path
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.learner.sharded import whole
from r1.learner.shared_prefix import packed_hidden_states
from r1.learner.state import STATE_FILE, check_fits, read_state, write_state
from r1.learner.token_logprobs import TokenLogprobs, token_logprobs
from r1.models.device import resolve_device
from r1.models.load import DTYPES, load_model, save_model
from r1.types import TrainBatch


class LocalLearner:
    """See r1.learner.protocol.Learner."""

    def __init__(
        self,
        model_path: str | Path,
        settings: LearnerSettings,
        optimizer: OptimizerSettings,
        objective: Objective,
        temperature: float = 1.0,
        total_steps: int = 1,
        seed: int = 0,
        tokenizer: PreTrainedTokenizerFast | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        """model_path: a folder in the Hugging Face layout. temperature: the sampling temperature,
        by which logits are divided. total_steps: updates of the whole run, for the schedule.
        tokenizer: written with every checkpoint, so that each is a complete model. ranks: the
        processes that share the work; None for one on its own.

        Raises UserError for a broken model folder, an architecture the packed path cannot run, and
        LoRA over ranks.
        """
        if temperature <= 0:
            raise UserError("sampling.temperature must be above 0 to learn from the samples.")
        self.settings = settings
        self.objective = objective
        self.temperature = temperature
        self.seed = seed
        self.tokenizer = tokenizer
        self.step = 0
        self.device = resolve_device(settings.device)
        self.ranks = ranks or OneRank()
        if settings.lora is not None and self.ranks.sharded:
            raise UserError(
                "learner.lora runs in one process only; leave out [learner.lora] or [cluster]."
            )
        place = self.ranks.load_device(self.device)
        self.model = load_model(model_path, DTYPES[settings.dtype], place)
        check_packed_path(self.model)
        if settings.lora is not None:
            lora.attach(self.model, settings.lora, seed)
        if settings.gradient_checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        self.model.eval()
        self.reference: ReferenceWeights | None = None
        if objective.needs_reference:
            self.reference = ReferenceWeights(self.model, adapters_only=settings.lora is not None)
            if self.reference.held_model is not None:
                self.ranks.shard(self.reference.held_model)
        self.ranks.shard(self.model)
        ends = (self.model.get_input_embeddings(), self.model.get_output_embeddings())
        self.optimizer = PolicyOptimizer(
            self.model.named_parameters(),
            optimizer,
            total_steps,
            not_matrices=[parameter for module in ends for parameter in module.parameters()],
        )

    def update(self, batch: TrainBatch) -> dict[str, float]:
        """Do every optimiser step the batch is worth; return the update's metrics.

        A batch without a response to learn from changes nothing but the step count.
        """
        begin = time.perf_counter()
        metrics = UpdateMetrics(self.device, self.ranks)
        several = self.objective.num_minibatches * self.objective.num_epochs > 1
        old = self._batch_logprobs(batch, self.model) if several else None
        if isinstance(self.objective, FinishingObjective):
            before = self._batch_logprobs(batch, self.model) if old is None else old
            batch = self.objective.finish(batch, before, self._batch_reference(batch))
        for epoch in range(self.objective.num_epochs):
            pass_seed = (self.seed * 1_000_003 + self.step) * 1009 + epoch
            if self.settings.lora is not None and self.settings.lora.dropout > 0:
                torch.manual_seed(pass_seed)
            for minibatch in split_minibatches(batch, self.objective.num_minibatches, pass_seed):
                loss = self.accumulate(minibatch, old, metrics)
                metrics.add_step(self.optimizer.step(self.step, loss))
        schedule = self.optimizer.settings
        factor = lr_factor(self.step, self.optimizer.total_steps, schedule)
        self.step += 1
        every = self.objective.reference_every
        if self.reference is not None and every > 0 and self.step % every == 0:
            self.reference.replace()
        return {
            **metrics.result(),
            "lr": schedule.lr * factor,
            "seconds": time.perf_counter() - begin,
        }

    def accumulate(
        self, minibatch: MiniBatch, old: list[Tensor] | None, metrics: UpdateMetrics
    ) -> Tensor:
        """Run forward and backward over one minibatch, adding to the parameters' gradients.

        old: per response of the batch its old log-probabilities; None takes the current ones.
        Returns the minibatch's loss, over all ranks.
        """
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        for micro in self.ranks.share(minibatch.responses, self.settings.tokens_per_microbatch):
            row = pack_groups(micro.groups, self.device)
            reference_M = self._reference_logprobs(row)
            self.learning_mode(True)
            policy = self.logprobs(self.model, row)
            old_M = policy.logprobs_N.detach()
            if old is not None and micro.indices:
                old_M = torch.cat([old[index] for index in micro.indices])
            tokens = _policy_tokens(micro, row, policy, old_M, reference_M)
            output = self.objective.loss(tokens, minibatch.totals)
            if micro.indices:
                output.loss.backward()
                loss += output.loss.detach()
                metrics.add(output, tokens, row.input_ids_1N.shape[1])
            else:
                (output.loss * 0.0).backward()
                metrics.add_nothing(output)
            self.learning_mode(False)
        return self.ranks.sum(loss)

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (Hugging Face parameter name, whole tensor) of the policy as it now is (LoRA
        merged); sharded ones are gathered one at a time, so all ranks must consume all of them."""
        merged = lora.merged_parameters(self.model)
        return ((name, whole(parameter)) for name, parameter in merged)

    def save(self, folder: Path) -> None:
        """Write the policy in Hugging Face layout and learner.pt beside it; ranks their state.

        Ranks need a folder that all of them see. Raises OSError (ENOSPC) for a full disk.
        """
        if self.ranks.sharded:
            save_gathered(self.ranks, self.model, folder, self.tokenizer)
            with sharded_state.full_disk_told(folder):
                sharded_state.save(self, folder)
            return
        state = {
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "reference": None if self.reference is None else self.reference.state_dict(),
            "adapters": lora.adapter_parameters(self.model),
        }
        plain = self.model if self.settings.lora is None else lora.merged_model(self.model)
        save_model(plain, folder, self.tokenizer)
        write_state(folder, state)

    def load(self, folder: Path) -> None:
        """Take up exactly where `save` left off; UserError when it is no such checkpoint."""
        if self.ranks.sharded or sharded_state.written_by_ranks(folder):
            sharded_state.load(self, folder)
            return
        state = read_state(folder)
        file = folder / STATE_FILE
        own: dict[str, torch.Tensor] = dict(self.model.named_parameters())
        if self.settings.lora is not None:
            own, values = lora.adapter_parameters(self.model), state.get("adapters", {})
        else:
            loaded = load_model(folder, self.model.dtype, self.device)
            values = {name: value.detach() for name, value in loaded.named_parameters()}
        check_fits(file, values, own)
        reference = {} if self.reference is None else self.reference.state_dict()
        check_fits(file, state.get("reference") or {}, reference)
        self.optimizer.load_state_dict(state["optimizer"], file)
        with torch.no_grad():
            for name, tensor in values.items():
                own[name].copy_(tensor)
        if self.reference is not None:
            self.reference.load_state_dict(state.get("reference") or {})
        self.step = state["step"]

    def stored_weights(self, folder: Path) -> Iterator[tuple[str, Tensor]]:
        """The weights that a checkpoint holds, whole."""
        model = load_model(folder, self.model.dtype, self.ranks.load_device(torch.device("cpu")))
        return ((name, self.ranks.broadcast(p)) for name, p in model.named_parameters())

    def logprobs(self, model: PreTrainedModel, row: PackedRow) -> TokenLogprobs:
        """Log-probabilities of a row's targets under the policy or its reference, M of them."""
        return self.ranks.run(model, self._logprobs, row)

    def _logprobs(self, model: PreTrainedModel, row: PackedRow) -> TokenLogprobs:
        with autocast(self.settings.autocast, self.device):
            return token_logprobs(
                packed_hidden_states(model, row),
                model.get_output_embeddings().weight,
                row.targets_M,
                self.temperature,
                self.settings.logits_budget_mb,
            )

    @torch.no_grad()
    def _batch_logprobs(self, batch: TrainBatch, model: PreTrainedModel) -> list[Tensor]:
        """Log-probabilities of a whole batch, one tensor per response; of all ranks' share."""
        flat = index_responses(batch)
        lengths = [len(item.response.token_ids) for item in flat]
        dtype = torch.promote_types(self.model.dtype, torch.float32)
        all_N = torch.zeros(sum(lengths), dtype=dtype, device=self.device)
        found = list(all_N.split(lengths))
        for micro in self.ranks.share(flat, self.settings.tokens_per_microbatch):
            logprobs_M = self.logprobs(model, pack_groups(micro.groups, self.device)).logprobs_N
            if micro.indices:
                parts = logprobs_M.split([lengths[index] for index in micro.indices])
                for index, part in zip(micro.indices, parts, strict=True):
                    found[index].copy_(part)
        return list(self.ranks.sum(all_N).split(lengths))

    def _batch_reference(self, batch: TrainBatch) -> list[Tensor] | None:
        if self.reference is None:
            return None
        with self.reference.model() as model:
            return self._batch_logprobs(batch, model)

    @torch.no_grad()
    def _reference_logprobs(self, row: PackedRow) -> Tensor | None:
        if self.reference is None or isinstance(self.objective, FinishingObjective):
            return None
        with self.reference.model() as model:
            return self.logprobs(model, row).logprobs_N

    def learning_mode(self, on: bool) -> None:
        """Switch on only what must be on while learning."""
        learning_mode(self.model, on, self.settings.gradient_checkpointing)


def _policy_tokens(
    micro: MicroBatch,
    row: PackedRow,
    policy: TokenLogprobs,
    old_M: Tensor,
    reference_M: Tensor | None,
) -> PolicyTokens:
    responses = [response for group in micro.groups for response in group.responses]
    dtype, device = policy.logprobs_N.dtype, policy.logprobs_N.device

    def tensor(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    return PolicyTokens(
        logprobs_M=policy.logprobs_N,
        old_logprobs_M=old_M,
        engine_logprobs_M=tensor([p for r in responses for p in r.engine_logprobs]),
        reference_logprobs_M=reference_M,
        entropy_M=policy.entropy_N,
        response_M=row.response_M,
        advantages_M=tensor([a for r in responses for a in r.advantages]),
        weights_R=tensor([response.weight for response in responses]),
        lengths_R=torch.tensor([len(r.token_ids) for r in responses], device=device),
    )
