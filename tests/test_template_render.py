"""Prompts: the paper's words, the tokenizer's chat template, and what is refused."""

from __future__ import annotations

import pytest

from r1.config import validate
from r1.errors import UserError
from r1.template import PromptRenderer, TemplateSettings, render_r1_zero

CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_tokenizer(chat_template: str | None = None):
    from small_models import make_tokenizer

    tokenizer = make_tokenizer()
    tokenizer.chat_template = chat_template
    return tokenizer


def test_table_1_word_for_word() -> None:
    assert render_r1_zero("What is 2 + 3?") == (
        "A conversation between User and Assistant. The user asks a question, and the Assistant "
        "solves it. The assistant first thinks about the reasoning process in the mind and then "
        "provides the user with the answer. The reasoning process and answer are enclosed within "
        "<think> </think> and <answer> </answer> tags, respectively, i.e., <think> reasoning "
        "process here </think> <answer> answer here </answer>. User: What is 2 + 3?. Assistant:"
    )


def test_a_question_holding_the_placeholder_is_kept() -> None:
    assert render_r1_zero("Write a prompt. Now").endswith("User: Write a prompt. Now. Assistant:")


def test_forced_thinking_ends_in_an_open_tag() -> None:
    plain = PromptRenderer(None, TemplateSettings())
    forced = PromptRenderer(None, TemplateSettings(force_think=True))
    assert not plain.opens_think
    assert forced.opens_think
    assert forced.render("x") == plain.render("x") + " <think>\n"


def test_encode_is_the_rendered_text() -> None:
    tokenizer = byte_tokenizer()
    renderer = PromptRenderer(tokenizer, TemplateSettings(kind="plain"))
    assert tokenizer.decode(list(renderer.encode("数 2+3"))) == "数 2+3"


def test_chat_template_with_system_prompt() -> None:
    settings = TemplateSettings(kind="chat", system="be brief", force_think=True)
    renderer = PromptRenderer(byte_tokenizer(CHATML), settings)
    assert renderer.render("2+3") == "<|system|>be brief\n<|user|>2+3\n<|assistant|><think>\n"


def test_a_chat_template_that_opens_thinking_itself_is_not_doubled() -> None:
    template = CHATML.replace("<|assistant|>", "<|assistant|><think>")
    renderer = PromptRenderer(
        byte_tokenizer(template), TemplateSettings(kind="chat", force_think=True)
    )
    assert renderer.opens_think
    assert renderer.render("x").count("<think>") == 1


def test_missing_chat_template_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="no chat template"):
        PromptRenderer(byte_tokenizer(), TemplateSettings(kind="chat"))


def test_system_prompt_without_chat_is_refused() -> None:
    with pytest.raises(UserError, match="chat"):
        validate({"system": "x"}, TemplateSettings, "recipe.toml")
