r"""What a general model is asked, in this project's own words; recipes may bring their own.

The paper says what its prompts are for, not how they read: long chains of thought by example,
answers with reflection and verification, R1-Zero's reasoning rewritten in the question's language,
a summary that adds no step, a chain of thought before a general answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_NAMES = "question|reasoning|answer|language|opening|closing|examples|response"
_PLACEHOLDER = re.compile(rf"\{{({_NAMES})\}}")
LANGUAGE_NAMES = {
    "en": "English", "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "fr": "French",
    "de": "German", "es": "Spanish", "pt": "Portuguese", "it": "Italian", "ru": "Russian",
    "ar": "Arabic", "hi": "Hindi", "th": "Thai", "vi": "Vietnamese",
}  # fmt: skip

FEW_SHOT = "{examples}Question: {question}\n\nResponse (in {language}, in the same form):\n"
EXAMPLE = "Question: {question}\n\nResponse:\n{response}\n\n---\n\n"

DIRECT = r"""{question}

Answer in full detail, in {language}. Work it out step by step; where a step could be wrong, stop
and look at it again; before you finish, verify the result by another route. Your response has two
parts and nothing else. First, between {opening} and {closing}, all of this reasoning, as plain
short paragraphs. Then, after {closing}, a summary for the reader: the steps that the solution
needs, and the final answer in \boxed{}."""

REFINE = r"""Below are a question and a draft of the reasoning that answers it. The draft is right
but hard to read: it may change languages, repeat itself or lack structure. Rewrite it in
{language}. Keep every step, every doubt and every check that it makes, in its order; keep its
result, {answer}; add no step of your own. Write short paragraphs, no code and no headings. Reply
with the rewritten reasoning alone.

Question:
{question}

Draft:
{reasoning}"""

SUMMARISE = r"""Below are a question and the reasoning that answers it. Write, in {language}, the
solution as the reader should see it: short, in order, in Markdown with formulas in LaTeX. Use only
steps that the reasoning has. End with the final answer, {answer}, in \boxed{}. Reply with the
solution alone.

Question:
{question}

Reasoning:
{reasoning}"""

THINK_FIRST = r"""Below are a request and a response that was given to it. Write, in {language}, the
thoughts that somebody would have before writing this response: what is asked for, what matters, how
to go about it. Do not repeat the response. A few short paragraphs; reply with the thoughts alone.

Request:
{question}

Response:
{answer}"""


class WorkedExample(NamedTuple):
    """A worked example of a long chain of thought."""

    language: str
    question: str
    thinking: str
    summary: str


EXAMPLES = (
    WorkedExample(
        "en",
        "A train leaves at 9:40 and arrives at 13:05. It stands still for 25 minutes on the way. "
        "For how many minutes does it move?",
        "The train is under way from 9:40 to 13:05, and I must take the stop off that.\n\n"
        "From 9:40 to 13:40 would be 4 hours, 240 minutes. It arrives 35 minutes before 13:40, so "
        "240 - 35 = 205 minutes.\n\n"
        "Let me check that by another route: 9:40 to 10:00 is 20 minutes, 10:00 to 13:00 is 180 "
        "minutes, 13:00 to 13:05 is 5 minutes; 20 + 180 + 5 = 205. Both agree.\n\n"
        "Now the stop: 205 - 25 = 180. Wait, is the stop inside these 205 minutes? It stands still "
        "on the way, so yes, and it is to be taken off once. The train moves for 180 minutes.",
        "From 9:40 to 13:05 are $20 + 180 + 5 = 205$ minutes. Without the stop: $205 - 25 = 180$."
        "\n\n\\boxed{180}",
    ),
    WorkedExample(
        "en",
        "How many whole numbers from 1 to 100 are divisible by 4 or by 6?",
        "I count those divisible by 4, those divisible by 6, and take off what I counted twice.\n\n"
        "By 4: 100 / 4 = 25. By 6: 6 times 16 is 96 and 6 times 17 is 102, so 16.\n\n"
        "Counted twice are the numbers divisible by both. My first thought is 24, but 12 is "
        "divisible by 4 and by 6 as well, so that was wrong: it is the least common multiple, 12. "
        "12 times 8 is 96, so there are 8.\n\n"
        "25 + 16 - 8 = 33. A check on a small range: up to 12 the rule gives 3 + 2 - 1 = 4, and "
        "the numbers are 4, 6, 8, 12. That is right, so I trust the rule.",
        "Divisible by 4: 25. Divisible by 6: 16. By both, that is by 12: 8. So $25 + 16 - 8 = 33$."
        "\n\n\\boxed{33}",
    ),
    WorkedExample(
        "zh",
        "小明有 48 颗糖，先吃掉四分之一，再把剩下的平均分给 6 个朋友。每个朋友得到几颗？",
        "先算吃掉多少：48 的四分之一是 48 ÷ 4 = 12 颗。\n\n"
        "剩下 48 - 12 = 36 颗。\n\n"
        "再平均分给 6 个朋友：36 ÷ 6 = 6 颗。\n\n"
        "检查一下：6 个朋友每人 6 颗，一共 36 颗，加上吃掉的 12 颗正好是 48 颗，对得上。"
        "题目里小明自己还要不要分？题目只说分给 6 个朋友，所以不用算他自己。",
        "吃掉 $48 \\div 4 = 12$ 颗，剩下 $36$ 颗，每个朋友得到 $36 \\div 6 = 6$ 颗。\n\n\\boxed{6}",
    ),
    WorkedExample(
        "zh",
        "一个两位数，个位数字比十位数字大 3，两个数字的和是 9。这个数是多少？",
        "设十位数字是 a，个位数字就是 a + 3。\n\n"
        "两个数字的和是 a + a + 3 = 9，所以 2a = 6，a = 3，个位是 6。这个数是 36。\n\n"
        "等一下，会不会把十位和个位弄反了？题目说个位比十位大，"
        "36 的个位 6 比十位 3 大 3，没有弄反。"
        "\n\n再验证：3 + 6 = 9，6 - 3 = 3，两个条件都满足。",
        "设十位为 $a$，则 $a + (a + 3) = 9$，得 $a = 3$，个位为 $6$。\n\n\\boxed{36}",
    ),
)
"""Worked examples in the paper's form: long, with doubts and a verification."""


def fill(prompt: str, values: Mapping[str, str]) -> str:
    r"""Put values in place of their {names}; other braces, as in \boxed{}, stay.

    Raises KeyError for a name without a value.
    """
    return _PLACEHOLDER.sub(lambda found: values[found[1]], prompt)


def language_name(code: str) -> str:
    """What a language is called in a prompt."""
    return LANGUAGE_NAMES.get(code.lower(), code)
