"""Problems from files and generators: what is read, and what is refused with row and remedy."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from r1.config import Settings, validate
from r1.data.load import load_data, load_problems
from r1.data.settings import DataSettings, SourceSettings
from r1.errors import UserError
from r1.types import Problem


class Recipe(Settings):
    data: DataSettings


def write_lines(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def load(tmp_path: Path, check=None, **keys: Any) -> list[Problem]:
    return load_problems(SourceSettings(**keys), tmp_path, check)


GOOD = {"id": "a", "prompt": "1 + 1?", "reference": "2"}


# --- JSONL -----------------------------------------------------------------------------------


def test_jsonl_with_every_column(tmp_path):
    row = {
        "id": 7,
        "prompt": "首都？",
        "reference": "B",
        "verifier": "choice",
        "language": "zh",
        "family": "facts",
        "metadata": {"level": 3},
        "options": ["罗马", "巴黎"],
    }
    write_lines(tmp_path / "p.jsonl", [row, "", GOOD])
    first, second = load(tmp_path, path="p.jsonl")
    assert first == Problem(
        "7", "首都？", "B", "choice", "zh", "facts", {"level": 3, "options": ["罗马", "巴黎"]}
    )
    assert second == Problem("a", "1 + 1?", "2", "math", "en", "default", {})


def test_jsonl_mapping_constants_and_numeric_references(tmp_path):
    rows = [
        {"q": {"text": "x"}, "a": 12},
        {"q": {"text": "y"}, "a": 1.5},
        {"q": {"text": "z"}, "a": ["7"]},
    ]
    write_lines(tmp_path / "p.ndjson", rows)
    problems = load(
        tmp_path,
        path="p.ndjson",
        columns={"prompt": "q.text", "reference": "a"},
        verifier="exact",
        language="zh",
        family="mine",
    )
    assert [p.prompt for p in problems] == ["x", "y", "z"]
    assert [p.reference for p in problems] == ["12", "1.5", "7"]
    assert {(p.verifier, p.language, p.family) for p in problems} == {("exact", "zh", "mine")}


def test_reference_after_takes_what_follows_the_last_marker(tmp_path):
    write_lines(tmp_path / "p.jsonl", [{"prompt": "p", "reference": "#### 1 so\n#### 42 "}])
    assert load(tmp_path, path="p.jsonl", reference_after="####")[0].reference == "42"


def test_content_ids_do_not_depend_on_the_order_of_rows(tmp_path):
    rows = [{"prompt": str(i), "reference": i} for i in range(5)]
    write_lines(tmp_path / "a.jsonl", rows)
    write_lines(tmp_path / "b.jsonl", rows[::-1])
    forward = {p.prompt: p.id for p in load(tmp_path, path="a.jsonl")}
    backward = {p.prompt: p.id for p in load(tmp_path, path="b.jsonl")}
    assert forward == backward
    assert len(set(forward.values())) == 5


def test_the_same_row_twice_is_kept_with_two_ids_and_a_warning(tmp_path, caplog):
    row = {"prompt": "p", "reference": "1"}
    write_lines(tmp_path / "p.jsonl", [row, row])
    with caplog.at_level(logging.WARNING):
        first, second = load(tmp_path, path="p.jsonl")
    assert second.id == f"{first.id}-2"
    assert "1 prompts occur more than once" in caplog.text


def test_limit_reads_only_the_first_rows(tmp_path):
    write_lines(tmp_path / "p.jsonl", [GOOD, "{broken"])
    assert len(load(tmp_path, path="p.jsonl", limit=1)) == 1


def test_byte_order_mark_and_a_chat_of_one_turn(tmp_path):
    row = {"prompt": [{"role": "user", "content": "hi"}], "reference": "1"}
    (tmp_path / "p.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(row).encode())
    assert load(tmp_path, path="p.jsonl")[0].prompt == "hi"


ROW_FAULTS = {
    "bad json": (['{"prompt": }'], r"row 2: not JSON at column 12"),
    "json cut off": (['{"prompt": "a"'], r"row 2: not JSON at column 15: "),
    "not an object": (["[1]"], r"row 2: a JSON list; each line must be an object"),
    "null prompt": ([{"prompt": None, "reference": "1"}], r"row 2: prompt is null"),
    "number prompt": ([{"prompt": 5, "reference": "1"}], r"row 2: prompt is 5 \(a int\)"),
    "empty prompt": ([{"prompt": "  ", "reference": "1"}], r"row 2: prompt is empty"),
    "long chat": (
        [
            {
                "prompt": [{"role": r, "content": "x"} for r in ("user", "assistant")],
                "reference": "1",
            }
        ],
        r"row 2: the prompt has the turns user, assistant; it must end with a user turn",
    ),
    "missing in one row": (
        [{"prompt": "p", "refrence": "1"}],
        r'row 2: no column "reference".*columns = \{ reference = "refrence" \}',
    ),
    "null reference": ([{"prompt": "p", "reference": None}], r'the verifier "math" needs a gold'),
    "empty reference": ([{"prompt": "p", "reference": ""}], r"row 2: reference is empty"),
    "boolean reference": ([{"prompt": "p", "reference": True}], r"reference is True \(a bool\)"),
    "nan reference": (['{"prompt": "p", "reference": NaN}'], r"row 2: reference is nan"),
    "list reference": ([{"prompt": "p", "reference": [1, 2]}], r"reference is \[1, 2\] \(a list\)"),
    "null id": ([{"id": None, "prompt": "p", "reference": "1"}], r"row 2: id is null"),
    "duplicate id": ([GOOD], r"row 2: id 'a' is also the id of row 1"),
    "bad language": ([{**GOOD, "id": "b", "language": 3}], r"row 2: language is 3"),
    "bad metadata": ([{**GOOD, "id": "b", "metadata": "x"}], r"row 2: metadata is 'x'"),
    "bad options": ([{**GOOD, "id": "b", "options": "ABC"}], r"row 2: options is 'ABC'"),
    "empty verifier": ([{**GOOD, "id": "b", "verifier": ""}], r"row 2: verifier is ''"),
}


@pytest.mark.parametrize("case", ROW_FAULTS)
def test_a_faulty_row_is_refused_by_number_reason_and_file(tmp_path, case):
    rows, message = ROW_FAULTS[case]
    path = write_lines(tmp_path / "p.jsonl", [GOOD, *rows])
    with pytest.raises(UserError, match=message) as caught:
        load(tmp_path, path="p.jsonl")
    assert str(caught.value).startswith(f"{path}: 1 row cannot be used")
    assert str(caught.value).endswith("Mend or remove these rows, then start again.")


def test_the_first_ten_faults_are_shown_and_the_rest_counted(tmp_path):
    faulty = [{**GOOD, "id": [n]} for n in range(13)]
    write_lines(tmp_path / "p.jsonl", [GOOD, *faulty])
    with pytest.raises(UserError) as caught:
        load(tmp_path, path="p.jsonl")
    message = str(caught.value)
    assert "13 rows cannot be used" in message
    assert "row 11:" in message
    assert "row 12:" not in message
    assert "and 3 more" in message


def test_rows_of_one_fault_share_a_line(tmp_path):
    empty = {"prompt": "", "reference": "2"}
    write_lines(tmp_path / "p.jsonl", [GOOD] + ["{"] * 2000 + [empty] * 3 + ["[]"])
    with pytest.raises(UserError) as caught:
        load(tmp_path, path="p.jsonl")
    first, *lines, unusable, _ = str(caught.value).splitlines()
    assert first.endswith("2,004 rows cannot be used:")
    assert len(lines) == 3
    assert lines[0].startswith("  2,000 rows (2, 3, 4, 5, 6, ...): ")
    assert lines[1].startswith("  rows 2002, 2003, 2004: prompt ")
    assert lines[2].startswith("  row 2005: ")
    assert "unusable" in unusable


def test_a_file_that_is_not_utf8(tmp_path):
    (tmp_path / "p.jsonl").write_bytes(json.dumps(GOOD).encode() + b'\n{"prompt": "\xff"}\n')
    with pytest.raises(UserError, match=r"row 2: not UTF-8 at byte 13"):
        load(tmp_path, path="p.jsonl")


def test_missing_reference_marker(tmp_path):
    write_lines(tmp_path / "p.jsonl", [GOOD])
    with pytest.raises(UserError, match=r'row 1: reference has no "####" \(reference_after\)'):
        load(tmp_path, path="p.jsonl", reference_after="####")


def test_a_missing_file_names_the_likeliest_neighbour(tmp_path):
    write_lines(tmp_path / "train.jsonl", [GOOD])
    with pytest.raises(
        UserError, match=r"trian\.jsonl does not exist; did you mean .*train\.jsonl"
    ):
        load(tmp_path, path="trian.jsonl")


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file(tmp_path, content):
    (tmp_path / "p.jsonl").write_text(content)
    with pytest.raises(UserError, match=r"p\.jsonl is empty; give at least one problem"):
        load(tmp_path, path="p.jsonl")


def test_a_json_array_is_told_from_lines(tmp_path):
    (tmp_path / "p.jsonl").write_text("[\n  " + json.dumps(GOOD) + "\n]\n")
    assert [problem.id for problem in load(tmp_path, path="p.jsonl")] == ["a"]


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "p.jsonl").mkdir()
    with pytest.raises(UserError, match="is a folder; give the data file inside it"):
        load(tmp_path, path="p.jsonl")


def test_a_missing_column_is_a_fault_of_the_recipe_with_the_likely_name(tmp_path):
    write_lines(tmp_path / "p.jsonl", [{"instruction": "p", "output": "1"}] * 3)
    with pytest.raises(UserError, match=r'columns = \{ prompt = "instruction" \}') as caught:
        load(tmp_path, path="p.jsonl")
    assert "the columns are: instruction, output" in str(caught.value)
    with pytest.raises(UserError, match=r'columns = \{ reference = "output" \}'):
        load(tmp_path, path="p.jsonl", columns={"prompt": "instruction"})


def test_a_column_named_in_the_recipe_must_exist(tmp_path):
    write_lines(tmp_path / "p.jsonl", [GOOD])
    with pytest.raises(UserError, match='no column "lang" for the language'):
        load(tmp_path, path="p.jsonl", columns={"language": "lang"})


def test_an_unverifiable_reference_is_named_and_each_answer_checked_once(tmp_path):
    rows = [{"prompt": f"p{i}", "reference": str(i % 3)} for i in range(9)]
    write_lines(tmp_path / "p.jsonl", rows)
    asked = []

    def check(problem):
        asked.append(problem.reference)
        return 'reference "2" cannot be read' if problem.reference == "2" else None

    with pytest.raises(
        UserError, match=r"3 rows cannot be used:\n  rows 3, 6, 9: reference \"2\" c"
    ):
        load(tmp_path, check=check, path="p.jsonl")
    assert sorted(asked) == ["0", "1", "2"]


def test_the_rewards_own_check_refuses_unknown_verifiers_and_unreadable_references(tmp_path):
    from r1.rewards.accuracy import check_reference

    rows = [
        GOOD,
        {"prompt": "p", "reference": "1", "verifier": "exat"},
        {"prompt": "Which?", "reference": "D", "verifier": "choice", "options": ["x", "y"]},
    ]
    write_lines(tmp_path / "p.jsonl", rows)
    with pytest.raises(UserError, match="2 rows cannot be used") as caught:
        load(tmp_path, check=check_reference, path="p.jsonl")
    assert "row 2: unknown verifier 'exat'; did you mean 'exact'?" in str(caught.value)
    assert "row 3: reference" in str(caught.value)


# --- Parquet ---------------------------------------------------------------------------------


def write_parquet(path: Path, columns: dict[str, list[Any]]) -> Path:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def test_parquet_file_and_folder_in_the_order_of_names(tmp_path):
    write_parquet(tmp_path / "1.parquet", {"prompt": ["c"], "reference": [3]})
    write_parquet(tmp_path / "0.parquet", {"prompt": ["a", "b"], "reference": [1, 2]})
    assert [p.prompt for p in load(tmp_path, path="1.parquet")] == ["c"]
    both = load(tmp_path, kind="parquet", path=".")
    assert [(p.prompt, p.reference) for p in both] == [("a", "1"), ("b", "2"), ("c", "3")]


def test_parquet_nested_columns(tmp_path):
    columns = {"prompt": [[{"role": "user", "content": "p"}]], "gold": [{"truth": "9"}]}
    write_parquet(tmp_path / "p.parquet", columns)
    problem = load(tmp_path, path="p.parquet", columns={"reference": "gold.truth"})[0]
    assert (problem.prompt, problem.reference) == ("p", "9")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"prompt": ["p", None], "reference": ["1", "2"]}, "row 2: prompt is null"),
        ({"question": ["p"], "reference": ["1"]}, r'columns = \{ prompt = "question" \}'),
        (
            {"id": [1, 1], "prompt": ["p", "q"], "reference": ["1", "2"]},
            "'1' is also the id of row 1",
        ),
        ({"prompt": [], "reference": []}, "has no rows"),
    ],
)
def test_parquet_faults(tmp_path, columns, message):
    write_parquet(tmp_path / "p.parquet", columns)
    with pytest.raises(UserError, match=message):
        load(tmp_path, path="p.parquet")


def test_parquet_that_is_none(tmp_path):
    (tmp_path / "p.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(
        UserError, match=r"p\.parquet cannot be read as Parquet .*download it again"
    ):
        load(tmp_path, path="p.parquet")


def test_a_truncated_parquet_file(tmp_path):
    path = write_parquet(tmp_path / "p.parquet", {"prompt": ["p"] * 99, "reference": ["1"] * 99})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        load(tmp_path, path="p.parquet")


def test_a_folder_without_parquet(tmp_path):
    with pytest.raises(UserError, match=r"holds no \.parquet file"):
        load(tmp_path, kind="parquet", path=".")


# --- Hugging Face ----------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The datasets library with its cache in tmp_path."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return datasets


def test_a_saved_data_set(tmp_path, hub):
    rows = {"problem": ["p", "q"], "answer": [1, 2], "picture": [None, None]}
    hub.Dataset.from_dict(rows).save_to_disk(tmp_path / "saved")
    columns = {"prompt": "problem", "reference": "answer"}
    problems = load(tmp_path, path="./saved", columns=columns)
    assert [(p.prompt, p.reference) for p in problems] == [("p", "1"), ("q", "2")]


def test_splits_of_a_saved_data_set(tmp_path, hub):
    splits = {
        "train": hub.Dataset.from_dict({"prompt": ["p"], "reference": ["1"]}),
        "test": hub.Dataset.from_dict({"prompt": ["q"], "reference": ["2"]}),
    }
    hub.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    assert load(tmp_path, path="saved", split="test")[0].prompt == "q"
    with pytest.raises(
        UserError, match=r'has the splits train, test; choose one with split = "train"'
    ):
        load(tmp_path, path="saved")
    with pytest.raises(UserError, match='no split "tset"; it has: train, test'):
        load(tmp_path, path="saved", split="tset")


def test_a_folder_in_the_layout_of_the_hub(tmp_path, hub):
    (tmp_path / "set" / "data").mkdir(parents=True)
    columns = {"prompt": ["p", "q"], "reference": ["1", "2"]}
    write_parquet(tmp_path / "set" / "data" / "train-00000-of-00001.parquet", columns)
    problems = load(tmp_path, path="set", split="train")
    assert [p.prompt for p in problems] == ["p", "q"]
    with pytest.raises(UserError, match=r'columns = \{ prompt = "prompt" \}|no column "question"'):
        load(tmp_path, path="set", columns={"prompt": "question"})
    with pytest.raises(UserError, match="has no folder"):
        load(tmp_path, path="set", config="nope")


def test_an_empty_folder_and_a_missing_one(tmp_path, hub):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no data file"):
        load(tmp_path, path="empty")
    with pytest.raises(UserError, match=r"data set folder .*none does not exist"):
        load(tmp_path, path="./none")


def test_a_hub_id_without_a_connection(tmp_path, hub, monkeypatch):
    def unreachable(*_):
        raise ConnectionError("Couldn't reach 'owner/set' on the Hub")

    monkeypatch.setattr(hub, "load_dataset", unreachable)
    with pytest.raises(UserError, match=r"cannot be reached .*Either connect, or download it"):
        load(tmp_path, path="owner/set")


def test_the_datasets_library_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[datasets\]'"):
        load(tmp_path, path="owner/set")


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "add kind, one of tiny, jsonl, json, csv, parquet, huggingface, python"),
        ({"path": "p.xlsx"}, r"p\.xlsx: files of this kind are not read; write JSON lines"),
        ({"path": "p.py"}, r'name its function too: "p\.py:problems"'),
        ({"kind": "python", "path": "p.jsonl"}, "names no function"),
        ({"kind": "jsnl"}, "data.train.0.kind: input should be 'tiny', 'jsonl'"),
        ({"kind": "jsonl"}, 'needs "path"'),
        ({"kind": "tiny"}, 'needs "split"'),
        ({"kind": "tiny", "split": "test"}, '"train" or "heldout", not "test"'),
        ({"kind": "reasoning_gym"}, 'needs "task"'),
        ({"path": "p.jsonl", "task": "chain_sum"}, '"task" means nothing for kind = "jsonl"'),
        ({"path": "p.jsonl", "colums": {}}, "colums: unknown setting; did you mean 'columns'"),
        ({"path": "p.jsonl", "columns": {"promt": "q"}}, "did you mean 'prompt'"),
        ({"path": "p.jsonl", "limit": 0}, "greater than or equal to 1"),
        ({"path": "p.jsonl", "weight": -1}, "greater than 0"),
        ({"path": "p.jsonl", "reference_after": ""}, "must not be empty"),
    ],
)
def test_impossible_sources(source, message):
    with pytest.raises(UserError, match=message):
        validate({"data": {"train": [source]}}, Recipe, "recipe.toml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"train": []}, "at least 1 item"),
        (
            {"train": [{"path": "a.jsonl", "weight": 1}, {"path": "b.jsonl"}]},
            r"source 2 \(b.jsonl\)",
        ),
        (
            {"train": [{"path": "a.jsonl"}], "heldout": [{"path": "b.jsonl", "weight": 1}]},
            "weight is",
        ),
        ({"train": [{"path": "a.jsonl"}], "ngram": 1}, "greater than or equal to 2"),
    ],
)
def test_impossible_data_sections(data, message):
    with pytest.raises(UserError, match=message):
        validate({"data": data}, Recipe, "recipe.toml")


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ({"path": "a/b.jsonl"}, "jsonl"),
        ({"path": "b.PARQUET"}, "parquet"),
        ({"path": "openai/gsm8k"}, "huggingface"),
        ({"task": "chain_sum"}, "reasoning_gym"),
        ({"split": "heldout"}, "tiny"),
    ],
)
def test_kind_follows_from_the_other_keys(source, kind):
    assert SourceSettings(**source).kind == kind


# --- the whole section -----------------------------------------------------------------------


def test_load_data_pools_decontaminates_and_keeps_ids_apart(tmp_path):
    write_lines(tmp_path / "a.jsonl", [{**GOOD, "prompt": "kept"}, {**GOOD, "id": "b"}])
    write_lines(tmp_path / "b.jsonl", [{**GOOD, "prompt": "other"}])
    write_lines(tmp_path / "held.jsonl", [GOOD])
    settings = DataSettings(
        train=({"path": "a.jsonl"}, {"path": "b.jsonl"}), heldout=({"path": "held.jsonl"},)
    )
    data = load_data(settings, tmp_path)
    assert [[p.id for p in pool] for pool in data.pools] == [["a"], ["a@2"]]
    assert [(o.problem.id, o.heldout_id) for o in data.dropped] == [("b", "a")]
    assert {p.prompt for p in data.batches(2, seed=0).batch(0)} == {"kept", "other"}


def test_nothing_left_to_train_on(tmp_path):
    write_lines(tmp_path / "a.jsonl", [GOOD])
    train = ({"path": "a.jsonl"},)
    with pytest.raises(UserError, match="every one of the 1 training problems overlaps"):
        load_data(DataSettings(train=train, heldout=train), tmp_path)
    off = DataSettings(train=train, heldout=train, decontaminate=False)
    assert len(load_data(off, tmp_path).pools[0]) == 1


def test_the_tiny_world_is_a_source_whose_splits_do_not_overlap(tmp_path):
    pytest.importorskip("r1.data.tiny.problems")
    settings = DataSettings(
        train=({"kind": "tiny", "split": "train", "num": 12},),
        heldout=({"kind": "tiny", "split": "heldout", "num": 4, "seed": 1},),
    )
    data = load_data(settings, tmp_path)
    assert len(data.pools[0]) == 12
    assert len(data.heldout) == 4
    assert not data.dropped


def test_the_recipes_of_the_page_on_data_are_valid():
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    recipes = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    whole = [recipe for recipe in recipes if recipe.startswith("[[data")]
    assert len(whole) >= 4
    for recipe in whole:
        validate(tomllib.loads(recipe), Recipe, "docs/data.md")


def test_reading_takes_linear_time(tmp_path):
    words = " ".join(f"word{i}" for i in range(60))
    columns = {"prompt": "problem", "reference": "answer"}

    def calls(number: int) -> int:
        """Count the calls of functions, C's too, that reading takes: the same on any machine."""
        rows = [{"problem": f"{words} {i}", "answer": i} for i in range(number)]
        write_lines(tmp_path / "p.jsonl", rows)
        count = 0

        def see(frame, event, argument) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(see)
        try:
            assert len(load(tmp_path, path="p.jsonl", columns=columns)) == number
        finally:
            sys.setprofile(None)
        return count

    calls(10)  # whatever is imported or cached at first
    assert calls(800) < 5 * calls(200)


def test_importing_the_sources_loads_neither_torch_nor_the_libraries_of_one_kind():
    code = (
        "import sys, r1.data.load; "
        "print([m for m in ('torch', 'datasets', 'pyarrow', 'reasoning_gym') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


HASHED = [{"prompt": f"{n} + 1?", "reference": f"It is {n + 1}.\n#### {n + 1}"} for n in range(3)]


def hashes_refused(problem: Problem) -> str | None:
    return "not one number" if "####" in (problem.reference or "") else None


def test_an_unset_reference_after_is_named_where_every_reference_holds_hashes(tmp_path, caplog):
    write_lines(tmp_path / "a.jsonl", HASHED)
    with pytest.raises(UserError, match='set reference_after = "####" in this source'):
        load(tmp_path, hashes_refused, path="a.jsonl")
    assert not caplog.records  # said once
    load(tmp_path, path="a.jsonl", verifier="exact")  # which takes any text
    assert caplog.text.count('set reference_after = "####"') == 1
    caplog.clear()
    told = load(tmp_path, path="a.jsonl", reference_after="####")
    assert [p.reference for p in told] == ["1", "2", "3"]
    write_lines(tmp_path / "b.jsonl", [*HASHED, GOOD])
    load(tmp_path, path="b.jsonl", verifier="exact")
    assert "set reference_after" not in caplog.text


def test_a_broken_csv_of_a_data_set_is_named_with_its_line(tmp_path, hub):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text('prompt,reference\n"a\nb",1\nc,2,3\n')
    with pytest.raises(UserError, match=r"set: (.|\n)*row 2: 3 fields where 2 are named"):
        load(tmp_path, path="set")
    (tmp_path / "set" / "train.csv").write_text('prompt,reference\n"a\nb",1\nc,\n')
    with pytest.raises(UserError, match=r"row 2: reference is null"):  # a row is no line
        load(tmp_path, path="set")
