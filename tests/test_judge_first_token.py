"""Verdicts of one token: log-probabilities first, the text where there are none."""

from __future__ import annotations

import json
import math

import pytest

from r1.judge.cache import ReplyCache
from r1.judge.first_token import read_label, read_task
from r1.judge.http_reply import MAX_ALTERNATIVES, read_replies
from r1.judge.model import Reply
from r1.judge.prompt import DataBlock, JudgeTask, build_prompt
from r1.judge.scrub import KeyScrubber
from r1.judge.verdict import ReplyDefect, Verdict

LABELS = ("m", "M")
TASK = JudgeTask("Which?", LABELS, (DataBlock("output m", "a"),), one_token=True)


def reply(text: str, finish: str = "stop", **top: float) -> Reply:
    return Reply(text, finish, 1, 1, tuple((t, math.log(p)) for t, p in top.items()))


def test_shares_are_of_the_labels_alone() -> None:
    assert read_label(reply("M", M=0.6, m=0.2, The=0.1), LABELS) == Verdict(
        "M", "", pytest.approx(0.75)
    )
    spaced = Reply("m", "length", 1, 1, ((" m", math.log(0.3)), ("m", math.log(0.3)), ("M", -9e9)))
    assert read_label(spaced, LABELS) == Verdict("m", "", pytest.approx(1.0))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (reply("M"), Verdict("M", "")),
        (reply('"m".'), Verdict("m", "")),
        (reply("<think>M M M</think>\n**m**"), Verdict("m", "")),
        (reply("M", "length"), Verdict("M", "")),
        (reply("M", The=0.9), Verdict("M", "")),
        (reply("Output M is better"), ReplyDefect.UNKNOWN_VERDICT),
        (reply("Output", "length", The=0.9), ReplyDefect.CUT_OFF),
        (reply("m M"), ReplyDefect.UNKNOWN_VERDICT),
        (reply(" "), ReplyDefect.EMPTY),
    ],
)
def test_text_counts_where_no_probability_does(said, found) -> None:
    assert read_label(said, LABELS) == found
    assert read_task(TASK, said, "no nonce") == found


def test_a_prompt_asks_for_a_label_and_its_data_are_fenced() -> None:
    prompt = build_prompt(TASK, "0" * 24)
    assert prompt.endswith('Reply with one of "m", "M", without the quotes, and nothing before or '
                           "after it.")  # fmt: skip
    assert "| a\n" in prompt
    assert "JSON" not in prompt


def content(top: object) -> str:
    choice = {"message": {"content": "M"}, "logprobs": {"content": [{"top_logprobs": top}]}}
    return json.dumps({"choices": [choice]})


def test_an_endpoint_s_alternatives_are_bounded_and_never_the_key() -> None:
    def read(top: object, key: str | None = None):
        return read_replies(content(top), "", KeyScrubber(key))[0].first_token

    pair = {"token": "M", "logprob": -1}
    assert read([pair]) == (("M", -1.0),)
    odd = [pair, {"token": "toolong", "logprob": -1.0}, {"token": 3, "logprob": -1.0},
           {"token": "m", "logprob": True}, {"token": "m", "logprob": "-1"},
           {"token": "m", "logprob": math.inf}, {"token": "m", "logprob": 0.5}]  # fmt: skip
    assert read(odd) == (("M", -1.0), ("m", 0.0))
    assert len(read([pair] * 99)) == MAX_ALTERNATIVES
    for wrong in (None, 3, "text", [3], [{"token": "M"}], {}):
        assert read(wrong) == ()
    spelled = [{"token": piece, "logprob": -1.0} for piece in ("se", "cret", "-key", "-123")]
    assert read(spelled, "secret-key-123") == ()
    assert len(read(spelled, "another-key-9")) == 4


def test_alternatives_are_kept_on_disk(tmp_path) -> None:
    path = tmp_path / "judge.jsonl"
    given = reply("M", M=0.6, m=0.2)
    for number, one in enumerate((given, reply("M"))):
        cache = ReplyCache(path)
        cache.add(str(number), "nonce", one)
        cache.close()
    assert "first_token" not in path.read_text().splitlines()[1]
    line = json.loads(path.read_text().splitlines()[0])
    damaged = [{**line, "first_token": wrong} for wrong in ([["M", "x"]], [[1, -1.0]], 7, [["M"]])]
    with path.open("a") as file:
        file.writelines(json.dumps(each) + "\n" for each in damaged)
    again = ReplyCache(path)
    assert [kept.reply for kept in again.get("0")] == [given]
    assert again.num_damaged == 4
    again.close()
