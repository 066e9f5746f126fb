"""Settings of the code reward (torch-free): `[rewards.code]` in a recipe."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from r1.config import Settings
from r1.sandbox import SandboxSettings


class CodeSettings(Settings):
    """Settings of the code reward: what earns a reward, and the limits of programs.

    A problem's own metadata (`time_limit_s`, `memory_mb`) override the limits. Time limits are of
    processor time, so that no answer fails because the machine is busy. The wall clock stops a
    program at three times its limit plus four seconds if it sleeps, which is wrong; one that is
    kept waiting for a processor has four times as long, and then no verdict.
    """

    settled: ClassVar = {"max_tests": None}

    credit: Literal["all", "share"] = Field(
        "all", description='"all": 1 where every test passes, else 0; "share": the share that pass'
    )
    sandbox: SandboxSettings = SandboxSettings()
    time_limit_s: float = Field(
        4.0, gt=0.0, le=60.0, description="processor time of one run, in seconds"
    )
    memory_mb: int = Field(512, ge=32, description="memory of one run, in MB")
    total_s: float = Field(
        60.0, gt=0.0, description="wall clock for all tests of one response, in seconds"
    )
