"""Supervised fine-tuning, DPO and reward models over ranks against one process: numbers, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from transformers import AutoModel

from r1.cluster.balance import balanced_rows
from r1.reward_model.model import load_reward_model
from rank_processes import Job, run_jobs
from small_models import save_small_model
from supervised_jobs import STEPS, batch_of, heldout_of, learner_of, named_parameters

KINDS = ("sft", "pairwise", "pointwise")
PLAN = [(2, 0, 2), (1, 2, 3), (3, 3, STEPS)]
"""Ranks, first step and end of each part."""


class Spread(NamedTuple):
    """What the parts of a plan and a bf16 part on two ranks gave, and the last checkpoint."""

    parts: list[dict[str, Any]]
    rough: dict[str, Any]
    checkpoints: list[Path]


def jobs_of(kind: str, model: Path, folder: Path, setup: dict[str, Any]) -> list[Job]:
    saved = [str(folder / f"{kind}-{end}") for _, _, end in PLAN]
    loads = [None, *saved]
    common = {"kind": kind, "model": str(model), "setup": setup}
    plan = [
        Job(
            world,
            "supervised_jobs:train",
            {**common, "first": first, "steps": end, "load": load, "save": save},
        )
        for (world, first, end), load, save in zip(PLAN, loads, saved, strict=False)
    ]
    half = {**setup, "autocast": True, "gradient_checkpointing": True}
    rough = {**common, "setup": half, "first": 0, "steps": 1}
    return [*plan, Job(2, "supervised_jobs:train", rough)]


def run_all(
    kinds: tuple[str, ...], arch: str, folder: Path, setup: dict[str, Any] | None = None
) -> dict[str, Spread]:
    model = save_small_model(folder / "model", arch)
    jobs = [jobs_of(kind, model, folder, setup or {}) for kind in kinds]
    results = iter(run_jobs([job for some in jobs for job in some], folder / "jobs"))
    found = {}
    for kind in kinds:
        parts = [next(results) for _ in PLAN]
        saved = [folder / f"{kind}-{end}" for _, _, end in PLAN]
        found[kind] = Spread(parts, next(results), saved)
    return found


def check_equal(kind: str, found: Spread, model: Path, setup: dict[str, Any] | None = None) -> None:
    """Every step, the held-out measure and the weights are those of one process."""
    learner = learner_of(kind, str(model), setup or {})
    got = [metrics for part in found.parts for metrics in part["metrics"]]
    assert len(got) == STEPS
    packing = {"seconds", "tokens_processed", "num_rows", "padding_share"}
    for step, ours in enumerate(got):
        expected = learner.update(batch_of(kind, step))
        assert ours.keys() == expected.keys()
        assert expected["grad_norm"] > 1e-2
        for name in ours.keys() - packing:
            # DPO's are differences of responses' log-probabilities: some hundred, rounded to 1e-5.
            tolerance = (1e-4 if kind == "dpo" else 1e-5) * max(1.0, abs(expected[name]))
            near = pytest.approx(expected[name], abs=tolerance, nan_ok=True)
            assert ours[name] == near, (step, name)
    for name, tensor in named_parameters(learner).items():
        theirs = found.parts[-1]["weights"][name]
        torch.testing.assert_close(theirs, tensor, atol=1e-5, rtol=0, msg=name)
    ours, expected = found.parts[-1]["measured"], learner.measure(heldout_of(kind))
    if kind == "sft":
        assert ours.num_tokens == expected.num_tokens
        assert ours.total == pytest.approx(expected.total, rel=1e-5)
    elif kind == "dpo":
        torch.testing.assert_close(ours.logprobs, expected.logprobs, atol=1e-4, rtol=1e-5)
        assert ours.kl == pytest.approx(expected.kl, rel=1e-3)
    else:
        flat = [[value for values in scores for value in values] for scores in (ours, expected)]
        assert flat[0] == pytest.approx(flat[1], abs=1e-5)


@pytest.fixture(scope="module")
def spread(tmp_path_factory) -> dict[str, Spread]:
    return run_all(("sft", "pairwise", "dpo"), "qwen2", tmp_path_factory.mktemp("spread"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sft", "pairwise", "dpo"])
def test_2_then_1_then_3_ranks_continue_the_curve_of_one_process(spread, kind) -> None:
    check_equal(kind, spread[kind], spread[kind].checkpoints[0].parent / "model")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sft", "pairwise", "dpo"])
def test_bf16_over_ranks_is_bf16_of_one_process(spread, kind) -> None:
    """With recomputation on the ranks as well; the weights stay fp32."""
    model = spread[kind].checkpoints[0].parent / "model"
    rough = spread[kind].rough
    (ours,), exact = rough["metrics"], spread[kind].parts[0]["metrics"][0]
    expected = learner_of(kind, str(model), {"autocast": True}).update(batch_of(kind, 0))
    assert ours["grad_norm"] != exact["grad_norm"]
    assert ours["loss"] == pytest.approx(expected["loss"], rel=2e-3)
    assert ours["grad_norm"] == pytest.approx(expected["grad_norm"], rel=3e-2)
    assert {tensor.dtype for tensor in rough["weights"].values()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sft", "pairwise", "dpo"])
def test_one_process_carries_on_what_ranks_began(spread, kind) -> None:
    folder = spread[kind].checkpoints[0]
    learner = learner_of(kind, str(folder.parent / "model"), {})
    learner.load(folder)
    for step, expected in enumerate(spread[kind].parts[1]["metrics"], learner.step):
        again = learner.update(batch_of(kind, step))
        assert again["loss"] == pytest.approx(expected["loss"], abs=1e-5)
        assert again["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-4)


@pytest.mark.slow
def test_a_reward_model_s_checkpoint_is_one_that_is_read_as_ever(spread) -> None:
    found = spread["pairwise"]
    again = load_reward_model(found.checkpoints[-1])
    for name, parameter in again.named_parameters():
        assert torch.equal(parameter.data, found.parts[-1]["weights"][name]), name


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["deepseek_v3", "llama"])
def test_every_kind_on_other_architectures(tmp_path, arch) -> None:
    found = run_all(KINDS, arch, tmp_path)
    for kind in KINDS:
        check_equal(kind, found[kind], tmp_path / "model")


def test_rows_are_dealt_once_each_in_as_many_rounds() -> None:
    lengths = [37, 5, 60, 12, 12, 48, 3, 29]

    def pack(budget: int) -> list[list[int]]:
        rows: list[list[int]] = []
        for length in lengths:
            if rows and sum(rows[-1]) + length <= budget:
                rows[-1].append(length)
            else:
                rows.append([length])
        return rows

    for num_ranks in (1, 2, 3, 5):
        dealt = balanced_rows(pack, sum, 1000, num_ranks)
        assert len({len(rows) for rows in dealt}) == 1
        taught = [length for rows in dealt for row in rows if row for length in row]
        assert sorted(taught) == sorted(lengths)
        longest = max(sum(row or ()) for rows in dealt for row in rows)
        assert longest < 1.6 * max(60, sum(lengths) / num_ranks)
    assert balanced_rows(lambda budget: [], sum, 100, 3) == [[], [], []]


ADAPTERS = {"lora": {"rank": 4}, "gradient_checkpointing": True}


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["qwen2", "llama", "deepseek_v3"])
def test_adapters_over_ranks_are_those_of_one_process(tmp_path, arch) -> None:
    """The second part takes up what two ranks wrote, a plain process what three did."""
    kinds = ("sft", "pairwise", "dpo")
    found = run_all(kinds, arch, tmp_path, ADAPTERS)
    for kind in kinds:
        check_equal(kind, found[kind], tmp_path / "model", ADAPTERS)
        one = learner_of(kind, str(tmp_path / "model"), ADAPTERS)
        one.load(found[kind].checkpoints[-1])
        assert one.step == STEPS
        for name, tensor in named_parameters(one).items():
            assert torch.equal(tensor, found[kind].parts[-1]["weights"][name]), name
        plain = AutoModel.from_pretrained(found[kind].checkpoints[-1])
        assert not [name for name, _ in plain.named_parameters() if "lora" in name]
