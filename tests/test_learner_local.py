"""The one-process learner: accumulation, resume, every architecture, LoRA, reference."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM

from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.errors import UserError
from r1.learner.local import LocalLearner
from r1.learner.lora import seed_dropout
from r1.learner.metrics import UpdateMetrics
from r1.learner.microbatch import split_minibatches
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.models.load import load_model, load_tokenizer
from r1.rollout.text import end_token_ids
from small_models import ARCHITECTURES, SMOOTH_EPSILON, make_model, make_tokenizer, save_small_model
from train_batches import make_batch_of, make_groups


def make_learner(folder, grpo=None, lora=None, seed=0, **changes):
    optimizer = {"lr": 3e-3, **changes.pop("optimizer", {})}
    return LocalLearner(
        folder,
        LearnerSettings(device="cpu", lora=lora, **changes),
        OptimizerSettings(**optimizer),
        GRPO(GRPOSettings(**(grpo or {"kl_weight": 0.0}))),
        total_steps=8,
        seed=seed,
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {arch: save_small_model(root / arch, arch) for arch in ARCHITECTURES}


def tensors(learner):
    return {name: tensor.clone() for name, tensor in learner.weights()}


def assert_equal(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


def without_time(metrics):
    return {name: value for name, value in metrics.items() if name != "seconds"}


def gradient_of(learner, batch):
    (mini,) = split_minibatches(batch, 1, 0)
    learner.accumulate(mini, learner._prepare(batch), UpdateMetrics(learner.device))
    return torch.cat([p.grad.flatten() for p in learner.model.parameters()])


@pytest.mark.parametrize("aggregate", ["sequence", "token", "constant"])
def test_any_micro_batching_gives_the_gradient_of_one_big_batch(folders, aggregate):
    batch = make_batch_of(make_groups(), skipped=5, skipped_tokens=80)
    grpo = {"kl_weight": 0.01, "aggregate": aggregate}
    if aggregate == "constant":
        grpo["aggregate_constant"] = 60
    whole, *others = (
        gradient_of(make_learner(folders["qwen2"], grpo, tokens_per_microbatch=budget), batch)
        for budget in (100_000, 150, 40)
    )
    assert whole.abs().max() > 1e-3
    for other in others:
        assert (other - whole).abs().max() / max(1.0, whole.abs().max()) < 1e-6


def test_skipped_groups_change_no_gradient(folders):
    """A group of zero advantages, computed or left out, with the same denominators."""
    groups = make_groups()
    idle = [replace(r, advantages=[0.0] * len(r.token_ids)) for r in groups[2].responses]
    whole = make_batch_of([*groups[:2], replace(groups[2], responses=idle)])
    short = make_batch_of(groups[:2], len(idle), sum(len(r.token_ids) for r in idle))
    left, right = (gradient_of(make_learner(folders["qwen2"]), batch) for batch in (whole, short))
    assert left.abs().max() > 1e-3
    torch.testing.assert_close(left, right, atol=1e-6, rtol=0)


SETUPS = {
    "adamw": {},
    "muon, reference, minibatches": {
        "grpo": {"kl_weight": 0.05, "reference_every": 2, "num_minibatches": 2, "num_epochs": 2},
        "optimizer": {"kind": "muon", "schedule": "cosine", "warmup_steps": 2},
    },
    "lora": {
        "grpo": {"kl_weight": 0.05, "reference_every": 2, "num_minibatches": 2},
        "lora": LoraSettings(rank=4, dropout=0.1),
    },
}


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_saved_and_loaded_equals_uninterrupted(folders, tmp_path, setup):
    batches = [make_batch_of(make_groups(seed)) for seed in range(4)]
    straight = make_learner(folders["qwen2"], **setup)
    expected = [straight.update(batch) for batch in batches]
    first = make_learner(folders["qwen2"], **setup)
    for batch in batches[:2]:
        first.update(batch)
    first.save(tmp_path)
    torch.manual_seed(1234)
    second = make_learner(folders["qwen2"], **setup)
    second.load(tmp_path)
    got = [second.update(batch) for batch in batches[2:]]
    assert [without_time(m) for m in got] == [without_time(m) for m in expected[2:]]
    assert_equal(tensors(second), tensors(straight))


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)], ids=["full", "lora"])
def test_a_checkpoint_keeps_the_end_tokens_of_the_generation_config(folders, tmp_path, lora):
    shutil.copytree(folders["qwen2"], tmp_path / "base")
    settings = json.dumps({"eos_token_id": [1, 7]})  # the config names one alone
    (tmp_path / "base" / "generation_config.json").write_text(settings)
    make_learner(tmp_path / "base", lora=lora).save(tmp_path / "saved")
    tokenizer = load_tokenizer(tmp_path / "base")
    for name in ("base", "saved"):
        assert 7 in end_token_ids(load_model(tmp_path / name), tokenizer), name


def test_dropout_has_a_seed_on_every_rank_and_for_any_seed():
    settings = LoraSettings(rank=4, dropout=0.1)
    drawn = set()
    for index in (0, 1, 2, 63, 4095):
        for seed in (0, 20_000_000_000 * 1_000_003, 2**63 + 7):
            seed_dropout(settings, SimpleNamespace(index=index), seed)
            drawn.add(float(torch.rand(())))
    assert len(drawn) == 15


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)], ids=["full", "lora"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_architecture_learns_saves_and_loads_in_plain_transformers(
    folders, tmp_path, arch, lora
):
    """A positive advantage makes a response likelier; transformers then agrees on the result."""
    groups = make_groups()
    for group in groups:
        for response in group.responses:
            response.advantages = [1.0] * len(response.token_ids)
    learner = make_learner(
        folders[arch], lora=lora, optimizer={"lr": 1e-3 if lora is None else 1e-2}
    )
    before = learner.update(make_batch_of(groups))
    for _ in range(4):
        after = learner.update(make_batch_of(groups))
    assert before["ratio"] == after["ratio"] == pytest.approx(1.0)
    assert 0 < after["entropy"] < math.log(258)
    learner.save(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    original = AutoModelForCausalLM.from_pretrained(folders[arch])
    response = groups[2].responses[3]
    ids = torch.tensor([[*groups[2].prompt_ids, *response.token_ids]])
    width = len(groups[2].prompt_ids)

    def total(model):
        with torch.no_grad():
            logprobs = torch.log_softmax(model(ids).logits[0, width - 1 : -1], -1)
        return logprobs.gather(1, ids[0, width:, None]).sum().item()

    assert total(plain) > total(original) + 1.0
    for name, tensor in learner.weights():
        torch.testing.assert_close(
            dict(plain.named_parameters())[name].data, tensor, atol=1e-6, rtol=0
        )


def test_on_policy_the_ratio_is_one_and_later_minibatches_move_away(folders):
    batch = make_batch_of(make_groups())
    once = make_learner(folders["qwen2"]).update(batch)
    assert once["ratio"] == 1.0
    assert once["optimizer_steps"] == 1
    grpo = {"kl_weight": 0.0, "num_minibatches": 3, "num_epochs": 2}
    several = make_learner(folders["qwen2"], grpo).update(batch)
    assert several["optimizer_steps"] == 6
    assert abs(several["ratio"] - 1.0) > 1e-4
    assert several["clip_low"] + several["clip_high"] > 0


def test_metrics_by_value(folders):
    groups = make_groups()
    batch = make_batch_of(groups)
    learner = make_learner(folders["qwen2"], {"kl_weight": 0.1})
    metrics = learner.update(batch)
    assert metrics["kl"] == 0.0, "the reference is the policy at first"
    assert metrics["tokens_trained"] == batch.num_tokens
    expected = [-r.advantages[0] / batch.num_responses for g in groups for r in g.responses]
    assert metrics["loss"] == pytest.approx(sum(expected), abs=1e-6)
    model = AutoModelForCausalLM.from_pretrained(folders["qwen2"])
    gaps, entropies = [], []
    for group in groups:
        for r in group.responses:
            ids = torch.tensor([[*group.prompt_ids, *r.token_ids]])
            width = len(group.prompt_ids)
            with torch.no_grad():
                logprobs = torch.log_softmax(model(ids).logits[0, width - 1 : -1], -1)
            chosen = logprobs.gather(1, ids[0, width:, None])[:, 0]
            gaps.append((chosen - torch.tensor(r.engine_logprobs)).abs())
            entropies.append(-(logprobs.exp() * logprobs).sum(-1))
    assert metrics["engine_gap"] == pytest.approx(torch.cat(gaps).mean().item(), abs=1e-5)
    assert metrics["engine_gap_max"] == pytest.approx(torch.cat(gaps).max().item(), abs=1e-5)
    assert metrics["entropy"] == pytest.approx(torch.cat(entropies).mean().item(), abs=1e-5)


def test_the_reference_is_replaced_every_n_updates(folders):
    learner = make_learner(folders["qwen2"], {"kl_weight": 0.01, "reference_every": 2})
    batch = make_batch_of(make_groups())
    kls = [learner.update(batch)["kl"] for _ in range(4)]
    assert kls[0] == kls[2] == 0.0
    assert min(kls[1], kls[3]) > 1e-4


def test_kl_holds_the_policy_back(folders):
    batch = make_batch_of(make_groups())
    distance = {}
    for weight in (1e-6, 5.0):
        learner = make_learner(folders["qwen2"], {"kl_weight": weight, "reference_every": 0})
        distance[weight] = [learner.update(batch)["kl"] for _ in range(6)][-1]
    assert distance[5.0] < 0.2 * distance[1e-6]


def test_bf16_autocast_and_checkpointing_stay_close_to_fp32(folders):
    batch = make_batch_of(make_groups())
    exact = make_learner(folders["qwen2"]).update(batch)
    lean = make_learner(folders["qwen2"], gradient_checkpointing=True).update(batch)
    assert lean["grad_norm"] == pytest.approx(exact["grad_norm"], rel=1e-5)
    rough = make_learner(folders["qwen2"], autocast=True).update(batch)
    assert rough["grad_norm"] == pytest.approx(exact["grad_norm"], rel=0.1)
    assert rough["grad_norm"] != exact["grad_norm"]


def test_dropout_of_the_config_stays_off(tmp_path):
    make_model("qwen2", attention_dropout=0.5).save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    batch = make_batch_of(make_groups())
    smooth = {"epsilon": SMOOTH_EPSILON}
    runs = [
        make_learner(tmp_path, gradient_checkpointing=on, optimizer=smooth) for on in (False, True)
    ]
    for learner in runs:
        learner.update(batch)
    for name, tensor in runs[0].weights():
        torch.testing.assert_close(dict(runs[1].weights())[name], tensor, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("arch", "missing"), [("deepseek_v3", 9), ("qwen2", 0)])
def test_linear_layers_without_an_adapter_are_told(folders, caplog, arch, missing):
    learner = make_learner(folders[arch], lora=LoraSettings(rank=4))
    told = [r.getMessage() for r in caplog.records if "gives no adapter" in r.getMessage()]
    assert len(told) == (missing > 0)
    adapted = {name.rpartition(".lora_A")[0] for name, _ in learner.model.named_parameters()}
    linear = {n for n, m in learner.model.named_modules() if type(m) is torch.nn.Linear}
    layers = {n for n in linear if n != "lm_head" and ".lora_" not in n and ".base_layer" not in n}
    assert len(layers - adapted) == missing
    assert missing == 0 or f"{missing} of 24 linear layers" in told[0]


def test_an_empty_batch_only_counts_the_step(folders):
    learner = make_learner(folders["qwen2"])
    before = tensors(learner)
    metrics = learner.update(make_batch_of([], skipped=32, skipped_tokens=100))
    assert (metrics["loss"], metrics["optimizer_steps"], learner.step) == (0.0, 0.0, 1)
    assert_equal(before, tensors(learner))


def test_a_folder_that_is_no_checkpoint_is_refused(folders, tmp_path):
    learner = make_learner(folders["qwen2"])
    with pytest.raises(UserError, match="not a learner's checkpoint"):
        learner.load(folders["qwen2"])
    learner.save(tmp_path)
    state = tmp_path / "learner.pt"
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(UserError, match="damaged"):
        learner.load(tmp_path)


def test_suspended_weights_leave_gradients_on(folders):
    learner = make_learner(folders["qwen2"])
    iterator = iter(learner.weights())
    next(iterator)
    assert torch.is_grad_enabled()
    learner.update(make_batch_of(make_groups()))


def _first(state):
    """The state of a parameter that AdamW moved."""
    return next(iter(state["optimizer"][0]["state"].values()))


OTHERS = {
    "a list": lambda state: [state],
    "no step": lambda state: {k: v for k, v in state.items() if k != "step"},
    "step is a text": lambda state: state | {"step": "7"},
    "step below 0": lambda state: state | {"step": -1},
    "step is true": lambda state: state | {"step": True},
    "optimizer is none": lambda state: state | {"optimizer": None},
    "no optimiser": lambda state: state | {"optimizer": []},
    "another optimiser": lambda state: state | {"optimizer": state["optimizer"] * 2},
}
SPOILT = {
    "no groups": lambda state: state["optimizer"][0].pop("param_groups"),
    "fewer parameters": lambda state: state["optimizer"][0]["param_groups"][0]["params"].pop(),
    "an unknown parameter": lambda state: state["optimizer"][0]["state"].update({10**6: {}}),
    "half of a state": lambda state: _first(state).pop("exp_avg"),
    "an unknown value": lambda state: _first(state).update(x=torch.zeros(1)),
    "another shape": lambda state: _first(state).update(exp_avg=torch.zeros(3)),
    "integers": lambda state: _first(state).update(step=torch.tensor(1)),
    "sparse": lambda state: _first(state).update(exp_avg=_first(state)["exp_avg"].to_sparse()),
    "no storage": lambda state: _first(state).update(
        exp_avg=torch.zeros(1).expand(_first(state)["exp_avg"].shape)
    ),
    "no reference": lambda state: state.pop("reference"),
    "a reference of nothing": lambda state: state["reference"].clear(),
    "a reference of another shape": lambda state: state["reference"].update(
        dict.fromkeys(state["reference"], torch.zeros(1))
    ),
}


def _spoilt(state, spoil):
    SPOILT[spoil](state)
    return state


@pytest.mark.parametrize("spoil", [*OTHERS, *SPOILT])
def test_a_state_that_does_not_fit_is_refused_before_anything_is_taken(folders, tmp_path, spoil):
    learner = make_learner(folders["qwen2"], {"kl_weight": 0.1})
    learner.update(make_batch_of(make_groups(258)))
    learner.save(tmp_path)
    state = torch.load(tmp_path / "learner.pt")
    changed = OTHERS[spoil](state) if spoil in OTHERS else _spoilt(state, spoil)
    torch.save(changed, tmp_path / "learner.pt")
    fresh = make_learner(folders["qwen2"], {"kl_weight": 0.1})
    before = tensors(fresh)
    with pytest.raises(UserError, match=r"learner\.pt .*Put the file back"):
        fresh.load(tmp_path)
    assert_equal(tensors(fresh), before)
    assert fresh.step == 0


def test_hyperparameters_of_a_checkpoint_are_not_taken(folders, tmp_path):
    make_learner(folders["qwen2"], optimizer={"betas": (0.1, 0.2)}).save(tmp_path)
    fresh = make_learner(folders["qwen2"])
    fresh.load(tmp_path)
    groups = [g for optimizer, _ in fresh.optimizer.optimizers for g in optimizer.param_groups]
    assert {group["betas"] for group in groups} == {(0.9, 0.95)}
