"""Runs unittest files over a solution in the sandbox: run_unittest.py PROJECT TEST_FILE ...

The secret on standard input signs the last line: secret, passed, failed, skipped. Everything of
unittest that decides a test is compared with what it was before the solution was loaded.
"""

import importlib.util
import os
import sys
import traceback
import unittest

MODULES = (unittest.case, unittest.result, unittest.suite, unittest.loader, unittest)
CLASSES = (unittest.TestCase, unittest.TestSuite, unittest.TestResult, unittest.TestLoader)
PLAIN = (int, float, complex, str, bytes, bool, list, tuple, dict, set, frozenset, type(None))


def snapshot():
    """All functions and classes of unittest, by where they stand."""
    found = {}
    for owner in (*MODULES, *CLASSES):
        for name, value in vars(owner).items():
            if callable(value) and not name.startswith("__"):
                found[owner, name] = value
                if hasattr(value, "__code__"):
                    found[owner, name, "code"] = value.__code__
    return found


def odd(value, project, depth=4):
    """Whether a value holds an object whose class, a solution's, says itself what it equals."""
    kind = type(value)
    for owner in kind.__mro__:
        if "__eq__" in vars(owner):
            file = getattr(sys.modules.get(owner.__module__), "__file__", None)
            if owner.__module__ != "builtins" and (file is None or file.startswith(project)):
                return True
            break
    if depth and kind in (list, tuple, set, frozenset):
        return any(odd(item, project, depth - 1) for item in value)
    if depth and kind is dict:
        return any(odd(item, project, depth - 1) for pair in value.items() for item in pair)
    return False


class SignedResult(unittest.TestResult):
    def __init__(self, project, before):
        super().__init__()
        self.project, self.before = project, before
        self.passed = 0
        self.texts = []

    def addSuccess(self, test):  # noqa: N802
        if snapshot() == self.before:
            self.passed += 1
        else:
            self.texts.append(f"FAILED {test.id()}\nthe test framework was changed\n")

    def addFailure(self, test, error):  # noqa: N802
        self.texts.append(f"FAILED {test.id()}\n{''.join(traceback.format_exception(*error))}")

    addError = addFailure

    def addSubTest(self, test, subtest, error):  # noqa: N802
        if error is not None:
            self.addFailure(subtest, error)


def guarded(project):
    """TestCase.assertEqual that does not believe an object which equals a plain value."""
    equal = unittest.TestCase.assertEqual

    def assert_equal(self, first, second, msg=None):
        for one, other in ((first, second), (second, first)):
            if type(other) in PLAIN and odd(one, project) and not odd(other, project):
                self.fail(f"{one!r} is no plain value, and {other!r} is")
        equal(self, first, second, msg)

    return assert_equal


def main():
    secret = sys.stdin.readline().strip()
    sys.stdin.close()
    out = os.dup(1)
    project, files = os.path.realpath(sys.argv[1]), sys.argv[2:]
    del sys.argv[1:]
    unittest.TestCase.assertEqual = guarded(project)
    before = snapshot()
    result = SignedResult(project, before)
    loader, suite = unittest.TestLoader(), unittest.TestSuite()
    sys.path.append(project)
    for file in files:
        name = os.path.basename(file).removesuffix(".py")
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        suite.addTests(loader.loadTestsFromModule(module))
    count = suite.countTestCases()
    suite.run(result)
    for text in result.texts:
        os.write(2, text.encode("utf-8", "replace"))
    failed, skipped = count - result.passed - len(result.skipped), len(result.skipped)
    os.write(out, f"\n{secret} {result.passed} {failed} {skipped}\n".encode())
    os._exit(0 if not failed else 1)


main()
