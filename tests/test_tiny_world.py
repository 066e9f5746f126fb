"""The tiny world: fair problems, an honest corpus, and a base that learns."""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path

import pytest

from r1.config import load_recipe
from r1.data.tiny import BASE_FOLDER, arithmetic, cups, facts, functions, reasoning
from r1.data.tiny.corpus import documents
from r1.data.tiny.problems import make_problems
from r1.data.tiny.voice import Voice
from r1.errors import UserError
from r1.r1_zero.run import run_r1_zero
from r1.r1_zero.settings import R1ZeroRecipe
from r1.rewards.accuracy import check_reference, make_accuracy
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.template import parse
from r1.types import Completion, Outcome

FAMILIES = ("arithmetic", "cups", "facts")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_gold_answer_is_accepted_and_a_wrong_one_is_not(family) -> None:
    score = make_accuracy(RewardSettings(), PromptForm())
    for problem in make_problems("train", (family,), num=30):
        assert check_reference(problem) is None
        gold = Completion(
            [1], [0.0], f"<think>x</think> <answer>{problem.reference}</answer>", "stop"
        )
        assert score(problem, gold).outcome is Outcome.CORRECT
        other = "7777" if family == "arithmetic" else ("A" if problem.reference != "A" else "B")
        wrong = Completion([1], [0.0], f"<think>x</think> <answer>{other}</answer>", "stop")
        assert score(problem, wrong).outcome is Outcome.WRONG


def test_the_same_arguments_give_the_same_problems_and_splits_do_not_meet() -> None:
    train = make_problems("train", FAMILIES, num=300, seed=3)
    assert train == make_problems("train", FAMILIES, num=300, seed=3)
    heldout = {p.prompt for p in make_problems("heldout", FAMILIES, num=90)}
    assert not heldout & {p.prompt for p in train}
    assert len({p.id for p in train}) == 300


def test_held_out_problems_never_occur_in_the_corpus() -> None:
    heldout = make_problems("heldout", ("arithmetic", "cups"), num=400, seed=5)
    expressions = {
        p.metadata["entry"]["metadata"]["expression"] for p in heldout if p.metadata.get("entry")
    }
    puzzles = {p.prompt for p in heldout if p.family == "cups"}
    for document in itertools.islice(documents(seed=9), 8000):
        found = re.search(r"\d+(?: [+-] \d+)+", document.prompt)
        assert not (found and found[0] in expressions), document
        assert not any(puzzle in document.prompt for puzzle in puzzles)


def test_cups_are_swapped_as_told() -> None:
    puzzle = cups.Cups("KMPR", ((1, 2), (2, 4)), 4)
    assert puzzle.answer == "K"  # K M P R -> M K P R -> M R P K
    rng = random.Random(0)
    steps, answer = cups._swap_through(rng, Voice(rng, "en"), puzzle, step_error=0.0)
    assert answer == "K"
    assert "1M2R3P4K" in steps


def test_careful_passes_are_right_and_careless_ones_are_not() -> None:
    rng = random.Random(1)
    voice = Voice(rng, "en")
    chains = [arithmetic.draw_chain(rng, 2) for _ in range(200)]
    careful = [arithmetic._add_up(rng, voice, c.expression.split(), 0.0)[1] for c in chains]
    assert careful == [c.answer for c in chains]
    careless = [arithmetic._add_up(rng, voice, c.expression.split(), 0.3)[1] for c in chains]
    right = sum(a == c.answer for a, c in zip(careless, chains, strict=True))
    assert 5 < right < 100


def test_checked_answers_are_right_more_often_than_worked_and_those_than_bare() -> None:
    """The condition under which reinforcement learning makes responses longer."""
    rng = random.Random(2)
    right: dict[str, list[bool]] = {style: [] for style in reasoning.STYLES}
    for _ in range(3000):
        chain = arithmetic.draw_chain(rng, 2)
        trace = arithmetic.trace(rng, chain, "en")
        right[trace.style].append(trace.answer == chain.answer)
    share = {style: sum(values) / len(values) for style, values in right.items()}
    assert share["checked"] > 0.95
    assert 0.45 < share["worked"] < 0.7
    assert share["checked"] > share["worked"]


def test_functions_do_what_they_are_asked_for() -> None:
    rng = random.Random(3)
    for language in ("en", "zh"):
        for _ in range(40):
            function = functions.draw_function(rng, language)
            scope: dict = {}
            exec(function.line, scope)
            assert all(scope["f"](x) == result for x, result in function.tests)


def test_choices_name_the_right_option() -> None:
    rng = random.Random(4)
    known = {(f[0], f[1]) for fs, _, _ in facts.RELATIONS.values() for f in fs}
    for _ in range(60):
        choice = facts.draw_choice(rng, "en")
        assert len(set(choice.options)) == 4
        assert any(subject in choice.stem and choice.answer == answer for subject, answer in known)


def test_asking_for_more_than_there_is(monkeypatch) -> None:
    two_terms = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    monkeypatch.setitem(arithmetic.LEVELS, 9, two_terms)
    with pytest.raises(UserError, match="distinct"):
        make_problems("heldout", ("arithmetic",), num=100, levels=(9,), languages=("en",))
    monkeypatch.undo()
    with pytest.raises(UserError, match="arithmetic, cups, facts"):
        make_problems("train", ("algebra",))
    with pytest.raises(UserError, match="levels"):
        make_problems("train", ("cups",), levels=(9,))


def test_the_base_is_small_and_byte_complete() -> None:
    from r1.models.load import load_tokenizer

    assert sum(path.stat().st_size for path in BASE_FOLDER.iterdir()) < 8_000_000
    tokenizer = load_tokenizer(BASE_FOLDER)
    for text in ("naïve 🙂 ‰", "检查一下：1K2M", "def f(x): return x % 7", "\t\x00\u2028"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert tokenizer.tokenize("1234") == ["1", "2", "3", "4"]
    assert len(tokenizer("<think></think><answer></answer>").input_ids) == 4


class Silent:
    """A progress display that shows nothing."""

    def __getattr__(self, name: str):
        return lambda *arguments: None


@pytest.mark.slow
def test_the_reward_rises(tmp_path: Path) -> None:
    recipe = load_recipe(
        Path(__file__).parents[1] / "recipes" / "tiny" / "r1_zero.toml",
        R1ZeroRecipe,
        ["num_steps=12", "grpo.num_problems=16", "evaluation.every=0", "data.heldout=[]"],
    )
    run_r1_zero(recipe, Path(), tmp_path / "run", Silent())
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    first = sum(row["reward"] for row in rows[:2]) / 2
    last = sum(row["reward"] for row in rows[-2:]) / 2
    assert last > first + 0.3
    assert all(row["engine_gap_max"] < 1e-3 for row in rows)


def test_a_document_with_tags_parses(tmp_path: Path) -> None:
    """Most tagged answers of the corpus are well-formed, and some are broken on purpose."""
    tagged = [d for d in itertools.islice(documents(seed=1), 3000) if "<answer>" in d.response]
    well_formed = sum(parse(d.response).defect is None for d in tagged)
    assert 0.8 < well_formed / len(tagged) < 0.95
