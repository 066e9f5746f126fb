"""Families of problems with rewards of their own, and problems that no rule can judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from r1.algorithms.batch import BatchStats
from r1.config import load_recipe
from r1.data.load import load_problems
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.evaluation.run import count_votes
from r1.evaluation.summary import judge, judged_from_rows, summarise
from r1.r1_zero.run import prepare
from r1.r1_zero.settings import R1ZeroRecipe
from r1.reward_model.mixture import MixedRewards
from r1.reward_model.settings import RewardModelUse
from r1.rewards.accuracy import check_reference
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.rewards.unjudged import check_families, check_rules
from r1.rollout.scored import Scores
from r1.run_dir import completion_table
from r1.step_metrics import PhaseTimer, step_metrics
from r1.template import parse
from r1.types import Completion, Outcome, Problem, RolloutGroup, Score
from small_recipe import write_recipe

SUM = Problem("sum", "3 + 4?", "7", "exact", family="sums")
GREETING = Problem("hi", "Hello!", None, "none", family="dialogue")
BARE = Problem("bare", "Hm?", None, "none", family="bare")
TEXTS = ("<think>so</think> <answer>7</answer>", "Hello!")
REWARDS = RewardSettings(
    weights={"accuracy": 1.0, "format": 0.5},
    families={"dialogue": {"format": 2.0, "language": 1.0}, "bare": {}},
)


def group(problem: Problem) -> RolloutGroup:
    return RolloutGroup(problem, (1,), [Completion([1], [0.0], text, "stop") for text in TEXTS])


@pytest.fixture(scope="module")
def scored():
    with RewardPool(REWARDS) as pool:
        found = pool.score_groups([group(BARE), group(SUM), group(GREETING)])
        counts = pool.take_counts()
    assert {name for name, _ in counts.outcomes} == {"accuracy", "format", "language"}
    return found


def test_a_family_is_judged_by_its_own_rewards_alone(scored) -> None:
    bare, sums, greeting = scored
    assert [list(s.rewards[0].parts) for s in scored] == [
        [], ["accuracy", "format"], ["format", "language"],
    ]  # fmt: skip
    assert [reward.total for reward in sums.rewards] == [1.5, 0.0]
    assert [reward.total for reward in greeting.rewards] == [3.0, 0.0]
    assert [(reward.total, reward.valid) for reward in bare.rewards] == [(0.0, True)] * 2


def test_metrics_of_a_part_are_means_over_the_samples_that_have_it(scored) -> None:
    stats = BatchStats(0.0, 0.0, 0.0, 0.0, 0)
    metrics = step_metrics(scored, stats, {}, PhaseTimer())
    assert metrics["reward/accuracy"] == metrics["pass_rate"] == 0.5
    assert metrics["reward/format"] == 0.5
    assert metrics["reward/language"] == 0.5
    assert metrics["language_consistency"] == 1.0  # the other does not think
    assert metrics["reward"] == (1.5 + 3.0) / 6
    assert metrics["outcome/correct"] + metrics["outcome/unparseable"] == 2


def test_the_table_has_nulls_where_a_part_was_not_computed(scored) -> None:
    rows = completion_table(0, scored, parse).to_pylist()
    assert [row["reward/accuracy"] for row in rows] == [None, None, 1.0, 0.0, None, None]
    assert [row["outcome/language"] for row in rows][:4] == [None] * 4
    assert [row["reward/format"] for row in rows] == [None, None, 1.0, 0.0, 1.0, 0.0]


def test_an_evaluation_leaves_out_what_has_no_accuracy(scored) -> None:
    with RewardPool(REWARDS) as pool:
        votes = [count_votes(pool, each, PromptForm()) for each in scored]
    assert votes == [[-1, -1], [0, -1], [-1, -1]]
    judged = [judge(each, vote) for each, vote in zip(scored, votes, strict=True)]
    summary = summarise(judged, step=0, sampling={}, seed=0)
    assert summary["pass_at_1"]["value"] == 0.5
    assert summary["by_family"]["dialogue"]["pass_at_1"]["value"] is None
    assert sum(summary["outcomes"].values()) == 2
    rows = completion_table(0, scored, parse).to_pylist()
    flat = [vote for of_problem in votes for vote in of_problem]
    read = judged_from_rows({**row, "vote": v} for row, v in zip(rows, flat, strict=True))
    assert read == judged


def test_what_does_not_fit_the_problems_is_refused() -> None:
    problems = [SUM, GREETING, BARE]
    judges_all: dict[str, tuple[str, ...]] = {"helpful": ()}
    check_families(REWARDS, problems, judges_all)
    with pytest.raises(UserError, match="bare is empty and no reward model"):
        check_families(REWARDS, problems, {"helpful": ("dialogue",)})
    with pytest.raises(UserError, match=r"families\.bare: no problem has .*: dialogue, sums"):
        check_families(REWARDS, problems[:2])
    with pytest.raises(UserError, match=r"reward_models\.helpful\.families.*mean 'dialogue'"):
        check_families(REWARDS, problems, {"helpful": ("dialog", "bare")})
    for weights in ({"accuracy": 0.0}, {"judge": 1.0}):
        with pytest.raises(UserError, match=r"\[rewards\.families\.dialogue\] format = 1\.0"):
            check_rules(RewardSettings(weights=weights), problems)
    with pytest.raises(UserError, match=r"rewards\.families\.sums: unknown.*mean 'format'"):
        RewardSettings(families={"sums": {"fromat": 1.0}}).validate_names()


def test_rows_may_name_the_verifier_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        {"prompt": "Hello!", "verifier": "none", "family": "dialogue"},
        {"prompt": "3 + 4?", "verifier": "exact", "reference": "7"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = SourceSettings.model_validate({"path": str(path), "verifier": "none"})
    first, second = load_problems(source, tmp_path, check_reference)
    assert (first.verifier, first.reference) == ("none", None)
    assert (second.verifier, second.reference) == ("exact", "7")


def test_a_run_is_refused_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    greetings = '[[data.train]]\nkind = "tiny"\nsplit = "train"\nfamilies = ["dialogue"]\nnum = 9\n'
    path = write_recipe(tmp_path, "qwen2", 1, f"[grpo]\nnum_problems = 2\n{greetings}")
    fitting = "rewards.families.dialogue.format=1.0"
    families = {p.family for p in prepared(path, fitting)}
    assert families == {"default", "dialogue", "arithmetic", "cups"}
    with pytest.raises(UserError, match=r"verifier \"none\".*\[rewards\.families\.dialogue\]"):
        prepared(path)
    with pytest.raises(UserError, match="no problem has the family 'dialog'; did you mean"):
        prepared(path, fitting, "rewards.families.dialog.format=1.0")


def prepared(path: Path, *overrides: str) -> list[Problem]:
    data = prepare(load_recipe(path, R1ZeroRecipe, overrides), path.parent).data
    return [problem for pool in data.pools for problem in pool] + data.heldout


class Taste:
    """A reward model that likes everything, in one family."""

    use = RewardModelUse(path="nowhere", weight=0.25, families=("dialogue",))
    answered = True

    def submit_group(self, group: RolloutGroup) -> Scores:
        return Scores(lambda: [Score(4.0, Outcome.CORRECT)] * len(group.completions), self.ready)

    def ready(self) -> bool:
        return self.answered


def test_a_reward_model_joins_the_familys_own_rewards() -> None:
    with RewardPool(REWARDS) as pool:
        mixed = MixedRewards(pool, {"taste": Taste()})
        sums, greeting = (mixed.submit_group(group(p)).result() for p in (SUM, GREETING))
    assert [reward.total for reward in sums.rewards] == [1.5, 0.0]
    assert [reward.total for reward in greeting.rewards] == [3.0 + 1.0, 1.0]
    assert list(greeting.rewards[0].parts) == ["format", "language", "taste"]


def test_a_group_waits_for_its_reward_models_as_for_its_rules() -> None:
    """So that a group whose server is slow is late, as one whose rules are is."""
    taste = Taste()
    taste.answered = False
    with RewardPool(REWARDS) as pool:
        mixed = MixedRewards(pool, {"taste": taste})
        handles = [mixed.submit_group(group(problem)) for problem in (SUM, GREETING)]
        for handle in handles:
            handle._handle.result()
        assert [handle.done() for handle in handles] == [True, False], "it does not judge sums"
        taste.answered = True
        assert all(handle.done() for handle in handles)
