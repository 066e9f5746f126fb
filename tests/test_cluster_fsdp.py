"""The sharded learner against the one-process learner: numbers, resharding, the files it writes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from transformers import AutoModelForCausalLM

import sharded_jobs
from r1.cluster.balance import balanced
from r1.errors import UserError
from r1.learner.export import save_streamed
from r1.learner.local import LocalLearner
from r1.learner.microbatch import IndexedResponse
from r1.models.load import load_model, load_tokenizer
from r1.types import TrainResponse
from rank_processes import Job, run_jobs
from small_models import make_model, save_small_model

SETUPS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "muon, reference, minibatches, recomputation": {
        "grpo": {"kl_weight": 0.05, "reference_every": 2, "num_minibatches": 2, "num_epochs": 2},
        "optimizer": {"kind": "muon", "schedule": "cosine", "warmup_steps": 2},
        "learner": {"gradient_checkpointing": True},
    },
    "adapters, reference": {
        "grpo": {"kl_weight": 0.05, "reference_every": 2},
        "learner": {"gradient_checkpointing": True, "lora": {"rank": 4}},
    },
}


class Compared(NamedTuple):
    """What 2, then 1, then 3 ranks gave, and what one process gives."""

    parts: list[dict[str, Any]]
    metrics: list[dict[str, float]]
    weights: dict[str, torch.Tensor]
    checkpoint: Path


def compare(folder: Path, setup: dict[str, Any], arch: str) -> Compared:
    model = save_small_model(folder / "model", arch)
    saved = [str(folder / f"after-{step}") for step in (2, 3, 5)]
    plan = [(2, 0, 2, None, saved[0]), (1, 2, 3, saved[0], saved[1]), (3, 3, 5, *saved[1:])]
    jobs = [
        Job(
            world,
            "sharded_jobs:train",
            {
                "model": str(model),
                "setup": setup,
                "first": first,
                "steps": steps,
                "load": load,
                "save": save,
            },
        )
        for world, first, steps, load, save in plan
    ]
    parts = run_jobs(jobs, folder / "jobs")
    alone = LocalLearner(model, *sharded_jobs.settings(setup), total_steps=8)
    metrics = [alone.update(batch) for batch in sharded_jobs.batches(5)]
    return Compared(parts, metrics, dict(alone.weights()), Path(saved[2]))


def check_equal(found: Compared) -> None:
    got = [metrics for part in found.parts for metrics in part["metrics"]]
    assert len(got) == len(found.metrics) == 5
    same = {"tokens_trained", "optimizer_steps", "lr"}
    for ours, alone in zip(got, found.metrics, strict=True):
        assert ours.keys() == alone.keys()
        assert alone["grad_norm"] > 1e-2
        for name in ours.keys() - {"seconds", "tokens_processed"}:
            tolerance = 0.0 if name in same else 1e-5 * max(1.0, abs(alone[name]))
            assert ours[name] == pytest.approx(alone[name], abs=tolerance), name
    for name, tensor in found.parts[-1]["weights"].items():
        torch.testing.assert_close(tensor, found.weights[name], atol=1e-4, rtol=0)


def check_files(found: Compared) -> None:
    plain = AutoModelForCausalLM.from_pretrained(found.checkpoint)
    assert type(plain).__name__.startswith(("Qwen", "Llama", "Deepseek"))
    own = dict(plain.named_parameters())
    assert own.keys() == found.parts[-1]["weights"].keys()
    for name, tensor in found.parts[-1]["weights"].items():
        assert torch.equal(own[name].data, tensor), name
    assert load_tokenizer(found.checkpoint).eos_token_id == 1


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Compared:
    folder = tmp_path_factory.mktemp("compared")
    return compare(folder, SETUPS["muon, reference, minibatches, recomputation"], "qwen2")


@pytest.mark.slow
def test_2_then_1_then_3_ranks_continue_the_curve_of_one_process(compared) -> None:
    check_equal(compared)


@pytest.mark.slow
def test_each_rank_holds_its_part_alone(compared) -> None:
    shares = [part["local_share"] for part in compared.parts]
    assert shares == pytest.approx([1 / 2, 1.0, 1 / 3], abs=0.02)


@pytest.mark.slow
def test_a_checkpoint_is_a_model_that_plain_transformers_loads(compared) -> None:
    check_files(compared)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "setup"),
    [
        ("deepseek_v3", "adamw"),
        ("llama", "muon, reference, minibatches, recomputation"),
        ("qwen3", "adapters, reference"),
        ("deepseek_v3", "adapters, reference"),
    ],
)
def test_every_architecture_and_setup(tmp_path, arch, setup) -> None:
    """Not each with each: what a setup does, it does to any of them."""
    found = compare(tmp_path, SETUPS[setup], arch)
    check_equal(found)
    check_files(found)


@pytest.mark.slow
def test_bf16_stays_close(tmp_path) -> None:
    model = save_small_model(tmp_path / "model")
    arguments = {"model": str(model), "first": 0, "steps": 2}
    exact, rough = run_jobs(
        [
            Job(2, "sharded_jobs:train", {**arguments, "setup": {"learner": {"autocast": on}}})
            for on in (False, True)
        ],
        tmp_path / "jobs",
    )
    for one, other in zip(exact["metrics"], rough["metrics"], strict=True):
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=0.1)
        assert other["grad_norm"] != one["grad_norm"]
    assert {tensor.dtype for tensor in rough["weights"].values()} == {torch.float32}


def responses(lengths: list[int], siblings: int = 3) -> list[IndexedResponse]:
    return [
        IndexedResponse(i, i // siblings, (5, 6, 7), TrainResponse([8] * n, [0.0] * n, [1.0] * n))
        for i, n in enumerate(lengths)
    ]


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8])
def test_shares_cover_every_response_once_in_as_many_rounds(num_ranks) -> None:
    draw = random.Random(num_ranks)
    for _ in range(30):
        items = responses([draw.randrange(1, 60) for _ in range(draw.randrange(1, 40))])
        budget = draw.choice([40, 100, 1000])
        shares = balanced(items, budget, num_ranks)
        assert len({len(share) for share in shares}) == 1
        seen = [index for share in shares for micro in share for index in micro.indices]
        assert sorted(seen) == list(range(len(items)))
        for micro in (micro for share in shares for micro in share if len(micro.indices) > 1):
            assert micro.num_tokens <= budget
    assert balanced([], 100, num_ranks) == [[]] * num_ranks


def test_shares_are_even() -> None:
    """Lengths of a long-tailed batch: no rank gets more than 6 % above the mean of its round."""
    draw = random.Random(0)
    items = responses([min(900, int(draw.lognormvariate(4.5, 0.8)) + 1) for _ in range(512)], 16)
    shares = balanced(items, 4000, 4)
    totals = [sum(micro.num_tokens for micro in share) for share in shares]
    assert max(totals) < 1.06 * sum(totals) / 4
    waiting = sum(max(micro.num_tokens for micro in turn) for turn in zip(*shares, strict=True))
    assert waiting < 1.1 * sum(totals) / 4


def test_few_responses_are_cut_finer_rather_than_left_to_one_rank() -> None:
    shares = balanced(responses([50] * 8, siblings=8), 10_000, 4)
    assert [[micro.num_tokens for micro in share] for share in shares] == [[104]] * 4


@pytest.mark.parametrize("arch", ["qwen2", "deepseek_v3"])
def test_streamed_files_equal_those_of_save_pretrained(tmp_path, arch) -> None:
    """In one file, and in many with an index; stacked experts go back to a weight each."""
    model = make_model(arch)
    model.save_pretrained(tmp_path / "plain")
    parameters = [(name, p.detach()) for name, p in model.named_parameters()]
    save_streamed(model, iter(parameters), tmp_path / "one")
    one = (tmp_path / "one" / "model.safetensors").read_bytes()
    assert one == (tmp_path / "plain" / "model.safetensors").read_bytes()
    save_streamed(model, iter(parameters), tmp_path / "many", max_file_bytes=40_000)
    assert len(list((tmp_path / "many").glob("model-*-of-*.safetensors"))) > 3
    again = dict(load_model(tmp_path / "many").named_parameters())
    assert all(torch.equal(again[name].data, tensor) for name, tensor in parameters)


@pytest.mark.slow
def test_one_process_and_ranks_take_over_from_each_other(compared, tmp_path) -> None:
    """Steps 0 and 1 by two ranks, then one process; and the other way round."""
    setup = SETUPS["muon, reference, minibatches, recomputation"]
    model = compared.checkpoint.parent / "model"
    after_ranks = LocalLearner(model, *sharded_jobs.settings(setup), total_steps=8)
    after_ranks.load(compared.checkpoint.parent / "after-2")
    alone = LocalLearner(model, *sharded_jobs.settings(setup), total_steps=8)
    for batch in sharded_jobs.batches(2):
        alone.update(batch)
    alone.tokenizer = load_tokenizer(model)
    alone.save(tmp_path / "alone")
    arguments = {"model": str(model), "setup": setup, "first": 2, "steps": 4}
    (ranks,) = run_jobs(
        [Job(2, "sharded_jobs:train", {**arguments, "load": str(tmp_path / "alone")})],
        tmp_path / "jobs",
    )
    for step, batch in enumerate(sharded_jobs.batches(4)[2:], 2):
        expected = compared.metrics[step]["loss"]
        assert after_ranks.update(batch)["loss"] == pytest.approx(expected, abs=1e-5)
        assert ranks["metrics"][step - 2]["loss"] == pytest.approx(expected, abs=1e-5)


def test_a_checkpoint_of_other_settings_or_none_is_refused(compared) -> None:
    folder = compared.checkpoint
    learner = LocalLearner(folder, *sharded_jobs.settings({}), total_steps=8)
    with pytest.raises(UserError, match="with other settings or another model"):
        learner.load(folder)
    (folder / "state" / ".metadata").write_bytes(b"torn")
    with pytest.raises(UserError, match="damaged"):
        learner.load(folder)


@pytest.mark.slow
def test_only_rank_0_ever_holds_the_whole_model(tmp_path) -> None:
    """A model of 189 MB over 4 ranks: the others have a quarter, and a layer or the embeddings."""
    size = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12}
    model = save_small_model(tmp_path / "large", **size)
    weights = sum(4 * p.numel() for p in load_model(model).parameters())
    warm_up = save_small_model(tmp_path / "small")
    arguments = {"model": str(model), "warm_up": str(warm_up), "folder": str(tmp_path / "saved")}
    (found,) = run_jobs([Job(4, "sharded_jobs:peaks", arguments)], tmp_path / "jobs")
    assert found[0]["made"] > 0.9 * weights
    for other in found[1:]:
        assert 0.2 * weights < other["made"] < 0.6 * weights
        assert other["carried on"] < 0.7 * weights
