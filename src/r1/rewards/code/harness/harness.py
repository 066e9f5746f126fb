"""Calls a function of the answer for each line of standard input; `r1.rewards.code.calls` runs it.

Stands below usual.py. First line: JSON {"nonce", "source", "entry"}. Every other line: a JSON list
of arguments. For each
one line is written: nonce, number, "ok" or "error", and the result as JSON. Everything here is
within the answer's reach, which is why nothing here knows what is expected.
"""

import json
import sys
import types


def load(setup, given):
    """Run the answer as the module `answer`, below source that is given; return its names."""
    module = sys.modules["answer"] = types.ModuleType("answer")
    scope = vars(module)
    exec(given, scope)
    scope.update(usual_names(setup["source"], setup["entry"]))
    exec(compile(setup["source"], "answer.py", "exec"), scope)
    return scope


def find(scope, entry):
    owner, _, name = entry.replace("::", ".").rpartition(".")
    if not owner and name not in scope and hasattr(scope.get("Solution"), name):
        owner = "Solution"
    if (owner or name) not in scope:
        raise NameError(f"the answer defines no {owner or name}")
    if not owner:
        return scope[name]
    if isinstance(scope[owner].__dict__.get(name), staticmethod):
        return getattr(scope[owner], name)
    return getattr(scope[owner](), name)


def plain(value):
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    for method in ("tolist", "item"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def call(scope, entry, line):
    """Make one call of plain arguments and return its result as JSON."""
    return json.dumps(find(scope, entry)(*json.loads(line)), default=plain)


def told_error(error):
    return json.dumps(f"{type(error).__name__}: {error}"[:200])


def serve(call, told_error, given=""):
    setup = json.loads(sys.stdin.readline())
    lines = iter(sys.stdin.readline, "")
    scope = load(setup, given)
    for number, line in enumerate(lines):
        try:
            word, text = "ok", call(scope, setup["entry"], line)
        except BaseException as error:
            word, text = "error", told_error(error)
        sys.stdout.write(f"\n{setup['nonce']} {number} {word} {text}\n")
        sys.stdout.flush()
