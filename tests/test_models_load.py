"""Loading: what a broken or foreign folder is answered with, and what a good one gives."""

from __future__ import annotations

import json

import pytest
import torch

from r1.errors import UserError
from r1.models.device import resolve_device
from r1.models.load import check_vocabulary, load_model, load_tokenizer, read_config, save_model
from small_models import ARCHITECTURES, make_model, make_tokenizer, save_small_model


@pytest.fixture
def folder(tmp_path):
    return save_small_model(tmp_path / "model")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_saved_and_loaded_gives_the_same_logits(tmp_path, arch):
    model, ids = make_model(arch), torch.arange(2, 12)[None]
    save_model(model, tmp_path, make_tokenizer())
    loaded = load_model(tmp_path)
    assert torch.equal(loaded(ids).logits, model(ids).logits)
    assert load_model(tmp_path, "bfloat16").dtype == torch.bfloat16
    assert not loaded.training


def test_tokenizer_round_trip(folder):
    tokenizer = load_tokenizer(folder)
    assert len(tokenizer) == 258
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1)
    text = "1 + 2 = 3, 你好 <think>\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    check_vocabulary(load_model(folder), tokenizer)


def test_a_checkpoint_that_its_run_removed_meanwhile(tmp_path):
    """Between the choice of the newest checkpoint and its reading, a run may write a newer one."""
    gone = tmp_path / "checkpoints" / "step-000002"
    gone.parent.mkdir()
    for read in (read_config, load_tokenizer):
        with pytest.raises(UserError, match=r"step-000002 was removed while it was read: a run"):
            read(gone)


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UserError, match="unknown"):
        resolve_device("gpu")
    with pytest.raises(UserError, match="not available"):
        resolve_device("cuda:99")


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def edit(path, **changes):
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, **changes}))


def drop_a_tensor(folder):
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    weights = load_file(file)
    del weights["model.norm.weight"]
    save_file(weights, file, metadata={"format": "pt"})


BROKEN = {
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
    "unknown architecture": (lambda f: edit(f / "config.json", model_type="zorg"), "zorg"),
    "layers of another number": (
        lambda f: edit(f / "config.json", num_hidden_layers=7),
        "must go together",
    ),
    "no language model": (lambda f: edit(f / "config.json", model_type="vit"), "vit"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "weights are missing"),
    "truncated weights": (lambda f: cut(f / "model.safetensors"), "header promises"),
    "weights of zero bytes": (lambda f: (f / "model.safetensors").write_bytes(b""), "truncated"),
    "weights that are text": (
        lambda f: (f / "model.safetensors").write_text("version https://git-lfs"),
        "truncated or no safetensors",
    ),
    "a tensor is missing": (drop_a_tensor, "model.norm.weight"),
    "a shard is missing": (
        lambda f: (f / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}})
        ),
        "lacks the weight file",
    ),
}


@pytest.mark.parametrize(("damage", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_folders_are_refused(folder, damage, message):
    damage(folder)
    with pytest.raises(UserError, match=message):
        load_model(folder)


@pytest.mark.parametrize("path", ["/nowhere/model", "./nowhere", "nowhere"])
def test_a_missing_folder_is_no_request_to_the_hub(path):
    with pytest.raises(UserError, match="does not exist"):
        load_model(path)


def test_tokenizers_that_cannot_serve(folder, tmp_path):
    edit(folder / "tokenizer_config.json", eos_token=None)
    with pytest.raises(UserError, match="no end token"):
        load_tokenizer(folder)
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
    small = make_model("qwen2", vocab_size=100)
    with pytest.raises(UserError, match="258 tokens but the model embeds only 100"):
        check_vocabulary(small, make_tokenizer())
