"""Types of preference data: a pair, a labelled response, labelled steps, and all of a source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

from r1.data.layouts import unread_notice

Form = Literal["pairs", "labels", "steps"]


def context_of(earlier: Sequence[tuple[str, str]], prompt: str) -> str:
    """One text for a prompt and the turns before it, for comparisons."""
    return repr((*earlier, prompt)) if earlier else prompt


@dataclass(frozen=True, slots=True)
class Pair:
    """Of two responses to a prompt, the one that is preferred; margin: by how much, 0 unknown.

    earlier: (role, text) of the turns before the prompt, where it ends a dialogue.
    """

    prompt: str
    chosen: str
    rejected: str
    margin: float = 0.0
    language: str = ""
    family: str = ""
    earlier: tuple[tuple[str, str], ...] = ()

    @property
    def context(self) -> str:
        """The prompt with all that precedes it: pairs that share it answer the same."""
        return context_of(self.earlier, self.prompt)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A response to a prompt and whether it is good (harmlessness: safe). earlier: as a pair's."""

    prompt: str
    response: str
    positive: bool
    language: str = ""
    family: str = ""
    earlier: tuple[tuple[str, str], ...] = ()

    @property
    def context(self) -> str:
        """The prompt with all that precedes it."""
        return context_of(self.earlier, self.prompt)


@dataclass(frozen=True, slots=True)
class StepLabels:
    """A response in steps, which joined are the response, and how right each is: 1 right, 0 wrong,
    a share of continuations that end right, or None where nobody said."""

    prompt: str
    steps: tuple[str, ...]
    labels: tuple[float | None, ...]
    language: str = ""
    family: str = ""

    @property
    def context(self) -> str:
        """All that is answered."""
        return self.prompt

    @property
    def response(self) -> str:
        """The whole response."""
        return "".join(self.steps)


Preference = Pair | Labelled | StepLabels


class Preferences(NamedTuple):
    """What a source holds. rows: the row each came from; dropped: reason -> how many. drops: rows
    that turn out useless later are dropped and counted too, not refused.

    contradictions: how often the same two responses (or the same one) are judged both ways.
    left_out: columns that hold something to learn from, most likely, and are not read.
    """

    origin: str
    rows: list[int]
    items: list[Preference]
    dropped: dict[str, int]
    contradictions: int
    drops: bool = False
    left_out: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 of the content in its order."""
        digest = hashlib.sha256()
        for item in self.items:
            values = asdict(item)
            if not values.get("earlier"):
                values.pop("earlier", None)
            digest.update(json.dumps(values, sort_keys=True).encode() + b"\n")
        return digest.hexdigest()

    def notices(self) -> list[str]:
        """What the user should know; the run goes on."""
        said = [
            f"{self.origin}: {number} rows were dropped ({reason})."
            for reason, number in sorted(self.dropped.items())
        ]
        if self.contradictions:
            said.append(
                f"{self.origin}: {self.contradictions} rows contradict an earlier one "
                "(the same responses, judged the other way round)."
            )
        if self.left_out:
            said.append(unread_notice(self.origin, self.left_out))
        return said
