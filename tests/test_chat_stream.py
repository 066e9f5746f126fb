"""The stream splitter: any cutting of the text gives the same pieces, and nothing is lost."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from r1.thinking_stream import Channel, Piece, ThinkingStream

T, A, O = Channel.THINKING, Channel.ANSWER, Channel.OUTSIDE  # noqa: E741

quick = hypothesis_settings(deadline=None)
fragments = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "<answer>",
            "</answer>",
            "<",
            "<th",
            "</",
            "a b",
            "等等",
            "\n",
            "nk>",
            "<<",
        ]
    ),
    max_size=12,
).map("".join)


def split_response(text: str, inside: Channel = Channel.OUTSIDE) -> list[Piece]:
    """Return the pieces of a whole response."""
    stream = ThinkingStream(inside)
    pieces: list[Piece] = []
    for piece in [*stream.feed(text), *stream.close()]:
        if pieces and pieces[-1].channel == piece.channel:
            piece = Piece(piece.channel, pieces.pop().text + piece.text)
        pieces.append(piece)
    return pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("<think>3+4=7</think> <answer>7</answer>", [(T, "3+4=7"), (O, " "), (A, "7")]),
        ("<think>hm</think>The answer is 7.", [(T, "hm"), (O, "The answer is 7.")]),
        ("7", [(O, "7")]),
        ("<answer>7</answer>", [(A, "7")]),
        ("<think>never closed <answer>7</answer>", [(T, "never closed <answer>7</answer>")]),
        ("<think>a<think>b</think>c", [(T, "a<think>b"), (O, "c")]),
        ("<think>a</think><think>b</think>", [(T, "a"), (O, "<think>b</think>")]),
        ("</think>x</answer>", [(O, "</think>x</answer>")]),
        ("1 < 2 <thin", [(O, "1 < 2 <thin")]),
        ("<think></think><answer></answer>", []),
    ],
)
def test_pieces_by_hand(text, pieces):
    assert split_response(text) == [Piece(*piece) for piece in pieces]


def test_a_prompt_that_opens_the_thinking():
    assert split_response("so 7</think>7", inside=T) == [Piece(T, "so 7"), Piece(O, "7")]
    assert split_response("so <think>7</think>", inside=T) == [Piece(T, "so <think>7")]


def merged(pieces):
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].channel == piece.channel:
            piece = Piece(piece.channel, joined.pop().text + piece.text)
        joined.append(piece)
    return joined


@quick
@given(fragments, st.data())
def test_where_the_text_is_cut_makes_no_difference(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    stream, pieces = ThinkingStream(), []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        pieces += stream.feed(text[start:end])
    pieces += stream.close()
    assert merged(pieces) == split_response(text)


@quick
@given(fragments)
def test_only_tags_are_taken_out_and_at_most_one_of_each(text):
    shown = "".join(piece.text for piece in split_response(text))
    tokens = re.split("(</?(?:think|answer)>)", text)
    places = [
        [None, *(i for i, token in enumerate(tokens) if token == tag)]
        for tag in ("<think>", "</think>", "<answer>", "</answer>")
    ]
    candidates = {
        "".join(token for i, token in enumerate(tokens) if i not in removed)
        for removed in product(*places)
    }
    assert shown in candidates


@quick
@given(fragments)
def test_plain_text_passes_at_once(text):
    """Nothing is held back but what an expected tag may begin with: under a tag's length."""
    stream = ThinkingStream()
    given_back = "".join(piece.text for piece in stream.feed(text))
    held = "".join(piece.text for piece in stream.close())
    assert len(held) < len("</answer>")
    assert not held or held.startswith("<")
    assert (given_back + held) == "".join(piece.text for piece in split_response(text))
