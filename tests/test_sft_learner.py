"""The numbers: packed or alone, in one row or in many, ours or transformers' own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from r1.learner.local import LocalLearner
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.sft.batch import pack_examples
from r1.sft.examples import Examples
from r1.sft.learner import SFTLearner, TokenMeanObjective
from r1.types import TrainBatch, TrainGroup, TrainResponse
from sft_data import write_model
from small_models import ARCHITECTURES, SMOOTH_EPSILON

VOCABULARY = 258


def make_examples(lengths: list[int], seed: int = 0, turns: int = 1) -> Examples:
    """Random tokens; the latter half of each of `turns` equal parts is learnt."""
    rng = np.random.default_rng(seed)
    masks = []
    for length in lengths:
        part = np.arange(length) % -(-length // turns)
        masks.append(part * 2 >= length // turns)
        masks[-1][0], masks[-1][-1] = False, True
    return Examples(
        rng.integers(2, VOCABULARY, sum(lengths)).astype(np.uint32),
        np.concatenate(masks),
        np.cumsum([0, *lengths]),
        {"truncated": 0, "dropped": 0, "open": 0},
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder per architecture, written when asked for."""
    root = tmp_path_factory.mktemp("models")

    def folder(architecture: str) -> Path:
        path = root / architecture
        return path if path.exists() else write_model(path, architecture)

    return folder


def learner(model: Path, lr: float = 1e-2, **settings) -> SFTLearner:
    optimizer = settings.pop("optimizer", OptimizerSettings(lr=lr, schedule="cosine"))
    return SFTLearner(
        model, LearnerSettings(device="cpu", **settings), optimizer, total_steps=4, seed=1
    )


def plain_losses(model, examples: Examples) -> torch.Tensor:
    """Negative log-likelihood of every learnt token, one example at a time, by transformers."""
    losses = []
    for index in range(len(examples)):
        ids = torch.from_numpy(examples.token_ids(index).astype(np.int64))[None]
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1].double()
        nll = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
        losses.append(nll[torch.from_numpy(examples.learnt(index)[1:].copy())])
    return torch.cat(losses)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_packed_or_alone_the_loss_is_the_same(models, architecture) -> None:
    examples = make_examples([9, 40, 23, 2, 40, 17], turns=2)
    sft = learner(models(architecture))
    with torch.no_grad():
        row = pack_examples(examples, range(6))
        packed_M = sft.local.logprobs(sft.local.model, row).logprobs_N
        alone = [
            sft.local.logprobs(sft.local.model, pack_examples(examples, [index])).logprobs_N
            for index in range(6)
        ]
        reference = plain_losses(
            AutoModelForCausalLM.from_pretrained(models(architecture)), examples
        )
    assert row.input_ids_1N.shape[1] == sum([9, 40, 23, 2, 40, 17]) - 6
    torch.testing.assert_close(packed_M, torch.cat(alone), atol=1e-5, rtol=0)
    torch.testing.assert_close(-packed_M.double(), reference, atol=1e-4, rtol=0)
    assert row.response_M.tolist() == sorted(row.response_M.tolist())


def test_a_neighbour_changes_nothing(models) -> None:
    """The same example beside other neighbours; with attention across them it would differ."""
    first, second = make_examples([30, 12], seed=1), make_examples([30, 12], seed=2)
    mixed = Examples(
        np.concatenate([first.token_ids(0), second.token_ids(1)]),
        first.learnt_T,
        first.starts,
    )
    sft = learner(models("llama"))
    with torch.no_grad():
        results = [
            sft.local.logprobs(sft.local.model, pack_examples(e, [0, 1])).logprobs_N
            for e in (first, mixed)
        ]
    count = first.part([0]).num_learnt
    torch.testing.assert_close(results[0][:count], results[1][:count], atol=1e-4, rtol=0)
    assert (results[0][count:] - results[1][count:]).abs().max() > 0.1


def flat_weights(sft: SFTLearner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in sft.local.model.parameters()])


def gradient(sft: SFTLearner) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in sft.local.model.parameters()])


@pytest.mark.parametrize("architecture", ["qwen2", "deepseek_v3"])
def test_micro_batches_add_up_to_one_big_batch(models, architecture) -> None:
    """Examples with very different numbers of learnt tokens: a mean of means would be off."""
    examples = make_examples([5, 60, 9, 33, 14, 50], seed=3)
    found = []
    for rows in ([[0, 1, 2, 3, 4, 5]], [[1], [5, 0], [3, 4, 2]], [[n] for n in range(6)]):
        sft = learner(models(architecture))
        loss, _ = sft._accumulate(examples, rows, examples.num_learnt)
        found.append((loss, gradient(sft)))
    model = AutoModelForCausalLM.from_pretrained(models(architecture))
    reference = plain_losses(model, examples).mean()
    reference.backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters()])
    for loss, grad in found:
        assert loss == pytest.approx(reference.item(), abs=1e-5)
        scale = expected.abs().max()
        torch.testing.assert_close(grad / scale, expected / scale, atol=2e-5, rtol=0)


def test_any_memory_budget_takes_the_same_steps(models) -> None:
    examples = make_examples([5, 60, 9, 33, 14, 50], seed=3)
    weights = []
    for budget in (1000, 64, 1):
        smooth = OptimizerSettings(lr=1e-3, epsilon=SMOOTH_EPSILON)
        sft = learner(models("qwen2"), optimizer=smooth, tokens_per_microbatch=budget)
        before = flat_weights(sft).clone()
        metrics = [sft.update(examples) for _ in range(2)]
        weights.append((flat_weights(sft) - before) / 1e-3)
    assert metrics[0]["num_rows"] == 6
    assert weights[0].abs().max() > 0.1
    for other in weights[1:]:
        torch.testing.assert_close(other, weights[0], atol=1e-3, rtol=0)


def test_the_objective_of_the_other_learner_is_the_same_loss(models) -> None:
    """Prompts and responses through LocalLearner's tree of attention: another path, one loss."""
    examples = make_examples([20, 31], seed=4)
    groups = []
    for index in range(2):
        ids = examples.token_ids(index).tolist()
        first = int(np.flatnonzero(examples.learnt(index))[0])
        response = TrainResponse(ids[first:], [0.0] * len(ids[first:]), [])
        groups.append(TrainGroup(tuple(ids[:first]), [response]))
    num_tokens = examples.num_learnt
    sgd = OptimizerSettings(lr=1e-3)
    other = LocalLearner(
        models("qwen2"), LearnerSettings(device="cpu"), sgd, TokenMeanObjective(), total_steps=4
    )
    theirs = other.update(TrainBatch(groups, 2, num_tokens))
    ours = learner(models("qwen2"), optimizer=sgd).update(examples)
    assert theirs["loss"] == pytest.approx(ours["loss"], abs=1e-5)
    assert theirs["grad_norm"] == pytest.approx(ours["grad_norm"], rel=1e-4)


VARIANTS = {
    "adamw": {},
    "muon": {"optimizer": OptimizerSettings(kind="muon", lr=1e-3, muon_lr=1e-2)},
    "lora": {"lora": LoraSettings(rank=4)},
    "checkpointing": {"gradient_checkpointing": True},
    "autocast": {"autocast": True},
    "bfloat16": {"dtype": "bfloat16"},
}


@pytest.mark.parametrize(
    ("architecture", "variant"),
    [*[(architecture, "adamw") for architecture in ARCHITECTURES],
     *[("qwen2", variant) for variant in list(VARIANTS)[1:]],
     ("deepseek_v3", "lora"), ("deepseek_v3", "checkpointing")],
)  # fmt: skip
def test_two_steps_and_reload_in_plain_transformers(
    models, architecture, variant, tmp_path
) -> None:
    """The saved model, read by transformers alone, has the loss the learner measures on itself."""
    examples = make_examples([12, 40, 25], seed=5)
    sft = learner(models(architecture), lr=3e-3, **VARIANTS[variant])
    first = sft.update(examples)
    second = sft.update(examples)
    third = sft.measure(examples)
    sft.save(tmp_path / "saved")
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32)
    with torch.no_grad():
        mean = plain_losses(reloaded, examples).mean().item()
    tolerance = 0.1 if variant in ("autocast", "bfloat16") else 2e-3
    assert mean == pytest.approx(third.mean, abs=tolerance)
    assert third.mean < second["loss"] < first["loss"]
    assert third.num_tokens == examples.num_learnt
    assert not list((tmp_path / "saved").glob("adapter*"))


def test_recomputation_changes_no_number(models) -> None:
    examples = make_examples([12, 40, 25], seed=5)
    found = [
        learner(models("llama"), gradient_checkpointing=on).update(examples) for on in (False, True)
    ]
    assert found[0]["loss"] == found[1]["loss"]
    assert found[0]["grad_norm"] == pytest.approx(found[1]["grad_norm"], rel=1e-6)


def test_the_schedule_is_the_paper_s(models) -> None:
    """Cosine from lr to a tenth: at the last of 4 steps a tenth is reached."""
    examples = make_examples([12, 9])
    schedule = OptimizerSettings(lr=5e-5, schedule="cosine", final_fraction=0.1)
    sft = learner(models("qwen2"), optimizer=schedule)
    rates = [sft.update(examples)["lr"] for _ in range(4)]
    assert rates == pytest.approx([5e-5, 3.875e-5, 1.625e-5, 5e-6])


def test_metrics_count_what_they_say(models) -> None:
    examples = make_examples([10, 30, 20], seed=6)
    metrics = learner(models("qwen2"), tokens_per_microbatch=40).update(examples)
    assert metrics["tokens_processed"] == 60
    assert metrics["tokens_learnt"] == examples.num_learnt < 60
    assert (metrics["num_examples"], metrics["num_rows"]) == (3, 2)
    assert metrics["padding_share"] == pytest.approx(1 - 60 / 80)
