"""tree_attention.c against float64, over widths, shared heads, ragged lengths and threads."""

from __future__ import annotations

import ctypes
import random

import pytest
import torch

from r1.learner import native_attention
from r1.learner.native_attention import NativeTreeAttention, fits
from r1.learner.packing import pack_groups
from r1.learner.padded_attention import padded_attention
from r1.types import TrainGroup, TrainResponse

pytestmark = pytest.mark.skipif(native_attention.library() is None, reason="no C compiler here")


def make_layout(seed: int):
    """Prompts and responses around the widths of a vector, a response of one token, none at all."""
    rng = random.Random(seed)
    groups = [
        TrainGroup((1,) * prompt, [TrainResponse([1] * n, [], []) for n in lengths])
        for prompt, lengths in (
            (1, [2, 17, 5]),
            (16, [1, 16, 33]),
            (37, [rng.randrange(1, 70) for _ in range(5)]),
            (3, []),
        )
    ]
    return pack_groups(groups).layout


def attend(function, inputs, layout, dtype, grad):
    tensors = [x.to(dtype).requires_grad_() for x in inputs]
    out = function(*tensors, layout, inputs[0].shape[-1] ** -0.5)
    return [out.detach(), *torch.autograd.grad(out, tensors, grad.to(dtype))]


@pytest.mark.parametrize("width", [16, 32, 64, 128])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (6, 1)])
def test_values_and_gradients_equal_float64(width, heads, kv_heads) -> None:
    torch.manual_seed(width + heads)
    layout = make_layout(width)
    shapes = [(layout.num_tokens, h, width) for h in (heads, kv_heads, kv_heads)]
    inputs = [2 * torch.randn(shape) for shape in shapes]
    grad = torch.randn(shapes[0])
    expected = attend(padded_attention, inputs, layout, torch.float64, grad)
    got = attend(NativeTreeAttention.apply, inputs, layout, torch.float32, grad)
    for ours, exact in zip(got, expected, strict=True):
        assert float((ours - exact).abs().max() / exact.abs().max()) < 5e-6


def test_heads_before_tokens_and_any_number_of_threads() -> None:
    """transformers hands over [H, N, E]; the sums must not depend on who computes them."""
    layout = make_layout(0)
    heads_first = [torch.randn(h, layout.num_tokens, 32) for h in (4, 2, 2)]
    grad = torch.randn(layout.num_tokens, 4, 32)
    plain = [x.transpose(0, 1).contiguous() for x in heads_first]
    strided = [x.transpose(0, 1) for x in heads_first]
    before = torch.get_num_threads()
    try:
        results = []
        for threads, inputs in ((1, plain), (2, strided), (3, plain)):
            torch.set_num_threads(threads)
            function = NativeTreeAttention.apply
            results.append(attend(function, inputs, layout, torch.float32, grad))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_a_layout_is_described_once_and_never_put_into_buckets() -> None:
    layout = make_layout(1)
    inputs = [torch.randn(layout.num_tokens, h, 16) for h in (4, 2, 2)]
    grad = torch.randn(inputs[0].shape)
    first = attend(NativeTreeAttention.apply, inputs, layout, torch.float32, grad)
    table = vars(layout)["segment_table"]
    again = attend(NativeTreeAttention.apply, inputs, layout, torch.float32, grad)
    assert vars(layout)["segment_table"] is table
    assert "buckets" not in vars(layout)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_response_longer_than_a_tile_equals_float64() -> None:
    """Sums over queries go on from one tile of 512 to the next."""
    torch.manual_seed(0)
    layout = pack_groups(
        [
            TrainGroup((1,) * 530, [TrainResponse([1] * n, [], []) for n in (514, 1, 700)]),
            TrainGroup((1,), [TrainResponse([1] * 1026, [], [])]),
        ]
    ).layout
    inputs = [torch.randn(layout.num_tokens, h, 16) for h in (2, 1, 1)]
    grad = torch.randn(inputs[0].shape)
    expected = attend(padded_attention, inputs, layout, torch.float64, grad)
    got = attend(NativeTreeAttention.apply, inputs, layout, torch.float32, grad)
    for ours, exact in zip(got, expected, strict=True):
        assert float((ours - exact).abs().max() / exact.abs().max()) < 5e-6


def test_scratch_grows_with_the_response_and_not_with_its_square() -> None:
    """32,768 tokens took 8.8 GB a thread where all scores were held at once."""

    def scratch(tokens: int) -> int:
        group = TrainGroup((1,) * 128, [TrainResponse([1] * tokens, [], [])])
        segments, first = pack_groups([group]).layout.segment_table
        tree = native_attention._Tree(
            segments=segments.data_ptr(), first_segment=first.data_ptr(), groups=1, H=1, J=1, E=128
        )
        function = native_attention.library().tree_scratch
        function.argtypes, function.restype = (
            [ctypes.POINTER(native_attention._Tree)],
            ctypes.c_int64,
        )
        return 4 * function(tree)

    assert scratch(32_768) < 0.3e9
    assert scratch(32_768) < 8.1 * scratch(4096)


def test_what_it_is_not_written_for_is_left_to_torch() -> None:
    def x(width: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(3, 2, width, dtype=dtype)

    assert fits(x(32), x(32), x(32))
    assert not fits(x(24), x(24), x(24))
    assert not fits(x(32), x(32), x(16))
    assert not fits(*[x(32, torch.float64)] * 3)


def test_a_number_that_is_none_stays_visible() -> None:
    layout = make_layout(1)
    inputs = [torch.randn(layout.num_tokens, h, 16) for h in (2, 2, 2)]
    inputs[2][0] = float("nan")
    assert NativeTreeAttention.apply(*inputs, layout, 0.3)[0].isnan().all()
