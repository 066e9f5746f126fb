"""Tell languages that share a script: by their function words, then py3langid's ranking.

py3langid is Python with a table of some megabytes, loaded when first needed. On short sentences it
guesses, so a sentence is judged by its small words first (`r1.text.function_words`), then by
py3langid among the languages of its script alone, if it clearly prefers one; an undecided sentence
follows the majority of the text.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from r1.errors import UserError
from r1.text.function_words import FUNCTION_WORDS, vote
from r1.text.scripts import SCRIPT_OF

MIN_CHARS = 12
"""Sentences shorter than this are not shown to py3langid."""
LEAST = 0.2
"""Share among the script's languages with which a language may be the sentence's."""
_SAME = {"nb": "no", "nn": "no", "se": "no", "srl": "sr"}
_TWINS = {"hr": ("bs", "sr"), "bs": ("hr", "sr"), "id": ("ms",), "ms": ("id",), "no": ("da",),
          "da": ("no",)}  # fmt: skip
"""Languages whose written sentences are often the same."""


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def _rank(text: str, script: str) -> tuple[tuple[str, float], ...]:
    """Rank a script's languages by their share of py3langid's probability, best first."""
    shares: dict[str, float] = {}
    for label, share in _identifier().rank(text):
        code = _SAME.get(label, label)
        if SCRIPT_OF.get(code) == script or (script == "latin" and code == "sr"):
            shares[code] = shares.get(code, 0.0) + share
    total = sum(shares.values()) or 1.0
    return tuple(sorted(((c, s / total) for c, s in shares.items()), key=lambda pair: -pair[1]))


def judge_sentences(sentences: list[list[str]], code: str) -> list[bool]:
    """Whether each sentence (its words of the language's script) is in the language `code`.

    Raises UserError for a language that py3langid does not know.
    """
    known = {_SAME.get(label, label) for label in _identifier().labels}
    if code not in known and code not in FUNCTION_WORDS:
        raise UserError(
            f"language {code!r} cannot be told from others of its script; "
            f"languages that can: {', '.join(sorted(known))}."
        )
    verdicts = [_judge(words, code) if words else None for words in sentences]
    judged = [(len(w), v) for w, v in zip(sentences, verdicts, strict=True) if v is not None]
    if judged:
        rest = 2 * sum(number for number, own in judged if own) > sum(n for n, _ in judged)
    else:
        whole = " ".join(word for words in sentences for word in words)
        rest = bool(whole) and _rank(whole, SCRIPT_OF[code])[0][0] == code
    return [rest if verdict is None else verdict for verdict in verdicts]


def _judge(words: list[str], code: str) -> bool | None:
    if code in FUNCTION_WORDS and (voted := vote(words, code)) is not None:
        return voted
    if code not in FUNCTION_WORDS and words[0].isascii() and vote(words, "en"):
        return False
    text = " ".join(words)
    if len(text) < MIN_CHARS:
        return None
    ranked = _rank(text, SCRIPT_OF[code])
    best = ranked[0][0]
    if best == code or best in _TWINS.get(code, ()):
        return True
    return None if dict(ranked).get(code, 0.0) >= LEAST else False
