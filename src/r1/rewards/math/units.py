r"""Units of measure read as a scale times dimensions, so that "5 cm" is neither "5 kg" nor "5 m".

Read: `m/s^2`, `m·s^{-2}`, `\frac{m}{s^2}`, "meters per second squared", 米每秒, 平方米, J/(kg·K).
Anything that can be counted ("apples", 个) is a separate dimension. Two units are the same where
scale and dimensions are: N·m is J, L is dm^3; nothing is converted.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from r1.rewards.math import english_numbers
from r1.rewards.math.unit_table import ONE, Unit, multiply, named

MONEY = {"\\dollar": "dollar", "US$": "dollar", "$": "dollar", "¥": "yuan", "€": "euro",
         "£": "£"}  # fmt: skip

_WORDS_ABOUT_NUMBERS = (
    "or and not to is was are if but than plus minus divided multiplied over point squared cubed "
    "factorial root mod modulo base negative positive below above under etc maybe perhaps possibly "
    "probably approximately about around roughly between through via versus vs nor except wrong "
    "incorrect false undefined infinite infinity unknown dozen score gross percentage bn mn tn mil "
    "power exponent log sin cos tan pi out less greater equals equal also then where "
    "reciprocal inverse inverted opposite negated conjugate complement doubled halved tripled "
    "quadrupled double twice thrice triple half fold ish square cube sqrt rooted lim limit "
    "mille permille basis hundredths tenths thousandths millionths grand approx upwards onwards "
    "never none cannot denied rejected excluded omitted redacted scratch retracted cancelled "
    "unlikely doubtful questionable invalid impossible disproved extraneous spurious inadmissible "
    "too ln exp abs "
    "i e x y z n abc xyz"
)
_NOT_THINGS = english_numbers.WORDS | frozenset(_WORDS_ABOUT_NUMBERS.split())
_NOT_CHINESE_THINGS = re.compile(
    r"[零〇一二两三四五六七八九十百千万亿半多余几又分之成折比或和与至到除乘加减负以不非错否未疑幂]"
    r"|^个?[的打兆京番翻]|[吗呢吧么许假约来大小]$|左右|上下|前后|出头|开外|大概|大约|估计|可能|取反|无解|无效|增根|舍去|超过|接近|不足"
    r"|次方|平方|立方|开方|阶乘|对数|倒数|相反|补数|绝对值|根号|正弦|余弦|正切|小于|大于|等于"
)
"""What changes a number or doubts it, where a counted thing would stand: 3左右, 3的倒数."""
_BESIDE = (
    "old long tall wide high deep away apart total later ago each altogether exactly only "
    "left remaining"
)
_SAID_BESIDE = frozenset(_BESIDE.split())
"""Words after a unit that say nothing about it: 5 years old."""
_CLASSIFIERS = "个只件名位条张本支枝台辆匹头颗朵块枚把次种棵间份袋瓶盒道座架组对双"
_TOKEN = re.compile(
    r"\s*(?:(?P<frac>\\frac\s*\{(?P<above>[^{}]*(?:\{[^{}]*\}[^{}]*)*)\}"
    r"\s*\{(?P<below>[^{}]*(?:\{[^{}]*\}[^{}]*)*)\})"
    r"|(?P<over>/|\bper\b|每|÷)|(?P<times>\\cdot(?![a-z])|\\times(?![a-z])|\*)"
    r"|(?P<open>[({])|(?P<close>[)}])"
    r"|(?P<word>\^\s*\\circ\s*[CFcf]?(?![A-Za-z])|\\mu\s*[A-Za-z]+|(?:[kKmMG]\s*)?\\Omega(?![a-z])"
    r"|\\dollar|\\AA|[aApP]\.\s?[mM]\.?|[€£¢Å]|[A-Za-z]+(?:-[A-Za-z]+)*\.?|(?:(?!每)[\u4e00-\u9fff])+)"
    r"(?P<digit>[23](?![\d.]))?"
    r"(?:\s*\^\s*(?:\{\s*(?P<long>[+-]?\s*\d)\s*\}|(?P<short>-?\d)))?)"
)
_SPOKEN_DEGREES = re.compile(
    r"\bdeg(?:rees?\b|\b\.?)\s*([CF])(?:elsius|entigrade|ahrenheit)?\b", re.IGNORECASE
)
_POWER_BEFORE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWER_AFTER = {"squared": 2, "cubed": 3}
_CHINESE_POWERS = (("平方", 2), ("立方", 3))
_OF_LETTERS = {"N": "ms", "J": "s", "V": "sA", "W": "hs", "C": "m", "T": "m", "A": "hms"}
"""Single letters that are one unit side by side: N m; "2 m g" is a product of symbols."""
MAX_NAME = 30
MAX_FACTORS = 8


class _NoUnitError(ValueError):
    """The text is no unit."""


def units_agree(gold: Unit | None, given: Unit | None) -> bool:
    """Whether two units agree; False only if both sides state one and they differ."""
    return gold is None or given is None or gold == given


def is_chinese(word: str) -> bool:
    """Whether a text is Chinese words only, which need no space before them."""
    return all("\u4e00" <= letter <= "\u9fff" for letter in word)


def is_counted(unit: Unit) -> bool:
    """Whether the unit contains a counted thing that is no measure: apples, apples per day."""
    return any(base.startswith("=") for base, _ in unit.dimensions)


@lru_cache(maxsize=4096)
def parse_unit(text: str) -> Unit | None:
    """Return the unit that a normalised text denotes, or None."""
    try:
        text = _SPOKEN_DEGREES.sub(r"^\\circ \1", text.replace("light year", "light-year"))
        reader = _Reader(text)
        unit = reader.product(inside=False)
        return unit if reader.is_at_end() else None
    except _NoUnitError:
        return None


class _Run:
    """The factors read so far, and how to take the next one."""

    def __init__(self) -> None:
        self.unit, self.last = ONE, ONE
        self.sign, self.power = 1, 1
        self.joined, self.loose, self.negative = True, False, False
        self.words: list[str] = []

    def takes_word(self, word: str) -> bool:
        """Accept "square" before a unit, "squared" after it, and words without meaning."""
        if word in _POWER_BEFORE:
            self.power = _POWER_BEFORE[word]
        elif word in _POWER_AFTER and self.words:
            self.unit = multiply(self.unit, self.last, self.sign * (_POWER_AFTER[word] - 1))
        else:
            return word in _SAID_BESIDE and bool(self.words)
        return True

    def take(self, factor: Unit, exponent: int, word: str) -> None:
        before = self.words[-1] if self.words else ""
        if not self.joined and self.sign > 0 and len(word) == 1 and len(before) == 1:
            self.loose |= word not in _OF_LETTERS.get(before, "")
        self.negative |= exponent < 0
        self.unit = multiply(self.unit, factor, self.sign * exponent * self.power)
        self.last, self.joined, self.power = factor, False, 1
        self.words.append(word)

    def finished(self, inside: bool) -> Unit:
        if not self.words or self.joined or (self.loose and not self.negative and not inside):
            raise _NoUnitError
        if len(self.words) == 1:
            return self.unit
        if self.unit.dimensions == ():
            raise _NoUnitError  # what cancels is no unit
        # A difference of one degree Celsius is one of a kelvin: J/(g·°C).
        named_so = tuple(
            ("K" if base == "celsius" else base, power) for base, power in self.unit.dimensions
        )
        return multiply(ONE, Unit(self.unit.scale, named_so))


class _Reader:
    """Reads a product of units from left to right; after a slash all are denominators."""

    def __init__(self, text: str) -> None:
        self.text, self.position, self.num_factors = text.strip(), 0, 0

    def is_at_end(self) -> bool:
        return self.position >= len(self.text)

    def product(self, inside: bool) -> Unit:
        run = _Run()
        while not self.is_at_end() and (token := _TOKEN.match(self.text, self.position)):
            if token["close"]:
                break
            self.position = token.end()
            if token["times"] and not run.words:
                raise _NoUnitError  # a factor, not a unit
            if token["over"] or token["times"]:
                run.sign, run.joined = (-1 if token["over"] else run.sign), True
            elif not run.takes_word((token["word"] or "").lower().rstrip(".")):
                run.take(*self._factor(token), token["word"] or "")
        return run.finished(inside)

    def _factor(self, token: re.Match[str]) -> tuple[Unit, int]:
        self.num_factors += 1
        if self.num_factors > MAX_FACTORS:
            raise _NoUnitError
        if token["frac"]:
            above, below = parse_unit(token["above"]), parse_unit(token["below"])
            if above is None or below is None:
                raise _NoUnitError
            return multiply(above, below, -1), 1
        if token["open"]:
            unit = self.product(inside=True)
            closing = _TOKEN.match(self.text, self.position)
            if closing is None or not closing["close"]:
                raise _NoUnitError
            self.position = closing.end()
            return unit, 1
        exponent = (token["long"] or token["short"] or token["digit"] or "1").replace(" ", "")
        return _word(token["word"]), int(exponent)


def _word(word: str) -> Unit:
    """Return the unit of one word, known or counted."""
    name = re.sub(r"\s+", "", word)
    name = re.sub(r"\\mu(?=[A-Za-z])", r"\\mu ", name)
    if len(name) > MAX_NAME:
        raise _NoUnitError
    if unit := named(name) or named(name.rstrip(".")):
        return unit
    if is_chinese(name):
        return _chinese(name)
    letters = name.rstrip(".")
    if len(letters) < 3 or not letters.isascii() or letters[0] in "\\^" or not is_thing(letters):
        raise _NoUnitError
    return _thing(_singular(letters.lower()))


def _chinese(name: str) -> Unit:
    if name.startswith("个") and len(name) > 1 and (unit := named(name[1:])):
        return unit
    name = name.removeprefix("个") or name
    for word, power in _CHINESE_POWERS:
        if name.startswith(word) and (unit := named(name[len(word) :])):
            return multiply(ONE, unit, power)
        if name.endswith(word) and (unit := named(name[: -len(word)])):
            return multiply(ONE, unit, power)
    for cut in range(1, len(name)):
        if (first := named(name[:cut])) and (second := named(name[cut:])):
            return multiply(first, second)  # 千瓦时
    if not is_thing(name):
        raise _NoUnitError
    if name[0] in _CLASSIFIERS:
        name = name[1:]
    return _thing(name) if name else ONE


def _thing(name: str) -> Unit:
    return Unit(Fraction(1), (("=" + name, 1),))


def _singular(word: str) -> str:
    for ending, short in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"),
                          ("shes", "sh"), ("ss", "ss"), ("s", "")):  # fmt: skip
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + short
    return word


def is_thing(word: str) -> bool:
    """Whether words may name a counted thing ("apples", 个) and say nothing about the number."""
    if len(word) > MAX_NAME:
        return False
    if is_chinese(word):
        return len(word) <= 6 and not _NOT_CHINESE_THINGS.search(word)
    words = re.split(r"[\s-]+", word.lower())
    return word.isascii() and not _NOT_THINGS.intersection(words)
