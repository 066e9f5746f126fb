"""A few dozen facts, asked freely or as multiple choice, in two languages."""

from __future__ import annotations

import random
from typing import NamedTuple

CAPITALS = (
    ("France", "Paris", "法国", "巴黎"),
    ("Japan", "Tokyo", "日本", "东京"),
    ("Italy", "Rome", "意大利", "罗马"),
    ("Egypt", "Cairo", "埃及", "开罗"),
    ("China", "Beijing", "中国", "北京"),
    ("Spain", "Madrid", "西班牙", "马德里"),
    ("Greece", "Athens", "希腊", "雅典"),
    ("Russia", "Moscow", "俄国", "莫斯科"),
    ("Peru", "Lima", "秘鲁", "利马"),
    ("Cuba", "Havana", "古巴", "哈瓦那"),
)
COLOURS = (
    ("snow", "white", "雪", "白色"),
    ("grass", "green", "草", "绿色"),
    ("blood", "red", "血", "红色"),
    ("the sky", "blue", "天空", "蓝色"),
    ("coal", "black", "煤", "黑色"),
    ("a lemon", "yellow", "柠檬", "黄色"),
)
SOUNDS = (
    ("a dog", "barks", "狗", "汪汪"),
    ("a cat", "meows", "猫", "喵喵"),
    ("a cow", "moos", "牛", "哞哞"),
    ("a duck", "quacks", "鸭", "嘎嘎"),
    ("a sheep", "bleats", "羊", "咩咩"),
)
RELATIONS = {
    # name: (facts, English question, Chinese question)
    "capital": (CAPITALS, "What is the capital of {0}?", "{0}的首都是哪里？"),
    "colour": (COLOURS, "What colour is {0}?", "{0}是什么颜色？"),
    "sound": (SOUNDS, "What does {0} do?", "{0}怎么叫？"),
}
LETTERS = "ABCD"


class FactQuestion(NamedTuple):
    """A multiple-choice question on a subject: its options and the letter of the right one."""

    subject: str
    stem: str
    options: tuple[str, ...]
    letter: str

    @property
    def text(self) -> str:
        """The question with its options, each before its letter ("Paris A, Rome B")."""
        return f"{self.stem} " + ", ".join(self.lettered(option) for option in self.options)

    def lettered(self, option: str) -> str:
        """An option and its letter: "Paris A"."""
        letter = LETTERS[self.options.index(option)]
        return f"{option} {letter}" if option.isascii() else f"{option}{letter}"

    def trace(self, option: str) -> str:
        """Name what is asked about, then an option and its letter: "France: Paris A"."""
        return f"{self.subject}{': ' if option.isascii() else '：'}{self.lettered(option)}"

    @property
    def answer(self) -> str:
        """The right option's own words."""
        return self.options[LETTERS.index(self.letter)]


def draw_fact(rng: random.Random, language: str) -> tuple[str, str]:
    """An open question and its answer."""
    choice = draw_choice(rng, language)
    return choice.stem, choice.answer


def draw_choice(rng: random.Random, language: str) -> FactQuestion:
    """A multiple-choice question whose wrong options are right for something else."""
    facts, english, chinese = RELATIONS[rng.choice(sorted(RELATIONS))]
    subject, answer = (2, 3) if language == "zh" else (0, 1)
    fact = rng.choice(facts)
    others = rng.sample([f[answer] for f in facts if f is not fact], len(LETTERS) - 1)
    options = [fact[answer], *others]
    rng.shuffle(options)
    stem = (chinese if language == "zh" else english).format(fact[subject])
    return FactQuestion(fact[subject], stem, tuple(options), LETTERS[options.index(fact[answer])])
