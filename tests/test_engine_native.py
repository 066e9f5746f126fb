"""decode.c against float64 references, and the engine without a compiler."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from r1.native import build, kernels
from r1.rollout import native
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.kv_cache import KVMemory
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import GroupRequest
from small_models import make_model

needs_compiler = pytest.mark.skipif(native.library() is None, reason="no C compiler here")


@needs_compiler
@pytest.mark.parametrize(("D", "V"), [(16, 16), (24, 12), (32, 32), (64, 64), (128, 128)])
@pytest.mark.parametrize(("repeats", "window"), [(1, 0), (3, 0), (2, 37)])
def test_attention_equals_a_float64_reference(D, V, repeats, window):
    """Two slots, prompts beyond one block of keys, rows of unequal length."""
    generator = torch.Generator().manual_seed(D + repeats)
    rows, heads, lengths, slots = 5, 2, torch.tensor([0, 3, 40, 7, 299]), np.array([1, 0, 1, 1, 0])
    prompt_lengths = np.array([300, 9])
    memory = KVMemory(1, rows, 300, 2, 300)
    query = 2 * torch.randn(rows, repeats * heads, D, generator=generator)
    key = torch.randn(rows, heads, D, generator=generator)
    value = torch.randn(rows, heads, V, generator=generator)
    prompt_keys, prompt_values = memory.prompt_of(0, key, value)
    own = {name[0]: stacks[0][0] for name, stacks in memory.stacks.items()}
    for tensor in (prompt_keys, prompt_values, own["key"], own["value"]):
        tensor.normal_(generator=generator)
    step = native.NativeDecodeStep(memory, native.library(), slots, prompt_lengths, lengths, 299)
    out = step.attend(0, query, key, value, 0.3, window)
    for row, (length, slot) in enumerate(zip(lengths.tolist(), slots.tolist(), strict=True)):
        own_part = slice(1, length + 2)
        assert torch.equal(own["key"][row, :, length + 1], key[row])
        keys = torch.cat(
            [prompt_keys[slot, :, : prompt_lengths[slot]], own["key"][row, :, own_part]], dim=1
        ).double()
        values = torch.cat(
            [prompt_values[slot, :, : prompt_lengths[slot]], own["value"][row, :, own_part]], dim=1
        ).double()
        first = max(0, keys.shape[1] - window) if window else 0
        q = query[row].double().view(heads, repeats, D)
        weights = (0.3 * q @ keys[:, first:].transpose(1, 2)).softmax(-1)
        expected = (weights @ values[:, first:]).view(-1, V)
        assert float((out[row] - expected).abs().max()) < 1e-5


@needs_compiler
@pytest.mark.parametrize("width", [1, 7, 128, 384])
def test_norm_and_gate_equal_float64_references(width):
    x = 5 * torch.randn(9, width)
    weight = torch.randn(width)
    norm = x.double() / (x.double().pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * weight
    assert torch.allclose(native.rms_norm(x, weight, 1e-6).double(), norm, rtol=1e-5, atol=1e-6)
    both = torch.cat([30 * torch.randn(4, width), torch.randn(4, width)], dim=-1)
    gate, up = both.double().chunk(2, dim=-1)
    expected = torch.nn.functional.silu(gate) * up
    assert torch.allclose(native.silu_gate(both).double(), expected, rtol=1e-5, atol=1e-6)


@needs_compiler
def test_nan_is_not_hidden():
    x = torch.ones(2, 16)
    x[1, 3] = float("nan")
    assert native.rms_norm(x, torch.ones(16), 1e-6)[1].isnan().all()
    assert native.silu_gate(x)[1].isnan().any()


def clear() -> None:
    native.library.cache_clear()
    build.cache_clear()


def test_without_a_compiler_the_engine_gives_the_same(monkeypatch, tmp_path):
    requests = [GroupRequest("a", (5, 6, 7), (1, 2, 3)), GroupRequest("b", (9,), (4, 5))]

    def respond() -> list[list[int]]:
        engine = EmbeddedEngine(make_model("qwen2"), None, EngineSettings(device="cpu"))
        groups = engine.generate(requests, SamplingSettings(max_new_tokens=20))
        return [c.token_ids for group in groups for c in group.completions]

    expected = respond()
    clear()
    monkeypatch.setenv("CC", str(tmp_path / "no-such-compiler"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        assert native.library() is None
        assert respond() == expected
    finally:
        clear()


@needs_compiler
@pytest.mark.parametrize("compiler", ["gcc -O2", "  gcc  -pipe", "env gcc"])
def test_a_compiler_with_options_is_a_command(monkeypatch, tmp_path, compiler):
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clear()
    try:
        assert native.library() is not None
    finally:
        clear()


@needs_compiler
def test_a_cache_that_cannot_be_written_changes_no_number(monkeypatch, tmp_path):
    expected = kernels()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    clear()
    try:
        assert kernels() == expected
    finally:
        clear()


@pytest.mark.parametrize(
    ("compiler", "why"), [("no-such-compiler", "no C compiler"), ("false", "cannot compile")]
)
def test_what_is_computed_without_a_compiler_is_recorded(monkeypatch, tmp_path, compiler, why):
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clear()
    try:
        assert all(told.startswith("torch (") and why in told for told in kernels().values())
    finally:
        clear()
