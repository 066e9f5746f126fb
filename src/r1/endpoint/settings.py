"""Settings of an endpoint whose model is sampled (torch-free)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from r1.config import apply_overrides, validate
from r1.errors import UserError
from r1.judge.settings import EndpointSettings, EndpointWords, LimitSettings

SECTION = "endpoint"
KEY_VARIABLE = "OPENAI_API_KEY"
"""Holds the key where it is set and no other variable is named."""
INDECISIVE = {"limits", "budget", "api_key_env"}
"""The settings that decide no sample."""


class SampledLimitSettings(LimitSettings):
    """How fast a model's endpoint is asked, and how often a request is retried."""

    timeout_s: float = Field(
        3600.0,
        gt=0.0,
        description="longest wait for one reply, in seconds; 32,768 tokens take a while",
    )


class SampledEndpointSettings(EndpointSettings):
    """An OpenAI-compatible endpoint as the model of `r1 eval` and `r1 bench run`.

    Given on the command line: the address and the model as URL#model, the others as
    --set endpoint.KEY=VALUE.
    """

    words: ClassVar[EndpointWords] = EndpointWords(
        "the model", SECTION, "the address before #", "the name after #", "engine-failed"
    )
    taken: ClassVar[frozenset[str]] = EndpointSettings.taken | {"top_p", "seed", "stop"}

    limits: SampledLimitSettings = SampledLimitSettings()
    samples_per_request: int = Field(
        1,
        ge=1,
        description="samples asked for in one request (n); where an endpoint gives fewer, the rest "
        "is asked for one by one. With more than 1 the tokens of a sample are an estimate",
    )
    send_seed: bool = Field(
        True, description="send each sample's seed; false for endpoints that refuse the field"
    )
    send_sampling: bool = Field(
        True,
        description="send temperature and top-p; false for models that refuse them: they are then "
        "the endpoint's own",
    )


def is_endpoint(model: str) -> bool:
    """Whether a model is named as an endpoint's: an http address."""
    return model.startswith(("http://", "https://"))


def endpoint_settings(model: str, overrides: Sequence[str] = ()) -> SampledEndpointSettings:
    """Return the settings of URL#model; overrides: `endpoint.KEY=VALUE`.

    Raises UserError for an address without a model, and as `validate` does.
    """
    address, _, name = model.partition("#")
    if not name:
        raise UserError(
            f"{SECTION}: an endpoint is given as URL#model, such as "
            "http://localhost:8000/v1#my-model; add # and the model's name."
        )
    changed = apply_overrides({}, overrides).get(SECTION, {})
    key = KEY_VARIABLE if os.environ.get(KEY_VARIABLE, "").strip() else ""
    values = {"base_url": address, "model": name, "api_key_env": key, **changed}
    return validate(values, SampledEndpointSettings, f"{SECTION} {name}")


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part --set's for the endpoint from the others."""
    ours = [each for each in overrides if each.strip().startswith(f"{SECTION}.")]
    return ours, [each for each in overrides if each not in ours]
