"""The vLLM engine: generation at scale, in separate processes, behind the Engine interface.

Every sample is a request of its own with its own seed; prefix caching makes a group compute its
prompt once (in whole blocks of 16 tokens, 32 on a CPU). Seeds are vLLM's: the same seed gives the
same sample again while the numbers round alike, and another sample than the embedded engine's.
Text, end tokens, finish reasons and log-probabilities are the embedded engine's (vllm_worker.py has
the one definition that vLLM lacks).

Weights may be replaced during a call: running samples pause, their keys and values are recomputed,
and they continue under the new weights, with the version they began with.

Left out on purpose: several engines, restarts, more than one node (placement is another layer's),
vLLM's own multi-turn and multimodal requests.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from r1.errors import UserError
from r1.models.load import check_model_folder, check_vocabulary, load_tokenizer
from r1.rollout.limits import response_limit
from r1.rollout.protocol import AbortedError, FinishedGroup
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.rollout.text import TextStream, decode, end_token_ids
from r1.rollout.vllm_checks import check_vllm
from r1.rollout.vllm_load import check_names, empty_model, load_vllm
from r1.rollout.vllm_watch import deaths_named, release, watch
from r1.rollout.vllm_weights import Transfer
from r1.rollout.weight_names import fitting_weights, once_each
from r1.types import Completion, GroupRequest

WEIGHTS_TIMEOUT_S = 600.0
"""Longest wait for new weights in seconds: ranks that take longer hang (gigabytes take seconds)."""
_SEED_MASK = (1 << 63) - 1
_LEAST_TEMPERATURE = 0.01  # vLLM silently raises anything between 0 and this


@dataclass
class _Call:
    """One call of `generate`: its requests and its complete groups."""

    sampling: SamplingSettings
    version: int
    unfinished: int
    ready: list[_PartGroup] = field(default_factory=list)

    def take(self) -> list[FinishedGroup]:
        """Return the complete groups that were not taken yet, in request order."""
        whole = sorted(self.ready, key=lambda group: group.order)
        self.ready.clear()
        self.unfinished -= len(whole)
        return [
            FinishedGroup(
                group.request, [group.completions[i] for i in range(len(group.request.seeds))]
            )
            for group in whole
        ]


@dataclass
class _PartGroup:
    """A request with its completions so far."""

    call: _Call
    order: int
    request: GroupRequest
    completions: dict[int, Completion] = field(default_factory=dict)


class VllmEngine:
    """Implements rollout.protocol.LoadedEngine with a `vllm.LLM`.

    num_prompt_tokens counts the prompts of all samples so far, num_cached_tokens those of them that
    were not computed again.

    Its processes start by importing the main program again, so a script that makes one needs
    `if __name__ == "__main__":`.
    """

    def __init__(self, model: str | Path, settings: EngineSettings) -> None:
        check_vllm(model, settings)
        check_model_folder(model)
        self.path, self.settings = model, settings
        self.tokenizer = load_tokenizer(model)
        self.shape = empty_model(model)
        check_vocabulary(self.shape, self.tokenizer)
        self.end_ids = end_token_ids(self.shape, self.tokenizer)
        self.num_parameters = sum(p.numel() for p in self.shape.parameters())
        self.version = 0
        self.asleep = False
        self.num_prompt_tokens = self.num_cached_tokens = 0
        self._count = self._aborts = 0
        self._samples: dict[str, tuple[_PartGroup, int]] = {}
        self._submitted: list[_Call] = []
        self._streams: dict[str, list[Any]] = {}
        self._transfer: Transfer
        self.llm, self._transfer = load_vllm(model, settings)
        self.dtype: torch.dtype = self.llm.model_config.dtype
        self.context = int(self.llm.model_config.max_model_len)
        self._closing = watch(self.llm.llm_engine.engine_core)

    def generate(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        """Yield every group when its last sample has ended; ties in request order.

        As the embedded engine's: cut at max_new_tokens or at the context, everything aborted where
        the iterator is dropped half-way, UserError before anything is computed. Raises
        EngineDiedError, within a second or so, where vLLM's process dies.
        """
        if not requests:
            return iter(())
        return self._run(requests, self._limits(requests, sampling), sampling)

    def _limits(self, requests: Sequence[GroupRequest], sampling: SamplingSettings) -> list[int]:
        """Return the token limit of each response. Raises UserError for a request that cannot be
        sampled."""
        if sampling.stop and "" in sampling.stop:
            raise UserError("sampling.stop needs strings that are not empty")
        if 0.0 < sampling.temperature < _LEAST_TEMPERATURE:
            raise UserError(
                f"sampling.temperature = {sampling.temperature}: vLLM samples at 0 (greedy) or at "
                f"{_LEAST_TEMPERATURE} and more"
            )
        return [response_limit(request, sampling, self.context) for request in requests]

    def _run(
        self, requests: Sequence[GroupRequest], limits: list[int], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        self.wake()
        call, aborts = _Call(sampling, self.version, len(requests)), self._aborts
        names: list[str] = []
        try:
            self._ask(call, requests, limits, names)
            while call.unfinished:
                if self._aborts != aborts:
                    raise AbortedError("the engine was told to stop")
                if not call.ready:
                    self._step()
                yield from call.take()
        finally:
            self._drop(names)
            if self.settings.vllm.sleep and not self._samples:
                self.sleep()

    def abort(self) -> None:
        """Implement AbortableEngine: stop when vLLM gives its next outputs."""
        self._aborts += 1

    def _ask(
        self,
        call: _Call,
        requests: Sequence[GroupRequest],
        limits: Sequence[int],
        names: list[str],
    ) -> None:
        """Give a call's samples to vLLM; names: filled with the samples' names as they are
        given."""
        for order, (request, limit) in enumerate(zip(requests, limits, strict=True)):
            group = _PartGroup(call, order, request)
            for index, seed in enumerate(request.seeds):
                names.append(self._name())
                self._samples[names[-1]] = (group, index)
                self._add(names[-1], request.prompt_ids, call.sampling, limit, seed)

    def submit(self, requests: Sequence[GroupRequest], sampling: SamplingSettings) -> None:
        """Implement PartialEngine.submit; a sample's version is that of the current weights, though
        vLLM may begin it later."""
        if not requests:
            return
        limits = self._limits(requests, sampling)
        self.wake()
        call = _Call(sampling, self.version, len(requests))
        self._submitted.append(call)
        self._ask(call, requests, limits, [])

    def poll(self) -> list[FinishedGroup]:
        """Wait for vLLM's next outputs; return the groups that ended, in request order."""
        if not self._submitted:
            return []
        self._step()
        finished = [group for call in self._submitted for group in call.take()]
        self._submitted = [call for call in self._submitted if call.unfinished]
        return finished

    def _name(self) -> str:
        self._count += 1
        return f"r1-{self._count}"

    def _add(
        self,
        name: str,
        prompt_ids: Sequence[int],
        sampling: SamplingSettings,
        limit: int,
        seed: int,
        deltas: bool = False,
    ) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        kind = RequestOutputKind.DELTA if deltas else RequestOutputKind.FINAL_ONLY
        params = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=seed & _SEED_MASK,
            max_tokens=limit,
            logprobs=0,
            stop=list(sampling.stop) or None,
            stop_token_ids=list(self.end_ids),
            ignore_eos=True,  # the end tokens above are all there are
            detokenize=bool(sampling.stop),
            skip_special_tokens=False,
            spaces_between_special_tokens=False,
            output_kind=kind,
        )
        with deaths_named():
            self.llm.llm_engine.add_request(name, {"prompt_token_ids": list(prompt_ids)}, params)

    def _step(self) -> None:
        """Wait for vLLM's next outputs and give them to their calls."""
        with deaths_named():
            outputs = self.llm.llm_engine.step()
        for output in outputs:
            name = output.request_id
            if name in self._streams:
                self._streams[name].append(output.outputs[0])
            if name not in self._samples:
                continue
            group, index = self._samples.pop(name)
            self.num_prompt_tokens += len(group.request.prompt_ids)
            self.num_cached_tokens += output.num_cached_tokens or 0
            group.completions[index] = self._completion(output.outputs[0], group.call)
            if len(group.completions) == len(group.request.seeds):
                group.call.ready.append(group)

    def _completion(self, output: Any, call: _Call) -> Completion:
        token_ids = list(output.token_ids)
        logprobs = [at[token].logprob for at, token in zip(output.logprobs, token_ids, strict=True)]
        if not math.isfinite(sum(logprobs)):
            raise FloatingPointError(
                "the policy's logits are not finite: the weights have diverged "
                "(lower the learning rate, or check the checkpoint)"
            )
        if output.finish_reason not in ("stop", "length"):
            raise RuntimeError(f"vLLM aborted a sample: {output.finish_reason}")
        text = self._text(token_ids, call.sampling)
        return Completion(token_ids, logprobs, text, output.finish_reason, call.version)

    def _drop(self, names: list[str]) -> None:
        """Abort the unfinished samples."""
        left = [name for name in names if self._samples.pop(name, None)]
        if left:
            with deaths_named():
                self.llm.llm_engine.abort_request(left)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]], version: int) -> None:
        """Send (Hugging Face parameter name, tensor) pairs to every rank; forget cached prompts.

        Tied weights may come under either name or under both; buffers may be left out. Raises
        UserError that lists missing, unexpected and mis-shaped names, before anything is sent;
        TimeoutError after WEIGHTS_TIMEOUT_S, when the engine is of no more use; and
        EngineDiedError.
        """
        given = once_each(self.shape, fitting_weights(self.shape, weights))
        check_names(self.path, given)
        with deaths_named():
            self._replace(given)
        self.version = version

    def _replace(self, weights: dict[str, torch.Tensor]) -> None:
        if self.asleep:
            self._take_gpu(tags=["weights"])
        busy = bool(self._samples)
        if busy:
            self.pause()
        _within(WEIGHTS_TIMEOUT_S, lambda: self._transfer.send(weights, self.dtype))
        if not self.llm.reset_prefix_cache(reset_running_requests=busy):
            raise RuntimeError("vLLM did not forget the prompts computed with older weights")
        if busy:
            self.resume()

    def pause(self) -> None:
        """Stop generating; running samples are kept, new ones wait."""
        self.llm.sleep(level=0, mode="keep")

    def resume(self) -> None:
        """Continue after `pause`."""
        self.llm.wake_up(tags=["scheduling"])

    def sleep(self) -> None:
        """Release the GPU: drop the KV cache, move the weights to host memory."""
        if not self.asleep:
            self.llm.sleep(level=1)
            self.asleep = True

    def wake(self) -> None:
        """Take the GPU again; `generate` does so by itself."""
        if self.asleep:
            self._take_gpu()
            self.asleep = False

    def _take_gpu(self, **what: list[str]) -> None:
        torch.cuda.empty_cache()  # what a learner here has freed is vLLM's now
        self.llm.wake_up(**what)

    def close(self) -> None:
        """End vLLM's processes; a waiting thread gets EngineDiedError."""
        self._closing.set()
        self.llm.llm_engine.engine_core.shutdown()
        release(self.llm.llm_engine.engine_core)

    def stream(
        self, prompt_ids: Sequence[int], sampling: SamplingSettings, seed: int = 0
    ) -> Generator[str, None, str]:
        """Yield one response's text in pieces, never half a UTF-8 character.

        Returns how it ended: "stop", or "length" where it was cut at the token limit.
        """
        request = GroupRequest("stream", tuple(prompt_ids), (seed,))
        limit = response_limit(request, sampling, self.context)
        self.wake()
        name = self._name()
        parts = self._streams[name] = []
        self._add(name, prompt_ids, sampling, limit, seed, deltas=True)
        text, token_ids = TextStream(self.tokenizer, sampling.stop), []
        reason = None
        try:
            while reason is None:
                self._step()
                for part in parts:
                    reason = part.finish_reason
                    token_ids += part.token_ids
                    for token_id in part.token_ids[: None if reason is None else -1]:
                        if piece := text.push(token_id):
                            yield piece
                parts.clear()
        finally:
            del self._streams[name]
            if reason is None:
                self.llm.llm_engine.abort_request([name])
        if piece := text.finish(self._text(token_ids, sampling)):
            yield piece
        return reason

    def _text(self, token_ids: list[int], sampling: SamplingSettings) -> str:
        """Return the response without its end token and its stop string."""
        ended = token_ids[-1] in self.end_ids
        text = decode(self.tokenizer, token_ids[:-1] if ended else token_ids)
        cuts = [at for at in (text.find(stop) for stop in sampling.stop) if at >= 0]
        return text[: min(cuts)] if cuts else text


def _within(timeout_s: float, send: Callable[[], None]) -> None:
    """Run send in a thread; TimeoutError if it takes longer (the thread is left behind)."""
    problem: list[BaseException] = []

    def run() -> None:
        try:
            send()
        except BaseException as error:
            problem.append(error)

    thread = threading.Thread(target=run, daemon=True, name="vllm-weights")
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise TimeoutError(
            f"vLLM's workers (of process {os.getpid()}) did not take the new weights within "
            f"{timeout_s:g} s: their log says why"
        )
    if problem:
        raise problem[0]
