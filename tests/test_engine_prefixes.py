"""Prompts that are kept between calls: what begins with one computes the rest, and nothing else."""

from __future__ import annotations

import random
from contextlib import nullcontext

import pytest
import torch

from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.prefixes import Prefixes
from r1.rollout.protocol import PrefixEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.search.engine import ConstantScorer, SearchEngine, read_records
from r1.search.settings import SearchSettings
from r1.types import GroupRequest
from small_models import ARCHITECTURES, make_model, make_tokenizer
from test_engine_numerics import SLIDING, plain_logprobs

SAMPLING = SamplingSettings(max_new_tokens=6)
ROOTS = ((7, 8, 9, 10, 11, 12), (7, 8, 30), (40,))


def make_engine(arch: str = "qwen2", changes: dict | None = None, **settings: object):
    changes = {"eos_token_id": list(range(5)), **(changes or {})}
    model = make_model(arch, scale=1.0, **changes)
    return EmbeddedEngine(model, make_tokenizer(), EngineSettings(device="cpu", **settings))


def calls(num: int, seed: int = 0) -> list[list[GroupRequest]]:
    """Requests of some calls: prompts that grow by one to five tokens, come again, or are new."""
    draw = random.Random(seed)
    prompts, found = [*ROOTS], []
    for _ in range(num):
        asked = []
        for n in range(4):
            ids = draw.choice(prompts)
            more = tuple(draw.randrange(5, 250) for _ in range(draw.randrange(0, 6)))
            asked.append(GroupRequest(f"p{n}", ids + more, (draw.randrange(99), 5)))
        prompts += [request.prompt_ids for request in asked]
        found.append(asked)
    return found


@pytest.mark.few(4)
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    ("arch", "changes"), [*((arch, {}) for arch in ARCHITECTURES), ("qwen2", SLIDING)]
)
def test_log_probabilities_are_those_of_whole_prompts(arch, changes, native) -> None:
    engine = make_engine(arch, changes, native=native)
    model = make_model(arch, scale=1.0, **changes)
    reused = 0
    with engine.keeping_prefixes() as kept:
        for requests in calls(8):
            for request, completions in engine.generate(requests, SAMPLING):
                reused += kept.reused[request.id]
                assert kept.reused[request.id] < len(request.prompt_ids)
                for completion in completions:
                    found = torch.tensor(completion.logprobs, dtype=torch.float64)
                    plain = plain_logprobs(model, request.prompt_ids, completion.token_ids)
                    assert (found - plain).abs().max() < 1e-4
    assert reused > 100
    assert engine._prefixes is None


def test_a_token_of_the_tree_is_kept_once() -> None:
    engine = make_engine()
    paths = [(5, 6, 7), (5, 6, 7, 8, 9), (5, 6, 7, 8, 9), (5, 6, 7, 10), (5, 20)]
    with engine.keeping_prefixes() as kept:
        loaded = []
        for ids in paths:
            list(engine.generate([GroupRequest("p", ids, (1,))], SAMPLING))
            loaded.append(kept.reused["p"])
        assert loaded == [0, 3, 4, 3, 0]
        assert (len(kept), kept.num_tokens) == (4, 3 + 2 + 1 + 2)


def test_what_does_not_fit_is_not_kept_and_what_came_first_stays() -> None:
    engine = make_engine()
    kept = engine._prefixes = Prefixes(max_tokens=8)

    def ask(*ids: int) -> int:
        list(engine.generate([GroupRequest("p", ids, (1,))], SAMPLING))
        assert kept.num_tokens <= 8
        return kept.reused["p"]

    assert [ask(5, 6, 7), ask(5, 6, 7, 8), ask(9, 10, 11)] == [0, 3, 0]
    assert ask(5, 6, 7, 9, 9) == 3  # 9 tokens would be too many
    assert ask(5, 6, 7, 9, 9) == 3
    assert ask(9, 10, 11, 12) == 3  # the eighth
    assert ask(9, 10, 11, 12, 13) == 4
    assert ask(*range(20, 40)) == ask(*range(20, 40)) == 0


def test_a_drawn_sequence_of_calls_never_keeps_more_than_it_may() -> None:
    engine, model = make_engine(), make_model("qwen2", scale=1.0)
    kept = engine._prefixes = Prefixes(max_tokens=40)
    for requests in calls(40, seed=3):
        for request, completions in engine.generate(requests, SAMPLING):
            found = torch.tensor(completions[0].logprobs, dtype=torch.float64)
            plain = plain_logprobs(model, request.prompt_ids, completions[0].token_ids)
            assert (found - plain).abs().max() < 1e-4
        assert kept.num_tokens == sum(len(e.ids) - e.start for e in kept._kept.values()) <= 40


def test_new_weights_forget_everything() -> None:
    engine, new = make_engine(), make_model("qwen2", seed=4, scale=1.0)
    with engine.keeping_prefixes() as kept:
        [before] = engine.generate([GroupRequest("p", (5, 6, 7), (1,))], SAMPLING)
        engine.load_weights(new.named_parameters(), 1)
        [after] = engine.generate([GroupRequest("p", (5, 6, 7, 8), (1,))], SAMPLING)
        assert kept.reused["p"] == 0
        completion = after.completions[0]
    assert before.completions[0].logprobs != completion.logprobs
    plain = plain_logprobs(new, (5, 6, 7, 8), completion.token_ids)
    assert (torch.tensor(completion.logprobs, dtype=torch.float64) - plain).abs().max() < 1e-4


@pytest.mark.parametrize("method", ["mcts", "beam"])
def test_a_search_computes_steps_and_not_paths(method, tmp_path) -> None:
    settings = SearchSettings(
        method=method, scorer="constant", budget=60, expansions=3, step_tokens=4
    )
    requests = [GroupRequest(f"p{n}", tuple(range(5 + n, 25 + n)), (n,)) for n in range(3)]
    questions = {request.id: "q" for request in requests}

    def search(engine, folder: str):
        found = SearchEngine(engine, ConstantScorer(), settings, questions, tmp_path / folder)
        list(found.generate(requests, SamplingSettings(max_new_tokens=24)))
        return read_records(tmp_path / folder)

    engine = make_engine()
    assert isinstance(engine, PrefixEngine)
    first, again = search(engine, "first"), search(engine, "again")
    assert first == again == search(make_engine(), "other"), "nothing is left of a search"
    whole = make_engine()
    whole.keeping_prefixes = nullcontext
    plain = search(whole, "plain")
    for name, record in first.items():
        assert record["cost"]["generated"] == plain[name]["cost"]["generated"]
        assert record["cost"]["prefilled"] < plain[name]["cost"]["prefilled"] / 2
