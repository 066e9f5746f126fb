"""The language of a response by langdetect, the benchmark's own detector.

langdetect is random; a fixed seed, set again for every text, makes it a function of the text.
`r1.text.language` measures languages without a langdetect profile. A text without letters is in no
language (in the benchmark it is in every one, since an exception of langdetect counts as followed).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from r1.text.language import consistency
from r1.text.scripts import language_code

LANGUAGE_SHARE = 0.8
"""Share of the words that must be of a language that langdetect does not know."""
ENGLISH_SHARE = 2 / 3
"""Share of the words of what langdetect takes for English that must be no other language's."""
SEED = 0


def is_in_language(text: str, language: str) -> bool:
    """Whether a text as a whole is in a language ("en", "French", …).

    Raises UserError for a language that is not known.
    """
    code = language_code(language)
    known = _codes()
    if code not in known.values():
        return consistency(text, code) >= LANGUAGE_SHARE
    if known.get(_guess(text)) != code:
        return False
    # In capitals French passes for English, too; English is told from others by its words.
    plain = text.lower() if text.isupper() else text
    return code != "en" or consistency(plain, "en") >= ENGLISH_SHARE


@cache
def load_profiles() -> Any:
    """Load langdetect's profiles (some seconds of processor time, once a process)."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.set_seed(SEED)
    return factory


@cache
def _codes() -> dict[str, str]:
    """Map langdetect's names ("zh-cn") to ours ("zh")."""
    return {name: language_code(name) for name in load_profiles().get_lang_list()}


def _guess(text: str) -> str:
    from langdetect.lang_detect_exception import LangDetectException

    detector = load_profiles().create()
    detector.append(text)
    try:
        return str(detector.detect())
    except LangDetectException:  # nothing in it that any language is written with
        return "none"
