"""The files of users: JSON documents, separated values, archives, folders in the Hub's layout."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1.data.folders import split_files
from r1.data.json_file import read_rows
from r1.data.load import load_problems
from r1.data.rows import RowError
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.files import json_stream
from r1.files.json_stream import read_items
from r1.files.json_text import FormatError
from r1.plan.workload import counted
from r1.preferences.read import load_preferences
from r1.preferences.source import PreferenceSource
from r1.sft.read import check_source
from r1.sft.settings import ExampleSource

ROWS = [{"prompt": f"{i} + 1?", "reference": str(i + 1)} for i in range(3)]


def load(tmp_path: Path, name: str, **settings) -> list[tuple[str, str | None]]:
    source = SourceSettings(path=name, verifier="exact", **settings)
    return [(p.prompt, p.reference) for p in load_problems(source, tmp_path)]


EXPECTED = [(row["prompt"], row["reference"]) for row in ROWS]
DOCUMENTS = {
    "array": json.dumps(ROWS),
    "spread array": json.dumps(ROWS, indent=4),
    "array with a mark": "\ufeff" + json.dumps(ROWS),
    "object with one list": json.dumps({"version": 1.5, "tags": ["a"], "data": ROWS, "z": None}),
    "lines": "\n".join(map(json.dumps, ROWS)) + "\n\n",
}


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_json_file_in_any_form(tmp_path, text) -> None:
    (tmp_path / "p.json").write_text(text, encoding="utf-8")
    assert load(tmp_path, "p.json") == EXPECTED
    assert counted(tmp_path / "p.json", "json").rows == 3


def test_a_json_object_of_one_row(tmp_path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(ROWS[0], indent=1))
    assert load(tmp_path, "p.json") == EXPECTED[:1]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_where_a_document_is_cut_for_reading_does_not_matter(monkeypatch, size) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", size)
    value = {"n": 12, "rows": [{"a": 'é\\"]}', "b": [1, -2.5e3, {}]}, {"a": ""}], "t": True}
    text = json.dumps(value, ensure_ascii=False, indent=1).encode()
    assert list(read_items(io.BytesIO(text), 1 << 20)) == value["rows"]
    assert list(read_items(io.BytesIO(b"[1, 23,\n456]"), 1 << 20)) == [1, 23, 456]


ROW = json.dumps(ROWS[0])
FAULTS = {
    "cut": (f'[{ROW}, {{"prom', "after row 1"),
    "no comma": (f"[{ROW} {ROW}]", "not JSON: '{' where ',' belongs"),
    "something behind": (f"[{ROW}] x", "something follows the end of the document"),
    "two lists": (json.dumps({"train": ROWS, "test": ROWS}), "several lists of objects (train, t"),
    "a key twice": ('[{"a": 1, "a": 2}]', "the key 'a' occurs twice"),
    "not utf-8": (b'[{"a": "\xff"}]', "not UTF-8"),
    "deep": ("[" + '{"a":' * 200 + "1" + "}" * 200 + "]", "nested more than 100 deep"),
    "empty array": ("[]", "is empty; give at least one problem"),
}


@pytest.mark.parametrize(("content", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_document_is_refused_by_name(tmp_path, content, reason) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "p.json").write_bytes(data)
    with pytest.raises(UserError) as refused:
        load(tmp_path, "p.json", unusable="drop")
    assert str(tmp_path / "p.json") in str(refused.value)
    assert reason in str(refused.value)


def test_items_that_are_no_objects_are_faults_of_their_rows(tmp_path) -> None:
    (tmp_path / "p.json").write_text(json.dumps([ROWS[0], 5]))
    with pytest.raises(UserError, match="row 2: a JSON int; each item must be an object"):
        load(tmp_path, "p.json")


def test_an_item_has_a_limit() -> None:
    with pytest.raises(FormatError, match="no whole value within 0 MiB"):
        list(read_items(io.BytesIO(b'["' + b"a" * 300_000 + b'"]'), 1000))


def test_an_array_is_never_whole_in_memory(tmp_path) -> None:
    row = json.dumps({"prompt": "x" * 10_000})
    (tmp_path / "p.json").write_text("[" + ",".join([row] * 1000) + "]")
    tracemalloc.start()
    num = sum(not isinstance(row, RowError) for _, row in read_rows(tmp_path / "p.json"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert num == 1000
    assert peak < 2_000_000  # the file has ten million


SEPARATED = {
    "p.csv": 'prompt,reference\n"a, ""b""\nc",1\nd,2\n',
    "semicolons.csv": 'prompt;reference\n"a, ""b""\nc";1\nd;2\n',
    "p.tsv": 'prompt\treference\n"a, ""b""\nc"\t1\nd\t2\n',
    "windows.csv": '\ufeffprompt,reference\r\n"a, ""b""\nc",1\r\n\r\nd,2\r\n',
}


@pytest.mark.parametrize(("name", "text"), SEPARATED.items(), ids=SEPARATED)
def test_separated_values(tmp_path, name, text) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert load(tmp_path, name) == [('a, "b"\nc', "1"), ("d", "2")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"prompt,reference\na,1,x\n", "row 1: 3 fields where 2 are named"),
        (b"prompt,reference\na\n", "row 1: 1 fields where 2 are named"),
        (b"prompt,prompt\na,b\n", 'has the column "prompt" twice'),
        (b"prompt,reference\n\xff,1\n", "is not UTF-8"),
        (b"prompt,reference\n,1\n", "prompt is null"),
        (b"prompt,reference\n", "is empty; give at least one problem"),
        (b"", "is empty"),
    ],
)
def test_faulty_separated_values(tmp_path, data, reason) -> None:
    (tmp_path / "p.csv").write_bytes(data)
    with pytest.raises(UserError) as refused:
        load(tmp_path, "p.csv")
    assert reason in str(refused.value)
    assert str(tmp_path / "p.csv") in str(refused.value)


def test_a_gzipped_file(tmp_path) -> None:
    lines = "\n".join(map(json.dumps, ROWS)).encode()
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress(b"prompt,reference\na,1\n"))
    assert load(tmp_path, "p.jsonl.gz") == EXPECTED
    assert load(tmp_path, "p.csv.gz") == [("a", "1")]
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(lines)[:-12])
    with pytest.raises(UserError, match=r"cut\.jsonl\.gz is damaged"):
        load(tmp_path, "cut.jsonl.gz")


def write_parquet(path: Path, rows: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_a_folder_as_the_hub_has_it(tmp_path) -> None:
    data = tmp_path / "set" / "data"
    write_parquet(data / "train-00000-of-00002.parquet", ROWS[:2])
    write_parquet(data / "train-00001-of-00002.parquet", ROWS[2:])
    write_parquet(data / "test-00000-of-00001.parquet", ROWS[:1])
    (tmp_path / "set" / "README.md").write_text("# A set\n")
    assert load(tmp_path, "set", split="train") == EXPECTED
    assert load(tmp_path, "set", split="test") == EXPECTED[:1]
    with pytest.raises(UserError, match="has the splits test, train; choose one with split"):
        load(tmp_path, "set")
    with pytest.raises(UserError, match='no split "tset"; it has: test, train'):
        load(tmp_path, "set", split="tset")
    examples = ExampleSource(
        path="set", split="train", columns={"prompt": "prompt", "response": "reference"}
    )
    assert check_source(examples, tmp_path).num == 3


CARD = """---
license: mit
configs:
- config_name: main
  default: true
  data_files:
  - split: train
    path: "main/part-*.jsonl"
  - split: test
    path: [main/held.jsonl]
- config_name: socratic
  data_files: socratic/*.jsonl
---
# A set
"""


def write_carded(folder: Path) -> None:
    for name, rows in (("part-1", ROWS[:2]), ("part-2", ROWS[2:]), ("held", ROWS[:1])):
        path = folder / "main" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(map(json.dumps, rows)))
    (folder / "socratic").mkdir()
    (folder / "socratic" / "all.jsonl").write_text(json.dumps(ROWS[1]))
    (folder / "README.md").write_text(CARD)


def test_a_card_says_which_files_are_a_split(tmp_path) -> None:
    write_carded(tmp_path / "set")
    assert load(tmp_path, "set", split="train") == EXPECTED
    assert load(tmp_path, "set", split="test", config="main") == EXPECTED[:1]
    assert load(tmp_path, "set", config="socratic") == EXPECTED[1:2]
    with pytest.raises(UserError, match='no config "other"; it has: main, socratic'):
        load(tmp_path, "set", config="other")
    (tmp_path / "set" / "README.md").write_text("---\n\tconfigs: [\n---\n")
    with pytest.raises(UserError, match=r"README\.md: its front matter is no YAML"):
        load(tmp_path, "set")
    (tmp_path / "set" / "README.md").write_text(CARD.replace("main/part-*", "main/prt-*"))
    with pytest.raises(UserError, match="no file matches data_files of its split train"):
        load(tmp_path, "set", split="train")


def names_of(folder: Path, **chosen) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in split_files(folder, **chosen)]


def test_splits_by_names(tmp_path) -> None:
    for name in ("a/train.jsonl", "b/dev/x.csv", "b/dev/y.csv", "b/val/x.csv", "c/1.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "c" / "notes.txt").write_text("no data")
    (tmp_path / "c" / ".hidden.json").write_text("{}")
    assert names_of(tmp_path / "a") == ["train.jsonl"]
    assert names_of(tmp_path / "b", split="dev") == ["dev/x.csv", "dev/y.csv"]
    assert names_of(tmp_path / "b", split="val") == ["val/x.csv"]
    assert names_of(tmp_path / "c", split="train") == ["1.json"]
    (tmp_path / "a" / "dev.jsonl").write_text("x")
    assert names_of(tmp_path / "a", split="validation") == ["dev.jsonl"]
    (tmp_path / "c" / "2.csv").write_text("x")
    with pytest.raises(UserError, match=r"several formats \(1\.json, 2\.csv\)"):
        split_files(tmp_path / "c")
    (tmp_path / "a" / "more.jsonl").write_text("x")
    assert names_of(tmp_path / "a", split="others") == ["more.jsonl"]


def test_a_zip_is_read_like_a_folder(tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("test/a.csv", "prompt,reference\na,1\n")
        archive.writestr("test/b.csv", "prompt,reference\nb\n")
        archive.writestr("__MACOSX/test/._a.csv", "junk")
    with pytest.raises(UserError, match=r"row 2: 1 fields where 2 are named \(row 1 of b\.csv\)"):
        load(tmp_path, "set.zip")
    assert load(tmp_path, "set.zip", unusable="drop", split="test") == [("a", "1")]
    (tmp_path / "bad.zip").write_bytes((tmp_path / "set.zip").read_bytes()[:-30])
    with pytest.raises(UserError, match=r"bad\.zip is damaged"):
        load(tmp_path, "bad.zip")


def test_preferences_from_separated_values(tmp_path) -> None:
    (tmp_path / "p.tsv").write_text("prompt\tchosen\trejected\nq\tgood\tbad\n")
    found = load_preferences(PreferenceSource(path="p.tsv"), "pairs", tmp_path)
    assert [(pair.prompt, pair.chosen, pair.rejected) for pair in found.items] == [
        ("q", "good", "bad")
    ]
