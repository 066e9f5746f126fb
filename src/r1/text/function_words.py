"""Function words that identify Latin-script languages, to tell English from its neighbours.

A vote over a sentence's function words is exact enough for the question that matters here (is this
sentence English, or something else?), needs no library, and works on five words, on which
statistical detectors guess. Words shared by two languages are in both lists and cancel.
"""

from __future__ import annotations

from collections import Counter

_LISTS = {
    "en": """the of and to in is it that for we so this be are as with then by not have from has
        had let or an if can which must its will would should there they at on was were do does
        each all now but first next get gets got give gives also since because however i'm it's
        let's you he she his her their our me my your what when where how who why after before
        into than more most only about up out one two three both same wait check again mistake
        wrong right answer think start begin therefore thus hence find check these those any some
        no yes don't isn't that's means step number value""",
    "fr": """le la les un une des du de et est que qui dans pour par sur avec pas nous vous il
        elle ils sont donc alors ce cette ces cela puis ainsi aux au ne se son sa ses leur mais ou
        où si comme plus deux trois être avoir avons fait entre car c'est d'abord ensuite on faut
        chaque tout tous toutes très peut peuvent même encore""",
    "de": """der die das und ist nicht wir ein eine einen einem einer mit für auf sich auch dann
        aber wenn den dem des sind zu von haben werden wird also oder als nach bei aus wie noch
        nur durch um es ich sie er kann können muss müssen daher somit zuerst nun zwei drei jetzt
        ergibt weil dass diese dieser alle""",
    "es": """el la los las un una unos y es que en por para con del al se su sus como pero más
        está son no lo le si entonces esto este esta estos nos hay ser tiene luego así cada
        primero también ya dos tres sea porque cuando donde vamos podemos todos todo entre""",
    "pt": """o a os as um uma e é que em por para com do da dos das no na se seu sua como mas
        mais não são está ser tem então isso este esta nos há pelo pela também primeiro cada dois
        três porque quando vamos podemos todos ao aos logo assim""",
    "it": """il lo la i gli le un una e è che in di per con del della dei delle al alla si sono
        non come ma più questo questa quindi allora ci nel nella poi anche perché quando dove
        abbiamo ogni prima due tre tutti essere ha""",
    "nl": """de het een en is van in dat niet met voor op te zijn we wij ook dan maar als wordt
        worden deze dit door naar bij er om nog dus eerst nu twee drie omdat kan moet hebben heeft
        alle elk""",
    "pl": """i w na z że się nie to jest do jak ale więc dla są tak od po co ten ta te być mamy
        najpierw teraz oraz lub jeśli każdy dwa trzy ponieważ czyli""",
    "sv": """och att det som är en ett i på av för med den till inte vi om så men har från kan
        eller ska då nu först två tre alla varje detta dessa""",
    "da": """og er det ikke til med på af at en et som den vi jeg har kan skal så men eller hvis for
        fra når alle""",
    "fi": """ja on ei se että kun niin mutta tai jos sitten myös siis ovat kaikki nyt ensin kuin
        tämä joka saadaan luku""",
    "ro": """și este nu că la din pe cu sunt pentru dacă apoi sau mai cum un o fi deci avem""",
    "cs": """je na že se jsou pro nebo tak ale když potom v a s z do máme proto aby jako všech""",
    "hu": """és az hogy nem egy van ha akkor is ez de majd vagy tehát így mert minden azt""",
    "tr": """ve bir bu için ile de da değil ne o çok daha gibi ama olarak olan her sonra önce iki
        üç şimdi ise kadar veya""",
    "id": """yang dan di untuk dengan adalah ini itu dari ke kita tidak pada akan atau juga jika
        maka karena setiap dua tiga sekarang jadi lalu kemudian dalam""",
    "vi": """và là của các có không được cho trong với một này đó để ta vậy thì nếu ra hai ba
        những từ nên số tổng""",
}
FUNCTION_WORDS = {language: frozenset(words.split()) for language, words in _LISTS.items()}
ANY_FUNCTION_WORD = frozenset().union(*FUNCTION_WORDS.values())
LANGUAGES_OF_WORD = {
    word: tuple(language for language, words in FUNCTION_WORDS.items() if word in words)
    for word in ANY_FUNCTION_WORD
}
MIN_WORDS_WITHOUT_SMALL_ONE = 8
"""An English sentence of this many words has a small one: 98 % of those of package descriptions."""


def vote(words: list[str], language: str) -> bool | None:
    """Whether a sentence's small words speak for a Latin-script language; None where undecided.

    words are the sentence's Latin words; each counts once. Undecided: as many words of another
    language.
    """
    hits: Counter[str] = Counter()
    for word in {word.casefold().replace("’", "'") for word in words}:
        hits.update(LANGUAGES_OF_WORD.get(word, ()))
    own = hits.pop(language, 0)
    best = max(hits.values(), default=0)
    if own > best:
        return True
    if best > own and (best >= 2 or len(words) <= 3):
        return False
    return False if language == "en" and not own and _is_unlike_english(words) else None


def _is_unlike_english(words: list[str]) -> bool:
    """Whether words of which none is a small English one have accents, or are too many for that."""
    accented = sum(1 for word in words if not word.isascii() and "’" not in word)
    lower = sum(1 for word in words if word.islower())
    return (accented >= 2 and 4 * accented >= len(words)) or lower >= MIN_WORDS_WITHOUT_SMALL_ONE
