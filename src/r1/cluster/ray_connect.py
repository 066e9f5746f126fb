"""Connect to a Ray cluster: a running one, one at an address, or a new one on this machine.

A wrong address is reported within CONNECT_S, where Ray itself would keep trying.

Left out on purpose: starting a cluster's nodes (Slurm, KubeRay and `ray start` do), and Ray's own
client protocol (ray://), which has no streaming of results.
"""

from __future__ import annotations

import logging
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

logger = logging.getLogger("r1.cluster")

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
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if is_local(settings.address):
        if settings.address == "auto" and (noted := _noted()):
            logger.warning("The cluster that ran here (%s) is gone: this machine is used.", noted)
        ray.init(address="local", include_dashboard=False, **quiet)
        return True
    address, told = _named(settings.address)
    _check_answers(address, told, CONNECT_S)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        ray.shutdown()  # it may be half connected
        if "Version mismatch" in str(error):
            raise UserError(
                f"{told}: {' '.join(str(error).split())} Install the same Ray and Python on both "
                "sides."
            ) from error
        raise _no_ray(told, _first_line(error)) from error
    return False


def is_local(address: str) -> bool:
    """Whether Ray would be started for this run alone: "local", or "auto" without a cluster in the
    environment and without one on this machine that still listens."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or "auto"
    return address == "local" or (address == "auto" and not _listens(_noted(), CONNECT_S))


def _named(address: str) -> tuple[str, str]:
    """Return the address that is meant, and what names it in messages.

    "auto" is RAY_ADDRESS, else what Ray has noted on this machine, else itself.
    """
    if address != "auto":
        return address, f"cluster.address = {address!r}"
    named = os.environ.get("RAY_ADDRESS") or "auto"
    if named != "auto":
        return named, f"RAY_ADDRESS = {named!r}"
    noted = _noted() or "auto"
    return noted, f"the cluster that Ray has noted on this machine, {noted!r}"


def _noted() -> str | None:
    """Return the address that `ray start` last noted on this machine, if any.

    The note outlives a cluster that `ray stop` did not end: a machine that was started anew, a job
    at its time limit.
    """
    from ray._private.services import find_bootstrap_address

    return find_bootstrap_address(None)


def _listens(address: str | None, timeout_s: float) -> bool:
    """Whether somebody accepts connections at HOST:PORT."""
    host, _, port = (address or "").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=timeout_s).close()
    except (OSError, OverflowError, ValueError):
        return False
    return True


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


def _check_answers(address: str, told: str, timeout_s: float) -> None:
    """Check that an address is open and that Ray answers there. told: what names it in messages."""
    if address.startswith("ray://"):
        raise UserError(
            f"{told}: give HOST:PORT of the head node (its GCS, port 6379 by default) and start r1 "
            "on a node of the cluster; ray:// is not supported."
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f'{told} is not "auto", "local" or HOST:PORT.')
    end = time.monotonic() + timeout_s
    try:
        socket.create_connection((host, int(port)), timeout=timeout_s).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"{told}: nobody answers there ({_first_line(error)}, waited "
            f"at most {timeout_s:g} s). Start the head with `ray start --head --port={port}`, or "
            'set cluster.address = "local".'
        ) from None
    found = _probe_with_token(address, end - time.monotonic())
    if found == _ASKS:
        raise UserError(
            f"{told}: Ray asks for a token, and this user's is missing or another. Copy "
            "~/.ray/auth_token from the head to this machine, or name it by RAY_AUTH_TOKEN_PATH."
        )
    if found:
        raise _no_ray(told, f"waited {timeout_s:g} s")


def _no_ray(told: str, reason: str) -> UserError:
    return UserError(
        f"{told}: somebody listens, but Ray does not answer ({reason}). Is it the head's GCS port, "
        "and are Ray and Python of the same versions on both sides?"
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
