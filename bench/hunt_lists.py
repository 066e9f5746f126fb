"""Grammars of lists, sets, points and intervals, of words and of letters, with their truth."""

from __future__ import annotations

import random
from collections.abc import Callable

from hunt_answers import WRAPS, Grammar, Picks, Task, Written
from r1.types import Problem

BRACKETS = {
    "none": ("", ""),
    "round": ("(", ")"),
    "square": ("[", "]"),
    "half": ("(", "]"),
    "other half": ("[", ")"),
    "braces": ("\\{", "\\}"),
    "double": ("((", "))"),
}
MEMBERS: dict[str, Callable[[list[int]], list[int]]] = {
    "right": lambda m: m,
    "turned": lambda m: m[::-1],
    "dropped": lambda m: m[:-1],
    "twice": lambda m: [*m, m[0]],
    "more": lambda m: [*m, max(m) + 1],
    "next": lambda m: [m[0] + 1, *m[1:]],
    "all": lambda m: list(range(min(m), max(m) + 1)),
    "one": lambda m: m[:1],
    "negated": lambda m: [-x for x in m],
    "same": lambda m: [m[0]] * len(m),
}
SEPARATORS = {
    "comma": ", ",
    "semicolon": "; ",
    "tight": ",",
    "and": " and ",
    "or": " or ",
    "space": " ",
    "union": " \\cup ",
    "newline": "\n",
    "chinese": "、",
    "colon": " : ",
    "newline comma": ",\n",
}
KINDS = {
    "set": "braces",
    "point": "round",
    "open": "round",
    "closed": "square",
    "half": "half",
    "list": "none",
}


def _structure(rng: random.Random) -> Task:
    kind = rng.choice(list(KINDS))
    size = 2 if kind in ("open", "closed", "half") else rng.randint(2, 4)
    members = rng.sample(range(10, 60), size)
    if kind in ("open", "closed", "half"):
        members.sort()
    opening, closing = BRACKETS[KINDS[kind]]
    reference = opening + ", ".join(map(str, members)) + closing
    ordered = kind not in ("set", "list")

    def write(picks: Picks) -> Written:
        given = MEMBERS[picks["members"]](members)
        opening, closing = BRACKETS[picks["brackets"]]
        text = opening + SEPARATORS[picks["separator"]].join(map(str, given)) + closing
        names = picks["names"]
        if names == "indexed":
            text = ", ".join(f"a_{i} = {x}" for i, x in enumerate(given, 1))
        elif names == "lettered":
            text = ", ".join(f"{chr(96 + i)} = {x}" for i, x in enumerate(given, 1))
        equal = given == members if ordered else set(given) == set(members)
        repeated = len(set(given)) < len(given)
        if not equal:
            return Written(WRAPS[picks["wrap"]](text), False)
        own = picks["brackets"] == KINDS[kind] and picks["separator"] in ("comma", "tight")
        plain_form = own and names == "none" and picks["wrap"] not in ("two boxes",)
        interval = kind in ("open", "closed", "half") and names == "none"
        if interval and not own and picks["separator"] == "comma" and picks["brackets"] != "double":
            return Written(
                WRAPS[picks["wrap"]](text), None if picks["brackets"] == "none" else False
            )
        return Written(WRAPS[picks["wrap"]](text), True if plain_form and not repeated else None)

    return Task(Problem("s", "Find them.", reference, "math"), write)


# Words and letters --------------------------------------------------------------------------------

CITIES = (
    "Rome",
    "Paris",
    "Lima",
    "Oslo",
    "New York",
    "York",
    "Cairo",
)
PHRASES = {
    "none": "{0}",
    "lead": "The answer is {0}",
    "box": "\\boxed{{{0}}}",
    "bold": "**{0}**",
    "quotes": '"{0}"',
    "lower": "{0}",
    "stop": "{0}.",
    "chinese": "答案：{0}",
    "or": "{0} or {1}",
    "not": "not {0}",
    "is not": "The answer is not {0}",
    "comma": "{0}, {1}",
    "denied": "{1}, not {0}",
    "more": "{0} City",
    "question": "{0}?",
    "slash": "{0}/{1}",
    "label": "answer: {1} {0}",
    "wrong": "{0} is wrong",
    "other": "{1}",
    "name": "x = {0}",
    "other name": "not = {0}",
    "two": "{0} {0}",
    "bracket": "{1} ({0})",
    "no": "no {0}",
    "unit": "{0} m",
    "two boxes": "\\boxed{{{1}}} \\boxed{{{0}}}",
    "newline": "{1}\n{0}",
    "double lead": "The answer is the answer is {0}",
    "text": "\\text{{{0}}}",
    "negative": "-{0}",
}
RIGHT_PHRASES = ("none", "lead", "box", "bold", "quotes", "lower", "stop", "chinese", "text")
LENIENT_PHRASES = ("question", "name", "two", "unit", "double lead")


def _word(rng: random.Random) -> Task:
    gold, other = rng.sample(CITIES, 2)

    def write(picks: Picks) -> Written:
        phrase = picks["phrase"]
        value = {
            "right": gold,
            "other": other,
            "upper": gold.upper(),
            "cut": gold[:-1],
        }[picks["value"]]
        text = PHRASES[phrase].format(value, other if value != other else gold)
        if phrase == "lower":
            text = text.lower()
        right: bool | None = value.lower() == gold.lower() and phrase in RIGHT_PHRASES
        if phrase in LENIENT_PHRASES and value.lower() == gold.lower():
            right = None
        if phrase == "other" and value != gold:
            right = None
        return Written(text, right)

    return Task(Problem("w", "Which city?", gold, "exact"), write)


CHOSEN = {
    "letter": "{0}",
    "brackets": "({0})",
    "stop": "{0}.",
    "with option": "{0}. {1}",
    "option": "{1}",
    "sentence": "The answer is {0}.",
    "chinese": "选{0}",
    "correct": "{0} is correct",
    "other option": "{0}. {3}",
    "two": "{0}, {2}",
    "or": "{0} or {2}",
    "all": "A B C D",
    "denied": "not {0}",
    "other denied": "{0}, not {2}",
    "wrong": "{0} is wrong",
    "reason": "{2}, because {0} is wrong",
    "option and other": "{1} and {3}",
    "letter in words": "{2}, like {0}",
    "other correct": "{2} is correct, not {0}",
    "box": "\\boxed{{{0}}}",
    "two boxes": "\\boxed{{{2}}} \\boxed{{{0}}}",
    "lower": "{0}",
    "option of other": "{2}. {1}",
    "anything but": "anything but {0}",
    "chinese not": "不选{0}",
    "chinese or": "{0}或{2}",
    "none": "none of them",
    "reason own": "{0}, because it is {1}",
    "reason other": "{0}, because {1} is wrong and {3} is right",
    "dash": "{2} - {0}",
    "either": "either {0}",
    "list": "A. {0}",
    "newline": "{2}\n{0}",
    "colon": "{0}: {3}",
}
RIGHT_CHOSEN = (
    "letter",
    "brackets",
    "stop",
    "with option",
    "option",
    "sentence",
    "chinese",
    "correct",
    "box",
    "lower",
    "reason own",
)
LENIENT_CHOSEN = ("other denied", "either", "wrong", "list", "two", "or", "chinese or", "dash")


def _letter(rng: random.Random) -> Task:
    options = rng.sample(CITIES, 4)
    gold = rng.randrange(4)

    def write(picks: Picks) -> Written:
        place = gold if picks["value"] == "right" else (gold + 1) % 4
        beside = (place + 1) % 4 if picks["beside"] == "next" else (place + 3) % 4
        phrase = picks["phrase"]
        said = ["ABCD"[place], options[place], "ABCD"[beside], options[beside]]
        text = CHOSEN[phrase].format(*said)
        text = text.lower() if phrase == "lower" else text
        right: bool | None = place == gold and phrase in RIGHT_CHOSEN
        if phrase in ("other denied", "list") or (phrase == "other correct" and beside == gold):
            right = None if phrase != "list" or gold == 0 else right
        if (
            place != gold
            and beside == gold
            and phrase in ("reason", "newline", "dash", "letter in words")
        ):
            right = None
        return Written(text, right)

    problem = Problem("c", "Which?", "ABCD"[gold], "choice", metadata={"options": options})
    return Task(problem, write)


LISTS = {
    "math_structures": Grammar(
        {
            "members": tuple(MEMBERS),
            "brackets": tuple(BRACKETS),
            "separator": tuple(SEPARATORS),
            "names": ("none", "indexed", "lettered"),
            "wrap": tuple(WRAPS),
        },
        _structure,
    ),
    "exact": Grammar(
        {"value": ("right", "other", "upper", "cut"), "phrase": tuple(PHRASES)}, _word
    ),
    "choice": Grammar(
        {"value": ("right", "other"), "beside": ("next", "last"), "phrase": tuple(CHOSEN)}, _letter
    ),
}
