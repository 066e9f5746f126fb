"""What only a GPU would meet, shown with stand-ins: the device of counts, full memory, threads."""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.distributed.utils import _cast_forward_inputs, _to_kwargs

from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.errors import UserError
from r1.learner import local, shared_prefix
from r1.learner import settings as learner_settings
from r1.learner.local import LocalLearner
from r1.learner.modes import reproducible
from r1.learner.packing import pack_groups
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.learner.state import read_state, write_state
from r1.r1_zero import settings as r1_zero_settings
from small_models import save_small_model
from train_batches import make_groups


def test_adamws_counts_of_steps_stay_on_the_cpu_after_a_resume(tmp_path) -> None:
    """The device "meta" stands for a GPU, where reading a count would wait for it."""
    weight = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    write_state(tmp_path, {"step": 1, "optimizer": [optimizer.state_dict()]})
    there = torch.nn.Parameter(torch.zeros(3, device="meta"))
    resumed = torch.optim.AdamW([there])
    resumed.load_state_dict(read_state(tmp_path)["optimizer"][0])
    assert resumed.state[there]["step"].device.type == "cpu"
    assert resumed.state[there]["exp_avg"].device.type == "meta"


@pytest.mark.parametrize(
    ("cause", "lost"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), False),
        (RuntimeError("Connection closed by peer"), True),
        (TimeoutError("nothing came"), True),
        (ValueError("a fault of the program"), False),
    ],
)
def test_a_gpu_whose_memory_is_full_is_no_lost_process(monkeypatch, cause, lost) -> None:
    """Started again it would be full again, three times."""
    pytest.importorskip("ray")
    from ray.exceptions import RayTaskError

    from r1.cluster import ray_calls

    def fail(reference: object, timeout: float | None) -> None:
        raise RayTaskError("update", "traceback", cause)

    monkeypatch.setattr(ray_calls.ray, "get", fail)
    with pytest.raises(ray_calls.LostProcess if lost else type(cause)):
        ray_calls.answer(ray_calls.Call("learner 0", None), "update")


class Weight:
    """Stands for a tensor; says where it is asked to go."""

    shape = (2, 3)

    def __init__(self, place: str, moves: list[tuple[str, object]]) -> None:
        self.device, self.moves = torch.device(place), moves
        self.is_cuda = self.device.type == "cuda"

    def detach(self) -> Weight:
        return self

    def contiguous(self) -> Weight:
        return self

    def to(self, *where: object) -> Weight:
        self.moves.append((str(self.device), where))
        return self


def test_weights_are_moved_to_the_gpu_one_at_a_time_and_in_the_engines_format() -> None:
    """All of them at once would be a second model beside an engine that fills the GPU."""
    from r1.rollout.vllm_weights import StreamedWeights

    moves: list[tuple[str, object]] = []
    stream = StreamedWeights()
    gpu = torch.device("cuda", 1)
    weights = {"a": Weight("cpu", moves), "b": Weight("cuda:1", moves)}
    stream.take(weights, gpu, torch.bfloat16)  # type: ignore[arg-type]
    assert list(stream.shapes()) == [(n, torch.bfloat16, (2, 3)) for n in "ab"]
    assert moves == []
    sent = iter(stream)
    next(sent)
    assert moves == [("cpu", (gpu, torch.bfloat16))]
    next(sent)
    assert len(moves) == 2


@pytest.mark.parametrize(("places", "gpu"), [(("cuda:2", "cuda:2"), 2), (("cpu", "cpu"), 1)])
def test_weights_are_sent_from_the_engines_gpu_whichever_thread_sends(monkeypatch, places, gpu):
    """CUDA's current device is a thread's own, and is the first GPU in a new thread."""
    from r1.rollout import vllm_engine, vllm_weights

    main = threading.current_thread()
    entered = []

    @contextmanager
    def device(index):
        entered.append(index)
        yield

    def current() -> int:
        return 1 if threading.current_thread() is main else 0

    monkeypatch.setattr(torch.cuda, "current_device", current)
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(vllm_weights, "weight_source", vllm_weights.StreamedWeights)
    transfer = vllm_weights.NativeTransfer(None, "ipc", 1)
    given, found = {str(i): Weight(place, []) for i, place in enumerate(places)}, []
    transfer._trainer = SimpleNamespace(send_weights=lambda: found.extend(transfer.source))
    send = partial(transfer.send, given, torch.bfloat16)  # type: ignore[arg-type]
    vllm_engine._within(5, send)
    assert [torch.device(d).index for d in entered] == [gpu]
    assert len(found) == 2
    assert transfer.source.weights == {}, "kept for nobody"


def test_a_checkpoint_is_read_on_the_cpu_and_a_merge_is_one_matrix_at_a_time(
    tmp_path, monkeypatch
) -> None:
    """Either would be a second model on a GPU."""
    pytest.importorskip("peft")
    folder = save_small_model(tmp_path / "model")
    lora = LearnerSettings(device="cpu", lora=LoraSettings(rank=2))
    learner = LocalLearner(folder, lora, OptimizerSettings(), GRPO(GRPOSettings()))
    alive, most = weakref.WeakSet(), 0
    for name, tensor in learner.weights():
        if tensor.ndim == 2 and "embed" not in name:
            alive.add(tensor)
            most = max(most, len(alive))
    assert most <= 2, "the one before is dropped when the next one is there"
    assert [n for n, _ in learner.weights()] == [n for n, _ in learner.weights()]

    places = []
    real = local.load_model
    plain = LocalLearner(
        folder, LearnerSettings(device="cpu"), OptimizerSettings(), GRPO(GRPOSettings())
    )
    plain.save(tmp_path / "saved")
    plain.device = torch.device("meta")  # stands for a GPU
    monkeypatch.setattr(local, "load_model", lambda *a: places.append(str(a[2])) or real(*a))
    plain.load(tmp_path / "saved")
    assert places == ["cpu"]


def test_what_learns_is_checked_as_it_learns(tmp_path, monkeypatch) -> None:
    """Under autocast, which on a GPU takes other kernels than the weights' own format."""
    folder = save_small_model(tmp_path / "model")

    def learn(**settings: object) -> LocalLearner:
        chosen = LearnerSettings(device="cpu", **settings)
        return LocalLearner(folder, chosen, OptimizerSettings(), GRPO(GRPOSettings()))

    learn(autocast=True)
    real = shared_prefix._chosen

    def broken(q, k, v, window):
        attend = real(q, k, v, window)
        if q.dtype != torch.bfloat16:
            return attend
        return lambda q, k, v, *rest: attend(q, k, v.roll(1, dims=0), *rest)

    monkeypatch.setattr(shared_prefix, "_chosen", broken)
    learn()
    with pytest.raises(UserError, match="in bfloat16"):
        learn(autocast=True)


@pytest.mark.parametrize(
    ("asked", "device", "expected"),
    [(True, "cuda", True), (False, "cuda", False), (True, "cpu", False)],
)
def test_one_order_is_kept_during_an_update_alone(asked, device, expected) -> None:
    class Learner:
        settings = LearnerSettings(deterministic=asked)

        def __init__(self) -> None:
            self.device = torch.device(device)

        @reproducible
        def update(self) -> bool:
            return torch.are_deterministic_algorithms_enabled()

    assert Learner().update() == expected
    assert not torch.are_deterministic_algorithms_enabled()


def test_fsdp_makes_no_new_layout_for_every_layer() -> None:
    """Casting a layer's inputs makes dataclasses and tuples anew, and with them all index tensors
    that the layers of a micro-batch share."""
    layout = pack_groups(make_groups()).layout
    _, inputs = _cast_forward_inputs(torch.bfloat16, prefix_layout=layout)
    assert inputs["prefix_layout"] is layout
    _, (moved,) = _to_kwargs((), {"prefix_layout": layout}, torch.device("cpu"), False)
    assert moved["prefix_layout"] is layout


def test_every_run_may_be_carried_on_in_one_order() -> None:
    """Reinforcement learning changes on resuming what the other learners may, and more."""
    for name in ("deterministic", "tokens_per_microbatch", "gradient_checkpointing"):
        assert f"learner.{name}" in learner_settings.MAY_CHANGE_ON_RESUME
    assert set(learner_settings.MAY_CHANGE_ON_RESUME) < set(r1_zero_settings.MAY_CHANGE_ON_RESUME)
