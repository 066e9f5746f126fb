"""One data set of reasoning and general data (paper: about 600k and 200k, §2.3.3).

From each source a number of rows is drawn without repetition, by count, by weight or all; rows of
the sources are written in turn, in proportion, each source in its own order (training shuffles).
A source may ask for chains of thought: the general model writes one for a row unless

* the response already begins with the pattern's opening token;
* the row's family is not among thoughts.families;
* the query is simple, such as a greeting (simple_queries.py);
* the row is not drawn, where thoughts.share is below 1; or
* what the model wrote is cut, empty, holds a special token, or fails the readability checks.

Then the response stays as it is, or begins with an empty pair of tokens (thoughts.empty_thinking).
The card counts each case. Memory: one byte a row of the sources, an id a row taken, and one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from r1.config import dump
from r1.curation.card import Card, CardSource, write_card
from r1.curation.cold_start import General
from r1.curation.conversations import (
    SuppliedConversation,
    card_of,
    count_conversations,
    read_conversations,
)
from r1.curation.curator import decisive
from r1.curation.generate import Ask, Begin, GeneratedText, asking
from r1.curation.job import Numbered, run_job
from r1.curation.journal import Record
from r1.curation.progress import DataEvents, Silent
from r1.curation.prompts import THINK_FIRST, fill, language_name
from r1.curation.settings import MixtureSettings, SourceOfMixture
from r1.curation.simple_queries import is_simple
from r1.curation.store import Store
from r1.data.rows import RowError, content_hash
from r1.data.source import apportion
from r1.errors import UserError
from r1.rewards.reading import after_thinking
from r1.rollout.engine_pool import calls_ahead
from r1.rollout.seeds import sample_seed
from r1.run_dir.completions import storable
from r1.text.readability import readability_defects

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("family", pa.string()),
        ("language", pa.string()),
        ("source", pa.string()),
        ("thought", pa.string()),
        ("num_tokens", pa.int32()),
    ]
)
AS_IT_WAS, PROMPTED = "as it was", "prompted"
MAX_COPIES = 255


class SourcePart(NamedTuple):
    """A source with how many rows it has and how many are taken."""

    settings: SourceOfMixture
    name: str
    available: int
    taken: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A row that was drawn. id: no other row's of the mixture."""

    part: SourcePart
    conversation: SuppliedConversation
    id: str

    @property
    def key(self) -> str:
        return f"{self.id}:{content_hash(repr(self.conversation.turns))}"

    @property
    def family(self) -> str:
        return self.conversation.family or self.part.settings.family

    @property
    def language(self) -> str:
        return self.conversation.language or self.part.settings.language


def mix(
    folder: Path,
    settings: MixtureSettings,
    base_folder: Path,
    general: General | None = None,
    *,
    progress: DataEvents | None = None,
) -> Card:
    """Write a mixture into `folder`, or carry on there.

    base_folder: where relative paths start. general: writes chains of thought and counts tokens;
    only needed where a source asks for thoughts (without it, tokens are those that rows name).
    Raises UserError for faulty sources, too few rows, and a missing general model.
    """
    if general is None and any(s.chain_of_thought == "prompted" for s in settings.sources):
        raise UserError(
            'a source has chain_of_thought = "prompted" but no general model is named to write '
            'them; name one, or set chain_of_thought = "as_is".'
        )
    parts = plan(settings, base_folder)
    job = {
        "kind": "mixture",
        "source": general.name if general else None,
        "settings": decisive(dump(settings), "call.resume", "domains"),
        "parts": [[part.name, part.available, part.taken] for part in parts],
    }
    ahead = calls_ahead(general.capacity if general else 0, settings.call.prompts)
    with asking(ahead) as begin, Store(folder, job, SCHEMA, settings.shards) as store:
        mixer = _Mixer(settings, general, begin)
        run_job(
            store,
            draw(parts, settings.seed, base_folder),
            lambda taken: taken.key,
            mixer.run_call,
            settings.call,
            progress or Silent(),
            sum(part.taken for part in parts),
            ahead,
        )
        sources = [_describe(part, base_folder) for part in parts]
        return write_card(folder, store.totals, settings.domains, "Mixture", sources)


def plan(settings: MixtureSettings, base_folder: Path) -> list[SourcePart]:
    """Read the sources once and decide how many rows of each are taken.

    Raises UserError for faulty rows and for more rows wanted than there are.
    """
    weights = [s.weight for s in settings.sources if s.weight is not None]
    shares = iter(apportion(settings.total or 0, weights) if weights else [])
    parts: list[SourcePart] = []
    names: set[str] = set()
    for source in settings.sources:
        available = count_conversations(source.path, base_folder)
        wanted = next(shares) if source.weight is not None else source.count
        taken = available if wanted is None else wanted
        if taken > available * (MAX_COPIES if source.repeat else 1):
            raise UserError(
                f"{source.path} has {available} rows but {taken} are wanted; lower its count, "
                "weight or the total, or set repeat = true."
            )
        name = base = source.name or Path(source.path).stem
        number = 2
        while name in names:
            name, number = f"{base}-{number}", number + 1
        names.add(name)
        parts.append(SourcePart(source, name, available, taken))
    return parts


def copies_of_rows(part: SourcePart, seed: int, place: int) -> np.ndarray:
    """How often each row of a source is taken: uint8, one a row, drawn with the seed."""
    whole, rest = divmod(part.taken, part.available)
    copies = np.full(part.available, whole, dtype=np.uint8)
    draw_ = np.random.default_rng([seed, place])
    copies[draw_.permutation(part.available)[:rest]] += 1
    return copies


def draw(parts: Sequence[SourcePart], seed: int, base_folder: Path) -> Iterator[Taken]:
    """Yield the rows of a mixture: the source furthest behind its share comes next.

    A row's id is `<source>/<its own, or its number>`, of its second copy with "#2" behind; one that
    an earlier row has gets the row's number too, "@7".
    """
    used: set[str] = set()
    streams = [_stream(part, seed, i, base_folder) for i, part in enumerate(parts)]
    total = sum(part.taken for part in parts)
    given = [0] * len(parts)
    for position in range(total):
        behind = [
            (part.taken * (position + 1) - given[i] * total, -i) for i, part in enumerate(parts)
        ]
        place = -max(behind)[1]
        given[place] += 1
        part, conversation, copy = next(streams[place])
        own = f"{part.name}/{conversation.id or conversation.row}"
        own += f"#{copy + 1}" if copy else ""
        while own in used:
            own += f"@{conversation.row}"
        used.add(own)
        yield Taken(part, conversation, own)


def _stream(
    part: SourcePart, seed: int, place: int, base_folder: Path
) -> Iterator[tuple[SourcePart, SuppliedConversation, int]]:
    """Yield the rows of a source that are taken, each with the number of its copy, from 0."""
    copies = copies_of_rows(part, seed, place)
    rows = read_conversations(part.settings.path, base_folder)
    for number, (_, found) in zip(copies.tolist(), rows, strict=True):
        if isinstance(found, RowError):
            raise UserError(f"{part.settings.path} changed while it was being read.")
        for copy in range(number):
            yield part, found, copy


class _Mixer:
    """One call: rows in, a record for each out, with a chain of thought where there is to be."""

    def __init__(
        self,
        settings: MixtureSettings,
        general: General | None,
        begin: Begin[Sequence[GeneratedText]],
    ) -> None:
        self.settings, self.general, self.begin = settings, general, begin

    def run_call(self, call: list[Numbered[Taken]]) -> Iterator[Record]:
        whys = [self._why_not(entry.item) for entry in call]
        asks = [self._ask(e.item) for e, why in zip(call, whys, strict=True) if why is None]
        wait: Callable[[], Sequence[GeneratedText]] = tuple
        if asks and self.general is not None:
            generate = self.general.generate
            wait = self.begin(lambda: generate(asks))
        return self._records(call, whys, wait)

    def _records(
        self,
        call: list[Numbered[Taken]],
        whys: list[str | None],
        wait: Callable[[], Sequence[GeneratedText]],
    ) -> Iterator[Record]:
        replies = iter(wait())
        for entry, why in zip(call, whys, strict=True):
            thought = ""
            if why is None:
                thought, why = self._accept(entry.item, next(replies))
            yield self._record(entry, thought, why)

    def _why_not(self, taken: Taken) -> str | None:
        """Why a row is not to have a chain of thought written, or None where it is."""
        thoughts, conversation = self.settings.thoughts, taken.conversation
        if taken.part.settings.chain_of_thought == "as_is":
            return AS_IT_WAS
        if conversation.response.lstrip().startswith(self.settings.pattern.opening):
            return AS_IT_WAS
        if thoughts.families and taken.family not in thoughts.families:
            return "none: family"
        if is_simple(conversation.question):
            return "none: simple query"
        drawn = sample_seed(self.settings.seed, "thought", taken.id) / 2**63
        return None if drawn < thoughts.share else "none: not drawn"

    def _ask(self, taken: Taken) -> Ask:
        values = {
            "question": taken.conversation.question,
            "answer": taken.conversation.response,
            "language": language_name(taken.language),
        }
        seed = sample_seed(self.settings.seed, "think first", taken.id)
        return Ask(fill(self.settings.thoughts.prompt or THINK_FIRST, values), seed)

    def _accept(self, taken: Taken, reply: GeneratedText) -> tuple[str, str]:
        """The chain of thought to use with "prompted", or "" with why there is none."""
        thought = (after_thinking(reply.text, opened=False) or "").strip()
        if reply.cut or not thought:
            return "", "none: cut or empty"
        if any(token in thought for token in self.settings.pattern.special_tokens):
            return "", "none: special token"
        limits, question = self.settings.thoughts.readability, taken.conversation.question
        defects = readability_defects(thought, taken.language, limits, question)
        return ("", f"none: {defects[0].kind}") if defects else (thought, PROMPTED)

    def _record(self, entry: Numbered[Taken], thought: str, why: str) -> Record:
        taken = entry.item
        conversation = taken.conversation
        response = conversation.response
        pattern = self.settings.pattern
        if thought or (why.startswith("none") and self.settings.thoughts.empty_thinking):
            response = pattern.render(thought, response)
        tokens = conversation.num_tokens if response == conversation.response else None
        if tokens is None and self.general is not None:
            tokens = self.general.count_tokens(response)
        turns = [*conversation.turns[:-1], ("assistant", response)]
        row: dict[str, Any] = {
            "id": taken.id,
            "messages": [{"role": role, "content": storable(text)} for role, text in turns],
            "family": taken.family,
            "language": taken.language,
            "source": taken.part.name,
            "thought": why,
            "num_tokens": tokens,
        }
        counts = {"rows": 1, "tokens": tokens or 0, "counted": int(tokens is not None)}
        return Record(entry.number, entry.key, taken.family, {**counts, f"thought/{why}": 1}, [row])


def _describe(part: SourcePart, base_folder: Path) -> CardSource:
    card = card_of(part.settings.path, base_folder)
    dropped = dict(card["total"]["dropped"]) if card else {}
    return CardSource(part.name, part.available, part.taken, dropped)
