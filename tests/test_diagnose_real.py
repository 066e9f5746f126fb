"""Real runs of a few steps, broken on purpose with one cause each, and healthy ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broken_runs import BROKEN, HEALTHY, Events, make_run
from r1.diagnose import diagnose
from r1.diagnose.live import HopelessRunError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the path of imports, for the plugins of the runs and of their workers."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder))
        yield folder


@pytest.mark.parametrize("cause", BROKEN)
def test_a_broken_run_names_its_cause(cause: str, folder: Path) -> None:
    found = diagnose(make_run(cause, folder / cause))
    assert [one.cause for one in found] == [cause], found


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_is_left_in_peace(name: str, folder: Path) -> None:
    events = Events()
    assert diagnose(make_run(name, folder / name, events)) == []
    assert [told for told in events.warnings if "try:" in told] == []


def test_a_hopeless_run_says_so_and_stops_where_asked(folder: Path) -> None:
    events = Events()
    with pytest.raises(HopelessRunError, match="stopped after step 3, since nothing is learnt"):
        make_run("verifier_failed", folder / "stopped", events, stop_when_hopeless=True)
    assert any(told.startswith("The verifier fails") for told in events.warnings)
