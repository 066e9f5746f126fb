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


def test_a_template_in_the_tokenizers_config_gives_way_too(tmp_path) -> None:
    """Servers other than transformers may read it there."""
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"chat_template": CHATML, "model_max_length": 10**30}))
    write_template(tmp_path, "{{ 1 }}")
    assert json.loads(config.read_text()) == {"model_max_length": 10**30}
    assert (tmp_path / "chat_template.jinja").read_text() == "{{ 1 }}"
