"""`r1 compare --judge`: whose answers a judge prefers, on stored answers and a local endpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fake_endpoint import KEY, MODEL, FakeEndpoint, data_of, reply_json
from r1.cli import app
from r1.errors import UserError
from r1.evaluation.preference import (
    Answer,
    AnswerPair,
    JudgedPair,
    preference_figures,
    read_answers,
    win_rate,
)
from r1.judge.ask import MAX_ANSWER_CHARS
from r1.run_dir import completion_table
from r1.run_dir.evaluation import REQUEST, RESULT
from r1.template import parse
from r1.types import FAILED, Completion, Problem, Reward, RolloutGroup, ScoredGroup

THINKING = "I think of a secret.</think>\n\n"
Texts = Mapping[str, Sequence[str]]


@pytest.fixture(autouse=True)
def _key(monkeypatch) -> None:
    monkeypatch.setenv("FAKE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def evaluation(folder: Path, texts: Texts, question: str = "What is {}?") -> Path:
    """As `r1 eval` leaves it, of problems without an accuracy. A text "!" never came. The family is
    what stands before a dash of the problem's id."""
    groups = []
    for name, own in texts.items():
        problem = Problem(name, question.format(name), None, "none", family=name.partition("-")[0])
        drawn = [
            Completion([1], [0.0], "" if text == "!" else text, FAILED if text == "!" else "stop")
            for text in own
        ]
        groups.append(
            ScoredGroup(RolloutGroup(problem, (1,), drawn), [Reward(0.0, {}, True)] * len(own))
        )
    (folder / "blocks").mkdir(parents=True)
    table = completion_table(0, groups, partial(parse, opened=True))
    pq.write_table(table, folder / "blocks" / "block-00000.parquet")
    (folder / REQUEST).write_text("{}")
    (folder / RESULT).write_text(json.dumps({"step": 0}))
    return folder


def judge_file(folder: Path, endpoint: FakeEndpoint) -> Path:
    path = folder / "judge.toml"
    given = {"base_url": endpoint.base_url, "model": MODEL, "api_key_env": "FAKE_KEY"}
    path.write_text("".join(f'{name} = "{value}"\n' for name, value in given.items()))
    return path


def by_length(prompt: str) -> str:
    """The longer answer is better, much better where it is twice as long; honest to places."""
    a, b = (len(data_of(prompt, f"answer {letter}")) for letter in "AB")
    label = "A=B" if a == b else "A>B" if a > b else "B>A"
    return reply_json(prompt, label)


def compare(folder: Path, endpoint: FakeEndpoint, *more: str) -> dict:
    """The figures of `r1 compare a b --judge`."""
    given = ["compare", str(folder / "a"), str(folder / "b"), "--judge"]
    given += [str(judge_file(folder, endpoint)), "--out", str(folder / "out"), *more]
    done = CliRunner().invoke(app, given)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads((folder / "out" / "preference.json").read_text())


def test_every_way_in_which_a_pair_can_end(tmp_path) -> None:
    own = {
        "f-won": ("one", "three"), "f-lost": ("three", "one"), "f-tied": ("one", "two"),
        "f-same": ("as is", "as is"), "f-unfinished": ("the thinking never ends", "three"),
        "g-empty": ("one", ""), "g-long": ("x" * (MAX_ANSWER_CHARS + 1), "one"),
        "g-neither": ("", ""), "g-failed": ("!", "one"), "g-mumble": ("one", "mumble"),
    }  # fmt: skip

    def sides(side: int) -> Texts:
        unchanged = ("!", "the thinking never ends")
        return {
            name: [text if text in unchanged else THINKING + text]
            for name, text in ((name, both[side]) for name, both in own.items())
        }

    evaluation(tmp_path / "a", {**sides(0), "only": ["a"]})
    evaluation(tmp_path / "b", sides(1))

    def brain(prompt: str) -> str:
        if "mumble" in prompt:
            return "I cannot say."
        return by_length(prompt)

    with FakeEndpoint(brain=brain) as endpoint:
        found = compare(tmp_path, endpoint)
        bodies = json.dumps(endpoint.bodies)
    assert "secret" not in bodies  # the thinking
    assert (found["won"], found["tied"], found["lost"]) == (3, 2, 2)
    assert found["num_pairs"] == found["num_problems"] == 7
    assert found["win_rate"]["value"] == pytest.approx((3 + 0.5 * 2) / 7)
    assert found["verdict"] == "not told apart"
    assert found["families"].keys() == {"f", "g"}
    assert found["families"]["f"]["value"] == pytest.approx(3 / 5)
    assert found["without_answer"] == {"first": 3, "other": 2, "both": 1}
    assert (found["failed"], found["without_verdict"]) == (1, 1)
    assert found["left_out"] == {"only_first": 1, "only_other": 0, "other_question": 0}
    assert found["position_consistency"] == 1.0
    assert found["first_place_preferred"] == 0.5
    lines = [json.loads(x) for x in (tmp_path / "out/judgements.jsonl").read_text().splitlines()]
    endings = {line["problem_id"]: line["ending"] for line in lines}
    assert endings == {
        "f-won": "judged", "f-lost": "judged", "f-tied": "judged", "f-same": "same",
        "f-unfinished": "only other", "g-empty": "only first", "g-long": "only other",
        "g-neither": "neither", "g-failed": "failed", "g-mumble": "judged",
    }  # fmt: skip
    assert [v["label"] for v in lines[0]["verdicts"]] == ["B>A", "A>B"]


def test_a_judge_that_prefers_a_place_favours_nobody(tmp_path) -> None:
    own = {f"p{i}": [THINKING + f"first {i}"] for i in range(4)}
    evaluation(tmp_path / "a", own)
    evaluation(tmp_path / "b", {name: [THINKING + "other"] for name in own})
    with FakeEndpoint(brain=lambda prompt: reply_json(prompt, "A>>B")) as endpoint:
        found = compare(tmp_path, endpoint)
    assert (found["won"], found["tied"], found["lost"]) == (0, 4, 0)
    assert found["win_rate"]["value"] == 0.5
    assert (found["position_consistency"], found["first_place_preferred"]) == (0.0, 1.0)


def test_what_was_paid_for_is_not_asked_again(tmp_path) -> None:
    """Another number of samples asks for the new ones alone."""
    own = {f"p{i}": ["a" * (i + 1), "b" * (i + 3)] for i in range(3)}
    evaluation(tmp_path / "a", own)
    evaluation(tmp_path / "b", {name: [two, one] for name, (one, two) in own.items()})
    with FakeEndpoint(brain=by_length) as endpoint:
        first = compare(tmp_path, endpoint)
        asked = endpoint.num_requests
        assert first["judge"]["requests"] == 6
        files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        assert compare(tmp_path, endpoint) == first
        assert endpoint.num_requests == asked
        assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == files
        both = compare(tmp_path, endpoint, "--samples", "2")
    assert endpoint.num_requests == asked  # the second pairs are the first ones turned round
    assert both["num_pairs"] == 6
    assert both["win_rate"]["value"] == 0.5
    assert (first["won"], first["where_not_longer"]) == (3, None)


def test_the_interval_is_over_problems() -> None:
    """Forty pairs of four problems know no more than the problems do."""

    def judged(problem: int, sample: int, won: bool) -> JudgedPair:
        texts = (None, "x") if won else ("x", None)
        answers = [Answer(text, failed=False) for text in texts]
        return JudgedPair(AnswerPair(f"p{problem}", "f", "?", sample, *answers), None)

    few = win_rate([judged(p, s, won=p < 3) for p in range(4) for s in range(10)])
    many = win_rate([judged(p, 0, won=p % 4 < 3) for p in range(40)])
    assert few.value == many.value == 0.75
    assert few.high - few.low > 1.5 * (many.high - many.low)
    sure = preference_figures([judged(p, 0, won=p < 30) for p in range(36)])
    assert sure["verdict"] == "better"
    assert sure["without_answer"] == {"first": 30, "other": 6, "both": 0}
    assert preference_figures([judged(p, 0, won=p < 6) for p in range(36)])["verdict"] == "worse"


@pytest.mark.parametrize(
    ("texts", "answers"),
    [
        (["<think>a</think> b", "<think>a", "b"], ["b", None, "b"]),
        (["a</think> b", "a"], ["b", None]),  # the prompt opened the thinking
        (["<think>a</think> <answer>b</answer>"], ["b"]),
        (["b", ""], ["b", None]),  # a model without thinking
    ],
)
def test_answers_are_what_follows_the_thinking(tmp_path, texts, answers) -> None:
    evaluation(tmp_path / "a", {f"p{i}": [text] for i, text in enumerate(texts)})
    found = read_answers(tmp_path / "a").problems
    assert [found[f"p{i}"].answers[0].text for i in range(len(texts))] == answers


def test_what_is_refused_before_anything_is_asked(tmp_path) -> None:
    one = evaluation(tmp_path / "a", {"p": ["x"]})
    other = evaluation(tmp_path / "b", {"p": ["x"]}, "Another {}?")
    judge = tmp_path / "judge.toml"
    judge.write_text(f'base_url = "http://127.0.0.1:1/v1"\nmodel = "{MODEL}"\napi_key_env = ""\n')

    def refused(*words: object) -> str:
        done = CliRunner().invoke(app, ["compare", *map(str, words)])
        assert isinstance(done.exception, UserError), done.output
        return str(done.exception)

    assert "give --judge" in refused(one, other, "--samples", 2)
    assert "give --out FOLDER" in refused(one, other, "--judge", judge)
    out = ("--out", tmp_path / "out")
    assert "two evaluations; give A and one B" in refused(
        one, other, tmp_path / "c", "--judge", judge, *out
    )
    assert "is a file" in refused(one, other, "--judge", judge, "--out", judge)
    assert "no question in common" in refused(one, other, "--judge", judge, *out)
    assert "no such file" in refused(one, other, "--judge", tmp_path / "no.toml", *out)
    assert not (tmp_path / "out").exists()


def test_the_table_says_what_was_found(tmp_path) -> None:
    names = [f"{family}-{i}" for family in ("chat", "code") for i in range(15)]
    evaluation(tmp_path / "a", {name: ["short"] for name in names})
    evaluation(tmp_path / "b", {name: ["a longer one"] for name in names})
    with FakeEndpoint(brain=by_length) as endpoint:
        words = ["--judge", str(judge_file(tmp_path, endpoint)), "--out", str(tmp_path / "out")]
        given = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), *words]
        done = CliRunner().invoke(app, given, env={"COLUMNS": "120"})
        again = CliRunner().invoke(app, [*given, "--json"])
    assert done.exit_code == 0, done.output
    for said in (
        "The judge prefers B: the whole interval is above 50 %.",
        "100.0 % (88.4 to 100.0)",
        "30 pairs of answers to 30 problems: B won 30, tied 0, lost 0.",
        "Characters of an answer: A 5, B 12.",
        "agrees with itself in both orders on 100 %, and prefers what it reads first in 50 %",
    ):
        assert said in done.output, done.output
    figures = json.loads(again.stdout)
    assert figures == json.loads((tmp_path / "out" / "preference.json").read_text())
    assert figures["where_not_longer"] is None
