"""Make an engine from a recipe's [engine]; the only place that knows the kinds of engines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from r1.errors import SettingError
from r1.models.device import resolve_device
from r1.models.load import check_vocabulary, context_of, load_model, load_tokenizer
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.limits import tell_of_short_room
from r1.rollout.protocol import LoadedEngine
from r1.rollout.settings import EngineSettings, VllmSettings
from r1.rollout.vllm_checks import check_vllm, check_vllm_model, context_limit
from r1.template import Earlier
from r1.types import Problem

logger = logging.getLogger(__name__)


def check_engine(model: str | Path, settings: EngineSettings) -> None:
    """Raise UserError, within seconds and before loading, for an engine that cannot run.

    Warns of settings that this engine does not read.
    """
    if settings.kind == "vllm":
        check_vllm(model, settings)
        return
    resolve_device(settings.device, "engine.device")
    if settings.vllm != VllmSettings():
        _tell_unread()


@cache
def _tell_unread() -> None:
    """Warn once a process: an engine is checked again when it is made."""
    logger.warning(
        'engine.vllm is not read: engine.kind is "embedded". For vLLM set engine.kind = "vllm".'
    )


def check_engine_model(model: str | Path, settings: EngineSettings) -> None:
    """Do the part of check_engine that does not depend on the machine. Raises UserError."""
    if settings.kind == "vllm":
        check_vllm_model(model, settings)


def make_engine(model: str | Path, settings: EngineSettings) -> LoadedEngine:
    """Load a model and its tokenizer into the engine of settings.kind.

    model: a folder in the Hugging Face layout, or a hub id. Close the engine when done: vLLM's
    engine has its own processes and memory. Raises UserError for what cannot be loaded.
    """
    check_engine(model, settings)
    if settings.kind == "vllm":
        from r1.rollout.vllm_engine import VllmEngine

        return VllmEngine(model, settings)
    loaded = load_model(model, dtype=settings.dtype, device=settings.device)
    tokenizer = load_tokenizer(model)
    check_vocabulary(loaded, tokenizer)
    return EmbeddedEngine(loaded, tokenizer, settings)


def engine_context(model: str | Path, settings: EngineSettings) -> int:
    """Return the token limit of a prompt and its response together."""
    context = context_of(model)
    return context_limit(context, settings) if settings.kind == "vllm" else context


def check_limit(
    max_new_tokens: int,
    model: str | Path,
    settings: EngineSettings,
    name: str = "sampling.max_new_tokens",
) -> None:
    """Raise SettingError for a response limit (the setting `name`) that the context cannot hold."""
    context = engine_context(model, settings)
    if max_new_tokens > context:
        raise SettingError(
            f"{name} = {max_new_tokens} is more than the model's context of {context} tokens, "
            f"which prompt and response share; set it below {context}."
        )


def tell_of_room(
    problems: Iterable[Problem],
    encode: Callable[[str, Earlier], Sequence[int]],
    max_new_tokens: int,
    model: str | Path,
    settings: EngineSettings,
) -> None:
    """Warn of problems whose prompts leave a response less than max_new_tokens."""
    lengths = [len(encode(problem.prompt, problem.earlier)) for problem in problems]
    tell_of_short_room("prompts", lengths, max_new_tokens, engine_context(model, settings))
