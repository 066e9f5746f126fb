"""The sums of recipes/real: right, and what is held out is not trained on in any order."""

from __future__ import annotations

import re
from pathlib import Path

from r1.data.load import load_data
from r1.pipeline.recipe import load_any_recipe
from r1.rewards.accuracy import check_reference
from r1.types import Problem

RECIPE = Path(__file__).parents[1] / "recipes" / "real" / "add_smollm2.toml"
SUM = re.compile(r"(\d+) \+ (\d+) = (\d*)")


def terms(problem: Problem) -> frozenset[str]:
    *_, (a, b, answer) = SUM.findall(problem.prompt)
    assert answer == ""
    return frozenset((a, b))


def test_held_out_sums_are_not_trained_on_and_all_are_right() -> None:
    data = load_data(load_any_recipe(RECIPE).data, RECIPE.parent, check_reference)
    [train] = data.pools
    trained, held_out = {*map(terms, train)}, {*map(terms, data.heldout)}
    assert len(train) > 3000
    assert len(data.heldout) == len(held_out) == 200
    assert not data.dropped
    assert not trained & held_out
    for problem in (*train, *data.heldout):
        *shown, (a, b, _) = SUM.findall(problem.prompt)
        assert int(problem.reference or "") == int(a) + int(b)
        assert all(int(x) + int(y) == int(z) for x, y, z in shown)
        assert not {frozenset((x, y)) for x, y, _ in shown} & (trained | held_out)
