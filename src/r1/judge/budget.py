"""A spending limit. A request's highest possible price is reserved before it is sent.

spent + set aside never exceeds the budget, however many requests are in progress; a reply's real
cost replaces the amount set aside for it. Requests that brought no reply but may be billed
(silence, a broken connection) stay counted at their highest price.
"""

from __future__ import annotations

from dataclasses import dataclass

from r1.errors import UserError
from r1.judge.settings import JUDGE_WORDS, BudgetSettings, EndpointWords

TOKENS_PER_PRICE = 1_000_000


class BudgetExhaustedError(UserError):
    """The next request could exceed the budget; all paid replies are in the cache."""


@dataclass(slots=True)
class TokenUsage:
    """Requests and tokens, summed."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, other: TokenUsage, sign: int = 1) -> None:
        """Add (or, with sign -1, take away) another sum."""
        self.requests += sign * other.requests
        self.tokens_in += sign * other.tokens_in
        self.tokens_out += sign * other.tokens_out

    def cost(self, settings: BudgetSettings) -> float:
        """Return the money, in the currency of the prices."""
        priced = self.tokens_in * settings.price_in + self.tokens_out * settings.price_out
        return priced / TOKENS_PER_PRICE


class Budget:
    """Keeps spending within BudgetSettings.

    spent is the cache's own sum, which grows as replies are kept, those of other processes too.
    """

    def __init__(
        self, settings: BudgetSettings, spent: TokenUsage, words: EndpointWords = JUDGE_WORDS
    ) -> None:
        self.settings = settings
        self._words = words
        self.spent = spent
        self._reserved = TokenUsage()

    def reserve(self, most: TokenUsage) -> bool:
        """Reserve the price of a request; False if it does not fit at present."""
        if self._excess(most) is not None:
            return False
        self._reserved.add(most)
        return True

    def release(self, most: TokenUsage) -> None:
        """Cancel a reservation; the request's real price is in `spent` by then."""
        self._reserved.add(most, sign=-1)

    def idle(self) -> bool:
        """Whether nothing is reserved: no reply can free any budget."""
        return self._reserved.requests == 0

    def exhausted(self, most: TokenUsage) -> BudgetExhaustedError:
        """Return the error for a request that does not fit."""
        return BudgetExhaustedError(
            f"{self._words.owner}'s budget is used up: {self._excess(most)}. Everything paid for "
            f"is kept in the cache; raise {self._words.section}.budget and start the same command "
            "again to carry on."
        )

    def _excess(self, most: TokenUsage) -> str | None:
        """Name the limit that the request would exceed."""
        total = TokenUsage()
        for part in (self.spent, self._reserved, most):
            total.add(part)
        limits = self.settings
        if limits.requests is not None and total.requests > limits.requests:
            return f"{self.spent.requests} of {limits.requests} requests are spent"
        tokens = total.tokens_in + total.tokens_out
        if limits.tokens is not None and tokens > limits.tokens:
            spent = self.spent.tokens_in + self.spent.tokens_out
            next_one = most.tokens_in + most.tokens_out
            return (
                f"{spent:,} of {limits.tokens:,} tokens are spent and the next request may take "
                f"{next_one:,}"
            )
        if limits.cost is not None and total.cost(limits) > limits.cost:
            return (
                f"{self.spent.cost(limits):.4g} of {limits.cost:.4g} are spent and the next "
                f"request may cost {most.cost(limits):.4g}"
            )
        return None
