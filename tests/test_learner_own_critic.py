"""A critic's own model: it learns from the value loss alone, the policy from its own alone."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from r1.algorithms.ppo import PPO, PPOSettings
from r1.config import validate
from r1.errors import UserError
from r1.learner.local import LocalLearner
from r1.learner.metrics import UpdateMetrics
from r1.learner.microbatch import split_minibatches
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.r1_zero.settings import R1ZeroRecipe
from sharded_checks import ranks_take_over
from small_models import SMOOTH_EPSILON, save_small_model
from train_batches import make_batch_of, make_groups

ARCHITECTURES = ("qwen2", "llama", "deepseek_v3")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {arch: save_small_model(root / arch, arch) for arch in ARCHITECTURES}


def make_learner(folder, lora=None, budget=16_384, checkpointing=False, **ppo):
    given = {"kl_weight": 0.0, "value_warmup": 0, "critic": "own", "critic_lr": 3e-3}
    chosen = {**given, **ppo}
    if chosen["critic"] == "shared":
        del chosen["critic_lr"]
    return LocalLearner(
        folder,
        LearnerSettings(
            device="cpu",
            lora=lora,
            tokens_per_microbatch=budget,
            gradient_checkpointing=checkpointing,
        ),
        OptimizerSettings(lr=3e-3),
        PPO(PPOSettings(**chosen)),
        total_steps=8,
    )


def tell(learner):
    """Give the head values of its own."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        learner.critic.head.weight.copy_(torch.randn(64, generator=draw))
        learner.critic.head.bias.fill_(0.3)
    return learner


def accumulated(learner, batch):
    prepared = learner._prepare(batch)
    (mini,) = split_minibatches(prepared.batch, 1, 0)
    learner.accumulate(mini, prepared, UpdateMetrics(learner.device))
    return learner


def of_policy(learner):
    return torch.cat([p.grad.flatten() for p in learner.model.parameters() if p.grad is not None])


def of_body(learner):
    named = learner.critic.body.named
    return {name: p.grad.clone() for name, p in named.items() if p.grad is not None}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_its_gradient_is_that_of_a_plain_model(folders, arch):
    """Mean squared distance to the returns over all tokens, by transformers and autograd alone."""
    batch = make_batch_of(make_groups())
    learner = accumulated(tell(make_learner(folders[arch], budget=90, value_clip=0.0)), batch)
    model = AutoModelForCausalLM.from_pretrained(folders[arch])
    weight, bias = (p.detach() for p in learner.critic.head.parameters())
    loss, count = torch.zeros(()), 0
    for group in batch.groups:
        for response in group.responses:
            ids = torch.tensor([[*group.prompt_ids, *response.token_ids]])
            hidden = model.base_model(ids).last_hidden_state[0]
            values = hidden[len(group.prompt_ids) - 1 : -1] @ weight / 64 + bias
            loss = loss + 0.5 * (values - response.advantages[0]).pow(2).sum()
            count += len(response.token_ids)
    (loss / count).backward()
    found = of_body(learner)
    expected = {n: p.grad for n, p in model.named_parameters() if p.grad is not None and n in found}
    assert len(found) == len(expected) > 10
    assert max(float(g.abs().max()) for g in expected.values()) > 1e-4
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-3, msg=name)


def test_the_policy_has_no_gradient_of_the_value_loss(folders):
    """With values of zero it is that of a head which only reads."""
    batch = make_batch_of(make_groups())
    own = accumulated(make_learner(folders["qwen2"]), batch)
    reads = accumulated(make_learner(folders["qwen2"], critic="shared", value_weight=0.0), batch)
    torch.testing.assert_close(of_policy(own), of_policy(reads))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_any_micro_batching_gives_the_gradients_of_one_big_batch(folders, checkpointing):
    batch = make_batch_of(make_groups(), skipped=5, skipped_tokens=80)
    whole, parts = (
        accumulated(tell(make_learner(folders["qwen2"], None, budget, checkpointing)), batch)
        for budget in (100_000, 60)
    )
    torch.testing.assert_close(of_policy(parts), of_policy(whole), atol=1e-5, rtol=1e-4)
    one, other = of_body(whole), of_body(parts)
    for name, gradient in one.items():
        torch.testing.assert_close(other[name], gradient, atol=1e-6, rtol=1e-3, msg=name)


def test_in_the_warm_up_it_learns_and_the_policy_stands_still(folders):
    learner = make_learner(folders["qwen2"], value_warmup=3)
    batch = make_batch_of(make_groups())
    before = {name: tensor.clone() for name, tensor in learner.weights()}
    losses = [learner.update(batch)["value_loss"] for _ in range(3)]
    assert losses[2] < losses[0]
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.weights())
    named = learner.critic.body.named
    moved = [name for name, tensor in named.items() if not torch.equal(before[name], tensor)]
    assert len(moved) > len(named) // 2
    learner.update(batch)
    assert any(not torch.equal(before[name], tensor) for name, tensor in learner.weights())


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)], ids=["full", "lora"])
def test_saved_and_loaded_equals_uninterrupted(folders, tmp_path, lora):
    batches = [make_batch_of(make_groups(seed)) for seed in range(4)]
    setup = {"lora": lora, "num_minibatches": 2, "value_warmup": 1}
    straight = make_learner(folders["llama"], **setup)
    expected = [straight.update(batch) for batch in batches]
    first = make_learner(folders["llama"], **setup)
    for batch in batches[:2]:
        first.update(batch)
    first.save(tmp_path / "half")
    second = make_learner(folders["llama"], **setup)
    second.load(tmp_path / "half")
    got = [second.update(batch) for batch in batches[2:]]
    assert [m | {"seconds": 0} for m in got] == [m | {"seconds": 0} for m in expected[2:]]
    for learner, name in ((straight, "straight"), (second, "second")):
        learner.save(tmp_path / name)
    for name in ("learner.pt", "model.safetensors"):
        one, other = (tmp_path / side / name for side in ("straight", "second"))
        assert one.read_bytes() == other.read_bytes(), name
    with pytest.raises(UserError, match="other settings"):
        make_learner(folders["llama"], lora, critic="shared").load(tmp_path / "half")


def test_gradients_that_are_not_finite_move_nothing(folders):
    learner = make_learner(folders["qwen2"])
    batch = make_batch_of(make_groups())
    response = batch.groups[0].responses[0]
    response.advantages = [float("nan")] * len(response.token_ids)
    before = {name: tensor.clone() for name, tensor in learner.critic.state_dict().items()}
    assert learner.update(batch)["skipped_steps"] == 1.0
    after = learner.critic.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_critic_that_cannot_step_is_counted_and_told(folders, caplog, monkeypatch):
    """Its body's gradients are too large for a number, the policy's are not."""
    learner = make_learner(folders["qwen2"])
    monkeypatch.setattr(learner.critic.body, "norm", lambda: torch.tensor(float("inf")))
    batch = make_batch_of(make_groups())
    before = {name: tensor.clone() for name, tensor in learner.critic.state_dict().items()}
    assert learner.update(batch)["skipped_steps"] == 1.0
    after = learner.critic.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "step 1: the norm of the critic's gradients is inf" in caplog.text
    for _ in range(8):
        learner.update(batch)
    with pytest.raises(UserError, match="were not finite in 10 optimiser steps in a row"):
        learner.update(batch)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"critic_lr": 1e-4}, 'critic_lr is for critic = "own"'),
        ({"critic": "own", "value_weight": 0.5}, 'value_weight is for critic = "shared"'),
    ],
)
def test_settings_of_the_other_critic_are_refused(section, said):
    recipe = {"model": "tiny", "num_steps": 1, "data": {"train": [{"kind": "tiny", "num": 1}]}}
    with pytest.raises(UserError, match=said):
        validate({**recipe, "ppo": section}, R1ZeroRecipe, "recipe")


SHARDED = {
    "ppo": {"kl_weight": 0.05, "value_warmup": 1, "critic": "own", "critic_lr": 3e-3},
    "optimizer": {"epsilon": SMOOTH_EPSILON},
}


@pytest.mark.slow
@pytest.mark.parametrize("learner", [{}, {"lora": {"rank": 4}}], ids=["full", "lora"])
def test_two_ranks_give_what_one_process_gives_and_take_over(tmp_path, learner):
    """Two steps by two ranks; then three ranks, and one process, go on from there."""
    model = save_small_model(tmp_path / "model")
    ranks_take_over(model, SHARDED | {"learner": learner}, tmp_path)
