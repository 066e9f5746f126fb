"""r1 on a pretended GPU: no mixed device, no hidden copy in a layer, memory that grows with tokens.

The numbers come from fake_cuda_facts.py, a process of its own: PyTorch asks for devices once. Ranks
have a process group that sends nothing (`fake_cuda.ranks`); the plan's memory is compared with
PyTorch's memory tracker (bench/fake_memory.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("fake_cuda_facts.py"))],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "skip" in found:
        pytest.skip(f"no GPU can be pretended here: {found['skip']}")
    return found


def test_no_layer_copies_or_waits(facts) -> None:
    """The plan is made in the first layer that asks: twice the layers, the same copies."""
    for name, (two, four) in facts["layers"].items():
        assert two["layers and backward"] == four["layers and backward"], (name, four["where"])
        assert two["around"] == four["around"], (name, four["where"])
        assert two["reads in layers"] == four["reads in layers"] == 0, name


def test_few_index_tensors_are_sent_a_micro_batch(facts) -> None:
    two, _ = facts["layers"]["qwen2 autocast"]
    assert two["layers and backward"] == 5


def test_adapters_checkpointing_and_reward_models_wait_no_more(facts) -> None:
    plain = facts["layers"]["qwen2 autocast"][0]
    for name in ("adapters", "checkpointing", "reward model"):
        assert facts[name]["layers and backward"] == plain["layers and backward"], name
        assert facts[name]["reads in layers"] == 0, name


def test_everything_that_learns_is_on_the_gpu(facts) -> None:
    updates = [one for pair in facts["layers"].values() for one in pair]
    assert all(one["places"] == ["cuda"] for one in [*updates, facts["adapters"]])


def test_a_resume_reads_on_the_cpu_and_leaves_counts_there(facts) -> None:
    assert facts["resume"] == {"asked": ["cpu"], "steps": ["cpu"], "moments": ["cuda"]}


def test_what_autograd_keeps_of_a_token_does_not_grow_with_the_response(facts) -> None:
    kept = [facts["saved bytes"][length] for length in ("512", "4096", "32768")]
    assert max(kept) / min(kept) < 1.001


def test_a_decode_step_waits_once_and_its_layers_never(facts) -> None:
    for engine in facts["engine"]:
        steps = engine["ten decode steps"]
        assert steps["layers and backward"] == 0
        assert steps["around"] == 10 + 3, "which rows ended; once who shares a prompt with whom"
        assert engine["prefill"]["layers and backward"] == 0


def test_no_layer_of_a_rank_copies_or_waits(facts) -> None:
    """Five layers send as much as three: FSDP2 leaves the index tensors of a micro-batch alone."""
    ranks = {name: one["crossed"] for name, one in facts["memory"].items() if "rank" in name}
    for name, crossed in ranks.items():
        assert crossed["reads in layers"] == 0, (name, crossed["where"])
        assert crossed["places"] == ["cuda"], name
    five, three = ranks["a rank of 4"], ranks["a rank of 4, all activations kept"]
    assert five["layers and backward"] == three["layers and backward"] > 0, five["where"]


CASES = (
    "a rank of 4", "a rank of 4, with a reference", "a rank of 4, all activations kept",
    "a rank of 4, activations on the host", "one process",
)  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_plan_is_within_a_tenth_of_the_memory_tracker(facts, name) -> None:
    """The peak, and what stays between updates."""
    found = facts["memory"][name]
    assert set(facts["memory"]) == set(CASES)
    assert abs(found["error"]) < 0.1, found["phases"]
    if "reference" not in name:  # the tracker keeps embeddings there
        assert abs(found["phases"]["resident"]["error"]) < 0.005, found["phases"]


@pytest.mark.slow
def test_32b_at_32768_tokens_fits_64_ranks_as_planned() -> None:
    """The peak is the plan's, and below what the plan takes as usable of 80 GB."""
    bench = Path(__file__).parents[1] / "bench/fake_memory.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(bench), "--json", "--only", "32b-64"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)["32b-64"]
    assert abs(found["error"]) < 0.1, found["phases"]
    crossed = found["crossed"]
    assert crossed["reads in layers"] == 0, crossed["where"]
    assert crossed["layers and backward"] == crossed["of fewer layers"], crossed["where"]
    usable_gb = 0.95 * 80 - 2
    assert found["tracked_peak_gb"] < usable_gb
