"""The 25 instructions of IFEval that a program can check (Zhou et al. 2023, arXiv 2311.07911).

Ids and arguments are those of the public data set. `CHECKS[id]` holds the arguments an instruction
takes and a pure function `follows(response, arguments) -> bool`; no function raises for any
response, and all are linear in its length.

The verdicts are meant to be the public checker's, quirks included (a keyword counts inside longer
words, `---` is a bullet line), so that scores compare. They differ on purpose where that checker
leans on libraries with downloaded data, or pays for tricks:
* sentences are split by `r1.text.sentences` (there: NLTK's punkt);
* languages are langdetect's guess with a fixed seed (there: a random one, and "followed" where it
  fails, as it does for a text without letters);
* keywords are literal (there: regular expressions), and Chinese ones need no spaces around them;
* the n-th paragraph is counted among those that are not empty, a bare `*` is no bullet, "cannot"
  is one word, and `#` or `!` may be the letter to count;
* JSON must be an object or a list, placeholders and titles must not be empty;
* Chinese characters count as words one by one, and a Chinese comma is a comma.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from r1.rewards.ifeval.language import is_in_language
from r1.text.sentences import count_sentences

Arguments = Mapping[str, Any]
RELATIONS = ("less than", "at least")
CONSTRAINED_RESPONSES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_WORD = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|(?:(?![\u3400-\u4dbf\u4e00-\u9fff])\w)+")
_HAN_OR_KANA = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_PARAGRAPH_DIVIDER = re.compile(r"\s?\*\*\*\s?")
_HIGHLIGHT = re.compile(r"\*[^\n*]*\*")
_BOLD = re.compile(r"\*\*[^\n*]*\*\*")
_FENCE = re.compile(r"```(?:json|Json|JSON)?")
_PIECE = re.compile(r"[^\s\"“”()\[\]{}<>,;:!?…]+")
_CONTRACTION = re.compile(r"(?:n't|'(?:s|m|d|re|ve|ll))\Z", re.IGNORECASE)
_FIRST_WORD_END = re.compile(r"[.,?!'\"，。？！、：；]")


@dataclass(frozen=True)
class Check:
    """One instruction: its arguments' kinds by name, and a test of a response."""

    follows: Callable[[str, Arguments], bool]
    arguments: Mapping[str, str]


CHECKS: dict[str, Check] = {}


def _instruction(name: str, **arguments: str) -> Callable[[Any], Any]:
    """Register a check; the kinds are text, texts, count, relation, letter, language."""

    def register(function: Callable[[str, Arguments], bool]) -> Any:
        CHECKS[name] = Check(function, arguments)
        return function

    return register


def _compare(number: int, relation: str, threshold: float) -> bool:
    return number < threshold if relation == RELATIONS[0] else number >= threshold


# Keywords ----------------------------------------------------------------------------------------


@_instruction("keywords:existence", keywords="texts")
def _keywords_exist(response: str, arguments: Arguments) -> bool:
    lowered = response.casefold()
    return all(keyword.strip().casefold() in lowered for keyword in arguments["keywords"])


@_instruction("keywords:frequency", keyword="text", frequency="count", relation="relation")
def _keyword_frequency(response: str, arguments: Arguments) -> bool:
    number = response.casefold().count(arguments["keyword"].strip().casefold())
    return _compare(number, arguments["relation"], arguments["frequency"])


@_instruction("keywords:forbidden_words", forbidden_words="texts")
def _no_forbidden_words(response: str, arguments: Arguments) -> bool:
    lowered = response.casefold()
    return not any(
        _has_word(lowered, word.strip().casefold()) for word in arguments["forbidden_words"]
    )


def _has_word(lowered: str, word: str) -> bool:
    """Whether a word or phrase occurs as a whole word; Chinese and Japanese ones match anywhere."""
    if word not in lowered:
        return False
    before = "" if _HAN_OR_KANA.match(word) else r"(?<!\w)"
    after = "" if _HAN_OR_KANA.match(word[-1]) else r"(?!\w)"
    return re.search(before + re.escape(word) + after, lowered) is not None


@_instruction(
    "keywords:letter_frequency", letter="letter", let_frequency="count", let_relation="relation"
)
def _letter_frequency(response: str, arguments: Arguments) -> bool:
    number = response.lower().count(arguments["letter"].strip().lower())
    return _compare(number, arguments["let_relation"], arguments["let_frequency"])


# Language ----------------------------------------------------------------------------------------


@_instruction("language:response_language", language="language")
def _response_language(response: str, arguments: Arguments) -> bool:
    return is_in_language(response, arguments["language"])


@_instruction("change_case:english_capital")
def _english_capital(response: str, arguments: Arguments) -> bool:
    return response.isupper() and is_in_language(response, "en")


@_instruction("change_case:english_lowercase")
def _english_lowercase(response: str, arguments: Arguments) -> bool:
    return response.islower() and is_in_language(response, "en")


@_instruction(
    "change_case:capital_word_frequency", capital_frequency="count", capital_relation="relation"
)
def _capital_words(response: str, arguments: Arguments) -> bool:
    number = sum(1 for word in _case_words(response) if word.isupper())
    return _compare(number, arguments["capital_relation"], arguments["capital_frequency"])


def _case_words(response: str) -> list[str]:
    """Split words as a treebank tokenizer does: hyphens stay, contractions split ("I", "'m")."""
    words = []
    for piece in _PIECE.findall(response.replace("--", " ").replace("’", "'")):
        word = piece.strip("'.") or piece
        ending = _CONTRACTION.search(word)
        words += [word[: ending.start()], ending[0]] if ending else [word]
    return words


# Length ------------------------------------------------------------------------------------------


@_instruction("length_constraints:number_sentences", num_sentences="count", relation="relation")
def _number_sentences(response: str, arguments: Arguments) -> bool:
    return _compare(count_sentences(response), arguments["relation"], arguments["num_sentences"])


@_instruction("length_constraints:number_words", num_words="count", relation="relation")
def _number_words(response: str, arguments: Arguments) -> bool:
    number = sum(1 for _ in _WORD.finditer(response))
    return _compare(number, arguments["relation"], arguments["num_words"])


@_instruction("length_constraints:number_paragraphs", num_paragraphs="count")
def _number_paragraphs(response: str, arguments: Arguments) -> bool:
    paragraphs = _PARAGRAPH_DIVIDER.split(response)
    if any(not paragraph.strip() for paragraph in paragraphs[1:-1]):
        return False
    return sum(1 for p in paragraphs if p.strip()) == arguments["num_paragraphs"]


@_instruction(
    "length_constraints:nth_paragraph_first_word",
    num_paragraphs="count", nth_paragraph="count", first_word="text",
)  # fmt: skip
def _nth_paragraph_first_word(response: str, arguments: Arguments) -> bool:
    paragraphs = [p.strip() for p in response.split("\n\n") if p.strip()]
    nth = int(arguments["nth_paragraph"])
    if len(paragraphs) != arguments["num_paragraphs"] or not 1 <= nth <= len(paragraphs):
        return False
    wanted = arguments["first_word"].strip().lower()
    paragraph = paragraphs[nth - 1].lstrip("'\"").lower()
    if _HAN_OR_KANA.match(wanted):
        return paragraph.startswith(wanted)
    return _FIRST_WORD_END.split((paragraph.split() or [""])[0], maxsplit=1)[0] == wanted


# Content and format ------------------------------------------------------------------------------


@_instruction("detectable_content:number_placeholders", num_placeholders="count")
def _number_placeholders(response: str, arguments: Arguments) -> bool:
    number = sum(_placeholders_of(line) for line in response.split("\n"))
    return number >= arguments["num_placeholders"]


def _placeholders_of(line: str) -> int:
    number, opening = 0, line.find("[")
    while opening >= 0 and (closing := line.find("]", opening)) >= 0:
        number += bool(line[opening + 1 : closing].strip("[ \t"))
        opening = line.find("[", closing)
    return number


@_instruction("detectable_content:postscript", postscript_marker="text")
def _postscript(response: str, arguments: Arguments) -> bool:
    marker = arguments["postscript_marker"].strip()
    patterns = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    pattern = patterns.get(marker) or re.escape(marker.lower())
    return re.search(pattern, response.lower()) is not None


@_instruction("detectable_format:number_bullet_lists", num_bullets="count")
def _number_bullets(response: str, arguments: Arguments) -> bool:
    lines = (line.lstrip() for line in response.split("\n"))
    number = sum(
        1 for line in lines if line.startswith("-") or (line[:1] == "*" and line[1:2] not in "*")
    )
    return number == arguments["num_bullets"]


@_instruction("detectable_format:constrained_response")
def _constrained_response(response: str, arguments: Arguments) -> bool:
    return any(option in response for option in CONSTRAINED_RESPONSES)


@_instruction("detectable_format:number_highlighted_sections", num_highlights="count")
def _number_highlights(response: str, arguments: Arguments) -> bool:
    found = _HIGHLIGHT.findall(response) + _BOLD.findall(response)
    return sum(1 for h in found if h.strip("*").strip()) >= arguments["num_highlights"]


@_instruction("detectable_format:multiple_sections", section_spliter="text", num_sections="count")
def _multiple_sections(response: str, arguments: Arguments) -> bool:
    marker = re.escape(arguments["section_spliter"].strip()) + r"\s?\d+"
    return sum(1 for _ in re.finditer(marker, response)) >= arguments["num_sections"]


@_instruction("detectable_format:json_format")
def _json_format(response: str, arguments: Arguments) -> bool:
    text = response.strip()
    if fence := _FENCE.match(text):
        text = text[fence.end() :]
    try:
        return isinstance(json.loads(text.removesuffix("```").strip()), dict | list)
    except (ValueError, RecursionError):  # RecursionError: "[" a hundred thousand times
        return False


@_instruction("detectable_format:title")
def _title(response: str, arguments: Arguments) -> bool:
    for line in response.split("\n"):
        opening, closing = line.find("<<"), line.rfind(">>")
        if 0 <= opening < closing and line[opening:closing].strip("<> \t"):
            return True
    return False


# Combinations, beginnings, endings, punctuation --------------------------------------------------


@_instruction("combination:two_responses")
def _two_responses(response: str, arguments: Arguments) -> bool:
    parts = [part.strip() for part in response.split("******")]
    given = [part for part in parts if part]
    return all(parts[1:-1]) and len(given) == 2 and given[0] != given[1]


@_instruction("combination:repeat_prompt", prompt_to_repeat="text")
def _repeat_prompt(response: str, arguments: Arguments) -> bool:
    return response.strip().lower().startswith(arguments["prompt_to_repeat"].strip().lower())


@_instruction("startend:end_checker", end_phrase="text")
def _end_checker(response: str, arguments: Arguments) -> bool:
    return response.strip().strip('"').lower().endswith(arguments["end_phrase"].strip().lower())


@_instruction("startend:quotation")
def _quotation(response: str, arguments: Arguments) -> bool:
    text = response.strip()
    return len(text) > 1 and text[0] == '"' and text[-1] == '"'


@_instruction("punctuation:no_comma")
def _no_comma(response: str, arguments: Arguments) -> bool:
    return not any(comma in response for comma in ",，،")
