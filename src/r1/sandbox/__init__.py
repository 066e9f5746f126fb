"""Run untrusted programs in isolation: build once, run many times.

    with Program.build("cpp", source) as program:
        result = program.run(stdin="3 4\\n")  # RunResult: status, exit_code, stdout, stderr, ...

Each run is a process tree of its own inside bubblewrap, watched by a supervisor process
(`supervisor.py`) and judged by what that saw (`verdict.py`).

What is covered:
* Rights: an unprivileged user (as root, another user first, one for each sandbox), no
  capabilities, no_new_privs, no setuid, no user namespaces of its own, a system-call filter
  (`seccomp.py`).
* Sight: /usr read-only, the toolchains' own files in /etc, five devices, an empty environment;
  no home, no project, no passwords, no sysfs, no control groups, and of processes only its own.
* Reach: no network of any family, no IPC with the outside, no signals to the outside, no terminal,
  no descriptor but its standard input (sealed), output and error.
* Use: wall clock, processor time, memory, processes, file size, /tmp as a whole, open files,
  output; the memory of all processes together through a control group where one can be made,
  through sampling otherwise. Descriptors, core dumps, queued signals and locked memory as well.
* Remains: nothing lies on disk at any time; every process of a run has ended and been reaped when
  `run` returns; when the caller is killed, so is the run.

What is not covered:
* A defect of the Linux kernel that is reachable with ordinary calls. Where programs are written by
  an adversary rather than by a model in training, run the whole in a virtual machine.
* Side channels: timing, caches, and how busy the machine is. /proc shows the machine's processor,
  memory, load and kernel version.
* Fairness: runs share cores and memory bandwidth with everything else, and the wall clock runs on
  while they wait. Give limits room, or fewer runs at once.
* The order of events: threads, times and random numbers are real, so a verdict can differ between
  runs of a program that depends on them (Python's hash seed is fixed).
* Processor time of processes that live when the main one ends, in their last quarter of a second,
  where no control group counts it.
* Kernel memory of empty files and of pipes, where no control group bounds it, but by the wall
  clock.
* Whether the program's answer is right, or honest: `r1.rewards` compares outside.
"""

from r1.sandbox.program import LANGUAGES, Program
from r1.sandbox.result import Limits, RunResult, Status
from r1.sandbox.settings import SandboxSettings

__all__ = ["LANGUAGES", "Limits", "Program", "RunResult", "SandboxSettings", "Status"]
