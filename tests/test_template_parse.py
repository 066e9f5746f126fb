"""The parser of responses tells well-formed from every malformed kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1.template import FormDefect, parse

GOOD = "<think>2+3=5</think> <answer>5</answer>"
MALFORMED = [
    ("", FormDefect.EMPTY),
    ("  \n", FormDefect.EMPTY),
    ("5", FormDefect.MISSING_THINK),
    ("<answer>5</answer>", FormDefect.MISSING_THINK),
    ("<answer>5", FormDefect.MISSING_THINK),
    ("<Think>a</Think> <answer>5</answer>", FormDefect.MISSING_THINK),
    ("<think>a", FormDefect.UNCLOSED_THINK),
    ("<think>a <answer>5</answer>", FormDefect.UNCLOSED_THINK),
    ("<think><think>a</think> <answer>5</answer>", FormDefect.UNCLOSED_THINK),
    ("a</think> <answer>5</answer>", FormDefect.UNOPENED_THINK),
    ("<think>a</think></think> <answer>5</answer>", FormDefect.UNOPENED_THINK),
    ("<think>a</think> 5", FormDefect.MISSING_ANSWER),
    ("<think>a</think>", FormDefect.MISSING_ANSWER),
    ("<think>a</think> <answer>5", FormDefect.UNCLOSED_ANSWER),
    ("<think>a</think> <answer>5<answer>", FormDefect.UNCLOSED_ANSWER),
    ("<think>a <answer>5</think> </answer>", FormDefect.UNCLOSED_ANSWER),
    ("<think>a</think> 5</answer>", FormDefect.UNOPENED_ANSWER),
    ("<think>a</think> <answer>5</answer></answer>", FormDefect.UNOPENED_ANSWER),
    ("<think>a <think>b</think></think> <answer>5</answer>", FormDefect.NESTED),
    ("<think>a <answer>5</answer></think>", FormDefect.NESTED),
    ("<think>a</think> <answer><answer>5</answer></answer>", FormDefect.NESTED),
    ("<think>a</think> <answer>5<think>b</think></answer>", FormDefect.NESTED),
    ("<think>a</think><think>b</think> <answer>5</answer>", FormDefect.REPEATED_THINK),
    ("<think>a</think> <answer>5</answer> <think>b</think>", FormDefect.REPEATED_THINK),
    ("<think>a</think> <answer>5</answer> <answer>6</answer>", FormDefect.SEVERAL_ANSWERS),
    ("<answer>5</answer> <think>a</think>", FormDefect.WRONG_ORDER),
    ("Well, " + GOOD, FormDefect.TEXT_BEFORE),
    ("<think>a</think> so <answer>5</answer>", FormDefect.TEXT_BETWEEN),
    (GOOD + " done", FormDefect.TEXT_AFTER),
    (GOOD + " User: next question", FormDefect.TEXT_AFTER),
    ("<think> \n</think> <answer>5</answer>", FormDefect.EMPTY_THINK),
    ("<think>a</think> <answer> </answer>", FormDefect.EMPTY_ANSWER),
]


@pytest.mark.parametrize(("text", "defect"), MALFORMED)
def test_malformed_kinds_are_told_apart(text: str, defect: FormDefect) -> None:
    parsed = parse(text)
    assert parsed.defect is defect
    assert parsed.answer_strict is None


def test_every_defect_has_an_example() -> None:
    assert {defect for _, defect in MALFORMED} == set(FormDefect)


@pytest.mark.parametrize(
    "text", [GOOD, "\n " + GOOD + "\n\n", "<think>2+3=5</think><answer>\n5 </answer>"]
)
def test_well_formed_with_space_around(text: str) -> None:
    assert parse(text) == ("2+3=5", "5", None)
    assert parse(text).answer_strict == "5"


def test_opened_prompt_supplies_the_first_tag() -> None:
    assert parse("a</think> <answer>5</answer>", opened=True) == ("a", "5", None)
    assert parse(GOOD, opened=True).defect is FormDefect.UNCLOSED_THINK
    assert parse("<answer>5</answer>", opened=True).defect is FormDefect.UNCLOSED_THINK


def test_best_guess_of_malformed_responses_is_kept_for_display() -> None:
    assert parse("<think>a</think> 5")[:2] == ("a", "5")
    assert parse("<think>a <answer>5</answer>")[:2] == ("a", "5")
    assert parse("<think>a</think> <answer>5")[:2] == ("a", "5")
    assert parse("<think>a")[:2] == ("a", None)
    assert parse("5")[:2] == (None, None)


TAGS = ["<think>", "</think>", "<answer>", "</answer>"]
PIECES = st.one_of(st.sampled_from([*TAGS, " ", "\n", "<", "</", "5", "<think"]), st.text())


@given(st.lists(PIECES, max_size=12).map("".join), st.booleans())
def test_never_raises_and_well_formed_means_one_shape(text: str, opened: bool) -> None:
    parsed = parse(text, opened)
    if parsed.defect is None:
        whole = "<think>" + text if opened else text
        assert [whole.count(tag) for tag in TAGS] == [1, 1, 1, 1]
        assert parsed.thinking
        assert parsed.answer
        rest = whole.replace(parsed.thinking, "", 1)
        assert "".join(rest.replace(parsed.answer, "", 1).split()) == "".join(TAGS)


BODY = st.text(min_size=1).filter(lambda s: s.strip() and not any(tag in s for tag in TAGS))
SPACE = st.text(alphabet=" \n\t", max_size=3)


@given(SPACE, BODY, SPACE, BODY, SPACE)
def test_built_from_pieces_always_parses(
    before: str, thinking: str, between: str, answer: str, after: str
) -> None:
    text = f"<think>{thinking}</think>{between}<answer>{answer}</answer>{after}"
    assert parse(before + text) == (thinking.strip(), answer.strip(), None)
    assert parse(text.removeprefix("<think>"), opened=True).defect is None


def test_long_hostile_texts_are_fast() -> None:
    for text in ("<think>" * 50_000, "</answer>" * 50_000, "<answer><think>" * 20_000 + GOOD):
        assert parse(text).defect is not None
