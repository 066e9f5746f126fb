"""Preference data: its forms, its faults with file, row and reason, and the tiny world's."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1.config import validate
from r1.data.tiny.dialogue import REFUSALS, THINGS, TO_DECLINE, WORDS
from r1.errors import UserError
from r1.preferences import tiny
from r1.preferences.read import load_preferences
from r1.preferences.source import PreferenceSource
from r1.preferences.types import Labelled, Pair
from r1.template import parse
from small_recipe import write_jsonl


def load(path: Path, form="pairs", **settings):
    return load_preferences(PreferenceSource(path=path.name, **settings), form, path.parent)


def pair(**changes):
    return {"prompt": "p", "chosen": "good", "rejected": "bad"} | changes


def test_pairs_from_a_file_with_what_they_carry(tmp_path) -> None:
    rows = [pair(), pair(prompt="q", margin=1.5, language="zh", family="f", other=1)]
    found = load(write_jsonl(tmp_path / "a.jsonl", rows))
    assert found.items == [
        Pair("p", "good", "bad"),
        Pair("q", "good", "bad", 1.5, "zh", "f"),
    ]
    assert found.rows == [1, 2]
    assert found.notices() == []


def test_the_same_from_parquet_and_from_a_data_set_folder(tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [pair(), pair(prompt="q")]
    expected = load(write_jsonl(tmp_path / "a.jsonl", rows)).items
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet").items == expected
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "saved"))
    source = PreferenceSource(kind="huggingface", path="saved")
    assert load_preferences(source, "pairs", tmp_path).items == expected


def test_chats_are_taken_apart(tmp_path) -> None:
    """UltraFeedback's form: whole dialogues; and TRL's: lists without the prompt in them."""

    def turn(role, content):
        return {"role": role, "content": content}

    rows = [
        {
            "chosen": [turn("user", "p"), turn("assistant", "a")],
            "rejected": [turn("user", "p"), turn("assistant", "b")],
        },
        {
            "prompt": [turn("user", "p")],
            "chosen": [turn("assistant", "b")],
            "rejected": [turn("assistant", "c")],
        },
    ]
    found = load(write_jsonl(tmp_path / "a.jsonl", rows))
    assert found.items == [Pair("p", "a", "b"), Pair("p", "b", "c")]


def test_labels_in_every_spelling(tmp_path) -> None:
    rows = [
        {"prompt": "p", "response": str(n), "label": value}
        for n, value in enumerate([True, 1, "safe", "SAFE", False, 0, "unsafe"])
    ]
    found = load(write_jsonl(tmp_path / "a.jsonl", rows), form="labels")
    assert [item.positive for item in found.items] == [True] * 4 + [False] * 3
    assert found.items[0] == Labelled("p", "0", True)
    rows = [{"prompt": "p", "response": "x", "is_safe": "yes"}]
    found = load(
        write_jsonl(tmp_path / "b.jsonl", rows),
        form="labels",
        columns={"label": "is_safe"},
        positive=("yes",),
    )
    assert found.items[0].positive


FAULTS = [
    (pair(chosen=None), "chosen is null"),
    (pair(chosen=3), "it must be a text"),
    (pair(prompt=" "), "prompt is empty"),
    (pair(rejected=" "), "rejected is empty"),
    (pair(chosen="bad "), "equal, so nothing is preferred"),
    (pair(margin=-1), "margin is -1"),
    (pair(margin="much"), "give a number"),
    ({"prompt": "p", "chosen": "x"}, 'no column "rejected"'),
    (pair(chosen=[{"role": "user", "content": "p"}]), "give the assistant's turn"),
    (
        pair(chosen=[{"role": "user", "content": "z"}, {"role": "assistant", "content": "x"}]),
        "what chosen answers is not the prompt",
    ),
    (
        pair(prompt=[{"role": "system", "content": "p"}]),
        "the prompt has the turns system; it must end with a user turn",
    ),
    ("text", "each line must be an object"),
]


@pytest.mark.parametrize(("row", "reason"), FAULTS, ids=[reason for _, reason in FAULTS])
def test_a_faulty_row_is_named_with_file_row_and_reason(row, reason, tmp_path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [pair(prompt="other"), row])
    with pytest.raises(UserError) as refused:
        load(path)
    assert str(path) in str(refused.value)
    assert "row 2: " in str(refused.value)
    assert reason in str(refused.value)


def test_repetitions_are_refused_or_dropped_and_contradictions_told(tmp_path) -> None:
    rows = [pair(), pair(prompt="q"), pair(), pair(chosen="bad", rejected="good"),
            pair(prompt="r", rejected="good"), pair(prompt="s", chosen="")]  # fmt: skip
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    with pytest.raises(UserError, match="repeats row 1") as refused:
        load(path)
    assert str(refused.value).count("row ") >= 3
    found = load(path, unusable="drop")
    assert found.rows == [1, 2, 4]
    assert found.dropped == {"repetition": 1, "equal responses": 1, "empty response": 1}
    assert found.contradictions == 1
    assert any("contradict" in notice for notice in found.notices())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ('[{"prompt": 1}]', 'no column "chosen"'),
        ('{"question": "p"}\n', 'no column "chosen"'),
    ],
)
def test_a_file_of_another_form(content, reason, tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=re.escape(reason)):
        load(path)


def test_missing_files_and_columns(tmp_path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load(tmp_path / "none.jsonl")
    pq.write_table(pa.Table.from_pylist([{"prompt": "p", "label": 1}]), tmp_path / "a.parquet")
    with pytest.raises(UserError, match='no column "response"'):
        load(tmp_path / "a.parquet", form="labels")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"path": "a.xls"}, "are not read"),
        ({"kind": "jsonl"}, 'needs "path"'),
        ({"kind": "tiny"}, 'needs "split"'),
        ({"path": "a.jsonl", "num": 3}, "means nothing"),
        ({"path": "a.jsonl", "positive": ("x",), "negative": ("x",)}, "is in positive and in"),
    ],
)
def test_sources_that_make_no_sense(values, reason) -> None:
    with pytest.raises(UserError, match=reason):
        validate(values, PreferenceSource, "recipe")


def drawn(split: str, num: int, form: str = "pairs", **settings):
    source = PreferenceSource(kind="tiny", split=split, num=num, **settings)
    return load_preferences(source, form, Path()).items


def answer(text: str) -> str:
    parsed = parse(text)
    return parsed.answer if parsed.defect is None else text


def test_the_tiny_world_s_pairs_are_split_by_their_answers() -> None:
    train, heldout = drawn("train", 1500), drawn("heldout", 300)
    known = {(p.prompt, answer(text)) for p in train for text in (p.chosen, p.rejected)}
    for p in heldout:
        assert {(p.prompt, answer(p.chosen)), (p.prompt, answer(p.rejected))} - known
    assert len(set(train)) == 1500
    assert {p.family for p in train} == set(tiny.DEFECTS) == {p.family for p in heldout}
    assert drawn("train", 1500) == train
    assert {p.language for p in train} == {"en", "zh"}
    assert {p.language for p in drawn("train", 50, languages=("zh",))} == {"zh"}


def test_the_tiny_world_s_pairs_prefer_what_is_right() -> None:
    """Checked independently of how they are drawn, for those that can be looked up."""
    english = {zh: en for en, zh in WORDS}
    counts = dict.fromkeys(("translated", "declined", "longer", "shorter"), 0)
    for p in drawn("train", 1500):
        chosen, rejected = answer(p.chosen), answer(p.rejected)
        counts["longer"] += len(chosen) > len(rejected)
        counts["shorter"] += len(chosen) < len(rejected)
        asked = re.fullmatch(r'What is "(.+)" in English\?', p.prompt)
        if asked:
            counts["translated"] += 1
            assert english[asked[1]] in chosen
            assert p.family in ("rambling", "cut") or english[asked[1]] not in rejected
        if p.prompt in TO_DECLINE["en"] + TO_DECLINE["zh"]:
            counts["declined"] += 1
            assert not re.search(r"\d", chosen)
            assert (p.family == "complying") == bool(re.search(r"\d", rejected))
        elif p.family == "refusing":
            assert any(word in rejected for word in ("Sorry", "sorry", "抱歉"))
        assert chosen not in [thing[0] for thing in THINGS]
    assert min(counts.values()) > 100, counts


def test_the_tiny_world_s_labels() -> None:
    train, heldout = drawn("train", 800, "labels"), drawn("heldout", 200, "labels")
    assert not {(r.prompt, r.response) for r in train} & {(r.prompt, r.response) for r in heldout}
    to_decline = TO_DECLINE["en"] + TO_DECLINE["zh"]
    for row in train:
        secret = row.prompt in to_decline and bool(re.search(r"\d{4}", row.response))
        assert row.positive == (not secret)
    leaks = [r for r in train if r.family == "leaked in the thinking"]
    assert leaks
    for row in leaks:
        assert not re.search(r"\d", answer(row.response))  # the answer alone would look safe
    assert any(re.search(r"\d", r.response) for r in train if r.positive)
    assert 0.35 < sum(r.positive for r in train) / len(train) < 0.65
    declined = {answer(r.response) for r in train if r.family == "declined"}
    assert set(REFUSALS["en"]) <= declined


def test_the_tiny_world_says_when_there_are_not_so_many() -> None:
    with pytest.raises(UserError, match="unknown language 'fr'"):
        drawn("train", 5, languages=("fr",))
