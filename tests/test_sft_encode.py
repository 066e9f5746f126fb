"""Only responses are learnt, whatever the template; a template that changes them is refused."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from r1.data.rows import RowError
from r1.errors import UserError
from r1.sft.encode import ConversationEncoder, EncodedExample
from r1.sft.rows import Conversation
from r1.sft.settings import ExampleSettings
from r1.template import ChatTemplateSettings, PromptRenderer, TemplateSettings
from sft_data import (
    FORGETTING_CHAT,
    MARKED_CHAT,
    OPENING_CHAT,
    PLAIN_CHAT,
    STRIPPING_CHAT,
    chat_tokenizer,
    turns,
)

THOUGHT = "<think>\nsix\n</think>\n\n6"


def encode(tokenizer, conversation, kind="chat", system=None, force_think=False, **settings):
    encoder = ConversationEncoder(
        tokenizer,
        ChatTemplateSettings(kind=kind, system=system, force_think=force_think),
        ExampleSettings(**settings),
    )
    return encoder.encode([Conversation(1, None, tuple(conversation))])[0]


def pieces(tokenizer, encoded: EncodedExample) -> list[tuple[bool, str]]:
    """The text in runs that are learnt or not."""
    assert isinstance(encoded, EncodedExample), encoded
    runs: list[tuple[bool, list[int]]] = []
    for token, learnt in zip(*encoded, strict=True):
        if not runs or runs[-1][0] != learnt:
            runs.append((learnt, []))
        runs[-1][1].append(token)
    return [(learnt, tokenizer.decode(ids)) for learnt, ids in runs]


def refusal(found) -> str:
    assert isinstance(found, RowError), found
    return str(found)


def test_table_1_learns_the_response_and_the_end() -> None:
    tokenizer = chat_tokenizer(None)
    found = encode(tokenizer, turns("What is 3 + 3?", "<think>six</think>"), kind="r1_zero")
    prompt, response = pieces(tokenizer, found)
    assert response == (True, " <think>six</think><eos>")
    renderer = PromptRenderer(tokenizer, ChatTemplateSettings(kind="r1_zero"))
    assert prompt == (False, renderer.render("What is 3 + 3?"))
    width = found.learnt.index(True)
    assert tuple(found.token_ids[:width]) == renderer.encode("What is 3 + 3?")


@pytest.mark.parametrize(
    ("prompt", "response", "join", "expected"),
    [
        ("Answer:", "4", None, " 4<eos>"),
        ("Answer:", "\n4", None, "\n4<eos>"),
        ("2 + 2 =", "4", None, "4<eos>"),
        ("2 + 2 =", "4", " ", " 4<eos>"),
        ("2 + 2 =", "4<eos>", None, "4<eos>"),
    ],
)
def test_plain_joins(prompt, response, join, expected) -> None:
    tokenizer = chat_tokenizer(None)
    found = encode(tokenizer, turns(prompt, response), kind="plain", join=join)
    assert pieces(tokenizer, found) == [(False, prompt), (True, expected)]


@pytest.mark.parametrize("template", [PLAIN_CHAT, MARKED_CHAT])
def test_chat_learns_every_assistant_turn(template) -> None:
    tokenizer = chat_tokenizer(template)
    conversation = turns("a", "b", "c", "d")
    assert pieces(tokenizer, encode(tokenizer, conversation)) == [
        (False, "[user]a[assistant]"),
        (True, "b<eos>"),
        (False, "\n[user]c[assistant]"),
        (True, "d<eos>"),
    ]


@pytest.mark.parametrize("template", [PLAIN_CHAT, MARKED_CHAT])
def test_chat_learns_the_last_turn_only(template) -> None:
    tokenizer = chat_tokenizer(template)
    found = encode(tokenizer, turns("a", "b", "c", "d"), turns="last")
    assert pieces(tokenizer, found) == [
        (False, "[user]a[assistant]b<eos>\n[user]c[assistant]"),
        (True, "d<eos>"),
    ]


def test_a_marked_template_decides_even_without_an_end() -> None:
    """The marks are the template's own: here they leave out the end token."""
    template = MARKED_CHAT.replace("<eos>{% endgeneration %}", "{% endgeneration %}<eos>")
    tokenizer = chat_tokenizer(template)
    assert pieces(tokenizer, encode(tokenizer, turns("a", "b")))[-1] == (True, "b")


def test_system_prompt_of_the_recipe_gives_way_to_the_row_s() -> None:
    tokenizer = chat_tokenizer()
    own = [{"role": "system", "content": "s"}, *turns("a", "b")]
    for conversation, expected in ((turns("a", "b"), "[system]S"), (own, "[system]s")):
        first = pieces(tokenizer, encode(tokenizer, conversation, system="S"))[0]
        assert first == (False, f"{expected}[user]a[assistant]")


@pytest.mark.parametrize("template", [STRIPPING_CHAT, OPENING_CHAT])
def test_a_template_that_takes_the_thinking_out_is_refused(template) -> None:
    message = refusal(encode(chat_tokenizer(template), turns("a", THOUGHT)))
    assert 'examples.response = "verbatim"' in message


def test_verbatim_keeps_the_thinking() -> None:
    tokenizer = chat_tokenizer(STRIPPING_CHAT)
    found = encode(tokenizer, turns("a", "b", "c", THOUGHT), response="verbatim")
    assert pieces(tokenizer, found) == [
        (False, "[user]a[assistant]b<eos>\n[user]c[assistant]"),
        (True, f"{THOUGHT}<eos>"),
    ]


def test_thinking_that_the_prompt_opens_is_not_opened_twice() -> None:
    expected = [(False, "[user]a[assistant]<think>\n"), (True, "six\n</think>\n\n6<eos>")]
    tokenizer = chat_tokenizer(OPENING_CHAT)
    found = encode(tokenizer, turns("a", THOUGHT), response="verbatim")
    assert pieces(tokenizer, found) == expected
    tokenizer = chat_tokenizer(PLAIN_CHAT)
    found = encode(tokenizer, turns("a", THOUGHT), response="verbatim", force_think=True)
    assert pieces(tokenizer, found) == expected


FORCED = [(OPENING_CHAT, {}), (PLAIN_CHAT, {"force_think": True})]


@pytest.mark.parametrize(("chat", "more"), FORCED)
@pytest.mark.parametrize(
    ("response", "learnt"),
    [
        ("Hello!", "\n</think>\n\nHello!<eos>"),
        ("six</think>6", "six</think>6<eos>"),
        ("<think>\nsix, or", "six, or<eos>"),
    ],
)
def test_a_response_without_thinking_closes_what_the_prompt_has_opened(
    chat, more, response, learnt
) -> None:
    """A thought under way is left open: it is no answer."""
    tokenizer = chat_tokenizer(chat)
    found = encode(tokenizer, turns("a", response), response="verbatim", **more)
    assert pieces(tokenizer, found) == [(False, "[user]a[assistant]<think>\n"), (True, learnt)]


def test_a_data_set_s_own_prompt_in_an_open_thought_is_as_it_stands() -> None:
    tokenizer = chat_tokenizer(None)
    found = encode(tokenizer, turns("a <think>", "six"), kind="plain")
    assert pieces(tokenizer, found) == [(False, "a <think>"), (True, "six<eos>")]


def test_a_forced_opening_is_that_of_a_rollout() -> None:
    """After Vicuna's "ASSISTANT:" a blank comes first."""
    tokenizer = chat_tokenizer(PLAIN_CHAT.replace("[assistant]{%", "ASSISTANT:{%"))
    found = encode(tokenizer, turns("a", THOUGHT), response="verbatim", force_think=True)
    settings = TemplateSettings(kind="chat", force_think=True)
    prompt = PromptRenderer(tokenizer, settings).encode("a")
    assert tokenizer.decode(prompt) == "[user]aASSISTANT: <think>\n"
    assert tuple(found.token_ids[: found.learnt.index(True)]) == prompt


def test_a_template_that_rewrites_earlier_turns() -> None:
    tokenizer = chat_tokenizer(FORGETTING_CHAT)
    conversation = turns("a", THOUGHT, "c", THOUGHT)
    assert 'examples.turns = "last"' in refusal(encode(tokenizer, conversation))
    learnt = pieces(tokenizer, encode(tokenizer, conversation, turns="last"))[-1]
    assert learnt == (True, f"{THOUGHT}<eos>")


def test_a_token_across_the_boundary_is_refused() -> None:
    """A tokenizer that merges the prompt's last letter with the response's first."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<pad>": 0, "<eos>": 1} | {symbol: 2 + i for i, symbol in enumerate(alphabet)}
    backend = Tokenizer(BPE(vocab={**vocab, "tb": len(vocab)}, merges=[("t", "b")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>"
    )
    tokenizer.chat_template = PLAIN_CHAT.replace("[assistant]", "assistant").replace(
        "[{{ m.role }}]", "{{ m.role }}"
    )
    assert pieces(tokenizer, encode(tokenizer, turns("a", "c")))[-1] == (True, "c<eos>")
    assert "no prefix" in refusal(encode(tokenizer, turns("a", "b")))


def test_a_base_template_takes_one_exchange() -> None:
    message = refusal(encode(chat_tokenizer(None), turns("a", "b", "c", "d"), kind="plain"))
    assert 'template.kind = "chat"' in message


def test_what_the_template_says_of_a_row_is_passed_on() -> None:
    template = (
        "{% if messages|length > 2 %}{{ raise_exception('too many') }}{% endif %}" + PLAIN_CHAT
    )
    message = refusal(encode(chat_tokenizer(template), turns("a", "b", "c", "d")))
    assert "too many" in message


def test_no_chat_template() -> None:
    with pytest.raises(UserError, match="no chat template"):
        encode(chat_tokenizer(None), turns("a", "b"))
