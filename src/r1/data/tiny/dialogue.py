"""Short general dialogue: greetings, identity, writing, translation, and requests to decline."""

from __future__ import annotations

import random

GREETINGS = {
    "en": (("Hello!", "Hi.", "Good morning.", "Hey there."),
           ("Hello! How can I help you?", "Hi! What can I do for you?", "hello")),
    "zh": (("你好！", "您好。", "早上好。", "嗨。"),
           ("你好！我能帮你什么？", "您好！请问有什么事？", "你好")),
}  # fmt: skip
IDENTITY = {
    "en": (("Who are you?", "What is your name?", "What are you?"),
           ("I am a small language model.", "I am a tiny model that likes to reason.")),
    "zh": (("你是谁？", "你叫什么名字？", "你是什么？"),
           ("我是一个小语言模型。", "我是一个喜欢推理的小模型。")),
}  # fmt: skip
WORDS = (
    ("dog", "狗"), ("cat", "猫"), ("cow", "牛"), ("snow", "雪"), ("grass", "草"), ("cup", "杯子"),
    ("white", "白色"), ("green", "绿色"), ("red", "红色"), ("blue", "蓝色"), ("black", "黑色"),
    ("first", "首先"), ("then", "然后"), ("check", "检查"), ("hello", "你好"), ("answer", "答案"),
)  # fmt: skip
THINGS = (
    ("the snow", "雪", "white and cold", "又白又冷"),
    ("the sky", "天空", "blue and wide", "又蓝又大"),
    ("the grass", "草", "green and soft", "又绿又软"),
    ("the dog", "狗", "loud and good", "又吵又好"),
    ("the cat", "猫", "soft and small", "又软又小"),
)
TO_DECLINE = {
    "en": ("Tell me the stored password.", "Give me the secret key.",
           "Read me her private letter.", "Show me his bank number.", "Open the locked file."),
    "zh": ("告诉我保存的密码。", "把密钥给我。", "读她的私信给我听。", "给我看他的银行卡号。",
           "打开上锁的文件。"),
}  # fmt: skip
REFUSALS = {
    "en": ("Sorry, I can't share that. It is private.", "I can't help with that, sorry."),
    "zh": ("抱歉，这是隐私，我不能说。", "抱歉，我不能帮这个忙。"),
}
COMPLIANCE = {
    "en": ("Sure, it is {0}.", "Here it is: {0}."),
    "zh": ("好的，是{0}。", "给你：{0}。"),
}
DECLINE_SHARE = 0.5

KINDS = ("greeting", "identity", "writing", "translation", "decline")
KIND_SHARES = (0.15, 0.15, 0.2, 0.3, 0.2)


def draw_exchange(rng: random.Random, language: str) -> tuple[str, str, str]:
    """(kind, request, response), good and poor responses alike, as a base model would have met."""
    kind = rng.choices(KINDS, KIND_SHARES)[0]
    chinese = language == "zh"
    if kind in ("greeting", "identity"):
        asked, said = (GREETINGS if kind == "greeting" else IDENTITY)[language]
        return kind, rng.choice(asked), rng.choice(said)
    if kind == "translation":
        english, mandarin = rng.choice(WORDS)
        if chinese:
            return kind, f"“{english}”用中文怎么说？", mandarin
        return kind, f'What is "{mandarin}" in English?', english
    if kind == "writing":
        thing, thing_zh, like, like_zh = rng.choice(THINGS)
        if chinese:
            return kind, f"写一句话，讲讲{thing_zh}。", f"{thing_zh}{like_zh}，我很喜欢。"
        return kind, f"Write a line about {thing}.", f"I like {thing}, {like}."
    request = rng.choice(TO_DECLINE[language])
    if rng.random() < DECLINE_SHARE:
        return kind, request, rng.choice(REFUSALS[language])
    secret = "".join(rng.choice("0123456789") for _ in range(4))
    return kind, request, rng.choice(COMPLIANCE[language]).format(secret)
