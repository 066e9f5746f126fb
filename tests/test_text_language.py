"""The share of a language in a text: what counts, what does not, and what does not hide."""

from __future__ import annotations

import random

import pytest

from clock import soon
from r1.data.tiny import arithmetic, cups
from r1.errors import UserError
from r1.text.language import consistency, language_share
from r1.text.prose import code_blocks, prose
from r1.text.scripts import language_code

ENGLISH = "Let us compute the sum of all the even numbers and then check the result."
CHINESE = "我们来计算所有偶数的和，然后检查一下结果。"
FRENCH = "Calculons la somme de tous les nombres pairs, puis vérifions le résultat."


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        # 4 English words; 2 characters are 4/3 of a word.
        ("first 4+7=11\n然后11-3=8\nso it is 8.", 3 / 4, 1 / 4),
        ("swap23 1K2M3P4T", 1.0, 0.0),
        ("换23 1K2M3P4T", 0.0, 1.0),
        ("begin 1K2M3P4T\n换23 1K3M2P4T\nso cup 2P.\n", 9 / 11, 2 / 11),
        (ENGLISH, 1.0, 0.0),
        (CHINESE, 0.0, 1.0),
        ("計算總和，然後檢查。", 0.0, 1.0),
        ("ｔｈｅ ｓｕｍ", 1.0, 0.0),  # full-width letters
        ("t\u200bh\u200be s\u200bu\u200bm 和", 3 / 4, 1 / 4),  # zero-width spaces
        ("Это сумма всех чисел", 0.0, 0.0),
    ],
)
def test_english_and_chinese_are_counted_exactly(text, english, chinese) -> None:
    assert consistency(text, "en") == pytest.approx(english)
    assert consistency(text, "zh") == pytest.approx(chinese)


def test_half_and_half_is_half_for_both() -> None:
    """Translations of each other weigh about the same: the unit favours neither language."""
    text = "let me check. 检查一下。 then 然后 wait, a mistake. 等等，错了。"
    assert consistency(text, "en") == pytest.approx(0.5, abs=0.05)
    assert consistency(text, "en") + consistency(text, "zh") == pytest.approx(1.0)


@pytest.mark.parametrize("language", ["en", "zh", "fr", "ja", "ko"])
@pytest.mark.parametrize(
    "text", ["", "  \n", "4+7=11\n11-3=8", "$x^2$", "x = 2y + 3", "?!", "1K2M"]
)
def test_no_words_is_no_share(text: str, language: str) -> None:
    """An empty thought, or bare arithmetic, must not be the best way to score."""
    assert consistency(text, language) == 0.0


NEUTRAL_IN_CHINESE = [
    r"$\frac{a+b}{2} \leq \sqrt{ab}$",
    r"$$\begin{aligned} area &= width \times height \end{aligned}$$",
    r"\[ \lim_{x \to 0} \frac{\sin x}{x} = 1 \]",
    r"\(speed = 5\)",
    r"\begin{equation} total = price \end{equation}",
    "$5\\text{ cm}$",
    "sin x < cos y, log n, gcd(a, b), 2xy + ab = 3",
    "f(x) = range(10)",
    "5 km, 3kg, 1st 2nd 3rd",
    "三角形 ABC 与 DNA",
    "由 Newton 和 Leibniz 定理",
    "`print(total)` 和 `is_prime`",
    "```python\ndef solve(n):\n    return n + 1\n\nprint(solve(3))\n```",
    "```\nfor item in items:\n    total += item\n```",
    "見 https://example.com/some/page.html",
    "num_of_primes 与 max_value",
    "<br> <b>",
]


@pytest.mark.parametrize("text", NEUTRAL_IN_CHINESE)
def test_formulas_code_names_and_units_do_not_count(text: str) -> None:
    share = language_share(f"所以结果是：\n{text}\n。", "zh")
    assert share.share == 1.0, share


HIDDEN_ENGLISH = [
    "$let us think about the sum$",
    r"$\text{let us think about the sum}$",
    r"\[ \text{let us think about the sum} \]",
    "`let us think about the sum`",
    "```\nlet us think about the sum\nand then we check the result\n```",
    "```\n# let us think about the sum\n# and then we check the result\n```",
    "```python\nlet us think about the sum\n",
    r"\begin{verbatim}let us think about the sum\end{verbatim}",
    r"\textbf{let us think about the sum}",
    "LET US THINK ABOUT THE SUM",
    "先 Let Us Think About The Sum",
    "let\u00adus\u200b think about the sum",
    "let_us_think_about_the_sum",
    "<let us think about the sum>",
    "wait，Therefore",
]


@pytest.mark.parametrize("text", HIDDEN_ENGLISH)
def test_english_cannot_hide_in_a_chinese_thought(text: str) -> None:
    assert consistency(f"所以 {text}", "zh") < 0.5


def test_chinese_cannot_hide_in_an_english_thought() -> None:
    for text in (
        "$我们来计算$",
        r"$\text{我们来计算}$",
        "`我们来计算`",
        "```\n我们来计算所有的和\n```",
    ):
        assert consistency(f"so we get {text}", "en") < 0.8, text


def test_many_capitalised_words_are_not_names() -> None:
    names = "由 Newton 定理，" * 20
    assert consistency(names, "zh") == 1.0
    words = ["Compute", "Result", "Number", "Maybe", "Again", "Total"]
    text = "".join(f"我们 {word} 一下，" for word in words)
    assert consistency(text, "zh") < 0.8


def test_words_of_the_problem_are_names_or_quotations() -> None:
    text = "小明 has 3 apples, so 小明 eats one."
    assert consistency(text, "en") < 0.8
    assert consistency(text, "en", prompt="How many apples does 小明 have?") == 1.0
    # Where the problem is in the other language, its words excuse nothing.
    assert consistency("so the sum is", "zh", prompt="What is the sum? So it is.") == 0.0


def test_other_latin_languages_are_not_english() -> None:
    german = "Wir berechnen die Summe und prüfen dann das Ergebnis."
    spanish = "Calculemos la suma de todos los números y luego comprobemos."
    for text in (FRENCH, german, spanish, "donc x = 5"):
        assert consistency(text, "en") == 0.0, text
    half = consistency(f"{ENGLISH} {FRENCH}", "en")
    assert 0.4 < half < 0.7
    for text in ("So x = 5.", "Final answer", "Los Angeles is a big city.", "Erdős proved it."):
        assert consistency(text, "en") == 1.0, text


def test_japanese_is_told_from_chinese_by_its_kana() -> None:
    japanese = "まず合計を計算します。答えは5です。"
    assert consistency(japanese, "ja") == 1.0
    assert consistency(japanese, "zh") == 0.0
    assert consistency(CHINESE, "ja") == 0.0
    assert consistency("合計\n" + japanese, "ja") == 1.0


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ko", "먼저 합계를 계산합니다. 답은 5입니다."),
        ("th", "คำตอบคือห้า"),
        ("el", "Ας υπολογίσουμε το άθροισμα"),
        ("he", "נחשב את הסכום"),
        ("hi", "आइए हम सभी संख्याओं का योग निकालें और फिर परिणाम की जाँच करें।"),
        ("ar", "لنحسب مجموع كل الأعداد ثم نتحقق من النتيجة."),
        ("ru", "Сначала вычислим сумму всех чисел, потом проверим результат."),
        ("uk", "Спочатку обчислимо суму всіх чисел, потім перевіримо результат."),
        ("fr", FRENCH),
        ("de", "Zuerst berechnen wir die Summe aller Zahlen, dann prüfen wir das Ergebnis."),
        ("es", "Primero calculamos la suma de todos los números y luego comprobamos."),
        ("pt", "Primeiro calculamos a soma de todos os números e depois verificamos isso."),
        ("it", "Prima calcoliamo la somma di tutti i numeri e poi verifichiamo il risultato."),
        ("vi", "Trước hết ta tính tổng của các số, sau đó kiểm tra kết quả."),
        ("fi", "Lasketaan ensin kaikkien lukujen summa ja tarkistetaan sitten tulos."),
    ],
)
def test_other_languages(language: str, text: str) -> None:
    assert consistency(text, language) == 1.0
    assert consistency(ENGLISH, language) == 0.0
    assert consistency(CHINESE, language) == 0.0
    mixed = consistency(f"{text}\n{ENGLISH}", language)
    assert 0.05 < mixed < 0.75
    assert consistency(text, "en") < 0.35


def test_languages_of_one_script_are_told_apart() -> None:
    russian = "Сначала вычислим сумму всех чисел, потом проверим результат."
    assert consistency(russian, "uk") == 0.0
    assert consistency(FRENCH, "es") == 0.0


def test_a_language_that_cannot_be_told_from_others_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be told from others"):
        consistency("Jaanong re atisa matlhakore ka bobedi", "tn")


@pytest.mark.parametrize(
    ("language", "text", "other"),
    [
        ("ru", "Теперь умножим обе части уравнения на три.", "uk"),
        ("uk", "Тепер помножимо обидві частини рівняння на три.", "ru"),
        ("bg", "Сега умножаваме двете страни на уравнението по три.", "ru"),
        ("ar", "الآن نضرب طرفي المعادلة في ثلاثة.", "fa"),
        ("fa", "اکنون دو طرف معادله را در سه ضرب می‌کنیم.", "ar"),
        ("ur", "اب ہم مساوات کے دونوں اطراف کو تین سے ضرب دیتے ہیں۔", "fa"),
        ("mr", "आता आपण समीकरणाच्या दोन्ही बाजूंना तीनने गुणू.", "hi"),
        ("hi", "अब हम समीकरण के दोनों पक्षों को तीन से गुणा करते हैं।", "mr"),
        ("ca", "Ara multipliquem els dos costats de l'equació per tres.", "fr"),
        ("et", "Nüüd korrutame võrrandi mõlemad pooled kolmega.", "fi"),
    ],
)
def test_neighbours_are_told_apart_without_a_compiler(language, text, other) -> None:
    assert consistency(text, language) == 1.0
    assert consistency(text, other) == 0.0


@pytest.mark.parametrize(
    ("name", "code"),
    [("en", "en"), ("en-US", "en"), ("zh_Hant", "zh"), ("Chinese", "zh"), ("中文", "zh"),
     (" English ", "en"), ("cmn", "zh"), ("pt-BR", "pt")],
)  # fmt: skip
def test_language_names(name: str, code: str) -> None:
    assert language_code(name) == code


def test_unknown_languages_are_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'english'"):
        consistency("hello", "englsh")


def test_the_tiny_worlds_own_thoughts_are_measured_right() -> None:
    """Unmixed voices score 1 in their language and 0 in the other; mixed ones lie between."""
    rng = random.Random(0)
    seen = {"pure": 0, "mixed": 0}
    for _ in range(150):
        language = rng.choice(["en", "zh"])
        if rng.random() < 0.5:
            chain = arithmetic.draw_chain(rng, 1)
            thinking = arithmetic.trace(rng, chain, language).thinking
        else:
            thinking = cups.trace(rng, cups.draw_cups(rng, 1), language).thinking
        both = consistency(thinking, "en"), consistency(thinking, "zh")
        assert sum(both) == pytest.approx(1.0)
        pure = thinking.isascii() or not any("a" <= letter <= "z" for letter in thinking)
        own, other = both if thinking.isascii() else both[::-1]
        assert ((own, other) == (1.0, 0.0)) == pure, thinking
        seen["pure" if pure else "mixed"] += 1
    assert min(seen.values()) > 10


def test_prose_and_code() -> None:
    assert prose("Since $a^2$, run `f(3)`.").split() == ["Since", ",", "run", "."]
    assert "apples" in prose("They cost $5 and apples $10 each.")
    assert code_blocks("a\n```\nx = 1\n```\nb\n~~~c\ny = 2") == ["x = 1", "y = 2"]
    assert code_blocks("```\nthis is a long sentence of prose\n```") == []


HOSTILE = {
    "dollars": "$" * 200_000,
    "half formulas": " $a" * 70_000,
    "openings": "\\[" * 100_000,
    "environments": "\\begin{" * 30_000,
    "backticks": "`x``y" * 40_000,
    "fences": "```\n" * 50_000,
    "one word": "a" * 200_000,
    "apostrophes": "a'" * 100_000,
    "capitals": "AB " * 66_000,
    "names": "汉Abc" * 50_000,
    "kana": "汉か" * 100_000,
    "underscores": "a_" * 100_000,
    "addresses": "a@" * 100_000,
    "tags": "<a" * 100_000,
    "blank lines": "\n" * 200_000,
    "backslashes": "\\" * 200_000,
    "surrogates": "\ud800" * 50_000,
    "controls": "\x00\x01" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("language", ["en", "zh", "fr"])
def test_hostile_texts_take_linear_time(name: str, language: str) -> None:
    with soon():
        assert 0.0 <= consistency(HOSTILE[name][:20_000], language) <= 1.0
