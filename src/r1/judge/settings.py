"""Settings of an endpoint, and of one that judges: model, sampling, cost (torch-free)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, model_validator

from r1.config import Settings

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"api[-_]?key|authori[sz]ation|password|secret|bearer", re.IGNORECASE)


class LimitSettings(Settings):
    """How fast the endpoint is asked, and how often a request is retried.

    A request that the server asks to send later (`Retry-After`) waits as long, and all others with
    it; where it asks for more than five minutes, the request ends.
    """

    concurrency: int = Field(16, ge=1, description="requests under way at a time")
    requests_per_minute: int | None = Field(
        None, ge=1, description="most requests in any minute; by default no limit"
    )
    tokens_per_minute: int | None = Field(
        None,
        ge=1,
        description="most tokens in any minute, of prompts and replies; by default no limit",
    )
    timeout_s: float = Field(120.0, gt=0.0, description="longest wait for one reply, in seconds")
    retries: int = Field(8, ge=0, description="further tries of a request after the first fails")
    backoff_s: float = Field(
        1.0,
        gt=0.0,
        description="longest wait before the second try, in seconds; it doubles with each try, up "
        "to 60 times this, and a wait is drawn between 0 and it",
    )


class BudgetSettings(Settings):
    """The most that all runs sharing the cache file may spend.

    A request's highest cost counts from its sending, so that the budget is never exceeded.
    """

    requests: int | None = Field(
        None, ge=0, description="most requests that may be billed; by default no limit"
    )
    tokens: int | None = Field(
        None, ge=0, description="most tokens, of prompts and replies; by default no limit"
    )
    cost: float | None = Field(
        None,
        ge=0.0,
        description="most money, in the currency of the prices; by default no limit",
    )
    price_in: float = Field(0.0, ge=0.0, description="price of a million prompt tokens")
    price_out: float = Field(0.0, ge=0.0, description="price of a million tokens of replies")

    @model_validator(mode="after")
    def _priced(self) -> BudgetSettings:
        if self.cost is not None and self.price_in == 0.0 and self.price_out == 0.0:
            raise ValueError("a budget in money needs prices; set price_in and price_out")
        return self


class EndpointWords(NamedTuple):
    """How messages speak of an endpoint: whose it is, and where its settings are.

    unanswered: what becomes of an answer whose tries are used up.
    """

    owner: str
    section: str
    address: str
    model: str
    unanswered: str


JUDGE_WORDS = EndpointWords(
    "the judge",
    "rewards.judge",
    "rewards.judge.base_url",
    "rewards.judge.model",
    "verifier-failed",
)


class EndpointSettings(Settings):
    """An OpenAI-compatible endpoint: where it is, its key, and how it is asked."""

    words: ClassVar[EndpointWords] = JUDGE_WORDS
    taken: ClassVar[frozenset[str]] = frozenset({"model", "messages", "stream", "n", "temperature"})
    """Fields of a request that extra_body must not set."""

    base_url: str = Field(
        "https://api.openai.com/v1", description="address of the endpoint, as its provider gives it"
    )
    model: str = Field(min_length=1, description="name of the model at the endpoint")
    api_key_env: str = Field(
        "OPENAI_API_KEY",
        description="environment variable that holds the key, which is never written anywhere; "
        '"" sends no key (your own server)',
    )
    token_limit_name: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens",
        description="name under which the endpoint takes that limit; OpenAI's reasoning models "
        "take the second",
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict,
        description="more fields of every request, such as {reasoning_effort = 'low'}",
    )
    limits: LimitSettings = LimitSettings()
    budget: BudgetSettings = BudgetSettings()

    def sampling(self) -> dict[str, Any]:
        """Return the JSON sent with every prompt; with the prompt, it determines the reply."""
        return {"model": self.model} | self.extra_body

    @model_validator(mode="after")
    def _reachable(self) -> EndpointSettings:
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
        if secret := _secret_name(self.extra_body):
            raise ValueError(
                f"extra_body must not set {secret}: the recipe is kept in the run's folder; put "
                "the key into the variable that api_key_env names"
            )
        if taken := sorted(self.extra_body.keys() & (self.taken | {self.token_limit_name})):
            raise ValueError(f"extra_body must not set {', '.join(taken)}")
        return self


class JudgeSettings(EndpointSettings):
    """An OpenAI-compatible endpoint as judge."""

    temperature: float | Literal["endpoint"] = Field(
        0.0,
        ge=0.0,
        description='sampling temperature; "endpoint" sends none, as some reasoning models want',
    )
    max_tokens: int = Field(
        2048, ge=16, description="longest reply, in tokens, the judge's thinking included"
    )
    votes: int = Field(
        1,
        ge=1,
        le=64,
        description="replies asked for each judgement (in each order, where two answers are "
        "compared); the majority decides",
    )
    malformed_retries: int = Field(
        2, ge=0, description="how often a reply without a readable verdict is asked for again"
    )
    cache: Path | None = Field(
        None,
        description="file that keeps paid replies, relative to the working folder; by default "
        "judge.jsonl in the folder of the run or evaluation",
    )

    def sampling(self) -> dict[str, Any]:
        """Return the JSON sent with every prompt; with the prompt, it determines the reply."""
        body: dict[str, Any] = {"model": self.model, self.token_limit_name: self.max_tokens}
        if self.temperature != "endpoint":
            body["temperature"] = self.temperature
        return body | self.extra_body

    @model_validator(mode="after")
    def _votes_differ(self) -> JudgeSettings:
        if self.votes > 1 and self.temperature == 0.0:
            raise ValueError("several votes at temperature 0 are one vote; set temperature = 1.0")
        return self


def _address(base_url: str) -> SplitResult:
    """Split an address. Raises ValueError for an address that no client can reach."""
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
    """Return the name of a field, at any depth, that is meant to hold a key."""
    if isinstance(value, list):
        return next(filter(None, map(_secret_name, value)), None)
    if not isinstance(value, dict):
        return None
    own = next((name for name in value if _SECRET.search(str(name))), None)
    return own or next(filter(None, map(_secret_name, value.values())), None)
