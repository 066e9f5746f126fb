"""Which queries are too simple for a chain of thought: greetings, thanks, farewells (§2.3.3).

The rule. A query is simple where, read without punctuation, emoji and case,

* nothing is left of it; or
* it begins with a courtesy ("hello", "good morning", "thank you", "你好", "谢谢", …) and, after all
  further courtesies, at most MAX_EXTRA_WORDS words remain (a name, "there"), none of them with
  a digit and none that asks for something (what, why, write, tell, 什么, 怎么, 写, …).

So "hello", "Hi there!", "你好呀" are simple; "Hello, what is 3 + 4?", "hi, write a poem" and "Who
are you?" are not. Short is not simple: "Define entropy" has a thought worth writing.
"""

from __future__ import annotations

import re
import unicodedata

_COURTESIES = (
    "good morning", "good afternoon", "good evening", "good night", "good day", "how are you",
    "how are you doing", "how do you do", "nice to meet you", "hello", "hi", "hey", "hiya", "yo",
    "greetings", "howdy", "morning", "evening", "thank you", "thank you very much", "thanks a lot",
    "many thanks", "thanks", "thx", "bye", "goodbye", "bye bye", "see you", "see you later",
    "ok", "okay", "great", "cool", "welcome", "please", "cheers",
    "你好", "您好", "大家好", "你们好", "嗨", "哈喽", "喂", "早上好", "早安", "早", "上午好",
    "中午好", "下午好", "晚上好", "晚安", "谢谢", "谢谢你", "谢谢您", "多谢", "非常感谢", "感谢",
    "再见", "拜拜", "好的", "在吗", "最近好吗", "你好吗",
    "bonjour", "salut", "merci", "au revoir", "hola", "gracias", "adiós", "hallo", "danke",
    "guten tag", "guten morgen", "ciao", "grazie", "olá", "obrigado", "привет", "спасибо",
    "こんにちは", "おはよう", "ありがとう", "さようなら", "안녕하세요", "감사합니다",
)  # fmt: skip
_REQUESTS = """
    what why how who whom whose when where which write tell explain give make list show help solve
    find compute calculate translate summarize summarise describe define compare can could would
    do does is are name
"""
_REQUEST_WORDS = frozenset(_REQUESTS.split())
_CHINESE_REQUESTS = re.compile("[什么怎谁哪为何几多写说讲给请帮算求解翻译介绍列举吗]")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:['’][^\W_]+)*")
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+\Z")
MAX_CHARS = 200
MAX_EXTRA_WORDS = 2
"""Words beside a greeting that still make a query simple: a name, "there"."""
"""A longer query is not looked at."""


def _words(text: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return tuple(_WORD.findall(plain))


_KNOWN = frozenset(_words(phrase) for phrase in _COURTESIES)
_LONGEST = max(len(phrase) for phrase in _KNOWN)


def is_simple(query: str) -> bool:
    """Whether a query gets no chain of thought; the rule stands at the top of this module.

    A Chinese character counts as half a word.
    """
    if len(query) > MAX_CHARS:
        return False
    words = _words(query)
    rest = _without_courtesies(words)
    if len(rest) == len(words):
        return not words
    worth = sum(0.5 if _IDEOGRAPHS.match(word) else 1.0 for word in rest)
    return worth <= MAX_EXTRA_WORDS and not any(_asks(word) for word in rest)


def _without_courtesies(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words after all courtesies at the beginning, the longest that fits each time."""
    while words:
        for size in range(min(_LONGEST, len(words)), 0, -1):
            if words[:size] in _KNOWN:
                words = words[size:]
                break
        else:
            break
    return words


def _asks(word: str) -> bool:
    if any(symbol.isdigit() for symbol in word) or word in _REQUEST_WORDS:
        return True
    return bool(_IDEOGRAPHS.match(word) and _CHINESE_REQUESTS.search(word))
