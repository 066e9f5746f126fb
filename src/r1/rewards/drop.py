r"""DROP's F1: how much of a gold answer's words a prediction has (Dua et al. 2019, 1903.00161).

A span is split at spaces and hyphens; each token is lower-cased, loses its punctuation unless it is
a number, becomes `str(float)` where it is one, and is dropped where it is an article. What is left
is the *set* of its words, its bag. Between two bags

    F1 = 2 · precision · recall / (precision + recall), and 0 where the gold bag has numbers and the
         predicted one none of them

Several spans are paired one to one so that the sum of F1 is largest; the mean is over the longer of
the two lists, rounded to two places as by the original evaluator. Of several gold answers the
best counts. Correct (exact match): the same list of spans, and the same words in them.

metadata: {"golds": [["12"], ["12", "13"]]}, alternatives of one or more spans; a prediction is cut
at ";" where some alternative has several. Mended here: U+2212 is a minus, and a number keeps its
value before a full stop ("3.14." is 3.14).
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import NamedTuple

from r1.rewards.exact import equal_exact
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

MAX_CHARS = 2_000
MAX_SPANS = 10
"""Of a gold answer: pairing tries every subset of them."""
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")


class DropAgreement(NamedTuple):
    """How a prediction agrees with a gold answer: exactly, and by F1 in [0, 1]."""

    exact: bool
    f1: float


class _Spans(NamedTuple):
    texts: list[str]
    bags: list[set[str]]


def agreement(predicted: Sequence[str], gold: Sequence[str]) -> DropAgreement:
    """Compare the spans predicted with those of one gold answer."""
    ours, theirs = _spans(predicted), _spans(gold)
    same = set(ours.texts) == set(theirs.texts) and len(ours.texts) == len(theirs.texts)
    longer = max(len(ours.bags), len(theirs.bags))
    return DropAgreement(
        same, round(_best_sum(theirs.bags, ours.bags) / longer, 2) if longer else 0.0
    )


def normalise(span: str) -> str:
    """Return the form in which spans are compared."""
    tokens = (_token(token) for token in re.split(" |-", span.replace("\u2212", "-")))
    return " ".join(token for token in tokens if token)


def _token(token: str) -> str:
    token = token.lower().strip()
    if not _is_number(token) and token.endswith(".") and _is_number(token[:-1]):
        token = token[:-1]
    if _is_number(token):
        return str(float(token))
    return " ".join(_ARTICLE.sub(" ", _as_number(token.translate(_PUNCTUATION))).split())


def _as_number(token: str) -> str:
    return str(float(token)) if _is_number(token) else token


def _is_number(token: str) -> bool:
    try:
        float(token)
        return True
    except ValueError:
        return False


def _spans(spans: Sequence[str]) -> _Spans:
    texts = [normalise(span) for span in spans]
    return _Spans(texts, [set(text.split()) for text in texts])


def _best_sum(golds: Sequence[set[str]], predictions: Sequence[set[str]]) -> float:
    """The largest sum of F1 over pairings; best[mask] uses the golds of a mask."""
    best = {0: 0.0}
    for prediction in predictions:
        scores = [_f1(prediction, gold) for gold in golds]
        longer = dict(best)
        for mask, total in best.items():
            for place, score in enumerate(scores):
                if score and not mask >> place & 1:
                    taken = mask | 1 << place
                    longer[taken] = max(longer.get(taken, 0.0), total + score)
        best = longer
    return max(best.values())


def _f1(prediction: set[str], gold: set[str]) -> float:
    numbers = {word for word in gold if _is_number(word)}
    if numbers and not numbers & prediction:
        return 0.0
    shared = len(gold & prediction)
    precision = shared / len(prediction) if prediction else 1.0
    recall = shared / len(gold) if gold else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def score_drop(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """Correct for an exact match; the value is the best F1 where partial credit is paid."""
    if len(answer) > MAX_CHARS:
        return Score(0.0, Outcome.WRONG, "the answer is too long to be a span")
    golds = problem.metadata["golds"]
    if not normalise(answer):
        return Score(0.0, Outcome.UNPARSEABLE, "no words in the answer")
    several = any(len(gold) > 1 for gold in golds)
    predicted = [span for span in answer.split(";") if span.strip()] if several else [answer]
    found = [agreement(predicted, gold) for gold in golds]
    f1 = max(each.f1 for each in found)
    if any(each.exact for each in found):
        return Score(1.0, Outcome.CORRECT)
    return Score(f1 if settings.partial_credit else 0.0, Outcome.WRONG, f"F1 {f1:.2f}")


def check_drop(problem: Problem) -> str | None:
    """There must be a gold answer, and words in each of its spans."""
    golds = problem.metadata.get("golds")
    if not isinstance(golds, list | tuple) or not golds:
        return 'metadata needs "golds", a list of lists of spans'
    for gold in golds:
        if not isinstance(gold, list | tuple) or not 1 <= len(gold) <= MAX_SPANS:
            return f"a gold answer must be a list of 1 to {MAX_SPANS} spans"
        if any(not isinstance(span, str) or not normalise(span) for span in gold):
            return f"gold answer {list(gold)!r} has a span without words"
    return None


register_verifier(
    "drop",
    Verifier(
        score_drop, check_drop, equal_exact, reads=(), reads_json=("golds",), needs_reference=False
    ),
)
