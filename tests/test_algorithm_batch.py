"""make_batch: what is learnt from, what is left out, and what still counts."""

from __future__ import annotations

from typing import Any

import pytest

from r1.algorithms.batch import has_signal, make_batch, overlong_penalty
from r1.algorithms.distill import Distill, DistillSettings
from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.algorithms.ppo import PPO, PPOSettings
from r1.algorithms.prime import Prime, PrimeSettings
from r1.algorithms.reinforce_pp import ReinforcePP, ReinforcePPSettings
from r1.data.source import make_batches
from r1.rollout.settings import SamplingSettings
from r1.sampling.roll_out import BatchSource, replace_empty, spare_problems
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup

LIMIT = 10


def scored(rewards, lengths=None, invalid=(), name="p"):
    lengths = lengths or [4] * len(rewards)
    completions = [
        Completion(list(range(n)), [-1.0] * n, "", "length" if n >= LIMIT else "stop")
        for n in lengths
    ]
    parts = [
        Reward(r, {"accuracy": Score(r, Outcome.CORRECT)}, valid=i not in invalid)
        for i, r in enumerate(rewards)
    ]
    return ScoredGroup(RolloutGroup(Problem(name, "?", "1", "exact"), (1, 2), completions), parts)


def test_groups_without_signal_are_skipped_but_counted():
    result = make_batch(
        [scored([1, 1]), scored([1, 0], [3, 5])], GRPO(GRPOSettings(kl_weight=0.0)), LIMIT
    )
    assert len(result.batch.groups) == 1
    assert (result.batch.num_responses, result.batch.num_tokens) == (4, 16)
    assert result.stats.zero_variance == 0.5
    assert result.stats.responses_trained == 2
    assert [r.advantages[0] for r in result.batch.groups[0].responses] == pytest.approx(
        [1, -1], abs=1e-5
    )


def test_with_kl_they_are_kept_since_the_reference_pulls_on_them():
    result = make_batch(
        [scored([1, 1]), scored([1, 0])], GRPO(GRPOSettings(kl_weight=0.001)), LIMIT
    )
    assert len(result.batch.groups) == 2
    assert [r.advantages[0] for r in result.batch.groups[0].responses] == [0.0, 0.0]


def test_invalid_samples_are_in_no_count():
    result = make_batch([scored([1, 0, 0], [3, 4, 5], invalid={1})], GRPO(GRPOSettings()), LIMIT)
    assert [len(r.token_ids) for r in result.batch.groups[0].responses] == [3, 5]
    assert (result.batch.num_responses, result.batch.num_tokens) == (2, 8)
    assert result.stats.invalid == pytest.approx(1 / 3)


def test_masked_overlong_responses_are_counted_and_move_the_mean():
    settings = GRPOSettings(kl_weight=0.0, overlong="mask", std="none")
    result = make_batch([scored([1, 0, 0, 0], [4, 4, 10, 10])], GRPO(settings), LIMIT)
    assert [r.advantages[0] for r in result.batch.groups[0].responses] == [0.75, -0.25]
    assert (result.batch.num_responses, result.batch.num_tokens) == (4, 28)
    assert result.stats.overlong == 0.5


def test_soft_penalty_follows_dapo():
    assert [overlong_penalty(n, 100, 20) for n in (10, 80, 85, 90, 100)] == [0, 0, -0.25, -0.5, -1]
    settings = GRPOSettings(overlong="penalty", overlong_buffer=4, std="none")
    result = make_batch([scored([1, 1], [6, 8])], GRPO(settings), LIMIT)
    assert [r.advantages[0] for r in result.batch.groups[0].responses] == [0.25, -0.25]


def test_nothing_to_learn_gives_an_empty_batch():
    result = make_batch([scored([0, 0])], GRPO(GRPOSettings(kl_weight=0.0)), LIMIT)
    assert result.batch.groups == []
    assert result.stats.advantage_max == 0.0


SIGNAL_CASES = [
    (scored([1, 1, 1, 1], [4, 6, 8, 10]), {"overlong": "penalty", "overlong_buffer": 5}),
    (scored([1, 1], [3, 9]), {"overlong": "penalty", "overlong_buffer": 5}),
    (scored([1.0, 0.0], [5, 10]), {"overlong": "penalty", "overlong_buffer": 5}),
    (scored([0.0, -1.0], [10, 5]), {"overlong": "penalty", "overlong_buffer": 5}),
    (scored([0.30000000000000004, 0.3, 0.3]), {}),
    (scored([1.0, 1.0, 0.0], invalid={2}), {}),
    (scored([1.0, 0.0], invalid={0}), {}),
    (scored([1.0, 0.0], invalid={0, 1}), {}),
    (scored([1.0, 0.0], [10, 10]), {"overlong": "mask"}),
    (scored([1.0, 1.0, 0.0], [4, 4, 10]), {"overlong": "mask"}),
    (scored([1.0, 0.0], [0, 0]), {}),
    (scored([1, 0]), {}),
    (scored([1, 1]), {}),
]


@pytest.mark.parametrize("number", range(len(SIGNAL_CASES)))
def test_dynamic_sampling_replaces_what_the_batch_learns_nothing_from(number):
    """What counts as a signal is what the advantages are made of, not the raw rewards."""
    group, changes = SIGNAL_CASES[number]
    settings = GRPOSettings.model_validate({"kl_weight": 0.0, "dynamic_sampling": 1} | changes)
    batch = make_batch([group], GRPO(settings), LIMIT)
    sampling = SamplingSettings(max_new_tokens=LIMIT)
    nothing: Any = None
    loop = BatchSource(
        nothing, nothing, 0, 2, sampling, lambda each: has_signal(each, GRPO(settings), LIMIT)
    )
    found = scored([1, 0], name="found")
    [kept] = replace_empty([group], [found], loop)
    learnt = bool(batch.batch.groups)
    assert has_signal(group, GRPO(settings), LIMIT) == learnt
    assert batch.stats.zero_variance == (not learnt)
    assert (kept is group) == learnt
    # and what is found is judged in the same way
    [filled] = replace_empty([scored([1, 1], name="empty")], [group], loop)
    assert (filled is group) == learnt


def test_dynamic_sampling_keeps_a_mixtures_weights():
    """Of 16 problems a step, half of each source, those of the second alone teach nothing."""
    pools = [[Problem(f"{name}{n}", "?", "1", "exact") for n in range(60)] for name in "ab"]
    batches, spare = (make_batches(pools, [0.5, 0.5], 16, seed) for seed in (0, 1))
    nothing: Any = None

    def teaches(group: ScoredGroup) -> bool:
        return group.rewards[0].total != group.rewards[1].total

    source = BatchSource(batches, spare, 0, 2, nothing, teaches, rounds=1)
    for step in range(20):
        groups = [scored([1, p.id[0] == "b"], name=p.id) for p in source.problems.batch(step)]
        fresh = spare_problems(step, 1, groups, source)
        assert len(fresh) == 8
        present = {g.group.problem.id for g in groups}
        own = {p.id for p in spare.batch(step) if p.id[0] == "b"} - present
        assert own <= {problem.id for problem in fresh}
        assert not {problem.id for problem in fresh} & present
        found = [scored([1, n % 2], name=p.id) for n, p in enumerate(fresh)]
        after = replace_empty(groups, found, source)
        kept = [g for g, new in zip(groups, after, strict=True) if g is new]
        assert len(kept) == 8 + sum(teaches(g) for g in found)


def test_signal_by_hand():
    expected = [True, True, True, False, False, False, False, False, False, True, False, True]
    found = [
        has_signal(group, GRPO(GRPOSettings.model_validate({"kl_weight": 0.0} | changes)), LIMIT)
        for group, changes in SIGNAL_CASES[: len(expected)]
    ]
    assert found == expected


@pytest.mark.parametrize(
    "algorithm",
    [
        ReinforcePP(ReinforcePPSettings(kl_weight=0.0)),
        PPO(PPOSettings(kl_weight=0.0)),
        Prime(PrimeSettings()),
        Distill(DistillSettings()),
    ],
    ids=lambda algorithm: type(algorithm).__name__,
)
def test_an_algorithm_that_compares_over_the_batch_learns_from_every_group(algorithm):
    """A reward of 0 teaches, though its group is all alike: beside the batch's mean, a critic's
    expectation or a teacher's word."""
    groups = [scored([0, 0]), scored([1, 0], invalid={0})]
    result = make_batch(groups, algorithm, LIMIT)
    assert [len(group.responses) for group in result.batch.groups] == [2, 1]
    assert result.stats.zero_variance == 0.0
    assert has_signal(groups[0], algorithm, LIMIT)
