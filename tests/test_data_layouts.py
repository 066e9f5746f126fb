"""Public data sets' columns, texts made of columns, and dialogues, in every kind of data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from r1.config import validate
from r1.data.load import load_problems
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.preferences.read import load_preferences
from r1.preferences.source import PreferenceSource
from r1.rewards.accuracy import check_reference
from r1.sft.examples import check_sources
from r1.sft.read import conversations
from r1.sft.settings import ExampleSource
from r1.types import Problem

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"


def write(tmp_path: Path, *rows: Any) -> dict[str, str]:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"path": "rows.jsonl"}


def problem(tmp_path: Path, row: Any, **settings: Any) -> Problem:
    source = validate({**write(tmp_path, row), **settings}, SourceSettings, "source")
    (found,) = load_problems(source, tmp_path, check_reference)
    return found


def turns(*pairs: tuple[str, str], names: tuple[str, str] = ("role", "content")) -> list[Any]:
    return [{names[0]: role, names[1]: text} for role, text in pairs]


CHOICES = "Q?\n\nA) w\nB) x\nC) y\nD) z"
OPTIONS = {"options": ["w", "x", "y", "z"]}
LETTERS = {"A": "w", "B": "x", "C": "y", "D": "z"}
PROBLEMS: dict[str, tuple[Any, tuple[str, str | None, str, dict[str, Any]]]] = {
    "gsm8k": ({"question": "Q?", "answer": "so\n#### 1,200"}, ("Q?", "1,200", "math", {})),
    "a question and an answer": ({"question": "Q?", "answer": "5"}, ("Q?", "5", "math", {})),
    "math-500": (
        {"problem": "Q?", "solution": "\\boxed{5}", "answer": "5", "subject": "s"},
        ("Q?", "5", "math", {}),
    ),
    "simpleqa": (
        {"metadata": "{'topic': 'x'}", "problem": "Q?", "answer": "5"},
        ("Q?", "5", "math", {}),
    ),
    "verl": (
        {"prompt": turns((USER, "Q?")), "reward_model": {"ground_truth": "5", "style": "rule"}},
        ("Q?", "5", "math", {}),
    ),
    "mmlu": ({"question": "Q?", **LETTERS, "answer": "B"}, (CHOICES, "B", "choice", OPTIONS)),
    "cmmlu": ({"Question": "Q?", **LETTERS, "Answer": "B"}, (CHOICES, "B", "choice", OPTIONS)),
    "mmlu of the hub": (
        {"question": "Q?", "choices": ["w", "x", "y", "z"], "answer": 1, "subject": "s"},
        (CHOICES, "B", "choice", OPTIONS),
    ),
    "mmlu-pro": (
        {"question": "Q?", "options": ["w", "x", "y", "z"], "answer": "B", "answer_index": 1},
        (CHOICES, "B", "choice", OPTIONS),
    ),
    "prm800k": (
        {"question": {"problem": "Q?", "ground_truth_answer": "5"}, "label": {"steps": []}},
        ("Q?", "5", "math", {}),
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_in_a_known_layout(tmp_path, name) -> None:
    row, expected = PROBLEMS[name]
    found = problem(tmp_path, row)
    assert (found.prompt, found.reference, found.verifier, found.metadata) == expected


def test_mbpp_is_judged_by_its_own_tests(tmp_path) -> None:
    row = {
        "task_id": 3,
        "text": "Add one.",
        "code": "def up(x):\n    return x + 1",
        "test_list": ["assert up(1) == 2"],
        "test_setup_code": "import math",
    }
    found = problem(tmp_path, row)
    assert (found.id, found.verifier, found.metadata["entry"]) == ("mbpp/3", "code", "up")
    assert found.metadata["test_imports"] == ["import math"]
    assert "assert up(1) == 2" in found.prompt
    with pytest.raises(UserError, match="test_list is 'x'"):
        problem(tmp_path, {**row, "test_list": "x"})


def test_what_a_recipe_says_comes_before_a_layout(tmp_path) -> None:
    row = {"id": "one", "question": "Q?", "answer": "so #### 5", "subject": "sums", "hint": "7"}
    found = problem(tmp_path, row, columns={"family": "subject"}, verifier="exact")
    assert (found.id, found.family, found.verifier, found.reference) == (
        "one", "sums", "exact", "5",
    )  # fmt: skip
    columns = {"prompt": "question", "reference": "hint"}
    assert problem(tmp_path, row, columns=columns).reference == "7"
    row = {"prompt": "P?", "reference": "1", "question": "Q?", **LETTERS, "answer": "B"}
    assert problem(tmp_path, row).prompt == "P?"
    with pytest.raises(UserError, match='no column "prompt"'):
        problem(tmp_path, {"question": "Q?", "answer": "2", "verifier": "numeric"})
    named = {"family": "{subject}!", "language": "tongue.code"}
    row = {"question": "Q?", "answer": "2", "subject": "sums", "tongue": {"code": "zh"}}
    found = problem(tmp_path, row, columns=named)
    assert (found.family, found.language) == ("sums!", "zh")
    with pytest.raises(UserError, match='no column "subject"'):
        problem(tmp_path, {"question": "Q?", "answer": "2"}, columns={"family": "subject"})


def test_prompts_alone_where_no_answer_is_compared(tmp_path) -> None:
    for row, expected in (
        ({"instruction": "Do it.", "input": "Now.", "output": "x"}, "Do it.\n\nNow."),
        ({"instruction": "Do it.", "input": "", "output": "x"}, "Do it."),
        ({"question": "Q?", "answer": "x"}, "Q?"),
        ({"messages": turns((USER, "Q?"), (ASSISTANT, "x"))}, "Q?"),
        ({"conversations": turns(("human", "Q?"), ("gpt", "x"), names=("from", "value"))}, "Q?"),
    ):
        found = problem(tmp_path, row, verifier="none")
        assert (found.prompt, found.reference) == (expected, None)


TEMPLATES = {
    "{instruction}\n{input}": "Sort.\n3 1",
    "Question: {instruction}\n\n{a.b} of {{x}}": "Question: Sort.\n\n7 of {x}",
    "{instruction}\n{options}": "Sort.\nA) one\nB) two",
    "{instruction}\n{nothing}": "Sort.",
    "{}Say hello.": "Say hello.",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_prompt_made_of_columns(tmp_path, template) -> None:
    row = {"instruction": "Sort.", "input": "3 1", "a": {"b": 7}, "options": ["one", "two"],
           "nothing": None, "answer": "1 3"}  # fmt: skip
    columns = {"prompt": template, "reference": "{answer}!"}
    found = problem(tmp_path, row, columns=columns, verifier="exact")
    assert (found.prompt, found.reference) == (TEMPLATES[template], "1 3!")
    examples = {"prompt": template, "response": "{answer}!"}
    source = validate({**write(tmp_path, row), "columns": examples}, ExampleSource, "source")
    (example,) = conversations(source, tmp_path)
    assert example.turns == tuple(turns((USER, TEMPLATES[template]), (ASSISTANT, "1 3!")))
    pairs = {"prompt": template, "chosen": "{answer}", "rejected": "{}no"}
    source = validate({**write(tmp_path, row), "columns": pairs}, PreferenceSource, "source")
    (pair,) = load_preferences(source, "pairs", tmp_path).items
    assert (pair.prompt, pair.chosen, pair.rejected) == (TEMPLATES[template], "1 3", "no")


def test_few_shots_are_a_prompt_made_of_columns(tmp_path) -> None:
    shots = "Q: 1 + 1?\nA: 2\n\nQ: {question}\nA:"
    found = problem(
        tmp_path, {"question": "2 + 3?", "answer": "5"},
        columns={"prompt": shots, "reference": "answer"},
    )  # fmt: skip
    assert found.prompt == "Q: 1 + 1?\nA: 2\n\nQ: 2 + 3?\nA:"


def test_columns_that_a_text_cannot_be_made_of(tmp_path) -> None:
    row = {"question": "Q?", "answer": "5", "flag": True}
    for prompt, reason in (
        ("{questoin}", 'no column "questoin"'),
        ("{flag}", "flag is True"),
        ("{question", "a lone '{'"),
        ("question}", "a lone '}'"),
    ):
        with pytest.raises(UserError, match=reason):
            problem(tmp_path, row, columns={"prompt": prompt, "reference": "answer"})


# --- dialogues -------------------------------------------------------------------------------


DIALOGUE = [(SYSTEM, "Be brief."), (USER, "Hi"), (ASSISTANT, "Hello"), (USER, "2 + 3?")]


def test_a_prompt_of_several_turns(tmp_path) -> None:
    found = problem(tmp_path, {"prompt": turns(*DIALOGUE), "reference": "5"})
    assert (found.prompt, found.earlier) == ("2 + 3?", tuple(DIALOGUE[:-1]))
    assert found.dialogue.startswith("System: Be brief.\n\nUser: Hi")
    other = problem(tmp_path, {"prompt": turns(*DIALOGUE[1:]), "reference": "5"})
    assert other.id != found.id
    for last in ((ASSISTANT, "so"), (SYSTEM, "x"), ("tool", "x")):
        with pytest.raises(UserError, match="it must end with a user turn"):
            problem(tmp_path, {"prompt": turns(*DIALOGUE, last), "reference": "5"})


EXAMPLES = {
    "messages": {"messages": turns(*DIALOGUE, (ASSISTANT, "5"))},
    "messages as text": {"messages": json.dumps(turns(*DIALOGUE, (ASSISTANT, "5")))},
    "sharegpt": {
        "system": "Be brief.",
        "conversations": turns(
            ("human", "Hi"), ("gpt", "Hello"), ("human", "2 + 3?"), ("gpt", "5"),
            names=("from", "value"),
        ),
    },
    "trl": {"prompt": turns(*DIALOGUE), "completion": turns((ASSISTANT, "5"))},
    "alpaca with history": {
        "system": "Be brief.",
        "instruction": "2 + 3?",
        "input": "",
        "output": "5",
        "history": [["Hi", "Hello"]],
    },
    "written by r1": {
        "earlier": json.dumps(turns(*DIALOGUE[:-1])), "prompt": "2 + 3?", "response": "5",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_in_a_known_layout(tmp_path, name) -> None:
    source = ExampleSource(**write(tmp_path, EXAMPLES[name]))
    assert check_sources([source], tmp_path) == []
    (found,) = conversations(source, tmp_path)
    assert found.turns == tuple(turns(*DIALOGUE, (ASSISTANT, "5")))


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Q?", "input": "", "output": "a"},
        {"instruction": "Q?", "context": "", "response": "a"},
        {"prompt": "Q?", "completion": "a"},
        {"question": "Q?", "answer": "a"},
        {"problem": "Q?", "solution": "a", "answer": "b"},
        {"query": "Q?", "response": "a"},
    ],
    ids=lambda row: "-".join(row),
)
def test_a_single_question_in_a_known_layout(tmp_path, row) -> None:
    (found,) = conversations(ExampleSource(**write(tmp_path, row)), tmp_path)
    assert found.turns == tuple(turns((USER, "Q?"), (ASSISTANT, "a")))


HUMAN = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: 2 + 3?\n\nAssistant:"
TALK = DIALOGUE[1:]
PAIRS = {
    "prompt as turns": {
        "prompt": turns(*TALK), "chosen": turns((ASSISTANT, "5")), "rejected": "6",
    },
    "ultrafeedback": {
        "chosen": turns(*TALK, (ASSISTANT, "5")), "rejected": turns(*TALK, (ASSISTANT, "6")),
    },
    "hh-rlhf": {"chosen": f"{HUMAN} 5", "rejected": f"{HUMAN} 6"},
    "sharegpt": {
        "conversations": turns(
            ("human", "Hi"), ("gpt", "Hello"), ("human", "2 + 3?"), names=("from", "value")
        ),
        "chosen": {"from": "gpt", "value": "5"},
        "rejected": {"from": "gpt", "value": "6"},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_in_a_known_layout(tmp_path, name) -> None:
    source = PreferenceSource(**write(tmp_path, PAIRS[name]))
    (pair,) = load_preferences(source, "pairs", tmp_path).items
    assert (pair.earlier, pair.prompt) == (tuple(TALK[:-1]), "2 + 3?")
    assert (pair.chosen, pair.rejected) == ("5", "6")


def test_a_pair_with_a_system_prompt(tmp_path) -> None:
    row = {"system": "Be brief.", "question": "Q?", "chosen": "a", "rejected": "b"}
    (pair,) = load_preferences(PreferenceSource(**write(tmp_path, row)), "pairs", tmp_path).items
    assert (pair.earlier, pair.prompt) == (((SYSTEM, "Be brief."),), "Q?")


ASKED = [{"role": USER, "content": "Q?"}]


def answered(text: str) -> list[dict[str, str]]:
    return [*ASKED, {"role": ASSISTANT, "content": text}]


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("pairs", {"chosen": answered("a"), "rejected": answered("b")}),
        ("pairs", {"prompt": "Q?", "chosen": answered("a"), "rejected": answered("b")}),
        ("labels", {"prompt": "Q?", "response": answered("a"), "label": True}),
        ("labels", {"prompt": ASKED, "response": "a", "label": True}),
    ],
)
def test_a_rows_system_prompt_is_read_wherever_the_question_stands(tmp_path, form, row) -> None:
    values = write(tmp_path, {"system": "Be brief.", **row})
    (found,) = load_preferences(PreferenceSource(**values), form, tmp_path).items
    assert (found.earlier, found.prompt) == (((SYSTEM, "Be brief."),), "Q?")


def test_pairs_that_answer_different_prompts_are_refused_or_dropped(tmp_path) -> None:
    good = {"chosen": f"{HUMAN} 5", "rejected": f"{HUMAN} 6"}
    odd = {"chosen": f"{HUMAN} 5", "rejected": f"{HUMAN.replace('Hello', 'Hey')} 6"}
    values = write(tmp_path, good, odd)
    with pytest.raises(UserError, match="row 2: what rejected answers is not the prompt"):
        load_preferences(PreferenceSource(**values), "pairs", tmp_path)
    dropping = PreferenceSource(**values, unusable="drop")
    assert load_preferences(dropping, "pairs", tmp_path).dropped == {"different prompts": 1}


def test_a_labelled_response_to_a_dialogue(tmp_path) -> None:
    row = {"prompt": turns(*DIALOGUE), "response": "5", "label": "safe"}
    (found,) = load_preferences(PreferenceSource(**write(tmp_path, row)), "labels", tmp_path).items
    assert (found.earlier, found.prompt) == (tuple(DIALOGUE[:-1]), "2 + 3?")


UNUSABLE = {
    "reference is null": {"question": "Q?", **LETTERS},
    "40 options; there are letters for 26": {
        "question": "Q?", "choices": [f"c{n}" for n in range(40)], "answer": 30,
    },
    "options are": {"question": "Q?", "choices": ["w", None], "answer": 0},
}  # fmt: skip


@pytest.mark.parametrize("reason", UNUSABLE)
def test_a_question_that_cannot_be_lettered_is_a_faulty_row(tmp_path, reason) -> None:
    rows = [{"question": "Q?", **LETTERS, "answer": "B"}, UNUSABLE[reason]]
    if "choices" in rows[1]:
        rows[0] = {"question": "Q?", "choices": ["w", "x"], "answer": "B"}
    values = write(tmp_path, *rows)
    with pytest.raises(UserError, match=f"row 2: {reason}"):
        load_problems(SourceSettings(**values), tmp_path, check_reference)
    dropping = SourceSettings(**values, unusable="drop")
    assert len(load_problems(dropping, tmp_path, check_reference)) == 1


@pytest.mark.parametrize(("answer", "reference"), [("1", "B"), (1.0, "B"), ("٠", "A")])
def test_an_option_s_number_in_any_form(tmp_path, answer, reference) -> None:
    row = {"question": "Q?", "choices": ["w", "x"], "answer": answer}
    assert problem(tmp_path, row).reference == reference


def test_a_digit_that_is_no_number_is_no_option_s_number(tmp_path) -> None:
    row = {"question": "Q?", "choices": ["5 m", "5 m²"], "answer": "²"}
    with pytest.raises(UserError, match="row 1: reference '²' is no letter"):
        problem(tmp_path, row)


def test_more_options_than_letters_in_a_text_of_columns(tmp_path) -> None:
    row = {"q": "Q?", "options": ["x"] * 27, "reference": "5"}
    with pytest.raises(UserError, match="row 1: 27 options; there are letters for 26"):
        problem(tmp_path, row, columns={"prompt": "{q}\n{options}"})


@pytest.mark.parametrize(
    ("value", "text"), [(42.0, "42"), (-3.0, "-3"), (42.5, "42.5"), (1e22, "1e+22")]
)
def test_a_whole_number_that_a_table_holds_as_a_float(tmp_path, value, text) -> None:
    """pandas writes a column of whole numbers with a null as floats."""
    row = {"prompt": "Q?", "reference": value, "name": value}
    found = problem(tmp_path, row, verifier="exact", columns={"prompt": "{name}?"})
    assert (found.reference, found.prompt) == (text, f"{text}?")
