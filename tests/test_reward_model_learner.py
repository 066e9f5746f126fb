"""The update: the losses, exact accumulation, pairs that stay together, exact resume."""

from __future__ import annotations

import hashlib
import math

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.reward_model.learner import RewardLearner
from r1.reward_model.loss import binary_cross_entropy, bradley_terry
from reward_model_data import random_labels, random_pairs
from small_models import SMOOTH_EPSILON, save_small_model

PAIRS = [(5, 9, 30), (12, 3, 3), (1, 20, 1), (7, 2, 14), (3, 40, 5)]
LABELS = [(5, 9), (5, 30), (12, 3), (12, 3), (1, 20), (1, 1), (7, 14)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_small_model(tmp_path_factory.mktemp("model") / "qwen2")


def learner(folder, epsilon: float = 1e-8, **settings) -> RewardLearner:
    return RewardLearner(
        folder,
        LearnerSettings(device="cpu", **settings),
        OptimizerSettings(lr=1e-3, epsilon=epsilon),
        total_steps=4,
        seed=3,
    )


def weights(found: RewardLearner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for _, p in found.model.named_parameters()])


def test_the_losses_against_their_formulas() -> None:
    chosen, rejected = torch.tensor([1.5, -2.0, 40.0]), torch.tensor([0.5, 3.0, -60.0])
    margin = torch.tensor([0.0, 1.0, 0.5])
    expected = [
        math.log1p(math.exp(-(c - r - m)))
        for c, r, m in zip(chosen.tolist(), rejected.tolist(), margin.tolist(), strict=True)
    ]
    assert bradley_terry(chosen, rejected, margin).tolist() == pytest.approx(expected, rel=1e-5)
    score, label = torch.tensor([2.0, -1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0])
    expected = [math.log1p(math.exp(-2)), math.log1p(math.exp(1)), math.log(2)]
    assert binary_cross_entropy(score, label).tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.isfinite(bradley_terry(-chosen * 1e4, chosen * 1e4, margin)).all()


@pytest.mark.parametrize("objective", ["pairwise", "pointwise"])
def test_any_budget_gives_the_gradient_of_one_big_batch(folder, objective, tmp_path) -> None:
    """Against transformers' own classifier, one text at a time, in one graph."""
    examples = random_pairs(PAIRS) if objective == "pairwise" else random_labels(LABELS)
    first = learner(folder)
    before = weights(first).clone()
    first.save(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
    losses = []
    for example in examples:
        scores = []
        for ids in example.responses:
            row = torch.tensor([[*example.prompt_ids, *ids]])
            scores.append(plain(input_ids=row).logits[0, 0].double())
        if objective == "pairwise":
            losses.append(-torch.nn.functional.logsigmoid(scores[0] - scores[1] - example.target))
        else:
            target = torch.tensor(example.target).double()
            losses.append(torch.nn.functional.binary_cross_entropy_with_logits(scores[0], target))
    mean = torch.stack(losses).mean()
    mean.backward()
    norm = torch.cat([p.grad.flatten() for p in plain.parameters() if p.grad is not None]).norm()
    results = []
    for budget in (10_000, 60, 1):
        found = learner(folder, SMOOTH_EPSILON, tokens_per_microbatch=budget)
        metrics = found.update(examples)
        assert metrics["loss"] == pytest.approx(mean.item(), abs=1e-4)
        assert metrics["grad_norm"] == pytest.approx(norm.item(), rel=1e-3)
        results.append((weights(found) - before) / 1e-3)
        rows = metrics["num_rows"]
    # The smallest budget: labels a row each; a pair is never cut, so its size is the least room.
    assert rows == {"pairwise": 4, "pointwise": 7}[objective]
    assert results[0].abs().max() > 0.1
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], atol=1e-3, rtol=0)


def test_a_pair_shares_its_prompt_and_labels_of_one_prompt_do(folder) -> None:
    pairs = random_pairs([(50, 4, 6), (20, 3, 3)])
    assert learner(folder).update(pairs)["tokens_processed"] == 50 + 4 + 6 + 20 + 3 + 3
    labels = random_labels([(50, 4), (50, 6), (20, 3)])
    assert learner(folder).update(labels)["tokens_processed"] == 50 + 4 + 6 + 20 + 3


def test_the_figures_of_a_batch(folder) -> None:
    examples = random_pairs(PAIRS)
    found = learner(folder)
    scores = found.measure(examples)
    metrics = found.update(examples)
    right = sum(chosen > rejected for chosen, rejected in scores) / len(scores)
    gaps = [chosen - rejected for chosen, rejected in scores]
    assert metrics["accuracy"] == pytest.approx(right)
    assert metrics["score_gap"] == pytest.approx(sum(gaps) / len(gaps), rel=1e-4)
    assert metrics["lr"] == 1e-3


@pytest.mark.parametrize("architecture", ["qwen2", "llama", "deepseek_v3"])
def test_it_learns_and_goes_on_exactly_where_it_was_saved(architecture, tmp_path) -> None:
    folder = save_small_model(tmp_path / "model", architecture)
    examples = random_pairs(PAIRS)
    straight = learner(folder)
    losses = [straight.update(examples)["loss"] for _ in range(4)]
    assert losses[-1] < 0.5 * losses[0]
    before = learner(folder)
    for _ in range(2):
        before.update(examples)
    before.save(tmp_path / "saved")
    after = learner(folder)
    after.load(tmp_path / "saved")
    for _ in range(2):
        after.update(examples)
    assert torch.equal(weights(after), weights(straight))
    for number, found in enumerate((after, straight)):
        found.save(tmp_path / str(number))
    hashes = [
        [hashlib.sha256((tmp_path / n / name).read_bytes()).hexdigest()
         for name in ("model.safetensors", "learner.pt")]
        for n in "01"
    ]  # fmt: skip
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    "settings",
    [{"gradient_checkpointing": True}, {"autocast": True}, {"dtype": "bfloat16"}],
    ids=lambda settings: next(iter(settings)),
)
def test_precision_and_recomputation(folder, settings) -> None:
    examples = random_pairs(PAIRS)
    plain, other = learner(folder).update(examples), learner(folder, **settings).update(examples)
    exact = "gradient_checkpointing" in settings
    assert other["loss"] == pytest.approx(plain["loss"], rel=1e-5 if exact else 0.3)
    assert (other["grad_norm"] == pytest.approx(plain["grad_norm"], rel=1e-5)) or not exact
