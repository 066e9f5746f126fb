"""The readers of external files: what they refuse, at once and by name, and what they let pass."""

from __future__ import annotations

import os
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.distributed.checkpoint as dcp

from r1 import chat_template
from r1.chat_template import check_chat_template
from r1.data.load import load_problems
from r1.data.settings import SourceSettings
from r1.data.tiny import MODELS
from r1.errors import UserError
from r1.files import parquet
from r1.files.json_text import FormatError, parse_json, parse_toml
from r1.files.regular import read_bytes
from r1.files.shapes import read_json
from r1.learner.shard_reader import read_metadata
from r1.learner.state import LearnerState, read_tensors
from r1.models.load import check_model_folder, load_tokenizer, read_config
from r1.run_dir import atomic
from r1.template import PromptRenderer, TemplateSettings
from small_models import save_small_model


def test_a_reader_sets_aside_no_more_memory_than_a_file_needs(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"12" * (1 << 20))
    assert read_bytes(path, 1 << 50) == path.read_bytes()  # a petabyte: no machine has it
    assert read_bytes(path, 2 << 20) == path.read_bytes()
    with pytest.raises(UserError, match="has more than 1 MiB"):
        read_bytes(path, (2 << 20) - 1)


class Runs:
    """A pickle that leaves a file where it is loaded with pickle's full powers."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (os.system, (f"touch {self.mark}",))


@pytest.mark.parametrize("text", [b'{"a": 1, "a": 2}', b"[" * 101 + b"]" * 101, b"9" * 5000])
def test_json_that_python_reads_or_dies_of_is_refused(text):
    with pytest.raises(FormatError):
        parse_json(text)


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", str(1 << 64)])
def test_numbers_are_refused_in_our_own_files_only(text):
    with pytest.raises(FormatError):
        parse_json(text, finite=True)
    parse_json(text)


def test_toml_that_nests_without_end_is_refused():
    with pytest.raises(FormatError, match="deep"):
        parse_toml(b"a = " + b"[" * 10_000)


def test_shapes_are_not_converted(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": "7"}')
    with pytest.raises(UserError, match=r"x\.json cannot be used \(a: .*integer"):
        read_json(path, shape=dict[str, int])
    assert read_json(path, shape=dict[str, str]) == {"a": "7"}


@pytest.mark.parametrize("dictionary", [True, False])
def test_equal_texts_of_a_table_are_counted_before_they_are_made(tmp_path, monkeypatch, dictionary):
    monkeypatch.setattr(parquet, "MAX_BATCH_BYTES", 8 << 20)
    path, table = tmp_path / "t.parquet", pa.table({"x": ["a" * 10_000] * 1000})
    pq.write_table(table, path, compression="zstd", use_dictionary=dictionary)
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"t\.parquet.* would take"):
        next(parquet.read_rows(path))


@pytest.mark.parametrize("dictionary", [True, False])
def test_lists_of_equal_texts_are_read_in_small_batches(tmp_path, monkeypatch, dictionary):
    monkeypatch.setattr(parquet, "MAX_BATCH_BYTES", 8 << 20)
    path, table = tmp_path / "t.parquet", pa.table({"m": [[{"text": "a" * 100_000}]] * 200})
    pq.write_table(table, path, compression="zstd", use_dictionary=dictionary)
    sizes = [batch.num_rows for batch in parquet.read_batches(path)]
    assert sum(sizes) == 200
    assert max(sizes) <= (8 << 20) // 100_000


def test_rows_come_back_as_pyarrow_has_them(tmp_path):
    path = tmp_path / "t.parquet"
    table = pa.table(
        {"a": ["x", None, "y"] * 2000, "b": [[1.5], [], None] * 2000, "c": range(6000)}
    )
    pq.write_table(table, path)
    assert list(parquet.read_rows(path)) == table.to_pylist()
    assert parquet.read_columns(path, ["a", "c"]).equals(table.select(["a", "c"]))


def test_a_model_in_a_folder_whose_name_is_not_utf8_has_tables(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff"))
    folder.mkdir()
    with (folder / "t.parquet").open("wb") as file:
        pq.write_table(pa.table({"a": [1]}), file)
    assert list(parquet.read_rows(folder / "t.parquet")) == [{"a": 1}]


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    dcp.save({"a/b": torch.arange(3.0), "step": torch.tensor(1)}, checkpoint_id=tmp_path / "state")
    return tmp_path / "state"


def test_metadata_of_our_own_is_read(checkpoint):
    assert set(read_metadata(checkpoint).state_dict_metadata) == {"a/b", "step"}


def test_metadata_runs_no_code(checkpoint, tmp_path):
    mark = tmp_path / "ran"
    (checkpoint / ".metadata").write_bytes(pickle.dumps(Runs(mark)))
    with pytest.raises(UserError, match=r"\.metadata is damaged or not written by r1.*system"):
        read_metadata(checkpoint)
    assert not mark.exists()


def test_values_that_pytorch_would_unpickle_are_refused(tmp_path):
    dcp.save({"step": "text"}, checkpoint_id=tmp_path / "state")
    with pytest.raises(UserError, match="'step' is no tensor"):
        read_metadata(tmp_path / "state")


def test_files_outside_a_checkpoint_are_refused(checkpoint):
    metadata = pickle.loads((checkpoint / ".metadata").read_bytes())
    for place in metadata.storage_data.values():
        place.relative_path = "../../etc/passwd"
    (checkpoint / ".metadata").write_bytes(pickle.dumps(metadata))
    with pytest.raises(UserError, match="is no file of it"):
        read_metadata(checkpoint)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x80\x04.", os.urandom(500)])
def test_states_that_are_none(tmp_path, content):
    path = tmp_path / "learner.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"learner\.pt"):
        read_tensors(path, LearnerState)


@pytest.mark.parametrize("too_large", [lambda: torch.empty(2**50), lambda: bytearray(2**60)])
def test_a_state_that_memory_does_not_hold_is_not_called_damaged(tmp_path, monkeypatch, too_large):
    path = tmp_path / "learner.pt"
    path.write_bytes(b"PK")
    monkeypatch.setattr(torch, "load", lambda *_, **__: too_large())
    with pytest.raises(UserError, match=r"learner\.pt .* does not fit into memory"):
        read_tensors(path, LearnerState)


def test_a_model_never_asks_whether_to_run_its_code(tmp_path, monkeypatch):
    folder = save_small_model(tmp_path / "model")
    mark = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n")
    text = (folder / "config.json").read_text().replace('"qwen2"', '"evil"')
    code = '{"auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"},'
    (folder / "config.json").write_text(text.replace("{", code, 1))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked"))
    with pytest.raises(UserError, match="R1_TRUST_MODEL_CODE=1"):
        check_model_folder(folder)
    assert not mark.exists()
    monkeypatch.setenv("R1_TRUST_MODEL_CODE", "1")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError):
        read_config(folder)
    assert mark.exists()  # the setting does what its name says


ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for m in messages %}{{ m.content }", "unexpected"),
        (ENDLESS, "does not end"),
        ("{{ 'a' * 10 ** 11 }}", "MemoryError"),
        ("{{ messages[0].content + 1 }}", "concatenate"),
        ("{{ messages[0].nothing.more }}", "undefined|no attribute"),
        ("my_template.jinja", "'my_template.jinja' does not hold the question"),
    ],
)
def test_broken_chat_templates_are_told_before_training(template, message):
    tokenizer = load_tokenizer(MODELS["tiny"])
    tokenizer.chat_template = template
    with pytest.raises(UserError, match=f"template T .*({message})"):
        check_chat_template(tokenizer, "template T")


@pytest.mark.parametrize(
    ("slow", "threaded"),
    [(ENDLESS, False), ("{{ 9 ** (9 ** (8 + messages | length)) }}", False), (ENDLESS, True)],
)
def test_a_chat_template_that_never_ends_for_one_problem(monkeypatch, slow, threaded):
    """It is not among the trial's questions; a signal is not heard outside the main thread."""
    tokenizer = load_tokenizer(MODELS["tiny"])
    tokenizer.chat_template = (
        "{{ messages[0].content }}{% if 'frogs' in messages[0].content %}" + slow + "{% endif %}"
    )
    renderer = PromptRenderer(tokenizer, TemplateSettings(kind="chat"))
    handler = signal.getsignal(signal.SIGALRM)

    def render(question):
        if not threaded:
            return renderer.encode(question)
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(renderer.encode, question).result()

    assert render("How many cats?")
    monkeypatch.setattr(chat_template, "RENDER_TIMEOUT_S", 0.3)
    with pytest.raises(UserError, match=r"does not end within .* 'How many frogs\?'"):
        render("How many frogs?")
    monkeypatch.undo()
    assert render("How many dogs?")  # nothing is left that would interrupt it
    assert signal.getsignal(signal.SIGALRM) == handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_refused_system_turn_is_told_as_such():
    tokenizer = load_tokenizer(MODELS["tiny"])
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('none') }}{% endif %}"
    tokenizer.chat_template = refusal + "{{ messages[0].content }}"
    check_chat_template(tokenizer, "T")
    with pytest.raises(UserError, match="takes no system turn"):
        check_chat_template(tokenizer, "T", "be brief")


def test_metadata_of_parquet_rows_of_differing_fields(tmp_path):
    tests = [{"language": "python", "tests": [{"input": "3"}]}, {"entry": "f", "tests": []}]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_pylist([{"prompt": "?", "metadata": m} for m in tests]), path)
    settings = SourceSettings(kind="parquet", path=str(path), verifier="none")
    assert [p.metadata for p in load_problems(settings, Path())] == tests
    texts = [{"prompt": "?", "metadata": '{"tests": [{"expected": null}]}'}]
    pq.write_table(pa.Table.from_pylist(texts), path)
    assert load_problems(settings, Path())[0].metadata == {"tests": [{"expected": None}]}


def test_a_folder_in_the_place_of_a_report_is_told(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(UserError, match=r"report\.html is a folder; give the name of a file"):
        atomic.write_text(tmp_path / "report.html", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_texts_that_are_not_utf8_are_told_wherever_they_stand(tmp_path):
    path = tmp_path / "t.parquet"
    broken = pa.array([b"\xff\xfe"]).view(pa.string())
    inside = pa.StructArray.from_arrays([broken], ["text"])
    for column in (broken, broken.dictionary_encode(), inside, pa.array([["x"]])):
        pq.write_table(pa.table({"x": column}), path)
        if pa.types.is_list(column.type):
            assert len(list(parquet.read_batches(path))) == 1
            continue
        with pytest.raises(UserError, match=r"t\.parquet cannot be read as Parquet.*UTF8"):
            list(parquet.read_batches(path))


@pytest.mark.parametrize("row", ['"9 + 1?,10', "a,b,c,d"])
def test_a_broken_csv_file_is_told_with_its_reason(tmp_path, row):
    pytest.importorskip("datasets")
    (tmp_path / "train.csv").write_text(f"prompt,reference\n1 + 1?,2\n{row}\n")
    settings = SourceSettings(kind="huggingface", path=str(tmp_path), verifier="exact")
    with pytest.raises(UserError, match=r"row 2: . fields where 2 are named"):
        load_problems(settings, Path())
