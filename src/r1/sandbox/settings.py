"""How untrusted programs are kept apart: the settings of `[sandbox]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from r1.config import Settings

Isolation = Literal["bubblewrap", "none_programs_run_with_my_rights"]


class SandboxSettings(Settings):
    """The sandbox's settings.

    Attributes:
        isolation: "bubblewrap", or no isolation at all, which is as dangerous as its name says.
        uid: the unprivileged user (and group) that programs run as when the caller is root; by
            default one for each sandbox, from a range that nobody uses, where there are so many.
        toolchain_folders: folders beside /usr that hold compilers or interpreters; each is
            readable inside, and its `bin` is searched first.
        compile_cpu_s: processor seconds a compiler may take; beyond them a program is at fault.
        compile_wall_s: seconds on the clock it may take. Beyond them there is no verdict where it
            was kept waiting for a processor.
        compile_memory_mb: memory a compiler may take.
    """

    isolation: Isolation = "bubblewrap"
    uid: int | None = Field(None, gt=0, lt=2**32 - 1)
    toolchain_folders: tuple[str, ...] = ()
    compile_cpu_s: float = Field(20.0, gt=0)
    compile_wall_s: float = Field(60.0, gt=0)
    compile_memory_mb: int = Field(1024, gt=0)
