"""Test whether this machine can isolate programs, and say what to do if it cannot."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from r1.errors import UserError
from r1.sandbox.bubblewrap import OLDEST, find_bubblewrap, version_of
from r1.sandbox.command import Command
from r1.sandbox.isolation import observe
from r1.sandbox.result import Limits
from r1.sandbox.settings import SandboxSettings
from r1.sandbox.toolchains import INSTALL, find_tool, visible
from r1.sandbox.verdict import inner_exit_code

_CONTAINER = (
    "in Docker: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined; in Kubernetes: procMount: Unmasked and an unconfined "
    "seccomp profile"
)
_REMEDIES = (
    (
        r"mount proc|/newroot/proc",
        f"The container hides parts of /proc, so a fresh one is refused. {_CONTAINER}.",
    ),
    (
        r"namespace|uid map|RTM_NEWADDR|No permissions|setting up gid",
        "User namespaces are switched off here. On Ubuntu: sudo sysctl -w "
        "kernel.apparmor_restrict_unprivileged_userns=0; elsewhere: sudo sysctl -w "
        f"user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1; {_CONTAINER}.",
    ),
)
_OPT_OUT = (
    'On a machine that holds nothing of value, isolation = "none_programs_run_with_my_rights" in '
    "the sandbox's settings runs programs without any."
)


_TRIAL_S = 60.0
"""Wall clock of a program that does nothing: more than a busy machine needs to start one."""


class MachineBusyError(RuntimeError):
    """The trial of the isolation was not done in time: it says nothing about the isolation."""


def require_isolation(settings: SandboxSettings) -> None:
    """Raise UserError, with a remedy, unless programs can be isolated as asked.

    A machine too busy to tell is let pass: what a run meets there is the run's own status.
    """
    if settings.isolation != "bubblewrap":
        return
    try:
        problem = _problem(settings)
    except MachineBusyError:
        return
    if problem:
        raise UserError(problem)


def isolation_problem(settings: SandboxSettings) -> str | None:
    """Return what prevents bubblewrap from working here, with the remedy; None if it works."""
    try:
        return _problem(settings)
    except MachineBusyError as busy:
        return str(busy)


def _problem(settings: SandboxSettings) -> str | None:
    if (path := find_bubblewrap()) is None:
        return f"running programs needs bubblewrap: {INSTALL['bwrap']}. {_OPT_OUT}"
    version = version_of(path)
    if version < OLDEST:
        return f"bubblewrap {_dotted(version)} is too old; {_dotted(OLDEST)} is needed."
    return _try_it(settings)


@cache
def _try_it(settings: SandboxSettings) -> str | None:
    """Run a program that does nothing in a sandbox.

    Raises MachineBusyError, which is not remembered: one busy moment would void every later run.
    """
    python = find_tool("python3", visible(settings.toolchain_folders))
    if (nothing := find_tool("true") or python) is None:
        return f"no program is visible in the sandbox: {INSTALL['python3']}."
    command = Command((nothing,), Limits(wall_s=_TRIAL_S))  # no input is an empty program
    seen = observe(command, settings)
    if inner_exit_code(seen) == 0:
        return None
    if seen.ended_by in ("wall", "lost"):
        raise MachineBusyError(
            f"bubblewrap did not start a program within {_TRIAL_S:g} s: this machine is too busy. "
            "Wait until less is running and try again."
        )
    said = seen.stderr.decode("utf-8", "replace").strip() or f"ended by {seen.ended_by}"
    remedy = next((text for pattern, text in _REMEDIES if re.search(pattern, said)), "")
    return f"bubblewrap cannot work here: {said}. {remedy} {_OPT_OUT}"


def exposed_project(settings: SandboxSettings) -> str | None:
    """Return a warning for a project that lies where programs can read it, else None."""
    here = Path.cwd().resolve()
    shown = next((f for f in ("/usr", *settings.toolchain_folders) if here.is_relative_to(f)), None)
    if shown is None:
        return None
    return (
        f"programs in the sandbox can read {here}, since {shown} is shown to them: keep a project, "
        "its data and its answers elsewhere, for instance below /home or /srv."
    )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
