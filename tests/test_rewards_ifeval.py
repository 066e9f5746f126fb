"""IFEval's 25 instructions: for each, texts that follow it, that do not, and that barely do."""

from __future__ import annotations

import pytest

from clock import soon
from r1.errors import UserError
from r1.rewards.accuracy import check_reference
from r1.rewards.ifeval.checks import CHECKS
from r1.rewards.ifeval.verifier import Followed, accuracy, check_response
from r1.rewards.registry import PromptForm, make_reward
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, Score

FEW, MANY = "less than", "at least"
ENGLISH = "the cat sat on the mat and it was happy."
FRENCH = "Le chat est sur la table et il dort dans la maison avec les enfants."
HINDI = "यह एक छोटा सा उत्तर है और इसमें केवल हिन्दी है।"

# id -> (arguments, texts that follow, texts that do not)
TABLE: list[tuple[str, dict, list[str], list[str]]] = [
    ("keywords:existence", {"keywords": ["Paris", "river"]},
     ["PARIS has a River", "riverside in paris", "a (river) b-Paris"],
     ["Paris only", "r i v e r Paris"]),
    ("keywords:existence", {"keywords": ["a.b"]}, ["so a.b it is"], ["so axb it is"]),
    ("keywords:frequency", {"keyword": "cat", "frequency": 2, "relation": MANY},
     ["cat Cat", "a cat, category", "catcat"], ["cat", "c at cat", "dog"]),
    ("keywords:frequency", {"keyword": "cat", "frequency": 2, "relation": FEW},
     ["cat", "dog"], ["cat cat", "cat Cat CAT"]),
    ("keywords:forbidden_words", {"forbidden_words": ["rain", "ice cream"]},
     ["a train in spain", "rainy", "ice and cream", "rain_"],
     ["Rain.", "(RAIN)", "some ice cream!"]),
    ("keywords:forbidden_words", {"forbidden_words": ["猫"]}, ["我的狗"], ["我的猫很好"]),
    ("keywords:letter_frequency", {"letter": "Q", "let_frequency": 3, "let_relation": MANY},
     ["qQq", "queue quiz quo"], ["qq", ""]),
    ("keywords:letter_frequency", {"letter": "q", "let_frequency": 1, "let_relation": FEW},
     ["none here"], ["one Quiz"]),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": MANY},
     ["## title"], ["# title"]),
    ("language:response_language", {"language": "en"},
     [ENGLISH, ENGLISH * 5 + " 好"], [FRENCH, "我们来看看", FRENCH * 2 + ENGLISH, "123"]),
    ("language:response_language", {"language": "fr"},
     [FRENCH], [ENGLISH, "我们来看看"]),
    ("language:response_language", {"language": "hi"}, [HINDI], [ENGLISH, FRENCH]),
    ("language:response_language", {"language": "zh"},
     ["我们来看看。"], ["これは本です。", ENGLISH]),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": MANY},
     ["One. Two.", "Dr. A. B. Cee came. He left.", "一。二。"],
     ["Dr. A. B. Cee came.", "3.14 is pi"]),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": FEW},
     ["Mr. Cee came at 5.30 p.m. yesterday."], ["One. Two.", "Yes! No?"]),
    ("length_constraints:number_words", {"num_words": 4, "relation": MANY},
     ["a b c d", "well-known two-fold", "it's 5 pm", "今天很好"], ["a b c", "今天好", "..."]),
    ("length_constraints:number_words", {"num_words": 4.0, "relation": FEW},
     ["a b c"], ["a b c d", "a,b,c,d"]),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2},
     ["a\n***\nb", "***\na\n***\nb\n***", "a***b"],
     ["a", "a\n***\nb\n***\nc", "a\n***\n***\nb", "a\n\nb"]),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "Weekend"},
     ["a\n\nweekend it is\n\nc", "a\n\n\"Weekend, yes\"\n\nc", "a\n\n\n\n weekend. b\n\nc"],
     ["a\n\nweekends\n\nc", "weekend\n\nb\n\nc", "a\n\nweekend", "a\n\nweekend\n\nc\n\nd",
      "a\n\n**weekend**\n\nc"]),
    ("detectable_content:number_placeholders", {"num_placeholders": 2},
     ["[name] lives in [city]", "[a]\n[b]", "[[a] [b]"],
     ["[name]", "[] [name]", "[name\n] [x]", "[ ] [name]"]),
    ("detectable_content:postscript", {"postscript_marker": "P.S."},
     ["text\nP.S. more", "p. s. more"], ["PS more", "P.P.S more", "tips."]),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"},
     ["a\nP.P.S. b", "P. P. S b"], ["P.S. b"]),
    ("detectable_content:postscript", {"postscript_marker": "Note (x):"}, ["note (X): b"],
     ["note x"]),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2},
     ["* a\n* b", "- a\n  * b", "intro\n* a\n- b\nend", "** bold **\n* a\n* b"],
     ["* a", "* a\n* b\n* c", "** a\n** b", "* a\n* b\n---"]),
    ("detectable_format:constrained_response", {},
     ["My answer is yes.", "Well: My answer is maybe."],
     ["my answer is yes.", "My answer is yes", "Yes."]),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2},
     ["*a* and *b*", "**a** and **b**", "*a* **b**"], ["*a*", "**a**", "* * * *", "*a\nb* *c*"]),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2},
     ["Section 1\na\nSection 2\nb", "Section1 Section2 Section 3"],
     ["Section 1 a", "SECTION 1 SECTION 2", "Section one Section two"]),
    ("detectable_format:multiple_sections", {"section_spliter": "(Part)", "num_sections": 1},
     ["(Part) 1"], ["Part 1"]),
    ("detectable_format:json_format", {},
     ['{"a": [1, 2]}', '```json\n{"a": 1}\n```', "```\n[1]\n```", " [] "],
     ["{'a': 1}", '{"a": 1} so', '"text"', "5", "```json\n{\n```", ""]),
    ("detectable_format:title", {},
     ["<<poem of joy>>\ntext", "a <<b>> c"], ["<poem>", "<<>>", "<< >>", "<<a\n>>", ">>a<<"]),
    ("combination:two_responses", {},
     ["a******b", "******\na\n******\nb\n******"],
     ["a", "a******a", "a\n******\n\n******\nb", "a***b", "a******b******c"]),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem. "},
     ["write a poem. Roses are red", "  Write a poem."], ["Sure: Write a poem.", "Write a poem"]),
    ("startend:end_checker", {"end_phrase": "Is there anything else?"},
     ["ok. is there ANYTHING else?", '"ok. Is there anything else?"\n'],
     ["Is there anything else? Bye", "Is there anything else"]),
    ("startend:quotation", {}, ['"a"', ' "a b"\n', '""'], ["'a'", '"a', '"', "“a”", 'a "b"']),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": MANY},
     ["BIG and LOUD", "I and A", "U.S. and NATO", "WELL-KNOWN FACT", "I'm OK"],
     ["BIG only", "Big Loud", "3 4"]),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": FEW},
     ["one BIG word", "none"], ["BIG LOUD"]),
    ("change_case:english_capital", {},
     ["THE CAT SAT ON THE MAT.", "THIS IS 1 OF 2"], ["The CAT", "LE CHAT EST SUR LA TABLE", "123"]),
    ("change_case:english_lowercase", {},
     [ENGLISH, "this is 1 of 2"], ["The cat", "le chat est sur la table", "我们", "123"]),
    ("punctuation:no_comma", {}, ["a; b - c", "it's 1.5"], ["a, b", "1,000", "我，你"]),
]  # fmt: skip


def follows(text: str, name: str, arguments: dict) -> bool:
    return check_response(text, [name], [arguments]).strict[0]


def test_all_25_are_there_and_in_the_table() -> None:
    assert len(CHECKS) == 25
    assert {row[0] for row in TABLE} == set(CHECKS)


@pytest.mark.parametrize(
    ("name", "arguments", "good", "bad"),
    TABLE,
    ids=[f"{i}-{row[0]}" for i, row in enumerate(TABLE)],
)
def test_instructions(name: str, arguments: dict, good: list[str], bad: list[str]) -> None:
    for text in good:
        assert follows(text, name, arguments), f"should follow: {text!r}"
    for text in bad:
        assert not follows(text, name, arguments), f"should not follow: {text!r}"


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_nothing_said_follows_nothing(row) -> None:
    assert not follows("", row[0], row[1])
    assert not follows(" \n ", row[0], row[1])


UNITS = ["[", "*", "* ", "<<", "\n", "`", "{", " p.", "a", " ", "-\n", "******", "9", '"',
         "Section ", "[]", "\ud800", "\x00", "***\n", ". ",
         "汉，", "\\[", "$a ", "AB "]  # fmt: skip


def test_no_text_is_slow_or_raises() -> None:
    rows = {row[0]: row[1] for row in TABLE}
    for unit in UNITS:
        with soon(repr(unit)):
            check_response(unit * (10_000 // len(unit)), list(rows), list(rows.values()))


def test_loose_takes_the_best_of_eight_variants() -> None:
    def both(text: str, name: str, **arguments: object) -> tuple[bool, bool]:
        found = check_response(text, [name], [arguments])
        return found.strict[0], found.loose[0]

    json_id, ends = "detectable_format:json_format", "startend:end_checker"
    assert both('Sure:\n{"a": 1}', json_id) == (False, True)  # without the first line
    assert both('{"a": 1}\nHope it helps!', json_id) == (False, True)  # without the last
    assert both('Sure:\n{"a": 1}\nBye!', json_id) == (False, True)  # without both
    assert both('Sure!\nHere:\n{"a": 1}', json_id) == (False, False)
    assert both("so *the end*", ends, end_phrase="the end") == (False, True)  # no asterisks
    assert both("so *the end*\nBye", ends, end_phrase="the end") == (False, True)
    nth = {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "weekend"}
    first_word = "length_constraints:nth_paragraph_first_word"
    assert both("Sure\n**weekend** it is", first_word, **nth) == (False, True)
    assert both("a, b", "punctuation:no_comma") == (False, False)
    # Leaving lines out cannot help where the text that is left is empty.
    assert both("a, b", "keywords:forbidden_words", forbidden_words=["a"]) == (False, False)


def test_accuracy_counts_prompts_and_instructions() -> None:
    checked = [
        Followed(("a", "b"), (True, True), (True, True)),
        Followed(("a", "b", "c"), (True, False, False), (True, True, True)),
        Followed(("a",), (False,), (False,)),
    ]
    found = accuracy(checked)
    assert found.prompt_strict == pytest.approx(1 / 3)
    assert found.prompt_loose == pytest.approx(2 / 3)
    assert found.instruction_strict == pytest.approx(3 / 6)
    assert found.instruction_loose == pytest.approx(5 / 6)
    assert accuracy([]).prompt_strict == 0.0


# The verifier ------------------------------------------------------------------------------------

WORDS = "length_constraints:number_words"
IDS = ["punctuation:no_comma", WORDS]
KWARGS = [{}, {"num_words": 3, "relation": MANY, "keywords": None, "language": None}]


def problem(ids=IDS, kwargs=KWARGS, reference: str | None = None) -> Problem:
    metadata = {"instruction_id_list": ids, "kwargs": kwargs}
    return Problem("p", "Write.", reference, "ifeval", metadata=metadata)


def judge(text: str, opened: bool = False, **settings: object) -> Score:
    reward = make_reward(
        "accuracy", RewardSettings.model_validate(settings), PromptForm(opened=opened)
    )
    return reward(problem(), Completion([], [], text, "stop"))


def test_the_verifier_pays_when_every_instruction_is_followed() -> None:
    assert check_reference(problem()) is None  # null arguments are those of other instructions
    good = judge("<think>well, so, maybe,</think>one two three")
    assert (good.value, good.outcome) == (1.0, Outcome.CORRECT)
    assert judge("one two three").value == 1.0
    assert judge("<think>a</think> <answer>one two three</answer>").value == 1.0
    bad = judge("one two, three")
    assert (bad.value, bad.outcome) == (0.0, Outcome.WRONG)
    assert bad.detail == "not followed: punctuation:no_comma"
    assert "(loose: followed)" in judge("Sure, this is it:\none two three").detail
    assert judge("<think>one two three").outcome is Outcome.UNPARSEABLE
    assert judge("one two three", opened=True).outcome is Outcome.UNPARSEABLE


def test_partial_credit_pays_the_share() -> None:
    assert judge("one two, three", partial_credit=True).value == 0.5
    assert judge("a, b", partial_credit=True).value == 0.0
    assert judge("one two three", partial_credit=True).value == 1.0


@pytest.mark.parametrize(
    ("ids", "kwargs", "words"),
    [
        (None, None, "instruction_id_list"),
        ([], [], "instruction_id_list"),
        ("punctuation:no_comma", [{}], "instruction_id_list"),
        (["punctuation:no_comma"], None, '"kwargs", a list of 1'),
        (["punctuation:no_comma"], [{}, {}], '"kwargs", a list of 1'),
        (["punctuation:no_commas"], [{}], "did you mean 'punctuation:no_comma'"),
        ([7], [{}], "unknown instruction 7"),
        (["punctuation:no_comma"], ["x"], "give an object"),
        (["punctuation:no_comma"], [{"keyword": "x"}], "no argument 'keyword'"),
        (["keywords:existence"], [{}], "needs the argument 'keywords'"),
        (["keywords:existence"], [{"keywords": None}], "needs the argument 'keywords'"),
        (["keywords:existence"], [{"keywords": "cat"}], "list of texts"),
        (["keywords:existence"], [{"keywords": [" "]}], "list of texts"),
        (["startend:end_checker"], [{"end_phrase": ""}], "not empty"),
        ([WORDS], [{"num_words": 3, "relation": "about"}], "'less than'"),
        ([WORDS], [{"num_words": 2.5, "relation": FEW}], "whole number"),
        ([WORDS], [{"num_words": True, "relation": FEW}], "whole number"),
        (["length_constraints:number_paragraphs"], [{"num_paragraphs": -1}], "whole number"),
        (["language:response_language"], [{"language": "xx"}], "unknown language"),
        (["keywords:letter_frequency"],
         [{"letter": "ab", "let_frequency": 1, "let_relation": FEW}], "one letter"),
        (["length_constraints:nth_paragraph_first_word"],
         [{"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "a"}], "between 1 and"),
    ],
)  # fmt: skip
def test_faulty_problems_are_named_with_the_remedy(ids, kwargs, words: str) -> None:
    assert words in (check_reference(problem(ids, kwargs)) or "")
    with pytest.raises(UserError):
        check_response("text", ids, kwargs)


def test_a_reference_must_follow_its_own_instructions() -> None:
    assert check_reference(problem(reference="one two three")) is None
    fault = check_reference(problem(reference="one, two three"))
    assert "does not follow punctuation:no_comma" in (fault or "")
