"""What only a GPU would meet, shown with stand-ins: the device of counts, full memory, threads."""

from __future__ import annotations

import pytest
import torch

from r1.learner.state import read_state, write_state


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


def test_weights_on_a_gpu_stay_on_it_whichever_thread_sends_them() -> None:
    """cuda() means the thread's own device, and that is the first one in a new thread."""
    from r1.rollout.vllm_weights import NativeTransfer

    class Tensor:
        def __init__(self, is_cuda: bool) -> None:
            self.is_cuda, self.moved = is_cuda, 0

        def detach(self) -> Tensor:
            return self

        def cuda(self) -> Tensor:
            self.moved += 1
            return self

    class TakenError(Exception):
        pass

    class Source:
        def __setattr__(self, name: str, value: object) -> None:
            assert list(value) == ["there", "here"]
            raise TakenError

    transfer = NativeTransfer.__new__(NativeTransfer)
    transfer.source = Source()
    there, here = Tensor(True), Tensor(False)
    with pytest.raises(TakenError):
        transfer.send({"there": there, "here": here})
    assert (there.moved, here.moved) == (0, 1)
