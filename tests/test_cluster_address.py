"""A cluster that `ray start` began, and what is said where it cannot serve a recipe."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray")

TINY = Path(__file__).parents[1] / "recipes" / "tiny" / "r1_zero.toml"
RAY = Path(sys.executable).with_name("ray")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A user's home with a token in it, short enough for the sockets of Ray below it."""
    folder = Path(tempfile.mkdtemp(prefix="r1-", dir="/tmp"))
    (folder / ".ray").mkdir()
    (folder / ".ray" / "auth_token").write_text("0" * 64)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def address(home) -> Iterator[str]:
    """A head of one CPU, which asks for the user's token as that user has one."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    command = [
        *(RAY, "start", "--head", "--block", f"--port={port}", "--num-cpus=1"),
        *("--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={home}/ray"),
        *("--min-worker-port=0", "--max-worker-port=0"),
    ]
    with subprocess.Popen(command, env=user(home), stdout=subprocess.DEVNULL) as head:
        try:
            wait_for(port)
            yield f"127.0.0.1:{port}"
        finally:
            head.terminate()


def user(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    return {**kept, "HOME": str(home)}


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the head does not listen")


def refusal(home: Path, out: Path, *arguments: str) -> str:
    """What the command says, which must be before anything is written."""
    command = [sys.executable, "-m", "r1", "run", str(TINY), "--out", str(out), *arguments]
    done = subprocess.run(command, env=user(home), capture_output=True, text=True, timeout=600)
    assert (done.returncode, out.exists()) == (2, False), done.stderr
    return " ".join(done.stderr.split())


def test_too_few_cpus_of_a_running_cluster_are_counted(address, home, tmp_path) -> None:
    arguments = ("--cluster", address, "--set", "cluster.learner_ranks=3")
    said = refusal(home, tmp_path / "run", *arguments)
    assert "asks for 3 CPUs (3 learner ranks and 1 engine replicas, shared)" in said
    assert "the cluster has 1" in said


def test_a_running_cluster_with_another_r1_is_named(address, home, tmp_path, monkeypatch) -> None:
    import r1

    own = tmp_path / "src" / "r1"
    shutil.copytree(Path(r1.__file__).parent, own)  # with what is compiled: dates are copied too
    (own / "__init__.py").write_text("# another\n" + (own / "__init__.py").read_text())
    monkeypatch.setenv("PYTHONPATH", str(own.parent))
    said = refusal(home, tmp_path / "run", "--cluster", address)
    assert "has r1 (source" in said
    assert "install the same on every node" in said


def test_a_missing_token_is_named(address, tmp_path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    said = refusal(other, tmp_path / "run", "--cluster", address)
    assert "Ray asks for a token" in said
    assert "~/.ray/auth_token" in said
