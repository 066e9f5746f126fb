"""Traces that people edit: what is exported, which edits are taken, what the report says."""

from __future__ import annotations

import json

import pytest

from curation_world import FakeScorer, problems_of, sample_into, settings_of
from r1.curation.pattern import PatternSettings
from r1.curation.review_export import export_review
from r1.curation.review_format import ReviewTrace, read_edited, to_jsonl, to_markdown
from r1.curation.review_import import import_review
from r1.curation.settings import ReviewSettings
from r1.curation.store import read_rows
from r1.errors import UserError
from test_curation_rejection import GOOD, OTHER, scripted

PATTERN = PatternSettings()
NASTY = (
    'A first line.\n<!-- r1 end -->\n\\<!-- r1 summary -->\n<!-- r1 trace "x" -->\n'
    "\n  indented\n```python\nx = 1\n```\n| table | 　全角 |\n中文。"
)


@pytest.fixture
def exported(tmp_path):
    """Four traces of two problems, exported."""
    texts = [f"<think>\n{t}\n</think>\n\nSo \\boxed{{1}}." for t in (GOOD, OTHER)]
    texts += [text.replace("{1}", "{2}") for text in texts]
    settings = settings_of(num_samples=4, sampled={})
    sample_into(tmp_path / "data", problems_of(2), settings, scripted(texts), scorer_of())
    assert export_review(tmp_path / "data", tmp_path / "export") == 4
    return tmp_path


def scorer_of():
    return FakeScorer(answer_from="boxed", weights={"accuracy": 1.0, "format": 0.0})


def read_back(folder, out="out", edited=None, **settings):
    problems = {problem.id: problem for problem in problems_of(2)}
    return import_review(
        folder / out,
        folder / "export",
        problems,
        scorer_of(),
        ReviewSettings.model_validate(settings),
        PATTERN,
        count_tokens=lambda text: len(text.split()),
        edited=edited,
    )


def edit_markdown(folder, *changes):
    path = folder / "export" / "review.md"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


def edit_jsonl(folder, change):
    path = folder / "export" / "review.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row for row in map(change, rows) if row is not None]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def test_nothing_edited_gives_the_same_rows(exported):
    report = read_back(exported)
    assert (report.exported, report.unchanged, report.edited) == (4, 4, 0)
    assert list(read_rows(exported / "out")) == list(read_rows(exported / "data"))


@pytest.mark.parametrize("suffix", ["md", "jsonl"])
def test_any_text_comes_back_as_it_went_out(tmp_path, suffix):
    traces = [
        ReviewTrace('p/"1" -->', "en", "What?\n> really", "7", NASTY, "Sum\n\n\\boxed{7}"),
        ReviewTrace("p/2", "zh", "问题", None, NASTY.replace("\n", "\r\n"), "<!-- r1 end -->"),
    ]
    path = tmp_path / f"review.{suffix}"
    write = to_markdown if suffix == "md" else to_jsonl
    path.write_text(write(traces), encoding="utf-8", newline="")
    found = list(read_edited(path))
    assert [item.fault for item in found] == [None, None]
    for item, trace in zip(found, traces, strict=True):
        assert item.trace.id == trace.id
        assert item.trace.reasoning == trace.reasoning.replace("\r\n", "\n")
        assert (item.trace.summary, item.trace.decision) == (trace.summary, "keep")


def test_an_edit_is_verified_and_written(exported):
    edit_markdown(
        exported,
        (GOOD, GOOD + " Yes, one and nothing make one."),
        ("<!-- r1 decision: keep -->\n\n<!-- r1 reasoning -->\n" + OTHER,
         "<!-- r1 decision: drop -->\n\n<!-- r1 reasoning -->\n" + OTHER),
        ("So \\boxed{2}.", "So \\boxed{2}.   "),  # white space is no edit
    )  # fmt: skip
    report = read_back(exported)
    assert (report.edited, report.dropped, report.unchanged) == (1, 1, 2)
    rows = list(read_rows(exported / "out"))
    before = list(read_rows(exported / "data"))
    assert len(rows) == 3
    assert rows[0]["thinking"] == GOOD + " Yes, one and nothing make one."
    assert rows[0]["response"] == PATTERN.render(rows[0]["thinking"], "So \\boxed{1}.")
    assert (rows[0]["origin"], rows[0]["answer"]) == ("human", "1")
    assert rows[0]["num_tokens"] == len(rows[0]["response"].split())
    assert rows[1:] == before[2:]
    (change,) = report.changes
    assert f"+{GOOD} Yes, one and nothing make one." in change.diff
    markdown = (exported / "out" / "review.md").read_text()
    assert all(part in markdown for part in ("| edited | 1 |", "+First add"))
    assert json.loads((exported / "out" / "review.json").read_text())["dropped"] == 1


BAD_EDITS = [
    (lambda row: row | {"summary": "So \\boxed{5}."}, "answer is not verified: wrong"),
    (lambda row: row | {"summary": "No answer."}, "answer is not verified: unparseable"),
    (lambda row: row | {"reasoning": " \n"}, "the reasoning is empty"),
    (lambda row: row | {"summary": "</think> \\boxed{1}"}, "special token </think>"),
    (lambda row: row | {"question": "What is 2 plus 1?"}, "the question was edited"),
    (lambda row: row | {"decision": "maybe"}, 'must be "keep" or "drop"'),
    (lambda row: row | {"id": "sums-9/0"}, "no trace of this id"),
    (lambda row: row | {"summary": 5}, '"summary" is missing or no text'),
]


@pytest.mark.parametrize(("change", "reason"), BAD_EDITS)
def test_bad_edits_are_refused_or_left_out(exported, change, reason):
    edit_jsonl(exported, lambda row: change(row) if row["id"] == "sums-0/0" else row)
    with pytest.raises(UserError) as caught:
        read_back(exported)
    assert reason in str(caught.value)
    assert not (exported / "out").exists()
    report = read_back(exported, faulty="drop", missing="drop")
    assert reason in str(report.faults[0])
    assert [row["id"] for row in read_rows(exported / "out")] == [
        "sums-0/1",
        "sums-1/2",
        "sums-1/3",
    ]
    read_back(exported, "original", faulty="original", missing="original")
    rows = list(read_rows(exported / "original"))
    assert rows == list(read_rows(exported / "data"))


def test_traces_with_one_fault_share_a_line(exported):
    edit_jsonl(exported, lambda row: None)
    with pytest.raises(UserError) as refused:
        read_back(exported)
    [first, shared, _] = str(refused.value).splitlines()
    assert first.endswith("4 traces cannot be imported:")
    assert shared.startswith("  sums-0/0, sums-0/1, sums-1/2, sums-1/3: it is not in the file")


def test_a_trace_that_is_gone_or_twice(exported):
    edit_jsonl(exported, lambda row: None if row["id"] == "sums-1/2" else row)
    with pytest.raises(UserError, match='sums-1/2: it is not in the file; write "drop"'):
        read_back(exported)
    assert read_back(exported, missing="drop").missing == 1
    path = exported / "export" / "review.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match="line 4: sums-0/0: it stands in line 1 already"):
        read_back(exported, "b", missing="drop")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<!-- r1 end -->\n", "", 'no "end" line'),
        ("<!-- r1 summary -->\n", "", 'no "summary" line'),
        ("<!-- r1 summary -->\n", "<!-- r1 reasoning -->\n", 'a second "reasoning" line'),
        ('<!-- r1 trace "sums-0/0" -->', "<!-- r1 trace sums-0/0 -->", "no longer readable"),
        ('<!-- r1 trace "sums-0/0" -->\n', "", 'no "trace" line'),
    ],
)
def test_broken_sections_are_named(exported, old, new, reason):
    edit_markdown(exported, (old, new))
    with pytest.raises(UserError) as caught:
        read_back(exported)
    assert reason in str(caught.value)


def test_readability_limits_for_edits(exported):
    wall = " ".join(["we add one more number to the sum and go on"] * 40)
    edit_markdown(exported, (GOOD, wall))
    assert read_back(exported).edited == 1
    with pytest.raises(UserError, match="long paragraph"):
        read_back(exported, "b", readability={})


def test_which_file_was_edited(exported):
    edit_markdown(exported, (GOOD, GOOD + " Indeed."))
    edit_jsonl(exported, lambda row: row | {"reasoning": row["reasoning"] + " So it is."})
    with pytest.raises(UserError, match="both edited"):
        read_back(exported)
    assert read_back(exported, edited=exported / "export" / "review.md").edited == 1
    with pytest.raises(UserError, match="holds an export already"):
        export_review(exported / "data", exported / "export")
    (exported / "export" / "original.jsonl").write_text("")
    with pytest.raises(UserError, match=r"original\.jsonl was changed"):
        read_back(exported, "c")


def test_only_some_rows_are_exported(exported):
    assert export_review(exported / "data", exported / "some", ["sums-1/3"]) == 1
    with pytest.raises(UserError, match="no row 'x'"):
        export_review(exported / "data", exported / "none", ["x"])
