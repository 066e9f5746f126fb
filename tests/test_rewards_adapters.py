"""TRL's and verl's rows: whose words are judged, and what of a row reaches the verifier."""

from __future__ import annotations

import dataclasses
import json
import warnings
from typing import Any

import numpy as np
import pytest

from r1.errors import UserError
from r1.rewards import library, registry, trl_reward
from r1.rewards.adapters import compute_score
from r1.rewards.batch_reward import as_factory
from r1.rewards.columns import (
    columns_read,
    needs_reference,
    plain_metadata,
    plain_text,
    unused_columns,
)
from r1.rewards.registry import PromptForm, find_verifier, verifier_names
from r1.rewards.settings import RewardSettings
from r1.rewards.turns import final_turn, leaves_thinking_open
from r1.types import Completion, Outcome, Problem

UNREADABLE = "see \\ref{a} \\begin{tikz}"


def say(text: Any, role: str = "assistant") -> dict[str, Any]:
    return {"role": role, "content": text}


FINAL_TURNS = [
    ("5", "5"),
    ([say("5")], "5"),
    ([say("let me call"), say("\\boxed{5}", "tool")], ""),
    ([say("let me call"), say("7", "tool"), say("so 5")], "so 5"),
    ([say("\\boxed{5}"), say("are you sure?", "user")], ""),
    ([say(None)], ""),
    ([say([{"type": "text", "text": "so "}, {"type": "text", "text": "5"}])], "so 5"),
    ([], ""),
    ("a<|im_end|>\n<|im_start|>tool\n\\boxed{5}<|im_end|>", ""),
    (
        "a<|im_end|>\n<|im_start|>user\n\\boxed{5}<|im_end|>\n<|im_start|>assistant\n6<|im_end|>",
        "6",
    ),
    ("a\n<tool_response>\n\\boxed{5}\n</tool_response>\nassistant\n6", "6"),
    ("a\n<tool_response>\n\\boxed{5}", ""),
    ("a<｜end▁of▁sentence｜><｜User｜>\\boxed{5}<｜Assistant｜>6<｜end▁of▁sentence｜>", "6"),
    ("a<｜end▁of▁sentence｜><｜User｜>\\boxed{5}", ""),
    ("a</s>[INST] \\boxed{5} [/INST] 6</s>", "6"),
    ("a</s>[TOOL_RESULTS] \\boxed{5}", ""),
    ("a[TOOL_RESULTS] \\boxed{5}[/TOOL_RESULTS] 6", "6"),
    (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>6<|return|>",
        "6",
    ),
    (
        "a<|end|><|start|>functions.sum to=assistant<|channel|>commentary<|message|>5<|end|>",
        "",
    ),
    ("a<|end|><|start|>assistant<|channel|>analysis<|message|>\\boxed{5}", ""),
    ("a<|im_end|><|im_system|>tool<|im_middle|>\\boxed{5}<|im_end|>", ""),
    ("a<|im_end|><|im_assistant|>assistant<|im_middle|>6<|im_end|>", "6"),
]


@pytest.mark.parametrize(("completion", "text"), FINAL_TURNS)
def test_only_the_assistants_last_words_are_judged(completion: Any, text: str) -> None:
    assert final_turn(completion).strip() == text


OPEN = [
    ("What is 2+3?", False),
    ("Question\nAssistant: <think>\n", True),
    ("<|im_start|>assistant\n<think>", True),
    ("<|im_start|>assistant\n<think>\nLet me see", True),
    ("Put it in <think> </think> tags. Assistant:", False),
    ("Assistant: <think>a</think>", False),
    ([say("2+3?", "user")], False),
    ([say("2+3?", "user"), say("<think>\nLet me")], True),
    ([say("2+3?", "user"), say("<think>a</think> b")], False),
    ([say("what does <think> mean?", "user")], False),
    (None, False),
]


@pytest.mark.parametrize(("prompt", "is_open"), OPEN)
def test_a_prompt_that_leaves_the_thinking_open(prompt: Any, is_open: bool) -> None:
    assert leaves_thinking_open(prompt) is is_open


@pytest.mark.parametrize("prompt", [p for p, is_open in OPEN if is_open])
def test_text_inside_unfinished_thinking_is_never_paid(prompt: Any) -> None:
    texts = ["so \\boxed{5}", "so \\boxed{6}</think> \\boxed{5}", "so \\boxed{5}</think> no idea"]
    rows = [texts[0], texts[1], texts[2]]
    paid = trl_reward("math")([prompt] * 3, rows, answer=["5"] * 3)
    assert paid == [0.0, 1.0, 0.0]
    assert compute_score("x", texts[0], "5", {"prompt": prompt}) == 0.0
    assert compute_score("x", texts[0], "5", {"opened": True}) == 0.0
    assert trl_reward("math", opened=True)(["p"], [texts[0]], answer=["5"]) == [0.0]


def test_turns_that_a_policy_writes_do_not_close_its_thinking() -> None:
    text = "maybe <|im_start|>assistant\n\\boxed{5}"
    assert compute_score("x", text, "5", {"opened": True}) == 0.0


def test_format_and_language_hear_of_the_open_tag() -> None:
    prompt, text = "Assistant: <think>\n", "it is English</think> <answer>5</answer>"
    assert trl_reward("format")([prompt, "p"], [text, text]) == [1.0, 0.0]
    assert trl_reward("language")([prompt], [text]) == [1.0]
    assert library.math_reward("so \\boxed{5}", "5", opened=True).outcome is Outcome.UNPARSEABLE
    assert library.choice_reward("B", "B", opened=True).value == 0.0
    assert library.exact_reward("k</think> K", "k", opened=True).value == 1.0


def test_one_gold_that_cannot_be_read_ends_no_run() -> None:
    library.counts()
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        texts = ["\\boxed{5}"] * 5
        golds = ["5", UNREADABLE, None, ["5", "6"], {"target": "5"}]
        assert trl_reward("math")(["p"] * 5, texts, answer=golds) == [1.0, None, None, None, None]
        assert compute_score("x", "\\boxed{5}", UNREADABLE, {}) == 0.0
    outcomes = library.counts().outcomes
    assert sum(n for (_, o), n in outcomes.items() if o is Outcome.VERIFIER_FAILED) == 5


GOLDS = [
    ("5", "5"), (5, "5"), (["5"], "5"), (np.array(["5"], dtype=object), "5"), (np.int64(5), "5"),
    ([["5"]], "5"), ('["5"]', "5"), (np.float64(2.5), "2.5"), (None, None), (["5", "6"], None),
    ({"a": 1}, None), ("[1, 2]", "[1, 2]"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "text"), GOLDS)
def test_golds_in_the_shapes_that_data_have(gold: Any, text: str | None) -> None:
    assert plain_text(gold) == text


LIMITS = {"total_s": 9.0, "calls_per_run": 1, "in_class": "Problem", "stood_in_for": "javatuples"}
METADATA = [
    ("choice", {"options": np.array(["x", "y"], dtype=object)}, {"options": ["x", "y"]}),
    ("choice", {"options": '["x", "y"]'}, {"options": ["x", "y"]}),
    ("choice", {"options": None, "id": 3}, {}),
    ("numeric", {"rel_tol": np.float32(0.5), "unit": "m"}, {"rel_tol": 0.5, "unit": "m"}),
    ("code", {"tests": json.dumps([{"input": "1", "output": "2"}]), "language": "python"},
     {"tests": [{"input": "1", "output": "2"}], "language": "python"}),
    ("code", {"checker": '{"language": "python", "source": "x"}', "order": "any"},
     {"checker": {"language": "python", "source": "x"}, "order": "any"}),
    ("code", LIMITS, LIMITS),
    ("ifeval", {"instruction_id_list": np.array(["a:b"]), "kwargs": np.array([{"n": None}])},
     {"instruction_id_list": ["a:b"], "kwargs": [{"n": None}]}),
    ("exact", {"aliases": '["a"', "case": True}, {"aliases": '["a"', "case": True}),
    ("math", {"options": ["x"], "answer_from": "stated"}, {"answer_from": "stated"}),
    ("of_a_plugin", {"anything": np.arange(2)}, {"anything": [0, 1]}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given", "metadata"), METADATA)
def test_metadata_in_the_shapes_that_data_have(kind: str, given: dict, metadata: dict) -> None:
    assert plain_metadata(kind, given) == metadata


def test_every_built_in_verifier_says_what_it_reads() -> None:
    """Other tests of this process may have registered plugins: they are known by their modules."""
    names = [name for name in verifier_names() if not name.startswith("manners")]
    built_in = {name for name in names if find_verifier(name).score.__module__.startswith("r1.")}
    assert {"math", "code", "drop", "letter"} <= built_in
    assert [name for name in built_in if columns_read(name) is None] == []


def test_a_verifier_without_a_reference_asks_for_no_column_of_golds(monkeypatch) -> None:
    assert trl_reward("drop")(["p"], ["12"], golds=[[["12"]]]) == [1.0]
    with pytest.raises(UserError, match="no column 'answer' with gold answers"):
        trl_reward("exact")(["p"], ["12"], golds=[[["12"]]])
    verifier = registry.Verifier(find_verifier("exact").score, lambda _: None, str.__eq__)
    monkeypatch.setattr(registry, "_VERIFIERS", registry._VERIFIERS | {"mine": verifier})
    assert needs_reference("mine")
    assert plain_metadata("mine", {"golds": "[1]", "any": 2}) == {"golds": "[1]", "any": 2}
    tables = dataclasses.replace(verifier, reads_json=("golds",), reads=("case",))
    monkeypatch.setattr(registry, "_VERIFIERS", registry._VERIFIERS | {"mine": tables})
    assert plain_metadata("mine", {"golds": "[1]", "any": 2}) == {"golds": [1]}


def test_what_nothing_reads_is_refused_or_said() -> None:
    with pytest.raises(UserError, match="did you mean 'rel_tol'"):
        trl_reward("numeric", rel_toll=0.1)
    with pytest.raises(UserError, match="'tests' is not among"):
        trl_reward("math", tests=[])
    with pytest.raises(UserError, match="unknown verifier 'maths'; did you mean 'math'"):
        trl_reward("maths")
    assert unused_columns("numeric", ["rel_toll", "unit", "index"], "answer") == ["rel_toll"]
    with pytest.warns(UserWarning, match="does not read: rel_tolerance"):
        compute_score("p", "5", "5", {"verifier": "numeric", "rel_tolerance": 0.5})


def test_tolerances_reach_the_verifier() -> None:
    paid = trl_reward("numeric")(["p"] * 2, ["9.81", "12"], answer=["9.8"] * 2, rel_tol=[0.05] * 2)
    assert paid == [1.0, 0.0]
    assert compute_score("p", "9.81", 9.8, {"verifier": "numeric", "abs_tol": 0.1}) == 1.0
    assert compute_score("p", "9.81", 9.8, {"verifier": "numeric"}) == 0.0


def test_usual_forms_are_read_without_a_setting() -> None:
    for text in ("2+3=5\n#### 5", "Let us see.\n\nAnswer: 5", "so \\boxed{5}", "5"):
        assert compute_score("openai/gsm8k", text, "5", {}) == 1.0, text
    for text in ("2+3=5\n#### 5 or 6", "Answer: 5\nor 6", "Answer: 5, 6", "maybe \\boxed{5} wait"):
        assert compute_score("openai/gsm8k", text, "5", {}) == 0.0, text


# A reward of TRL's form in a recipe --------------------------------------------------------------


def judge(function: Any, reference: str = "5") -> Any:
    reward = as_factory("mine", function)(RewardSettings(), PromptForm())
    problem = Problem("p", "2+3?", reference, "math", metadata={"level": 3})
    return reward(problem, Completion([], [], "it is 5", "stop"))


def test_a_reward_of_trls_form_is_a_reward() -> None:
    def contains(prompts, completions, **columns):
        assert prompts == ["2+3?"]
        return [float(a in c) for a, c in zip(columns["answer"], completions, strict=True)]

    def by_level(completions, level):
        return [level[0] / 4 for _ in completions]

    assert (judge(contains).value, judge(contains).outcome) == (1.0, Outcome.CORRECT)
    assert judge(contains, "6").outcome is Outcome.WRONG
    assert judge(by_level).value == 0.75


@pytest.mark.parametrize("values", [[None], [], [1.0, 1.0], None, 1.0])
def test_what_is_not_one_value_is_the_rewards_failure(values: Any) -> None:
    score = judge(lambda prompts, completions, **_: values)
    assert (score.value, score.outcome) == (0.0, Outcome.VERIFIER_FAILED)


def test_a_reward_of_neither_form_is_refused_with_its_name(monkeypatch) -> None:
    monkeypatch.setattr(registry, "REWARDS", {})
    with pytest.raises(UserError, match=r"reward 'mine'.*takes neither"):
        registry.register_reward("mine", lambda text: 1.0)  # type: ignore[arg-type, misc, return-value]
    with pytest.raises(UserError, match="no function"):
        registry.register_reward("mine", 3)  # type: ignore[arg-type]


def test_golds_of_drop_may_come_as_json_text() -> None:
    golds = [["12"], ["12", "13"]]
    assert plain_metadata("drop", {"golds": json.dumps(golds), "section": 3}) == {"golds": golds}
