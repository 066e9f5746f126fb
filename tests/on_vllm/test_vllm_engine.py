"""The vLLM engine against plain transformers and against the embedded engine, on a CPU."""

from __future__ import annotations

import pytest
import torch

from r1.data.tiny import MODELS
from r1.errors import UserError
from r1.models.load import load_model
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.protocol import AbortedError
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.template import render_r1_zero
from r1.types import Completion, GroupRequest

pytestmark = pytest.mark.vllm
BASE = str(MODELS["tiny"])
QUESTIONS = ("3 + 4 = ?", "12 - 5 + 1 = ?", "What is 6 * 7?", "9 + 9 + 9 = ?", "81 / 9 = ?")


def base():
    return load_model(BASE, dtype="float32")


def disturbed(scale: float, seed: int = 0):
    """The base with noise of `scale` times each matrix's own size."""
    model = base()
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * parameter.std() * torch.randn_like(parameter)
    return model


def requests(engine, group: int = 1, first_seed: int = 0) -> list[GroupRequest]:
    """The questions in the template of Table 1, long enough to fill blocks of the cache."""
    return [
        GroupRequest(
            f"q{i}",
            tuple(engine.tokenizer.encode(render_r1_zero(question))),
            tuple(first_seed + 100 * i + g for g in range(group)),
        )
        for i, question in enumerate(QUESTIONS)
    ]


def answers(engine, asked, **sampling) -> dict[str, list[Completion]]:
    groups = list(engine.generate(asked, SamplingSettings(**{"max_new_tokens": 40, **sampling})))
    assert sorted(group.request.id for group in groups) == sorted(r.id for r in asked)
    return {group.request.id: group.completions for group in groups}


@torch.inference_mode()
def forward_logprobs(model, prompt_ids, token_ids, temperature: float = 1.0) -> torch.Tensor:
    """log softmax(logits / T) of a response's tokens by the plain forward pass: [T]."""
    ids = torch.tensor([[*prompt_ids, *token_ids]])
    logits_TV = model(ids).logits[0, len(prompt_ids) - 1 : -1].float() / temperature
    return logits_TV.log_softmax(-1).gather(-1, torch.tensor(token_ids)[:, None])[:, 0]


def largest_gap(model, asked, found, temperature: float = 1.0) -> float:
    gaps = [
        (forward_logprobs(model, r.prompt_ids, c.token_ids, temperature) - torch.tensor(c.logprobs))
        for r in asked
        for c in found[r.id]
    ]
    return torch.cat(gaps).abs().max().item()


@torch.inference_mode()
def greedy(model, request, length: int, end: int) -> list[int]:
    """transformers' own generate."""
    out = model.generate(
        torch.tensor([request.prompt_ids]),
        attention_mask=torch.ones(1, len(request.prompt_ids), dtype=torch.long),
        do_sample=False,
        max_new_tokens=length,
        eos_token_id=end,
        pad_token_id=end,
    )
    return out[0, len(request.prompt_ids) :].tolist()


def check_greedy(engine, model) -> list[list[int]]:
    asked = requests(engine)
    found = answers(engine, asked, temperature=0.0)
    end = engine.tokenizer.eos_token_id
    for request in asked:
        assert found[request.id][0].token_ids == greedy(model, request, 40, end), request.id
    assert largest_gap(model, asked, found) < 2e-4
    return [found[request.id][0].token_ids for request in asked]


def test_greedy_before_and_after_weight_updates(engine) -> None:
    """The prompts are the same each time: keys and values of older weights would show."""
    before = check_greedy(engine, base())
    for version, scale in ((1, 0.05), (2, 0.3)):
        model = disturbed(scale)
        engine.load_weights(model.named_parameters(), version)
        after = check_greedy(engine, model)
        assert after != before
        assert answers(engine, requests(engine))["q0"][0].version == version
    engine.load_weights(base().named_parameters(), 3)
    assert check_greedy(engine, base()) == before


def test_weights_that_do_not_fit_are_refused_whole(engine) -> None:
    weights = dict(disturbed(0.3).named_parameters())
    norm = weights.pop("model.norm.weight")
    weights["model.norm.scale"] = norm
    with pytest.raises(UserError, match=r"missing: model.norm.weight; unexpected: model.norm.scal"):
        engine.load_weights(weights.items(), 9)
    assert engine.version == 0
    check_greedy(engine, base())


def test_tied_weights_under_both_names(engine) -> None:
    model = disturbed(0.1)
    both = dict(model.named_parameters(remove_duplicate=False))
    assert "lm_head.weight" in both
    engine.load_weights(both.items(), 1)
    check_greedy(engine, model)


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k"),
    [(1.0, 1.0, 0), (0.7, 1.0, 0), (0.7, 0.95, 0), (1.0, 0.95, 0), (1.3, 0.9, 5)],
)
def test_logprobs_are_the_learners(engine, temperature, top_p, top_k) -> None:
    """log softmax(logits / T) of the whole vocabulary, whatever top-p and top-k cut away."""
    model = disturbed(0.1)
    engine.load_weights(model.named_parameters(), 1)
    asked = requests(engine, group=4)
    found = answers(engine, asked, temperature=temperature, top_p=top_p, top_k=top_k)
    assert largest_gap(model, asked, found, temperature) < 2e-4
    if temperature != 1.0:
        assert largest_gap(model, asked, found, 1.0) > 0.01
    if top_p < 1.0:  # the definition that must not be used differs on these very samples
        assert truncated_gap(model, asked, found, temperature, top_p) > 0.01


@torch.inference_mode()
def truncated_gap(model, asked, found, temperature: float, top_p: float) -> float:
    gaps = []
    for request in asked:
        for completion in found[request.id]:
            ids = torch.tensor([[*request.prompt_ids, *completion.token_ids]])
            logits_TV = model(ids).logits[0, len(request.prompt_ids) - 1 : -1] / temperature
            kept_TV = truncate(logits_TV.softmax(-1), top_p)
            drawn_T = kept_TV.gather(-1, torch.tensor(completion.token_ids)[:, None])[:, 0]
            gaps.append((drawn_T.log() - torch.tensor(completion.logprobs)).abs().max())
    return torch.stack(gaps).max().item()


def truncate(probs_TV: torch.Tensor, top_p: float) -> torch.Tensor:
    """Renormalised probabilities of the smallest set of tokens that holds top_p."""
    sorted_TV, order_TV = probs_TV.sort(-1, descending=True)
    kept_TV = sorted_TV * ((sorted_TV.cumsum(-1) - sorted_TV) < top_p)
    kept_TV = torch.zeros_like(probs_TV).scatter(-1, order_TV, kept_TV)
    return kept_TV / kept_TV.sum(-1, keepdim=True)


@torch.inference_mode()
def test_samples_follow_the_distribution(engine) -> None:
    """2000 first tokens at T = 1.2, top-p 0.9 against the exact probabilities, within 5 sigma."""
    model = disturbed(0.15)
    engine.load_weights(model.named_parameters(), 1)
    prompt = requests(engine)[1].prompt_ids
    asked = [GroupRequest("many", prompt, tuple(range(2000)))]
    found = answers(engine, asked, temperature=1.2, top_p=0.9, max_new_tokens=1)["many"]
    probs_1V = (model(torch.tensor([prompt])).logits[:, -1] / 1.2).softmax(-1)
    wanted_V = truncate(probs_1V, 0.9)[0]
    drawn_B = torch.tensor([c.token_ids[0] for c in found])
    counts_V = torch.bincount(drawn_B, minlength=len(wanted_V))
    assert int((wanted_V > 0).sum()) > 3
    assert counts_V[wanted_V == 0].sum() == 0
    sigma_V = (2000 * wanted_V * (1 - wanted_V)).sqrt() + 1e-9
    assert ((counts_V - 2000 * wanted_V).abs() / sigma_V)[wanted_V > 0].max() < 5


def test_a_seed_is_a_sample(engine) -> None:
    """The same seed gives the same tokens alone, in another order and in another company."""
    asked = requests(engine, group=4)
    found = answers(engine, asked)
    turned = [GroupRequest(r.id, r.prompt_ids, r.seeds[::-1]) for r in reversed(asked)]
    again = answers(engine, turned)
    alone = answers(engine, [asked[2]])
    for request in asked:
        tokens = [c.token_ids for c in found[request.id]]
        assert [c.token_ids for c in again[request.id]] == tokens[::-1]
        assert len({tuple(t) for t in tokens}) > 1
    assert [c.token_ids for c in alone["q2"]] == [c.token_ids for c in found["q2"]]
    others = answers(engine, requests(engine, group=4, first_seed=10_000))
    assert [c.token_ids for c in others["q2"]] != [c.token_ids for c in found["q2"]]


def test_groups_come_whole_and_while_others_are_sampled(engine) -> None:
    asked = requests(engine, group=3)
    stream = engine.generate(asked, SamplingSettings(max_new_tokens=200))
    first = next(stream)
    assert [len(c.token_ids) > 0 for c in first.completions] == [True] * 3
    assert engine.llm.llm_engine.has_unfinished_requests(), "the first group came last"
    rest = list(stream)
    assert {g.request.id for g in [first, *rest]} == {r.id for r in asked}
    assert all(len(g.completions) == 3 for g in rest)
    assert not engine.llm.llm_engine.has_unfinished_requests()


def test_calls_may_overlap(engine) -> None:
    asked = requests(engine, group=2)
    apart = answers(engine, asked)
    streams = [engine.generate(asked[:3], SamplingSettings(max_new_tokens=40))]
    streams.append(engine.generate(asked[3:], SamplingSettings(max_new_tokens=40)))
    groups = [next(streams[0]), next(streams[1]), *streams[1], *streams[0]]
    assert {g.request.id: g.completions for g in groups} == apart


def test_a_dropped_iterator_frees_everything(engine) -> None:
    stream = engine.generate(requests(engine, group=8), SamplingSettings(max_new_tokens=500))
    next(stream)
    stream.close()
    assert not engine.llm.llm_engine.has_unfinished_requests()
    check_greedy(engine, base())


def test_a_call_that_is_aborted_frees_everything(engine) -> None:
    stream = engine.generate(requests(engine, group=8), SamplingSettings(max_new_tokens=500))
    next(stream)
    engine.abort()
    with pytest.raises(AbortedError):
        list(stream)
    assert not engine.llm.llm_engine.has_unfinished_requests()
    check_greedy(engine, base())


def test_a_group_computes_its_prompt_once(engine) -> None:
    engine.num_prompt_tokens = engine.num_cached_tokens = 0
    asked = requests(engine, group=8)
    answers(engine, asked, max_new_tokens=1)
    whole_blocks = sum(7 * (len(r.prompt_ids) // 32 * 32) for r in asked)
    assert engine.num_prompt_tokens == 8 * sum(len(r.prompt_ids) for r in asked)
    assert engine.num_cached_tokens >= whole_blocks > 0.5 * engine.num_prompt_tokens


@pytest.mark.parametrize(
    "sampling",
    [
        {"max_new_tokens": 60},
        {"max_new_tokens": 3},
        {"stop": ("</answer>",)},
        {"stop": ("</answer>", "gives", "zebra")},
        {"stop": ("er>", "7")},
    ],
    ids=str,
)
def test_ends_as_the_embedded_engine_does(engine, sampling) -> None:
    embedded = EmbeddedEngine.from_pretrained(BASE, EngineSettings(device="cpu", dtype="float32"))
    asked = requests(engine)
    ours = answers(embedded, asked, temperature=0.0, **sampling)
    theirs = answers(engine, asked, temperature=0.0, **sampling)
    for request in asked:
        one, other = ours[request.id][0], theirs[request.id][0]
        assert (one.token_ids, one.text) == (other.token_ids, other.text)
        assert (one.finish_reason, one.version) == (other.finish_reason, other.version)
        assert other.logprobs == pytest.approx(one.logprobs, abs=2e-4)
    reasons = {completions[0].finish_reason for completions in ours.values()}
    assert reasons == ({"length"} if sampling == {"max_new_tokens": 3} else {"stop"})


def test_a_response_ends_at_the_context(engine) -> None:
    """1024 positions: a prompt of 1000 leaves 24 tokens, one of 1023 a single one."""
    words = requests(engine)[0].prompt_ids * 20
    asked = [GroupRequest(str(n), words[:n], (1,)) for n in (1000, 1023)]
    found = answers(engine, asked, max_new_tokens=400, temperature=2.0)
    assert len(found["1000"][0].token_ids) <= 24
    assert len(found["1023"][0].token_ids) == 1
    assert found["1023"][0].finish_reason == "length"
    with pytest.raises(UserError, match="prompt has 1024 tokens, but the model's context is 10"):
        engine.generate([GroupRequest("p", words[:1024], (1,))], SamplingSettings())


def test_requests_that_cannot_be_answered(engine) -> None:
    prompt = requests(engine)[0].prompt_ids
    assert list(engine.generate([], SamplingSettings())) == []
    with pytest.raises(UserError, match="problem p: the prompt has no tokens"):
        engine.generate([GroupRequest("p", (), (1,))], SamplingSettings())
    with pytest.raises(UserError, match="no samples are asked for"):
        engine.generate([GroupRequest("p", prompt, ())], SamplingSettings())
    with pytest.raises(UserError, match="strings that are not empty"):
        engine.generate([GroupRequest("p", prompt, (1,))], SamplingSettings(stop=("",)))
    with pytest.raises(UserError, match=r"temperature = 0.001: vLLM samples at 0 \(greedy\) or at"):
        engine.generate([GroupRequest("p", prompt, (1,))], SamplingSettings(temperature=0.001))


def test_streamed_text_is_the_completions(engine) -> None:
    request = requests(engine)[1]
    for stop in ((), ("</answer>",)):
        whole = answers(engine, [request], temperature=0.0, stop=stop)["q1"][0]
        sampling = SamplingSettings(temperature=0.0, max_new_tokens=40, stop=stop)
        pieces, reasons = collect(engine.stream(request.prompt_ids, sampling))
        assert ("".join(pieces), reasons) == (whole.text, [whole.finish_reason])
        assert len(pieces) > 3


def collect(stream) -> tuple[list[str], list[str]]:
    """What a generator yields, and what it returns."""
    returned: list[str] = []

    def run():
        returned.append((yield from stream))

    return list(run()), returned


def test_weights_replaced_in_the_middle_of_a_call(engine) -> None:
    """What is under way goes on under the new weights with fresh keys and values."""
    asked = requests(engine, group=4)
    stream = engine.generate(asked, SamplingSettings(max_new_tokens=300, temperature=1.5))
    groups = [next(stream)]
    model = disturbed(0.2)
    engine.load_weights(model.named_parameters(), 7)
    groups += list(stream)
    assert {g.request.id for g in groups} == {r.id for r in asked}
    assert {c.version for g in groups for c in g.completions} == {0}
    check_greedy(engine, model)
    assert engine.version == 7


def test_submitted_responses_span_weights_token_by_token(engine) -> None:
    """Each logprob is that of the weights in force when its token was drawn."""
    engine.load_weights(base().named_parameters(), 0)
    asked = requests(engine, group=2)
    engine.submit(asked, SamplingSettings(max_new_tokens=60, temperature=1.5))
    found = {group.request.id: group.completions for _ in range(8) for group in engine.poll()}
    new = disturbed(0.3)
    engine.load_weights(new.named_parameters(), 1)
    later = requests(engine, group=2, first_seed=7)
    engine.submit(
        [GroupRequest(f"{r.id} later", r.prompt_ids, r.seeds) for r in later],
        SamplingSettings(max_new_tokens=60, temperature=1.5),
    )
    while len(found) < 2 * len(asked):
        found |= {group.request.id: group.completions for group in engine.poll()}
    assert engine.poll() == []
    spanning = 0
    for request in asked:
        for completion in found[request.id]:
            old_gap, new_gap = (
                (
                    forward_logprobs(model, request.prompt_ids, completion.token_ids, 1.5)
                    - torch.tensor(completion.logprobs)
                ).abs()
                for model in (base(), new)
            )
            count = len(old_gap)
            places = [
                p
                for p in range(count + 1)
                if (old_gap[:p] < 2e-4).all() and (new_gap[p:] < 2e-4).all()
            ]
            assert places, request.id
            assert completion.version == 0
            spanning += 0 < places[0] < count
        renamed = found[f"{request.id} later"]
        assert {completion.version for completion in renamed} == {1}
    assert spanning >= 3  # the others ended before
    engine.load_weights(base().named_parameters(), 0)


def test_pause_holds_everything_back(engine) -> None:
    stream = engine.generate(requests(engine, group=2), SamplingSettings(max_new_tokens=100))
    first = next(stream)
    engine.pause()
    engine.resume()
    assert len([first, *stream]) == len(QUESTIONS)
    check_greedy(engine, base())
