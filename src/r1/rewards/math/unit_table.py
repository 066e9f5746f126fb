"""Units by name: SI with prefixes, everyday, data, money, Chinese; each a scale times dimensions.

A line: symbols | English names | Chinese names | scale | dimensions (m2 is m^2). Plurals and
prefixes are formed from these. Month and year, celsius and kelvin, degree and radian are dimensions
of their own: nothing is converted, so only what is the same unit needs to be the same here.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import NamedTuple

Dimensions = tuple[tuple[str, int], ...]


class Unit(NamedTuple):
    """A scale and the powers of the base dimensions, sorted: N·m and J are the same."""

    scale: Fraction
    dimensions: Dimensions


_PREFIXED = """
m | meter metre | 米 | 1 | m
g | gram gramme | 克 | 1 | g
s | second | 秒 秒钟 | 1 | s
A | ampere amp | 安 安培 | 1 | A
K | kelvin | 开 开尔文 | 1 | K
mol | mole | 摩 摩尔 | 1 | mol
cd | candela | 坎德拉 | 1 | cd
Hz | hertz | 赫 赫兹 | 1 | s-1
N | newton | 牛 牛顿 | 1000 | g m s-2
Pa | pascal | 帕 帕斯卡 | 1000 | g m-1 s-2
J | joule | 焦 焦耳 | 1000 | g m2 s-2
W | watt | 瓦 瓦特 | 1000 | g m2 s-3
C | coulomb | 库 库仑 | 1 | A s
V | volt | 伏 伏特 | 1000 | g m2 s-3 A-1
F | farad | 法 法拉 | 1/1000 | g-1 m-2 s4 A2
\\Omega ohm | ohm | 欧 欧姆 | 1000 | g m2 s-3 A-2
S | siemens | 西门子 | 1/1000 | g-1 m-2 s3 A2
Wb | weber | 韦 韦伯 | 1000 | g m2 s-2 A-1
T | tesla | 特斯拉 | 1000 | g s-2 A-1
H | henry | 亨 亨利 | 1000 | g m2 s-2 A-2
lm | lumen | 流明 | 1 | cd sr
lx | lux | 勒克斯 | 1 | cd sr m-2
Bq | becquerel | 贝克勒尔 | 1 | s-1
Gy | gray | 戈瑞 | 1 | m2 s-2
Sv | sievert | 希沃特 | 1 | sievert
L l | liter litre | 升 | 1/1000 | m3
eV | electronvolt electron-volt | 电子伏特 电子伏 | 1 | eV
cal | calorie | 卡 卡路里 | 4184 | g m2 s-2
bar | bar | 巴 | 100000000 | g m-1 s-2
B | byte | 字节 | 8 | bit
bit | bit | 比特 | 1 | bit
ton | tonne ton | 吨 | 1000000 | g
pc | parsec | 秒差距 | 1 | parsec
"""
_PLAIN = """
sec secs | | | 1 | s
min mins | minute | 分钟 | 60 | s
| | 分 | 1 | =point
h hr hrs | hour | 小时 时 | 3600 | s
| day | 天 日 | 86400 | s
wk | week | 周 星期 | 604800 | s
| month | 月 | 1 | month
yr yrs | year | 年 岁 | 12 | month
| decade | | 120 | month
| century centuries | 世纪 | 1200 | month
in in. | inch inches | 英寸 | 127/5000 | m
ft ft. | foot feet | 英尺 | 381/1250 | m
yd | yard | 码 | 1143/1250 | m
mi | mile | 英里 | 201168/125 | m
nmi | | 海里 | 1852 | m
\\AA Å | angstrom | 埃 | 1/10000000000 | m
kms | | 公里 | 1000 | m
cms | | | 1/100 | m
| | 里 | 500 | m
| | 丈 | 10/3 | m
| | 尺 | 1/3 | m
| | 寸 | 1/30 | m
ly | light-year lightyear | 光年 | 1 | light-year
au AU | | 天文单位 | 1 | astronomical-unit
ha | hectare | 公顷 | 10000 | m2
| acre | 英亩 | 316160658/78125 | m2
| | 亩 | 2000/3 | m2
cc | | | 1/1000000 | m3
gal | gallon | 加仑 | 473176473/125000000000 | m3
qt | quart | | 473176473/500000000000 | m3
pt | pint | | 473176473/1000000000000 | m3
| cup | 杯 | 1 | cup
oz | ounce | 盎司 | 45359237/1600000 | g
lb lbs lb. | pound | 磅 | 45359237/100000 | g
kgs | | 公斤 | 1000 | g
gm gms | | | 1 | g
| | 斤 | 500 | g
lbf | | | 8896443230521/2000000000 | g m s-2
psi | | | 6894757 | g m-1 s-2
atm | atmosphere | 大气压 | 101325000 | g m-1 s-2
mmHg torr | | | 133322 | g m-1 s-2
hp | horsepower | 马力 | 735499 | g m2 s-3
Btu BTU | | | 1055056 | g m2 s-2
dyn | dyne | 达因 | 1/100 | g m s-2
erg | | | 1/10000 | g m2 s-2
u amu | dalton | | 1 | dalton
^\\circ deg | degree | 度 | 1 | degree
^\\circC ^\\circc | celsius centigrade | 摄氏度 | 1 | celsius
^\\circF ^\\circf | fahrenheit | 华氏度 | 1 | fahrenheit
rad rads | radian | 弧度 | 1 | radian
sr | steradian | 球面度 | 1 | sr
rpm | | | 1/60 | revolution s-1
| revolution rev | 转 | 1 | revolution
dB | decibel | 分贝 | 1 | decibel
kn | knot | 节 | 463/900 | m s-1
mph | | | 1397/3125 | m s-1
kph kmh kmph | | | 5/18 | m s-1
mpg | | | 201168000000000/473176473 | m-2
bps | | | 1 | bit s-1
Mbps | | | 1000000 | bit s-1
kbps | | | 1000 | bit s-1
Gbps | | | 1000000000 | bit s-1
\\dollar USD usd | dollar | 美元 | 1 | dollar
\\cent ¢ | cent | 美分 | 1/100 | dollar
RMB rmb CNY cny | yuan yuans | 元 人民币 块 块钱 元钱 | 1 | yuan
| jiao | 角 | 1/10 | yuan
€ EUR eur | euro | 欧元 | 1 | euro
£ GBP gbp | | 英镑 | 1 | sterling
JPY | yen yens | 日元 | 1 | yen
am AM a.m. a.m A.M. A.M | | 上午 | 1 | a.m.
pm PM p.m. p.m P.M. P.M | | 下午 | 1 | p.m.
| person people persons | 人 | 1 | person
| | 单位 | 1 | =unit
| percentage-point | 百分点 | 1 | percentage-point
"""
_PREFIXES = {
    "f": ("femto", "飞", -15), "p": ("pico", "皮", -12), "n": ("nano", "纳", -9),
    "\\mu ": ("micro", "微", -6), "m": ("milli", "毫", -3), "c": ("centi", "厘", -2),
    "d": ("deci", "分", -1), "da": ("deca", "十", 1), "h": ("hecto", "百", 2),
    "k": ("kilo", "千", 3), "M": ("mega", "兆", 6), "G": ("giga", "吉", 9),
    "T": ("tera", "太", 12), "P": ("peta", "拍", 15), "E": ("exa", "艾", 18),
}  # fmt: skip
_SINGLE_ONLY = {
    "bit": "kMGT",
    "B": "kMGTPE",
    "ton": "kM",
    "bar": "mk",
    "pc": "kMG",
    "mol": "fpnmk\\mu ",
}
"""Prefixes of units that not every prefix goes with; deca and exa go with none but bytes."""
_CHINESE_PREFIXED = {"百": "帕", "十": ""}
_GLUED = (("N", "m"), ("W", "h"), ("A", "h"), ("V", "A"), ("W", "s"), ("J", "s"), ("N", "s"))
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_ANY_CASE = "km cm mm kg mg ml cl dl kwh mph kph lbs oz ft yd hr hrs min mins sec secs khz hz kpa"
"""Symbols that people also write in capitals."""


@cache
def units() -> dict[str, Unit]:
    """Return every unit by its name, prefixes included; a symbol's case matters."""
    found: dict[str, Unit] = {}
    for line in _PREFIXED.strip().splitlines():
        symbols, words, chinese, unit = _read(line)
        for symbol in symbols:
            found |= {symbol: unit} | _with_prefixes(symbol, words, chinese, unit)
        found |= {name: unit for word in words for name in _plurals(word)}
        found |= dict.fromkeys(chinese, unit)
    for line in _PLAIN.strip().splitlines():
        symbols, words, chinese, unit = _read(line)
        found |= dict.fromkeys(symbols + chinese, unit)
        found |= {name: unit for word in words for name in _plurals(word)}
    for first, second in _GLUED:
        for prefix in ("", "m", "k", "M", "G", "T"):
            found.setdefault(
                prefix + first + second, multiply(found[prefix + first], found[second])
            )
    for prefix, factor in _BINARY.items():
        found[prefix + "B"] = Unit(Fraction(8 * factor), (("bit", 1),))
    found |= {"KB": found["kB"], "Kb": found["kbit"], "Mb": found["Mbit"], "Gb": found["Gbit"],
              "mum": found["\\mu m"]}  # fmt: skip
    micro = [name for name in found if name.startswith("\\mu ")]
    found |= {"u" + name.removeprefix("\\mu "): found[name] for name in micro}
    return found


@cache
def _any_case() -> dict[str, str]:
    """Return names in lower case, for units whose case does not matter."""
    words = [name for name in units() if len(name) > 3 and name.isascii() and name.isalpha()]
    return {name.lower(): name for name in words if name.islower()} | {
        name.lower(): name for name in units() if name.lower() in _ANY_CASE.split()
    }


def named(name: str) -> Unit | None:
    """Return the unit of a name, or None."""
    if found := units().get(name):
        return found
    other = _any_case().get(name.lower())
    return units()[other] if other else None


def multiply(first: Unit, second: Unit, power: int = 1) -> Unit:
    """Return first × second^power."""
    powers = dict(first.dimensions)
    for base, exponent in second.dimensions:
        powers[base] = powers.get(base, 0) + power * exponent
    kept = tuple(sorted((base, exponent) for base, exponent in powers.items() if exponent))
    return Unit(first.scale * second.scale**power, kept)


ONE = Unit(Fraction(1), ())


def _read(line: str) -> tuple[list[str], list[str], list[str], Unit]:
    symbols, words, chinese, scale, dimensions = (part.strip() for part in line.split("|"))
    unit = Unit(Fraction(scale), ())
    for term in dimensions.split():
        base = term.rstrip("-0123456789") or term
        unit = multiply(unit, Unit(Fraction(1), ((base, 1),)), int(term[len(base) :] or 1))
    return symbols.split(), words.split(), chinese.split(), unit


def _plurals(word: str) -> list[str]:
    irregular = word in ("feet", "inches", "people", "persons", "centuries", "hertz", "siemens")
    return [word] if irregular else [word, word + "s"]


def _with_prefixes(
    symbol: str, words: list[str], chinese: list[str], unit: Unit
) -> dict[str, Unit]:
    found = {}
    for prefix, (word_prefix, chinese_prefix, exponent) in _PREFIXES.items():
        if prefix not in _SINGLE_ONLY.get(symbol, "fpn\\mu mcdhkMGTP"):
            continue
        scaled = Unit(unit.scale * Fraction(10) ** exponent, unit.dimensions)
        found[prefix + symbol] = scaled
        found |= {name: scaled for word in words for name in _plurals(word_prefix + word)}
        wanted = _CHINESE_PREFIXED.get(chinese_prefix)
        found |= {chinese_prefix + c: scaled for c in chinese if wanted is None or c == wanted}
    return found
