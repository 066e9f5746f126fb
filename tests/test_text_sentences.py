"""The sentence splitter on the traps of English and Chinese punctuation."""

from __future__ import annotations

import pytest

from clock import soon
from r1.text.sentences import count_sentences, split_sentences

CASES = [
    ("", []),
    ("...", []),
    ("No stop at all", ["No stop at all"]),
    ("One. Two! Three?", ["One.", "Two!", "Three?"]),
    ("Dr. Smith paid $3.14 to J. K. Rowling. She left.",
     ["Dr. Smith paid $3.14 to J. K. Rowling.", "She left."]),
    ("I live in the U.S. It is big.", ["I live in the U.S.", "It is big."]),
    ("The U.S. economy grew. See e.g. this one.", ["The U.S. economy grew.", "See e.g. this one."]),
    ("It was 3 p.m. and hot. At 4 p.m. We left.",
     ["It was 3 p.m. and hot.", "At 4 p.m.", "We left."]),
    ("Apples, pears, etc. are fruit. I like pears, etc. You too.",
     ["Apples, pears, etc. are fruit.", "I like pears, etc.", "You too."]),
    ('She said "Hello." Then she left.', ['She said "Hello."', "Then she left."]),
    ('"Is it?" he asked. "Yes!" she said.', ['"Is it?" he asked.', '"Yes!" she said.']),
    ("(Yes.) Fine.", ["(Yes.)", "Fine."]),
    ("Wait... what? Yes... And no.", ["Wait... what?", "Yes...", "And no."]),
    ("What?! Really?!! Yes.", ["What?!", "Really?!!", "Yes."]),
    ("Visit www.example.com. It costs 5.50 now.", ["Visit www.example.com.", "It costs 5.50 now."]),
    ("Fig. 3 shows the sun. It is No. 5. No. That is wrong.",
     ["Fig. 3 shows the sun.", "It is No. 5.", "No.", "That is wrong."]),
    ("You and I. Then x. And so on.", ["You and I.", "Then x.", "And so on."]),
    ("The answer is 5. Next.", ["The answer is 5.", "Next."]),
    ("1. First item\n2. Second item. Really.\n- third",
     ["1. First item", "2. Second item.", "Really.", "- third"]),
    ("A title\n\nA paragraph\nthat is wrapped.", ["A title", "A paragraph\nthat is wrapped."]),
    ("**Bold.** Plain.", ["**Bold.**", "Plain."]),
    ("他说：“你好。”然后走了！真的吗？是的", ["他说：“你好。”", "然后走了！", "真的吗？", "是的"]),
    ("圆周率是3.14。对……不对。", ["圆周率是3.14。", "对……不对。"]),
    ("今天很好。It is fine. 明天也好。", ["今天很好。", "It is fine.", "明天也好。"]),
    ("We chose plan B. Anna B. Smith said I. Then we left.",
     ["We chose plan B.", "Anna B. Smith said I.", "Then we left."]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentences"), CASES)
def test_splitting(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences
    unended = sum(sentence in ("A title", "1. First item") for sentence in sentences)
    assert count_sentences(text) == len(sentences) - unended  # they go on in the next


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("# A heading\n\nOne sentence. Another one", 2),
        ("- one\n- two\n- three", 1),
        ("It needs:\n\n- A first.\n- A second.\n\nThat is all", 3),
        ('He said "yes."\n\nShe said "no."', 2),
        ("", 0),
    ],
)
def test_blocks_without_a_stop_are_no_sentences_of_their_own(text: str, number: int) -> None:
    assert count_sentences(text) == number


@pytest.mark.parametrize(
    "text",
    ["." * 200_000, ". " * 100_000, "a." * 100_000, "\n" * 200_000, "\n " * 100_000,
     "Mr. " * 50_000, '."' * 100_000, "。" * 200_000, "1. \n" * 50_000, "a" * 200_000],
)  # fmt: skip
def test_linear_time(text: str) -> None:
    with soon():
        split_sentences(text)
