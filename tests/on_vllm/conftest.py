"""One vLLM engine for all tests of this folder: it takes half a minute to load."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from r1.data.tiny import MODELS

if TYPE_CHECKING:
    from r1.rollout.vllm_engine import VllmEngine

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]
BASE = str(MODELS["tiny"])


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[VllmEngine]:
    from r1.rollout.make import make_engine
    from r1.rollout.settings import EngineSettings

    engine = make_engine(BASE, EngineSettings(kind="vllm", dtype="float32", max_batch=64))
    yield engine
    engine.close()


@pytest.fixture
def engine(shared_engine: VllmEngine) -> VllmEngine:
    """The shared engine with the base's own weights, whatever a test before has done."""
    from r1.models.load import load_model

    shared_engine.load_weights(load_model(BASE, dtype="float32").named_parameters(), version=0)
    return shared_engine
