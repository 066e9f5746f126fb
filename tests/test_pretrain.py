"""Pretraining the base: the loss is plain cross-entropy, a killed run carries on to equal bytes."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from r1.config import load_recipe
from r1.models.load import load_tokenizer
from r1.pretrain.documents import draw_groups
from r1.pretrain.settings import PretrainRecipe
from r1.pretrain.train import pretrain

SMALL = (
    "num_steps=4", "tokens_per_step=600", "tokens_per_microbatch=300", "checkpoint_every=2",
    "tokenizer_documents=300", "num_threads=0", "model.vocab_size=320", "model.hidden_size=32",
    "model.intermediate_size=32", "model.num_layers=1", "model.num_heads=2", "model.num_kv_heads=1",
)  # fmt: skip


@pytest.fixture
def recipe(tmp_path) -> PretrainRecipe:
    path = tmp_path / "base.toml"
    path.write_text('[optimizer]\nkind = "muon"\nlr = 4e-3\nmuon_lr = 0.02\n')
    return load_recipe(path, PretrainRecipe, list(SMALL))


def test_the_loss_is_cross_entropy_over_whole_documents(recipe, tmp_path) -> None:
    """A learning rate of nothing keeps the model that the first loss was measured on."""
    losses: list[float] = []
    still = recipe.model_copy(
        update={"num_steps": 1, "optimizer": recipe.optimizer.model_copy(
            update={"lr": 1e-12, "muon_lr": 1e-12, "weight_decay": 0.0})}
    )  # fmt: skip
    folder = pretrain(still, tmp_path / "base", lambda step, loss, left: losses.append(loss))
    model = AutoModelForCausalLM.from_pretrained(folder)
    groups = draw_groups(load_tokenizer(folder), recipe.tokens_per_step, recipe.seed, 0)
    total, count = 0.0, 0
    with torch.no_grad():
        for group in groups:
            ids = torch.tensor([[*group.prompt_ids, *group.responses[0].token_ids]])
            loss = model(ids, labels=ids).loss.item()
            total, count = total + loss * (ids.shape[1] - 1), count + ids.shape[1] - 1
    assert losses[0] == pytest.approx(total / count, rel=1e-5)


def test_a_killed_run_ends_in_the_same_bytes(recipe, tmp_path) -> None:
    whole = pretrain(recipe, tmp_path / "whole")

    def stop(step: int, loss: float, left: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(recipe, tmp_path / "killed", stop)
    steps: list[int] = []
    killed = pretrain(recipe, tmp_path / "killed", lambda step, *_: steps.append(step))
    assert steps == [3, 4]
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name


def test_a_kill_within_a_checkpoint_or_the_last_save_is_carried_on(
    recipe, tmp_path, monkeypatch
) -> None:
    whole = pretrain(recipe, tmp_path / "whole")
    few = recipe.model_copy(update={"checkpoint_every": 250})  # no checkpoint on the way
    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedTokenizerFast, "save_pretrained", _killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain(few, tmp_path / "last")
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / ".tmp-pretrain_state.pt").write_bytes(b"half")
    for name in ("last", "first"):
        found = pretrain(few, tmp_path / name)
        assert (found / "model.safetensors").read_bytes() == (
            whole / "model.safetensors"
        ).read_bytes()
        assert not [path for path in found.iterdir() if "state" in path.name]


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_any_seed_serves(recipe, tmp_path) -> None:
    one_step = recipe.model_copy(update={"num_steps": 1, "seed": 2**64 + 5})
    assert (pretrain(one_step, tmp_path / "base") / "model.safetensors").exists()


def test_documents_depend_on_seed_and_step_alone(recipe, tmp_path) -> None:
    tokenizer = load_tokenizer(pretrain(recipe, tmp_path / "base"))
    first = draw_groups(tokenizer, 500, seed=1, step=0)
    assert first == draw_groups(tokenizer, 500, seed=1, step=0)
    assert first != draw_groups(tokenizer, 500, seed=1, step=1)
    ends = [group.responses[0].token_ids[-1] for group in first]
    assert set(ends) == {tokenizer.eos_token_id}
