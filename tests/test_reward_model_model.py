"""The head: the same score packed, alone, and in plain transformers, for every architecture."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GraniteConfig,
    PreTrainedTokenizerFast,
)

from r1.errors import UserError
from r1.reward_model.encode import EncodedResponse
from r1.reward_model.learner import score_texts
from r1.reward_model.model import (
    HEAD_FILE,
    check_packed_scores,
    load_reward_model,
    padding_token_id,
    set_padding,
)
from reward_model_data import random_pairs
from small_models import ARCHITECTURES, make_tokenizer, save_small_model

EOS = 1


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")

    def folder(architecture: str):
        path = root / architecture
        return path if path.exists() else save_small_model(path, architecture)

    return folder


def texts(seed: int = 0) -> list[EncodedResponse]:
    """Siblings of different lengths under three prompts, each with an end token."""
    found = []
    for pair in random_pairs([(5, 9, 30), (12, 3, 3), (1, 20, 1)], seed):
        for ids in pair.responses:
            ids.append(EOS)
            found.append(EncodedResponse(pair.prompt_ids, ids))
    return found


def packed(model, budget: int = 1000) -> torch.Tensor:
    return torch.tensor(score_texts(model, texts(), "cpu", budget))[:, 0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_transformers_gives_the_same_scores_to_a_padded_batch(
    models, architecture, tmp_path
) -> None:
    model = load_reward_model(models(architecture), seed=3)
    check_packed_scores(model)
    set_padding(model, make_tokenizer())
    with torch.no_grad():
        ours = packed(model)
        alone = packed(model, budget=1)
    model.save(tmp_path, make_tokenizer())
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32)
    assert plain.num_labels == 1
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    rows = [[*text.prompt_ids, *text.response_ids] for text in texts()]
    batch = tokenizer.pad({"input_ids": rows}, return_tensors="pt")
    with torch.no_grad():
        theirs = plain.eval()(**batch).logits[:, 0]
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(ours, alone, atol=1e-4, rtol=1e-4)
    assert ours.std() > 0.1


def test_saved_and_loaded_it_is_the_same_model(models, tmp_path) -> None:
    model = load_reward_model(models("llama"), seed=3)
    check_packed_scores(model)
    model.save(tmp_path)
    again = load_reward_model(tmp_path)
    check_packed_scores(again)
    with torch.no_grad():
        torch.testing.assert_close(packed(again), packed(model), atol=1e-6, rtol=1e-6)


def test_an_architecture_without_classifier_keeps_its_head_beside_it(tmp_path) -> None:
    """Granite has no sequence classification class in transformers."""
    config = GraniteConfig(
        vocab_size=258, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, embedding_multiplier=3.0,
        residual_multiplier=0.7, attention_multiplier=0.3, logits_scaling=2.0,
        pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "base")
    model = load_reward_model(tmp_path / "base", seed=1)
    assert not model.native
    check_packed_scores(model)
    model.save(tmp_path / "saved")
    assert (tmp_path / "saved" / HEAD_FILE).is_file()
    again = load_reward_model(tmp_path / "saved")
    check_packed_scores(again)
    with torch.no_grad():
        scores = packed(model)
        torch.testing.assert_close(packed(again), scores, atol=1e-6, rtol=1e-6)
    assert scores.std() > 0.01
    AutoModelForCausalLM.from_pretrained(tmp_path / "saved")  # still a language model
    (tmp_path / "saved" / HEAD_FILE).write_bytes(b"damaged")
    with pytest.raises(UserError, match="no safetensors file"):
        load_reward_model(tmp_path / "saved")


def test_the_seed_alone_decides_a_fresh_head(models) -> None:
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(heads))
        heads.append(load_reward_model(models("qwen2"), seed=seed).head.weight.tolist())
    assert heads[0] == heads[1] != heads[2]


def test_a_language_model_is_no_reward_model(models) -> None:
    with pytest.raises(UserError, match="no scalar head"):
        load_reward_model(models("qwen2"))


def test_a_classifier_of_several_labels_is_refused(models, tmp_path) -> None:
    three = AutoModelForSequenceClassification.from_pretrained(models("qwen2"), num_labels=3)
    three.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="scalar head"):
        load_reward_model(tmp_path)


def test_the_end_token_is_never_the_padding() -> None:
    """transformers reads the score at the last token that is not padding."""
    tokenizer = make_tokenizer()
    assert padding_token_id(tokenizer) == tokenizer.pad_token_id
    tokenizer.pad_token = tokenizer.eos_token
    other = padding_token_id(tokenizer)
    assert other is not None
    assert other != tokenizer.eos_token_id
    alone = PreTrainedTokenizerFast(
        tokenizer_object=make_tokenizer().backend_tokenizer, eos_token="a", pad_token="a"
    )
    special = [i for i, t in alone.added_tokens_decoder.items() if t.special and t.content != "a"]
    assert padding_token_id(alone) == (special[0] if special else None)


def test_a_tokenizer_that_pads_with_its_end_token_still_agrees_with_transformers(
    models, tmp_path
) -> None:
    tokenizer = make_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    model = load_reward_model(models("qwen2"), seed=3)
    check_packed_scores(model)
    set_padding(model, tokenizer)
    model.save(tmp_path, tokenizer)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32)
    again = AutoTokenizer.from_pretrained(tmp_path)
    rows = [[*text.prompt_ids, *text.response_ids] for text in texts()]
    batch = again.pad({"input_ids": rows}, return_tensors="pt")
    with torch.no_grad():
        theirs = plain.eval()(**batch).logits[:, 0]
        torch.testing.assert_close(packed(model), theirs, atol=2e-4, rtol=1e-4)
