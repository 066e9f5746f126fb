"""`r1.sample` and `r1.open_model`: responses of a run, a model or an endpoint to prompts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from r1.config import dump, validate
from r1.errors import UserError
from r1.evaluation.source import (
    ModelSource,
    OpenedModel,
    choose_template,
    context_of_source,
    open_sampler,
    resolve_model,
    sampling_of,
)
from r1.rollout.make import check_limit
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.template import parse
from r1.types import Completion, GroupRequest

Model = str | Path | os.PathLike[str]
"""What a command takes for a model: a run, one of its stages or checkpoints, a folder, a hub id,
"tiny", or an endpoint's URL#model."""


class SampledResponse(NamedTuple):
    """One response to one prompt. thinking and answer are None where the text has none.

    text: as sampled, without the end token; opened: the prompt itself ended in `<think>`.
    finish_reason: "stop", "length" (cut at the limit) or "failed" (an endpoint gave none).
    """

    text: str
    thinking: str | None
    answer: str | None
    finish_reason: str
    num_tokens: int


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to be sampled, from `open_model`."""

    source: ModelSource
    opened: OpenedModel
    sampling: SamplingSettings

    def sample(
        self,
        prompts: Sequence[str],
        num_samples: int = 1,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        max_new_tokens: int | None = None,
        seed: int = 0,
    ) -> list[list[SampledResponse]]:
        """Return num_samples responses to each prompt: found[p][g].

        The prompts are put into the model's template. temperature, top_p, max_new_tokens: by
        default those of its evaluation (0.6, 0.95, the limit of its training). Equal seeds draw
        equal samples on one machine. Raises UserError where a prompt or the limit does not fit.
        """
        if isinstance(prompts, str):
            raise UserError("prompts is one text; give a list of them: [text].")
        given = {"temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens}
        if num_samples < 1:
            raise UserError(f"num_samples = {num_samples}: give 1 or more.")
        sampling = self._sampling({k: v for k, v in given.items() if v is not None})
        requests = [
            GroupRequest(
                f"prompt {number}",
                self._encode(number, prompt),
                tuple(sample_seed(seed, "sample", number, g) for g in range(num_samples)),
            )
            for number, prompt in enumerate(prompts)
        ]
        found = {
            group.request.id: group.completions
            for group in self.opened.engine.generate(requests, sampling)
        }
        return [[self._response(each) for each in found[request.id]] for request in requests]

    def _sampling(self, told: dict[str, float]) -> SamplingSettings:
        """Return the model's sampling with what a call says. Raises UserError."""
        sampling = validate({**dump(self.sampling), **told}, SamplingSettings, "r1.sample")
        engine = self.source.settings("engine", EngineSettings)
        if context_of_source(self.source, engine) is not None:
            check_limit(sampling.max_new_tokens, self.source.path, engine, "max_new_tokens")
        return sampling

    def _encode(self, number: int, prompt: str) -> tuple[int, ...]:
        try:
            prompt.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"prompt {number} is not UTF-8 at character {error.start}; "
                "read it with its own encoding, or replace the character."
            ) from None
        return self.opened.renderer.encode(prompt)

    def _response(self, completion: Completion) -> SampledResponse:
        parsed = parse(completion.text, self.opened.renderer.opens_think)
        answer = parsed.answer
        if answer is None and parsed.thinking is None:
            answer = completion.text.strip() or None  # a model that does not think
        tokens = len(completion.token_ids)
        return SampledResponse(
            completion.text, parsed.thinking, answer, completion.finish_reason, tokens
        )


@contextmanager
def open_model(
    model: Model, *, step: int | None = None, endpoint: Sequence[str] = ()
) -> Iterator[LoadedModel]:
    """Load a model for several calls of `sample`, and free it at the end.

    step: of a run's checkpoint, by default the newest. endpoint: `endpoint.KEY=VALUE`, as in
    `r1 eval --set`. Raises UserError for what cannot be loaded.
    """
    source = resolve_model(os.fspath(model), step, endpoint)
    template, sampling = choose_template(source), sampling_of(source)
    engine = source.settings("engine", EngineSettings)
    if context_of_source(source, engine) is not None:
        check_limit(sampling.max_new_tokens, source.path, engine)
    with open_sampler(source, template, engine) as opened:
        yield LoadedModel(source, opened, sampling)


def sample(
    model: Model | LoadedModel,
    prompts: Sequence[str],
    num_samples: int = 1,
    *,
    temperature: float | None = None,
    top_p: float | None = None,
    max_new_tokens: int | None = None,
    seed: int = 0,
    step: int | None = None,
) -> list[list[SampledResponse]]:
    """Return num_samples responses of a model to each prompt: found[p][g].

    As `LoadedModel.sample`; the model is loaded for this call unless it comes from `open_model`.
    """
    if isinstance(model, LoadedModel):
        return model.sample(
            prompts,
            num_samples,
            temperature=temperature,
            top_p=top_p,
            max_new_tokens=max_new_tokens,
            seed=seed,
        )
    with open_model(model, step=step) as loaded:
        return sample(
            loaded,
            prompts,
            num_samples,
            temperature=temperature,
            top_p=top_p,
            max_new_tokens=max_new_tokens,
            seed=seed,
        )
