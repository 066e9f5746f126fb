"""From a recipe's `data` section to problems that are fit to train on.

Every source is read and checked whole before training: a fault is named by file, row, reason and
remedy. A new kind of source is a new file with a `load(settings, base_folder) -> Table`, one line
in LOADERS, and its keys in settings.KEYS.

Left out on purpose: streaming. Reinforcement learning visits problems by the thousand, not by the
billion, and a list in memory is what makes the order of training a pure function of the seed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from r1.data import problem_rows, reasoning_gym, tiny_world
from r1.data.decontaminate import Decontaminated, HeldoutIndex, Overlap, drop_overlaps
from r1.data.rows import FaultyRows, Table
from r1.data.settings import GENERATORS, DataSettings, SourceSettings
from r1.data.source import Batches, make_batches
from r1.errors import UserError
from r1.types import Problem

logger = logging.getLogger(__name__)

Check = Callable[[Problem], str | None]
"""Why a problem's verifier is unknown or does not accept the problem's own gold answer, or None:
`r1.rewards.accuracy.check_reference`, handed in because rewards lie a layer above."""

LOADERS: dict[str, Callable[[SourceSettings, Path], Table]] = {
    "tiny": tiny_world.load,
    **dict.fromkeys(
        ("jsonl", "json", "csv", "parquet", "huggingface", "python"), problem_rows.load
    ),
    "reasoning_gym": reasoning_gym.load,
}
MARKER = "####"


class LoadedData(NamedTuple):
    """pools[i] holds the training problems of source i; weights is None for one shuffled pool."""

    pools: list[list[Problem]]
    weights: list[float] | None
    heldout: list[Problem]
    dropped: list[Overlap]

    def batches(self, num_per_step: int, seed: int, setting: str = "num_problems") -> Batches:
        """The order of training; UserError, which names num_per_step by its setting, where a step
        would need more problems than there are."""
        return make_batches(self.pools, self.weights, num_per_step, seed, setting)


def load_data(
    settings: DataSettings,
    base_folder: Path,
    check: Check | None = None,
    fits: Check | None = None,
) -> LoadedData:
    """Load every source of a recipe and take overlaps with the held-out problems out of training.

    fits: why a problem's prompt is too long, or None. Raises UserError for whatever load_problems
    refuses, and where nothing is left to train on.
    """
    pools = _load_all(settings.train, base_folder, check, fits)
    heldout_pools = _load_all(settings.heldout, base_folder, check, fits)
    weights = [source.weight for source in settings.train if source.weight is not None]
    dropped: list[Overlap] = []
    if settings.decontaminate and heldout_pools:
        for index, source in enumerate(settings.train):
            pools[index], overlaps = _decontaminate(pools[index], source, heldout_pools, settings)
            dropped += overlaps
    heldout = [problem for pool in heldout_pools for problem in pool]
    return LoadedData(pools, weights or None, heldout, dropped)


def _decontaminate(
    pool: list[Problem],
    source: SourceSettings,
    heldout_pools: list[list[Problem]],
    settings: DataSettings,
) -> Decontaminated:
    """Between two generators only copies of whole prompts count (see r1.data.decontaminate)."""
    indexes = []
    for heldout, problems in zip(settings.heldout, heldout_pools, strict=True):
        generated = source.kind in GENERATORS and heldout.kind in GENERATORS
        ngram = None if generated else settings.ngram
        indexes.append(HeldoutIndex(problems, ngram, settings.common_share))
    result = drop_overlaps(pool, indexes)
    _report(result.dropped, len(pool), source.label)
    return result


def load_problems(
    settings: SourceSettings,
    base_folder: Path,
    check: Check | None = None,
    fits: Check | None = None,
) -> list[Problem]:
    """Load and check one source.

    check is called for each problem whose gold answer it has not yet seen (math-verify takes
    0.4 ms an answer). Raises UserError for a missing, unreadable or empty source, missing columns,
    rows that cannot be used, ids that occur twice, and what check complains of.
    """
    table = LOADERS[settings.kind](settings, base_folder)
    if not table.problems:
        raise UserError(f"{table.origin} is empty; give at least one problem.")
    drops = settings.unusable == "drop"
    table = _usable(table, _repeated_ids(table), drops)
    hint = _marker_hint(table, settings)
    if check is not None:
        faults = _faulty_references(table, check)
        table = _usable(table, faults, drops, hint)
        hint = "" if faults else hint
    if hint:
        logger.warning("%s: %s", table.origin, hint)
    if fits is not None:
        too_long = zip(table.rows, map(fits, table.problems), strict=True)
        table = _usable(table, {row: reason for row, reason in too_long if reason}, drops)
    if settings.kind != "tiny":  # its dialogue repeats on purpose, and nothing else there does
        _warn_of_repeats(table)
    return table.problems


def _load_all(
    sources: Sequence[SourceSettings],
    base_folder: Path,
    check: Check | None,
    fits: Check | None,
) -> list[list[Problem]]:
    """One list a source; where ids repeat an earlier one's, each gets "@" and its number."""
    pools: list[list[Problem]] = []
    taken: set[str] = set()
    for number, source in enumerate(sources, start=1):
        pool = load_problems(source, base_folder, check, fits)
        if any(problem.id in taken for problem in pool):
            pool = [replace(problem, id=f"{problem.id}@{number}") for problem in pool]
        taken.update(problem.id for problem in pool)
        pools.append(pool)
    return pools


def _usable(table: Table, faults: Mapping[int, str], drops: bool, hint: str = "") -> Table:
    """The table without its faulty rows; UserError where those are not to be dropped."""
    errors = FaultyRows(table.origin, drops, hint)
    for row, reason in faults.items():
        errors.add(row, reason)
    errors.raise_if_any()
    kept = [
        (row, problem)
        for row, problem in zip(table.rows, table.problems, strict=True)
        if row not in faults
    ]
    if not kept:
        raise UserError(f'{table.origin}: every row was dropped (unusable = "drop"); mend some.')
    return table._replace(rows=[row for row, _ in kept], problems=[p for _, p in kept])


def _repeated_ids(table: Table) -> dict[int, str]:
    """Row -> what is wrong with it."""
    first_row: dict[str, int] = {}
    faults = {}
    for row, problem in zip(table.rows, table.problems, strict=True):
        earlier = first_row.setdefault(problem.id, row)
        if earlier != row:
            faults[row] = f"id {problem.id!r} is also the id of row {earlier}; ids must differ"
    return faults


def _faulty_references(table: Table, check: Check) -> dict[int, str]:
    """Row -> why its verifier does not accept its gold answer."""
    faults = {}
    known: dict[tuple[str, str | None], str | None] = {}
    for row, problem in zip(table.rows, table.problems, strict=True):
        key = (problem.verifier, problem.reference)
        if problem.metadata:
            reason = check(problem)
        elif key in known:
            reason = known[key]
        else:
            reason = known[key] = check(problem)
        if reason is not None:
            faults[row] = reason
    return faults


def _marker_hint(table: Table, settings: SourceSettings) -> str:
    """What to say where every reference is a solution with its answer after GSM8K's "####"."""
    references = [problem.reference or "" for problem in table.problems]
    if (
        settings.reference_after
        or not table.problems
        or not all(MARKER in text for text in references)
    ):
        return ""
    return (
        f'Every reference holds "{MARKER}", as GSM8K\'s solutions do before the answer: set '
        f'reference_after = "{MARKER}" in this source to keep the answer alone.'
    )


def _warn_of_repeats(table: Table) -> None:
    repeats = len(table.problems) - len({problem.dialogue for problem in table.problems})
    if repeats:
        logger.warning("%s: %d prompts occur more than once", table.origin, repeats)


def _report(dropped: list[Overlap], num: int, label: str) -> None:
    if not dropped:
        return
    first = dropped[0]
    example = f'{first.problem.id} and held-out {first.heldout_id} share "{first.ngram}"'
    if len(dropped) == num:
        raise UserError(
            f"{label}: every one of the {num} training problems overlaps a held-out one "
            f"({example}). Train on other problems, or raise data.ngram, or set "
            "data.decontaminate = false."
        )
    logger.warning("%s: left out %d of %d problems: %s", label, len(dropped), num, example)
