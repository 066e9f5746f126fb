"""Minibatches and micro-batches: nothing lost, nothing over budget, deterministic."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1.learner.microbatch import index_responses, split_microbatches, split_minibatches
from r1.types import TrainBatch, TrainGroup, TrainResponse
from train_batches import make_batch_of, make_groups


def row_tokens(micro):
    return sum(
        len(g.prompt_ids) + sum(len(r.token_ids) - 1 for r in g.responses) for g in micro.groups
    )


sizes = st.lists(
    st.tuples(st.integers(1, 30), st.lists(st.integers(1, 50), min_size=1, max_size=6)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(sizes=sizes, budget=st.integers(1, 120), parts=st.integers(1, 5), seed=st.integers(0, 9))
def test_every_response_is_in_exactly_one_place(sizes, budget, parts, seed):
    groups = [
        TrainGroup((7,) * width, [TrainResponse([1] * n, [0.0] * n, []) for n in lengths])
        for width, lengths in sizes
    ]
    batch = make_batch_of(groups, skipped=3, skipped_tokens=11)
    minis = split_minibatches(batch, parts, seed)
    assert sum(mini.totals.num_responses for mini in minis) == pytest.approx(batch.num_responses)
    assert sum(mini.totals.num_tokens for mini in minis) == pytest.approx(batch.num_tokens)
    seen = []
    flat = index_responses(batch)
    for mini in minis:
        for micro in split_microbatches(mini.responses, budget):
            responses = [r for group in micro.groups for r in group.responses]
            assert [flat[i].response for i in micro.indices] == responses
            assert row_tokens(micro) <= budget or len(responses) == 1
            seen += micro.indices
    assert sorted(seen) == list(range(len(flat)))
    again = split_minibatches(batch, parts, seed)
    assert [m.responses for m in again] == [m.responses for m in minis]


def test_siblings_stay_together_where_they_fit():
    batch = make_batch_of(make_groups())
    micros = split_microbatches(index_responses(batch), 150)
    assert all(len({g.prompt_ids for g in m.groups}) == len(m.groups) for m in micros)
    assert sum(len(m.groups) for m in micros) == len(batch.groups)


def test_other_seeds_split_otherwise():
    batch = make_batch_of(make_groups())

    def first(seed):
        return [item.index for item in split_minibatches(batch, 3, seed)[0].responses]

    assert len({tuple(first(seed)) for seed in range(8)}) > 3


def test_an_empty_batch_has_no_minibatch():
    assert split_minibatches(TrainBatch([], 16, 100), 4, 0) == []
