r"""How much of a text is written in one language: the measure behind the language reward.

    share = words of the language / words of any language

counted in the prose (`r1.text.prose`: no formulas, code, links) by `r1.text.words` (no numbers,
symbols, units, acronyms), in words' worth: a Chinese character is 1 / 1.5 of a word, for the
reasons in `r1.text.scripts`. Left out of both counts, moreover: where the language is not written
in Latin letters, names (capitalised inside a sentence, in short runs, few different ones); and
foreign words that the problem itself uses (`prompt`), since names and quotations come from there.

English and Chinese are counted by their letters and need no library; a Latin sentence that its
small words give away as French, German, … is not English (`r1.text.function_words`). Japanese
sentences are those with kana. Scripts of one language (Korean, Thai, Greek, …) decide by
themselves. Among languages that share a script, small words and py3langid judge sentence by
sentence (`r1.text.detector`).

Left out on purpose: telling simplified from traditional Chinese, dialects, and whether a sentence
makes sense.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from r1.text.detector import judge_sentences
from r1.text.function_words import ANY_FUNCTION_WORD, vote
from r1.text.prose import clean, prose
from r1.text.scripts import ALONE_IN_SCRIPT, CHARS_PER_WORD, SCRIPT_OF, language_code
from r1.text.words import TOKEN, Word, runs, sentences_of_words

Sentence = list[Word]
MAX_NAME_RUN = 3
MAX_NAMES = 3
WORDS_PER_NAME = 50
"""Different names that a text may have: MAX_NAMES and one more for every WORDS_PER_NAME words."""
MAX_HAN_EITHER = 6
"""Chinese characters in a row, without kana, that may be Japanese as well."""
NUM_EXAMPLES = 5


class LanguageShare(NamedTuple):
    """The counts: words in the language, words in others, and the first of the others.

    share is 0 where there are no words at all.
    """

    share: float
    target: float
    foreign: float
    examples: tuple[str, ...]

    @property
    def words(self) -> float:
        """Return the number of all words."""
        return self.target + self.foreign


def consistency(text: str, language: str, prompt: str = "") -> float:
    """Return the share of words in `language`, in [0, 1]; 0 without words.

    A text without words shows nothing of its language, and must not be the safest way to a full
    score: a policy paid 1 for silence learns to be silent. Raises UserError as language_share.
    """
    return language_share(text, language, prompt).share


def language_share(text: str, language: str, prompt: str = "") -> LanguageShare:
    """Count a text's words that belong to a language ("en", "zh", "French", …), and the others.

    prompt is the problem the text is about: words of other languages that it uses are not held
    against the text. Raises UserError for an unknown language, or one that cannot be distinguished
    from others. Linear in the length of the text.
    """
    code = language_code(language)
    body = prose(text)
    sentences = sentences_of_words(body)
    excused = _Excused(_names(sentences, body, code), *_quoted(prompt, code))
    target = foreign = 0.0
    examples: list[str] = []
    for sentence, verdicts in zip(sentences, _judge(sentences, code), strict=True):
        for word, own in zip(sentence, verdicts, strict=True):
            if own:
                target += word.worth
            elif own is False and not excused.holds(word):
                foreign += word.worth
                if len(examples) < NUM_EXAMPLES:
                    examples.append(word.text[:20])
    total = target + foreign
    return LanguageShare(target / total if total else 0.0, target, foreign, tuple(examples))


# Foreign words that are not held against a text --------------------------------------------------


class _Excused(NamedTuple):
    names: frozenset[str]
    quoted_words: frozenset[str]
    quoted_text: str

    def holds(self, word: Word) -> bool:
        if word.script in CHARS_PER_WORD:
            return 2 <= len(word.text) <= 12 and word.text in self.quoted_text
        return word.text in self.names or word.text.casefold() in self.quoted_words


@lru_cache(maxsize=64)
def _quoted(prompt: str, code: str) -> tuple[frozenset[str], str]:
    """Return the prompt's words and whole text, if the prompt is in the language."""
    if not prompt or language_share(prompt, code).share < 0.5:
        return frozenset(), ""
    text = clean(prompt)
    return frozenset(found[0].casefold() for found in TOKEN.finditer(text)), text


def _names(sentences: list[Sentence], body: str, code: str) -> frozenset[str]:
    """Return the words taken for names; none if the language is written in Latin letters."""
    if SCRIPT_OF[code] == "latin":
        return frozenset()
    names: set[str] = set()
    for sentence in sentences:
        capitals = [word for word in sentence if word.script == "latin" and word.text.istitle()]
        for run in runs(capitals, body, " -·"):
            if len(run) <= MAX_NAME_RUN and run[0] is not sentence[0]:
                names.update(w.text for w in run if w.text.casefold() not in ANY_FUNCTION_WORD)
    total = sum(word.worth for sentence in sentences for word in sentence)
    return frozenset(names) if len(names) <= MAX_NAMES + total / WORDS_PER_NAME else frozenset()


# Which words are the language's ------------------------------------------------------------------


def _judge(sentences: list[Sentence], code: str) -> list[list[bool | None]]:
    """For each word of each sentence: in the language, foreign, or None for neither."""
    if code in ("zh", "ja"):
        return [_judge_east_asian(sentence, code) for sentence in sentences]
    script = SCRIPT_OF[code]
    own = [[word.text for word in sentence if word.script == script] for sentence in sentences]
    if code in ALONE_IN_SCRIPT:
        verdicts = [True] * len(sentences)
    elif code == "en":
        verdicts = [vote(words, "en") is not False for words in own]
    else:
        verdicts = judge_sentences(own, code)
    return [
        [word.script == script and verdict for word in sentence]
        for sentence, verdict in zip(sentences, verdicts, strict=True)
    ]


def _judge_east_asian(sentence: Sentence, code: str) -> list[bool | None]:
    japanese = any(word.script == "kana" for word in sentence)

    def judge(word: Word) -> bool | None:
        if word.script not in ("han", "kana"):
            return False
        if japanese or code == "zh":
            return japanese == (code == "ja")
        return None if len(word.text) <= MAX_HAN_EITHER else False

    return [judge(word) for word in sentence]
