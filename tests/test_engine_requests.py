"""What the engine refuses, how it batches, and how it takes new weights."""

from __future__ import annotations

import pytest
import torch

from r1.errors import UserError
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.scheduler import Room
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import GroupRequest
from small_models import make_model, make_tokenizer, save_small_model

SHORT = SamplingSettings(max_new_tokens=8)


def make_engine(arch: str = "qwen2", seed: int = 0, **settings: object) -> EmbeddedEngine:
    changes: dict[str, object] = {"max_position_embeddings": 64, "eos_token_id": None}
    model = make_model(arch, seed=seed, **changes)
    return EmbeddedEngine(model, None, EngineSettings(device="cpu", **settings))


def request(length: int, samples: int = 2, name: str = "p") -> GroupRequest:
    return GroupRequest(name, tuple(range(5, 5 + length)), tuple(range(samples)))


def test_a_prompt_that_leaves_no_room_is_refused_by_name():
    engine = make_engine()
    with pytest.raises(UserError, match=r"problem sum-7: its prompt has 64 tokens.*context is 64"):
        engine.generate([request(3), request(64, name="sum-7")], SHORT)
    [group] = engine.generate([request(63)], SHORT)
    assert [len(c.token_ids) for c in group.completions] == [1, 1]
    assert {c.finish_reason for c in group.completions} == {"length"}


def test_new_tokens_are_cut_at_the_context():
    [group] = make_engine().generate([request(60)], SHORT)
    assert [len(c.token_ids) for c in group.completions] == [4, 4]


def test_memory_that_can_never_hold_a_request_is_refused_with_the_numbers():
    with pytest.raises(
        UserError, match=r"problem p: .*12 tokens .* 8 need 20 .* max_kv_tokens is 19"
    ):
        make_engine(max_kv_tokens=19).generate([request(12)], SHORT)
    [group] = make_engine(max_kv_tokens=20).generate([request(12, samples=3)], SHORT)
    assert [len(c.token_ids) for c in group.completions] == [8, 8, 8]


@pytest.mark.parametrize("bad", [GroupRequest("e", (), (1,)), GroupRequest("e", (5,), ())])
def test_empty_prompts_and_groups_are_refused(bad):
    with pytest.raises(UserError, match="problem e"):
        make_engine().generate([bad], SHORT)


@pytest.mark.parametrize("stop", [("",), ("a", "")])
def test_empty_stop_strings_are_refused(stop):
    engine = EmbeddedEngine(make_model("qwen2"), make_tokenizer(), EngineSettings(device="cpu"))
    with pytest.raises(UserError, match="stop"):
        engine.generate([request(3)], SamplingSettings(stop=stop))


def test_no_requests_give_no_groups():
    assert list(make_engine().generate([], SHORT)) == []


def test_an_unknown_device_and_a_foreign_architecture_are_refused():
    with pytest.raises(UserError, match=r'engine\.device "abacus" is unknown'):
        EmbeddedEngine(make_model("qwen2"), None, EngineSettings(device="abacus"))
    model = make_model("qwen2")
    model.config.layer_types = ["linear_attention", "full_attention"]
    with pytest.raises(UserError, match="linear_attention"):
        EmbeddedEngine(model, None, EngineSettings(device="cpu"))


def test_groups_come_as_they_finish():
    """A group of short responses overtakes one of long responses asked for before."""
    engine = make_engine()
    requests = [request(10, name="long"), request(60, name="short")]
    names = [g.request.id for g in engine.generate(requests, SHORT)]
    assert names == ["short", "long"]


def test_an_abandoned_iterator_leaves_the_engine_usable():
    engine = make_engine(max_batch=3)
    requests = [request(5 + i, name=f"p{i}") for i in range(6)]
    whole = list(engine.generate(requests, SHORT))
    groups = engine.generate(requests, SHORT)
    next(groups)
    groups.close()
    half = engine.generate(requests, SHORT)
    next(half)  # still open while another call runs
    assert list(engine.generate(requests, SHORT)) == whole
    assert [next(half)] == whole[1:2]


def test_rows_and_slots_stay_within_the_budget():
    for max_kv in (40, 100, 333, 5000):
        room = Room.plan([20, 3, 7], [16, 4, 16], [4, 1, 8], max_batch=512, max_kv_tokens=max_kv)
        assert room.rows * room.own + room.slots * room.prompt <= max_kv
        assert room.rows >= 1
    assert room.rows == 13


@pytest.mark.parametrize("arch", ["qwen2", "qwen3", "deepseek_v3"])
def test_new_weights_are_in_force_at_once(arch):
    """Fused projections and tied embeddings included."""
    engine, other = make_engine(arch), make_engine(arch, seed=1)
    requests = [request(6), request(9, name="q")]
    before = list(engine.generate(requests, SHORT))
    wanted = list(other.generate(requests, SHORT))
    pairs = list(make_model(arch, seed=1, max_position_embeddings=64).named_parameters())
    engine.load_weights(pairs, version=3)
    after = list(engine.generate(requests, SHORT))
    for old, new, want in zip(before, after, wanted, strict=True):
        for a, b, c in zip(old.completions, new.completions, want.completions, strict=True):
            assert b.token_ids == c.token_ids != a.token_ids
            assert b.logprobs == pytest.approx(c.logprobs, abs=1e-5)
            assert (a.version, b.version) == (0, 3)


def test_state_dicts_with_both_tied_names_are_taken():
    engine = make_engine()
    state = make_model("qwen2", seed=1).state_dict()
    assert "lm_head.weight" in state
    engine.load_weights(state.items(), version=1)
    assert torch.equal(engine.model.lm_head.weight, state["model.embed_tokens.weight"])


def test_weights_that_do_not_fit_are_named_and_nothing_is_changed():
    engine = make_engine()
    state = dict(make_model("qwen2", seed=1).named_parameters())
    kept = {k: v.clone() for k, v in engine.model.state_dict().items()}
    state["model.layers.9.extra"] = torch.zeros(2)
    state["model.norm.weight"] = torch.zeros(3)
    del state["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(UserError) as caught:
        engine.load_weights(state.items(), version=1)
    message = str(caught.value)
    assert "missing: model.layers.1.mlp.up_proj.weight" in message
    assert "unexpected: model.layers.9.extra" in message
    assert "model.norm.weight (3,) instead of (64,)" in message
    assert engine.version == 0
    assert all(torch.equal(v, kept[k]) for k, v in engine.model.state_dict().items())


def test_from_pretrained_reads_a_saved_folder(tmp_path):
    engine = EmbeddedEngine.from_pretrained(
        save_small_model(tmp_path), EngineSettings(device="cpu")
    )
    prompt = tuple(make_tokenizer().encode("2+2="))
    [group] = engine.generate([GroupRequest("a", prompt, (1, 2))], SHORT)
    assert len(group.completions) == 2
    assert engine.end_ids == (1,)
