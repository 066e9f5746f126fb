"""What a run's numbers are in, hashed: two runs are the same where these are."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

TIMED = ("timings.jsonl", "DONE.json", "report.html")


def story(out: Path, but: Collection[str] = TIMED) -> dict[str, str]:
    """The hash of every file that a run's numbers are in. but: files that hold clock times."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in but and not path.name.startswith(".")
    }
