"""batch(step): a pure function of the seed, each problem once an epoch, never twice in a step."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1.data.rows import find_data
from r1.data.source import ProblemSource, apportion, make_batches
from r1.errors import UserError
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_paths
from r1.types import Problem


def problems(num: int, name: str = "p") -> list[Problem]:
    return [Problem(f"{name}{i}", f"prompt {name}{i}", "1", "math") for i in range(num)]


def ids(batch: list[Problem]) -> list[str]:
    return [problem.id for problem in batch]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), num=st.integers(1, 40), seed=st.integers(0, 5))
def test_epochs_are_complete_and_steps_hold_nothing_twice(data, num, seed):
    per_step = data.draw(st.integers(1, num))
    num_steps = 6 * num // per_step + 2
    source = ProblemSource(problems(num), per_step, seed)
    row = []
    for step in range(num_steps):
        batch = ids(source.batch(step))
        assert len(set(batch)) == per_step == len(batch)
        row += batch
    for epoch in range(6):
        assert sorted(row[epoch * num : (epoch + 1) * num]) == sorted(ids(problems(num)))


@pytest.mark.parametrize("num", range(2, 14))
def test_batches_do_not_depend_on_what_was_asked_before(num):
    for per_step in range(1, num + 1):
        steps = range(5 * num // per_step + 1)
        forward, backward = (ProblemSource(problems(num), per_step, 3) for _ in range(2))
        in_order = {step: ids(forward.batch(step)) for step in steps}
        in_reverse = {step: ids(backward.batch(step)) for step in reversed(steps)}
        alone = {step: ids(ProblemSource(problems(num), per_step, 3).batch(step)) for step in steps}
        assert in_order == in_reverse == alone


def test_seeds_and_epochs_shuffle_independently():
    source = ProblemSource(problems(100), 100, 0)
    first, second = ids(source.batch(0)), ids(source.batch(1))
    other = ids(ProblemSource(problems(100), 100, 1).batch(0))
    for left, right in ((first, second), (first, other)):
        assert sum(a == b for a, b in zip(left, right, strict=True)) < 12
    assert ids(ProblemSource(problems(100), 100, 0).batch(1)) == second


def test_a_step_larger_than_the_pool_is_refused_with_the_remedy():
    with pytest.raises(UserError, match=r"takes 33 .*only 32; .*lower ppo.num_problems to 32"):
        ProblemSource(problems(32), 33, 0, setting="ppo.num_problems")


def test_a_mixture_gives_every_step_its_shares_and_every_pool_its_epochs():
    pools = [problems(12, "a"), problems(5, "b"), problems(30, "c")]
    source = make_batches(pools, [0.5, 0.25, 0.25], num_per_step=8, seed=0)
    counts: Counter[str] = Counter()
    for step in range(30):
        batch = ids(source.batch(step))
        assert Counter(name[0] for name in batch) == {"a": 4, "b": 2, "c": 2}
        assert len(set(batch)) == 8
        counts.update(batch)
    assert {counts[f"a{i}"] for i in range(12)} == {10}
    assert {counts[f"b{i}"] for i in range(5)} == {12}
    assert {counts[f"c{i}"] for i in range(30)} == {2}


def test_without_weights_all_sources_are_one_pool():
    source = make_batches([problems(3, "a"), problems(7, "b")], None, 5, seed=2)
    assert sorted(ids(source.batch(0) + source.batch(1))) == sorted(
        ids(problems(3, "a") + problems(7, "b"))
    )


def test_a_weight_too_small_for_one_problem_a_step():
    with pytest.raises(UserError, match="weight of source 2 gives it none of the 4"):
        make_batches([problems(9), problems(9, "q")], [100, 1], 4, seed=0)


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [(8, [1, 1, 2], [2, 2, 4]), (10, [1, 1, 1], [4, 3, 3]), (7, [3.0], [7]), (5, [2, 9], [1, 4])],
)
def test_apportion(total, weights, shares):
    assert apportion(total, weights) == shares


def test_a_path_is_found_at_home_beside_the_recipe_and_here(tmp_path, monkeypatch) -> None:
    home, here, beside = tmp_path / "home", tmp_path / "here", tmp_path / "recipe"
    for folder, name in ((home, "h"), (here, "w"), (here, "both"), (beside, "r"), (beside, "both")):
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.jsonl").write_text("{}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    found = {path: find_data(path, beside).resolve().parent.name for path in ("r.jsonl", "w.jsonl")}
    assert found == {"r.jsonl": "recipe", "w.jsonl": "here"}
    assert find_data("both.jsonl", beside) == beside / "both.jsonl"
    assert find_data("~/h.jsonl", beside) == home / "h.jsonl"
    check_paths(["~/h.jsonl", "w.jsonl", "@stage", None], CheckCache(beside))
    with pytest.raises(UserError, match=r"h\.jsonl does not exist"):
        check_paths(["h.jsonl"], CheckCache(beside))
