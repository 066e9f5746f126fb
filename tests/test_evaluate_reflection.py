"""Checking words in both languages, and seeds by name."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from r1.reflection import count_checking_words, self_checks
from r1.rollout.seeds import sample_seed


@pytest.mark.parametrize(
    ("text", "count", "checks"),
    [
        ("Wait, that is wrong. Let me check: 3+4=7.", 3, True),
        ("12 + 5 = 17, 17 - 3 = 14", 0, False),
        ("However, it is small but fine.", 2, False),  # the paper counts them; they check nothing
        ("waiter, awaits, checkout, buttress, terror, wrongful, checksum_error", 0, False),
        ("Verifying... verified; the verification found no errors or mistakes", 5, True),
        ("re-check, double-check and rechecked", 3, True),
        ("等等，我检查一下：不对，重新算。", 4, True),
        ("但是结果是7，不过没关系", 2, False),
        ("先check一下，没有error", 2, True),
        ("这很不错", 0, False),
        ("算错了", 1, True),
        ("验算：再算一次", 2, True),
        ("", 0, False),
    ],
)
def test_checking_words(text, count, checks):
    assert count_checking_words(text) == count
    assert self_checks(text) is checks


def test_seeds_are_the_same_in_every_process_and_differ_by_every_part():
    seed = sample_seed(0, "evaluate", "p-1", 3)
    assert seed == 8415976564058029720  # a fixed value: runs made before must stay reproducible
    code = "from r1.rollout.seeds import sample_seed; print(sample_seed(0, 'evaluate', 'p-1', 3))"
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "77"},
    )
    assert int(other.stdout) == seed
    variants = [
        (1, "evaluate", "p-1", 3),
        (0, "train", "p-1", 3),
        (0, "evaluate", "p-13", 3),
        (0, "evaluate", "p-1", 4),
        (0, "evaluate", "p-1", "3"),
        (0, "evaluate", "p", "-1", 3),
    ]
    assert len({seed, *(sample_seed(*parts) for parts in variants)}) == len(variants) + 1
    assert all(0 <= sample_seed("x", i) < 2**63 for i in range(200))
    with pytest.raises(ValueError, match="at least one"):
        sample_seed()
