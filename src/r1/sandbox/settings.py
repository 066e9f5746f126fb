"""Settings of `[sandbox]`: how untrusted programs are isolated."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from r1.config import Settings

Isolation = Literal["bubblewrap", "none_programs_run_with_my_rights"]


class SandboxSettings(Settings):
    """How programs are isolated from the machine, and the limits of their compilers."""

    compile_memory_mb: ClassVar[int] = 1024
    """Memory a compiler may take, in MB."""
    settled: ClassVar = {"compile_memory_mb": compile_memory_mb}

    isolation: Isolation = Field(
        "bubblewrap",
        description="bubblewrap, or no isolation at all, which is as dangerous as its name says",
    )
    toolchain_folders: tuple[str, ...] = Field(
        (),
        description="folders beside /usr with compilers or interpreters; programs can read them, "
        "and each one's `bin` is searched first",
    )
    compile_cpu_s: float = Field(
        20.0,
        gt=0,
        description="processor time a compiler may take, in seconds; beyond it the program is at "
        "fault",
    )

    @property
    def compile_wall_s(self) -> float:
        """Return a compiler's wall clock limit, in seconds. Beyond it there is no verdict if the
        compiler waited for a processor, which can take a minute on a busy machine."""
        return max(60.0, 3.0 * self.compile_cpu_s)
