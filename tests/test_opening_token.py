"""BOS: written where a model's texts begin with it and its tokenizer lost it, nowhere else."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from r1.models.load import load_tokenizer
from r1.models.opening_token import begins_with_bos, opening_facts, write_bos
from r1.template import PromptRenderer, TemplateSettings

BOS = 2


def save(folder: Path, writes: bool = False, **config: object) -> Path:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = {"<pad>": 0, "<eos>": 1, "<bos>": BOS}
    inner = Tokenizer(BPE(vocab=special | {s: 3 + i for i, s in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    if writes:
        inner.post_processor = TemplateProcessing(
            single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", BOS)]
        )
    words = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>"}
    PreTrainedTokenizerFast(tokenizer_object=inner, **words).save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return folder


@pytest.mark.parametrize(
    ("writes", "config", "begins"),
    [
        (False, {"add_bos_token": True}, True),
        (False, {"add_bos_token": False}, False),
        (False, {}, False),
        (True, {}, True),
        (True, {"add_bos_token": True}, True),
        (False, {"add_bos_token": True, "tokenizer_class": "PreTrainedTokenizerFast"}, True),
    ],
)
def test_bos_is_written_where_the_tokenizer_says_so(tmp_path, writes, config, begins) -> None:
    tokenizer = load_tokenizer(save(tmp_path / "a", writes, **config))
    for kind in ("plain", "r1_zero"):
        ids = PromptRenderer(tokenizer, TemplateSettings(kind=kind)).encode("hello")
        assert (ids[0] == BOS) is begins
        assert ids.count(BOS) == begins  # once
    tokenizer.save_pretrained(tmp_path / "b")  # as with a trained model
    assert load_tokenizer(tmp_path / "b")("hello").input_ids == tokenizer("hello").input_ids


@pytest.mark.parametrize(
    ("config", "bos_token", "begins"),
    [
        ({"add_bos_token": True}, "<bos>", True),
        ({"add_bos_token": False}, None, False),  # it says so itself: nothing is missing
        ({}, "<bos>", False),
    ],
)
def test_a_run_records_whether_its_prompts_begin_with_bos(
    tmp_path, config, bos_token, begins
) -> None:
    tokenizer = load_tokenizer(save(tmp_path, **config))
    prompt = PromptRenderer(tokenizer, TemplateSettings(kind="plain")).encode("?")
    assert opening_facts(tokenizer, prompt) == {
        "bos_token": bos_token,
        "eos_token": "<eos>",
        "prompts_begin_with_bos": begins,
    }


@pytest.mark.parametrize(
    ("template", "bos_token"),
    [
        ("{% for m in messages %}{{ bos_token }}{{ m.content }}{% endfor %}", None),
        ("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}", "<bos>"),
        ("{{ raise_exception('no') }}", "<bos>"),
    ],
)
def test_a_mark_of_turns_is_not_missed_in_texts(tmp_path, template, bos_token) -> None:
    tokenizer = load_tokenizer(save(tmp_path))
    tokenizer.chat_template = template
    assert opening_facts(tokenizer, [5])["bos_token"] == bos_token


def test_a_gemma_tokenizer_writes_it_and_says_so(tmp_path, caplog) -> None:
    """Gemma's family is trained with BOS; a conversion says nothing but its name."""
    folder = save(tmp_path / "a")
    tokenizer = load_tokenizer(folder)
    assert not begins_with_bos(tokenizer)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GemmaTokenizer"}')
    assert write_bos(tokenizer, folder)
    assert begins_with_bos(tokenizer)
    assert not write_bos(tokenizer, folder)
    assert tokenizer("a", add_special_tokens=False).input_ids[0] != BOS
    with caplog.at_level(logging.WARNING):
        load_tokenizer(save(tmp_path / "b", add_bos_token=True))
    assert "does not write <bos>" in caplog.text


@pytest.mark.parametrize(("template", "warns"), [("{{ bos_token }}U", False), ("U", True)])
def test_a_chat_template_without_it_is_told(tmp_path, caplog, template, warns) -> None:
    tokenizer = load_tokenizer(save(tmp_path / "a", writes=True))
    with caplog.at_level(logging.WARNING):
        template += "{{ messages[0].content }}"
        PromptRenderer(tokenizer, TemplateSettings(kind="chat", chat_template=template))
    assert ("writes no <bos>" in caplog.text) is warns
