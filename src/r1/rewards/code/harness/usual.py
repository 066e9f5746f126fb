"""The imports that LeetCode gives every answer; stands before harness.py and runner.py."""

import builtins
import importlib
import re
import typing

STARS = ("collections", "heapq", "bisect", "itertools", "functools", "math")
MODULES = (*STARS, "string", "re", "random", "operator", "datetime", "copy", "sys", "typing")


def usual_names(source, entry):
    """What LeetCode imports for every answer, of that what the source mentions.

    Never the function under test, which the answer has to define, nor a builtin under another
    meaning (math.pow).
    """
    words = set(re.findall(r"\w+", source)) - {re.split(r"\W+", entry)[0], *dir(builtins)}
    scope = {name: getattr(typing, name) for name in typing.__all__ if name in words}
    for module in MODULES:
        if module in words:
            scope[module] = importlib.import_module(module)
    for module in map(importlib.import_module, STARS):
        public = getattr(module, "__all__", None) or [n for n in dir(module) if n[0] != "_"]
        scope.update({name: getattr(module, name) for name in public if name in words})
    return scope
