"""The tiny corpus: an endless, seeded stream of documents for pretraining the base.

A mixed bag, like a real base model's: two fifths of the reasoning are a bare guess; a fifth of
the documents open with the prompt of the paper's Table 1, and of those one in five answers in the
asked-for form. Expressions and puzzles that are held out never occur (`is_held_out`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from r1.data.tiny import arithmetic, cups, dialogue, facts, functions
from r1.data.tiny.problems import is_held_out
from r1.data.tiny.reasoning import Trace
from r1.data.tiny.voice import Voice
from r1.template import render_r1_zero

FAMILIES = ("arithmetic", "cups", "functions", "facts", "dialogue")
FAMILY_SHARES = (0.44, 0.3, 0.1, 0.06, 0.1)
LEVEL_SHARES = {"arithmetic": (0.3, 0.4, 0.3), "cups": (0.4, 0.6)}
TABLE_1_SHARE = 0.2
TAGGED_SHARE = {True: 0.2, False: 0.3}
"""Share of answers in tags, with Table 1's prompt and without it (dialogue has none)."""
FACTS_WORKED_SHARE = 0.7
FACTS_WRONG_SHARE = 0.15
SLOPPY_SHARE = 0.12
"""Of the tagged answers, those with a broken form."""


class Document(NamedTuple):
    """A prompt and its response; pretraining joins them, `family` and `style` are for counting."""

    prompt: str
    response: str
    family: str
    style: str

    @property
    def text(self) -> str:
        """The document as the model reads it."""
        return f"{self.prompt} {self.response}"


def documents(seed: int) -> Iterator[Document]:
    """Yield documents without end; the same seed gives the same stream."""
    rng = random.Random(seed)
    while True:
        yield draw_document(rng)


def draw_document(rng: random.Random) -> Document:
    """Draw one document of any family."""
    family = rng.choices(FAMILIES, FAMILY_SHARES)[0]
    language = rng.choice(("en", "zh"))
    question, response, style = "", "", family
    table_1 = rng.random() < TABLE_1_SHARE
    tagged = rng.random() < TAGGED_SHARE[table_1]
    if family in ("arithmetic", "cups"):
        question, trace = _draw_reasoning(rng, family, language)
        style = trace.style
        response = present(rng, trace, language, tagged)
    elif family == "facts":
        question, response = _draw_fact(rng, language, tagged)
    elif family == "functions":
        function = functions.draw_function(rng, language)
        question, response = (
            function.prompt,
            _present_line(functions.careless(rng, function), tagged),
        )
    else:
        style, question, response = dialogue.draw_exchange(rng, language)
    return Document(_prompt(rng, question, table_1), response, family, style)


def _draw_reasoning(rng: random.Random, family: str, language: str) -> tuple[str, Trace]:
    while True:
        level = rng.choices(range(1, 4) if family == "arithmetic" else (1, 2),
                            LEVEL_SHARES[family])[0]  # fmt: skip
        if family == "arithmetic":
            chain = arithmetic.draw_chain(rng, level)
            if not is_held_out(chain.expression):
                return (arithmetic.word(rng, chain, language),
                        arithmetic.trace(rng, chain, language))  # fmt: skip
        else:
            puzzle = cups.draw_cups(rng, level)
            if not is_held_out(repr(puzzle)):
                return cups.word(rng, puzzle, language), cups.trace(rng, puzzle, language)


def _draw_fact(rng: random.Random, language: str, tagged: bool) -> tuple[str, str]:
    if rng.random() < 0.4:
        return facts.draw_fact(rng, language)
    choice = facts.draw_choice(rng, language)
    while is_held_out(choice.text):
        choice = facts.draw_choice(rng, language)
    right = rng.random() >= FACTS_WRONG_SHARE
    option = choice.answer if right else rng.choice(choice.options)
    thinking, letter = choice.trace(option), choice.lettered(option)[-1]
    if tagged:
        return choice.text, f"<think>{thinking}</think> <answer>{letter}</answer>"
    if rng.random() < FACTS_WORKED_SHARE:
        return choice.text, f"{thinking}\n{Voice(rng, language).say('answer', letter).strip()}"
    return choice.text, letter


def _present_line(line: str, tagged: bool) -> str:
    """A function's line; in tags, the expression it returns is the thinking."""
    if not tagged:
        return line
    return f"<think>{line.partition('return ')[2]}</think> <answer>{line}</answer>"


def _prompt(rng: random.Random, question: str, table_1: bool) -> str:
    if table_1:
        return render_r1_zero(question)
    return rng.choice(("User: {0} Assistant:", "Question: {0}\nAnswer:", "{0}\n")).format(question)


def present(rng: random.Random, trace: Trace, language: str, tagged: bool) -> str:
    """Write a trace out as the corpus does; now and then the form is broken."""
    thinking, answer = trace.thinking.rstrip("\n"), trace.answer
    if not tagged:
        ending = Voice(rng, language).say("answer", answer)
        return ending.strip() if trace.style == "bare" else f"{thinking}\n{ending.strip()}"
    if rng.random() < SLOPPY_SHARE:
        return rng.choice(
            (
                f"<think>{thinking}\n<answer>{answer}</answer>",
                f"<answer>{answer}</answer>",
                f"<think>{thinking}</think> {answer}",
                f"{thinking}\n<answer>{answer}</answer>",
                f"<think>{thinking}</think> <answer>{answer}</answer> <answer>{answer}</answer>",
            )
        )
    return f"<think>{thinking}</think> <answer>{answer}</answer>"
