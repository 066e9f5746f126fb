"""Examine a test program without running it. Pure text; Python also by its syntax.

A program that cannot fail, or never names the function under test, tests nothing and would pay
every answer: such a problem is refused when it is loaded. A test that is never reached is found
only when the program runs.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from r1.rewards.code.reading import extract_code

_FAILS = {
    "python": r"\bassert|\braise\b|\bexit\b|\bfail\b|\bcheck|\bverify|\bexpect|\bshould",
    "javascript": r"\bassert|\bthrow\b|\bexpect\b|\bexit\b|\bexitCode\b|\breject|\bshould|\bcheck",
    "php": r"\bassert|\bthrow\b|\bexit\b|\bdie\b|\btrigger_error\b",
    "cpp": r"\bassert|\bthrow\b|\bexit\b|\babort\b|\breturn\b|\bterminate\b|\bcheck|\bEXPECT",
    "java": r"\bassert|\bthrow\b|\bexit\b|\bhalt\b",
    "csharp": r"\bAssert\b|\bthrow\b|\bExit\b|\bFailFast\b|\breturn\b|\bFail\b",
    "bash": r"\bexit\b|\bset -\w*e|\berrexit\b|\breturn\b|\bfalse\b"
    r"|^(?:\[|\(\(|(?:test|diff|cmp|grep|\w*(?:check|assert|expect)\w*)\b)(?!.*\|\|)",
}
"""Language -> words one of which a program needs that may fail."""
_FAILS["typescript"] = _FAILS["javascript"]
_FRAMEWORKS = {
    "java": (r"\bimport\s+(?:static\s+)?(?:org\.junit|org\.testng|junit)\b", r"\bmain\s*\("),
    "csharp": (
        r"\busing\s+(?:static\s+)?(?:NUnit|Xunit|Microsoft\.VisualStudio)\b",
        r"\bMain\s*\(",
    ),
    "cpp": (r"#\s*include\s*[<\"](?:gtest|catch|doctest|boost/test)", r"\bmain\s*\("),
    "php": (r"\bextends\s+\\?(?:\w+\\)*TestCase\b", ""),
}
"""Language -> how a program says that it wants a framework, and what it must hold instead."""
_FAILS_OTHERWISE = {
    "javascript": r"\bthrow\b|\breject|\bprocess\.exit",
    "php": r"\bthrow\b|\bexit\b|\bdie\b|\btrigger_error\b",
    "cpp": r"\bthrow\b|exit\b|\babort\b|\bterminate\b|\bEXPECT|\breturn\s+(?!0\s*;)",
    "java": r"\bthrow\b|\bexit\b|\bhalt\b|\bassert\b",
    "csharp": r"\bthrow\b|\bExit\b|\bFail|\bAssert\b|\breturn\s+(?!0\s*;)",
}
"""Language -> what makes a program fail beside the assertions that its tester counts."""
_FAILS_OTHERWISE["typescript"] = _FAILS_OTHERWISE["javascript"]
_BRANCHES = r"\b(?:for|foreach|while|if|switch|match|catch|forEach|map|every|some)\b|(?<!<)\?(?!>)"
_NOISE = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.S)
_HASH_NOISE = re.compile(r"(?m)^\s*#[^\n]*")


def why_no_test(language: str, source: str, entry: str) -> str:
    """Return why a test program cannot judge any answer, as a phrase with a verb, or ""."""
    names = [*re.split(r"\W+", entry), "candidate"]
    if language == "python":
        return _why_no_python_test(source, names)
    code = (_HASH_NOISE if language == "bash" else _NOISE).sub(" ", source)
    framework, main = _FRAMEWORKS.get(language, ("", ""))
    if framework and re.search(framework, code):
        return "needs a test framework, which the sandbox lacks; write plain assertions"
    if main and not re.search(main, code):
        return "has no main, so that none of its tests would run"
    if not re.search(rf"\b(?:{'|'.join(map(re.escape, filter(None, names)))})\b", code):
        return f"never names {entry}: it would pay every answer"
    if not re.search(_FAILS[language], code, re.M):
        return "holds no assertion and nothing else that can fail: it would pay every answer"
    return ""


def can_fail_otherwise(language: str, tests: str) -> bool:
    """Whether tests can fail in their tester without a counted assertion."""
    return re.search(_FAILS_OTHERWISE[language], tests) is not None


def hangs_on_results(language: str, source: str) -> bool:
    """Whether results can decide which assertions are reached (not for Python)."""
    code = (_HASH_NOISE if language == "bash" else _NOISE).sub(" ", source)
    return language != "python" and re.search(_BRANCHES, code) is not None


def may_go_on(source: str) -> bool:
    """Whether results can decide the number of calls: the test program has an open loop."""
    return re.search(r"\b(?:while|until|loop)\b|\bfor\s*\(\s*;", source) is not None


def _why_no_python_test(source: str, names: list[str]) -> str:
    tree = _parsed(source)
    if tree is None:
        return "is not Python"
    swallowed = set(_swallowed(tree))
    nodes = [node for node in ast.walk(tree) if node not in swallowed]
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {
        alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    checks = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    takes_stub = any(
        node.args.args and (node.name == "check" or node.name.startswith("test")) for node in checks
    )
    if not takes_stub and not used & set(names):
        return f"never calls {names[-2]}: it would pay every answer"
    if not any(map(_may_end, nodes)) and not any(
        re.search(_FAILS["python"], name) for name in used
    ):
        return "holds no assertion and nothing else that can fail: it would pay every answer"
    return ""


def _may_end(node: ast.AST) -> bool:
    """Whether a statement can end the program; `assert (x == 1, "no")` always holds."""
    if isinstance(node, ast.Assert):
        test = node.test
        holds = isinstance(test, ast.Tuple) and test.elts
        return not holds and not (isinstance(test, ast.Constant) and test.value)
    return isinstance(node, ast.Raise)


def _swallowed(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the assertions in `try: …` of which `except: pass` hears whatever the answer does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(map(_hears_all, node.handlers)):
            inside = (each for part in node.body for each in ast.walk(part))
            yield from (each for each in inside if isinstance(each, ast.Assert | ast.Raise))


def _hears_all(handler: ast.ExceptHandler) -> bool:
    caught = {node.id for node in ast.walk(handler.type or handler) if isinstance(node, ast.Name)}
    is_broad = handler.type is None or bool(caught & {"Exception", "BaseException"})
    return is_broad and all(
        isinstance(each, ast.Pass | ast.Continue)
        or (isinstance(each, ast.Expr) and ast.unparse(each).startswith("print("))
        for each in handler.body
    )


def _parsed(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def code_in_prompt(prompt: str) -> str:
    """Return the Python code of a prompt, or of its last block, if it defines functions.

    HumanEval's prompts define functions that its tests call.
    """
    for text in (prompt, extract_code(prompt, "python") or ""):
        tree = _parsed(text) if "def " in text else None
        if tree is not None and any(isinstance(node, ast.FunctionDef) for node in tree.body):
            return text
    return ""
