"""The update of direct preference optimisation on small random models."""

from __future__ import annotations

import pytest
import torch

from r1.dpo.learner import DPOLearner, DPOObjective
from r1.dpo.settings import DPOLossSettings
from r1.learner.local import LocalLearner
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.preferences.examples import PreferenceExample
from r1.types import TrainBatch, TrainGroup, TrainResponse
from reward_model_data import random_pairs
from small_models import SMOOTH_EPSILON, make_model, save_small_model

SHAPES = [(5, 9, 30), (12, 3, 3), (1, 20, 1), (7, 2, 14), (3, 40, 5)]
KINDS = ("dpo", "ipo", "length_normalised", "simpo")
ARCHITECTURES = ("qwen2", "llama", "deepseek_v3")
CHANGES = {"granite": {"logits_scaling": 3.0}}
"""Scaled logits."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    models = {arch: save_small_model(folder / arch, arch) for arch in ARCHITECTURES}
    return models | {
        "granite": save_small_model(folder / "granite", "granite", **CHANGES["granite"])
    }


def learner(model, kind: str = "dpo", budget: int = 16_384, lr: float = 1e-2, **more) -> DPOLearner:
    loss = DPOLossSettings(kind=kind, nll_weight=0.1, margin=None)
    settings = LearnerSettings(device="cpu", tokens_per_microbatch=budget, **more)
    return DPOLearner(
        loss, model, settings, OptimizerSettings(lr=lr, epsilon=SMOOTH_EPSILON), total_steps=4
    )


def plain_logprobs(model, example: PreferenceExample) -> torch.Tensor:
    """Summed log-probabilities of both responses by transformers alone."""
    sums = []
    for response in example.responses:
        ids = torch.tensor([[*example.prompt_ids, *response]])
        logits = model(input_ids=ids, use_cache=False).logits[0, len(example.prompt_ids) - 1 : -1]
        logprobs = torch.log_softmax(logits, -1)
        sums.append(logprobs.gather(1, torch.tensor(list(response))[:, None]).sum())
    return torch.stack(sums).double()


def plain_loss(policy, reference, examples, kind: str) -> torch.Tensor:
    from test_dpo_loss import reference_loss

    logprobs = torch.stack([plain_logprobs(policy, one) for one in examples])
    with torch.no_grad():
        old = torch.stack([plain_logprobs(reference, one) for one in examples])
    lengths = torch.tensor([[len(ids) for ids in one.responses] for one in examples]).double()
    margin = torch.tensor([one.target for one in examples]).double()
    settings = DPOLossSettings(kind=kind, nll_weight=0.1)
    return reference_loss(logprobs, old, lengths, margin, settings).mean()


def gradients(found: DPOLearner, examples) -> dict[str, torch.Tensor]:
    """Of one update, taken where the optimiser would."""
    kept: dict[str, torch.Tensor] = {}

    def keep(step, loss):
        named = found.local.model.named_parameters()
        kept.update({n: p.grad.clone() for n, p in named if p.grad is not None})
        for parameter in found.local.model.parameters():
            parameter.grad = None
        return torch.tensor(1.0)

    found.local.optimizer.step = keep
    found.update(examples)
    return kept


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        *(("qwen2", kind) for kind in KINDS),
        *((a, "dpo") for a in ("llama", "deepseek_v3", "granite")),
    ],
)
def test_loss_and_gradient_are_those_of_plain_transformers(models, architecture, kind) -> None:
    examples = random_pairs(SHAPES)
    found = learner(models[architecture], kind)
    changes = CHANGES.get(architecture, {})
    moved = make_model(architecture, seed=1, **changes)
    with torch.no_grad():  # away from the reference, where all losses are at their start
        for own, other in zip(found.local.model.parameters(), moved.parameters(), strict=True):
            own.add_(0.02 * other)
    policy, reference = (make_model(architecture, **changes) for _ in range(2))
    policy.load_state_dict(found.local.model.state_dict())
    if architecture != "deepseek_v3":  # whose experts are not computed in fp64
        policy, reference = policy.double(), reference.double()
    loss = plain_loss(policy, reference, examples, kind)
    loss.backward()
    assert found.measure(examples).logprobs.policy_P2.shape == (5, 2)
    got = gradients(found, examples)
    for name, parameter in policy.named_parameters():
        if parameter.grad is not None and name in got:
            scale = parameter.grad.abs().max().item() + 1e-3
            torch.testing.assert_close(
                got[name].double(), parameter.grad.double(), atol=2e-4 * scale, rtol=1e-3, msg=name
            )
    assert len(got) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_any_split_into_rows_gives_the_gradient_of_one(models, kind) -> None:
    examples = random_pairs(SHAPES)
    whole = gradients(learner(models["qwen2"], kind), examples)
    for budget in (1, 40, 90):
        split = gradients(learner(models["qwen2"], kind, budget), examples)
        for name, value in whole.items():
            scale = value.abs().max().item()
            torch.testing.assert_close(split[name], value, atol=1e-5 * scale + 1e-7, rtol=1e-4)


def test_the_first_update_starts_from_the_reference(models) -> None:
    found = learner(models["qwen2"]).update(random_pairs(SHAPES))
    assert found["accuracy"] == 0.5
    assert found["margin"] == found["chosen_change"] == found["rejected_change"] == 0.0
    assert found["num_rows"] == 1
    assert found["tokens_trained"] == sum(a + b for _, a, b in SHAPES)
    assert found["tokens_processed"] == sum(p + a + b - 2 for p, a, b in SHAPES)


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)])
def test_the_reference_stays_while_the_policy_learns(models, lora) -> None:
    examples = random_pairs(SHAPES)
    found = learner(models["llama"], lora=lora, lr=3e-3)
    assert (found.local.reference.held_model is None) == (lora is not None)
    before = found.measure(examples)
    assert before.kl == pytest.approx(0.0, abs=1e-6)
    metrics = [found.update(examples) for _ in range(6)]
    after = found.measure(examples)
    torch.testing.assert_close(after.logprobs.reference_P2, before.logprobs.policy_P2)
    assert after.kl > 1e-4
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    assert metrics[-1]["margin"] > 0 < metrics[-1]["accuracy"] - 0.5


@pytest.mark.parametrize("arch", ["qwen2", "granite"])
def test_the_measured_kl_is_that_of_whole_distributions(models, arch) -> None:
    changes = CHANGES.get(arch, {})
    examples = random_pairs(SHAPES[:2])
    found = learner(models[arch])
    found.update(examples)
    policy, reference = found.local.model, make_model(arch, **changes)
    total, count = 0.0, 0
    plain = make_model(arch, **changes)
    plain.load_state_dict(policy.state_dict())
    for example in examples:
        for response in example.responses:
            ids = torch.tensor([[*example.prompt_ids, *response]])
            part = slice(len(example.prompt_ids) - 1, -1)
            log_p, log_q = (
                torch.log_softmax(m(input_ids=ids).logits[0, part].double(), -1)
                for m in (plain, reference)
            )
            total += (log_p.exp() * (log_p - log_q)).sum().item()
            count += len(response)
    assert found.measure(examples).kl == pytest.approx(total / count, rel=1e-3)


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4, dropout=0.2)])
def test_it_goes_on_exactly_where_it_was_saved(models, lora, tmp_path) -> None:
    batches = [random_pairs(SHAPES, seed) for seed in range(4)]
    through = learner(models["qwen2"], lora=lora)
    first = [through.update(batch) for batch in batches[:2]]
    through.save(tmp_path / "checkpoint")
    rest = [through.update(batch) for batch in batches[2:]]
    resumed = learner(models["qwen2"], lora=lora)
    resumed.load(tmp_path / "checkpoint")
    again = [resumed.update(batch) for batch in batches[2:]]
    for one in [*first, *rest, *again]:
        del one["seconds"]
    assert again == rest
    for ours, theirs in zip(
        resumed.local.model.parameters(), through.local.model.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_without_a_reference_no_second_model_is_kept(models) -> None:
    found = learner(models["qwen2"], "simpo")
    assert found.local.reference is None
    assert found.measure(random_pairs(SHAPES)).kl is None


def test_the_objective_of_the_other_learner_is_the_same_update(models) -> None:
    examples = [example._replace(target=0.0) for example in random_pairs(SHAPES)]
    ours = learner(models["qwen2"])
    loss = ours.update(examples)["loss"]
    groups = []
    for number, example in enumerate(examples):
        marked = [
            TrainResponse(list(ids), [0.0] * len(ids), [0.0] * len(ids), weight)
            for ids, weight in zip(example.responses, (1.0, -1.0), strict=True)
        ]
        groups.append(TrainGroup(example.prompt_ids, marked[:: -1 if number % 2 else 1]))
    local = LocalLearner(
        models["qwen2"],
        LearnerSettings(device="cpu"),
        OptimizerSettings(lr=1e-2, epsilon=SMOOTH_EPSILON),
        DPOObjective(DPOLossSettings(nll_weight=0.1)),
    )
    tokens = sum(len(ids) for one in examples for ids in one.responses)
    batch = TrainBatch(groups, num_responses=2 * len(examples), num_tokens=tokens)
    assert local.update(batch)["loss"] == pytest.approx(loss, rel=1e-5)
    for mine, theirs in zip(ours.local.model.parameters(), local.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
