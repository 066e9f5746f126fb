"""No text keeps the key, however it is written; other texts stay as they are."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from fake_endpoint import KEY, MODEL, FakeEndpoint, Raw, reply_json
from r1.config import validate
from r1.errors import UserError
from r1.judge.judge import Judge
from r1.judge.scrub import MARK, MIN_PIECE, KeyScrubber
from r1.judge.settings import JudgeSettings

SECRET = "sk-Q7vX+2/pLmZ_9aRtW4yB1nKc"

WRITINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "URL": lambda key: quote(key, safe=""),
    "every character in percents": lambda key: "".join(f"%{ord(c):02X}" for c in key),
    "JSON": lambda key: json.dumps(key).replace("/", "\\/"),
    "JSON twice": lambda key: json.dumps(json.dumps(key)),
    "unicode escapes": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "double unicode escapes": lambda key: "".join(f"\\\\u{ord(c):04x}" for c in key),
    "hexadecimal escapes": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "HTML entities": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "HTML hexadecimal": lambda key: "".join(f"&#x{ord(c):x};" for c in key),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of the header": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    "base64 of a login": lambda key: base64.b64encode(f"me:{key}\n".encode()).decode(),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(f"k={key}".encode()).decode(),
    "hexadecimal": lambda key: key.encode().hex(),
    "lines": lambda key: "\n".join(key[i : i + 3] for i in range(0, len(key), 3)),
    "blanks": lambda key: " ".join(key[i : i + 5] for i in range(0, len(key), 5)),
    "escaped lines": lambda key: "\\n".join(key[i : i + 3] for i in range(0, len(key), 3)),
    "zero-width spaces": lambda key: "\u200b".join(key),
    "quoted lines": lambda key: "\n| ".join(key[i : i + 4] for i in range(0, len(key), 4)),
    "a beginning": lambda key: key[:11] + "...",
    "a middle": lambda key: "..." + key[6:17] + "...",
    "an end": lambda key: "***" + key[-9:],
    "bytes": lambda key: repr(f"Authorization: Bearer {key}".encode()),
    "headers": lambda key: repr({"authorization": f"Bearer {key}"}),
}


def _rest(text: str, key: str) -> int:
    """The longest piece of the key that a reader finds in a text, white space aside."""
    plain = "".join(text.split())
    return max(
        (n for i in range(len(key)) for n in range(1, len(key) - i + 1) if key[i : i + n] in plain),
        default=0,
    )


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("around", ["%s", "Incorrect API key: %s", "<p>\u00e9 %s</p> after it"])
def test_the_key_is_hidden_however_it_is_written(writing: str, around: str) -> None:
    hide = KeyScrubber(SECRET)
    written = WRITINGS[writing](SECRET)
    text = around.replace("%s", written)
    hidden = hide(text)
    assert MARK in hidden
    assert _rest(hidden, SECRET) < MIN_PIECE
    assert _rest(hidden, written) < max(2 * MIN_PIECE, 3 * 6)
    head, _, tail = around.partition("%s")
    assert hidden.startswith(head.rstrip())
    assert hidden.endswith(tail)
    assert hide(hidden) == hidden


def test_random_keys_at_random_cuts() -> None:
    draw = random.Random(3)
    letters = string.ascii_letters + string.digits + "-_+/=."
    for _ in range(300):
        key = "".join(draw.choices(letters, k=draw.randrange(12, 60)))
        start = draw.randrange(len(key) - MIN_PIECE)
        end = draw.randrange(start + MIN_PIECE, len(key) + 1)
        hidden = KeyScrubber(key)(f"said: {key[start:end]}; {key}, and {key}")
        assert _rest(hidden, key) < MIN_PIECE, (key, start, end)
        assert hidden.startswith("said: ")


def test_what_a_cut_leaves_at_the_end_is_hidden() -> None:
    hide = KeyScrubber(SECRET)
    for length in range(6, len(SECRET)):
        assert hide(f"bad key {SECRET[:length]}") == f"bad key {MARK}"


@pytest.mark.parametrize(
    "text",
    ["", "no key here", "50 %25 of \\u0041 &#65; and \\n", "a | b\n| c", "sk-", "x" * 5000, "é😀"],
)
def test_other_texts_stay(text: str) -> None:
    assert KeyScrubber(SECRET)(text) == text
    assert KeyScrubber(None)(text) == text


def test_a_short_key_is_a_word_of_its_own() -> None:
    hide = KeyScrubber("EMPTY")
    assert (
        hide("Bearer EMPTY refused, EMPTYNESS stays") == f"Bearer {MARK} refused, EMPTYNESS stays"
    )


def test_surrogates_become_what_can_be_written() -> None:
    KeyScrubber(None)("a \ud800 b").encode()


# In the judge


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def _settings(endpoint: FakeEndpoint, **changes: object) -> JudgeSettings:
    limits = {"backoff_s": 0.01, "retries": 0}
    values = {"base_url": endpoint.base_url, "model": MODEL, "api_key_env": "FAKE_KEY"}
    return JudgeSettings.model_validate(
        values | {"limits": limits, "malformed_retries": 0} | changes
    )


@pytest.mark.parametrize("before", [0, 150, 170, 185, 190, 195, 199, 200])
@pytest.mark.parametrize("status", [400, 500])
def test_an_error_is_cut_after_the_key_is_hidden(before: int, status: int) -> None:
    body = json.dumps({"error": {"message": "x" * before + f" Bearer {KEY} refused"}}).encode()
    with FakeEndpoint([Raw(status, body)]) as endpoint, Judge(_settings(endpoint)) as judge:
        detail = judge.grade("2+2?", "4", "4").as_score().detail
    assert _rest(detail, KEY) < MIN_PIECE


def test_a_reply_that_quotes_the_key_is_kept_without_it(tmp_path: Path) -> None:
    cache = tmp_path / "judge.jsonl"

    def quoting(prompt: str) -> str:
        return reply_json(prompt, "correct", f"your key is {KEY} ({quote(KEY)})")

    with (
        FakeEndpoint(brain=quoting) as endpoint,
        Judge(_settings(endpoint, cache=cache)) as judge,
    ):
        found = judge.grade("2+2?", "4", "4")
    assert found.label == "correct"
    assert found.as_score().detail == f"your key is {MARK} ({MARK})"
    assert _rest(cache.read_text(), KEY) < MIN_PIECE


def test_a_redirect_that_holds_the_key() -> None:
    moved = Raw(302, b"", (("Location", f"http://other.example/?key={KEY}"),))
    with (
        FakeEndpoint([moved]) as endpoint,
        Judge(_settings(endpoint)) as judge,
        pytest.raises(UserError, match=r"redirects to http://other\.example") as error,
    ):
        judge.grade("2+2?", "4", "4")
    assert _rest(str(error.value), KEY) < MIN_PIECE
    assert endpoint.num_requests == 1


@pytest.mark.parametrize(
    "extra",
    [{"api_key": "x"}, {"headers": {"Authorization": "Bearer x"}}, {"a": [{"API-Key": "x"}]}],
)
def test_the_recipe_must_not_hold_a_key(extra: dict) -> None:
    with pytest.raises(UserError, match="api_key_env"):
        validate({"model": MODEL, "extra_body": extra}, JudgeSettings, "recipe.toml")


def test_the_key_itself_in_the_recipe_is_refused() -> None:
    with (
        FakeEndpoint() as endpoint,
        pytest.raises(UserError, match="the variable is enough") as error,
    ):
        Judge(_settings(endpoint, extra_body={"user": KEY}))
    assert KEY not in str(error.value)
