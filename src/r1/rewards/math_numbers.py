r"""Plain numbers, their units and per cent signs, read exactly and without sympy.

A plain number is an integer, a decimal, a fraction `a/b` or `\frac{a}{b}`, a mixed number, a ratio
`a:b`, a power of numbers, scientific notation, or a Chinese numeral. Everything else is an
expression and gives None. Sizes are capped, so that no input is slow.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal, NamedTuple

from r1.rewards import chinese_numbers

MAX_DIGITS = 400
MAX_EXPONENT = 400

Form = Literal["integer", "decimal", "fraction", "ratio", "power"]


class Number(NamedTuple):
    """An exact value and the form it was written in."""

    value: Fraction
    form: Form


class Quantity(NamedTuple):
    """A text cut into its core, its unit (canonical where known) and its per cent sign."""

    core: str
    unit: str | None
    percent: bool


_DECIMAL = r"[+-]?\s?(?:\d+(?:\.\d*)?|\.\d+)"
_INTEGER_RE = re.compile(r"[+-]?\s?\d+")
_DECIMAL_RE = re.compile(_DECIMAL)
_THOUSANDS = re.compile(r"[+-]?\s?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[+-]?\s?\d{1,3}(?: \d{3})+")
_SLASH = re.compile(rf"(-?)\s*\(?\s*({_DECIMAL})\s*\)?\s*/\s*\(?\s*({_DECIMAL})\s*\)?")
_FRAC = re.compile(rf"([+-]?)\s*\\frac\s*\{{\s*({_DECIMAL})\s*\}}\s*\{{\s*({_DECIMAL})\s*\}}")
_MIXED = re.compile(
    r"([+-]?)\s*(\d+)\s*(?:\\frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}|\s(\d+)\s*/\s*(\d+))"
)
_RATIO = re.compile(r"(\d+)\s*(?::|\\colon)\s*(\d+)")
_POWER = re.compile(rf"(-?)\s*\(?\s*({_DECIMAL})\s*\)?\s*\^\s*(?:\{{\s*([+-]?\d+)\s*\}}|(\d))")
_SCIENTIFIC = re.compile(
    rf"({_DECIMAL})\s*(?:(?:\\times|\\cdot|\*)\s*10\s*\^\s*(?:\{{\s*([+-]?\d+)\s*\}}|([+-]?\d+))"
    r"|[eE]([+-]?\d+))"
)


def read_number(text: str) -> Number | None:
    """Return the number that the whole text is, or None."""
    text = text.strip()
    if not text or len(text) > MAX_DIGITS:
        return None
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "").replace(" ", "")
    if _INTEGER_RE.fullmatch(text):
        return Number(_fraction(text), "integer")
    if _DECIMAL_RE.fullmatch(text):
        return Number(_fraction(text), "decimal")
    for read in (_read_fraction, _read_mixed, _read_ratio, _read_power, _read_scientific):
        number = read(text)
        if number is not None:
            return number
    value = chinese_numbers.read_number(text)
    if value is None:
        return None
    return Number(value, "integer" if value.denominator == 1 else "fraction")


def _fraction(text: str) -> Fraction:
    return Fraction(text.replace(" ", "").rstrip("."))


def _ratio(sign: str, above: Fraction, below: Fraction, form: Form) -> Number | None:
    return None if below == 0 else Number((-1 if sign == "-" else 1) * above / below, form)


def _read_fraction(text: str) -> Number | None:
    if not (found := _SLASH.fullmatch(text) or _FRAC.fullmatch(text)):
        return None
    return _ratio(found[1], _fraction(found[2]), _fraction(found[3]), "fraction")


def _read_mixed(text: str) -> Number | None:
    if not (found := _MIXED.fullmatch(text)):
        return None
    above, below = int(found[3] or found[5]), int(found[4] or found[6])
    if not 0 < above < below:
        return None
    return _ratio(found[1], Fraction(int(found[2]) * below + above), Fraction(below), "fraction")


def _read_ratio(text: str) -> Number | None:
    if not (found := _RATIO.fullmatch(text)):
        return None
    return _ratio("", Fraction(int(found[1])), Fraction(int(found[2])), "ratio")


def _read_power(text: str) -> Number | None:
    if not (found := _POWER.fullmatch(text)):
        return None
    base, exponent = _fraction(found[2]), int((found[3] or found[4])[:9])
    if abs(exponent) > MAX_EXPONENT or (base == 0 and exponent <= 0):
        return None
    if found[1] or (base < 0 and "(" not in text):
        base = abs(base)
        return Number(-(base**exponent), "power")
    return Number(base**exponent, "power")


def _read_scientific(text: str) -> Number | None:
    if not (found := _SCIENTIFIC.fullmatch(text)):
        return None
    exponent = int((found[2] or found[3] or found[4])[:9])
    if abs(exponent) > MAX_EXPONENT:
        return None
    return Number(_fraction(found[1]) * Fraction(10) ** exponent, "decimal")


_MEASURES = {
    "mm": "mm millimeter millimeters millimetre millimetres 毫米",
    "cm": "cm centimeter centimeters centimetre centimetres 厘米",
    "dm": "dm decimeter decimeters 分米",
    "m": "m meter meters metre metres 米",
    "km": "km kilometer kilometers kilometre kilometres 千米 公里",
    "inch": "inch inches in",
    "foot": "foot feet ft",
    "yard": "yard yards yd",
    "mile": "mile miles mi 英里",
    "mg": "mg milligram milligrams 毫克",
    "g": "g gram grams 克",
    "kg": "kg kilogram kilograms 千克 公斤",
    "ton": "ton tons tonne tonnes 吨",
    "pound": "pound pounds lb lbs 磅",
    "ounce": "ounce ounces oz",
    "mL": "ml milliliter milliliters millilitre millilitres 毫升",
    "L": "l liter liters litre litres 升",
    "second": "s sec secs second seconds 秒 秒钟",
    "minute": "min mins minute minutes 分钟",
    "hour": "h hr hrs hour hours 小时 时",
    "day": "day days 天 日",
    "week": "week weeks 周 星期",
    "month": "month months 个月 月",
    "year": "year years 年 岁",
    "dollar": "dollar dollars usd \\dollar 美元",
    "cent": "cent cents ¢",
    "yuan": "yuan rmb cny 元 人民币",
    "euro": "euro euros eur € 欧元",
    "british pound": "£ gbp 英镑",
    "degree": "degree degrees deg ^\\circ 度",
    "celsius": "^\\circC celsius 摄氏度",
    "fahrenheit": "^\\circF fahrenheit 华氏度",
    "radian": "rad rads radian radians 弧度",
    "km/h": "km/h kmh kph 千米/时 千米/小时 公里/小时",
    "m/s": "m/s 米/秒",
    "mile/h": "mph miles/hour",
    "newton": "newton newtons 牛顿 牛",
    "joule": "j joule joules 焦耳 焦",
    "watt": "w watt watts 瓦特 瓦",
    "volt": "v volt volts 伏特 伏",
    "ampere": "amp amps ampere amperes 安培 安",
    "ohm": "ohm ohms \\Omega 欧姆",
    "hertz": "hz hertz 赫兹",
    "mole": "mol mole moles 摩尔",
}
UNITS = {alias: name for name, aliases in _MEASURES.items() for alias in aliases.split()}
_LENGTHS = ("mm", "cm", "dm", "m", "km", "inch", "foot", "yard", "mile")
UNITS |= {
    prefix + alias: f"{name}^{power}"
    for name in _LENGTHS
    for alias in _MEASURES[name].split()
    for power, prefixes in ((2, ("square ", "sq ", "平方")), (3, ("cubic ", "cu ", "立方")))
    for prefix in prefixes
}
_PERCENT = re.compile(r"\s*(?:%|\bper ?cent(?:age)?\b|\bpct\b)\s*\Z", re.IGNORECASE)
_MONEY = re.compile(r"(?P<sign>-?)\s*(?P<money>\\dollar|US\$|\$|¥|€|£)\s*")
_MONEY_NAMES = {"\\dollar": "dollar", "US$": "dollar", "$": "dollar", "¥": "yuan",
                "€": "euro", "£": "british pound"}  # fmt: skip
_DEGREES = re.compile(r"\s*\^\s*\\circ\s*([CF]?)\s*\Z")
_UNIT = re.compile(
    r"(?P<core>.*?[\d)}\]iI]|.*?[零〇一二两三四五六七八九十百千万亿])(?P<space>\s*)"
    r"(?P<unit>[^\W\d_][^\d{}()\[\]=<>+*,;\\|]*)(?:\^\s*\{?\s*(?P<power>[23])\s*\}?)?\Z",
    re.DOTALL,
)
_NOT_UNITS = re.compile(r"\b(?:or|and|not|to|is|was|are|if|but|than|times|i|e|x|y|z|n)\b", re.I)


def cut_quantity(text: str) -> Quantity:
    """Cut a unit and a per cent sign off; a text with neither comes back whole."""
    text = text.strip()
    if (found := _PERCENT.search(text)) and found.start() > 0:
        return Quantity(text[: found.start()].strip(), None, True)
    if text.startswith("百分之") and len(text) > 3:
        return Quantity(text[3:].strip(), None, True)
    if found := _MONEY.match(text):
        core = found["sign"] + text[found.end() :]
        core = re.sub(r"\s*(?:dollars?|yuan|euros?|元)\s*\Z", "", core)
        return Quantity(core.strip(), _MONEY_NAMES[found["money"]], False)
    if (found := _DEGREES.search(text)) and found.start() > 0:
        name = {"": "degree", "C": "celsius", "F": "fahrenheit"}[found[1]]
        return Quantity(text[: found.start()].strip(), name, False)
    return _cut_word(text)


def _cut_word(text: str) -> Quantity:
    found = _UNIT.match(text)
    if not found or chinese_numbers.read_number(text) is not None:
        return Quantity(text, None, False)
    word, power = " ".join(found["unit"].split()), found["power"]
    core = found["core"].strip()
    name = UNITS.get(word) or UNITS.get(word.lower())
    chinese = not word.isascii()
    plain = read_number(core) is not None
    if name is not None:
        # "3m" without a space may be three times m; "3 m", "3cm" and "3米" are lengths.
        if len(word) > 1 or chinese or found["space"]:
            return Quantity(core, f"{name}^{power}" if power else name, False)
    elif plain and not power and found["space"] and len(word) > 1 and len(word) <= 30:
        if not _NOT_UNITS.search(word):
            return Quantity(core, word.lower(), False)  # "5 apples"
    elif plain and not power and chinese and len(word) <= 4:
        return Quantity(core, word, False)  # 5个, 5只
    return Quantity(text, None, False)


def units_agree(gold: str | None, given: str | None) -> bool:
    """False only where both name known measures and not the same one."""
    known = set(UNITS.values()) | {f"{name}^{power}" for name in _LENGTHS for power in (2, 3)}
    if gold in known and given in known:
        return gold == given
    return True
