"""What the benchmarks of programs share: the prompt for a function, and where its stub is cut.

The paper's prompts for code are not published; these ask for what its protocol judges, the program
in the last Markdown block of the language, in words of our own.
"""

from __future__ import annotations

import re

from r1.data.rows import RowError

WHOLE_FUNCTION = "code: the whole function in the last block of its language; every test must pass"
_COMPLETE = (
    "Complete the following {language} function. Use only what is imported there and the "
    "language's own library. Put the whole program as it is given, with the function complete, "
    "into one block that begins with ```{tag}.\n\n```{tag}\n{stub}\n```"
)


def complete_prompt(language: str, tag: str, stub: str) -> str:
    """Ask for a function of which the stub has the head; language: its name for readers."""
    return _COMPLETE.format(language=language, tag=tag, stub=stub.strip("\n"))


def before_function(stub: str, name: str) -> str:
    """The part of a Python stub above its function: imports, and functions that it may call.

    Raises RowError where the stub does not define the function.
    """
    if (found := re.search(rf"^def\s+{re.escape(name)}\s*\(", stub, re.M)) is None:
        raise RowError(f"the prompt defines no function {name}")
    return stub[: found.start()]
