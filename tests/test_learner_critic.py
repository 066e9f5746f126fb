"""The value head in the learner: values, gradients, warm-up, resume, LoRA, architectures, ranks."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.algorithms.ppo import PPO, PPOSettings
from r1.errors import UserError
from r1.learner.critic import ValueHead
from r1.learner.local import LocalLearner
from r1.learner.metrics import UpdateMetrics
from r1.learner.microbatch import split_minibatches
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from run_processes import finish, kill_after
from run_story import story
from sharded_checks import ranks_take_over
from small_models import SMOOTH_EPSILON, save_small_model
from small_recipe import write_recipe
from train_batches import make_batch_of, make_groups

ARCHITECTURES = ("qwen2", "llama", "deepseek_v3")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {arch: save_small_model(root / arch, arch) for arch in ARCHITECTURES}


def make_learner(folder, lora=None, tokens_per_microbatch=16_384, **ppo):
    return LocalLearner(
        folder,
        LearnerSettings(device="cpu", lora=lora, tokens_per_microbatch=tokens_per_microbatch),
        OptimizerSettings(lr=3e-3),
        PPO(PPOSettings(**{"kl_weight": 0.05, "value_warmup": 0, **ppo})),
        total_steps=8,
    )


def tell(learner, seed=1):
    """Give the head values of its own: one that says 0 everywhere sends nothing to the policy."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        learner.critic.head.weight.copy_(torch.randn(64, generator=draw))
        learner.critic.head.bias.fill_(0.3)
    return learner


def gradients(learner, batch):
    """Of all of the policy's weights and of the head, before any step."""
    prepared = learner._prepare(batch)
    (mini,) = split_minibatches(prepared.batch, 1, 0)
    learner.accumulate(mini, prepared, UpdateMetrics(learner.device))
    sides = (learner.model.parameters(), learner.critic.head.parameters())
    return [torch.cat([p.grad.flatten() for p in side if p.grad is not None]) for side in sides]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_values_are_the_heads_of_a_plain_pass(folders, arch):
    """Before a token is drawn, in packed rows of any size."""
    batch = make_batch_of(make_groups())
    learner = tell(make_learner(folders[arch], tokens_per_microbatch=90))
    logprobs, values = learner._batch_outputs(batch, learner.model, valued=True)
    model = AutoModelForCausalLM.from_pretrained(folders[arch])
    weight, bias = learner.critic.head.parameters()
    expected = []
    for group in batch.groups:
        for response in group.responses:
            ids = torch.tensor([[*group.prompt_ids, *response.token_ids]])
            with torch.no_grad():
                hidden = model.base_model(ids).last_hidden_state[0]
            expected.append(hidden[len(group.prompt_ids) - 1 : -1] @ weight.detach() / 64 + bias)
    torch.testing.assert_close(torch.cat(values), torch.cat(expected).detach(), atol=1e-5, rtol=0)
    assert torch.cat(values).std() > 0.05
    assert [len(v) for v in values] == [len(p) for p in logprobs]


@pytest.mark.parametrize("kl_in", ["reward", "loss"])
def test_any_micro_batching_gives_the_gradients_of_one_big_batch(folders, kl_in):
    batch = make_batch_of(make_groups(), skipped=5, skipped_tokens=80)
    whole, *others = (
        gradients(tell(make_learner(folders["qwen2"], None, budget, kl_in=kl_in)), batch)
        for budget in (100_000, 150, 40)
    )
    assert all(side.abs().max() > 1e-3 for side in whole)
    for other in others:
        for part, one in zip(other, whole, strict=True):
            assert (part - one).abs().max() / max(1.0, one.abs().max()) < 1e-5


def test_the_value_loss_reaches_the_policy_by_its_weight(folders):
    """Linearly in the weight, and not the head, which learns alike."""
    batch = make_batch_of(make_groups())
    of_policy, of_head = zip(
        *(
            gradients(tell(make_learner(folders["qwen2"], value_weight=weight)), batch)
            for weight in (0.0, 0.5, 1.0)
        ),
        strict=True,
    )
    values_own = of_policy[2] - of_policy[0]
    assert values_own.abs().max() > 1e-3
    torch.testing.assert_close(of_policy[1] - of_policy[0], 0.5 * values_own, atol=1e-5, rtol=1e-4)
    for other in of_head[1:]:
        torch.testing.assert_close(other, of_head[0])


def test_the_policy_stands_still_while_the_critic_warms_up(folders):
    learner = make_learner(folders["qwen2"], value_warmup=2, value_weight=1.0)
    batch = make_batch_of(make_groups())
    before = {name: tensor.clone() for name, tensor in learner.weights()}
    losses = [learner.update(batch)["value_loss"] for _ in range(2)]
    assert losses[1] < losses[0]
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.weights())
    assert not learner.optimizer.optimizers[0][0].state, "not a moment was kept"
    learner.update(batch)
    moved = [name for name, tensor in learner.weights() if not torch.equal(before[name], tensor)]
    assert len(moved) > len(before) // 2


def test_the_critic_learns_what_comes(folders):
    """Of a batch that comes again and again, with the reward one can read off the response."""
    groups = make_groups()
    for group in groups:
        for response in group.responses:
            response.advantages = [float(len(response.token_ids) > 10)] * len(response.token_ids)
    learner = make_learner(folders["qwen2"], value_warmup=100, value_lr=0.3)
    seen = [learner.update(make_batch_of(groups)) for _ in range(20)]
    assert seen[0]["explained_variance"] == 0.0
    assert seen[0]["value_first"] == seen[0]["advantage_from_values"] == 0.0
    assert seen[-1]["explained_variance"] > 0.5
    assert seen[-1]["value_loss"] < 0.4 * seen[0]["value_loss"]


SETUPS = {
    "minibatches, KL in the reward": {"num_minibatches": 2, "num_epochs": 2, "reference_every": 2},
    "warm-up, KL in the loss": {"kl_in": "loss", "value_warmup": 3},
    "lora": {"lora": LoraSettings(rank=4, dropout=0.1), "num_minibatches": 2},
}


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_saved_and_loaded_equals_uninterrupted(folders, tmp_path, setup):
    batches = [make_batch_of(make_groups(seed)) for seed in range(4)]
    straight = make_learner(folders["qwen2"], **setup)
    expected = [straight.update(batch) for batch in batches]
    first = make_learner(folders["qwen2"], **setup)
    for batch in batches[:2]:
        first.update(batch)
    first.save(tmp_path / "half")
    second = make_learner(folders["qwen2"], **setup)
    second.load(tmp_path / "half")
    got = [second.update(batch) for batch in batches[2:]]
    assert [m | {"seconds": 0} for m in got] == [m | {"seconds": 0} for m in expected[2:]]
    for learner in (straight, second):
        learner.save(tmp_path / str(id(learner)))
    for name in ("learner.pt", "model.safetensors"):
        one, other = ((tmp_path / str(id(ll)) / name).read_bytes() for ll in (straight, second))
        assert one == other, name


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)], ids=["full", "lora"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_architecture_learns_both(folders, tmp_path, arch, lora):
    learner = make_learner(folders[arch], lora, value_warmup=1)
    before = {name: tensor.clone() for name, tensor in learner.weights()}
    batch = make_batch_of(make_groups())
    losses = [learner.update(batch)["value_loss"] for _ in range(4)]
    assert losses[-1] < losses[0]
    assert any(not torch.equal(before[name], tensor) for name, tensor in learner.weights())
    learner.save(tmp_path)
    plain = dict(AutoModelForCausalLM.from_pretrained(tmp_path).named_parameters())
    assert plain.keys() == before.keys(), "a checkpoint is a plain model without the head"


def test_a_checkpoint_of_another_algorithm_is_refused(folders, tmp_path):
    make_learner(folders["qwen2"], kl_weight=0.0).save(tmp_path / "ppo")
    grpo = LocalLearner(
        folders["qwen2"],
        LearnerSettings(device="cpu"),
        OptimizerSettings(),
        GRPO(GRPOSettings(kl_weight=0.0)),
    )
    grpo.save(tmp_path / "grpo")
    with pytest.raises(UserError, match=r"other settings \('bias'\)"):
        grpo.load(tmp_path / "ppo")
    with pytest.raises(UserError, match=r"other settings \('bias'\)"):
        make_learner(folders["qwen2"], kl_weight=0.0).load(tmp_path / "grpo")


def test_gradients_that_are_not_finite_move_neither(folders):
    learner = make_learner(folders["qwen2"])
    batch = make_batch_of(make_groups())
    batch.groups[0].responses[0].advantages = [float("nan")] * len(
        batch.groups[0].responses[0].token_ids
    )
    before = learner.critic.state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    assert learner.update(batch)["skipped_steps"] == 1.0
    after = learner.critic.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_one_learning_rate_serves_any_width():
    """The first step of AdamW moves the value of the same kind of states alike."""
    moved = []
    for width in (64, 4096):
        head = ValueHead(width, torch.float32, torch.device("cpu"))
        optimizer = torch.optim.AdamW(head.parameters(), lr=0.05, weight_decay=0.0)
        hidden_MD = torch.ones(3, width)
        (1.0 - head(hidden_MD)).sum().backward()
        optimizer.step()
        moved.append(head(hidden_MD)[0].item())
    assert moved == pytest.approx([0.1, 0.1], rel=1e-4)


SHARDED = {
    "ppo": {"kl_weight": 0.05, "num_minibatches": 2, "value_warmup": 1, "value_weight": 0.5},
    "optimizer": {"epsilon": SMOOTH_EPSILON},
}


@pytest.mark.slow
@pytest.mark.parametrize("learner", [{}, {"lora": {"rank": 4}}], ids=["full", "lora"])
def test_two_ranks_give_what_one_process_gives_and_take_over(tmp_path, learner):
    """Steps 0 and 1 by two ranks, step 2 by three, and one process goes on from the first two."""
    model = save_small_model(tmp_path / "model")
    ranks_take_over(model, SHARDED | {"learner": learner}, tmp_path)


SECTION = """
[ppo]
num_problems = 4
group_size = 4
kl_weight = 0.01
num_minibatches = 2
value_warmup = 1
[optimizer]
lr = 5e-3
[checkpoints]
every = 2
"""


@pytest.mark.slow
def test_a_killed_run_ends_in_the_same_bytes(tmp_path):
    (tmp_path / "recipe").mkdir()
    recipe = write_recipe(tmp_path / "recipe", "qwen2", 5, SECTION)
    finish(recipe, tmp_path / "straight")
    kill_after(recipe, tmp_path / "killed", 3)
    finish(recipe, tmp_path / "killed")
    assert story(tmp_path / "killed") == story(tmp_path / "straight")
