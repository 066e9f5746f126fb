"""Steps: where a text is cut, where its tokens are, one value of many, how good scores are."""

from __future__ import annotations

import random
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

from r1.data.tiny import MODELS
from r1.models.load import load_tokenizer
from r1.steps.aggregate import RULES, aggregate
from r1.steps.ends import encode_steps, find_steps
from r1.steps.measure import JudgedSteps, auc, auc_within, first_errors, step_figures
from r1.steps.split import joined, split_steps
from small_models import make_tokenizer

SMOLLM = Path("/tmp/models/smollm2")
PIECES = ("first 8-2\n", "then 6\n", "\n", "  \n", "so it is 6.\n", "所以是6。", "ки", "\n\n",
          "```\nx\n\ny\n```\n", "It is 6.", " ", "<answer>", "</think>", "~~~\n", "é")  # fmt: skip


def random_text(rng: random.Random) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, 12)))


@pytest.mark.parametrize("separator", ["line", "blank_line", "ки"])
def test_steps_joined_are_the_text_and_none_is_blank(separator):
    rng = random.Random(0)
    for _ in range(500):
        text = random_text(rng)
        steps = split_steps(text, separator)
        assert "".join(steps) == (text if text.strip() else "")
        assert all(step.strip() for step in steps)


def test_where_lines_paragraphs_and_tags_end():
    text = "one\n\n  two\nthree"
    assert split_steps(text) == ["one\n\n", "  two\n", "three"]
    assert split_steps("a\nb\n\nc\nd\ne", "blank_line") == ["a\nb\n\n", "c\nd\n", "e"]
    assert split_steps("a ки\nb ки\nc\n", "ки") == ["a ки\n", "b ки\n", "c\n"]
    assert split_steps("\n\n a\nb\n") == ["\n\n a\n", "b\n"]
    assert split_steps(" \n\n") == []


def test_the_answer_is_a_step_of_its_own():
    assert split_steps("<think>a\nb</think> <answer>3</answer>") == [
        "<think>a\n",
        "b</think> ",
        "<answer>3</answer>",
    ]
    assert split_steps("long\nreasoning\nso 3", "blank_line") == ["long\nreasoning\n", "so 3"]


def test_nothing_is_cut_inside_a_fence():
    code = "```python\nx = 1\n\ny = 2\n```\n"
    assert split_steps(f"try\n{code}done") == ["try\n", code, "done"]
    assert split_steps(f"try\n\n{code}\ndone", "blank_line") == ["try\n\n", code + "\n", "done"]
    assert split_steps("try\n~~~\na\n```\nb\n") == ["try\n", "~~~\na\n```\nb\n"]


def test_a_prefix_that_ends_with_a_step_has_the_steps_of_the_whole():
    """What a search sees step by step is what the trainer saw at once."""
    rng = random.Random(1)
    lines = [piece for piece in PIECES if piece.endswith("\n") and "`" not in piece]
    for _ in range(200):
        text = "a\n" + "".join(rng.choice([*lines[:3], "b\n"]) for _ in range(8))
        steps = split_steps(text)
        for number in range(1, len(steps)):
            assert split_steps("".join(steps[:number])) == steps[:number]


def test_bare_steps_get_their_separator_but_the_last():
    assert joined(["a", "b"]) == ["a\n", "b"]
    assert joined(["a", "b"], "blank_line") == ["a\n\n", "b"]
    assert joined(["a", "b"], "<s>") == ["a<s>", "b"]
    assert joined(["a\n", "b<s>", "c"], "<s>") == ["a\n", "b<s>", "c"]


def tokenizers():
    found = [load_tokenizer(str(MODELS["tiny"])), make_tokenizer()]
    if SMOLLM.exists():
        found.append(load_tokenizer(str(SMOLLM)))
    return found


@pytest.mark.parametrize("tokenizer", tokenizers(), ids=lambda t: str(len(t)))
def test_a_step_ends_at_the_last_token_that_holds_some_of_it(tokenizer):
    rng = random.Random(2)
    for _ in range(150):
        steps = split_steps(random_text(rng))
        if not steps:
            continue
        found = encode_steps(tokenizer, steps)
        assert found.ends == sorted(set(found.ends))
        assert found.ends[-1] == len(found.token_ids) - 1
        assert [n for members in found.members for n in members] == list(range(len(steps)))
        bounds = list(accumulate(map(len, steps)))
        for end, members in zip(found.ends, found.members, strict=True):
            text = "".join(steps)[: bounds[members[-1]]]
            assert tokenizer.decode(found.token_ids[: end + 1]).startswith(text)
            # One token less lacks a part of the step (a piece of a character decodes as itself).
            if "\ufffd" not in tokenizer.decode(found.token_ids[:end]):
                assert not tokenizer.decode(found.token_ids[:end]).startswith(text)
        assert find_steps(tokenizer, found.token_ids, steps) == found


def test_a_tokenizer_that_merges_line_breaks_joins_the_steps_it_cannot_tell_apart():
    class Merging:
        """Tokens "a\n", "\nb", "b"."""

        def __call__(self, text, **_):
            assert text == "a\nb\nc"
            return {"input_ids": [0, 1, 2], "offset_mapping": [(0, 1), (1, 4), (4, 5)]}

    found = encode_steps(Merging(), ["a\n", "b\n", "c"])
    assert (found.ends, found.members) == ([1, 2], [[0, 1], [2]])


def test_aggregates_by_hand():
    values = [0.9, 0.2, 0.8]
    expected = {"min": 0.2, "product": 0.144, "mean": 19 / 30, "last": 0.8}
    for rule, value in expected.items():
        assert aggregate(values, rule) == pytest.approx(value, abs=1e-12)
    weights = np.exp(-np.array(values, np.float64) / 0.1)
    weights /= weights.sum()
    assert aggregate(values, "soft_min") == pytest.approx(float(weights @ values), abs=1e-12)
    assert [aggregate([], rule) for rule in RULES] == [0.0] * 5


def test_auc_counts_pairs_and_ties_by_half():
    rng = np.random.default_rng(0)
    score = rng.integers(0, 6, 60) / 5
    right = (rng.random(60) < 0.4).astype(float)
    pairs = [
        (a > b) + 0.5 * (a == b) for a in score[right == 1] for b in score[right == 0]
    ]  # fmt: skip
    assert auc(score, right) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert auc(score, np.ones(60)) is None


def test_auc_within_prompts_ignores_that_one_is_harder():
    """Each prompt is ranked perfectly the wrong way; between them difficulty looks like skill."""
    prompts = ["easy"] * 4 + ["hard"] * 4
    score = np.array([0.9, 0.9, 0.9, 0.95, 0.1, 0.2, 0.2, 0.2])
    right = np.array([1, 1, 1, 0, 1, 0, 0, 0], float)
    assert auc(score, right) > 0.5
    assert auc_within(prompts, score, right) == 0.0


def test_first_errors_and_their_f1_by_hand():
    responses = [
        JudgedSteps("a", [0.9, 0.2, 0.1], [1, 0, None]),  # found
        JudgedSteps("a", [0.2, 0.9], [1, 0]),  # the wrong place
        JudgedSteps("b", [0.9, 0.8], [1, 1]),  # faultless, seen as such
        JudgedSteps("b", [0.9], [None]),  # tells nothing
    ]
    found = first_errors(responses)
    assert (found["num_faulty"], found["num_faultless"]) == (2, 1)
    assert found["f1"] == pytest.approx(2 * 0.5 * 1.0 / 1.5)
    figures = step_figures(responses)
    assert figures["num_steps"] == 6
    assert figures["least_is_last"] == pytest.approx(0.75)
