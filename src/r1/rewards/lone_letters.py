"""The capital letters of a text that stand alone and may each be a choice: "B or C", "A is wrong".

The pronoun "I" and the article "A" are words of a sentence: "B, because I computed it", "B. A
current flows". One of them is taken for a word only where a verb of the first person follows the
"I", or where the "A" begins a sentence and a noun can follow it; in doubt it counts as a letter, so
that "B. A works too" stays two choices.
"""

from __future__ import annotations

import re

LETTERS = "ABCDEFGHIJ"
_SINGLE = re.compile(r"(?<![A-Za-z0-9])(?<![A-Za-z]['’])[A-J](?![A-Za-z0-9]|['’][A-Za-z])")
_MARKED = re.compile(
    r"(?:\b(?:options?|choices?|answers?|letters?|either|both|or|not|nor)[\s:]*|[选項项案][\s:]*)\Z",
    re.IGNORECASE,
)
"""What makes a letter of the "A" or "I" behind it, whatever follows."""
_BEGINS = re.compile(r"[.!?:;。)\]]\s*\Z")
"""What stands before an article in capitals: it begins a sentence."""
_CONNECTS = (
    r"or|and|nor|but|if|then|than|as|so|because|since|while|when|where|though|although|unless|until"
    r"|plus|too|also|either|neither|both|instead|rather|only|alone|not|never|maybe|perhaps|again"
    r"|otherwise|else|alike|next|first|second|third|last|alternatively|however|yet"
)
_VERBS = (
    r"is|isn|was|wasn|are|aren|were|be|being|been|has|have|had|does|doesn|did|didn|do|don|can|cannot"
    r"|could|may|might|must|shall|should|will|won|would|wouldn|fit|work|seem|look|go|come|hold"
    r"|apply|match|follow|sound|make|win|give|mean|say|get|got|gave|made|came|went|held|fell|won|lost"
)
_OF_LETTERS = (
    r"right|correct|wrong|incorrect|true|false|best|better|worse|worst|good|fine|ok|okay|likely"
    r"|possible|plausible|probable|valid|in|on|at|by|for|from|to|of|off|with|without|via|versus|vs"
    r"|over|under|above|below|through|itself|here|there|now"
)
_ARTICLE = re.compile(
    rf"\s+(?!(?:{_CONNECTS}|{_VERBS}|{_OF_LETTERS})\b)"
    r"(?![a-z]*(?:[a-rt-z]s|ed|ly|ing)(?![a-z]))[a-z]{2,}(?!['’])"
)
"""What follows an article: a noun or an adjective. Verbs of the third person, participles and
adverbs follow a letter: "A fits", "A suggested", "A probably"."""
_PRONOUN = re.compile(
    rf"\s+(?!(?:{_CONNECTS}|{_OF_LETTERS}|be|is|isn|are|aren|were|has|does|doesn)\b)"
    r"(?!(?:can|could|may|might|must|shall|should|will|would|also)\s+(?:[a-z]+\s+)?(?:be|work|fit)\b)"
    r"(?:(?:was|guess|pass|always|also)\b|(?![a-z]*s(?![a-z]))[a-z]{2,})"
)
"""What follows the pronoun: a verb that is not of the third person."""


def letters_in(text: str, options: list[str] | None, start: int = 0) -> set[str]:
    """Return the capital letters that stand alone from `start` on; with options, only theirs."""
    valid = LETTERS[: len(options)] if options else LETTERS
    return {
        found[0]
        for found in _SINGLE.finditer(text, start)
        if found[0] in valid and not _is_word(text, found)
    }


def _is_word(text: str, found: re.Match[str]) -> bool:
    """Whether an "A" is an article or an "I" a pronoun."""
    before = text[max(0, found.start() - 20) : found.start()]
    if found[0] not in "AI" or _MARKED.search(before):
        return False
    if found[0] == "I":
        return _PRONOUN.match(text, found.end()) is not None
    return bool(_BEGINS.search(before) and _ARTICLE.match(text, found.end()))
