"""A trained reward model as a reward: values, parts, limits, and its place beside a pool."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from r1.errors import UserError
from r1.reward_model.card import CARD_FILE, RewardModelCard, read_card
from r1.reward_model.encode import ResponseEncoder
from r1.reward_model.mixture import (
    MixedRewards,
    check_reward_models,
    load_reward_models,
    with_reward_models,
)
from r1.reward_model.score import RewardModelScorer, normalise
from r1.reward_model.settings import RewardModelUse
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.template import ChatTemplateSettings
from r1.types import Completion, Outcome, Problem, RolloutGroup
from reward_model_data import write_recipe
from sft_data import OPENING_CHAT, PLAIN_CHAT, chat_tokenizer
from small_models import make_tokenizer
from test_reward_model_run import train

PROBLEM = Problem("1", "say this", "4", "exact", family="general")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A helpfulness and a harmlessness model that prefer "!" to "?"."""
    found = {}
    for name, objective in (("helpful", "pairwise"), ("harmless", "pointwise")):
        folder = tmp_path_factory.mktemp(name)
        path = write_recipe(folder, objective)
        train(path, folder / "run", ["batch.epochs=3", "optimizer.lr=5e-3"])
        found[name] = folder / "run"
    return found


def completion(text: str, version: int = 0) -> Completion:
    return Completion([1, 2], [0.0, 0.0], text, "stop", version)


def group(*texts: str, version: int = 0, problem: Problem = PROBLEM) -> RolloutGroup:
    return RolloutGroup(problem, (1,), [completion(text, version) for text in texts])


def use(path: Path, **settings) -> RewardModelUse:
    return RewardModelUse(path=str(path), device="cpu", **settings)


THINKING = "<think>2 + 2 = 4</think> <answer>{}</answer>"


def test_one_by_one_and_as_a_group_the_scores_agree(runs) -> None:
    scorer = RewardModelScorer.load(use(runs["helpful"]))
    texts = ["yes abc!", "no abc?", THINKING.format("good abc!"), "x" * 30 + "?"]
    together = scorer.score_group(group(*texts))
    alone = [scorer(PROBLEM, completion(text)) for text in texts]
    assert [s.value for s in together] == pytest.approx([s.value for s in alone], abs=1e-4)
    assert together[0].value > together[1].value
    assert together[0].outcome is Outcome.CORRECT
    assert together[1].outcome is Outcome.WRONG
    again = [RewardModelScorer.load(use(runs["helpful"])).score_group(group(*texts))]
    assert [s.value for s in again[0]] == [s.value for s in together]


def test_the_answer_alone_is_scored_for_helpfulness_and_all_of_it_for_harmlessness(runs) -> None:
    helpful = RewardModelScorer.load(use(runs["helpful"]))
    harmless = RewardModelScorer.load(use(runs["harmless"]))
    texts = ["<think>abc</think> fine!", "<think>other thoughts?</think> fine!"]
    first, second = helpful.score_group(group(*texts))
    assert first.value == second.value
    tagged = helpful(PROBLEM, completion("<think>abc</think> <answer>fine!</answer>"))
    assert tagged.value == pytest.approx(first.value, abs=1e-4)
    first, second = harmless.score_group(group(*texts))
    assert first.value != second.value


def test_without_an_answer_a_response_gets_the_worst_held_out_value(runs) -> None:
    scorer = RewardModelScorer.load(use(runs["helpful"]))
    nothing, empty, some = scorer.score_group(group("<think>endless", "", "yes abc!"))
    assert nothing.outcome is empty.outcome is Outcome.UNPARSEABLE
    statistics = scorer.card.statistics
    worst = (statistics.min - statistics.mean) / statistics.std
    assert nothing.value == empty.value == pytest.approx(max(-5.0, worst))
    assert some.value > nothing.value
    fixed = RewardModelScorer.load(use(runs["helpful"], missing=-9.0))
    assert fixed(PROBLEM, completion("")).value == -9.0
    opened = RewardModelScorer.load(use(runs["helpful"]), form=PromptForm(opened=True))
    assert opened(PROBLEM, completion("endless thoughts")).outcome is Outcome.UNPARSEABLE
    assert opened(PROBLEM, completion("thoughts</think> yes!")).outcome is not Outcome.UNPARSEABLE


def test_normalisation() -> None:
    card = RewardModelCard(
        objective="pairwise", part="answer", template=ChatTemplateSettings(), max_tokens=10,
        statistics={"mean": 2.0, "std": 4.0, "min": -9.0, "max": 9.0},
    )  # fmt: skip
    path = Path("x")
    assert normalise(6.0, use(path), card) == 1.0
    assert normalise(100.0, use(path), card) == 5.0
    assert normalise(-100.0, use(path, clip=2.0), card) == -2.0
    assert normalise(100.0, use(path, clip=None), card) == 24.5
    assert normalise(100.0, use(path, normalise="none", clip=None), card) == 100.0
    for raw in (-800.0, -1.0, 0.0, 1.0, 800.0):
        expected = 1 / (1 + math.exp(-raw)) if abs(raw) < 700 else float(raw > 0)
        assert normalise(raw, use(path, normalise="sigmoid"), card) == pytest.approx(expected)


def test_a_long_response_keeps_its_beginning_and_its_end() -> None:
    encoder = ResponseEncoder(make_tokenizer(), ChatTemplateSettings(kind="plain"), "whole", 20)
    text = "".join(chr(ord("a") + n) for n in range(26))
    found = encoder.encode("Q:", text)
    decoded = make_tokenizer().decode(found.response_ids)
    assert found.cut
    assert found.num_tokens == 20
    assert decoded == " abcdefgh" + "stuvwxyz" + "<eos>"
    assert not encoder.encode("Q:", "abc").cut


def test_a_prompt_that_fills_the_limit_has_no_verdict(runs) -> None:
    scorer = RewardModelScorer.load(use(runs["helpful"]))
    long = Problem("1", "x" * 64, "4", "exact")
    found = scorer.score_group(group("a!", "b!", problem=long))
    assert [score.outcome for score in found] == [Outcome.VERIFIER_FAILED] * 2
    assert "leaves no room" in found[0].detail
    with pytest.raises(UserError, match="leaves no room"):
        scorer.score_texts("x" * 64, ["a!"])
    raw = scorer.score_texts("say this", ["a!", "<think>"])
    assert raw[0] is not None
    assert raw[1] is None


def test_chat_templates_that_open_the_thinking() -> None:
    def decoded(template: str, part: str, text: str) -> str:
        tokenizer = chat_tokenizer(template)
        encoder = ResponseEncoder(tokenizer, ChatTemplateSettings(), part, 200)
        found = encoder.encode("Q", encoder.part_of(text))
        return tokenizer.decode([*found.prompt_ids, *found.response_ids])

    response = "<think>\nhm</think> A"
    assert decoded(PLAIN_CHAT, "answer", response) == "[user]Q[assistant]A<eos>"
    assert decoded(PLAIN_CHAT, "whole", response) == f"[user]Q[assistant]{response}<eos>"
    opening = "[user]Q[assistant]<think>\n"
    assert decoded(OPENING_CHAT, "answer", response) == f"{opening}\n</think>\n\nA<eos>"
    assert decoded(OPENING_CHAT, "whole", response) == f"{opening}hm</think> A<eos>"


def test_uses_that_cannot_work(runs, tmp_path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        RewardModelScorer.load(use(tmp_path / "nothing"))
    with pytest.raises(UserError, match="nothing says how it scores"):
        RewardModelScorer.load(use(runs["helpful"].parent / "model"))
    checkpoint = max((runs["helpful"] / "checkpoints").iterdir())
    shutil.copytree(checkpoint, tmp_path / "copy")
    assert RewardModelScorer.load(use(tmp_path / "copy"))(PROBLEM, completion("a!")).value
    card = read_card(tmp_path / "copy").model_copy(update={"statistics": None})
    card.write(tmp_path / "copy")
    with pytest.raises(UserError, match="trained without held-out data"):
        RewardModelScorer.load(use(tmp_path / "copy"))
    with pytest.raises(UserError, match="set missing"):
        RewardModelScorer.load(use(tmp_path / "copy", normalise="none"))
    (tmp_path / "copy" / CARD_FILE).write_text('{"part": "thumb"}')
    with pytest.raises(UserError, match="part"):
        RewardModelScorer.load(use(tmp_path / "copy"))
    with pytest.raises(UserError, match="a reward has this name already"):
        check_reward_models({"accuracy": use(runs["helpful"])}, Path())


def test_beside_a_pool_the_models_parts_join_the_rules(runs) -> None:
    models = {
        "helpful": use(runs["helpful"], weight=0.5, families=("general",)),
        "harmless": use(runs["harmless"], normalise="sigmoid", from_step=3),
    }
    settings = RewardSettings(weights={"accuracy": 1.0})
    with RewardPool(settings) as pool:
        assert with_reward_models(pool, {}) is pool
        mixed = with_reward_models(pool, load_reward_models(models, Path()))
        assert isinstance(mixed, MixedRewards)
        texts = [THINKING.format("4"), THINKING.format("bad?"), "<think>never"]
        early = mixed.submit_group(group(*texts)).result()
        other = Problem("2", "say that", "4", "exact", family="sums")
        late = mixed.submit_group(group(*texts, version=3)).result()
        sums = mixed.submit_group(group(*texts, version=3, problem=other)).result()
        counts = mixed.take_counts().outcomes
    assert [set(s.rewards[0].parts) for s in (early, late, sums)] == [
        {"accuracy", "helpful"},
        {"accuracy", "helpful", "harmless"},
        {"accuracy", "harmless"},
    ]
    for scored in (early, late, sums):
        for reward in scored.rewards:
            value = {name: score.value for name, score in reward.parts.items()}
            total = value["accuracy"] + 0.5 * value.get("helpful", 0) + value.get("harmless", 0)
            assert reward.total == pytest.approx(total)
            assert reward.valid
    assert [reward.parts["accuracy"].value for reward in late.rewards] == [1.0, 0.0, 0.0]
    assert counts["helpful", Outcome.UNPARSEABLE] == 2
    assert sum(n for (name, _), n in counts.items() if name == "harmless") == 6
    scorer = RewardModelScorer.load(models["helpful"])
    assert [r.parts["helpful"] for r in late.rewards] == scorer.score_group(group(*texts))


def test_a_group_scores_the_same_whatever_was_scored_before(runs) -> None:
    """Bit for bit: what a resumed run sees must not depend on what shared a row."""
    scorer = RewardModelScorer.load(use(runs["harmless"]))
    alone = scorer.score_group(group("a!", "bb?", "ccc!"))
    others = group("x" * 50, "y")
    scorer.score_group(others)
    assert scorer.score_group(group("a!", "bb?", "ccc!")) == alone
