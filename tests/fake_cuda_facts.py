# ruff: noqa: E402 (the pretended GPU comes before torch)
"""What test_fake_cuda.py asserts: measured on a pretended GPU, in a process of its own.

python tests/fake_cuda_facts.py      prints a JSON object
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

sys.path[:0] = [str(Path(__file__).parents[1] / "bench"), str(Path(__file__).parent)]

import fake_cuda

try:
    fake_cuda.lend()
except fake_cuda.CannotPretend as error:
    print(json.dumps({"skip": str(error)}))
    sys.exit()

import torch
from transformers import AutoConfig

import fake_memory
from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.learner import local
from r1.learner.local import LocalLearner
from r1.learner.packing import pack_groups
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.reward_model import learner as reward_learner
from r1.reward_model.learner import RewardLearner
from r1.reward_model.model import RewardModel
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import GroupRequest, TrainGroup, TrainResponse
from reward_model_data import random_pairs
from small_models import tiny_config
from train_batches import make_batch_of, make_groups

GEMMA = {
    "head_dim": 16,
    "sliding_window": 12,
    "layer_types": ["sliding_attention", "full_attention"] * 4,
}


def learner_of(seen: fake_cuda.Seen, arch: str, layers: int, **settings: Any) -> LocalLearner:
    changes = {"num_hidden_layers": layers}
    if arch == "gemma3_text":
        changes |= {**GEMMA, "layer_types": GEMMA["layer_types"][:layers]}
    if arch == "deepseek_v3":
        changes |= {"first_k_dense_replace": layers}  # experts have kernels of their own
    dtype = getattr(torch, settings.get("dtype", "float32"))
    model = fake_cuda.make_model(tiny_config(arch, **changes), dtype)
    seen.layers_of(model)
    chosen = LearnerSettings(device="cuda", **settings)
    with mock.patch.object(local, "load_model", return_value=model):
        return LocalLearner("fake", chosen, OptimizerSettings(), GRPO(GRPOSettings(kl_weight=0.1)))


def counts(seen: fake_cuda.Seen) -> dict[str, Any]:
    return {
        "layers and backward": seen.of("layer", "backward"),
        "around": seen.of("around"),
        "reads in layers": seen.reads(),
        "where": sorted(set(seen.where)),
    }


def update(arch: str, layers: int, **settings: Any) -> dict[str, Any]:
    """Copies and reads of one update, all micro-batches of which are one row."""
    with fake_cuda.pretended() as seen:
        learner = learner_of(seen, arch, layers, **settings)
        seen.clear()
        metrics = learner.update(make_batch_of(make_groups()))
        assert metrics["optimizer_steps"] == 1
        places = {p.device.type for p in learner.model.parameters()}
        places |= {t.device.type for t in dict(learner.weights()).values()}
        return counts(seen) | {"places": sorted(places)}


def resume() -> dict[str, Any]:
    """Where an optimiser's tensors are after a checkpoint was loaded, and what was on the GPU."""
    with fake_cuda.pretended() as seen:
        learner = learner_of(seen, "qwen2", 2, autocast=True)
        learner.update(make_batch_of(make_groups()))
        (optimizer, _), *_ = learner.optimizer.optimizers
        state = optimizer.state_dict()
        for values in state["state"].values():
            values.update({key: value.to("cpu") for key, value in values.items()})
        stored = {"step": 1, "optimizer": [state], "reference": {
            name: tensor.to("cpu") for name, tensor in learner.reference.state_dict().items()
        }}  # fmt: skip
        asked = []

        def load(folder: Any, dtype: Any, place: Any) -> Any:
            asked.append(str(place))
            return fake_cuda.make_model(tiny_config("qwen2"), dtype).to(place)

        with (
            mock.patch.object(local, "load_model", load),
            mock.patch.object(local, "read_state", return_value=stored),
            mock.patch("r1.learner.state.is_plain", return_value=True),
            mock.patch("r1.learner.optimizer.is_plain", return_value=True),
        ):
            learner.load(Path("fake"))
        kept = list(optimizer.state.values())
        learner.update(make_batch_of(make_groups()))
        return {
            "asked": asked,
            "steps": sorted({values["step"].device.type for values in kept}),
            "moments": sorted({values["exp_avg"].device.type for values in kept}),
        }


def saved_bytes(lengths: tuple[int, ...], **settings: Any) -> dict[int, float]:
    """Bytes that autograd keeps for a response token, of two layers of Qwen2.5-1.5B's width."""
    config = AutoConfig.for_model(
        "qwen2", vocab_size=1024, hidden_size=1536, intermediate_size=8960, num_hidden_layers=2,
        num_attention_heads=12, num_key_value_heads=2, max_position_embeddings=65_536,
        tie_word_embeddings=True,
    )  # fmt: skip
    found = {}
    with fake_cuda.pretended():
        model = fake_cuda.make_model(config, torch.float32)
        with mock.patch.object(local, "load_model", return_value=model):
            learner = LocalLearner(
                "fake",
                LearnerSettings(device="cuda", **settings),
                OptimizerSettings(),
                GRPO(GRPOSettings()),
            )
        for length in lengths:
            # One-token prompts, so that the row is its responses.
            groups = [TrainGroup((5,), [TrainResponse([7] * (length + 1), [], [])] * 4)]
            found[length] = kept_by(learner, groups) / (4 * length)
    return found


def kept_by(learner: LocalLearner, groups: list[TrainGroup]) -> int:
    """Bytes of storages, each once, that a pass saves for backward, without the weights."""
    # Weights, their copies in bfloat16, and chunks of logits are not activations.
    weights = {tuple(p.shape) for p in learner.model.parameters()}
    weights |= {shape[::-1] for shape in weights}
    vocabulary = learner.model.config.vocab_size
    kept: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        shape = tuple(tensor.shape)
        if shape not in weights and shape[-1:] != (vocabulary,):
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage
        return tensor

    row = pack_groups(groups, learner.device)
    learner.learning_mode(True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        learner.logprobs(learner.model, row)
    learner.learning_mode(False)
    return sum(storage.nbytes() for storage in kept.values())


def reward_model(**settings: Any) -> dict[str, Any]:
    with fake_cuda.pretended() as seen:
        body = fake_cuda.make_model(tiny_config("qwen2"), torch.float32)
        seen.layers_of(body)
        head = torch.nn.Linear(64, 1, bias=False, device="cuda")
        with mock.patch.object(
            reward_learner, "load_reward_model", return_value=RewardModel(body, head, native=False)
        ):
            learner = RewardLearner(
                "fake", LearnerSettings(device="cuda", **settings), OptimizerSettings()
            )
        seen.clear()
        learner.update(random_pairs([(5, 9, 30), (12, 3, 3), (1, 20, 1)]))
        return counts(seen)


def engine(arch: str, layers: int, even: bool) -> dict[str, Any]:
    """Copies and reads of a prefill and of ten decode steps in which no sample ends."""
    changes = {"num_hidden_layers": layers, "max_position_embeddings": 512}
    if arch == "gemma3_text":
        changes |= {**GEMMA, "layer_types": GEMMA["layer_types"][:layers]}
    with fake_cuda.pretended() as seen:
        model = fake_cuda.make_model(tiny_config(arch, **changes), torch.bfloat16)
        made = EmbeddedEngine(model, None, EngineSettings(device="cuda", dtype="bfloat16"))
        seen.layers_of(model)
        prompts = [(5,) * n for n in ((7, 7) if even else (3, 9, 1))]
        requests = [GroupRequest(str(i), ids, (1, 2, 3)) for i, ids in enumerate(prompts)]
        rollout = made._rollout(requests, SamplingSettings(max_new_tokens=64))
        seen.clear()
        rollout._admit()
        prefill = counts(seen)
        seen.clear()
        for _ in range(10):
            rollout._decode()
        return {"prefill": prefill, "ten decode steps": counts(seen)}


def small_case(layers: int, ranks: int, **settings: Any) -> fake_memory.Case:
    """A Qwen2 of 512 wide, held by some ranks."""
    tied = settings.pop("tied", True)
    config = {
        "model_type": "qwen2", "vocab_size": 8192, "hidden_size": 512, "intermediate_size": 1536,
        "num_hidden_layers": layers, "num_attention_heads": 8, "num_key_value_heads": 2,
        "max_position_embeddings": 8192, "tie_word_embeddings": tied,
    }  # fmt: skip
    size = {"tokens": 2048, "prompt": 64, "responses": 2, "logits_mb": 48, **settings}
    return fake_memory.Case(config, ranks, **size)


MEMORY = {
    "a rank of 4": small_case(5, 4),
    "a rank of 4, with a reference": small_case(3, 4, kl=0.001, tied=False),
    "a rank of 4, all activations kept": small_case(3, 4, checkpointing=False),
    "a rank of 4, activations on the host": small_case(6, 4, offload=True),
    "one process": small_case(3, 1),
}


def facts() -> dict[str, Any]:
    half = {"autocast": True}
    layers = (2, 4)
    return {
        "layers": {
            f"{arch} {name}": [update(arch, n, **settings) for n in layers]
            for arch, name, settings in (
                ("qwen2", "autocast", half),
                ("qwen2", "float32", {}),
                ("gemma3_text", "autocast", half),
                ("deepseek_v3", "autocast", half),
            )
        },
        "adapters": update("qwen2", 2, **half, lora=LoraSettings(rank=2)),
        "checkpointing": update("qwen2", 2, **half, gradient_checkpointing=True),
        "memory": {name: fake_memory.compare(case) for name, case in MEMORY.items()},
        "resume": resume(),
        "saved bytes": saved_bytes((512, 4096, 32_768), **half),
        "reward model": reward_model(autocast=True),
        "engine": [engine("qwen2", 2, even=False), engine("gemma3_text", 4, even=True)],
    }


if __name__ == "__main__":
    print(json.dumps(facts()), flush=True)
    os._exit(0)  # ending in order would collect the fakes
