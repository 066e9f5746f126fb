"""What counts as an overlap with the held-out problems, and what does not."""

from __future__ import annotations

import random

import pytest

from r1.data.decontaminate import HeldoutIndex, decontaminate, drop_overlaps, words
from r1.types import Problem

STORY = (
    "A baker sells twelve loaves in the morning and nine more in the afternoon. "
    "If each loaf costs three coins, how many coins does the baker earn that day?"
)
STORY_ZH = (
    "面包师上午卖出十二个面包，下午又卖出九个。如果每个面包三枚硬币，他这天一共赚了多少枚硬币？"
)


def problem(name: str, prompt: str) -> Problem:
    return Problem(name, prompt, "1", "math")


def dropped(train: str, heldout: list[str], **keys) -> str | None:
    """The shared words, or None where the training problem is kept."""
    held = [problem(f"h{i}", text) for i, text in enumerate(heldout)]
    result = decontaminate([problem("t", train)], held, **keys)
    assert len(result.kept) + len(result.dropped) == 1
    return result.dropped[0].ngram if result.dropped else None


def test_words_ignore_case_width_and_punctuation_but_keep_signs_and_numbers():
    assert words("What is “3.5 × 2−1”, Ann?") == ["what", "is", "3.5", "×", "2", "-", "1", "ann"]
    assert words("ＡＢＣ １２") == ["abc", "12"]
    assert words("第3个杯子 is_empty") == ["第", "3", "个", "杯", "子", "is", "empty"]


def test_ten_words_in_common_drop_and_nine_do_not():
    ten = "every good morning seven old friends walk slowly around town"
    nine = "good morning seven old friends walk slowly around town"
    held = [f"We know that {ten}, so how far is it?"]
    assert dropped(f"It is said: {ten.upper()}!", held) == ten
    assert dropped(f"It is said: {nine}!", held) is None
    assert dropped(f"It is said: {nine}!", held, ngram=9) == nine


def test_the_report_names_both_problems():
    held = [problem("other", "nothing in common"), problem("gold", STORY)]
    result = decontaminate([problem("fine", "1 + 1"), problem("leak", f"Solve. {STORY}")], held)
    assert [p.id for p in result.kept] == ["fine"]
    (overlap,) = result.dropped
    assert (overlap.problem.id, overlap.heldout_id) == ("leak", "gold")
    assert overlap.ngram == "a baker sells twelve loaves in the morning and nine"


def test_chinese_is_compared_by_characters():
    assert dropped(f"请解答：{STORY_ZH}", [STORY_ZH]) == " ".join("面包师上午卖出十二个")
    assert dropped("面包师上午卖出八个蛋糕，还剩几个？", [STORY_ZH]) is None


def test_a_short_prompt_is_dropped_only_when_copied_whole():
    assert dropped("what is 3+5 ?", ["What is 3 + 5?"]) == "what is 3 + 5"
    assert dropped("What is 3 - 5?", ["What is 3 + 5?"]) is None
    assert dropped("What is 3 + 5 + 1?", ["What is 3 + 5?"]) is None


def expression(rng: random.Random) -> str:
    return str(rng.randint(10, 99)) + "".join(
        f" {rng.choice('+-')} {rng.randint(1, 99)}" for _ in range(4)
    )


@pytest.mark.parametrize(
    "template",
    [
        "State the final answer to the following arithmetic problem: {} =",
        "Please work out, step by step and with great care, the value of {} and then box it.",
        "请一步一步地仔细计算下面这个算式的结果，并给出最后的答案：{}",
    ],
)
def test_the_wording_of_a_template_drops_nothing(template):
    rng = random.Random(0)
    held = [problem(f"h{i}", template.format(expression(rng))) for i in range(100)]
    train = [problem(f"t{i}", template.format(expression(rng))) for i in range(500)]
    leak = problem("leak", held[50].prompt)
    result = decontaminate([*train, leak], held)
    assert [overlap.problem.id for overlap in result.dropped] == ["leak"]
    literal = decontaminate([*train, leak], held, common_share=1.0)
    assert len(literal.dropped) > 50


def test_a_template_does_not_hide_a_copied_story():
    stories = [
        f"{name} {verb} {thing} every {day} while {other} counts {more} beside the {place} house"
        for name, verb, thing, day, other, more, place in zip(
            *[[f"{kind}{chr(97 + i)}" for i in range(20)] for kind in "abcdefg"], strict=True
        )
    ]
    instruction = "Put your final answer in a box at the very end of the text. "
    held = [instruction + story for story in stories]
    assert (
        dropped(instruction + "An entirely different question about ships and rain", held) is None
    )
    assert dropped(f"Think about this: {stories[3]}. Answer in words.", held) is not None


def test_ngram_none_compares_whole_prompts_only():
    assert dropped(f"Solve. {STORY}", [STORY], ngram=None) is None
    assert dropped(STORY.lower(), [STORY], ngram=None) is not None


def test_no_heldout_and_empty_prompts():
    assert dropped(STORY, []) is None
    assert dropped("?!", ["..."]) is None


def test_each_held_out_set_has_templates_of_its_own():
    rng = random.Random(1)
    template = "State the final answer to the following arithmetic problem: {} ="
    few = [problem(f"f{i}", template.format(expression(rng))) for i in range(10)]
    many = [problem(f"m{i}", f"{STORY} {i}") for i in range(1000)]
    train = [problem(f"t{i}", template.format(expression(rng))) for i in range(200)]
    apart = drop_overlaps(train, [HeldoutIndex(few, 10, 0.05), HeldoutIndex(many, 10, 0.05)])
    assert not apart.dropped
    assert decontaminate(train, few + many).dropped
