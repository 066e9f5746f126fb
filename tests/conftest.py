"""Hypothesis without deadlines (a loaded machine is no defect), other rounding, a browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from report_browser import playwright

os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # else Ray writes a token into the home folder
settings.register_profile("r1", deadline=None)
settings.load_profile("r1")


LONG = ("test_resume.py", "test_pipeline_whole.py", "test_cluster_kills.py", "test_rewards_code.py")


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no process is left alone with one in the end.

    Of a test marked few(n) the default suite runs n variants, evenly spread, the slow one the rest.
    """
    items.sort(key=lambda item: item.path.name not in LONG)
    variants: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("few") is not None:
            variants.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for own in variants.values():
        marker = own[0].get_closest_marker("few")
        assert marker is not None
        kept = {
            round(i * (len(own) - 1) / max(1, marker.args[0] - 1)) for i in range(marker.args[0])
        }
        for place, item in enumerate(own):
            if place not in kept:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=os.environ.get("R1_TEST_ROUNDING") == "1")
def other_rounding() -> Iterator[None]:
    """R1_TEST_ROUNDING=1: every test with the rounding of another processor."""
    from other_rounding import OtherRounding

    with OtherRounding():
        yield


@pytest.fixture(scope="module", autouse=True)
def forget_written_plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Plugins that a test file wrote and imported are forgotten with it: another file of the same
    process may write one of the same name."""
    yield
    if (registry := sys.modules.get("r1.rewards.registry")) is None:
        return
    folder = str(tmp_path_factory.getbasetemp().resolve())
    modules = list(sys.modules.items())  # looked at without waking lazy ones
    files = {name: getattr(module, "__dict__", {}).get("__file__") for name, module in modules}
    written = {name for name, file in files.items() if str(file).startswith(folder)}
    for name in [n for n, made in registry.REWARDS.items() if made.__module__ in written]:
        del registry.REWARDS[name]
    for name in written:
        del sys.modules[name]


@pytest.fixture(scope="module")
def small_buckets() -> Iterator[None]:
    """Weights of a small model travel to remote engines in several buckets, not in one."""
    from r1.cluster import ray_weights

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_weights, "BUCKET_BYTES", 2**20)
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    """One for all pages of a module; it must not outlive it, for playwright holds an event loop."""
    from report_browser import run_browser

    with run_browser() as browser:
        yield browser
