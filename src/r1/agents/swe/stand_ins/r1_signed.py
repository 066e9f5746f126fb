"""A plugin of pytest in the sandbox: signs each test's status with a secret from standard input.

The secret is read before anything of the project is loaded. A status counts only while pytest is
what it was then.
"""

import contextlib
import importlib
import os
import sys

NAMES = (
    "unittest.case", "_pytest.main", "_pytest.nodes", "_pytest.outcomes", "_pytest.python",
    "_pytest.reports", "_pytest.runner", "_pytest.unittest", "_pytest.assertion.rewrite",
    "_pytest.skipping", "pluggy._hooks", "pluggy._manager", "pluggy._callers", "pluggy._execution",
)  # fmt: skip
"""What decides a test's status; pluggy's last two are of different versions."""
MODULES = []
for name in NAMES:
    with contextlib.suppress(ImportError):
        MODULES.append(importlib.import_module(name))


LEGACY = {"_getini_unknown_type", "fspath", "inifile", "invocation_dir", "rootdir", "startdir"}
"""Names that pytest's own plugin for old paths sets while it starts; none decides a test."""
FUNCTION = type(lambda: None)


def snapshot():
    owners = [*MODULES]
    for module in MODULES:
        owners += [value for value in vars(module).values() if isinstance(value, type)]
    found = {}
    for owner in owners:
        for name, value in list(vars(owner).items()):
            if name in LEGACY:
                continue
            kind = getattr(value, "__func__", value)
            if isinstance(kind, FUNCTION) or isinstance(value, (type, property)):
                found[id(owner), name] = (id(value), id(getattr(kind, "__code__", None)))
    return found


def make():
    secret = sys.stdin.readline().strip()
    sys.stdin.close()
    out = os.dup(1)
    before = snapshot()
    told = {}
    sys.path += [os.getcwd(), os.path.join(os.getcwd(), "src")]

    class Signed:
        def pytest_runtest_logreport(self, report):
            if hasattr(report, "wasxfail"):
                status = "XFAIL" if report.skipped else "XPASS" if report.passed else "FAILED"
            elif report.when == "call" or not report.passed:
                bad = "FAILED" if report.when == "call" else "ERROR"
                status = "PASSED" if report.passed else "SKIPPED" if report.skipped else bad
            else:
                return
            if snapshot() != before:
                status = "ERROR"
            told.setdefault(report.nodeid, []).append(status)

        def pytest_collectreport(self, report):
            if report.failed:
                told.setdefault(report.nodeid, []).append("ERROR")

        def pytest_unconfigure(self):
            os.write(out, b"\n")  # what was printed before may not have ended its line
            for test, statuses in told.items():
                for status in statuses:
                    line = f"{secret} {status} {test}\n"
                    os.write(out, line.encode("utf-8", "replace"))

    return Signed()


PLUGIN = make()


def pytest_configure(config):
    config.pluginmanager.register(PLUGIN, "r1-signed")
