"""RL on edits of repositories: the reward of the repository's tests rises, late verdicts and all.

The tiny base writes no edits, so the policy here is a small random model whose vocabulary holds
whole edits: a token a response. Everything else is the line as it is: engine, sandbox, workers,
late verdicts, GRPO, learner.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from r1.agents.swe import problems
from r1.algorithms.rloo import RLOO, RLOOSettings, leave_one_out
from r1.learner.objective import PolicyTokens, Totals
from r1.pipeline.recipe import load_any_recipe
from r1.r1_zero.run import run_r1_zero
from r1.sampling.late import LateSampler
from r1.types import ScoredGroup
from small_models import EOS, PAD, make_model
from swe_world import BUGS, edit, make_set
from test_tiny_world import Silent

CLAMP = BUGS[0]
RESPONSES = [
    edit(CLAMP, CLAMP.right),
    edit(CLAMP, "0"),
    edit(CLAMP, "low + 1"),
    edit(CLAMP, CLAMP.right).replace("max(low", "max(lo"),
    edit(CLAMP, CLAMP.right).replace("=======\n", ""),
    "It works as it should.",
]
"""A right edit, two wrong ones, one that does not match, one that is malformed, and prose."""
RECIPE = """
model = "model"
num_steps = {steps}
[[data.train]]
path = "train.jsonl"
verifier = "repository"
[template]
kind = "plain"
[grpo]
num_problems = 1
group_size = 8
kl_weight = 0.0
importance_cap = {cap}
[sampling]
max_new_tokens = 1
[optimizer]
kind = "adamw"
lr = 0.01
[rewards]
plugins = ["r1.agents.swe.verifier"]
weights = {{ accuracy = 1.0 }}
num_workers = 2
{late}
"""


def save_policy_of_edits(folder: Path) -> None:
    """A random model whose vocabulary is the responses."""
    words = [PAD, EOS, "<unk>", *RESPONSES]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
    wrapped.save_pretrained(folder)
    make_model("qwen2", len(words), scale=1.0).save_pretrained(folder)


class Learnt(NamedTuple):
    """A run's metrics and timings a step, and its samples."""

    metrics: list[dict]
    timings: list[dict]
    rows: list[dict]

    @property
    def rates(self) -> list[float]:
        """The share of right responses among those that have a verdict, a step with any."""
        steps: dict[int, list[bool]] = {}
        for row in self.rows:
            if row["valid"]:
                steps.setdefault(row["step"], []).append(row["outcome/accuracy"] == "correct")
        return [float(np.mean(steps[step])) for step in sorted(steps)]


def learn(folder: Path, steps: int, cap: float = 0.0, late: str = "") -> Learnt:
    make_set(folder, [CLAMP])
    problems.main([str(folder / "toy_verified.jsonl"), str(folder / "train.jsonl")])
    save_policy_of_edits(folder / "model")
    (folder / "recipe.toml").write_text(RECIPE.format(steps=steps, cap=cap, late=late))
    recipe = load_any_recipe(folder / "recipe.toml", [])
    out = run_r1_zero(recipe, folder, folder / "run", Silent())
    metrics, timings = (
        [json.loads(line) for line in (out / f"{name}.jsonl").read_text().splitlines()]
        for name in ("metrics", "timings")
    )
    tables = [pq.read_table(path) for path in sorted(out.glob("rollouts/*"))]
    return Learnt(metrics, timings, [row for table in tables for row in table.to_pylist()])


@pytest.mark.slow
def test_edits_that_pass_the_repositorys_tests_become_likely(tmp_path) -> None:
    found = learn(tmp_path, steps=10)
    print("right:", found.rates)
    assert np.mean(found.rates[:3]) < 0.3
    assert np.mean(found.rates[-3:]) > 0.5
    assert {row["outcome/accuracy"] for row in found.rows} == {"correct", "wrong", "unparseable"}


@pytest.fixture
def one_batch_late(monkeypatch) -> None:
    """Verdicts that no batch waits for are there at the next one, on any machine."""
    take = LateSampler.take

    def patient(self: LateSampler, step: int) -> list[ScoredGroup]:
        for owed in list(self.late._owed):
            owed.handle.result()
        return take(self, step)

    monkeypatch.setattr(LateSampler, "take", patient)


@pytest.mark.slow
def test_late_verdicts_teach_the_same(tmp_path, one_batch_late) -> None:
    found = learn(tmp_path, steps=12, cap=2.0, late="late_s = 0.01")
    total = late_groups(found)
    print("right:", found.rates, total)
    assert total["groups"] >= 10  # one whose verdicts need no tests may be in time
    assert total["pooled"] >= total["groups"] - 1  # all but the last
    assert np.mean(found.rates[:3]) < 0.2
    assert np.mean(found.rates[-3:]) > 0.35


@pytest.mark.slow
def test_without_importance_weights_late_verdicts_teach_nothing(tmp_path, one_batch_late) -> None:
    found = learn(tmp_path, steps=3, late="late_s = 0.01")
    total = late_groups(found)
    assert total["groups"] >= 2  # one whose verdicts need no tests may be in time
    assert total["pooled"] == 0
    assert not any(row.get("grad_norm") for row in found.metrics)
    assert {row["outcome/accuracy"] for row in found.rows} - {"unparseable"} == {"timed-out"}


def late_groups(found: Learnt) -> dict[str, float]:
    names = ("groups", "pooled", "void")
    return {name: sum(row[f"pool/late_{name}"] for row in found.timings) for name in names}


REWARDS = torch.tensor([1.0, 0.0, 0.3], dtype=torch.float64)
"""Of three templates."""


def mean_gradient(now: torch.Tensor, then: torch.Tensor, valid: bool = True) -> torch.Tensor:
    """The gradient of RLOO's loss on a pair of samples of an older policy, averaged over all pairs.

    now, then: logits of the three templates.
    """
    algorithm = RLOO(RLOOSettings(kl_weight=0.0, importance_cap=1e9))
    new, old = now.log_softmax(0), then.log_softmax(0)
    total = torch.zeros(())
    for pair in itertools.product(range(3), repeat=2):
        drawn = torch.tensor(pair)
        found = leave_one_out(REWARDS[drawn].tolist(), [valid] * 2)
        tokens = PolicyTokens(
            logprobs_M=new[drawn],
            old_logprobs_M=new[drawn].detach(),
            engine_logprobs_M=old[drawn],
            reference_logprobs_M=None,
            entropy_M=torch.zeros(2),
            response_M=torch.arange(2),
            advantages_M=torch.tensor(found, dtype=torch.float64),
            weights_R=torch.ones(2, dtype=torch.float64),
            lengths_R=torch.ones(2),
        )
        chance = old[drawn].sum().exp()
        total = total + chance * algorithm.loss(tokens, Totals(2, 2)).loss
    (gradient,) = torch.autograd.grad(total, now)
    return gradient


def test_a_late_group_gives_the_gradient_of_the_policy_that_learns_from_it() -> None:
    """Exactly, over all pairs that the older policy may have drawn; void it gives none."""
    now = torch.tensor([0.2, -0.4, 0.9], dtype=torch.float64, requires_grad=True)
    (wanted,) = torch.autograd.grad(-(now.softmax(0) * REWARDS).sum(), now)
    for then in ([0.2, -0.4, 0.9], [1.5, 0.0, -1.0], [-2.0, 0.3, 0.3]):
        late = mean_gradient(now, torch.tensor(then, dtype=torch.float64))
        torch.testing.assert_close(late, wanted, atol=1e-12, rtol=1e-12)
    void = mean_gradient(now, now.detach(), valid=False)
    assert not void.any()
