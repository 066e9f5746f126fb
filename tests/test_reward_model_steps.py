"""Process reward models: scores at step ends, loss, any split, runs, use as a reward."""

from __future__ import annotations

import math
import random
from array import array
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from r1.config import load_recipe
from r1.errors import UserError
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.preferences.examples import PreferenceExample
from r1.preferences.types import StepLabels
from r1.reward_model.card import find_reward_model, read_card
from r1.reward_model.learner import RewardLearner
from r1.reward_model.score import RewardModelScorer
from r1.reward_model.settings import RewardModelRecipe, RewardModelUse
from r1.rewards.registry import PromptForm
from r1.run_dir import read_evaluations, read_metrics
from r1.types import Completion, Outcome, Problem, RolloutGroup
from small_models import SMOOTH_EPSILON, make_tokenizer, save_small_model
from small_recipe import write_jsonl
from test_reward_model_run import train

RECIPES = Path(__file__).parents[1] / "recipes"
NAN = math.nan


def random_steps(seed: int = 0) -> list[PreferenceExample]:
    """Random tokens with step ends; some steps have no label, some a share."""
    rng = random.Random(seed)
    shapes = [(5, (2, 6), (1.0, 0.0)), (7, (0, 3, 9), (NAN, 0.25, NAN)), (5, (4,), (1.0,))]
    examples = []
    for number, (prompt, ends, targets) in enumerate(shapes):
        prompt_ids = tuple(rng.randrange(2, 258) for _ in range(prompt))
        ids = array("I", [rng.randrange(2, 258) for _ in range(ends[-1] + 1)])
        labels = tuple(None if target != target else target for target in targets)
        source = StepLabels(f"p{number}", tuple("s" for _ in ends), labels)
        examples.append(PreferenceExample(prompt_ids, (ids,), 0.0, source, ends, targets))
    return examples


def learner(folder: Path, epsilon: float = 1e-8, **settings) -> RewardLearner:
    return RewardLearner(
        folder,
        LearnerSettings(device="cpu", **settings),
        OptimizerSettings(lr=1e-3, epsilon=epsilon),
        total_steps=4,
        seed=3,
    )


def weights(found: RewardLearner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for _, p in found.model.named_parameters()])


@pytest.mark.parametrize("architecture", ["qwen2", "llama", "deepseek_v3"])
def test_scores_and_gradient_are_those_of_plain_forwards_for_any_split(architecture, tmp_path):
    """Against transformers' classifier body, one response at a time, in one graph."""
    folder = save_small_model(tmp_path / "model", architecture)
    examples = random_steps()
    first = learner(folder)
    before = weights(first).clone()
    first.save(tmp_path / "saved")
    scores = first.measure(examples)
    body = first.model.body
    losses = []
    if first.model.native:
        plain = AutoModelForSequenceClassification.from_pretrained(
            tmp_path / "saved", dtype=torch.float32
        ).eval()
        for example, found in zip(examples, scores, strict=True):
            row = torch.tensor([[*example.prompt_ids, *example.responses[0]]])
            hidden = plain.base_model(input_ids=row, use_cache=False).last_hidden_state[0]
            at = [len(example.prompt_ids) + end for end in example.ends]
            own = plain.score(hidden[at])[:, 0]
            torch.testing.assert_close(torch.tensor(found), own.detach(), atol=1e-4, rtol=0)
            for score, target in zip(own, example.targets, strict=True):
                if target == target:
                    wanted = torch.tensor(target)
                    losses.append(
                        torch.nn.functional.binary_cross_entropy_with_logits(score, wanted)
                    )
        mean = torch.stack(losses).mean()
        mean.backward()
        norm = torch.cat([p.grad.flatten() for p in plain.parameters() if p.grad is not None])
    assert body is not None
    results = []
    for budget in (10_000, 20, 1):
        found = learner(folder, SMOOTH_EPSILON, tokens_per_microbatch=budget)
        metrics = found.update(examples)
        if first.model.native:
            assert metrics["loss"] == pytest.approx(mean.item(), abs=1e-4)
            assert metrics["grad_norm"] == pytest.approx(norm.norm().item(), rel=1e-3)
        results.append((weights(found) - before) / 1e-3)
    assert results[0].abs().max() > 0.1
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], atol=1e-3, rtol=0)


def test_the_figures_of_a_batch_leave_unlabelled_steps_out(tmp_path):
    folder = save_small_model(tmp_path / "model")
    examples = random_steps()
    found = learner(folder)
    scores = found.measure(examples)
    metrics = found.update(examples)
    right = [scores[0][0] > 0, scores[0][1] <= 0, scores[1][1] <= 0, scores[2][0] > 0]
    assert metrics["accuracy"] == pytest.approx(sum(right) / 4)
    up, down = [scores[0][0], scores[2][0]], [scores[0][1], scores[1][1]]
    assert metrics["score_gap"] == pytest.approx(sum(up) / 2 - sum(down) / 2, rel=1e-4)


def step_rows(num: int) -> list[dict]:
    """A step that ends with "!" is right, with "?" wrong."""
    rng = random.Random(0)
    rows = []
    for number in range(num):
        good = [rng.random() < 0.6 for _ in range(rng.randint(1, 4))]
        steps = [f"{rng.choice('abcdef')}{number}{'!' if right else '?'}" for right in good]
        rows.append({"prompt": "say this", "steps": steps, "labels": [int(r) for r in good]})
    return rows


def write_recipe(folder: Path, rows: list[dict] | None = None) -> Path:
    save_small_model(folder / "model")
    rows = rows or step_rows(60)
    write_jsonl(folder / "train.jsonl", rows[:48])
    write_jsonl(folder / "heldout.jsonl", rows[48:])
    path = folder / "recipe.toml"
    path.write_text(
        'kind = "reward_model"\nmodel = "model"\nobjective = "steps"\n'
        '[[data.train]]\npath = "train.jsonl"\nunusable = "drop"\n'
        '[[data.heldout]]\npath = "heldout.jsonl"\n'
        '[template]\nkind = "plain"\n[batch]\nsize = 8\nmax_tokens = 64\nepochs = 4\n'
        "[optimizer]\nlr = 5e-3\n[evaluation]\nevery = 8\n[checkpoints]\nevery = 8\n"
    )
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prm")
    train(write_recipe(folder), folder / "run")
    return folder / "run"


def test_a_run_learns_which_steps_are_right(run):
    assert len(read_metrics(run)) == 24
    first, last = read_evaluations(run)[0], read_evaluations(run)[-1]
    assert last["accuracy"]["value"] >= 0.9 > first["accuracy"]["value"]
    assert last["objective"] == "steps"
    assert last["steps"]["auc"] > 0.9
    assert last["steps"]["num_steps"] == sum(b["num"] for b in last["calibration"]["bins"])
    assert last["steps"]["f1"] > 0.5
    card = read_card(find_reward_model(run))
    assert (card.objective, card.separator) == ("steps", "line")


def scorer(run: Path, form: PromptForm | None = None, **settings) -> RewardModelScorer:
    found = RewardModelUse(path=str(run), device="cpu", **settings)
    return RewardModelScorer.load(found, form=form)


def test_steps_of_half_a_response_score_as_in_the_whole(run):
    prm = scorer(run)
    text = "a1!\nb2?\nc3!"
    [whole] = prm.score_steps(["say this"], [text])
    assert len(whole) == 3
    assert whole[0] > 0.5 > whole[1]
    halves = prm.score_steps(["say this"] * 3, ["a1!\n", "a1!\nb2?\n", " \n"])
    assert halves[0] == pytest.approx(whole[:1], abs=1e-4)
    assert halves[1] == pytest.approx(whole[:2], abs=1e-4)
    assert halves[2] == []


def test_a_response_is_worth_the_aggregate_and_its_steps_are_at_its_tokens(run):
    tokenizer = make_tokenizer()
    texts = ["a1!\nb2?\nc3!", "a1!\nb2!"]
    completions = []
    for text in texts:
        ids = tokenizer(" " + text, add_special_tokens=False)["input_ids"]
        completions.append(Completion([*ids, 1], [0.0] * (len(ids) + 1), " " + text, "stop"))
    group = RolloutGroup(Problem("1", "say this", "4", "exact"), (1,), completions)
    probabilities = scorer(run).score_steps(["say this"] * 2, texts)
    for rule, value in (("min", min), ("last", lambda ps: ps[-1]), ("product", math.prod)):
        scores = scorer(run, aggregate=rule).score_group(group)
        assert [s.value for s in scores] == pytest.approx(
            [value(ps) for ps in probabilities], abs=1e-4
        )
    assert [s.outcome for s in scores] == [Outcome.WRONG, Outcome.CORRECT]
    ends = [step.end for step in scores[0].steps]
    text = [tokenizer.decode(completions[0].token_ids[: end + 1]) for end in ends]
    assert text == [" a1!\n", " a1!\nb2?\n", " a1!\nb2?\nc3!"]
    foreign = Completion([5, 6, 7], [0.0] * 3, texts[0], "stop")
    [score] = scorer(run).score_group(RolloutGroup(group.problem, (1,), [foreign]))
    assert score.steps == ()  # tokens of another tokenizer


@pytest.mark.parametrize("normalise", ["standard", "none", "sigmoid"])
def test_an_empty_response_has_the_value_0_whatever_the_scores_scale(run, normalise):
    """Its siblings' values are probabilities: the worst held-out score, a logit, is none."""
    problem = Problem("1", "say this", "4", "exact")
    empty = Completion([1], [0.0], "", "stop")
    score = scorer(run, normalise=normalise)(problem, empty)
    assert (score.value, score.outcome) == (0.0, Outcome.UNPARSEABLE)
    assert scorer(run, missing=-1.0)(problem, empty).value == -1.0


def test_a_prompt_that_opened_the_thinking(run):
    prm = scorer(run, PromptForm(opened=True))
    tokenizer = make_tokenizer()
    ids = tokenizer("a1!\nb2?", add_special_tokens=False)["input_ids"]
    completion = Completion([*ids, 1], [0.0] * (len(ids) + 1), "a1!\nb2?", "stop")
    [score] = prm.score_group(
        RolloutGroup(Problem("1", "say this", "4", "exact"), (1,), [completion])
    )
    assert [step.end for step in score.steps] == [3, 6]


def test_over_long_responses_lose_their_last_steps_and_are_counted(tmp_path):
    rows = step_rows(60)
    rows.insert(12, {"prompt": "say this", "steps": ["a" * 20] * 6, "labels": [1] * 6})
    path = write_recipe(tmp_path, rows)
    with pytest.raises(UserError, match=r"row 13.*longer than the limit"):
        train(path, tmp_path / "run")
    quiet = train(path, tmp_path / "run", ['batch.overlong="cut"', "batch.max_steps=1",
                                           "data.heldout=[]", "evaluation.every=0"])  # fmt: skip
    assert any("1 over-long rows were cut" in notice for notice in quiet.notices)


def test_rows_whose_labels_are_all_cut_off_teach_nothing_and_are_told(tmp_path):
    """A process file often labels the last step alone."""
    rows = step_rows(60)
    rows.insert(12, {"prompt": "say this", "steps": ["a" * 20] * 6, "labels": [None] * 5 + [0]})
    path = write_recipe(tmp_path, rows)
    short = ["batch.max_steps=1", "data.heldout=[]", "evaluation.every=0"]
    dropped = train(path, tmp_path / "run", ['batch.overlong="cut"', *short])
    assert any("no labelled step below batch.max_tokens" in each for each in dropped.notices)
    path.write_text(path.read_text().replace('unusable = "drop"', ""))
    with pytest.raises(UserError, match=r"row 13.*no step within the limit"):
        train(path, tmp_path / "refused", ['batch.overlong="cut"', *short])


def test_impossible_settings():
    path = RECIPES / "tiny" / "prm.toml"
    load_recipe(path, RewardModelRecipe)
    for override, message in (
        ("loss.margin=1.0", "margin is for pairs"),
        ('part="answer"', "leaves no steps"),
        ('separator=""', "separator"),
    ):
        with pytest.raises(UserError, match=message):
            load_recipe(path, RewardModelRecipe, [override])
    with pytest.raises(UserError, match='objective = "steps"'):
        load_recipe(
            RECIPES / "tiny" / "harmless_rm.toml", RewardModelRecipe, ['separator="blank_line"']
        )
