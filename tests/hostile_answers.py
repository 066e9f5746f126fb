"""Answers written to hang a verifier of mathematics, to run code in it, or to be paid for guessing.

(kind, reference, answer): what stands between <answer> tags. Whole responses, where the form is the
trick, are in RESPONSES.
"""

from __future__ import annotations


def _many(kind: str, reference: str, answers: str) -> list[tuple[str, str, str]]:
    return [(kind, reference, answer) for answer in answers.strip().split("\n")]


_TOWERS = r"""
9^9^9^9
9^{9^{9^9}}
2^{2^{2^{2^{2^2}}}}
(9^9^9^9)^0
99999999999999999999999999999^{99999999999}
10^{10^{10}} - 10^{10^{10}} + 2
((2^{999})^{999})^{999}
2**2**2**2**2**2
(((9**9)**9)**9)**9
(10^{5000})^{5000}
\left(\left(7^{99}\right)^{99}\right)^{99}
e^{e^{e^{e^{e}}}}
\sqrt{9^{9^{9}}}
\log_{2}(2^{2^{2^{2^{2^{2}}}}})
2^{1000000000000}
0.5^{-99999999999999}
(1+10^{-9999})^{10^{9999}}
x^{x^{x^{x^{x}}}}
"""
_FACTORIALS = r"""
1000000!
100!!
(10^9)!
((5!)!)!
3!!!!!!!
\frac{1000000!}{999999!}
\binom{100000}{50000}
\binom{10^9}{10^8}
\Gamma(10^9)
\gamma!!
(999!)^{999}
123456789!/123456788!
"""
_HEAVY = r"""
\sum_{n=1}^{\infty} \frac{2}{2^n}
\sum_{n=1}^{10^{10}} \frac{1}{n}
\sum_{k=0}^{99999}\sum_{j=0}^{99999} 1
\prod_{n=1}^{1000000} n
\int_0^2 1 dx
\int_0^1\int_0^1\int_0^1 \frac{\sin(xyz)}{x^x+y^y+z^z} dxdydz
\int e^{-x^2}\sin(x^x)\tan(\ln x) dx
\int_0^{\infty} e^{-e^{-e^{x}}} dx
\lim_{x\to 2} x
\lim_{n\to\infty}(1+\frac{1}{n})^{n}
\frac{d}{dx}(2x)
\det\begin{pmatrix}1&0\\0&2\end{pmatrix}
\max(1,2)
max(1,2)
\gcd(4,6)
\lfloor 2.5\rfloor
\lceil 1.5 \rceil
17 \bmod 3
\sqrt{\sqrt{\sqrt{16}}}^{2}
\sqrt{\sqrt{\sqrt{\sqrt{\sqrt{2+\sqrt{3+\sqrt{5}}}}}}}
\zeta(2)
\iint_{D} dA
"""
_HUGE = r"""
9^{2*999999999}
9^{2\cdot 999999999}
9^{(999999999)}
9^{1+99999999}
9^{\frac{999999999}{2}}
9^{4999*4999*4999}
9^{x 99999999}
9^{|99999999|}
9^{\binom{99}{50}}
9^{99!}
9^{999999}+0^0
\exp(10^{4999})
\exp(\exp(\exp(99)))
f(9^{2*999999999})
9^{{9}^{{9}^9}}
\begin{pmatrix}9^{4999}&9^{4999}\\9^{4999}&9^{4999}\end{pmatrix}^{4999}
"""
_CODE = r"""
__import__('os').system('sleep 20')
exec("while True: pass")
eval("2")
open('/etc/passwd').read()
().__class__.__base__.__subclasses__()
lambda: 2
print(2)
sympy.Integer(2)
Integer(2)
S(2)
Symbol('x').subs(x, 2)
[x for x in range(10**12)]
"".join(chr(50))
0x2
0b10
2e0+1
2 if True else 3
int("2")
\input{/etc/passwd}
\include{/dev/zero}
\write18{sleep 20}
\immediate\write18{cat /etc/passwd}
\def\x{\x\x}\x
\newcommand{\a}{\a\a}\a
\loop\iftrue\repeat
\csname a\endcsname
\catcode`\^=13
\let\boxed=2
\expandafter2
<script>2</script>
"""
_CANDIDATES = r"""
1 or 2 or 3
1, 2, 3
{1,2,3}
2 or 3
x=1, x=2
x=2 or x=3
2; 3
2/3
2 3
1 2
[1,3]
(1,3)
1<x<3
x>1
x \ge 2
2 \pm 1
\pm 2
\{2\}, \{3\}
(2,)
(2,2)
2, 2
\{2, 2\}
\{1,2\}
\{x\mid x>0\}
\text{2 or 3}
two or three
二或三
二、三
1～3
1-3
1 to 3
\boxed{2} or \boxed{3}
\boxed{1}\boxed{2}
\boxed{2}\boxed{3}
\boxed{3} \text{ and also } \boxed{2}
0,1,2,3,4,5,6,7,8,9
one of 1, 2, 3
either 2 or -2
2 (or 3)
2 unless it is 3
x where x=2 or x=3
first 2 then 3
between 1 and 3
about 2
at most 2
\mathbb{N}
\mathbb{R}
\begin{pmatrix}2\\3\end{pmatrix}
"""
_VACUOUS = r"""
any number
the answer is any number
all real numbers
the correct answer
the reference
x
x = x
n
?
???
...
\ldots
\boxed{}
\text{}
{}
()
$$
\frac{}{}
2 = 2 = 3
2 = 3
x = 2 = 3
3=2
2=3=2
1=1
0=0
2 \ne 3
2<3
x=2=x
y=x=2=1+1+1
not 2
2 is wrong, 3 is right
the answer is not 2
i give up
😀
"""
_NOT_NUMBERS = r"""
NaN
nan
\text{NaN}
float('nan')
inf
-inf
infinity
\infty
-\infty
\infty-\infty
1/0
0/0
\frac{0}{0}
0^0+1+0/0
\frac{2}{0}
\tilde{\infty}
zoo
undefined
None
null
true
\emptyset
2\infty
2\cdot\text{NaN}/\text{NaN}
"""
_LOOK_ALIKES = "\n".join(
    (
        "2\u200b3",
        "2\u0338",
        "2\u20e0",
        "２３",
        "²",
        "₂",
        "ƨ",
        "Ƨ",
        "ᒿ",
        "з",
        "2\u0435",
        "l+1",
        "\u202e12",
        "2\u202e3",
        "Ⅱ",
        "2\u3000" + "3",
        "2\ufe0f\u20e3",
        "𝟚𝟛",
        "②③",
        "\u0662\u0663",
        "−2",
        "﹣2",
        "2\u00ad0",
        "2\x00",
        "2\x1b[1D3",
        "\ufeff",
    )
)

HOSTILE = [
    *_many("tower", "2", _TOWERS),
    ("tower", "387420489", "9^9^9^9"),
    *_many("factorial", "2", _FACTORIALS),
    *_many("heavy", "2", _HEAVY),
    *_many("huge", r"\sqrt{2}+1", _HUGE),
    *_many("code", "2", _CODE),
    *_many("candidates", "2", _CANDIDATES),
    *_many("vacuous", "2", _VACUOUS),
    *_many("no number", "2", _NOT_NUMBERS),
    *_many("look-alike", "2", _LOOK_ALIKES),
    # One member, one shape: a part of the answer, or more than it.
    ("candidates", "{1,2}", "{1,2,3}"),
    ("candidates", "{1,2}", "1"),
    ("candidates", r"\{1,2\}", "1, 1, 2"),
    ("candidates", "(0,1)", "(-\\infty,\\infty)"),
    ("candidates", "x>2", r"x>2 or x\le 2"),
    ("candidates", "4", "x=3, x=4"),
    ("vacuous", "x+y=3", "x+y-3=x+y-3"),
    ("vacuous", "x+y=3", "0=0"),
    ("vacuous", "x+y=3", "x+y=x+y"),
    ("vacuous", "x^2+y^2=1", "(x^2+y^2-1)(x-y)=0"),
    ("vacuous", "x+1", "x+1=y"),
    ("vacuous", "x+1", "y=x=1"),
    ("vacuous", r"\frac{x}{2}", "x"),
    ("code", "10", "{10}{11}"),
    ("heavy", r"\frac{\pi}{4}", r"\arctan(\tan(\arctan(1)))"),
    ("heavy", r"\frac{\pi}{4}", r"\sum_{k=0}^{\infty}\frac{(-1)^k}{2k+1}"),
    ("heavy", "x^2+1", r"(x^{99}+1)^{99}(x^{98}+1)^{98}(y+1)^{97}"),
    ("heavy", "x^2+1", r"(((((x+1)^{99}+1)^{99}+1)^{99}+1)^{99}+1)"),
    ("heavy", r"\sqrt{2}", r"\sqrt{2+\sqrt{2+\sqrt{2+\sqrt{2+\sqrt{2+\sqrt{2+\sqrt{2}}}}}}}"),
    ("heavy", r"\sin x", r"\sin(\sin(\sin(\sin(\sin(\sin(\sin(\sin(x))))))))"),
    ("heavy", "x+1", "+".join(f"x^{{{n}}}" for n in range(60))),
    ("heavy", "x+1", "".join(f"(x+{n})" for n in range(35))),
    ("heavy", "x+1", "\\frac{x}{" * 15 + "y" + "}" * 15),
    # Long and deep.
    ("long", "2", "2" * 100_000),
    ("long", "2", "0." + "0" * 100_000 + "2"),
    ("long", "2", "2+" * 5000 + "2"),
    ("long", "2", "1+" * 150 + "1"),
    ("long", "2", "2" + " " * 5000 + "3"),
    ("long", "2", " " * 100_000),
    ("long", "2", "$" * 100_000),
    ("long", "2", "\\" * 100_000),
    ("long", "2", "^" * 100_000),
    ("long", "2", "2," * 50_000),
    ("long", "2", "the answer is " * 8000 + "2"),
    ("long", "2", "so " * 130 + "3"),
    ("long", "2", "1 or " * 70 + "2"),
    ("long", "2", "-" * 397 + "2"),
    ("long", "2", "=".join("2" * 300)),
    ("long", "2", "!" * 399),
    ("long", "2", "2" + "!" * 390),
    ("deep", "2", "(" * 50_000 + "2" + ")" * 50_000),
    ("deep", "2", "(" * 60 + "2" + ")" * 60),
    ("deep", "2", "[" * 100_000),
    ("deep", "2", "{" * 100_000),
    ("deep", "2", ")" * 100_000),
    ("deep", "2", "\\boxed{" * 1000 + "2" + "}" * 1000),
    ("deep", "2", "\\boxed{" * 14_000),
    ("deep", "2", "\\frac{" * 500 + "2" + "}{1}" * 500),
    ("deep", "2", "\\frac{" * 60),
    ("deep", "2", "\\frac" * 79),
    ("deep", "2", "\\sqrt" * 79),
    ("deep", "2", "\\sqrt{" * 66),
    ("deep", "2", "\\left(" * 66),
    ("deep", "2", "\\text{" * 60),
    ("deep", "2", "\\begin{pmatrix}" * 26),
    ("deep", "2", "^{" * 190),
    ("deep", "2", "x^(" * 130),
    ("deep", "2", "|" * 399),
    ("deep", "2", "\\{" * 190),
    ("deep", "2", "<" * 399),
    ("deep", "2", "1<" * 190),
]

RESPONSES = [
    # (name, response, answer_from); the reference is 2
    (
        "only in the thinking",
        "<think>the answer is 2, \\boxed{2}</think> <answer>?</answer>",
        "answer",
    ),
    ("only in the thinking, boxed", "<think>\\boxed{2}</think> I do not know", "boxed"),
    ("thinking never ends", "<think>\\boxed{2} <answer>2</answer>", "answer"),
    ("thinking never ends, boxed", "<think> it is \\boxed{2}", "boxed"),
    ("an answer inside the thinking", "<think><answer>2</answer></think>", "answer"),
    ("two answers", "<think>a</think> <answer>3</answer> <answer>2</answer>", "answer"),
    ("two answers, by tag", "<think>a</think> <answer>3</answer> <answer>2</answer>", "tag"),
    ("the right one first", "<think>a</think> <answer>2</answer> <answer>3</answer>", "answer"),
    ("nested answers", "<think>a</think> <answer>3<answer>2</answer></answer>", "answer"),
    ("the last box is another", "\\boxed{2} or rather \\boxed{3}", "boxed"),
    ("a box around a list", "\\boxed{1, 2, 3}", "boxed"),
    ("a box in the answer's box", "\\boxed{\\boxed{2}\\boxed{3}}", "boxed"),
    ("an empty last box", "\\boxed{2} \\boxed{}", "boxed"),
    ("a box that never closes", "\\boxed{2} \\boxed{3", "boxed"),
    ("before the thinking", "<answer>2</answer> <think>a</think>", "answer"),
    ("text around it", "2 2 2 <think>a</think> 2 <answer>2</answer> 2", "answer"),
    ("an empty thinking", "<think></think> <answer>2</answer>", "answer"),
    ("a forged end of thinking", "<think>a</think> 2 </think> 3", "text"),
    ("everything", " ".join(str(n) for n in range(100)), "text"),
    ("tags by the thousand", "<think>" * 20_000 + "</think> <answer>2</answer>", "answer"),
    ("answers by the thousand", "<answer>2</answer>" * 10_000, "tag"),
    ("a megabyte", "<think>" + "a" * 1_000_000 + "</think> <answer>3</answer>", "answer"),
]
