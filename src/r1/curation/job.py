"""The walk over a stream of items, call by call, that every data set here is made by.

Items are numbered as they come and taken in calls of a fixed size, so that call c always holds the
same items: an engine sees the same batch whether the run was interrupted or not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from r1.curation.journal import Record
from r1.curation.progress import DataEvents
from r1.curation.settings import CallSettings
from r1.curation.store import Store
from r1.data.rows import content_hash
from r1.types import Problem

T = TypeVar("T")


class Numbered(NamedTuple, Generic[T]):
    """An item and its place in the stream, from 0."""

    number: int
    key: str
    item: T


Process = Callable[[list[Numbered[T]]], Iterator[Record]]
"""One call: items in, a record for each of them out, in any order. What is called begins; what it
returns is waited for."""


def run_job(
    store: Store,
    items: Iterable[T],
    key_of: Callable[[T], str],
    process: Process[T],
    settings: CallSettings,
    progress: DataEvents,
    total: int | None = None,
    ahead: int = 0,
) -> None:
    """Process all items that are not done and finish the store.

    total: how many items there are, where that is known, for the time left. ahead: how many calls
    are begun while the one before them is waited for (r1.rollout.engine_pool.calls_ahead); that
    many are held in memory, whatever the number of items.
    """
    if store.complete:
        return
    progress.begin(store.num_done(), total)
    begun: deque[Iterator[Record]] = deque()
    call: list[Numbered[T]] = []
    num = 0
    for num, item in enumerate(items, start=1):
        entry = Numbered(num - 1, key_of(item), item)
        store.expect(entry.number, entry.key)
        call.append(entry)
        if len(call) == settings.prompts:
            begun += _begin(store, call, process, settings)
            _take(store, begun, ahead, progress)
            call = []
    begun += _begin(store, call, process, settings)
    _take(store, begun, 0, progress)
    store.finish(num)
    progress.end()


def _begin(
    store: Store, call: list[Numbered[T]], process: Process[T], settings: CallSettings
) -> list[Iterator[Record]]:
    """Begin a call, unless all of it is done."""
    missing = [entry for entry in call if not store.has(entry.number)]
    return [process(call if settings.resume == "call" else missing)] if missing else []


def _take(store: Store, begun: deque[Iterator[Record]], keep: int, progress: DataEvents) -> None:
    """Take the records of the oldest calls until no more than `keep` are under way."""
    while len(begun) > keep:
        for record in begun.popleft():
            if not store.has(record.index):
                store.add(record)
                progress.advance(record)


def problem_key(problem: Problem) -> str:
    """What identifies a problem in a stream: its id, and a hash of everything that is asked."""
    content = f"{problem.dialogue}\0{problem.reference}\0{problem.verifier}\0{problem.language}"
    return f"{problem.id}:{content_hash(content)}"
