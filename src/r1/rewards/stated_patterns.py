"""Patterns of r1.rewards.stated: statements of an answer, doubts about it, reasons for it.

In English and Chinese. Each takes time linear in the text it is shown.
"""

from __future__ import annotations

import re

_SCALES = (
    r"(?:[ ](?:hundred|thousand|million|billion|trillion|dozen|score|squared|cubed|per[ ]?cent|"
    r"factorial)\b|[ ]?[百千万亿]{1,2})"
)
NUMBER = (
    r"(?<![A-Za-z0-9_.,/^])[-−+]?[ ]?[$€£¥￥]?[ ]?[-−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
    rf"(?:/\d+)?(?:[ ]?[%°]|{_SCALES})?(?![\^\d])"
)
LAST_NUMBER = re.compile(NUMBER)
HASHES = re.compile(
    r"^[ \t]{0,3}####[ \t]{0,3}(?P<said>[-−+]?[ ]?[$€£¥￥]?[ ]?[-−]?[\d.][\d.,/]*(?<![.])[ ]?%?"
    r"(?:[ ][^\W\d_]{1,20}){0,3}|\(?[A-J]\)?|\$[^$\n]{1,200}\$|\\[^\n]{1,200})[ \t]*[.。]?[ \t]*$",
    re.MULTILINE,
)
LABEL = re.compile(
    r"(?:(?<![^\W_])(?:final|correct|my)?[ ]?\b(?:answer|ans)(?:[ ]\d{1,2})?[ \t]{0,3}"
    r"[*_`]{0,3}[ \t]{0,3}|(?:最终|正确|参考|标准)?答案?[ \t]{0,3}"
    r"[*_`]{0,3})[:：＝=][ \t]{0,3}[*_`]{0,3}",
    re.IGNORECASE,
)
LETTER_A = re.compile(r"^[ \t>*]{0,6}A[:：]", re.MULTILINE)
SENTENCE = re.compile(
    r"\b(?:answer|option|choice)(?:[ ](?:to|for|of)[ ][^.\n:=]{1,80}?)?[ ]"
    r"(?:is|are|equals|was|would[ ]be|will[ ]be|must[ ]be|should[ ]be|has[ ]to[ ]be|"
    r"comes[ ](?:out[ ])?to)\b"
    r"|答案(?:应该|应当|应|就|便|只能|一定)?(?:是|为|选|等于)|(?:故|应|应该|所以|因此|我)选择?",
    re.IGNORECASE,
)
LEAD = re.compile(
    r"(?:(?:therefore|thus|then|simply|just|exactly|indeed|precisely|clearly|equal[ ]to|given[ ]by|"
    r"about|approximately|roughly|around|now|option)\b|大约|约为?)[ ,]*",
    re.IGNORECASE,
)
CHOSEN = re.compile(
    r"(?<![A-Za-z(])\(?(?P<said>[A-J])\)?[ ]"
    r"(?i:is[ ](?:the[ ])?(?:correct|right|best)[ ](?:answer|option|choice)\b)"
    r"|\b(?i:option|answer|choice)[ ]\(?(?P<named>[A-J])\)?[ ]"
    r"(?i:is[ ](?:the[ ])?(?:correct|right)\b)"
)
DOUBTED = re.compile(
    r"(?:\b(?:if|whether|unless|suppose|supposing|assume|assuming|doubt|why|how|"
    r"(?:nobody|no[ ]one)[ ](?:says|thinks|believes)|"
    r"(?:do[ ]not|don't|not)[ ](?:think|believe|say|mean|claim)|cannot[ ]be|can't[ ]be|"
    r"(?:wrong|incorrect|false|not[ ]true)[ ](?:that|to))\b[^.!?\n]{0,40}"
    r"|\b(?:wrong|incorrect|false|mistaken|opposite)[ ](?:final[ ])?"
    r"|(?:如果|若|假设|是否|不认为|不能说|假如)[^。！？\n]{0,20}|错误?的?|不正确的?)\Z",
    re.IGNORECASE,
)
NEGATED = re.compile(r"(?:not|never|neither)\b|不|没有", re.IGNORECASE)
COMMENT = re.compile(
    r"(?:(?:definitely|certainly|surely|probably|still|therefore|indeed)[ ])*(?:not|never|neither|"
    r"unknown|unclear|uncertain|impossible[ ]to|hard[ ]to|difficult[ ]to|as[ ]follows|given|below|"
    r"above|shown|found|obtained|correct|right|wrong|incorrect|what|yet[ ]to|to[ ]be)\b"
    r"|未知|无法|错|正确|对的|如下|什么|多少",
    re.IGNORECASE,
)
"""What a sentence about the answer says in place of it; after a label it is the answer."""
REASON = re.compile(
    r"[\s,;，；(（]+(?:because|since|which|whereas|where|given[ ]that|as[ ](?:we|it|the|shown|"
    r"required|expected|desired))\b.*|[,;][ ]?(?:so|not|therefore|thus|hence|as|"
    r"rather|and[ ]"
    r"(?:we|that|this|it|the|not))\b.*|[\s,;，；]*(?:因为|由于|所以|而不是|而非|不是).*",
    re.IGNORECASE | re.DOTALL,
)
DENIED_BEHIND = re.compile(
    r"[\s,;，；(（]+(?:which|(?:and|but)[ ](?:that|this|it))[ ](?:is|was|seems|looks)[ ]"
    r"(?:wrong|incorrect|false|not[ ](?:right|correct|true))",
    re.IGNORECASE,
)
"""What stands in the place of a reason and takes the answer back."""
CORRECTED = re.compile(
    r"(?:not[ ]|不是)[^,，;.。\n]{1,40}?[ ,，]*(?:\bbut[ ](?:rather[ ])?|而是)[ ]?(?=\S)",
    re.IGNORECASE,
)
"""The answer is not 18 but 20."""
MORE = re.compile(
    r"[\s.。,*]*(?:(?:or|alternatively|otherwise|maybe|perhaps|possibly|"
    r"it[ ](?:could|may|might))\b|或者?|也可能|也许|或许)(?P<said>[^\n]{1,200})",
    re.IGNORECASE,
)
TAKEN_BACK = re.compile(
    r"(?:(?:but|however|no|hmm+|well|oh|actually|sorry)\b[ ,.!…]*)*(?:wait|(?:this|"
    r"that|it)(?:[ ]answer)?(?:[ ](?:is|was|seems|looks)[ ](?:wrong|incorrect|not|false)|"
    r"(?:[ ]is|[ ]ca)n['’]t[ ]|[ ]cannot[ ])|"
    r"(?:is|was|seems|looks|would[ ]be|must[ ]be|appears[ ]to[ ]be)[ ](?:the[ ]|an?[ ])?"
    r"(?:wrong|incorrect|false|not[ ](?:the|right|correct|it|true)\b)|\??[ ]?no[,.!:]|"
    r"let[ ]me[ ](?:re)?check|(?:wrong|incorrect|oops|correction|scratch[ ]that|hold[ ]on)\b|"
    r"actually,?[ ](?:it|this|that|the[ ](?:correct[ ])?answer)\b)"
    r"|(?:更正|哦不|应该是|不对|等等|等一下|(?:这|那)?是?(?:错|不对))",
    re.IGNORECASE,
)
WRONG_AFTER = re.compile(
    r"(?:(?:but|however|no|hmm+|oh|actually|sorry|wait)\b[ ,.!…]*)*(?:this|that|it)(?:[ ]answer)?"
    r"(?:[ ](?:is|was)|['’]s)[ ](?:wrong|incorrect|false|not[ ](?:right|correct))\b"
    r"|(?:这|那)?是?(?:错|不对)的",
    re.IGNORECASE,
)
"""What a line below a statement takes back."""
NOT_BEFORE = re.compile(
    r"(?:\b(?:not|never|cannot[ ]be|neither)|n['’]t(?:[ ]be)?|不[是为]|不等于|并非)"
    r"[ :$(\\*]{0,4}\Z",
    re.IGNORECASE,
)
"""A negation right before a box."""
HESITATES = re.compile(
    r"\b(?:not|cannot|\w{2,6}n['’]t|unsure|unknown|unclear|unable|maybe|perhaps|possibly|probably|"
    r"either|neither|never|suppose|assume|false|or|might|may|could|would|if|guess|doubt|between|"
    r"(?:nobody|no[ ]one)[ ](?:says|thinks|believes)|wrong|incorrect|roughly|idea|wait)\b"
    r"|[不错]|可能|也许|或|无法|大概|未知|猜|如果|[大小多少高低]于|至少|至多|超过|[?？][*_\"'”’)]*\Z",
    re.IGNORECASE,
)
OPENING_WORDS = re.compile(
    r"(?:(?:so|thus|therefore|hence|then|finally|we[ ](?:get|have|find|obtain)|this[ ]gives|"
    r"that[ ]is|(?:the[ ])?(?:solutions?|roots?)(?:[ ](?:of|to)[ ][a-z ]{1,30})?[ ](?:is|are))\b"
    r"|所以|因此|故|于是|[\u4e00-\u9fff]{0,8}(?:解集?|根)[是为]|解?得到?|即|∴)[ ,，:：]*",
    re.IGNORECASE,
)
FORMULA_BLOCK = re.compile(r"(?:\$\$|\\\[)\s*([^$]{1,300}?)\s*(?:\$\$|\\\])[\s.。]*\Z")
FORMULA = re.compile(r"[\s\d+\-−*/×÷·^=<>(){}\[\]|.,;:%$€£¥√π≈≤≥≠!±∞_\\a-zA-Z'或和且与、，。]+")
INLINE = re.compile(r"\\\(([^\n]{1,200}?)\\\)|\$(?! )([^$\n]{1,200}?)(?<! )\$(?!\d)")
"""A formula within a sentence; in "$5 and $6" the signs are dollars."""
SAID_BY_VERB = re.compile(
    r"[^\d$\\]{1,80}?(?:\b(?:is|are|was|were|has|have|had|makes?|made|costs?|needs?|earns?|earned"
    r"|spends?|spent|gets?|got|pays?|paid|takes?|took|equals?|sold|sells?|buys?|bought)"
    r"|[有是为剩下需要共得花用卖买])"
    r"[ :：]{0,2}(?=[-−]?[$€£¥￥]?[-−]?\d)",
    re.IGNORECASE,
)
"""The beginning of a sentence whose number is the answer: 答：她一共有18个苹果."""
LONG_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
JOINING = frozenset(("or", "and", "sin", "cos", "tan", "log", "ln", "pi", "sqrt", "exp"))
ARITHMETIC = re.compile(r"[\s\d+\-−*/×÷·^=<>().,%$€£¥]+")
BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*|__([^_\n]{1,80})__")
IN_BRACKETS = re.compile(r"\(([A-J])\)")
LISTED = re.compile(r"[ ]?(?:,[ ]?and|[,、;；&/|]|and|和|以及)?[ ]?")
NAMES_ANSWER = re.compile(r"\banswer\b|答案|[:：=]\Z", re.IGNORECASE)
LETTER = re.compile(
    r"\(([A-J])\)[.。]?\Z|(?:选项?|\bis|\bpick|\bchoose|\bgo(?:ing)?[ ]with)[ ]?([A-J])[.。]?\Z"
)
DOUBTS_AFTER = re.compile(r"(?:= )?(?:or|maybe|perhaps|alternatively)\b", re.IGNORECASE)
