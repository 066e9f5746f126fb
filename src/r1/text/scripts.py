"""Writing systems and languages: the letters of each, and how many characters make a word.

The unit everywhere in `r1.text` is the word. Scripts without spaces between words are measured in
characters and turned into words by a fixed average, CHARS_PER_WORD, so that the share of each
language in a bilingual text does not depend on which of the two writes with spaces. For Chinese
the average is 1.5: running text has 1.5 to 1.7 characters a word, and the pairs of the tiny world
agree ("let me check" / 检查一下, "then" / 然后). One character for one word, the other common
count, would let a half-and-half text pass as 60 % Chinese.
"""

from __future__ import annotations

import difflib
from functools import cache

from r1.errors import UserError

_RANGES = {
    "latin": "A-Za-zªºÀ-ÖØ-öø-ɏḀ-ỿ",
    "greek": "Ͱ-Ͽἀ-῿",
    "cyrillic": "Ѐ-ԯᲀ-᲏ⷠ-ⷿꙀ-ꚟ",
    "armenian": "Ա-֏",
    "hebrew": "\u0591-\u05f4\ufb1d-\ufb4f",
    "arabic": "\u0620-\u065f\u066e-\u06d3\u06d5-\u06ef\u06fa-\u06ff\u0750-\u077f\ufb50-\ufdff"
    "\ufe70-\ufefc",
    "devanagari": "\u0900-\u0963\u0971-\u097f",
    "bengali": "\u0980-\u09e3\u09f0-\u09ff",
    "gurmukhi": "\u0a00-\u0a65\u0a70-\u0a7f",
    "gujarati": "\u0a80-\u0ae5\u0af0-\u0aff",
    "oriya": "\u0b00-\u0b65\u0b70-\u0b7f",
    "tamil": "\u0b80-\u0be5\u0bf0-\u0bff",
    "telugu": "\u0c00-\u0c65\u0c70-\u0c7f",
    "kannada": "\u0c80-\u0ce5\u0cf0-\u0cff",
    "malayalam": "\u0d00-\u0d65\u0d70-\u0d7f",
    "sinhala": "\u0d80-\u0dff",
    "thai": "\u0e01-\u0e4e",
    "lao": "\u0e81-\u0ecd\u0edc-\u0edf",
    "burmese": "\u1000-\u103f\u1050-\u108f",
    "georgian": "\u10a0-\u10ff\u1c90-\u1cbf",
    "ethiopic": "\u1200-\u135f",
    "khmer": "\u1780-\u17d3",
    "hangul": "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3",
    "kana": "\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff",
    "han": "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f",
}
CHARS_PER_WORD = {"han": 1.5, "kana": 2.0, "thai": 4.0, "lao": 4.0, "burmese": 4.0, "khmer": 4.0}

_SOLE_LANGUAGE = {
    "greek": "el", "armenian": "hy", "hebrew": "he", "bengali": "bn", "gurmukhi": "pa",
    "gujarati": "gu", "oriya": "or", "tamil": "ta", "telugu": "te", "kannada": "kn",
    "malayalam": "ml", "sinhala": "si", "thai": "th", "lao": "lo", "burmese": "my",
    "georgian": "ka", "ethiopic": "am", "khmer": "km", "hangul": "ko", "han": "zh", "kana": "ja",
}  # fmt: skip
_SHARED = {
    "cyrillic": "ru uk be bg sr mk kk ky mn tg tt",
    "arabic": "ar fa ur ps ug sd",
    "devanagari": "hi mr ne sa",
    "latin": "en fr de es pt it nl pl sv no da fi is et lv lt cs sk sl hr bs hu ro sq tr az uz tk "
    "id ms tl jv su vi ca gl eu cy ga gd mt af sw zu xh so ha yo ig rw st tn ht eo la lb br fo oc",
}
SCRIPT_OF = {language: script for script, language in _SOLE_LANGUAGE.items()} | {
    language: script for script, languages in _SHARED.items() for language in languages.split()
}
"""ISO 639-1 code -> the script its words are written in (Japanese: see r1.text.language)."""
ALONE_IN_SCRIPT = frozenset(_SOLE_LANGUAGE.values())
"""Languages whose script gives them away."""

_NAMES = {
    "english": "en", "chinese": "zh", "中文": "zh", "汉语": "zh", "英文": "en", "英语": "en",
    "cmn": "zh", "zho": "zh", "eng": "en", "french": "fr", "german": "de", "spanish": "es",
    "portuguese": "pt", "italian": "it", "dutch": "nl", "polish": "pl", "russian": "ru",
    "ukrainian": "uk", "japanese": "ja", "korean": "ko", "arabic": "ar", "persian": "fa",
    "hindi": "hi", "turkish": "tr", "vietnamese": "vi", "thai": "th", "greek": "el",
    "hebrew": "he", "iw": "he", "indonesian": "id", "in": "id", "nb": "no", "nn": "no",
    "fil": "tl", "swahili": "sw", "finnish": "fi", "swedish": "sv",
}  # fmt: skip


def letters_of(script: str) -> str:
    """Return the content of a regular expression's character class for a script's letters."""
    return _RANGES[script]


SCRIPTS = tuple(_RANGES)


@cache
def language_code(language: str) -> str:
    """Return the ISO 639-1 code of "en", "en-US", "zh_Hant", "English", "中文", …

    Raises UserError for a language that is not known, with the nearest one that is.
    """
    name = language.strip().casefold()
    code = _NAMES.get(name) or _NAMES.get(name.replace("_", "-").split("-")[0])
    code = code or name.replace("_", "-").split("-")[0]
    if code in SCRIPT_OF:
        return code
    near = difflib.get_close_matches(name, [*SCRIPT_OF, *_NAMES], n=1)
    hint = f"did you mean {near[0]!r}?" if near else "give an ISO 639-1 code such as 'en' or 'zh'."
    raise UserError(f"unknown language {language!r}; {hint}")
