"""One policy on one device: the Learner of a laptop or a single GPU.

An update is: split into minibatches; per minibatch split into micro-batches; per micro-batch pack
the groups into one row, run the model once, take chunked log-probabilities, compute the objective,
go backward; then clip and step. With one minibatch and one epoch the old policy *is* the current
one, so its log-probabilities are the detached ones of the same pass; otherwise they are computed
for the whole batch before the first step. The reference policy exists only where the objective
needs it, and so does a critic, whose values come out of the same pass.

Dropout is off: a policy must give the same log-probabilities to the same tokens. Only LoRA's own
dropout, where asked for, is on during the learning pass.

Several processes may hold the policy together (`ranks`): each computes its share of the
micro-batches, and all of them save, load and give their weights away together.

Left out on purpose: offloading of optimiser state.

Shapes: M response tokens of a micro-batch, R its responses.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1.errors import UserError
from r1.learner import lora, sharded_state
from r1.learner.critic import Critic
from r1.learner.critic_body import CriticBody, without_output_head
from r1.learner.export import save_gathered
from r1.learner.metrics import UpdateMetrics, stuck_metric
from r1.learner.microbatch import (
    MiniBatch,
    index_responses,
    split_minibatches,
)
from r1.learner.modes import autocast, learning_mode, reproducible, reserve_cublas
from r1.learner.objective import (
    CriticObjective,
    FinishingObjective,
    ImplicitObjective,
    Objective,
)
from r1.learner.optimizer import PolicyOptimizer, lr_factor
from r1.learner.packing import PackedRow, pack_groups
from r1.learner.passes import Outputs, Prepared, policy_tokens
from r1.learner.ranks import OneRank, Ranks
from r1.learner.recompute import set_recomputation
from r1.learner.reference import ReferenceWeights, shard_with_reference
from r1.learner.self_check import check_packed_path, check_used_path
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.learner.shared_prefix import head_inputs, packed_hidden_states
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
        teacher: str | Path | None = None,
    ) -> None:
        """model_path: a folder in the Hugging Face layout. temperature: the sampling temperature,
        by which logits are divided. total_steps: updates of the whole run, for the schedule.
        tokenizer: written with every checkpoint, so that each is a complete model. ranks: the
        processes that share the work; None for one on its own. teacher: the folder of a model that
        is the reference; None takes the policy as it begins.

        Raises UserError for a broken model folder and an architecture the packed path cannot run.
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
        reserve_cublas(settings.deterministic)
        self.ranks = ranks or OneRank()
        place = self.ranks.load_device(self.device)
        self.model = load_model(model_path, DTYPES[settings.dtype], place)
        plain_M = check_packed_path(self.model)
        own = isinstance(objective, CriticObjective) and objective.critic_lr is not None
        body = copy.deepcopy(self.model) if own else None
        if body is not None and not isinstance(objective, ImplicitObjective):
            without_output_head(body)
        if settings.lora is not None:
            lora.attach(self.model, settings.lora, seed)
        for model in filter(None, (self.model, body)):
            set_recomputation(model, settings)
            model.eval()
        self.reference: ReferenceWeights | None = None
        if objective.needs_reference:
            self.reference = shard_with_reference(
                self.model, settings, self.ranks, self.device, teacher
            )
        else:
            self.ranks.shard(self.model)
        check_used_path(self.model, plain_M, self.ranks, self.device, settings.autocast)
        self.critic: Critic | None = None
        if isinstance(objective, CriticObjective):
            self.critic = self._make_critic(objective, optimizer, body)
        ends = (self.model.get_input_embeddings(), self.model.get_output_embeddings())
        self.optimizer = PolicyOptimizer(
            self.model.named_parameters(),
            optimizer,
            total_steps,
            not_matrices=[parameter for module in ends for parameter in module.parameters()],
        )

    def _make_critic(
        self, objective: CriticObjective, settings: OptimizerSettings, own: PreTrainedModel | None
    ) -> Critic:
        body = None
        if own is not None:
            assert objective.critic_lr is not None
            self.ranks.shard(own)
            body = CriticBody(own, objective.critic_lr, settings)
        width = self.model.config.get_text_config().hidden_size
        form = (width, self.model.dtype, self.device)
        return Critic(*form, objective, settings, self.ranks, body)

    @reproducible
    def update(self, batch: TrainBatch) -> dict[str, float]:
        """Do every optimiser step the batch is worth; return the update's metrics.

        A batch without a response to learn from changes nothing but the step count.
        """
        begin = time.perf_counter()
        metrics = UpdateMetrics(self.device, self.ranks)
        prepared = self._prepare(batch)
        for epoch in range(self.objective.num_epochs):
            pass_seed = (self.seed * 1_000_003 + self.step) * 1009 + epoch
            lora.seed_dropout(self.settings.lora, self.ranks, pass_seed)
            count = self.objective.num_minibatches
            for minibatch in split_minibatches(prepared.batch, count, pass_seed):
                loss = self.accumulate(minibatch, prepared, metrics)
                metrics.add_step(self._optimizer_step(loss))
        schedule = self.optimizer.settings
        factor = lr_factor(self.step, self.optimizer.total_steps, schedule)
        self.step += 1
        every = self.objective.reference_every
        if self.reference is not None and every > 0 and self.step % every == 0:
            self.reference.replace()
        return {
            **metrics.result(),
            **prepared.metrics,
            **stuck_metric(self.optimizer.stuck_share),
            "lr": schedule.lr * factor,
            "seconds": time.perf_counter() - begin,
        }

    def _prepare(self, batch: TrainBatch) -> Prepared:
        """Compute what is needed of the policy before the update."""
        objective = self.objective
        several = objective.num_minibatches * objective.num_epochs > 1
        if isinstance(objective, CriticObjective):
            old, values = self._batch_outputs(batch, self.model, valued=True)
            reference = None if objective.kl_in_loss else self._batch_reference(batch)
            found = objective.finish_with_values(batch, old, reference, values)
            kept = old if several else None
            told = found.metrics, found.outcomes
            return Prepared(found.batch, kept, values, found.returns, *told)
        finishing = isinstance(objective, FinishingObjective)
        before = self._batch_outputs(batch, self.model)[0] if several or finishing else None
        if isinstance(objective, FinishingObjective):
            assert before is not None
            batch = objective.finish(batch, before, self._batch_reference(batch))
        return Prepared(batch, before if several else None, [], [], {})

    def _optimizer_step(self, loss: Tensor) -> Tensor:
        """Step the policy and the critic; return the policy's norm of gradients.

        While the critic warms up it steps alone, and the norm is its own; so is it where the
        critic's is not finite, and it did not step.
        """
        if self.critic is None:
            return self.optimizer.step(self.step, loss)
        if self.critic.warming_up(self.step):
            return self.critic.step(self.step)
        norm = self.optimizer.step(self.step, loss)
        if not torch.isfinite(norm):
            self.critic.discard()
            return norm
        of_critic = self.critic.step(self.step)
        return norm if torch.isfinite(of_critic) else of_critic

    def accumulate(
        self, minibatch: MiniBatch, prepared: Prepared, metrics: UpdateMetrics
    ) -> Tensor:
        """Run forward and backward over one minibatch, adding to the parameters' gradients.

        Returns the minibatch's loss, over all ranks.
        """
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        for micro in self.ranks.share(minibatch.responses, self.settings.tokens_per_microbatch):
            row = pack_groups(micro.groups, self.device)
            reference_M = self._reference_logprobs(row)
            self.learning_mode(True)
            outputs = self._outputs(row)
            tokens = policy_tokens(micro, row, outputs, prepared, reference_M)
            output = self.objective.loss(tokens, minibatch.totals)
            if micro.indices:
                output.total.backward()
                loss += output.total.detach()
                metrics.add(output, tokens, row.input_ids_1N.shape[1])
            else:
                (output.total * 0.0).backward()
                metrics.add_nothing(output)
            self.learning_mode(False)
        return self.ranks.sum(loss)

    def weights(self) -> Iterable[tuple[str, Tensor]]:
        """Give (Hugging Face parameter name, whole tensor) of the policy as it now is, one at a
        time (LoRA merged). Sharded ones are gathered, once, so all ranks must consume all of them.
        """
        merged = lora.MergedParameters(self.model)
        return iter(merged) if self.ranks.sharded else merged

    @property
    def adapted(self) -> dict[str, Tensor]:
        """The adapters, by their names in the model; none without LoRA."""
        return lora.adapter_parameters(self.model)

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
            "adapters": self.adapted,
        }
        plain = self.model if self.settings.lora is None else lora.merged_model(self.model)
        if self.critic is not None:
            state["critic"] = self.critic.state_dict()
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
            own, values = self.adapted, state.get("adapters", {})
        else:
            loaded = load_model(folder, self.model.dtype, "cpu")  # no second model on a GPU
            values = {name: value.detach() for name, value in loaded.named_parameters()}
        check_fits(file, values, own)
        reference = {} if self.reference is None else self.reference.state_dict()
        check_fits(file, state.get("reference") or {}, reference)
        critic = {} if self.critic is None else self.critic.state_dict()
        check_fits(file, state.get("critic") or {}, critic)
        self.optimizer.load_state_dict(state["optimizer"], file)
        with torch.no_grad():
            for name, tensor in values.items():
                own[name].copy_(tensor)
        if self.reference is not None:
            self.reference.load_state_dict(state.get("reference") or {})
        if self.critic is not None:
            self.critic.load_state_dict(state.get("critic") or {})
        self.step = state["step"]

    def stored_weights(self, folder: Path) -> Iterator[tuple[str, Tensor]]:
        """The weights that a checkpoint holds, whole."""
        model = load_model(folder, self.model.dtype, self.ranks.load_device(torch.device("cpu")))
        return ((name, self.ranks.broadcast(p)) for name, p in model.named_parameters())

    def values(self, batch: TrainBatch) -> list[Tensor]:
        """The critic's value of every token before it is drawn, one tensor a response."""
        assert self.critic is not None
        return self._batch_outputs(batch, self.model, valued=True)[1]

    def logprobs(self, model: PreTrainedModel, row: PackedRow) -> TokenLogprobs:
        """Log-probabilities of a row's targets under the policy or its reference, M of them."""
        return self.ranks.run(model, self._logprobs, row)

    def _logprobs(self, model: PreTrainedModel, row: PackedRow) -> TokenLogprobs:
        with autocast(self.settings.autocast, self.device):
            return self._of_hidden(model, row, packed_hidden_states(model, row))

    def _of_hidden(
        self, model: PreTrainedModel, row: PackedRow, hidden_MD: Tensor
    ) -> TokenLogprobs:
        return token_logprobs(
            head_inputs(model, hidden_MD),
            model.get_output_embeddings().weight,
            row.targets_M,
            self.temperature,
            self.settings.logits_budget_mb,
        )

    def _outputs(self, row: PackedRow) -> Outputs:
        """One pass through the policy, and one through the critic's own model, where it has one.

        While the critic warms up only it has gradients.
        """
        critic = self.critic
        if critic is None:
            return Outputs(self.logprobs(self.model, row), None)
        learning = torch.is_grad_enabled()
        with torch.set_grad_enabled(learning and not critic.warming_up(self.step)):
            if critic.body is None:
                return self.ranks.run(self.model, self._with_values, row, learning)
            logprobs = self.logprobs(self.model, row)
        if isinstance(self.objective, ImplicitObjective):
            return Outputs(logprobs, self.logprobs(critic.body.model, row).logprobs_N)
        return Outputs(logprobs, self.ranks.run(critic.body.model, self._own_values, row))

    def _own_values(self, model: PreTrainedModel, row: PackedRow) -> Tensor:
        assert self.critic is not None
        with autocast(self.settings.autocast, self.device):
            return self.critic.values(packed_hidden_states(model, row))

    def _with_values(self, model: PreTrainedModel, row: PackedRow, learning: bool) -> Outputs:
        assert self.critic is not None
        with autocast(self.settings.autocast, self.device):
            hidden_MD = packed_hidden_states(model, row)
            logprobs = self._of_hidden(model, row, hidden_MD)
            with torch.set_grad_enabled(learning):
                return Outputs(logprobs, self.critic.values(hidden_MD))

    @torch.no_grad()
    def _batch_outputs(
        self, batch: TrainBatch, model: PreTrainedModel, valued: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Log-probabilities of a whole batch, one tensor a response; of all ranks' share. Then
        likewise the critic's values, where the model is the policy and they are asked for."""
        flat = index_responses(batch)
        lengths = [len(item.response.token_ids) for item in flat]
        dtype = torch.promote_types(self.model.dtype, torch.float32)
        all_KN = torch.zeros(1 + valued, sum(lengths), dtype=dtype, device=self.device)
        found = [list(all_N.split(lengths)) for all_N in all_KN]
        for micro in self.ranks.share(flat, self.settings.tokens_per_microbatch):
            row = pack_groups(micro.groups, self.device)
            outputs = self._outputs(row) if valued else Outputs(self.logprobs(model, row), None)
            for into, computed_M in zip(found, outputs.computed(), strict=True):
                if micro.indices:
                    parts = computed_M.split([lengths[index] for index in micro.indices])
                    for index, part in zip(micro.indices, parts, strict=True):
                        into[index].copy_(part)
        logprobs, *values = (list(all_N.split(lengths)) for all_N in self.ranks.sum(all_KN))
        return logprobs, values[0] if valued else []

    def _batch_reference(self, batch: TrainBatch) -> list[Tensor] | None:
        if self.reference is None:
            return None
        with self.reference.model() as model:
            return self._batch_outputs(batch, model)[0]

    @torch.no_grad()
    def _reference_logprobs(self, row: PackedRow) -> Tensor | None:
        objective = self.objective
        finished = isinstance(objective, FinishingObjective) or (
            isinstance(objective, CriticObjective) and not objective.kl_in_loss
        )
        if self.reference is None or finished:
            return None
        with self.reference.model() as model:
            return self.logprobs(model, row).logprobs_N

    def learning_mode(self, on: bool) -> None:
        """Switch on only what must be on while learning."""
        learning_mode(self.model, on, self.settings.recomputes)
        if self.critic is not None and self.critic.body is not None:
            learning_mode(self.critic.body.model, on, self.settings.recomputes)
