"""Mixtures: how many rows of each source, which get a chain of thought, what the card says."""

from __future__ import annotations

from collections import Counter

import pytest

from curation_world import files_of, problems_of, sample_into, settings_of
from r1.config import validate
from r1.curation.cold_start import General
from r1.curation.generate import GeneratedText
from r1.curation.mixture import copies_of_rows, mix, plan
from r1.curation.settings import MixtureSettings
from r1.curation.simple_queries import is_simple
from r1.curation.store import read_rows
from r1.errors import UserError
from small_recipe import write_jsonl

THOUGHT = "The request asks for a short text. I should keep it warm and plain."


class GeneralModel:
    """A general model that remembers its prompts."""

    def __init__(self, reply=lambda prompt: THOUGHT):
        self.asked = []

        def generate(asks):
            self.asked += [ask.prompt for ask in asks]
            found = [reply(ask.prompt) for ask in asks]
            return [GeneratedText(text) if isinstance(text, str) else text for text in found]

        self.general = General(generate, "v3", lambda text: len(text.split()))


def pairs(num, name="q"):
    return [
        {"id": f"{name}{i}", "prompt": f"Write a line about {name} {i}", "response": f"Line {i}."}
        for i in range(num)
    ]


def settings_for(sources, **more):
    return validate({"sources": sources, **more}, MixtureSettings, "mixture")


def test_counts_weights_and_all_rows(tmp_path):
    for name, num in (("a", 50), ("b", 30), ("c", 7)):
        write_jsonl(tmp_path / f"{name}.jsonl", pairs(num, name))
    settings = settings_for(
        [
            {"path": "a.jsonl", "weight": 3, "family": "math"},
            {"path": "b.jsonl", "weight": 1},
            {"path": "c.jsonl"},
        ],
        total=40,
    )
    card = mix(tmp_path / "out", settings, tmp_path)
    rows = list(read_rows(tmp_path / "out"))
    assert Counter(row["source"] for row in rows) == {"a": 30, "b": 10, "c": 7}
    assert len({row["id"] for row in rows}) == 47
    assert {d.domain: d.samples for d in card.domains} == {"math": 30, "general": 17}
    # proportional all along: after the first half, about half of each
    half = Counter(row["source"] for row in rows[:24])
    assert all(abs(half[name] - num) <= 1 for name, num in (("a", 15), ("b", 5), ("c", 3.5)))
    first = rows[0]
    assert [turn["role"] for turn in first["messages"]] == ["user", "assistant"]
    assert first["thought"] == "as it was"
    assert [(s.name, s.available, s.taken) for s in card.sources] == [
        ("a", 50, 30), ("b", 30, 10), ("c", 7, 7)
    ]  # fmt: skip


def test_the_draw_follows_the_seed(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", pairs(40))
    taken = {}
    for seed in (0, 0, 1):
        settings = settings_for([{"path": "a.jsonl", "count": 20}], seed=seed)
        folder = tmp_path / f"{seed}-{len(taken)}"
        mix(folder, settings, tmp_path)
        taken[folder.name] = [row["id"] for row in read_rows(folder)]
    first, again, other = taken.values()
    assert first == again
    assert first != other
    assert len(set(first)) == 20
    hits = Counter()
    (part,) = plan(settings, tmp_path)
    for seed in range(200):
        hits.update(copies_of_rows(part, seed, 0).nonzero()[0].tolist())
    assert all(70 <= hits[row] <= 130 for row in range(40))  # 100 each, 7 the deviation


def test_more_rows_than_there_are(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", pairs(4))
    with pytest.raises(UserError, match="has 4 rows but 10 are wanted"):
        mix(tmp_path / "x", settings_for([{"path": "a.jsonl", "count": 10}]), tmp_path)
    settings = settings_for([{"path": "a.jsonl", "count": 10, "repeat": True}])
    mix(tmp_path / "out", settings, tmp_path)
    ids = [row["id"] for row in read_rows(tmp_path / "out")]
    assert len(set(ids)) == 10
    counts = Counter(id_.partition("#")[0] for id_ in ids)
    assert sorted(counts.values()) == [2, 2, 3, 3]


def test_a_chain_of_thought_for_some_and_none_for_a_greeting(tmp_path):
    rows = [
        {"id": "poem", "prompt": "Write a poem about rain", "response": "Rain falls."},
        {"id": "hello", "prompt": "Hello!", "response": "Hello, how can I help?"},
        {"id": "has", "prompt": "Sing", "response": "<think>\nHm.\n</think>\n\nLa."},
        {"id": "tags", "prompt": "Tell tags", "response": "Tags."},
        {"id": "cut", "prompt": "Tell cut", "response": "Cut."},
        {"id": "mixed", "prompt": "Tell mixed", "response": "Mixed."},
        {"id": "fact", "prompt": "Tell a fact", "response": "A fact.", "family": "facts"},
        {
            "id": "talk",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello."},
                {"role": "user", "content": "Name a colour that calms"},
                {"role": "assistant", "content": "Blue."},
            ],
        },
    ]
    write_jsonl(tmp_path / "general.jsonl", rows)
    special = {
        "Tell tags": f"Hm.</think>{THOUGHT} <think>",
        "Tell cut": GeneratedText(THOUGHT, cut=True),
        "Tell mixed": THOUGHT + " 然后我们再检查一遍这个结果是不是正确的因为每一步都要核对清楚",
    }

    def reply(prompt):
        return next((found for name, found in special.items() if name in prompt), THOUGHT)

    model = GeneralModel(reply)
    settings = settings_for(
        [{"path": "general.jsonl", "chain_of_thought": "prompted"}],
        thoughts={"families": ["general"]},
    )
    card = mix(tmp_path / "out", settings, tmp_path, model.general)
    found = {row["id"].partition("/")[2]: row for row in read_rows(tmp_path / "out")}
    assert {id_: row["thought"] for id_, row in found.items()} == {
        "poem": "prompted",
        "hello": "none: simple query",
        "has": "as it was",
        "tags": "none: cut or empty",  # a thought begun again has no end
        "cut": "none: cut or empty",
        "mixed": "none: mixed languages",
        "fact": "none: family",
        "talk": "prompted",
    }
    assert (
        found["poem"]["messages"][-1]["content"] == f"<think>\n{THOUGHT}\n</think>\n\nRain falls."
    )
    assert found["hello"]["messages"][-1]["content"] == "Hello, how can I help?"
    talk = found["talk"]["messages"]
    assert talk[-1]["content"].endswith("</think>\n\nBlue.")
    assert [turn["content"] for turn in talk[:3]] == ["Be kind.", "Hi", "Hello."]
    assert len(model.asked) == 5
    assert any("Name a colour" in prompt and "Blue." in prompt for prompt in model.asked)
    assert card.total.thoughts["prompted"] == 2
    assert "| none: simple query | 1 |" in card.as_markdown()
    assert found["hello"]["num_tokens"] == 5


def test_empty_thinking_and_a_share(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", pairs(200))
    settings = settings_for(
        [{"path": "a.jsonl", "chain_of_thought": "prompted"}],
        thoughts={"share": 0.3, "empty_thinking": True},
    )
    card = mix(tmp_path / "out", settings, tmp_path, GeneralModel().general)
    drawn = card.total.thoughts["prompted"]
    assert 40 <= drawn <= 80  # 60, deviation 6.5
    row = next(r for r in read_rows(tmp_path / "out") if r["thought"] == "none: not drawn")
    assert row["messages"][-1]["content"].startswith("<think>\n\n</think>\n\nLine ")
    with pytest.raises(UserError, match="no general model"):
        mix(tmp_path / "x", settings, tmp_path)


def test_rejection_samples_and_their_card_go_into_the_mixture(tmp_path):
    """Also: the mixture carries on where it stopped, and ends with the same bytes."""
    card = sample_into(tmp_path / "rejection", problems_of(30), settings_of())
    write_jsonl(tmp_path / "general.jsonl", pairs(20))
    settings = settings_for(
        [
            {"path": "rejection/data", "name": "rejection"},
            {"path": "general.jsonl", "chain_of_thought": "prompted", "language": "en"},
        ],
        domains={"sums": "Math"},
        call={"prompts": 8, "resume": "prompt"},
        shards={"rows": 25},
    )
    calls = []

    def failing(prompt):
        calls.append(prompt)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return THOUGHT

    with pytest.raises(KeyboardInterrupt):
        mix(tmp_path / "out", settings, tmp_path, GeneralModel(failing).general)
    mixed = mix(tmp_path / "out", settings, tmp_path, GeneralModel().general)
    mix(tmp_path / "whole", settings, tmp_path, GeneralModel().general)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
    assert {d.domain: d.samples for d in mixed.domains} == {
        "Math": card.total.samples,
        "general": 20,
    }
    assert mixed.domains[0].mean_tokens == pytest.approx(card.total.mean_tokens)
    assert mixed.sources[0].dropped == card.total.dropped
    assert "| Math |" in mixed.as_markdown()


def test_the_mixture_is_read_by_supervised_fine_tuning(tmp_path):
    from r1.sft.read import check_source, conversations
    from r1.sft.settings import ExampleSource

    sample_into(tmp_path / "rejection", problems_of(5), settings_of())
    mix(tmp_path / "out", settings_for([{"path": "rejection"}]), tmp_path)
    for folder, layout in (("out", 2), ("rejection", 2)):
        source = ExampleSource(kind="parquet", path=f"{folder}/data")
        checked = check_source(source, tmp_path)
        found = list(conversations(source, tmp_path))
        assert checked.num == len(found) > 0
        assert len(found[0].turns) == layout
        assert "<think>" in found[0].turns[1]["content"]


IDS = {
    "repeated": (["a", "a"], {}, ["a/a", "a/a@2"]),
    "a row's number": (["2", None], {}, ["a/2", "a/2@2"]),
    "none": ([None, None], {}, ["a/1", "a/2"]),
    "a copy's": (
        ["x", "x#2"], {"count": 4, "repeat": True}, ["a/x", "a/x#2", "a/x#2@2", "a/x#2#2"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IDS)
def test_every_row_of_a_mixture_has_an_id_of_its_own(tmp_path, name):
    """Supervised fine-tuning would refuse it, after all calls were paid."""
    from r1.sft.read import check_source
    from r1.sft.settings import ExampleSource

    own, settings, expected = IDS[name]
    write_jsonl(
        tmp_path / "a.jsonl",
        [
            {"prompt": f"q{n}", "response": "r"} | ({} if row_id is None else {"id": row_id})
            for n, row_id in enumerate(own)
        ],
    )
    mix(tmp_path / "out", settings_for([{"path": "a.jsonl", **settings}]), tmp_path)
    assert [row["id"] for row in read_rows(tmp_path / "out")] == expected
    source = ExampleSource(kind="parquet", path="out/data")
    assert check_source(source, tmp_path).num == len(expected)


def test_ids_differ_between_sources_whose_names_hold_a_slash(tmp_path):
    for name, row_id in (("one", "b/c"), ("two", "c")):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"id": row_id, "prompt": name, "response": "r"}])
    sources = [{"path": "one.jsonl", "name": "a"}, {"path": "two.jsonl", "name": "a/b"}]
    mix(tmp_path / "out", settings_for(sources), tmp_path)
    assert [row["id"] for row in read_rows(tmp_path / "out")] == ["a/b/c", "a/b/c@1"]


def test_what_rows_name_is_checked_before_anything_is_asked(tmp_path):
    model = GeneralModel()
    row = {"prompt": "Write a line", "response": "r", "family": {"name": "writing"}}
    write_jsonl(tmp_path / "a.jsonl", [*pairs(5), row])
    sources = [{"path": "a.jsonl", "chain_of_thought": "prompted"}]
    with pytest.raises(UserError, match="row 6: family is"):
        mix(tmp_path / "out", settings_for(sources, call={"prompts": 2}), tmp_path, model.general)
    assert model.asked == []


def test_a_family_that_is_a_number_is_a_text(tmp_path):
    rows = [{"prompt": "q", "response": "r", "family": 3.0, "num_tokens": 7.0}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    mix(tmp_path / "out", settings_for([{"path": "a.jsonl"}]), tmp_path)
    [row] = read_rows(tmp_path / "out")
    assert (row["family"], row["num_tokens"]) == ("3", 7)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "x"}, 'no "response"'),
        ({"prompt": "x", "response": " "}, "response is empty"),
        ({"messages": [{"role": "user", "content": "x"}]}, "no assistant turn"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "role 'robot' is unknown"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "begins with an assistant turn"),
        (
            {
                "messages": [
                    {"role": "user", "content": "x"},
                    {"role": "assistant", "content": "I ask.", "tool_calls": [{"id": "1"}]},
                ]
            },
            "turn 2 calls tools",
        ),
        ({"prompt": "x", "response": "y", "family": True}, "family is True (a bool)"),
        ({"prompt": "x", "response": "y", "language": ["en"]}, "language is ['en'] (a list)"),
        ({"prompt": "x", "response": "y", "num_tokens": 2**31}, "num_tokens is 2147483648"),
        ({"prompt": "x", "response": "y", "num_tokens": -1}, "num_tokens is -1"),
    ],
)
def test_faulty_rows_are_named(tmp_path, row, reason):
    write_jsonl(tmp_path / "a.jsonl", [*pairs(2), row])
    with pytest.raises(UserError, match="row 3") as caught:
        mix(tmp_path / "x", settings_for([{"path": "a.jsonl"}]), tmp_path)
    assert reason in str(caught.value)


def test_settings_that_contradict_each_other_are_refused():
    for wrong in (
        {"sources": [{"path": "a", "weight": 1}]},
        {"sources": [{"path": "a"}], "total": 5},
        {"sources": [{"path": "a", "count": 1, "weight": 1}], "total": 5},
        {"sources": []},
    ):
        with pytest.raises(UserError, match="mixture:"):
            validate(wrong, MixtureSettings, "mixture")


SIMPLE = (
    "hello", "Hi there!", "HELLO", "你好", "你好呀！", "谢谢你", "good morning :)",
    "Thanks a lot!!", "Hello DeepSeek", "bye", "👋", "Hola, buenas", "早上好，小助手",
)  # fmt: skip
NOT_SIMPLE = (
    "Hello, what is 3 + 4?", "hi, write a poem", "Who are you?", "Define entropy", "3+4",
    "你好，请帮我写首诗", "你是谁", "thanks, now translate it", "Hello world in Python please",
    "hi " * 100, "天空为什么是蓝色的", "hello 5",
)  # fmt: skip


@pytest.mark.parametrize("query", SIMPLE)
def test_simple_queries(query):
    assert is_simple(query)


@pytest.mark.parametrize("query", NOT_SIMPLE)
def test_queries_that_are_not_simple(query):
    assert not is_simple(query)
