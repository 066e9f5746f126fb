"""The prompt of a training as a chat template: a server asks as the training did."""

from __future__ import annotations

import json

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from r1.publish.served_template import served_template, write_template
from r1.template import PromptRenderer, TemplateSettings
from small_models import CHATML, save_small_model


@pytest.mark.parametrize("kind", ["r1_zero", "plain"])
@pytest.mark.parametrize("force_think", [False, True])
@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("own", [None, CHATML])
def test_a_server_asks_as_the_training_did(tmp_path, kind, force_think, bos, own) -> None:
    save_small_model(tmp_path, "llama")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    tokenizer.chat_template = own  # as Qwen2.5's bases have one
    if bos:
        tokenizer.add_special_tokens({"bos_token": "<eos>"})
        special = [("<eos>", tokenizer.eos_token_id)]
        processor = TemplateProcessing(single="<eos> $A", special_tokens=special)
        tokenizer.backend_tokenizer.post_processor = processor
    settings = TemplateSettings(kind=kind, force_think=force_think)
    template = served_template(tokenizer, settings)
    assert template is not None
    assert tokenizer.chat_template == own
    expected = PromptRenderer(tokenizer, settings).encode("a 'quoted' \\text{x}?")
    tokenizer.chat_template = template
    turns = [{"role": "user", "content": "a 'quoted' \\text{x}?"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) == expected
    with pytest.raises(Exception, match="single questions"):
        tokenizer.apply_chat_template([*turns, *turns], tokenize=False)


VARIABLES = (
    "{%- macro turn(m) %}{{ m['role'] }}{{ '!' if loud else '' }}: {{ m['content'] }}\n"
    "{% endmacro %}"
    "{%- for m in messages %}{{ turn(m) }}{% endfor -%}"
    "{%- if add_generation_prompt %}assistant:{{ ' <think>' if thinking == 'on' else '' }}\n"
    "{%- endif %}\n"
)
"""Which ends in a newline that Jinja drops, and uses variables in a macro."""


@pytest.mark.parametrize(
    ("own", "changes"),
    [
        (CHATML, {"force_think": True}),
        (CHATML, {"force_think": True, "system": "Be {{ brief }}."}),
        (VARIABLES, {"chat_template_kwargs": {"loud": True, "thinking": None}}),
        (VARIABLES, {"chat_template_kwargs": {"thinking": "on"}, "force_think": True}),
        (VARIABLES, {"chat_template_kwargs": {"thinking": 'it\'s "off"'}, "force_think": True}),
    ],
)
def test_what_a_training_adds_to_a_chat_template_is_served(tmp_path, own, changes) -> None:
    save_small_model(tmp_path, "llama")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    tokenizer.chat_template = own
    settings = TemplateSettings(kind="chat", **changes)
    template = served_template(tokenizer, settings)
    assert template is not None
    renderer = PromptRenderer(tokenizer, settings)
    earlier = [("user", "1?"), ("assistant", "One.")]
    expected = [renderer.render("a 'quoted' \\text{x}?"), renderer.render("2?", earlier)]
    closed = tokenizer.apply_chat_template(
        [{"role": "user", "content": "3?"}], tokenize=False, **settings.chat_template_kwargs
    )
    tokenizer.chat_template = template
    first = [("system", settings.system)] if settings.system else []
    for turns, text in zip(
        ([("user", "a 'quoted' \\text{x}?")], [*earlier, ("user", "2?")]), expected, strict=True
    ):
        asked = [{"role": role, "content": content} for role, content in (*first, *turns)]
        assert text == tokenizer.apply_chat_template(
            asked, tokenize=False, add_generation_prompt=True
        )
    asked = [{"role": "user", "content": "3?"}]
    assert tokenizer.apply_chat_template(asked, tokenize=False) == closed
    if "loud" in settings.chat_template_kwargs:  # a client may still say otherwise
        quiet = tokenizer.apply_chat_template(asked, tokenize=False, loud=False)
        assert "!" in closed
        assert "!" not in quiet


@pytest.mark.parametrize("settings", [{}, {"system": "Be brief."}])
def test_a_chat_template_to_which_nothing_is_added_stays(tmp_path, settings) -> None:
    save_small_model(tmp_path, "llama")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    tokenizer.chat_template = CHATML
    assert served_template(tokenizer, TemplateSettings(kind="chat", **settings)) is None


def test_a_template_in_the_tokenizers_config_gives_way_too(tmp_path) -> None:
    """Servers other than transformers may read it there."""
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"chat_template": CHATML, "model_max_length": 10**30}))
    write_template(tmp_path, "{{ 1 }}")
    assert json.loads(config.read_text()) == {"model_max_length": 10**30}
    assert (tmp_path / "chat_template.jinja").read_text() == "{{ 1 }}"
