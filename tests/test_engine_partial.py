"""New weights while responses are under way: each token is drawn by the weights of its moment."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.errors import UserError
from r1.learner.objective import PolicyTokens, Totals
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.refill import parts
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import Completion, GroupRequest
from small_models import ARCHITECTURES, make_model
from test_engine_numerics import SLIDING, plain_logprobs, ragged_requests

SAMPLING = SamplingSettings(max_new_tokens=24)
ENDS = {"eos_token_id": list(range(12))}


def make_engine(arch: str = "qwen2", changes: dict | None = None, **settings: object):
    model = make_model(arch, **ENDS, **(changes or {}))
    return EmbeddedEngine(model, None, EngineSettings(device="cpu", **settings))


def weights_of(arch: str, seed: int, changes: dict | None = None):
    return make_model(arch, seed=seed, **(changes or {})).named_parameters()


def poll(engine: EmbeddedEngine, num: int | None = None) -> dict[str, list[Completion]]:
    """Groups that end within num polls, or all that are under way."""
    found = {}
    while num != 0 and (engine._partial or engine._later):
        found |= {group.request.id: group.completions for group in engine.poll()}
        num = None if num is None else num - 1
    return found


def num_by_old(request: GroupRequest, completion: Completion, old, new) -> int:
    """How many tokens the old weights drew: up to one place all, and from there on none."""
    got = torch.tensor(completion.logprobs, dtype=torch.float64)
    matches = [
        (got - plain_logprobs(model, request.prompt_ids, completion.token_ids)).abs() < 1e-4
        for model in (old, new)
    ]
    fits = [
        place
        for place in range(len(got) + 1)
        if bool(matches[0][:place].all() and matches[1][place:].all())
    ]
    assert len(fits) == 1, f"{request.id}: {matches}"
    return fits[0]


@pytest.mark.few(6)
@pytest.mark.parametrize(
    ("arch", "changes"), [*((arch, {}) for arch in ARCHITECTURES), ("qwen2", SLIDING)]
)
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("mode", ["polled", "generated"])
def test_logprobs_are_those_of_the_weights_that_drew_each_token(arch, changes, native, mode):
    engine = make_engine(arch, changes, native=native)
    requests = ragged_requests()
    if mode == "polled":
        engine.submit(requests, SAMPLING)
        found = poll(engine, 7)
    else:
        stream = engine.generate(requests, SAMPLING)
        first = next(stream)
        found = {first.request.id: first.completions}
    engine.load_weights(weights_of(arch, 1, changes), 5)
    if mode == "polled":
        found |= poll(engine)
    else:
        found |= {group.request.id: group.completions for group in stream}
    old, new = (make_model(arch, seed=seed, **changes) for seed in (0, 1))
    places = set()
    for request in requests:
        for completion in found[request.id]:
            place = num_by_old(request, completion, old, new)
            assert completion.version == 0
            if place < len(completion.token_ids):
                places.add(place)
    assert len(places) == 1, "all rows are given new weights at the same step"
    assert mode == "generated" or places == {8}  # a token at the start, then one a poll


def test_importance_weights_correct_the_tokens_of_older_weights_alone():
    """d loss / d log pi(t) = -a_t c_t A on-policy: c_t is pi_new / pi_old, truncated, then 1."""
    engine, cap = make_engine(), 2.0
    requests = ragged_requests()
    engine.submit(requests, SAMPLING)
    found = poll(engine, 7)
    engine.load_weights(weights_of("qwen2", 1), 1)
    found |= poll(engine)
    old, new = (make_model("qwen2", seed=seed) for seed in (0, 1))
    settings = GRPOSettings(kl_weight=0.0, importance_cap=cap, aggregate="token")
    seen = set()
    for request in requests:
        for completion in found[request.id]:
            ids, T = completion.token_ids, len(completion.token_ids)
            policy = plain_logprobs(new, request.prompt_ids, ids)
            tokens = PolicyTokens(
                logprobs_M=policy.clone().requires_grad_(True),
                old_logprobs_M=policy,
                engine_logprobs_M=torch.tensor(completion.logprobs, dtype=torch.float64),
                reference_logprobs_M=None,
                entropy_M=torch.zeros(T),
                response_M=torch.zeros(T, dtype=torch.int64),
                advantages_M=torch.full((T,), 2.0, dtype=torch.float64),
                weights_R=torch.ones(1, dtype=torch.float64),
                lengths_R=torch.tensor([T]),
            )
            loss = GRPO(settings).loss(tokens, Totals(1, T)).loss
            (gradient,) = torch.autograd.grad(loss, tokens.logprobs_M)
            weights = -gradient * T / 2.0
            ratio = (policy - plain_logprobs(old, request.prompt_ids, ids)).exp()
            expected = torch.cat((ratio[:8].clamp(max=cap), torch.ones(max(0, T - 8))))
            torch.testing.assert_close(weights, expected[:T].double(), atol=1e-3, rtol=1e-3)
            seen |= {"old" if T <= 8 else "both", "cut" if (ratio[:8] > cap).any() else "whole"}
    assert seen == {"old", "both", "cut", "whole"}


def test_few_groups_leave_room_for_those_that_join_them():
    """A round of dynamic sampling may come to an idle engine, and whole batches after it."""
    engine = make_engine()
    requests = [GroupRequest(str(i), (20, 21 + i), (2 * i, 2 * i + 1)) for i in range(6)]
    engine.submit(requests[:5], SAMPLING)
    poll(engine)
    engine.submit(requests[5:], SAMPLING)
    engine.poll()
    engine.submit(requests[:4], SAMPLING)
    engine.poll()
    assert engine._partial is not None
    assert not engine._partial.waiting
    assert len(poll(engine)) == 5


def test_what_enters_later_begins_with_the_new_weights(monkeypatch):
    """Few rows: groups enter in parts, so that one may hold samples of two versions."""
    monkeypatch.setattr(EngineSettings, "prefill_tokens", 16)
    engine = make_engine(max_batch=4)
    requests = ragged_requests()
    engine.submit(requests[:6], SAMPLING)
    found = poll(engine, 5)
    engine.load_weights(weights_of("qwen2", 1), 1)
    engine.submit(requests[6:], SAMPLING)
    found |= poll(engine, 4)
    engine.load_weights(weights_of("qwen2", 2), 2)
    found |= poll(engine)
    models = [make_model("qwen2", seed=seed) for seed in range(3)]
    spans = set()
    for request in requests:
        for completion in found[request.id]:
            expected = [
                plain_logprobs(model, request.prompt_ids, completion.token_ids) for model in models
            ]
            drawn = []
            for place, logprob in enumerate(completion.logprobs):
                fits = [v for v in range(3) if abs(float(expected[v][place]) - logprob) < 1e-4]
                assert len(fits) == 1, f"{request.id}, token {place}: {fits}"
                drawn += fits
            assert drawn == sorted(drawn)
            assert drawn[0] == completion.version
            spans.add(tuple(sorted(set(drawn))))
    assert {(0,), (0, 1), (2,)} <= spans
    assert any(len(span) > 1 and 2 in span for span in spans)


@pytest.mark.parametrize("native", [True, False])
def test_the_same_weights_again_change_nothing_that_is_drawn(native):
    requests = ragged_requests()
    engine = make_engine(native=native)
    expected = {g.request.id: g.completions for g in engine.generate(requests, SAMPLING)}
    engine.submit(requests, SAMPLING)
    found = poll(engine, 3)
    for version in (1, 2):
        engine.load_weights(weights_of("qwen2", 0), version)
        found |= poll(engine, 4)
    found |= poll(engine)
    for name, completions in expected.items():
        assert [c.token_ids for c in found[name]] == [c.token_ids for c in completions]
        for ours, theirs in zip(found[name], completions, strict=True):
            assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)


def test_polled_and_generated_are_the_same_bytes():
    engine, requests = make_engine(), ragged_requests()
    expected = {g.request.id: g.completions for g in engine.generate(requests, SAMPLING)}
    engine.submit(requests[:5], SAMPLING)
    engine.submit(requests[5:], SAMPLING)
    engine.submit([], SAMPLING)
    assert poll(engine) == expected
    engine.submit([], SAMPLING)
    assert engine.poll() == []


def test_longer_prompts_wait_for_their_turn_and_are_sampled_all_the_same():
    engine = make_engine()
    short, long = (GroupRequest(n, tuple(range(20, 20 + size)), (3, 4)) for n, size in SIZES)
    expected = {g.request.id: g.completions for g in engine.generate([short, long], SAMPLING)}
    engine.submit([short], SAMPLING)
    found = poll(engine, 1)
    engine.submit([long], SAMPLING)
    engine.poll()
    assert len(engine._later) == 1
    found |= poll(engine)
    assert tokens(found) == tokens(expected)
    engine.submit([short], SAMPLING)
    engine.poll()
    engine.submit([long], SAMPLING)
    engine.poll()
    assert not engine._later, "there is room for the longest prompt met so far"


SIZES = (("short", 3), ("long", 30))


def tokens(found: dict[str, list[Completion]]) -> dict[str, list[list[int]]]:
    return {name: [c.token_ids for c in completions] for name, completions in found.items()}


def test_what_cannot_be_sampled_is_refused_at_once():
    engine = make_engine()
    with pytest.raises(UserError, match="problem p: the prompt has no tokens"):
        engine.submit([GroupRequest("p", (), (1,))], SAMPLING)
    assert engine.poll() == []


def test_parts_keep_within_the_budget():
    def cut(sizes: Sequence[int]) -> list[Sequence[int]]:
        return [sizes[part] for part in parts(sizes, 10)]

    assert cut([4, 6, 1, 12, 3]) == [[4, 6], [1], [12], [3]]
    assert cut([]) == []
