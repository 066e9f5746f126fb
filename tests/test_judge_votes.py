"""Votes of an endpoint, asked in batches."""

from __future__ import annotations

import pytest

from fake_endpoint import KEY, MODEL, FakeEndpoint
from r1.errors import UserError
from r1.judge.asker import NoVerdict
from r1.judge.batch import EndpointVotes, VoteRequest
from r1.judge.grade import grading_task
from r1.judge.judge import Judge
from r1.judge.settings import JudgeSettings


def test_an_endpoint_that_is_down_is_no_judge_without_opinion(monkeypatch: pytest.MonkeyPatch):
    """Its questions must not be written down as judged; one that fails alone is."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    batch = [VoteRequest(str(i), grading_task("2+2?", "4", str(i)), 0) for i in range(3)]
    with FakeEndpoint(["503"] * 3 + ["503", "ok", "ok"]) as endpoint:
        settings = JudgeSettings(
            base_url=endpoint.base_url,
            model=MODEL,
            api_key_env="JUDGE_KEY",
            limits={"retries": 0, "concurrency": 1},
        )
        with Judge(settings) as judge:
            votes = EndpointVotes(judge)
            with pytest.raises(UserError, match=r"none of 3 questions.*503.*carries on"):
                next(votes.begin(batch))
            found = dict(votes.begin(batch))
    assert [isinstance(found[str(i)], NoVerdict) for i in range(3)] == [True, False, False]
