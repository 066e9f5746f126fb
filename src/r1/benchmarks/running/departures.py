"""Where the way of sampling is not the paper's."""

from __future__ import annotations

from r1.endpoint.settings import SampledEndpointSettings
from r1.rollout.settings import SamplingSettings

MAX_NEW_TOKENS = 32_768
"""The paper's limit of a response."""
TEMPERATURE = 0.6
"""The paper's."""


def sampling_departures(
    sampling: SamplingSettings, begun: bool, endpoint: SampledEndpointSettings | None
) -> list[str]:
    """What departs from the paper's protocol, in words. begun: prompts end in `<think>`."""
    limit, temperature = sampling.max_new_tokens, sampling.temperature
    told = {
        f"at most {limit:,} tokens": limit != MAX_NEW_TOKENS,
        f"temperature {temperature:g}, not {TEMPERATURE}": temperature != TEMPERATURE,
        "thinking not begun": not begun and endpoint is None,
        "the endpoint decides whether a response begins with thinking": endpoint is not None,
        "temperature and top-p are the endpoint's": bool(endpoint and not endpoint.send_sampling),
    }
    return [words for words, departs in told.items() if departs]
