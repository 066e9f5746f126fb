"""Nothing of the data is lost in silence: it is learnt, dropped and counted, or refused."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1.config import validate
from r1.curation.conversations import count_conversations, read_conversations
from r1.data.load import load_data, load_problems
from r1.data.rows import RowError
from r1.data.settings import DataSettings, SourceSettings
from r1.data.thinking import APART, response_of, thinking_of
from r1.errors import UserError
from r1.preferences.read import load_preferences
from r1.preferences.source import PreferenceSource
from r1.reward_model.encode import ResponseEncoder, encode_preferences
from r1.reward_model.settings import RewardLossSettings
from r1.rewards.accuracy import check_reference
from r1.sft.encode import ConversationEncoder
from r1.sft.examples import check_sources
from r1.sft.read import conversations
from r1.sft.settings import ExampleSettings, ExampleSource
from r1.template import ChatTemplateSettings, TemplateSettings
from sft_data import PLAIN_CHAT, chat_tokenizer
from small_recipe import write_jsonl

THINKING_CHAT = PLAIN_CHAT.replace(
    "{{ m.content }}", "{% if m.reasoning_content %}{{ m.reasoning_content }};{% endif %}"
    "{{ m.content }}",
)  # fmt: skip
USER = {"role": "user", "content": "1 + 1?"}


def learnt(folder: Path, row: dict, template: Any, chat: str = PLAIN_CHAT, **more: Any) -> str:
    """The text that an example's learnt tokens stand for; RowError where it is refused."""
    write_jsonl(folder / "rows.jsonl", [row])
    source = validate({"path": "rows.jsonl", **more}, ExampleSource, "source")
    tokenizer = chat_tokenizer(chat)
    found = list(conversations(source, folder))
    (encoded,) = ConversationEncoder(tokenizer, template, ExampleSettings()).encode(found)
    if isinstance(encoded, RowError):
        raise encoded
    pairs = zip(encoded.token_ids, encoded.learnt, strict=True)
    return tokenizer.decode([token for token, is_learnt in pairs if is_learnt])


@pytest.mark.parametrize("key", APART)
def test_thinking_kept_apart_is_learnt(tmp_path, key) -> None:
    row = {"messages": [USER, {"role": "assistant", key: "one and one", "content": "2"}]}
    table_1 = learnt(tmp_path, row, TemplateSettings(kind="r1_zero"))
    assert table_1.strip() == "<think>\none and one\n</think>\n<answer>2</answer><eos>"
    plain = learnt(tmp_path, row, TemplateSettings(kind="plain"))
    assert plain.strip() == "<think>\none and one\n</think>\n\n2<eos>"


def test_a_row_s_own_thinking_column_is_learnt(tmp_path) -> None:
    row = {"prompt": "1 + 1?", "response": "2", "reasoning_content": "one and one"}
    assert "one and one" in learnt(tmp_path, row, TemplateSettings(kind="plain"))


def test_a_chat_template_that_leaves_thinking_out_is_refused(tmp_path) -> None:
    chat = ChatTemplateSettings(kind="chat")
    for key in APART:
        row = {"messages": [USER, {"role": "assistant", key: "one and one", "content": "2"}]}
        with pytest.raises(RowError, match=f"leaves out the {key}"):
            learnt(tmp_path, row, chat)
    row = {"messages": [USER, {"role": "assistant", "reasoning_content": "by", "content": "2"}]}
    assert learnt(tmp_path, row, chat, THINKING_CHAT).startswith("by;2")


def test_calls_of_tools_that_would_be_left_out_are_refused(tmp_path) -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": "{}"}}
    row = {"messages": [USER, {"role": "assistant", "content": "I ask.", "tool_calls": [call]}]}
    for template in (TemplateSettings(kind="plain"), ChatTemplateSettings(kind="chat")):
        with pytest.raises(RowError, match="tool_calls of turn 2 are left out"):
            learnt(tmp_path, row, template)


@pytest.mark.parametrize("mark", [{"weight": 0}, {"train": False}, {"loss_weight": 0.5}])
def test_turns_that_are_not_to_be_learnt_are_refused(tmp_path, mark) -> None:
    row = {"messages": [USER, {"role": "assistant", "content": "2", **mark}]}
    with pytest.raises(UserError, match="row 1"):
        learnt(tmp_path, row, TemplateSettings(kind="plain"))


THINKING = [
    # (turn, its thinking; None where there is none, ... where it is refused)
    ({"content": "2"}, None),
    ({"content": "2", "reasoning_content": "  "}, None),
    ({"content": "2", "reasoning_content": "a", "reasoning": "a "}, "a"),
    ({"content": "<think>a</think>2", "reasoning_content": "a"}, None),
    ({"content": "<think>a</think>2", "reasoning_content": "b"}, ...),
    ({"content": "2", "reasoning_content": "a", "thinking": "b"}, ...),
    ({"content": "2", "reasoning_content": ["a"]}, ...),
    ({"content": "2", "thinking": True}, ...),
]


@pytest.mark.parametrize(("turn", "wanted"), THINKING)
def test_thinking_of_a_turn(turn, wanted) -> None:
    if wanted is ...:
        with pytest.raises(RowError):
            thinking_of(turn)
    else:
        assert thinking_of(turn) == wanted


def test_stages_that_write_data_keep_thinking(tmp_path) -> None:
    turn = {"role": "assistant", "reasoning_content": "one", "content": "2"}
    assert response_of(turn) == "<think>\none\n</think>\n\n2"
    write_jsonl(tmp_path / "mixed.jsonl", [{"messages": [USER, turn]}])
    [(_, found)] = read_conversations("mixed.jsonl", tmp_path)
    assert found.turns[1] == ("assistant", "<think>\none\n</think>\n\n2")


def prompt_of(folder: Path, row: dict, **columns: str) -> str:
    write_jsonl(folder / "rows.jsonl", [row])
    source = validate({"path": "rows.jsonl", "columns": columns}, ExampleSource, "source")
    (found,) = conversations(source, folder)
    return found.turns[-2]["content"]


def test_the_second_part_of_an_instruction_is_learnt_from(tmp_path) -> None:
    alpaca = {"instruction": "Translate.", "input": "Katze", "output": "cat"}
    named = {"prompt": "instruction", "response": "output"}
    assert prompt_of(tmp_path, alpaca, **named) == "Translate.\n\nKatze"
    assert prompt_of(tmp_path, {**alpaca, "input": ""}, **named) == "Translate."
    assert prompt_of(tmp_path, alpaca, **named, input="") == "Translate."
    dolly = {"instruction": "Say.", "context": "Rain.", "response": "It rains."}
    assert prompt_of(tmp_path, dolly, prompt="instruction") == "Say.\n\nRain."
    asked = {"question": "Who?", "passage": "Ann came.", "answer": "Ann"}
    columns = {"prompt": "question", "input": "passage", "response": "answer"}
    assert prompt_of(tmp_path, asked, **columns) == "Who?\n\nAnn came."
    write_jsonl(tmp_path / "rows.jsonl", [{**alpaca, "input": 7}])
    source = validate({"path": "rows.jsonl", "columns": named}, ExampleSource, "source")
    with pytest.raises(UserError, match="input is 7"):
        check_sources([source], tmp_path)


def test_the_advice_for_a_file_of_instructions_names_its_input(tmp_path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", [{"instruction": "a", "input": "b", "target": "c"}])
    with pytest.raises(UserError) as refused:
        check_sources([validate({"path": "rows.jsonl"}, ExampleSource, "source")], tmp_path)
    advice = 'columns = { prompt = "instruction", input = "input", response = "target" }'
    assert advice in str(refused.value)


def test_columns_that_are_not_learnt_from_are_named(tmp_path) -> None:
    row = {"prompt": "a", "response": "b", "reasoning": "c", "context": "d", "id": "e"}
    write_jsonl(tmp_path / "rows.jsonl", [row])
    (notice,) = check_sources([validate({"path": "rows.jsonl"}, ExampleSource, "s")], tmp_path)
    assert "not learnt from: reasoning, context" in notice


PAIRS = [{"prompt": f"{n}?", "chosen": f"<think>.</think>{n}", "rejected": "no"} for n in range(4)]
USELESS = [
    ({"prompt": "p", "chosen": "<think>a</think>7", "rejected": "<think>b</think>7"}, "equal"),
    ({"prompt": "p", "chosen": "<think>for ever", "rejected": "7"}, "nothing after the thinking"),
    ({"prompt": "p", "chosen": "a", "rejected": "<think>only</think> "}, "nothing after"),
    ({"prompt": "p" * 300, "chosen": "a", "rejected": "b"}, "the prompt fills"),
    ({"prompt": "p", "chosen": "x" * 90 + "1" + "x" * 90, "rejected": "x" * 181}, "equal once cut"),
]


@pytest.mark.parametrize(("row", "reason"), USELESS, ids=[r for _, r in USELESS])
def test_reward_models_hear_drop(tmp_path, row, reason) -> None:
    write_jsonl(tmp_path / "pairs.jsonl", [*PAIRS, row])
    encoder = ResponseEncoder(chat_tokenizer(), TemplateSettings(kind="plain"), "answer", 80)

    def encoded(unusable: str, overlong: str) -> Any:
        source = validate(
            {"path": "pairs.jsonl", "unusable": unusable}, PreferenceSource, "recipe.toml"
        )
        read = load_preferences(source, "pairs", tmp_path)
        return encode_preferences([read], encoder, RewardLossSettings(), overlong)

    with pytest.raises(UserError, match=r"row 5: [\s\S]*unusable = \"drop\""):
        encoded("refuse", "cut")
    kept = encoded("drop", "cut")
    assert len(kept.items) == 4
    assert any(f"1 rows were dropped ({reason}" in notice for notice in kept.notices())
    if "fills" in reason or "cut" in reason:
        assert encoded("refuse", "drop").counts["dropped"] == 1
    write_jsonl(tmp_path / "pairs.jsonl", [row])
    with pytest.raises(UserError, match="every row was dropped"):
        encoded("drop", "cut")


GOOD = [{"prompt": "2 + 3?", "reference": "5"}, {"prompt": "4 + 3?", "reference": "7"}]
FAULTY = [
    ({"prompt": "a?", "reference": "see \\ref{a} \\begin{tikz}"}, "cannot be read"),
    ({"prompt": "a?", "reference": ""}, "reference is empty"),
    ({"prompt": "a?", "reference": None}, "reference is null"),
    ({"prompt": " ", "reference": "1"}, "prompt is empty"),
    ({"prompt": None, "reference": "1"}, "prompt is null"),
    ({"prompt": "a?"}, 'no column "reference"'),
    ({"prompt": "a?", "reference": "1", "verifier": "mth"}, "mth"),
    ({"prompt": "a?", "reference": "1", "metadata": 3}, "metadata is 3"),
    ({"prompt": "long " * 50, "reference": "1"}, "too long"),
]


@pytest.mark.parametrize(("row", "reason"), FAULTY, ids=[r for _, r in FAULTY])
def test_problems_that_cannot_be_used_are_dropped_where_asked(
    tmp_path, caplog, row, reason
) -> None:
    write_jsonl(tmp_path / "train.jsonl", [GOOD[0], row, GOOD[1]])

    def load(unusable: str) -> list[str]:
        source = SourceSettings(path="train.jsonl", unusable=unusable)
        data = DataSettings(train=(source,), decontaminate=False)
        fits = lambda problem: "too long" if len(problem.prompt) > 100 else None  # noqa: E731
        pools = load_data(data, tmp_path, check_reference, fits).pools
        return [problem.prompt for problem in pools[0]]

    with pytest.raises(UserError, match=r"row 2: [\s\S]*unusable = \"drop\""):
        load("refuse")
    with caplog.at_level(logging.WARNING):
        assert load("drop") == ["2 + 3?", "4 + 3?"]
    assert "1 row dropped" in caplog.text
    assert reason in caplog.text
    write_jsonl(tmp_path / "train.jsonl", [row])
    with pytest.raises(UserError, match=r"every row was dropped|no column"):
        load("drop")


def test_repeated_ids_are_dropped_where_asked(tmp_path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{**GOOD[0], "id": "x"}, {**GOOD[1], "id": "x"}])
    source = SourceSettings(path="a.jsonl", unusable="drop")
    assert [p.prompt for p in load_problems(source, tmp_path)] == ["2 + 3?"]


INSTRUCTED = [
    {"instruction": "Name a colour.", "output": "Red."},
    {"instruction": "And now?", "output": "Blue.", "input": "the sky", "history": [["Hi", "Hey"]]},
]


@pytest.mark.parametrize("kind", ["jsonl", "json", "python"])
def test_a_key_that_the_first_row_lacks_is_read_all_the_same(tmp_path, kind) -> None:
    path = tmp_path / f"rows.{kind}"
    if kind == "python":
        (tmp_path / "rows.py").write_text(f"def rows():\n    return {INSTRUCTED!r}\n")
    elif kind == "json":
        path.write_text(json.dumps(INSTRUCTED))
    else:
        write_jsonl(path, INSTRUCTED)
    name = "rows.py:rows" if kind == "python" else path.name
    first, second = conversations(ExampleSource(path=name), tmp_path)
    assert [turn["content"] for turn in first.turns] == ["Name a colour.", "Red."]
    assert [turn["content"] for turn in second.turns] == [
        "Hi", "Hey", "And now?\n\nthe sky", "Blue.",
    ]  # fmt: skip


def test_a_later_row_s_unread_thinking_is_told(tmp_path) -> None:
    rows = [{"prompt": "q", "response": "r"}, {"prompt": "p", "response": "s", "rationale": "why"}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    (notice,) = check_sources([ExampleSource(path="rows.jsonl")], tmp_path)
    assert "not learnt from: rationale" in notice


def test_problems_with_an_input_in_later_rows_only(tmp_path) -> None:
    rows = [{key: row[key] for key in ("instruction", "input") if key in row} for row in INSTRUCTED]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    source = SourceSettings(path="rows.jsonl", verifier="none")
    prompts = [problem.prompt for problem in load_problems(source, tmp_path, check_reference)]
    assert prompts == ["Name a colour.", "And now?\n\nthe sky"]


def test_a_column_of_a_later_parquet_file_is_read(tmp_path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    for number, row in enumerate(INSTRUCTED):
        pq.write_table(pa.Table.from_pylist([row]), folder / f"{number}.parquet")
    source = ExampleSource(kind="parquet", path="rows")
    _, second = conversations(source, tmp_path)
    assert second.turns[2]["content"] == "And now?\n\nthe sky"


def test_no_more_rows_are_looked_at_than_the_limit_says(tmp_path) -> None:
    (tmp_path / "endless.py").write_text(
        "def rows():\n    while True:\n        yield {'prompt': 'q', 'response': 'r'}\n"
    )
    source = ExampleSource(path="endless.py:rows", limit=2)
    assert len(list(conversations(source, tmp_path))) == 2


def test_a_file_of_keys_that_are_no_columns_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("r1.data.opened.MAX_COLUMNS", 5)
    write_jsonl(tmp_path / "rows.jsonl", [{f"name {n}": 1} for n in range(9)])
    with pytest.raises(UserError, match="the first 6 rows have more than 5 different keys"):
        list(conversations(ExampleSource(path="rows.jsonl"), tmp_path))


def test_the_input_of_an_instruction_is_in_its_pair(tmp_path) -> None:
    rows = [
        {"instruction": "Name one.", "chosen": "a", "rejected": "b"},
        {"instruction": "Translate.", "input": "hola", "chosen": "hello", "rejected": "bye",
         "history": [["Hi", "Hey"]]},
    ]  # fmt: skip
    write_jsonl(tmp_path / "rows.jsonl", rows)
    found = load_preferences(PreferenceSource(path="rows.jsonl"), "pairs", tmp_path)
    assert [item.prompt for item in found.items] == ["Name one.", "Translate.\n\nhola"]
    assert found.notices() == [
        f"{tmp_path / 'rows.jsonl'}: not learnt from: history (columns that no setting of "
        "`columns` names)."
    ]
    alone = PreferenceSource(path="rows.jsonl", columns={"prompt": "{instruction}"})
    found = load_preferences(alone, "pairs", tmp_path)
    assert [item.prompt for item in found.items] == ["Name one.", "Translate."]
    assert "not learnt from: input, history" in found.notices()[0]


def test_the_context_of_an_instruction_is_in_its_labelled_row(tmp_path) -> None:
    row = {"instruction": "Translate.", "context": "hola", "response": "hello", "label": 1}
    write_jsonl(tmp_path / "rows.jsonl", [row])
    source = PreferenceSource(path="rows.jsonl", columns={"prompt": "instruction"})
    (found,) = load_preferences(source, "labels", tmp_path).items
    assert found.prompt == "Translate.\n\nhola"


HALF = "cut in two: \ud83d"
HALVES = {
    "problems": {"prompt": HALF, "reference": "1"},
    "metadata": {"prompt": "q", "reference": "1", "metadata": {"tests": [{"input": HALF}]}},
    "metadata as a text": {
        "prompt": "q", "reference": "1", "metadata": json.dumps({"tests": [HALF]}),
    },
    "examples": {"messages": [USER, {"role": "assistant", "content": HALF}]},
    "turns as a text": {"messages": json.dumps([USER, {"role": "assistant", "content": HALF}])},
    "pairs": {"prompt": "q", "chosen": HALF, "rejected": "r"},
}  # fmt: skip


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("kind", ["rows.jsonl", "rows.py:rows"])
def test_half_a_character_is_a_faulty_row(tmp_path, name, kind) -> None:
    """Every text is read in one place, before a tokenizer would end the run."""
    row = HALVES[name]
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (tmp_path / "rows.py").write_text(f"def rows():\n    yield {row!a}\n")
    refused = pytest.raises(UserError, match=r"row 1: \w+ holds half a character \(\\ud83d\)")
    with refused:
        if "reference" in row:
            load_problems(SourceSettings(path=kind), tmp_path, check_reference)
        elif "messages" in row:
            check_sources([ExampleSource(path=kind)], tmp_path)
        else:
            load_preferences(PreferenceSource(path=kind), "pairs", tmp_path)


def test_half_a_character_in_what_a_mixture_is_made_of(tmp_path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"prompt": "q", "response": HALF}))
    with pytest.raises(UserError, match=r"row 1: response holds half a character"):
        count_conversations("rows.jsonl", tmp_path)


def test_half_a_character_is_dropped_or_not_read(tmp_path) -> None:
    rows = [{"prompt": "q", "reference": "1", "note": HALF}, {"prompt": HALF, "reference": "1"}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = SourceSettings(path="rows.jsonl", unusable="drop")
    assert [p.prompt for p in load_problems(source, tmp_path, check_reference)] == ["q"]
