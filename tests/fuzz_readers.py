"""Fuzz the readers of external files: `python tests/fuzz_readers.py --seconds 600 --format toml`.

Every input is a mutation of a sound file or of an input that was once a fault (SEEDS). A
reader may take it or refuse it with a UserError; a traceback, a death, ten seconds of processor
time or three gigabytes are faults. They are printed with their number, and kept where --keep says.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from external_files import READERS, Reader, fresh_copy, make_world
from fuzz_inputs import mutate
from guarded import CPU_S, FINE, REFUSED, run_guarded

SLOW_S = 10.0
SEEDS = Path(__file__).parent / "data" / "fuzz_seeds"
_OF_FORMAT: dict[str, Callable[[Reader], bool]] = {
    "checkpoint": lambda reader: reader.top in ("checkpoint", "shards"),
    "tokenizer": lambda reader: reader.path.name.startswith("tokenizer"),
    **{
        kind: lambda reader, suffix=f".{kind}": reader.path.suffix == suffix
        for kind in ("parquet", "jsonl", "json", "toml", "safetensors", "csv")
    },
}
FORMATS = tuple(_OF_FORMAT)


class Fault(NamedTuple):
    """An input that a reader did not answer for."""

    reader: Reader
    content: bytes
    outcome: str


class Fuzz:
    """The inputs of one format, by their number."""

    def __init__(self, kind: str, world: Path, scratch: Path, seed: int) -> None:
        self.kind, self.world, self.scratch, self.seed = kind, world, scratch, seed
        self.readers = [reader for reader in READERS if _OF_FORMAT[kind](reader)]

    def input(self, number: int) -> tuple[Reader, bytes]:
        """The reader and the content of one input."""
        rng = random.Random(f"{self.seed}/{self.kind}/{number}")
        reader = rng.choice(self.readers)
        sound = (self.world / reader.path).read_bytes()
        kept = kept_seeds(reader)
        content = rng.choice(kept)[1] if kept and rng.random() < 0.2 else sound
        return reader, mutate(content, reader.path, rng)

    def job(self, number: int) -> None:
        """Let the reader read it."""
        read_content(*self.input(number), self.world, self.scratch)

    def outcomes(
        self, more: Callable[[int], bool], cpu_s: float = CPU_S
    ) -> Iterator[tuple[int, str]]:
        """Yield (number, outcome) as guarded.run_guarded does."""
        return run_guarded(self.job, more, cpu_s)


def read_content(reader: Reader, content: bytes, world: Path, scratch: Path) -> None:
    """Put the content in the file's place, in a copy of what is around it, and read that."""
    place = fresh_copy(world, scratch, reader)
    place.unlink()
    place.write_bytes(content)
    reader.read(scratch / reader.top)


def kept_seeds(reader: Reader) -> list[tuple[str, bytes]]:
    """(name, content) of what was once a fault of a reader."""
    folder = SEEDS / reader.label.replace("/", "+")
    return [(path.name, path.read_bytes()) for path in sorted(folder.glob("*"))]


def is_fault(outcome: str) -> bool:
    """Whether a reader neither took its input nor refused it."""
    return outcome != FINE and not outcome.startswith(REFUSED)


def _kind_of(outcome: str) -> str:
    """Faults at the same line are one."""
    return outcome.rpartition(" at ")[2] if " at " in outcome else outcome


def _fuzz(fuzz: Fuzz, seconds: float, keep: Path | None) -> bool:
    """Fuzz one format, print what was found, and return whether that was nothing."""
    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    end = time.monotonic() + seconds
    for number, outcome in fuzz.outcomes(lambda _: time.monotonic() < end, SLOW_S):
        counts["fine" if outcome == FINE else "fault" if is_fault(outcome) else "refused"] += 1
        if not is_fault(outcome):
            continue
        faults[_kind_of(outcome)] += 1
        if faults[_kind_of(outcome)] > 1:
            continue
        reader, content = fuzz.input(number)
        print(f"{reader.label}, input {number} of seed {fuzz.seed}: {outcome}", flush=True)
        if keep is not None:
            place = keep / reader.label.replace("/", "+")
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{fuzz.seed}-{number}").write_bytes(content)
    print(f"{fuzz.kind}: {counts.total()} inputs in {seconds:.0f} s, {dict(counts)}", flush=True)
    return not faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=FORMATS, nargs="+", default=FORMATS)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that are faults")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder, "world")
        world.mkdir()
        make_world(world)
        fuzzes = [Fuzz(kind, world, Path(folder, "copy"), args.seed) for kind in args.format]
        sound = [_fuzz(fuzz, args.seconds, args.keep) for fuzz in fuzzes]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    raise SystemExit(main())
