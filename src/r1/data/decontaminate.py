"""Leave out training problems that overlap evaluation problems (DeepSeek-R1, supplement: 10-grams).

A training problem is dropped where it shares an n-gram of words with a held-out problem, or where
both prompts are the same. Words are compared after NFKC, in lower case, without punctuation; a
Chinese character (kana, hangul likewise) is a word of its own, and so is an arithmetic sign, for
"3 + 5" is not "3 - 5".

Template wording. Problems made from one template ("State the final answer to the following
arithmetic problem: 4 - 1 - 7 =") share 10-grams that say nothing about the problem, and the
literal rule would drop all of them. Two sorts of runs that occur in more than `common_share` of
the held-out prompts, and in at least MIN_TEMPLATE_PROMPTS of them, are therefore cut out of both
sides before n-grams are taken: TEMPLATE_LENGTH words in a row without a number or a sign, and
n words of any kind. common_share = 1 is the literal rule.

Generated puzzles (few words, endless combinations) share n-grams by chance however they are cut.
For them ngram = None compares whole prompts only; r1.data.load does so between two generators.

What it cannot see: paraphrases and translations; a held-out problem with fewer than n words of its
own, unless copied as a whole; one held-out problem repeated in so many variants that its text
counts as a template. An answer that leaks is not looked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from r1.types import Problem

TEMPLATE_LENGTH = 5
MIN_TEMPLATE_PROMPTS = 3
_IDEOGRAPH = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[^\W\d_{_IDEOGRAPH}]+|[{_IDEOGRAPH}]|\d+(?:\.\d+)?|[-+*/=<>^%×÷±√]")
_ASCII_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)?|[-+*/=<>^%]")  # the same, three times as fast
_SIGNS = str.maketrans({"−": "-", "–": "-", "·": "*", "⋅": "*"})

Words = list[str]
Gram = tuple[str, ...]


class Overlap(NamedTuple):
    """A training problem left out, the held-out problem it overlaps, and the words they share."""

    problem: Problem
    heldout_id: str
    ngram: str


class Decontaminated(NamedTuple):
    """kept in their old order, and why the others are not."""

    kept: list[Problem]
    dropped: list[Overlap]


def decontaminate(
    train: Iterable[Problem],
    heldout: Sequence[Problem],
    ngram: int | None = 10,
    common_share: float = 0.05,
) -> Decontaminated:
    """Split the training problems into those to keep and those that overlap held-out ones.

    ngram = None drops copies of whole prompts only.
    """
    return drop_overlaps(train, [HeldoutIndex(heldout, ngram, common_share)])


def drop_overlaps(train: Iterable[Problem], indexes: Sequence[HeldoutIndex]) -> Decontaminated:
    """The same against several held-out sets, each with templates of its own."""
    kept: list[Problem] = []
    dropped: list[Overlap] = []
    for problem in train:
        prompt = words(problem.dialogue)
        for index in indexes:
            shared = index.find(prompt)
            if shared is not None:
                dropped.append(Overlap(problem, shared[1], " ".join(shared[0])))
                break
        else:
            kept.append(problem)
    return Decontaminated(kept, dropped)


def words(text: str) -> Words:
    """The words that count: see the module's rule."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _WORD.findall(unicodedata.normalize("NFKC", text).translate(_SIGNS).lower())


class HeldoutIndex:
    """The held-out prompts, ready to be looked up."""

    def __init__(self, heldout: Sequence[Problem], ngram: int | None, share: float) -> None:
        prompts = [words(problem.dialogue) for problem in heldout]
        self.ngram = ngram
        self.templates: list[tuple[int, frozenset[Gram]]] = []
        self.whole: dict[Gram, str] = {}
        self.grams: dict[Gram, str] = {}
        if ngram is not None:
            wording = _common(prompts, TEMPLATE_LENGTH, share, wording_only=True)
            anything = _common(prompts, ngram, share, wording_only=False)
            sizes = ((TEMPLATE_LENGTH, wording), (ngram, anything))
            self.templates = [(size, runs) for size, runs in sizes if runs]
        for problem, prompt in zip(heldout, prompts, strict=True):
            self.whole.setdefault(tuple(prompt), problem.id)
            if ngram is not None:
                for gram in _ngrams(self._cut(prompt), ngram):
                    self.grams.setdefault(gram, problem.id)

    def find(self, prompt: Words) -> tuple[Gram, str] | None:
        """(the words in common, the held-out id), or None."""
        copied = self.whole.get(tuple(prompt))
        if copied is not None and prompt:
            return tuple(prompt), copied
        if self.ngram is None:
            return None
        own = self._cut(prompt)
        if self.grams.keys().isdisjoint(_ngrams(own, self.ngram)):
            return None
        gram = next(gram for gram in _ngrams(own, self.ngram) if gram in self.grams)
        return gram, self.grams[gram]

    def _cut(self, prompt: Words) -> Words:
        """The prompt without the words that any template run covers."""
        covered = [False] * len(prompt)
        for size, runs in self.templates:
            if runs.isdisjoint(_ngrams(prompt, size)):
                continue
            for start, run in enumerate(_ngrams(prompt, size)):
                if run in runs:
                    covered[start : start + size] = [True] * size
        if True not in covered:
            return prompt
        return [word for word, hidden in zip(prompt, covered, strict=True) if not hidden]


def _ngrams(prompt: Words, n: int) -> Iterable[Gram]:
    return zip(*(islice(prompt, start, None) for start in range(n)), strict=False)


def _common(prompts: list[Words], size: int, share: float, wording_only: bool) -> frozenset[Gram]:
    """Runs that so many held-out prompts have that they say nothing of any of them.

    wording_only: no number or sign in it, which is what tells problems of one template apart.
    """
    counts: Counter[Gram] = Counter()
    for prompt in prompts:
        counts.update(set(_ngrams(prompt, size)))
    least = max(share * len(prompts), MIN_TEMPLATE_PROMPTS - 1)
    return frozenset(
        run
        for run, count in counts.items()
        if count > least and not (wording_only and any(not word[0].isalpha() for word in run))
    )
