"""Connect to a Ray cluster: a running one, one at an address, or a new one on this machine.

A wrong address is reported within CONNECT_S, where Ray itself would keep trying.

Left out on purpose: starting a cluster's nodes (Slurm, KubeRay and `ray start` do), and Ray's own
client protocol (ray://), which has no streaming of results.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import Any

from r1.cluster.settings import NO_RAY, ClusterSettings
from r1.errors import UserError

try:
    import ray
except ImportError:
    raise UserError(NO_RAY) from None

_PROBE = """
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
print("imported", flush=True)
try:
    GcsClient(address=sys.argv[1])
except AuthenticationError:
    sys.exit(3)
"""
CONNECT_S = 5.0
"""Longest wait for an answer from the cluster's address, in seconds."""
_ASKS = 3  # its exit status where Ray asks for a token that it was not shown


def connect(settings: ClusterSettings) -> bool:
    """Call ray.init, and report a wrong address within CONNECT_S; return whether Ray was started
    for this run."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # By default Ray's workers yield to whatever else runs, verifiers and their sandboxes included.
    os.environ.setdefault("RAY_worker_niceness", "0")
    address = settings.address
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if is_local(address):
        ray.init(address="local", include_dashboard=False, **quiet)
        return True
    check_reachable(settings)
    if address == "auto":
        address = _running()  # told "auto", Ray shows a token wherever the user has one
        _probe_with_token(address, CONNECT_S)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        ray.shutdown()  # it may be half connected
        if "Version mismatch" in str(error):
            raise UserError(
                f"cluster.address = {address!r}: {' '.join(str(error).split())} Install the same "
                "Ray and Python on both sides."
            ) from error
        raise _no_ray(address, _first_line(error)) from error
    return False


def is_local(address: str) -> bool:
    """Whether Ray would be started for this run alone: "local", or "auto" without a running Ray and
    without a cluster in the environment."""
    if address != "auto" or os.environ.get("RAY_ADDRESS"):
        return address == "local"
    from ray._private.services import find_bootstrap_address

    return find_bootstrap_address(None) is None


def check_reachable(settings: ClusterSettings) -> None:
    """Check that Ray answers at HOST:PORT, if the settings name one. Raises UserError."""
    if settings.address in ("auto", "local"):
        return
    address = settings.address
    if address.startswith("ray://"):
        raise UserError(
            f"cluster.address = {address!r}: give HOST:PORT of the head node (its GCS, port 6379 "
            "by default) and start r1 on a node of the cluster; ray:// is not supported."
        )
    _check_answers(address, CONNECT_S)


def _running() -> str:
    """Return the address that "auto" means, if a cluster runs."""
    from ray._private.services import find_bootstrap_address

    address = os.environ.get("RAY_ADDRESS") or "auto"
    return find_bootstrap_address(None) or address if address == "auto" else address


def _probe_with_token(address: str, timeout_s: float) -> int:
    """Probe; if the cluster asks for a token, use this user's from now on.

    Ray asks for a token if the user who started it has one, and creates one with the first cluster;
    but it sends the token only if told to. A driver that was told to send it also asks for it, so
    that the workers of a cluster without tokens could not answer.
    """
    found = _probe(address, timeout_s)
    if found != _ASKS or "RAY_AUTH_MODE" in os.environ:
        return found
    from ray._raylet import (  # type: ignore[attr-defined]  # compiled
        AuthenticationTokenLoader,
        Config,
    )

    if not AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True):
        return found
    os.environ["RAY_AUTH_MODE"] = "token"
    Config.initialize("")  # it has read the environment already
    return _probe(address, timeout_s)


def _probe(address: str, timeout_s: float) -> int:
    """Return 0 if Ray answers, _ASKS if it asks for a token, else 1."""
    # A process of its own: in this one Ray would go on trying for minutes, and then end it.
    probe = subprocess.Popen(
        [sys.executable, "-c", _PROBE, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with probe:
        assert probe.stdout is not None
        probe.stdout.readline()  # Ray is imported; the clock is for the cluster alone
        try:
            return probe.wait(max(1.0, timeout_s))
        except subprocess.TimeoutExpired:
            probe.kill()
            return 1


def _check_answers(address: str, timeout_s: float) -> None:
    """Check that an address is open and that Ray answers there."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f'cluster.address = {address!r} is not "auto", "local" or HOST:PORT.')
    end = time.monotonic() + timeout_s
    try:
        socket.create_connection((host, int(port)), timeout=timeout_s).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"cluster.address = {address!r}: nobody answers there ({_first_line(error)}, waited "
            f"at most {timeout_s:g} s). Start the head with `ray start --head --port={port}`, or "
            'set cluster.address = "local".'
        ) from None
    found = _probe_with_token(address, end - time.monotonic())
    if found == _ASKS:
        raise UserError(
            f"cluster.address = {address!r}: Ray asks for a token, and this user's is missing or "
            "another. Copy ~/.ray/auth_token from the head to this machine, or name it by "
            "RAY_AUTH_TOKEN_PATH."
        )
    if found:
        raise _no_ray(address, f"waited {timeout_s:g} s")


def _no_ray(address: str, reason: str) -> UserError:
    return UserError(
        f"cluster.address = {address!r}: somebody listens, but Ray does not answer ({reason}). Is "
        "it the head's GCS port, and are Ray and Python of the same versions on both sides?"
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
