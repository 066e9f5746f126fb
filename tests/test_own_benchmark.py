"""A benchmark of your own is one file, a TOML table or a module: listed, run, carried on, shown."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fake_endpoint import KEY, FakeEndpoint
from r1.benchmarks import registry
from r1.benchmarks.protocol import load
from r1.benchmarks.running.choose import NO_DATA, by_reason, choose
from r1.benchmarks.table import read_table
from r1.cli import app
from r1.errors import UserError
from r1.evaluation import blocks
from r1.rewards import answer_reward

TABLE = r"""
name = "capitals"
data = "capitals.jsonl"
prompt = "What is the capital of {country}? Put it within \\boxed{}."
answer = "capital"
verifier = "exact"
k = 2
"""
MODULE = '''
"""Which letter comes next."""

from r1.benchmarks.protocol import Benchmark, DataLayout, items, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines
from r1.types import Problem


def problem(where, row):
    prompt = f"Which country has {text_of(row, 'capital')}? \\\\boxed{{it}}."
    source = {"answer_from": "boxed"}
    return Problem(f"countries/{where}", prompt, row["country"], "exact", metadata=source)


def read(paths):
    return items(json_lines(paths[0][0]), problem)


register_benchmark(
    Benchmark(
        name="countries",
        title="Countries",
        measures="geography backwards",
        num_questions=3,
        k=1,
        protocol="its own",
        data="made here",
        layouts=(DataLayout("all of it", ("rows.jsonl",), read),),
    )
)
'''
CAPITALS = {"Peru": "Lima", "Chad": "N'Djamena", "Fiji": "Suva"}
ROWS = [{"country": country, "capital": capital} for country, capital in CAPITALS.items()]


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(registry, "_BENCHMARKS", dict(registry.benchmarks()))
    monkeypatch.syspath_prepend(tmp_path)
    rows = "".join(json.dumps(row) + "\n" for row in [*ROWS, {"country": "Nowhere"}])
    (tmp_path / "capitals.toml").write_text(TABLE)
    (tmp_path / "capitals.jsonl").write_text(rows)
    (tmp_path / "country_benchmark.py").write_text(MODULE)
    (tmp_path / "data" / "countries").mkdir(parents=True)
    (tmp_path / "data" / "countries" / "rows.jsonl").write_text(rows)
    yield tmp_path
    sys.modules.pop("country_benchmark", None)


def atlas(body: dict) -> dict:
    """Know every capital but Suva, and every country."""
    prompt = body["messages"][-1]["content"]
    country = re.search(r"capital of (\w+)", prompt)
    if country:
        answer = CAPITALS[country[1]].replace("Suva", "Nadi")
    else:
        answer = next(name for name, capital in CAPITALS.items() if f" {capital}?" in prompt)
    message = {"content": f"<think>hm</think>\\boxed{{{answer}}}"}
    return {"choices": [{"message": message, "finish_reason": "stop"}]}


def bench(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["bench", *arguments], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_table_is_a_benchmark(world, monkeypatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_SAMPLES", 2)
    table, out = str(world / "capitals.toml"), str(world / "out")
    listed = bench("list", table)
    assert "capitals" in listed
    assert "found: capitals.jsonl" in listed
    written, calls = blocks.completion_table, []

    def killed_once(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return written(*arguments)

    monkeypatch.setattr(blocks, "completion_table", killed_once)
    with FakeEndpoint(complete=atlas) as server:
        run = ["run", f"{server.base_url}#fake-judge", table, "--out", out]
        assert CliRunner().invoke(app, ["bench", *run]).exit_code == 130
        assert "capitals" in bench(*run)
    assert len(calls) == 4  # three blocks, one of them twice
    result = json.loads((world / "out" / "capitals" / "benchmark.json").read_text())
    assert (result["num_questions"], result["k"]) == (3, 2)
    assert result["score"]["value"] == pytest.approx(2 / 3)
    assert result["refused"] == {"there is no column capital; the columns are: country": 1}
    assert "66.7" in bench("show", out)


def test_a_module_is_a_benchmark(world) -> None:
    data, out = str(world / "data"), str(world / "out")
    plugin = ["--plugin", "country_benchmark"]
    assert "found: all of it" in bench("list", "countries", "--data", data, *plugin)
    with FakeEndpoint(complete=atlas) as server:
        model = f"{server.base_url}#fake-judge"
        bench("run", model, "countries", "--data", data, "--out", out, *plugin)
    shown = bench("show", out)
    assert "Countries" in shown
    assert "100.0" in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("k = 2", "k = 0"), "k: "),
        (("verifier", "verifyer"), "verifyer: unknown setting; did you mean"),
        (('"capitals"', '"../capitals"'), "a name has letters"),
        (("capitals.jsonl", "capitols.jsonl"), "is no file beside it"),
        (
            ("{country}", "{land}"),
            "no question of .*capitals.jsonl.*no column land; the columns are",
        ),
        (('"exact"', '"exactly"'), "exactly"),
        (('"exact"', '"judge"'), "verifier: it asks a language model.*; give one that compares"),
        (('"exact"', '"afterwards"'), "verifier: it leaves the verdict to a judge"),
        (('"exact"', '"none"'), "verifier: it gives no verdict"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(world, change, message) -> None:
    (world / "capitals.toml").write_text(TABLE.replace(*change))
    with pytest.raises(UserError, match=message):
        load(read_table(world / "capitals.toml"), NO_DATA)


def test_options_make_a_letter_of_the_answer(world) -> None:
    rows = [
        {"q": "1 + 1?", "o": ["2", "3"], "a": "A", "kind": "sums"},
        {"q": "1 + 2?", "o": [], "a": "A", "kind": "sums"},
    ]
    text = 'name = "o"\ndata = "o.jsonl"\nprompt = "{q}\\n{options}\\nAnswer: X"\nanswer = "a"\n'
    more = 'options = "o"\nfamily = "kind"\nverifier = "letter"\nanswer_from = "last_line"\n'
    (world / "o.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (world / "o.toml").write_text(text + more)
    found = load(read_table(world / "o.toml"), NO_DATA)
    [problem] = found.problems
    assert problem.prompt == "1 + 1?\nA) 2\nB) 3\nAnswer: X"
    assert (problem.family, problem.metadata["options"]) == ("sums", ["2", "3"])
    assert len(found.refused) == 1


@pytest.mark.parametrize(
    ("verifier", "columns"),
    [
        ("exact", {"a": "4", "aliases": ["four"], "case": True}),
        ("numeric", {"a": 4, "rel_tol": 0.05, "unit": "m"}),
        ("code", {"language": "python", "tests": [{"input": "", "output": "4"}]}),
        ("ifeval", {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}),
    ],
)
def test_the_columns_that_the_verifier_reads_reach_it(world, verifier, columns) -> None:
    row = {"q": "2 + 2", **columns, "answer_from": "json", "other": 1}
    (world / "c.jsonl").write_text(json.dumps(row))
    text = 'name = "c"\ndata = "c.jsonl"\nprompt = "{q}?"\nanswer = "a"\nanswer_from = "text"\n'
    (world / "c.toml").write_text(f'{text}verifier = "{verifier}"\n')
    found = load(read_table(world / "c.toml"), NO_DATA)
    assert not found.refused
    [problem] = found.problems
    read = {name: value for name, value in columns.items() if name != "a"}
    assert problem.metadata == {**read, "answer_from": "text"}
    assert problem.reference == ("4" if "a" in columns else None)


def test_an_alias_of_a_row_is_right(world) -> None:
    (world / "c.jsonl").write_text('{"q": "2 + 2", "a": "4", "aliases": ["four"]}')
    (world / "c.toml").write_text(
        'name = "c"\ndata = "c.jsonl"\nprompt = "{q}?"\nanswer = "a"\nverifier = "exact"\n'
    )
    [problem] = load(read_table(world / "c.toml"), NO_DATA).problems
    for said, value in (("four", 1.0), ("4", 1.0), ("4 or four", 0.0), ("five", 0.0)):
        score = answer_reward(f"\\boxed{{{said}}}", "4", "exact", metadata=problem.metadata)
        assert score.value == value


def test_a_suite_says_what_it_leaves_out(world) -> None:
    (world / "data" / "gsm8k").mkdir()
    (world / "data" / "gsm8k" / "test.jsonl").write_text("")
    (world / "data" / "simpleqa").mkdir()
    (world / "data" / "simpleqa" / "simple_qa_test_set.csv").write_text("")
    (world / "data" / "math500").mkdir()
    (world / "data" / "math500" / "test.jsonl").write_text("")
    chosen, left_out = choose([], world / "data", of="paper")
    assert [benchmark.name for benchmark in chosen] == ["math500"]
    assert "simpleqa: it needs a judge (--judge)" in left_out
    assert "gpqa: no data" in left_out
    assert "; it needs a judge (--judge): simpleqa" in by_reason(left_out)
    assert by_reason(left_out).count("no data") == 1
    assert "gsm8k" not in " ".join(left_out)  # the paper has no figure of it
    chosen, left_out = choose([], world / "data")
    assert [benchmark.name for benchmark in chosen] == ["gsm8k", "math500"]
    assert left_out == []
    for wrong in ({"of": "papers"}, {"of": "paper", "names": ["gsm8k"]}, {"names": ["gsm9k"]}):
        with pytest.raises(UserError):
            choose(wrong.pop("names", []), world / "data", **wrong)
