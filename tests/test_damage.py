"""Every external file, damaged in every way of its format: a message that names the file, or as if
nothing were wrong; never a traceback, a hang or gigabytes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from damage import Damage, damages
from external_files import READERS, Reader, fresh_copy, make_world
from fuzz_readers import FORMATS, Fuzz, is_fault, kept_seeds, read_content
from guarded import FINE, REFUSED, run_guarded
from r1.errors import UserError


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    make_world(folder)
    return folder


def faults_of(world: Path, scratch: Path, reader: Reader, chosen: list[tuple[str, Damage]]) -> str:
    """What went wrong over these damages of one file, a line each."""

    def job(number: int) -> None:
        place = fresh_copy(world, scratch, reader)
        chosen[number][1](place)
        reader.read(scratch / reader.top)

    faults, tried = [], 0
    for number, outcome in run_guarded(job, lambda number: number < len(chosen)):
        tried += 1
        file = world / reader.path
        named = file.name in outcome or file.parent.name in outcome
        if outcome != FINE and not (outcome.startswith(REFUSED) and named):
            faults.append(f"{reader.label}: {chosen[number][0]}: {outcome}")
    assert tried == len(chosen) > 0
    return "\n".join(faults)


@pytest.mark.few(30)
@pytest.mark.parametrize("number", range(len(READERS)), ids=[reader.label for reader in READERS])
def test_some_damages_of_every_file(world, tmp_path, number):
    """Two of each file, others from file to file."""
    reader = READERS[number]
    found = list(damages(world / reader.path))
    apart = len(found) // 2
    assert not faults_of(world, tmp_path / "copy", reader, found[number % apart :: apart])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(READERS)), ids=[reader.label for reader in READERS])
def test_a_third_of_the_damages_of_every_file(world, tmp_path, number):
    """Another third from file to file; R1_TEST_DAMAGES=all for every one."""
    reader = READERS[number]
    found = list(damages(world / reader.path))
    if os.environ.get("R1_TEST_DAMAGES") != "all":
        found = found[number % 3 :: 3] or found[:1]
    assert not faults_of(world, tmp_path / "copy", reader, found)


def test_there_are_enough_damages(world):
    assert sum(len(list(damages(world / reader.path))) for reader in READERS) >= 500


@pytest.mark.parametrize("kind", FORMATS)
def test_some_mutations_of_every_format(world, tmp_path, kind):
    fuzz = Fuzz(kind, world, tmp_path / "copy", seed=7)
    outcomes = dict(fuzz.outcomes(lambda number: number < 6))
    assert len(outcomes) == 6
    assert not [outcome for outcome in outcomes.values() if is_fault(outcome)]


def test_what_was_once_a_fault_is_answered(world, tmp_path):
    seeds = [(reader, *seed) for reader in READERS for seed in kept_seeds(reader)]
    assert seeds

    def job(number: int) -> None:
        reader, _, content = seeds[number]
        read_content(reader, content, world, tmp_path / "copy")

    outcomes = dict(run_guarded(job, lambda number: number < len(seeds)))
    faults = {seeds[n][:2]: outcome for n, outcome in outcomes.items() if is_fault(outcome)}
    assert not faults


def test_a_job_that_dies_is_told_and_takes_no_other_with_it():
    def job(number: int) -> None:
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 2:
            raise UserError("no")
        if number == 3:
            raise KeyError("x")

    outcomes = [outcome for _, outcome in run_guarded(job, lambda number: number < 5)]
    assert outcomes[:3] == [FINE, "DIED SIGKILL", "UserError: no"]
    assert outcomes[3].startswith("TRACEBACK KeyError('x') at ")
    assert outcomes[4] == FINE
