"""The language reward: reads the thinking, pays the share, leaves no way round."""

from __future__ import annotations

import subprocess
import sys

import pytest

from r1.rewards.language import chain_of_thought, language_reward
from r1.rewards.names import reward_names
from r1.rewards.registry import PromptForm, make_reward
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem

FOREIGN = "然后我们再算一次看看结果对不对"


def score(text: str, language: str = "en", opened: bool = False):
    reward = make_reward("language", RewardSettings(), PromptForm(opened=opened))
    return reward(Problem("p", "1+1?", "2", "math", language), Completion([], [], text, "stop"))


def test_it_is_registered() -> None:
    assert "language" in reward_names()


def test_the_share_of_the_thinking_is_paid() -> None:
    text = "<think>first 4+7=11\n然后11-3=8\nso it is 8.</think> <answer>8</answer>"
    english, chinese = score(text), score(text, "zh")
    assert (english.value, english.outcome) == (0.75, Outcome.WRONG)
    assert chinese.value == 0.25
    assert "75%" in english.detail
    assert "然后" in english.detail


def test_a_pure_thought_is_worth_1() -> None:
    good = score("<think>so it is 8.</think> <answer>答案是 8</answer>")
    assert (good.value, good.outcome) == (1.0, Outcome.CORRECT)
    assert score("<think>所以是8。</think> <answer>8</answer>", "zh").value == 1.0


@pytest.mark.parametrize(
    "text",
    ["", "8", "<answer>8</answer>", "<think></think> <answer>8</answer>",
     "<think>4+4=8</think> <answer>8</answer>", "<think>$x=8$</think>"],
)  # fmt: skip
def test_silence_is_not_paid(text: str) -> None:
    silent = score(text)
    assert (silent.value, silent.outcome) == (0.0, Outcome.UNPARSEABLE)


@pytest.mark.parametrize(
    "text",
    [
        f"{FOREIGN}<think>ok so</think> <answer>8</answer>",
        f"<think>ok so</think>{FOREIGN}<answer>8</answer>",
        f"<think>ok so</think><think>{FOREIGN}</think> <answer>8</answer>",
        f"<think>ok so<think>{FOREIGN}</think></think> <answer>8</answer>",
        f"<think>ok so {FOREIGN}",
        f"ok so {FOREIGN}</think> <answer>8</answer>",
        f"<think>ok so</think> <answer>8</answer><think>{FOREIGN}</think>",
    ],
)
def test_thinking_outside_its_block_counts_all_the_same(text: str) -> None:
    assert score(text).value < 0.3


def test_prompts_that_open_the_thinking() -> None:
    text = f"ok so {FOREIGN}</think> <answer>8</answer>"
    assert score(text, opened=True).value < 0.3
    assert score("so it is", opened=True).value == 1.0  # cut at the token limit
    assert score("so it is", opened=False).outcome is Outcome.UNPARSEABLE


def test_what_follows_the_thinking_is_not_measured() -> None:
    assert chain_of_thought("<think>a</think> \\boxed{8} 答案") == "a"
    assert chain_of_thought("<think>a</think> <answer>答案</answer>") == "a"
    assert chain_of_thought("no tags") is None


def test_it_works_as_a_plain_function() -> None:
    assert language_reward("<think>所以</think>", "Chinese").value == 1.0
    assert language_reward("<think>小明 has two</think>", "en", "Has 小明 two?").value == 1.0


def test_importing_it_takes_neither_torch_nor_a_detector() -> None:
    code = (
        "import sys, r1.rewards.language, r1.rewards.ifeval, r1.text.readability;"
        "heavy = ('torch', 'py3langid', 'langdetect', 'sympy', 'numpy')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
