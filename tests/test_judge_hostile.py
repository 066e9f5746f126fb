"""An endpoint that answers anything: each answer is a bounded outcome, never a traceback."""

from __future__ import annotations

import gzip
import json
import random
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from fake_endpoint import KEY, MODEL, FakeEndpoint, Raw
from r1.errors import UserError
from r1.judge.cache import ReplyCache
from r1.judge.http_reply import MAX_TOKENS, retry_after_s
from r1.judge.judge import Judge
from r1.judge.settings import JudgeSettings
from r1.types import Outcome

DEEP = 200_000


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def _settings(endpoint: FakeEndpoint, **changes: Any) -> JudgeSettings:
    limits = {"backoff_s": 0.01, "retries": 1}
    values = {"base_url": endpoint.base_url, "model": MODEL, "api_key_env": "FAKE_KEY"}
    money = {"cost": 1e300, "price_in": 1.0, "price_out": 1.0}
    changes = {"limits": limits | changes.pop("limits", {}), "budget": money, **changes}
    return JudgeSettings.model_validate(values | {"malformed_retries": 0} | changes)


def _completion(content: object, **more: Any) -> bytes:
    choice = {"message": {"content": content}, "finish_reason": "stop"} | more.pop("choice", {})
    return json.dumps({"choices": [choice], **more}).encode()


def _bomb() -> bytes:
    """64 MiB of zeros, three times compressed: some hundred bytes."""
    return gzip.compress(gzip.compress(gzip.compress(bytes(64 << 20), 9)))


ANSWERS: dict[str, Raw] = {
    "deep list": Raw(200, b"[" * DEEP),
    "deep objects": Raw(200, b'{"choices":' * DEEP),
    "deep and closed": Raw(200, b"[" * DEEP + b"]" * DEEP),
    "deep content": Raw(200, b'{"choices":[{"message":{"content":' + b"[" * DEEP),
    "deep 500": Raw(500, b"[" * DEEP),
    "deep 400": Raw(400, b'{"error":' * DEEP),
    "deep but readable 400": Raw(400, b'{"error":' + b"[" * 900 + b"]" * 900 + b"}"),
    "null": Raw(200, b"null"),
    "number": Raw(200, b"1"),
    "text": Raw(200, b'"choices"'),
    "list": Raw(200, b"[1, 2]"),
    "nothing": Raw(200, b""),
    "NaN": Raw(200, b"NaN"),
    "HTML": Raw(200, b"<!doctype html><html><body>Welcome</body></html>"),
    "HTML 500": Raw(500, b"<html>\x1b[2J oops</html>"),
    "no UTF-8": Raw(200, b'{"choices":[{"message":{"content":"\xff\xfe\xed\xa0\x80"}}]}'),
    "UTF-16": Raw(200, '{"choices": []}'.encode("utf-16")),
    "zero bytes": Raw(200, bytes(4096)),
    "choices as object": Raw(200, b'{"choices": {"0": 1}}'),
    "choices as text": Raw(200, b'{"choices": "abc"}'),
    "choices as null": Raw(200, b'{"choices": null}'),
    "choice as number": Raw(200, b'{"choices": [7]}'),
    "message as list": Raw(200, b'{"choices": [{"message": ["content"]}]}'),
    "message as null": Raw(200, b'{"choices": [{"message": null}]}'),
    "content as list": Raw(200, _completion([1])),
    "content as number": Raw(200, _completion(5)),
    "content as object": Raw(200, _completion({"a": 1})),
    "finish_reason as object": Raw(200, _completion("x", choice={"finish_reason": {"a": 1}})),
    "usage as list": Raw(200, _completion("x", usage=[1])),
    "huge usage": Raw(200, _completion("x", usage={"prompt_tokens": 10**400})),
    "huger usage": Raw(200, b'{"choices":[],"usage":{"prompt_tokens":' + b"9" * 9000 + b"}}"),
    "usage in floats": Raw(200, _completion("x", usage={"completion_tokens": 1e308})),
    "infinite usage": Raw(200, _completion("x", usage={"completion_tokens": float("inf")})),
    "negative usage": Raw(200, _completion("x", usage={"prompt_tokens": -(10**30)})),
    "usage true": Raw(200, _completion("x", usage={"prompt_tokens": True})),
    "error as list": Raw(400, b'{"error": [{"message": "x"}]}'),
    "error as null": Raw(400, b'{"error": null}'),
    "error as number": Raw(400, b'{"error": 5}'),
    "message as object": Raw(400, b'{"error": {"message": {"a": [1]}}}'),
    "error of escapes": Raw(400, json.dumps({"error": {"message": "\x1b[2J\ud800"}}).encode()),
    "list 500": Raw(500, b"[1, 2]"),
    "bomb": Raw(200, _bomb(), (("Content-Encoding", "gzip, gzip, gzip"),)),
    "zlib": Raw(200, zlib.compress(bytes(1 << 20)), (("Content-Encoding", "deflate"),)),
    "no gzip": Raw(200, b"none", (("Content-Encoding", "gzip"),)),
    "unknown coding": Raw(200, b"{}", (("Content-Encoding", "\x1b[2J"),)),
    "oversized": Raw(200, b"x" * (9 << 20)),
    "long header": Raw(200, b"{}", (("X-Long", "y" * 200_000),)),
    "status 999": Raw(999, b"{}"),
    "status 204": Raw(204, b""),
    "status 418": Raw(418, b"teapot"),
}
WAITS = [
    *(
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-5",
        "1_0",
        "0x10",
        "",
        ",",
        "99999999999999999999",
        "9" * 6000,
    ),
    *("Mon, 01 Jan 0001 00:00:00 -0000", "Mon, 99 Foo 99999 99:99:99 GMT", "\u00b2", "now"),
    *("Mon, 01 Jan 9999 00:00:00 +9999", "Thu, 01 Jan 1970 00:00:00 -99999999999999999"),
    *("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", "1 Jan 70", "Thu, 0 Jan 2000", "-1"),
]


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_is_a_failure_of_the_verifier(name: str) -> None:
    with FakeEndpoint([ANSWERS[name]] * 9) as endpoint, Judge(_settings(endpoint)) as judge:
        score = judge.grade("2+2?", "4", "4").as_score()
        assert endpoint.num_requests <= 2
        used = judge.take_counts().usage
    assert score.outcome is Outcome.VERIFIER_FAILED
    assert score.detail
    assert used.tokens_in + used.tokens_out <= 2 * MAX_TOKENS


@pytest.mark.parametrize("name", ANSWERS)
def test_the_check_ends_with_a_message_or_in_peace(name: str) -> None:
    """Where the list of models does not settle it, one request is made: here it gets the answer."""
    with (
        FakeEndpoint([ANSWERS[name]] * 9, models=None) as endpoint,
        Judge(_settings(endpoint)) as judge,
    ):
        said = f"{endpoint.base_url} rewards.judge"
        try:
            judge.check()
        except UserError as error:
            said = str(error)
    assert endpoint.base_url in said
    assert "rewards.judge" in said
    assert len(said) < 600


@pytest.mark.parametrize(
    "name", ["HTML", "null", "choices as null", "nothing", "deep list", "content as list"]
)
def test_the_check_tells_of_an_endpoint_that_is_none(name: str) -> None:
    with (
        FakeEndpoint([ANSWERS[name]], models=None) as endpoint,
        Judge(_settings(endpoint)) as judge,
        pytest.raises(UserError, match="base_url, which mostly ends in /v1"),
    ):
        judge.check()


def test_huge_token_counts_are_not_believed() -> None:
    usage = {"prompt_tokens": 10**400, "completion_tokens": MAX_TOKENS + 1}
    raw = Raw(200, _completion("x", usage=usage))
    with FakeEndpoint([raw] * 2) as endpoint, Judge(_settings(endpoint)) as judge:
        judge.grade("2+2?", "4", "4")
        used = judge.take_counts().usage
    assert 0 < used.tokens_in < 10_000
    assert used.tokens_out == 1


@pytest.mark.parametrize("value", WAITS)
def test_any_retry_after(value: str) -> None:
    wait = retry_after_s(value, now=1e9)
    assert wait is None or 0.0 <= wait < float("inf")


def test_a_wait_for_years_ends_the_request_instead() -> None:
    raw = Raw(429, b"{}", (("Retry-After", "99999999999"),))
    with FakeEndpoint([raw]) as endpoint, Judge(_settings(endpoint)) as judge:
        assert judge.grade("2+2?", "4", "4").as_score().outcome is Outcome.VERIFIER_FAILED
        assert judge.grade("3+3?", "6", "6").label == "correct"  # and nobody else waits for it
    assert endpoint.num_requests == 2


def test_a_body_that_drips_is_a_timeout() -> None:
    drip = Raw(200, b"x" * 1000, drip_s=0.05)
    limits = {"timeout_s": 0.4}
    with (
        FakeEndpoint([drip] * 9, models=None) as endpoint,
        Judge(_settings(endpoint, limits=limits)) as judge,
    ):
        found = judge.grade("2+2?", "4", "4").as_score()
        assert found.outcome is Outcome.TIMED_OUT
        assert "no reply within 0.4 s" in found.detail


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://host:99999/v1", "port"),
        ("http://host:0/v1", "port"),
        ("http://host:x/v1", "port"),
        ("http://[::1/v1", "base_url|IPv6"),
        ("http://ho st/v1", "blanks"),
        ("http://h\u00f6st/v1", "ASCII"),
        ("http://host/\x1b[2J", "blanks"),
        ("ftp://host/v1", "http://"),
        ("http:///v1", "host"),
    ],
)
def test_addresses_where_nobody_can_be(address: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        JudgeSettings(model=MODEL, base_url=address)


@pytest.mark.parametrize("address", ["http://a..b/v1", "http://xn--/v1", f"http://{'a' * 300}/v1"])
def test_addresses_that_no_client_reaches(address: str) -> None:
    limits = {"retries": 0, "timeout_s": 5.0}
    with (
        Judge(JudgeSettings(model=MODEL, base_url=address, api_key_env="", limits=limits)) as judge,
        pytest.raises(UserError, match=r"rewards\.judge\.base_url"),
    ):
        judge.check()


def test_random_changes_of_a_good_answer() -> None:
    """Bytes of a completion exchanged, left out or doubled, its status and headers drawn."""
    draw = random.Random(11)
    good = _completion("I think so", usage={"prompt_tokens": 5, "completion_tokens": 5})
    answers = []
    for _ in range(80):
        body = bytearray(good)
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(body))
            body[at : at + draw.randrange(4)] = draw.randbytes(draw.randrange(6))
        status = draw.choice([200, 200, 400, 429, 500, 503])
        headers = draw.choice([(), (("Retry-After", "0"),), (("Content-Type", "text/html"),)])
        answers.append(Raw(status, bytes(body), headers))
    with (
        FakeEndpoint(answers) as endpoint,
        Judge(_settings(endpoint, limits={"retries": 0})) as judge,
    ):
        for number in range(len(answers)):
            found = judge.grade(f"{number}?", "4", "4").as_score()
            assert found.outcome is Outcome.VERIFIER_FAILED


@pytest.mark.parametrize(
    "change",
    [
        {"tokens_in": 10**400},
        {"tokens_in": -1},
        {"tokens_out": 1.5},
        {"tokens_in": True},
        {"finish_reason": ["length"]},
        {"nonce": {"a": 1}},
        {"reply": None},
        {"key": []},
    ],
)
def test_a_cache_of_somebody_else_is_read_as_damaged(tmp_path: Path, change: dict) -> None:
    good = {"key": "k", "nonce": "n", "tokens_in": 1, "tokens_out": 1}
    good |= {"finish_reason": "stop", "reply": "r"}
    path = tmp_path / "judge.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps(good | change) + "\n")
    cache = ReplyCache(path)
    assert [kept.reply.text for kept in cache.get("k")] == ["r"]
    assert (cache.num_damaged, cache.usage.requests) == (1, 1)
    cache.close()


def test_a_judge_that_stays_silent_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("r1.judge.payer.TOLD_AFTER_S", 0.0)
    answers = ["500"] * 4 + ["ok"] + ["503"] * 2
    with FakeEndpoint(answers) as endpoint, Judge(_settings(endpoint)) as judge:
        for number in range(2):
            judge.grade(f"{number}?", "4", "4")
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert endpoint.base_url in caplog.text
        assert "status 500: told to say 500" in caplog.text
        assert "tried 2 times, for at most 120 s each" in caplog.text
        judge.grade("2+2?", "4", "4")
        judge.grade("3+3?", "4", "4")
    assert len(caplog.records) == 2  # a reply came between them


def test_closing_does_not_wait_for_a_hostile_endpoint() -> None:
    drip = Raw(200, b"x" * 10_000, drip_s=0.05)
    with FakeEndpoint([drip] * 4) as endpoint:
        judge = Judge(_settings(endpoint, limits={"timeout_s": 600.0}))
        asked = judge.submit_grade("2+2?", "4", "4")
        while not endpoint.num_requests:
            time.sleep(0.01)
        judge.close()
        assert asked.cancelled()
