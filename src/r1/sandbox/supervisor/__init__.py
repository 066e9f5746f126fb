"""The process between the caller and a program: starts, watches and ends it, and reports.

It imports the standard library alone and none of `r1` (`python -I -S`, see `launch.py`), so that it
is small: forking it is cheap however much memory the caller holds, the caller's memory does not
count as the program's peak, and neither the caller's threads nor its interpreter lock can delay a
deadline. One supervisor serves one run at a time; `launch.py` keeps a few of them.

It gets complete instructions and decides nothing about safety itself: argument lists, limits and
control groups come from the caller (`isolation.py`, `cgroups.py`). It is the child subreaper of all
processes it starts, so it ends and reaps whatever a program leaves behind before it answers. When
the caller ends, it ends too, and the kernel ends the sandbox.
"""

from .channel import FD_MARK, STATUS_MARK, receive, send
from .groups import GROUP_PREFIX
from .processes import descendants
from .uncover import first_closed

__all__ = [
    "FD_MARK",
    "GROUP_PREFIX",
    "STATUS_MARK",
    "descendants",
    "first_closed",
    "receive",
    "send",
]
