"""Preferences made by a judge: votes, reasons, a kill at any moment, engines side by side."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from curation_world import FakeEngine, FakeRenderer, files_of
from fake_endpoint import KEY, FakeEndpoint, data_of, reply_json
from r1.config import validate
from r1.curation.progress import Silent
from r1.curation.store import read_rows
from r1.errors import UserError
from r1.judge.batch import EndpointVotes, EngineVotes
from r1.judge.judge import Judge
from r1.judge.settings import JudgeSettings
from r1.preferences.make import Origins, make_preferences
from r1.preferences.read import load_preferences
from r1.preferences.responses import ResponseSampler, read_responses, sample_responses
from r1.preferences.settings import PreferenceSettings
from r1.preferences.source import PreferenceSource
from r1.preferences.types import Labelled, Pair
from r1.rollout.engine_pool import EnginePool
from r1.types import Problem
from test_rollout_engine_pool import StopError, Stopping, Timed, uneven

ORIGINS = Origins("writer@0", "judge@0")


def problems_of(num: int) -> list[Problem]:
    return [
        Problem(f"p{i}", f"Please {i}.", None, "none", ("en", "zh")[i % 2], ("a", "b")[i % 3 == 0])
        for i in range(num)
    ]


def written(request, seed):
    """A response of some quality by its seed; some are cut, without an answer, long or equal."""
    rng = random.Random(seed)
    kind, quality = rng.random(), rng.randint(0, 6)
    if kind < 0.1:
        return "<think> and so on and", "length"
    if kind < 0.2:
        return "<think> never ends", "stop"
    padding = "x" * (60 if kind < 0.3 else 0)
    danger = " UNSAFE" if quality < 3 else ""
    return f"<think> q={99 - quality}{danger} </think> q={quality} {padding}", "stop"


def quality(text: str) -> int:
    return int(re.search(r"q=(\d+)", text)[1])


def label_of(prompt: str) -> str:
    """By the qualities; whatever stands first is liked a little more."""
    if "[[" in prompt and " DATA response]]" in prompt:
        return "unsafe" if "UNSAFE" in data_of(prompt, "response") else "safe"
    better = quality(data_of(prompt, "answer A")) - quality(data_of(prompt, "answer B")) + 1
    if better == 0:
        return "A=B"
    side = "A>" if better > 0 else "B>"
    return side + (">" if abs(better) > 2 else "") + ("B" if better > 0 else "A")


def judging(request, seed):
    """A reply to a comparison; one in four is malformed, by its seed."""
    prompt = bytes(request.prompt_ids).decode()
    if random.Random(seed).random() < 0.25:
        return "I would rather not say.", "stop"
    return reply_json(prompt, label_of(prompt)), "stop"


def settings_of(**more) -> PreferenceSettings:
    base = {"num_samples": 4, "call": {"prompts": 6}, "shards": {"rows": 12}}
    return validate(base | more, PreferenceSettings, "stage")


def opened(thing):
    @contextmanager
    def opening():
        yield thing

    return opening


def make(folder, settings, writer=None, judge=None, num=40, **progress):
    """Both halves, on engines of the test's; return the card."""
    sampler = ResponseSampler(writer or FakeEngine(written), FakeRenderer())
    votes = EngineVotes(judge or FakeEngine(judging), FakeRenderer(), settings.sampling, "judge@0")
    told = {"sampling": Silent(), "judging": Silent(), **progress}
    problems, responses = problems_of(num), folder / "responses"
    sample_responses(responses, problems, opened(sampler), settings, "w@0", told["sampling"])
    return make_preferences(
        folder, responses, opened(votes), settings, ORIGINS, told["judging"], num
    )


def rows_of(folder: Path) -> list[dict]:
    return list(read_rows(folder))


def reasons(card: dict) -> dict[str, int]:
    return card["total"]["dropped"]


def test_pairs_are_those_that_the_votes_agree_on(tmp_path):
    card = make(tmp_path, settings_of())
    rows = rows_of(tmp_path)
    assert len(rows) == card["total"]["samples"] > 10
    for row in rows:
        good, bad = (row[name].rpartition("</think>")[2] for name in ("chosen", "rejected"))
        assert quality(good) > quality(bad) + 1, "liking the first place decides nothing"
        assert row["chosen"].startswith("<think>"), "whole responses"
        assert row["margin"] > 1
        assert max(map(len, (good.strip(), bad.strip()))) <= 2 * min(len(good), len(bad))
        assert {row["chosen_sample"], row["rejected_sample"]} in ({0, 1}, {2, 3})
    total = card["total"]
    assert total["sampled"] == 40 * 2 == len(rows) + sum(reasons(card).values())
    assert {"cut", "no answer", "equal", "length", "margin"} <= set(reasons(card))
    judging = card["judging"]
    assert judging["votes"] + judging["votes without verdict"] == 4 * (
        total["samples"] + reasons(card)["margin"] + reasons(card).get("no verdict", 0)
    )
    lengths = [len(row["chosen"].rpartition("</think>")[2].strip()) for row in rows]
    assert judging["mean length of chosen"] == pytest.approx(sum(lengths) / len(rows))
    assert json.loads((tmp_path / "card.json").read_text()) == card
    assert "| position bias |" in (tmp_path / "card.md").read_text()


def test_a_judge_that_reads_only_the_place_is_shown_up(tmp_path):
    def first(request, seed):
        return reply_json(bytes(request.prompt_ids).decode(), "A>>B"), "stop"

    card = make(tmp_path, settings_of(), judge=FakeEngine(first))
    assert card["judging"]["position bias"] == 2.0
    asked = card["judging"]["votes"] / 4
    # Four coins fall on one side twice in sixteen throws; otherwise the mean is at most 1.
    assert 0 < card["total"]["samples"] < 0.35 * asked
    assert reasons(card)["margin"] == asked - card["total"]["samples"]


def test_a_reward_model_reads_what_was_made(tmp_path):
    make(tmp_path / "pairs", settings_of())
    make(tmp_path / "labels", settings_of(objective="pointwise", num_samples=3))
    for name, form in (("pairs", "pairs"), ("labels", "labels")):
        source = PreferenceSource(kind="parquet", path=str(tmp_path / name / "data"))
        found = load_preferences(source, form, Path())
        assert found.dropped == {}
        for item, row in zip(found.items, rows_of(tmp_path / name), strict=True):
            assert (item.prompt, item.language, item.family) == (
                row["prompt"], row["language"], row["family"]
            )  # fmt: skip
            if isinstance(item, Pair):
                assert (item.chosen, item.margin) == (row["chosen"], row["margin"])
            else:
                assert isinstance(item, Labelled)
                assert item.positive == ("UNSAFE" not in item.response)
    assert {item.positive for item in found.items} == {True, False}


def test_labels_are_the_majority_s_over_the_whole_response(tmp_path):
    card = make(tmp_path, settings_of(objective="pointwise", num_samples=3))
    rows = rows_of(tmp_path)
    labels = Counter(row["label"] for row in rows)
    assert card["judging"]["safe"] == labels["safe"] > 0
    assert card["judging"]["unsafe"] == labels["unsafe"] > 0
    assert {row["agreement"] for row in rows} == {1.0}
    assert "position bias" not in card["judging"]
    assert any("never ends" in row["response"] for row in rows), "the thinking is judged, too"
    assert set(reasons(card)) <= {"cut", "no verdict", "repeated"}


@pytest.mark.parametrize("engines", [1, 3])
def test_engines_side_by_side_write_the_bytes_of_one(tmp_path, engines):
    make(tmp_path / "one", settings_of(), num=24)
    pools = [
        EnginePool([Timed(uneven, text) for _ in range(engines)], None, 7, 24)
        for text in (written, judging)
    ]
    make(tmp_path / "many", settings_of(), *pools, num=24)
    for pool in pools:
        assert all(engine.calls for engine in pool._engines)
        pool.close()
    assert files_of(tmp_path / "many") == files_of(tmp_path / "one")


@pytest.mark.parametrize("resume", ["call", "prompt"])
def test_interrupted_anywhere_it_ends_with_the_same_bytes(tmp_path, resume):
    settings = settings_of(call={"prompts": 6, "resume": resume})
    make(tmp_path / "one", settings_of(), num=24)
    asked = []
    stops = [
        {"sampling": Stopping(5)},
        {"sampling": Stopping(11)},
        {"judging": Stopping(1)},
        {"judging": Stopping(9)},
        {},
    ]
    for number, stop in enumerate(stops):
        pools = [
            EnginePool([Timed(uneven, text) for _ in range(1 + number % 3)], None, 7, 24)
            for text in (written, judging)
        ]
        try:
            make(tmp_path / "many", settings, *pools, num=24, **stop)
        except StopError:
            assert stop
        asked.append([sum(len(c) for e in pool._engines for c in e.calls) for pool in pools])
        for pool in pools:
            pool.close()
    assert asked[3][0] == 0, "what was sampled is not sampled again"
    assert 0 < asked[4][1] < sum(a[1] for a in asked)
    assert files_of(tmp_path / "many") == files_of(tmp_path / "one")
    before = files_of(tmp_path / "many")

    class Never:
        capacity = 0

    make(tmp_path / "many", settings, Never(), Never(), num=24)
    assert files_of(tmp_path / "many") == before


def test_memory_is_bounded_by_the_windows_that_are_open(tmp_path):
    judge = FakeEngine(judging)
    windows = []

    class Watching(Silent):
        def advance(self, record):
            windows.append((len(judge.calls), record.index // 6))

    make(tmp_path, settings_of(), None, judge, judging=Watching())
    first_calls = [call for call in judge.calls if len({id.split("#")[0] for id in call}) > 1]
    assert len(first_calls) >= 40 // 6
    assert all(window <= calls for calls, window in windows)


def test_an_endpoint_is_paid_once(tmp_path, monkeypatch):
    settings = settings_of(judging={"votes": 2})
    behaviours = ["ok", "429", "malformed", "500"]
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with FakeEndpoint(behaviours, lambda p: reply_json(p, label_of(p))) as endpoint:
        judge = JudgeSettings(
            base_url=endpoint.base_url, model="fake-judge", api_key_env="JUDGE_KEY",
            temperature=1.0, cache=tmp_path / "judge.jsonl",
            limits={"backoff_s": 0.01, "concurrency": 4},
        )  # fmt: skip
        sampler = opened(ResponseSampler(FakeEngine(written), FakeRenderer()))
        responses = tmp_path / "responses"
        sample_responses(responses, problems_of(20), sampler, settings, "w@0", Silent())

        def judged(folder, progress):
            with Judge(judge) as asked:
                return make_preferences(
                    folder, responses, opened(EndpointVotes(asked)), settings, ORIGINS, progress
                )

        with pytest.raises(StopError):
            judged(tmp_path / "out", Stopping(4))
        card = judged(tmp_path / "out", Silent())
        paid = endpoint.num_requests
        assert judged(tmp_path / "again", Silent()) == card
        assert endpoint.num_requests == paid
    votes = card["judging"]["votes"]
    assert card["judging"]["votes without verdict"] == 0
    assert paid <= votes + 3 + 4 * 4, "what was under way at the interruption, and the failures"
    assert (
        files_of(tmp_path / "again")["data/shard-00000.parquet"]
        == (files_of(tmp_path / "out")["data/shard-00000.parquet"])
    )


def test_another_judge_or_other_responses_are_refused(tmp_path):
    make(tmp_path, settings_of())
    votes = EngineVotes(FakeEngine(judging), FakeRenderer(), settings_of().sampling, "judge@1")
    with pytest.raises(UserError, match="another judge"):
        make_preferences(
            tmp_path, tmp_path / "responses", opened(votes), settings_of(),
            ORIGINS._replace(judge="judge@1"), Silent(),
        )  # fmt: skip
    with pytest.raises(UserError, match="even number"):
        settings_of(num_samples=3)


def test_one_prompt_is_asked_once_and_tags_that_the_prompt_took_are_there(tmp_path):
    class Opening(FakeRenderer):
        opens_think = True

    def text(request, seed):
        return "so </think> <answer>yes", "stop"

    settings = settings_of(sampling={"stop": ["</answer>"]})
    problems = [*problems_of(2), Problem("again", "Please 0. ", None, "none")]
    sampler = ResponseSampler(FakeEngine(text), Opening())
    sample_responses(tmp_path, problems, opened(sampler), settings, "w@0", Silent())
    found = list(read_responses(tmp_path))
    assert [answered.problem_id for answered in found] == ["p0", "p1"]
    assert found[0].responses[3].text == "<think>so </think> <answer>yes</answer>"
