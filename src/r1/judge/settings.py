"""Settings of the judge: which model, how it is asked, and what it may cost (torch-free)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, model_validator

from r1.config import Settings

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"api[-_]?key|authori[sz]ation|password|secret|bearer", re.IGNORECASE)
_OURS = frozenset({"model", "messages", "stream", "n", "temperature"})


class LimitSettings(Settings):
    """How fast and how stubbornly the endpoint is asked.

    A wait between two tries of one request is drawn from [0, backoff_s · 2^try], at most
    backoff_max_s; what a `Retry-After` asks for is waited out in full, by all requests.
    """

    concurrency: int = Field(16, ge=1, description="requests under way at a time")
    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1, description="prompts and replies together")
    timeout_s: float = Field(120.0, gt=0.0, description="wall clock of one request")
    retries: int = Field(8, ge=0, description="further tries after the first fails")
    backoff_s: float = Field(1.0, gt=0.0)
    backoff_max_s: float = Field(60.0, gt=0.0)
    retry_after_max_s: float = Field(
        300.0, gt=0.0, description="a longer Retry-After ends the request instead"
    )


class BudgetSettings(Settings):
    """What may be spent in all, by every run that shares the cache file; None is no limit.

    cost is in the currency of the prices. What a request may have cost counts from when it is
    sent, so that the budget is never exceeded.
    """

    requests: int | None = Field(None, ge=0)
    tokens: int | None = Field(None, ge=0, description="prompts and replies together")
    cost: float | None = Field(None, ge=0.0)
    price_in: float = Field(0.0, ge=0.0, description="price of a million prompt tokens")
    price_out: float = Field(0.0, ge=0.0, description="price of a million tokens of replies")

    @model_validator(mode="after")
    def _priced(self) -> BudgetSettings:
        if self.cost is not None and self.price_in == 0.0 and self.price_out == 0.0:
            raise ValueError("a budget in money needs prices; set price_in and price_out")
        return self


class JudgeSettings(Settings):
    """An OpenAI-compatible endpoint and how it judges.

    api_key_env names the environment variable that holds the key; the key itself is never
    written anywhere. "" sends no key (a server of one's own).
    cache: the file where paid replies are kept, relative to the working folder. A run or an
        evaluation keeps its own in its folder, as judge.jsonl, where none is named.
    votes: replies asked for each judgement (in each order, where two answers are compared).
    """

    base_url: str = "https://api.openai.com/v1"
    model: str = Field(min_length=1)
    api_key_env: str = "OPENAI_API_KEY"
    temperature: float | Literal["endpoint"] = Field(
        0.0, ge=0.0, description='"endpoint" sends none: some reasoning models refuse it'
    )
    max_tokens: int = Field(2048, ge=16, description="tokens of a reply, thinking included")
    token_limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="sent with every request, e.g. {reasoning_effort = 'low'}"
    )
    votes: int = Field(1, ge=1, le=64)
    malformed_retries: int = Field(2, ge=0, description="new replies asked for a malformed one")
    max_chars: int = Field(20_000, ge=100, description="characters of an answer worth judging")
    cache: Path | None = Field(
        None, description="None: in the run's folder, or in memory without a run"
    )
    limits: LimitSettings = LimitSettings()
    budget: BudgetSettings = BudgetSettings()

    def sampling(self) -> dict[str, Any]:
        """Return the JSON sent with every prompt; with the prompt, it decides the reply."""
        body: dict[str, Any] = {"model": self.model, self.token_limit_name: self.max_tokens}
        if self.temperature != "endpoint":
            body["temperature"] = self.temperature
        return body | self.extra_body

    @model_validator(mode="after")
    def _consistent(self) -> JudgeSettings:
        # Checked here, not on the field: a key pasted by mistake must not be shown as the input.
        if self.api_key_env and not _VARIABLE.fullmatch(self.api_key_env):
            raise ValueError(
                "api_key_env must be the name of an environment variable such as OPENAI_API_KEY, "
                "not the key itself"
            )
        address = _address(self.base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("base_url must begin with http:// or https:// and name a host")
        if address.username is not None or address.query or address.fragment:
            raise ValueError(
                "base_url must hold neither a password nor ? or #; put the key into the "
                "variable that api_key_env names"
            )
        if self.votes > 1 and self.temperature == 0.0:
            raise ValueError("several votes at temperature 0 are one vote; set temperature = 1.0")
        if secret := _secret_name(self.extra_body):
            raise ValueError(
                f"extra_body must not set {secret}: the recipe is kept in the run's folder; put "
                "the key into the variable that api_key_env names"
            )
        if taken := sorted(self.extra_body.keys() & (_OURS | {self.token_limit_name})):
            raise ValueError(f"extra_body must not set {', '.join(taken)}")
        return self


def _address(base_url: str) -> SplitResult:
    """Split an address; ValueError where no client could go there."""
    if not base_url.isascii() or not base_url.isprintable() or " " in base_url:
        raise ValueError("base_url must hold neither blanks nor characters beyond ASCII")
    address = urlsplit(base_url)
    try:
        port = address.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("base_url must have a port from 1 to 65535, or none")
    return address


def _secret_name(value: Any) -> str | None:
    """The name, at any depth, of a field that is made to hold a key."""
    if isinstance(value, list):
        return next(filter(None, map(_secret_name, value)), None)
    if not isinstance(value, dict):
        return None
    own = next((name for name in value if _SECRET.search(str(name))), None)
    return own or next(filter(None, map(_secret_name, value.values())), None)
