"""Stop strings, end tokens, streaming and seeds of text, down to the single byte."""

from __future__ import annotations

import pytest
import torch

from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.rollout.text import StopStrings, TextStream
from r1.types import GroupRequest
from small_models import make_model, make_tokenizer

TOKENIZER = make_tokenizer()


def script(text: str) -> torch.nn.Module:
    """A model whose greedy response to any prompt ending in token t follows `text` round."""
    model = make_model("qwen2", hidden_size=512, num_hidden_layers=1, tie_word_embeddings=False)
    ids = TOKENIZER.encode(text)
    assert len(set(ids)) == len(ids), "each byte may occur once"
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "o_proj" in name or "down_proj" in name:
                parameter.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(258, 512))
        model.lm_head.weight.zero_()
        for now, following in zip(ids, [*ids[1:], ids[0]], strict=True):
            model.lm_head.weight[following, now] = 1.0
    return model


def respond(text: str, stop: tuple[str, ...], max_new_tokens: int, start: int = -1):
    engine = EmbeddedEngine(script(text), TOKENIZER, EngineSettings(device="cpu"))
    prompt = (TOKENIZER.encode(text)[start],)
    sampling = SamplingSettings(temperature=0.0, max_new_tokens=max_new_tokens, stop=stop)
    [group] = engine.generate([GroupRequest("a", prompt, (0,))], sampling)
    return group.completions[0], "".join(engine.stream(prompt, sampling))


@pytest.mark.parametrize(
    ("stop", "text", "num_tokens", "reason"),
    [
        ((), "abc等def", 9, "length"),
        (("c",), "ab", 3, "stop"),
        (("bcX", "de"), "abc等", 8, "stop"),
        (("等",), "abc", 6, "stop"),
        (("c等d", "f"), "ab", 7, "stop"),
        (("X", "YZ"), "abc等def", 9, "length"),
        (("f",), "abc等de", 9, "stop"),
    ],
)
def test_stop_strings_end_a_response_at_the_token_that_completes_them(
    stop, text, num_tokens, reason
):
    completion, streamed = respond("abc等def", stop, max_new_tokens=9)
    assert (completion.text, completion.finish_reason) == (text, reason)
    assert len(completion.token_ids) == num_tokens == len(completion.logprobs)
    assert streamed == completion.text


def test_a_response_cut_inside_a_character_keeps_its_other_text():
    completion, streamed = respond("abc等def", (), max_new_tokens=4)
    assert completion.text.startswith("abc")
    assert streamed == completion.text
    assert completion.finish_reason == "length"


def test_the_end_token_is_kept_in_the_tokens_and_left_out_of_the_text():
    model = make_model("qwen2", eos_token_id=[1, 40])
    engine = EmbeddedEngine(model, TOKENIZER, EngineSettings(device="cpu"))
    request = GroupRequest("a", (70, 71), tuple(range(200)))
    [group] = engine.generate([request], SamplingSettings(max_new_tokens=200))
    ended = [c for c in group.completions if c.finish_reason == "stop"]
    assert ended
    for completion in ended:
        assert completion.token_ids[-1] in (1, 40)
        assert not {1, 40} & set(completion.token_ids[:-1])
        assert completion.text == TOKENIZER.decode(completion.token_ids[:-1])


def test_stop_strings_agree_with_a_search_of_every_prefix():
    """Random bytes: the engine's window and candidates miss nothing and stop no earlier."""
    stop = ("ab", "é", "\n")
    engine = EmbeddedEngine(make_model("qwen2", scale=0.2), TOKENIZER, EngineSettings(device="cpu"))
    request = GroupRequest("a", (70,), tuple(range(150)))
    [group] = engine.generate([request], SamplingSettings(max_new_tokens=80, stop=stop))
    assert sum(c.finish_reason == "stop" for c in group.completions) > 20
    for completion in group.completions:
        ids = completion.token_ids
        prefixes = [TOKENIZER.decode(ids[: n + 1]) for n in range(len(ids))]
        hits = [any(s in text for s in stop) for text in prefixes]
        assert not any(hits[:-1])
        if hits[-1]:
            assert completion.finish_reason == "stop"
            assert completion.text == min((prefixes[-1].split(s)[0] for s in stop), key=len)


def test_candidates_hold_every_token_that_can_complete_a_stop_string():
    stops = StopStrings(TOKENIZER, ("</answer>", "。"), 258)
    certain = TOKENIZER.encode(">。")
    assert all(stops.candidates_V[i] for i in certain)
    assert not stops.candidates_V[TOKENIZER.encode("a")[0]]
    assert stops.find(TOKENIZER.encode("x </answer>")) == "x "
    assert stops.find(TOKENIZER.encode("x </answer")) is None


@pytest.mark.parametrize("text", ["plain", "等等,让我 check 🙂.", "a\ufffdb", "é" * 5])
def test_a_stream_never_gives_half_a_character_and_loses_nothing(text):
    stream = TextStream(TOKENIZER)
    pieces = [stream.push(i) for i in TOKENIZER.encode(text)]
    assert "".join(pieces) + stream.finish(text) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)
        assert sum(map(bool, pieces)) >= len(text)


def test_a_stream_holds_back_what_may_become_a_stop_string():
    stream = TextStream(TOKENIZER, ("</answer>",))
    given = "".join(stream.push(i) for i in TOKENIZER.encode("7 </ans"))
    assert given == "7 "
    assert given + stream.push(TOKENIZER.encode("!")[0]) == "7 </ans!"


def test_the_stream_is_the_response_of_the_same_seed():
    engine = EmbeddedEngine(make_model("qwen2"), TOKENIZER, EngineSettings(device="cpu"))
    sampling = SamplingSettings(max_new_tokens=40)
    [group] = engine.generate([GroupRequest("a", (70, 80), (5,))], sampling)
    pieces = list(engine.stream((70, 80), sampling, seed=5))
    assert "".join(pieces) == group.completions[0].text
    assert len(pieces) > 1
