"""The embedded engine: a Hugging Face causal LM sampled by transformers' own model code.

Architectures that it would sample wrongly are refused when it is made (self_check.py).

What makes it fast: the prompt of a group is computed and stored once (kv_cache.py); ended samples
leave the batch at once and waiting ones enter (scheduler.py); one uniform per token (sampler.py);
a search's prompts, each an earlier one and a step, compute the step alone (prefixes.py).

Left out on purpose: tensor parallelism, quantisation, paging, speculative decoding. The vLLM
engine has those.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from r1.errors import UserError
from r1.models.device import resolve_device
from r1.models.load import context_of_config
from r1.rollout import native
from r1.rollout.fast_modules import speed_up
from r1.rollout.kv_cache import REMEDY, KVMemory
from r1.rollout.limits import response_limit
from r1.rollout.prefixes import Prefixes
from r1.rollout.protocol import AbortedError, FinishedGroup
from r1.rollout.scheduler import Rollout, Room
from r1.rollout.self_check import (
    PROBE_POSITIONS,
    check_engine_logprobs,
    plain_logprobs,
    replace_attention,
)
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.rollout.text import TextStream, end_token_ids
from r1.rollout.weight_names import check_weights
from r1.types import GroupRequest

_ATTENTION_KINDS = {"full_attention", "sliding_attention"}


class EmbeddedEngine:
    """Implements rollout.protocol.Engine on one device. It owns its model.

    Raises UserError for an architecture whose log-probabilities it would get wrong.
    """

    def __init__(self, model: Any, tokenizer: Any, settings: EngineSettings | None = None) -> None:
        self.settings = settings or EngineSettings()
        self.tokenizer = tokenizer
        kinds = set(getattr(model.config, "layer_types", None) or ()) - _ATTENTION_KINDS
        if kinds:
            raise UserError(
                f"the embedded engine cannot run layers of kind {', '.join(sorted(kinds))}: "
                f"{REMEDY}"
            )
        device = resolve_device(self.settings.device, "engine.device")
        dtype = _pick_dtype(self.settings.dtype, model.dtype)
        self.model = model.to(device=device, dtype=dtype).eval().requires_grad_(False)
        expected_MV = plain_logprobs(self.model)
        replace_attention(self.model)
        single = self.model.dtype == torch.float32 and device.type == "cpu"
        self.functions = native.library() if single and self.settings.native else None
        in_c = self.functions is not None
        self.tables = speed_up(self.model, in_c)
        for table in self.tables:
            table.grow(PROBE_POSITIONS, self.model.get_input_embeddings().weight)
        check_engine_logprobs(self.model, expected_MV)
        self.end_ids = end_token_ids(model, tokenizer)
        self.context = context_of_config(model.config)
        self.num_parameters = sum(p.numel() for p in self.model.parameters())
        self.version = 0
        self._loads = self._aborts = 0
        self._partial: Rollout | None = None
        self._later: deque[tuple[Sequence[GroupRequest], SamplingSettings]] = deque()
        self._longest = self._most = 0
        self._spare: KVMemory | None = None
        self._prefixes: Prefixes | None = None

    @classmethod
    def from_pretrained(
        cls, path: str | Path, settings: EngineSettings | None = None
    ) -> EmbeddedEngine:
        """Load a model and its tokenizer from a folder in the Hugging Face layout, or by id."""
        from r1.models.load import load_model, load_tokenizer

        settings = settings or EngineSettings()
        model = load_model(path, dtype=settings.dtype, device=settings.device)
        return cls(model, load_tokenizer(path), settings)

    def generate(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        """Yield every group when its last sample has ended; ties in request order.

        A response is cut at max_new_tokens or at the model's context, whichever comes first.
        Dropping the iterator half-way, or `abort`, frees everything it held. Raises UserError,
        before anything is computed, for a prompt that is empty or leaves no room, and for a request
        that can never fit into max_kv_tokens.
        """
        if not requests:
            return iter(())
        return self._run(self._rollout(requests, sampling))

    def _run(self, rollout: Rollout) -> Iterator[FinishedGroup]:
        aborts = self._aborts
        while not rollout.done:
            yield from self._step(rollout)
            if self._aborts != aborts:
                raise AbortedError("the engine was told to stop")
        self._keep(rollout.memory)

    def abort(self) -> None:
        """Implement AbortableEngine: stop after the current decode step."""
        self._aborts += 1

    def _step(self, rollout: Rollout) -> list[FinishedGroup]:
        """Do one decode step with the newest weights."""
        if rollout.loads != self._loads:
            rollout.renew(self.version)
            rollout.loads = self._loads
        return rollout.step()

    def submit(self, requests: Sequence[GroupRequest], sampling: SamplingSettings) -> None:
        """Implement PartialEngine.submit.

        The memory is made for what is submitted before the first `poll`, and for as many samples as
        were ever under way together. Longer prompts than that wait, and with them what is submitted
        later, until all before them has ended.
        """
        if not requests:
            return
        self._limits(requests, sampling)
        self._longest = max([self._longest, *(len(request.prompt_ids) for request in requests)])
        self._later.append((requests, sampling))

    def poll(self) -> list[FinishedGroup]:
        """Do one decode step of the submitted groups; return those that ended, in request order."""
        self._take_later()
        rollout = self._partial
        if rollout is None:
            return []
        finished = self._step(rollout)
        if rollout.done:
            self._keep(rollout.memory)
            self._partial = None
        return finished

    def _take_later(self) -> None:
        """Add the submitted groups to the current rollout if they fit, else to a new one."""
        if self._partial is None and self._later:
            every = [request for some, _ in self._later for request in some]
            self._partial = self._rollout(every, self._later[0][1], self._longest, self._most)
            self._later.clear()
        while self._partial is not None and self._later:
            requests, sampling = self._later[0]
            assert sampling == self._partial.sampling, "groups under way are sampled otherwise"
            limits, room = self._limits(requests, sampling), self._partial.room
            if max(len(r.prompt_ids) for r in requests) > room.prompt or max(limits) > room.own:
                return
            self._partial.add(requests, limits)
            self._grow_tables(requests, limits)
            self._later.popleft()
        if self._partial is not None:
            self._most = max(self._most, self._partial.n + self._partial.num_waiting)

    def _limits(self, requests: Sequence[GroupRequest], sampling: SamplingSettings) -> list[int]:
        """Return the token limit of each response. Raises UserError for a request that cannot be
        sampled."""
        if sampling.stop and (self.tokenizer is None or "" in sampling.stop):
            raise UserError("sampling.stop needs a tokenizer and strings that are not empty")
        return [response_limit(request, sampling, self.context) for request in requests]

    def _grow_tables(self, requests: Sequence[GroupRequest], limits: Sequence[int]) -> None:
        lengths = [len(request.prompt_ids) for request in requests]
        reach = max(length + limit for length, limit in zip(lengths, limits, strict=True))
        for table in self.tables:
            table.grow(reach, self.model.get_input_embeddings().weight)

    def _rollout(
        self,
        requests: Sequence[GroupRequest],
        sampling: SamplingSettings,
        prompt: int = 0,
        samples: int = 0,
    ) -> Rollout:
        """Make a rollout with memory for the requests. prompt: smallest number of tokens in a
        prompt's slot; samples: rows to reserve if other requests join."""
        limits = self._limits(requests, sampling)
        lengths = [len(request.prompt_ids) for request in requests]
        sizes = [len(request.seeds) for request in requests]
        joining = math.ceil(max(0, samples - sum(sizes)) / min(sizes))  # groups like these
        room = Room.plan(
            [*lengths, prompt],
            [*limits, *[max(limits)] * joining],
            [*sizes, *[min(sizes)] * joining],
            self.settings.max_batch,
            self.settings.max_kv_tokens,
        )
        if not room.rows:
            longest = max(requests, key=lambda request: len(request.prompt_ids))
            raise UserError(
                f"problem {longest.id}: a prompt of {room.prompt} tokens and a response of up to "
                f"{room.own} need {room.prompt + room.own} tokens of KV memory, but max_kv_tokens "
                f"is {self.settings.max_kv_tokens}: raise it or lower max_new_tokens"
            )
        self._grow_tables(requests, limits)
        return Rollout(
            self.model,
            self.tokenizer,
            requests,
            limits,
            sampling,
            room,
            self._memory(room),
            self.functions,
            self.end_ids,
            self.settings.prefill_tokens,
            self.version,
            self._loads,
            self._prefixes,
        )

    def _memory(self, room: Room) -> KVMemory:
        """Return the memory kept from an earlier call if it is large enough, else new memory."""
        memory, self._spare = self._spare, None
        if memory is not None and memory.holds(room.rows, room.own, room.slots, room.prompt):
            return memory
        num_layers = self.model.config.num_hidden_layers
        return KVMemory(num_layers, room.rows, room.own, room.slots, room.prompt)

    def _keep(self, memory: KVMemory) -> None:
        """Keep the memory on a CPU, to save page faults; on a GPU free it for the learner."""
        if self.model.device.type == "cpu":
            self._spare = memory

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]], version: int) -> None:
        """Copy (Hugging Face parameter name, tensor) pairs into the model, in place.

        Tied weights may come under either name or under both; buffers may be left out. Raises
        UserError that lists missing, unexpected and mis-shaped names, before anything is copied.
        Where a call is under way its next decode step computes keys and values again and goes on.
        """
        if iter(weights) is weights:  # it can be gone through once only
            weights = list(weights)
        check_weights(self.model, {name: tensor.shape for name, tensor in weights})
        own = dict(self.model.named_parameters(remove_duplicate=False))
        own |= dict(self.model.named_buffers(remove_duplicate=False))
        with torch.no_grad():
            for name, tensor in weights:
                own[name].copy_(tensor)
        self.version = version
        self._loads += 1
        if self._prefixes is not None:
            self._prefixes.clear()

    @contextmanager
    def keeping_prefixes(self) -> Iterator[Prefixes]:
        """Implement PrefixEngine: keep the keys and values of prompts between calls of generate."""
        self._prefixes = Prefixes(int(self.settings.prefix_share * self.settings.max_kv_tokens))
        try:
            yield self._prefixes
        finally:
            self._prefixes = None

    def close(self) -> None:
        """Drop the submitted groups and the memory kept between calls."""
        self._spare = self._partial = None
        self._later.clear()

    def stream(
        self, prompt_ids: Sequence[int], sampling: SamplingSettings, seed: int = 0
    ) -> Generator[str, None, str]:
        """Yield one response's text in pieces as it is sampled, never half a UTF-8 character.

        Returns how it ended: "stop", or "length" where it was cut at the token limit.
        """
        ended = "stop"
        request = GroupRequest("stream", tuple(prompt_ids), (seed,))
        rollout = self._rollout([request], sampling)
        text = TextStream(self.tokenizer, sampling.stop)
        for token_id, completion in rollout.run_one():
            piece = text.finish(completion.text) if completion else text.push(token_id)
            if piece:
                yield piece
            if completion:
                ended = completion.finish_reason
        return ended


def _pick_dtype(name: str, own: torch.dtype) -> torch.dtype:
    return own if name == "auto" else getattr(torch, name)
