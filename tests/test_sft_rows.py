"""Examples from files: formats, mappings, and a reason for every row that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1.config import validate
from r1.errors import UserError
from r1.sft.encode import ConversationEncoder
from r1.sft.examples import check_sources, encode_sources
from r1.sft.read import check_source, conversations
from r1.sft.settings import ExampleSettings, ExampleSource
from r1.template import ChatTemplateSettings
from sft_data import chat_tokenizer, turns
from small_recipe import write_jsonl

GOOD = {"messages": turns("a", "b")}


def source(path: Path, **settings) -> ExampleSource:
    return validate({"path": str(path), **settings}, ExampleSource, "source")


def contents(found) -> list[list[tuple[str, str]]]:
    return [[(turn["role"], turn["content"]) for turn in c.turns] for c in found]


def read(path: Path, **settings) -> list[list[tuple[str, str]]]:
    chosen = source(path, **settings)
    check_source(chosen, Path())
    return contents(conversations(chosen, Path()))


def test_formats_agree(tmp_path) -> None:
    rows = [{"id": n, "messages": turns(f"q{n}", f"a{n}", "more", "done")} for n in range(5)]
    jsonl = write_jsonl(tmp_path / "a.jsonl", rows)
    (tmp_path / "table").mkdir()
    pq.write_table(pa.Table.from_pylist(rows[:3]), tmp_path / "table" / "0.parquet")
    pq.write_table(pa.Table.from_pylist(rows[3:]), tmp_path / "table" / "1.parquet")
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "saved"))
    expected = [
        [("user", f"q{n}"), ("assistant", f"a{n}"), ("user", "more"), ("assistant", "done")]
        for n in range(5)
    ]
    assert read(jsonl) == expected
    assert read(tmp_path / "table", kind="parquet") == expected
    assert read(tmp_path / "saved") == expected
    assert read(jsonl, limit=2) == expected[:2]


def test_prompt_and_response_columns(tmp_path) -> None:
    rows = [{"problem": "q", "solution": "a", "hint": "s"}]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    columns = {"prompt": "problem", "response": "solution"}
    assert read(path, columns=columns) == [[("user", "q"), ("assistant", "a")]]
    with_system = read(path, columns={**columns, "system": "hint"})
    assert with_system == [[("system", "s"), ("user", "q"), ("assistant", "a")]]


def test_prompt_and_response_as_turns(tmp_path) -> None:
    rows = [{"prompt": turns("a", "b", "c"), "response": [{"role": "assistant", "content": "d"}]}]
    found = read(write_jsonl(tmp_path / "a.jsonl", rows))
    assert [content for _, content in found[0]] == ["a", "b", "c", "d"]


def test_sharegpt(tmp_path) -> None:
    said = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    path = write_jsonl(tmp_path / "a.jsonl", [{"conversations": said}])
    columns = {"messages": "conversations", "role": "from", "content": "value"}
    found = read(path, columns=columns, roles={"human": "user", "gpt": "assistant"})
    assert found == [[("user", "q"), ("assistant", "a")]]


def test_text_parts_and_whatever_else_a_turn_holds(tmp_path) -> None:
    parts = [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]
    turn = {"role": "assistant", "content": parts, "reasoning_content": "r", "name": None}
    path = write_jsonl(tmp_path / "a.jsonl", [{"messages": [*turns("a"), turn]}])
    [found] = conversations(source(path), Path())
    assert found.turns[1] == {"role": "assistant", "content": "bc", "reasoning_content": "r"}


FAULTS = [
    ({"messages": turns("a")}, "no assistant turn"),
    ({"messages": turns("a", "b", "c")}, "ends with a user turn"),
    ({"messages": turns("a", " \n")}, "the response is empty (turn 2)"),
    ({"messages": turns("", "b")}, "the prompt is empty (turn 1)"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "role 'robot' is unknown"),
    ({"messages": [{"from": "human", "value": "x"}]}, "no assistant turn"),
    ({"messages": [{"by": "human", "text": "x"}]}, 'turn 1 has no "role" (it has by, text)'),
    ({"messages": [{"role": "user", "text": "x"}]}, "content is null"),
    ({"messages": [{"role": "user", "content": 7}]}, "content is 7 (a int)"),
    ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "no text"),
    ({"messages": ["hello"]}, "turn 1 is 'hello'"),
    ({"messages": []}, "messages is empty"),
    ({"messages": "hello"}, "must be a list of turns"),
    ({"messages": None}, "messages is null"),
    ({"text": "x"}, 'no column "messages"'),
    ({"messages": turns("a", "b")[1:]}, "begins with an assistant turn"),
    ({"messages": [*turns("a", "b"), {"role": "system", "content": "s"}, *turns("c", "d")]},
     "turn 3 is by the system"),
    ({"messages": turns("a", "b"), "id": 1.5}, "id is 1.5"),
    ({"messages": turns("a", "b"), "id": "one"}, "id 'one' is also the id of row 1"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "reason"), FAULTS, ids=[reason for _, reason in FAULTS])
def test_a_bad_row_is_named_with_its_reason(tmp_path, row, reason) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{**GOOD, "id": "one"}, row])
    with pytest.raises(UserError) as refused:
        check_source(source(path), Path())
    assert f"{path}: 1 row cannot be used" in str(refused.value)
    assert "row 2: " in str(refused.value)
    assert reason in str(refused.value)


def test_every_bad_row_is_counted_and_ten_are_shown(tmp_path) -> None:
    path = write_jsonl(
        tmp_path / "a.jsonl", [GOOD, *[{"messages": [{"role": f"r{n}"}]} for n in range(12)], "[]"]
    )
    with pytest.raises(UserError) as refused:
        check_source(source(path), Path())
    lines = str(refused.value).splitlines()
    assert "13 rows" in lines[0]
    assert len(lines) == 13
    assert "and 3 more" in lines[-2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("[{}]", "the columns are: none"),
        ("{broken\n", "not JSON at column"),
        ('{"turns": []}\n', 'columns = { messages = "turns" }'),
        ('{"question": "a", "target": "b"}\n', 'prompt = "question", response = "target"'),
        ('{"prompt": "a", "output": "b"}\n', 'columns = { response = "output" }'),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, text, reason) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(UserError) as refused:
        check_source(source(tmp_path / "a.jsonl"), Path())
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"path": "a.txt"}, "are not read"),
        ({"path": "a.jsonl", "split": "train"}, '"split" means nothing'),
        ({"path": "a.jsonl", "num": 3}, '"num" means nothing'),
        ({"kind": "jsonl"}, 'needs "path"'),
        ({"kind": "tiny"}, 'split = "train"'),
        ({"path": "a.jsonl", "roles": {"gpt": "bot"}}, "roles translates into 'bot'"),
        ({"path": "a.jsonl", "columns": {"messages": "m", "prompt": "p"}}, "not both"),
        ({"path": "a.jsonl", "colums": {}}, "columns"),
    ],
)
def test_a_source_that_cannot_be_meant(settings, reason) -> None:
    with pytest.raises(UserError, match="source:") as refused:
        validate(settings, ExampleSource, "source")
    assert reason in str(refused.value)


def test_repeats_are_told_of(tmp_path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [GOOD, GOOD, {"messages": turns("a", "c")}])
    assert check_sources([source(path)], Path()) == [f"{path}: 1 of 3 examples repeat another one."]


def encode(path: Path, max_tokens: int, **settings):
    encoder = ConversationEncoder(
        chat_tokenizer(), ChatTemplateSettings(), ExampleSettings(**settings)
    )
    return encode_sources([source(path)], Path(), encoder, max_tokens)


def test_overlong(tmp_path) -> None:
    """18 bytes of frame, the contents and <eos>: 21 tokens and 31."""
    rows = [{"messages": turns("a", "b")}, {"messages": turns("a", "b" * 11)}]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    lengths = encode(path, 100).lengths.tolist()
    assert lengths[1] == lengths[0] + 10
    with pytest.raises(UserError) as refused:
        encode(path, lengths[0])
    assert f"row 2: {lengths[1]} tokens, above the limit of {lengths[0]}" in str(refused.value)
    dropped = encode(path, lengths[0], overlong="drop")
    assert (dropped.lengths.tolist(), dropped.counts["dropped"]) == ([lengths[0]], 1)
    cut = encode(path, lengths[0] + 1, overlong="truncate")
    assert (cut.lengths.tolist(), cut.counts["truncated"]) == ([lengths[0], lengths[0] + 1], 1)
    assert cut.part([1]).num_learnt == cut.part([0]).num_learnt + 1
    with pytest.raises(UserError, match="every example is longer"):
        encode(path, 5, overlong="truncate")


def test_the_fingerprint_is_of_tokens_and_of_what_is_learnt(tmp_path) -> None:
    def fingerprint(rows, **settings) -> str:
        path = write_jsonl(tmp_path / "a.jsonl", rows)
        return encode(path, 100, **settings).fingerprint()

    rows = [{"messages": turns("a", "b", "c", "d")}]
    assert fingerprint(rows) == fingerprint(rows)
    assert fingerprint(rows) != fingerprint([{"messages": turns("a", "b", "c", "e")}])
    assert fingerprint(rows) != fingerprint(rows, turns="last")


def test_the_tiny_world_s_answers_are_right_and_in_one_language() -> None:
    from r1.data.tiny.problems import make_problems
    from r1.template import parse

    drawn = ExampleSource(kind="tiny", split="train", num=12, seed=3)
    found = list(conversations(drawn, Path()))
    assert contents(found) == contents(conversations(drawn, Path()))
    assert len(found) == 12
    chinese = 0
    for conversation in found:
        question, response = (turn["content"] for turn in conversation.turns)
        assert parse(response).answer_strict is not None
        is_chinese = any("\u4e00" <= c <= "\u9fff" or c == "？" for c in question)
        assert any("\u4e00" <= c <= "\u9fff" for c in response) == is_chinese
        chinese += is_chinese
        if "?" in question and "cup" not in question:
            expression = question.replace("What is", "").replace("=", "").strip(" ?")
            assert int(parse(response).answer_strict) == eval(expression)
    assert chinese == 6
    heldout = {problem.prompt for problem in make_problems("heldout", num=50)}
    assert not heldout & {c.turns[0]["content"] for c in found}
    assert json.dumps(contents(found))
