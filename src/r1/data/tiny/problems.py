"""Problems of the tiny world: arithmetic, cups, facts, functions and dialogue, in two splits.

The split is by a hash of the problem itself, so that a held-out problem never occurs in the
corpus, whatever the seed and the wording. Functions and dialogue are the exception: the corpus
draws them without regard to the split, so only the reinforcement learning of them has held-out
problems.

Of dialogue there are a few dozen requests. One in three of each kind and language is held out, by
hash, and none is ever in both splits; kinds come in turn, and requests again, under another id,
once all of a kind have come. No rule judges the answers: the verifier is "none".
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from r1.data.tiny import arithmetic, cups, facts, functions
from r1.data.tiny.requests import KINDS, draw_request
from r1.errors import UserError
from r1.types import Problem

HELD_OUT_ONE_IN = 12
HELD_OUT_REQUESTS_ONE_IN = 3
NUM_REQUEST_DRAWS = 2000  # some 400 of each kind: all of its requests (at most 16) are among them
DIALOGUE = "dialogue"
SPLITS = ("train", "heldout")
LANGUAGES = ("en", "zh")

Draw = Callable[[random.Random, str, Sequence[int]], tuple[str, Problem]]
"""Of (generator, language, levels): the key that decides the split, and a problem."""


def is_held_out(key: str) -> bool:
    """True for about one in HELD_OUT_ONE_IN keys, by content alone."""
    return hashlib.sha256(key.encode()).digest()[0] % HELD_OUT_ONE_IN == 0


def make_problems(
    split: str,
    families: Sequence[str] = ("arithmetic", "cups"),
    languages: Sequence[str] = LANGUAGES,
    num: int = 1000,
    seed: int = 0,
    levels: Sequence[int] = (),
) -> list[Problem]:
    """`num` distinct problems, families and languages in turn; the same arguments, the same list.

    levels restricts the difficulty (empty: all of a family's). Dialogue repeats its requests.
    Raises UserError for an unknown split, family, language or level, and where a family has fewer
    distinct problems than asked.
    """
    _check("split", [split], SPLITS)
    _check("family", families, (*DRAW, DIALOGUE))
    _check("language", languages, LANGUAGES)
    rng = random.Random(f"{split}/{seed}")
    streams = [
        _dialogue(split, language, seed)
        if family == DIALOGUE
        else _drawn(DRAW[family], rng, split, language, levels)
        for family in families
        for language in languages
    ]
    problems: dict[str, Problem] = {}
    attempts = 0
    while len(problems) < num:
        problem = next(streams[len(problems) % len(streams)])
        if problem is not None:
            problems.setdefault(problem.id, problem)
        attempts += 1
        if attempts > 60 * num + 10_000:
            raise UserError(
                f"tiny world: only {len(problems)} distinct {split} problems of "
                f"{', '.join(families)}; ask for fewer than num = {num}, or add families or levels."
            )
    return list(problems.values())


def _drawn(
    draw: Draw, rng: random.Random, split: str, language: str, levels: Sequence[int]
) -> Iterator[Problem | None]:
    """One draw after the other; None for those that belong to the other split."""
    while True:
        key, problem = draw(rng, language, levels)
        yield problem if is_held_out(key) == (split == "heldout") else None


def _dialogue(split: str, language: str, seed: int) -> Iterator[Problem]:
    """Requests without end, kinds in turn, each kind's in a shuffled order that repeats."""
    rng = random.Random(f"dialogue/{split}/{language}/{seed}")
    decks = dialogue_requests(split, language)
    shuffled = {kind: rng.sample(deck, len(deck)) for kind, deck in decks.items()}
    turn = 0
    while True:
        for kind, deck in shuffled.items():
            again, place = divmod(turn, len(deck))
            digest = hashlib.sha256(deck[place].encode()).hexdigest()[:12]
            yield Problem(
                id=f"dialogue-{language}-{digest}" + (f"-{again + 1}" if again else ""),
                prompt=deck[place],
                reference=None,
                verifier="none",
                language=language,
                family=DIALOGUE,
                metadata={"kind": kind},
            )
        turn += 1


@cache
def dialogue_requests(split: str, language: str) -> dict[str, tuple[str, ...]]:
    """The requests of a split by kind; the first third of each kind by hash is held out."""
    rng = random.Random("requests")
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for _ in range(NUM_REQUEST_DRAWS):
        kind, request, _answer = draw_request(rng, language)
        found[kind].add(request)
    decks = {}
    for kind, requests in found.items():
        ordered = sorted(
            requests, key=lambda r: hashlib.sha256(f"{language}/{r}".encode()).digest()
        )
        num_held_out = max(1, round(len(ordered) / HELD_OUT_REQUESTS_ONE_IN))
        held_out, train = ordered[:num_held_out], ordered[num_held_out:]
        decks[kind] = tuple(held_out if split == "heldout" else train)
    return decks


def _check(what: str, given: Sequence[str], valid: Sequence[str]) -> None:
    for name in given:
        if name not in valid:
            raise UserError(f"tiny world: unknown {what} {name!r}; valid: {', '.join(valid)}.")
    if not given:
        raise UserError(f"tiny world: no {what} given; valid: {', '.join(valid)}.")


def _level(rng: random.Random, family: str, wanted: Sequence[int], valid: Sequence[int]) -> int:
    levels = [level for level in valid if not wanted or level in wanted]
    if not levels:
        raise UserError(f"tiny world: {family} has levels {list(valid)}; asked for {list(wanted)}.")
    return rng.choice(levels)


def _arithmetic(rng: random.Random, language: str, levels: Sequence[int]) -> tuple[str, Problem]:
    level = _level(rng, "arithmetic", levels, tuple(arithmetic.LEVELS))
    chain = arithmetic.draw_chain(rng, level)
    problem = Problem(
        id=f"arithmetic-{language}-{chain.expression.replace(' ', '')}",
        prompt=arithmetic.word(rng, chain, language),
        reference=chain.answer,
        verifier="reasoning_gym",
        language=language,
        family="arithmetic",
        metadata={"task": arithmetic.TASK, "entry": chain.entry, "level": level},
    )
    return chain.expression, problem


def _cups(rng: random.Random, language: str, levels: Sequence[int]) -> tuple[str, Problem]:
    level = _level(rng, "cups", levels, tuple(cups.LEVELS))
    puzzle = cups.draw_cups(rng, level)
    swaps = "".join(f"{a}{b}" for a, b in puzzle.swaps)
    problem = Problem(
        id=f"cups-{language}-{puzzle.letters}-{swaps}-{puzzle.asked}",
        prompt=cups.word(rng, puzzle, language),
        reference=puzzle.answer,
        verifier="exact",
        language=language,
        family="cups",
        metadata={"level": level},
    )
    return repr(puzzle), problem


def _facts(rng: random.Random, language: str, levels: Sequence[int]) -> tuple[str, Problem]:
    choice = facts.draw_choice(rng, language)
    digest = hashlib.sha256(choice.text.encode()).hexdigest()[:12]
    problem = Problem(
        id=f"facts-{language}-{digest}",
        prompt=choice.text,
        reference=choice.letter,
        verifier="choice",
        language=language,
        family="facts",
        metadata={"options": list(choice.options)},
    )
    return choice.text, problem


def _functions(rng: random.Random, language: str, levels: Sequence[int]) -> tuple[str, Problem]:
    function = functions.draw_function(rng, language)
    digest = hashlib.sha256(function.prompt.encode()).hexdigest()[:12]
    problem = Problem(
        id=f"functions-{language}-{digest}",
        prompt=function.prompt,
        reference=function.line,
        verifier="code",
        language=language,
        family="functions",
        metadata={
            "language": "python",
            "entry": "f",
            "tests": [{"args": [x], "expected": result} for x, result in function.tests],
        },
    )
    return function.prompt, problem


DRAW: dict[str, Draw] = {
    "arithmetic": _arithmetic,
    "cups": _cups,
    "facts": _facts,
    "functions": _functions,
}
