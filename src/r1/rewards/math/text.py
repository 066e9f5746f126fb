r"""Normalise answers of people and models to one notation: LaTeX without ornaments.

Unicode and full-width symbols, Chinese punctuation, ASCII functions (`sqrt(2)`, `pi`, `<=`), text
wrappers, delimiters and lead-ins ("the answer is", 答案是) go; the mathematics stays. Text only:
nothing is evaluated, every step is linear or nearly so in a text that `normalise` has cut short.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₙ", "0123456789n")
_SUBSCRIPT_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉ₙ]+")
_SUPERSCRIPT_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_FRACTIONS = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5),
    "⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8),
    "⅞": (7, 8),
}  # fmt: skip
_SYMBOLS = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "﹣": "-", "⁄": "/", "∕": "/", "÷": "/", "×": "\\times ",
        "·": "\\cdot ", "⋅": "\\cdot ", "∗": "*", "π": "\\pi ", "∞": "\\infty ", "≤": "\\le ",
        "⩽": "\\le ", "≥": "\\ge ", "⩾": "\\ge ", "≠": "\\ne ", "∪": "\\cup ", "∩": "\\cap ",
        "∈": "\\in ", "∅": "\\emptyset ", "°": "^\\circ ", "±": "\\pm ", "θ": "\\theta ",
        "α": "\\alpha ", "β": "\\beta ", "ℝ": "\\mathbb{R}", "℃": "^\\circ C", "、": ",",
        "；": ";", "。": ". ", "【": "[", "】": "]", "〔": "(", "〕": ")", "∠": "\\angle ",
        "∣": "|", "′": "'", "∶": ":", "∛": "\\sqrt[3]", "∜": "\\sqrt[4]", "⟨": "(", "⟩": ")",
        "〈": "(", "〉": ")", "△": "\\triangle ", "≈": "\\approx ", "∖": "\\setminus ",
        "ℤ": "\\mathbb{Z}", "ℕ": "\\mathbb{N}", "γ": "\\gamma ", "δ": "\\delta ", "ε": "\\epsilon ",
        "λ": "\\lambda ", "μ": "\\mu ", "ρ": "\\rho ", "σ": "\\sigma ", "τ": "\\tau ",
        "φ": "\\phi ", "ω": "\\omega ", "Δ": "\\Delta ", "Ω": "\\Omega ", "η": "\\eta ",
        "ν": "\\nu ", "ψ": "\\psi ", "ξ": "\\xi ", "ζ": "\\zeta ", "κ": "\\kappa ",
    }
)  # fmt: skip
_INVISIBLE = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad]")
_CIRCLED = re.compile(r"[①-⑳](?=\s*[①-⑳])")
_SPACING = re.compile(
    r"\\(?:(?:left|right)(?:\.|(?![A-Za-z]))"
    r"|(?:tiny|small|normalsize|large|Large|LARGE|huge|Huge)(?![A-Za-z])"
    r"|(?:bigl|bigr|Bigl|Bigr|biggl|biggr|bigg|Bigg|big|Big|displaystyle|textstyle|limits)"
    r"(?![A-Za-z]))"
)
_THIN = re.compile(r"\\[,;:!> ]|\\q?quad(?![A-Za-z])")
_COLOUR = re.compile(r"\\(?:textcolor|color)\s*\{\w{1,20}\}")
_COMMA_IN_NUMBER = re.compile(r"(?<=\d),\\!\s?(?=\d)")
_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it|sf)|boldsymbol|operatorname|mbox|hbox|rm|bf"
    r"|underline)\s*"
    r"\{((?:[^{}]|\{[^{}]*\})*)\}"
)
_GOES_ON = r"(?<![\d.])(\d+\.\d*?)(\d+?)\2{2,}\s*"
"""0.333... and 0.1666...: the period is written three times at least."""
_COUNT = r"\s*(?:\{\s*(\d{1,3})\s*\}|(\d))"


def _combinations(found: re.Match[str]) -> str:
    r"""Return \binom{10}{3} for `C_{10}^3`; C_3^3 and C_1^2 may be powers of a constant."""
    numbers = [each for each in found.groups() if each]
    whole, part = numbers if "_" in found[0].partition("^")[0] else reversed(numbers)
    return rf"\binom{{{whole}}}{{{part}}}" if int(whole) > int(part) else found[0]


_WORD_RULES: list[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    ("...", re.compile(_GOES_ON + r"\.{3,}"), r"\1\\overline{\2}"),
    ("dots", re.compile(_GOES_ON + r"\\[lc]?dots(?![a-z])"), r"\1\\overline{\2}"),
    ("10", re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))"), r"\\times "),
    ("\\", re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    ("\\", re.compile(r"\\var(epsilon|phi|theta|rho|sigma|kappa)(?![a-z])"), r"\\\1"),
    ("\\", re.compile(r"\{([^{}]*)\\over(?![a-z])([^{}]*)\}"), r"\\frac{\1}{\2}"),
    ("\\", re.compile(r"\A\s*\$?([\w.+\- ]+)\\over(?![a-z])([\w.+\- ]+)\$?\s*\Z"),
     r"\\frac{\1}{\2}"),
    ("\\", re.compile(r"\\(?:rm|bf|it|sf)(?![a-z])\s*"), " "),
    ("\\", re.compile(r"\\\\\s*\[\s*-?[\d.]+\s*(?:pt|em|ex|mm|cm|in|mu)\s*\]"), r"\\\\ "),
    ("", re.compile(r"(?<=\d)(?:\s*\^\s*\{?\s*(?:st|nd|rd|th)\s*\}?|(?:st|nd|rd|th))(?![A-Za-z])"),
     ""),
    ("第", re.compile(r"第\s*(?=[\d一二三四五六七八九十百])"), ""),
    ("\\", re.compile(r"\\mathbb\s*Z(?![a-z])"), r"\\mathbb{Z}"),
    ("\\", re.compile(r"\\(?:l|r)?vert(?![a-z])"), "|"),
    ("\\", re.compile(r"\\langle(?![a-z])"), "("),
    ("\\", re.compile(r"\\rangle(?![a-z])"), ")"),
    ("\\", re.compile(r"\\lbrace(?![a-z])"), r"\\{"),
    ("\\", re.compile(r"\\rbrace(?![a-z])"), r"\\}"),
    ("\\", re.compile(r"\\colon(?![a-z])"), ":"),
    ("\\", re.compile(r"\\lg(?![a-z])"), r"\\log_{10} "),
    ("\\", re.compile(r"\\tg(?![a-z])"), r"\\tan "),
    ("\\", re.compile(r"\\ctg(?![a-z])"), r"\\cot "),
    ("\\", re.compile(r"\\mathbb\s*R(?![a-z])"), r"\\mathbb{R}"),
    ("等于", re.compile(r"(?<=[\w)}])\s*等于\s*"), " = "),
    ("比", re.compile(r"(?<=[\d零一二三四五六七八九十])比(?=[\d零一二三四五六七八九十])"), ":"),
    ("\\", re.compile(r"\\leqslant|\\leq(?![a-z])"), r"\\le "),
    ("=", re.compile(r"<=|=<"), r"\\le "),
    ("\\", re.compile(r"\\geqslant|\\geq(?![a-z])"), r"\\ge "),
    (">=", re.compile(r">="), r"\\ge "),
    ("\\", re.compile(r"\\lt(?![a-z])"), "<"),
    ("\\", re.compile(r"\\gt(?![a-z])"), ">"),
    ("\\", re.compile(r"\\neq(?![a-z])|\\not\s*="), r"\\ne "),
    ("!=", re.compile(r"(?<![\d)}])!="), r"\\ne "),  # 5!=120 is a factorial's value
    ("C", re.compile(rf"(?<![A-Za-z\\])C\s*(?:_{_COUNT}\s*\^{_COUNT}|\^{_COUNT}\s*_{_COUNT})"),
     _combinations),
    ("\\", re.compile(r"\\log\s*_\s*(?:e|\{\s*e\s*\})"), r"\\ln "),
    ("inf", re.compile(r"(?<![\\A-Za-z])inf(?:inity)?(?![A-Za-z])"), r"\\infty "),
    ("oo", re.compile(r"(?<![\\A-Za-z])oo(?![A-Za-z])"), r"\\infty "),
    ("pi", re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])"), r"\\pi "),
    ("\\", re.compile(r"\\degree(?![a-z])"), r"^\\circ "),
    ("^", re.compile(r"\^\{\\circ\s*\}|\^\s*o(?![a-z])"), r"^\\circ "),
    ("\\", re.compile(r"\\(?:varnothing|empty)(?![a-z])"), r"\\emptyset "),
    ("\\", re.compile(r"\\operatorname\s*\{(sin|cos|tan|ln|log|exp)\}"), r"\\\1 "),
    ("\\", re.compile(r"\\[td]binom(?![a-z])"), r"\\binom"),
    ("**", re.compile(r"(?<=[\w)}])\s*\*\*\s*(?=[\w({\\-])"), "^"),
]  # fmt: skip
"""What a text must hold for the rule to be tried, its pattern, and what replaces it, in order."""
_ASCII_ROOT = re.compile(r"(?<![\\A-Za-z])sqrt\s*(?=[({\d])|√\s*")
_ASCII_FUNCTION = re.compile(r"(?<![\\A-Za-z])(sin|cos|tan|ln|log|exp)"
                             r"(?=\s*[\d(\\]|\s+[a-z](?![a-z]))")  # fmt: skip
_TWO_ARGUMENTS = re.compile(r"\\(?:frac|binom)(?![A-Za-z])")
_ARGUMENT = re.compile(r"\s*(?:(?P<group>\{)|(?P<root>\\sqrt\s*)|(?P<one>\\[A-Za-z]+|[A-Za-z\d]))")
_LONG_EXPONENT = re.compile(r"\^\s*([+-]?\d{2,}|[+-]\d)")
_EXPONENT_BRACKET = re.compile(r"\^\s*(?=\()")
_CHANGES = (
    r"not|never|wrong|incorrect|false|except|without|sum|product|negative|opposite|reciprocal"
    r"|inverse|square|cube|root|double|half|twice|is|are|isn|if|or|and|minus|plus|about|around"
    r"|roughly|approximately|nearly|almost|log|ln|sin|cos|tan"
)
_CHINESE_CHANGES = (
    r"(?:[不非没无错]|(?<!公)约|小于|大于|至少|至多|最多为|倒数|相反|平方(?!米|厘米|千米|公里)|立方(?!米|厘米)"
    r"|可能|也许|左右|除了|之外)"
)
NOT_A_NAME = (
    rf"(?:(?:[A-Za-z]+ )*(?:{_CHANGES})\b(?! of)|[\u4e00-\u9fff]{{0,12}}?{_CHINESE_CHANGES})"
)
"""What can't be the name of a value: words that change what is said of the number."""
_NOUN = rf"(?!(?:{_CHANGES})\b)[a-z]{{1,14}}"
"""A word that may stand in "the … is": nothing that changes what is said of the number."""
_LEAD = re.compile(
    r"^(?:(?:(?:so|therefore|hence|thus|then)\b|所以|因此|故|综上|解得|解|答(?!案)|[:,])[\s:,]*)*"
    r"(?:(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|result|solution|value)s?"
    r"(?:\s+of\s+[A-Za-z]\b)?\s*(?:is|are|equals|=|:)?"
    rf"|the\s+(?:{_NOUN}\s+){{1,4}}(?:is|are|equals)\b"
    r"|(?:最终|最后|正确)?(?:答案|结果|解集|集合)(?:应该|应)?[是为]?"
    rf"|(?:(?!{_CHINESE_CHANGES})[\u4e00-\u9fff]){{2,10}}[为是](?=\s*[-\d\\$(])"
    r"|(?:一共|总共|共计|合计|共)[有是为]?(?=\s*[-\d\\$(])"
    r"|(?:it|this|that|x)\s+(?:is|equals)\b|(?:等于|就是|得到|得|是|为|选项?|选择)(?!\s*$))?[\s:]*",
    re.IGNORECASE,
)
_TAIL = re.compile(r"\s*\$?\.\s*I hope (?:it|this) is correct\.?\s*\Z")
_DELIMITERS = [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`")]
MAX_UNWRAPPINGS = 12


def normalise(text: str) -> str:
    """Return the text in plain LaTeX, lead-in included, with single spaces."""
    if not text.isascii():
        text = _without_unicode(text)
    text = text.replace("\\%", "%").replace("{,}", ",").replace("\\$", "\\dollar ")
    text = text.replace("~", " ")
    if "\\" in text:
        text = _without_spacing(text)
    for needed, pattern, replacement in _WORD_RULES:
        if needed in text:
            text = pattern.sub(replacement, text)
    text = _ASCII_FUNCTION.sub(r"\\\1 ", _ASCII_ROOT.sub(r"\\sqrt ", text))
    if "\\" in text:
        text = _brace_arguments(_brace_roots(text))
    if "^" in text:
        text = _brace_exponents(_LONG_EXPONENT.sub(r"^{\1}", text))
    return " ".join(text.split())


def _without_unicode(text: str) -> str:
    """Write symbols outside ASCII as LaTeX, but for letters and Chinese."""
    for symbol, (above, below) in _FRACTIONS.items():
        if symbol in text:
            text = text.replace(symbol, f"\\frac{{{above}}}{{{below}}}")
    text = _SUPERSCRIPT_RUN.sub(lambda run: "^{" + run[0].translate(_SUPERSCRIPTS) + "}", text)
    text = _SUBSCRIPT_RUN.sub(lambda run: "_{" + run[0].translate(_SUBSCRIPTS) + "}", text)
    text = _CIRCLED.sub(r"\g<0>,", text)
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text).translate(_SYMBOLS))
    return text.translate(_SYMBOLS)  # NFKC turns some variants into symbols of the table


def _without_spacing(text: str) -> str:
    r"""Remove sizes of brackets, thin spaces and `\text{}` around words."""
    text = _COLOUR.sub("", _COMMA_IN_NUMBER.sub(",", text))
    # A matrix's line breaks must outlive the removal of `\ ` and `\,`.
    text = text.replace("\\\\", "\x00")
    text = _THIN.sub(" ", _SPACING.sub("", text)).replace("\x00", "\\\\")
    for _ in range(3):
        before, text = text, _TEXT.sub(r" \1 ", text)
        if text == before:
            break
    return text


def unwrap(text: str) -> str:
    r"""Remove delimiters, one whole `\boxed{}`, lead-ins and a final full stop."""
    text = _TAIL.sub("", text)
    for _ in range(MAX_UNWRAPPINGS):
        before = text
        text = text.strip().rstrip(".;,。 ").lstrip(",;: ") if len(text) > 1 else text.strip()
        for opening, closing in _DELIMITERS:
            inner = text[len(opening) : len(text) - len(closing)]
            if (
                len(text) > len(opening) + len(closing)
                and text.startswith(opening)
                and text.endswith(closing)
                and opening not in inner
                and closing not in inner
            ):
                text = inner.strip()
        boxed = _whole_boxed(text)
        text = _LEAD.sub("", boxed if boxed is not None else text)
        if text == before:
            break
    return text.replace("$", " ").replace("\\(", " ").replace("\\)", " ").strip()


def group_end(text: str, start: int) -> int:
    """Return the index of the bracket that closes the one at `start`, or -1."""
    opening = text[start]
    closing = {"{": "}", "(": ")", "[": "]"}[opening]
    depth = 0
    for position in range(start, len(text)):
        if text[position] == opening:
            depth += 1
        elif text[position] == closing:
            depth -= 1
            if depth == 0:
                return position
    return -1


def _whole_boxed(text: str) -> str | None:
    for command in ("\\boxed", "\\fbox"):
        if text.startswith(command):
            rest = text[len(command) :].lstrip()
            if rest.startswith("{") and group_end(rest, 0) == len(rest) - 1:
                return rest[1:-1]
    return None


def _brace_arguments(text: str) -> str:
    r"""Add the braces that TeX lets one omit: `\frac12`, `\frac\pi2`, `\frac{\sqrt2}2`."""
    for found in reversed(list(_TWO_ARGUMENTS.finditer(text))):  # inner ones first
        above, middle = _argument(text, found.end())
        below, end = _argument(text, middle) if above is not None else (None, middle)
        if above is not None and below is not None:
            text = f"{text[: found.end()]}{{{above}}}{{{below}}}{text[end:]}"
    return text


def _argument(text: str, start: int) -> tuple[str | None, int]:
    """Return the TeX argument at `start` without its braces, and where it ends."""
    if not (found := _ARGUMENT.match(text, start)):
        return None, start
    if found["one"]:
        return found["one"], found.end()
    opening = found.end() - 1 if found["group"] else found.end()
    end = group_end(text, opening) if text[opening : opening + 1] == "{" else -1
    if end < 0:
        return None, start
    return text[opening + 1 : end] if found["group"] else text[
        found.start("root") : end + 1
    ], end + 1


def _brace_exponents(text: str) -> str:
    """Write `x^(n+1)` as `x^{n+1}`."""
    for found in reversed(list(_EXPONENT_BRACKET.finditer(text))):
        end = group_end(text, found.end())
        if end > 0:
            inner = text[found.end() + 1 : end]
            text = f"{text[: found.start()]}^{{{inner}}}{text[end + 1 :]}"
    return text


def _brace_roots(text: str) -> str:
    r"""Write `\sqrt (…)`, `\sqrt 2` and `\sqrt x` as `\sqrt{…}`."""
    pieces, position = [], 0
    for found in re.finditer(r"\\sqrt\s*(?:\[\s*\w+\s*\])?\s*(?=[(\w])", text):
        if found.start() < position:
            continue
        pieces.append(text[position : found.start()])
        start = found.end()
        if text[start] == "(":
            end = group_end(text, start)
            if end < 0:
                return text
            inner, position = text[start + 1 : end], end + 1
        else:
            digits = re.match(r"\d+(?:\.\d+)?|\w", text[start:])
            inner = digits[0] if digits else ""
            position = start + len(inner)
        pieces.append(f"{found[0].replace(' ', '')}{{{inner}}}")
    return "".join(pieces) + text[position:]
