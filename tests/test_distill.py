"""On-policy distillation: the signal by hand, the learner against transformers, ranks, runs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from r1.algorithms.distill import Distill, DistillSettings
from r1.algorithms.protocol import RewardedGroup
from r1.config import validate
from r1.errors import UserError
from r1.learner.local import LocalLearner
from r1.learner.metrics import UpdateMetrics
from r1.learner.microbatch import split_minibatches
from r1.learner.objective import PolicyTokens, Totals
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.pipeline.estimates import estimate_recipe
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.plan.memory import learner_memory
from r1.plan.model import shape_of
from r1.progress import TerminalProgress
from r1.r1_zero.settings import R1ZeroRecipe
from r1.r1_zero.teacher import find_teacher
from run_processes import finish, kill_after
from run_story import story
from sharded_checks import ranks_take_over
from small_models import SMOOTH_EPSILON, make_model, make_tokenizer, save_small_model
from small_recipe import with_plain_heldout, write_recipe
from test_algorithm_grpo import LENGTHS, WEIGHTS, as_tokens, make_rows
from train_batches import make_batch_of, make_groups

TOTALS = Totals(6, sum(LENGTHS))
REWARDS = [1.0, -2.0, 0.5, 3.0, 1.0, -1.0]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A student, and a teacher of another architecture whose output head has spare rows."""
    root = tmp_path_factory.mktemp("models")
    return {
        "student": save_small_model(root / "student", "qwen2"),
        "teacher": save_small_model(root / "teacher", "llama", vocab_size=264, seed=7),
    }


@pytest.mark.parametrize("aggregate", ["token", "sequence", "constant"])
def test_loss_and_gradient_equal_the_reference(aggregate):
    """-min(rho A, clip(rho) A) with A = reward - 0.7 (log pi_old - log pi_teacher), in float64."""
    settings = DistillSettings(
        teacher="t",
        kl_weight=0.7,
        aggregate=aggregate,
        aggregate_constant=50 if aggregate == "constant" else 1024,
        clip_high=0.3,
    )
    rows = make_rows(0.3)
    tokens = as_tokens(rows, REWARDS, torch.float64)
    output = Distill(settings).loss(tokens, TOTALS)
    (gradient,) = torch.autograd.grad(output.loss, tokens.logprobs_M)
    divisor = {"token": lambda n: sum(LENGTHS), "sequence": lambda n: 6 * n}
    loss, kl, expected = 0.0, 0.0, []
    for (new, old, _, teacher), reward, weight in zip(rows, REWARDS, WEIGHTS, strict=True):
        share = weight / divisor.get(aggregate, lambda n: 6 * 50)(len(new))
        kl += float((old - teacher).sum()) * (weight > 0)
        for p, q, t in zip(new.tolist(), old.tolist(), teacher.tolist(), strict=True):
            advantage, rho = reward - 0.7 * (q - t), np.exp(p - q)
            held = np.clip(rho, 0.8, 1.3)
            loss -= share * min(rho * advantage, held * advantage)
            moves = rho * advantage <= held * advantage
            expected.append(-share * rho * advantage * moves)
    assert output.loss.item() == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-15)
    assert float(output.sums["teacher_kl"]) == pytest.approx(kl, rel=1e-12)
    assert output.sums["clip_low"] + output.sums["clip_high"] > 0


def test_its_expectation_is_the_gradient_of_the_reverse_kl():
    """Every token of a vocabulary, weighted as the student draws it, in float64."""
    draw = torch.Generator().manual_seed(2)
    logits_V = torch.randn(11, generator=draw, dtype=torch.float64, requires_grad=True)
    teacher_V = torch.randn(11, generator=draw, dtype=torch.float64).log_softmax(0)
    logprobs_V = logits_V.log_softmax(0)
    tokens = PolicyTokens(
        logprobs_M=logprobs_V,
        old_logprobs_M=logprobs_V.detach(),
        engine_logprobs_M=logprobs_V.detach(),
        reference_logprobs_M=teacher_V,
        entropy_M=torch.zeros(11, dtype=torch.float64),
        advantages_M=torch.zeros(11, dtype=torch.float64),
        response_M=torch.arange(11),
        weights_R=logprobs_V.detach().exp(),
        lengths_R=torch.ones(11, dtype=torch.int64),
    )
    output = Distill(DistillSettings(teacher="t")).loss(tokens, Totals(1, 1))
    (found,) = torch.autograd.grad(output.loss, logits_V, retain_graph=True)
    kl = (logprobs_V.exp() * (logprobs_V - teacher_V)).sum()
    (expected,) = torch.autograd.grad(kl, logits_V)
    torch.testing.assert_close(found, expected, atol=1e-14, rtol=1e-12)


def test_rewards_teach_as_much_as_asked():
    nothing: object = None
    group = RewardedGroup([1.0, 0.0], [True, True], [True, True], [2, 1], nothing)
    watched, paid = (
        Distill(DistillSettings(teacher="t", reward_weight=weight)).advantages([group])[0]
        for weight in (0.0, 0.5)
    )
    assert watched == [[0.0, 0.0], [0.0]]
    np.testing.assert_allclose(paid[0] + paid[1], [0.5, 0.5, -0.5], rtol=1e-5)


def make_learner(folders, budget=16_384, lora=None, teacher=None, **settings):
    settings = DistillSettings(teacher="t", **settings)
    return LocalLearner(
        folders["student"],
        LearnerSettings(device="cpu", lora=lora, tokens_per_microbatch=budget),
        OptimizerSettings(lr=3e-3, epsilon=SMOOTH_EPSILON),
        Distill(settings),
        temperature=0.8,
        total_steps=8,
        teacher=teacher or folders["teacher"],
    )


def gradient_of(learner, batch):
    prepared = learner._prepare(batch)
    (mini,) = split_minibatches(prepared.batch, 1, 0)
    metrics = UpdateMetrics(learner.device)
    learner.accumulate(mini, prepared, metrics)
    named = learner.model.named_parameters()
    return {name: p.grad for name, p in named if p.grad is not None}, metrics.result()


def test_the_learner_equals_plain_passes_for_any_split(folders):
    """By transformers and autograd alone, at the sampling temperature; in rows of any size."""
    groups = make_groups()
    batch = make_batch_of(groups, skipped=2, skipped_tokens=9)
    model, teacher = (AutoModelForCausalLM.from_pretrained(folders[w]) for w in folders)
    loss, gaps = torch.zeros(()), []
    for group in groups:
        for response in group.responses:
            ids = torch.tensor([[*group.prompt_ids, *response.token_ids]])
            width = len(group.prompt_ids)

            def logprobs(of, ids=ids, width=width):
                logits = of(ids).logits[0, width - 1 : -1] / 0.8
                return logits.log_softmax(-1).gather(1, ids[0, width:, None])[:, 0]

            own_T = logprobs(model)
            gap_T = (own_T - logprobs(teacher)).detach()
            advantage_T = torch.tensor(response.advantages) - gap_T
            loss = loss - (advantage_T * own_T).sum() / batch.num_tokens
            gaps += gap_T.tolist()
    loss.backward()
    wanted = {name: p.grad for name, p in model.named_parameters()}
    for budget in (16_384, 90):
        found, metrics = gradient_of(make_learner(folders, budget), batch)
        assert found.keys() == wanted.keys()
        for name, gradient in found.items():
            scale = float(wanted[name].abs().max())
            torch.testing.assert_close(gradient, wanted[name], atol=1e-4 * scale, rtol=1e-3)
        assert metrics["teacher_kl"] == pytest.approx(np.mean(gaps), rel=1e-4)
    assert max(map(abs, gaps)) > 1.0, "they are different models"


def test_the_teacher_never_moves_and_no_checkpoint_has_it(folders, tmp_path):
    for number, lora in enumerate((None, LoraSettings(rank=4))):
        learner = make_learner(folders, lora=lora, num_minibatches=2)
        before = {n: p.clone() for n, p in learner.reference.held_model.named_parameters()}
        batch = make_batch_of(make_groups())
        for _ in range(2):
            learner.update(batch)
        for name, parameter in learner.reference.held_model.named_parameters():
            assert torch.equal(parameter, before[name]), name
        half = tmp_path / str(number)
        learner.save(half)
        assert torch.load(half / "learner.pt", weights_only=True)["reference"] == {}
        other = make_learner(folders, lora=lora, num_minibatches=2)
        other.load(half)
        again, straight = other.update(batch), learner.update(batch)
        assert again["teacher_kl"] == straight["teacher_kl"]
        for (name, a), (_, b) in zip(other.weights(), learner.weights(), strict=True):
            assert torch.equal(a, b), name


def test_a_teacher_without_rows_for_the_students_tokens_is_refused(folders, tmp_path):
    small = save_small_model(tmp_path / "small", "llama", vocab_size=200)
    with pytest.raises(UserError, match="200 tokens, and the student draws from 258"):
        make_learner(folders, teacher=small)


DATA = {
    "model": "tiny",
    "num_steps": 1,
    "data": {"train": [{"kind": "tiny", "split": "train", "num": 1}]},
}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, "distill.teacher is required"),
        ({"teacher": "t", "reference_every": 9}, "leave reference_every out"),
        ({"teacher": "t", "kl_weight": 0.0}, "distill.kl_weight"),
    ],
)
def test_settings_that_cannot_be_are_refused(section, said):
    with pytest.raises(UserError, match=said):
        validate({**DATA, "distill": section}, R1ZeroRecipe, "recipe")


def test_another_tokenizer_is_refused_by_name(folders, tmp_path):
    """Whatever the sizes: two tokens changed places."""
    other = tmp_path / "other"
    shutil.copytree(folders["teacher"], other)
    content = json.loads((other / "tokenizer.json").read_text())
    vocab = content["model"]["vocab"]
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    (other / "tokenizer.json").write_text(json.dumps(content))
    named = {**DATA, "distill": {"teacher": "other"}}
    recipe = validate(named, R1ZeroRecipe, "recipe")
    with pytest.raises(UserError, match=r"distill.teacher = 'other'.* 2 of 258 tokens .*'a'"):
        find_teacher(recipe, tmp_path, make_tokenizer())
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    (other / "tokenizer.json").write_text(json.dumps(content))
    assert find_teacher(recipe, tmp_path, make_tokenizer()) == str(other)


def test_the_plan_counts_the_teacher_by_its_own_size(tmp_path):
    """Its forward pass in the reference's place, and its weights in the learner's memory."""
    path = tmp_path / "recipe.toml"
    path.write_text(
        'model = "tiny-qwen"\nnum_steps = 3\n[[data.train]]\nkind = "tiny"\nsplit = "train"\n'
        '[distill]\nteacher = "tiny"\nnum_problems = 2\n'
    )
    recipe = load_any_recipe(path)
    teacher, student = shape_of("tiny"), shape_of("tiny-qwen")
    parts = {part.name: part for part in estimate_recipe(recipe, tmp_path).parts}
    assert "reference" not in parts
    ratio = teacher.matmul_parameters / student.matmul_parameters
    learnt = parts["policy update"].flops / 3
    assert parts["teacher"].flops == pytest.approx(ratio * learnt, rel=0.25)
    assert ratio > 2
    memory = learner_memory(recipe, student, 2, teacher=teacher).at_peak()
    assert memory["teacher"] == 4 * teacher.parameters / 2


@pytest.mark.slow
def test_two_ranks_give_what_one_process_gives_and_take_over(folders, tmp_path):
    section = {"teacher": str(folders["teacher"]), "num_minibatches": 2}
    setup = {"distill": section, "optimizer": {"epsilon": SMOOTH_EPSILON}}
    ranks_take_over(folders["student"], setup, tmp_path)


SECTION = """
[distill]
teacher = "teacher"
num_problems = 8
group_size = 8
[optimizer]
lr = 3e-3
[checkpoints]
every = 2
"""


def taught_recipe(folder, steps):
    """The teacher is the student with other weights, half a deviation away."""
    folder.mkdir()
    recipe = with_plain_heldout(write_recipe(folder, "qwen2", steps, SECTION))
    model = make_model("qwen2")
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.5 * parameter.std() * torch.randn(parameter.shape, generator=draw)
    model.save_pretrained(folder / "teacher")
    make_tokenizer().save_pretrained(folder / "teacher")
    return recipe


@pytest.mark.slow
def test_a_run_comes_closer_to_its_teacher_and_resumes_to_the_same_bytes(tmp_path):
    """A step's mean over some 700 tokens is known to about 0.05 of 0.7."""
    recipe = taught_recipe(tmp_path / "recipe", 16)
    finish(recipe, tmp_path / "straight")
    kill_after(recipe, tmp_path / "killed", 3)
    finish(recipe, tmp_path / "killed")
    assert story(tmp_path / "killed") == story(tmp_path / "straight")
    rows = [json.loads(line) for line in (tmp_path / "straight" / "metrics.jsonl").open()]
    kls = [row["teacher_kl"] for row in rows]
    assert np.mean(kls[-4:]) < 0.9 * np.mean(kls[:2])


@pytest.mark.slow
def test_a_run_is_not_carried_on_with_another_teacher(tmp_path, monkeypatch):
    recipe = taught_recipe(tmp_path / "recipe", 1)
    monkeypatch.syspath_prepend(str(recipe.parent))
    monkeypatch.setenv("PYTHONPATH", str(recipe.parent), prepend=":")
    loaded = load_any_recipe(recipe)
    with TerminalProgress() as progress:
        run_recipe(loaded, recipe.parent, tmp_path / "run", progress)
        lineage = json.loads((tmp_path / "run" / "lineage.json").read_text())
        assert "distill.teacher" in [found["role"] for found in lineage["inputs"]]
        make_model("qwen2", seed=9).save_pretrained(recipe.parent / "teacher")
        longer = loaded.model_copy(update={"num_steps": 2})
        with pytest.raises(UserError, match=r"distill\.teacher .*model\.safetensors"):
            run_recipe(longer, recipe.parent, tmp_path / "run", progress)
