"""Runs what is a test: the module itself, also below its main guard, then `check(candidate)`, the
functions and classes that pytest would collect, and unittest's cases. Stands below tester.py.
"""

import ast
import contextlib
import importlib.util
import random
import traceback

FIXTURES = {"capsys", "capfd", "caplog", "monkeypatch", "tmp_path", "tmpdir", "request", "mocker"}
CONTEXTS = ("assertRaises", "assertWarns", "assertLogs", "assertNoLogs")
SOFT_ASSERT = """
try:
    __r1__.checks += 1
except __r1__.Error:
    if not __r1__.unknown:
        raise
"""


class Softened(ast.NodeTransformer):
    """Lets assertions fail only where every result is known, and imports find the function."""

    def __init__(self, names, homes):
        self.names, self.homes = names, homes

    def visit_Assert(self, node):
        soft = ast.parse(SOFT_ASSERT).body[0]
        soft.body.append(node)
        return ast.copy_location(soft, node)

    def visit_ExceptHandler(self, node):
        """A failed assertion that is heard and only printed has failed all the same."""
        self.generic_visit(node)
        caught = {"AssertionError", "Exception", "BaseException"}
        if (node.type is None or names_in(node.type) & caught) and all(map(is_idle, node.body)):
            node.name = node.name or "__r1_error__"
            node.body.insert(0, ast.parse(f"__r1__.lost({node.name})").body[0])
        return node

    def visit_Import(self, node):
        """`import solution` for `solution.add`: a module that is not here holds the stub."""
        here = [a for a in node.names if is_here(a.name) or (a.asname or a.name) not in self.homes]
        held = [
            ast.parse(f"{a.asname or a.name} = __r1__.module()").body[0]
            for a in node.names
            if a not in here
        ]
        node.names = here
        return [ast.copy_location(each, node) for each in ([node] if here else []) + held]

    def visit_ImportFrom(self, node):
        """`from solution import add`: the stub is there already."""
        if node.level == 0 and is_here(node.module):
            return node
        wanted = [alias for alias in node.names if alias.name in self.names]
        bound = [
            ast.Assign([ast.Name(alias.asname, ast.Store())], ast.Name(alias.name, ast.Load()))
            for alias in wanted
            if alias.asname
        ]
        node.names = [a for a in node.names if a not in wanted and a.name != "*"]
        left = [node] if node.names else []
        return [ast.copy_location(each, node) for each in (*bound, *left)] or ast.Pass()


def is_here(module):
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def names_in(node):
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def homes_of(names, nodes):
    """What the tests read a name of: `solution` in solution.add."""
    reads = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr in names]
    return {node.value.id for node in reads if isinstance(node.value, ast.Name)}


def is_idle(statement):
    """Whether a statement of a handler does no more than print."""
    called = getattr(getattr(statement, "value", None), "func", None)
    return isinstance(statement, ast.Pass | ast.Continue) or getattr(called, "id", "") == "print"


def looks_in_place(tree, functions):
    """Whether the tests look at a variable that they passed, to see how a call changed it.

    It must be compared with something that depends neither on a result nor on a variable passed:
    in `assert f(x) == sum(x)` a function that empties x would choose what it is compared with.
    """

    def is_call(node):
        return isinstance(node, ast.Call) and (
            getattr(node.func, "id", "") in functions or getattr(node.func, "attr", "") in functions
        )

    def calls(node):
        return [each for each in ast.walk(node) if is_call(each)]

    results = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and calls(node.value):
            results |= set().union(*map(names_in, node.targets))
    passed = set()
    for call in calls(tree):
        for each in (*call.args, *(keyword.value for keyword in call.keywords)):
            passed |= names_in(each) - results

    def shows(sides):
        for side in sides:
            indexes = [e.slice for e in ast.walk(side) if isinstance(e, ast.Subscript)]
            bare = names_in(side) - set().union(*map(names_in, indexes))
            rest = [other for other in sides if other is not side]
            free = not any(names_in(other) & (results | passed) for other in rest)
            if bare & passed and not bare & results and free and not any(map(calls, sides)):
                return True
        return False

    return any(map(shows, compared(tree)))


def compared(tree):
    """The sides of each comparison that a test makes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "").startswith("assert"):
            yield node.args
        if isinstance(node, ast.Assert):
            claims = [node.test]
            while claims:
                claim = claims.pop()
                if isinstance(claim, ast.BoolOp):
                    claims += claim.values
                elif isinstance(claim, ast.UnaryOp):
                    claims.append(claim.operand)
                else:
                    is_compare = isinstance(claim, ast.Compare)
                    yield [claim.left, *claim.comparators] if is_compare else [claim]


class Runner:
    """Runs the tests of one session and keeps what failed."""

    def __init__(self, session):
        self.session, self.failures = session, []
        self.module = sys.modules["__main__"] = types.ModuleType("__main__")
        self.scope = session.scope = vars(self.module)
        owner, _, self.name = session.setup["entry"].replace("::", ".").rpartition(".")
        self.owner = owner
        self.tree = ast.parse(session.setup["source"])

    def run(self):
        session = self.session
        self.define()
        nodes = list(ast.walk(self.tree))
        calls = [node.func for node in nodes if isinstance(node, ast.Call)]
        self.called = {func.id for func in calls if isinstance(func, ast.Name)}
        session.method_names = {func.attr for func in calls if isinstance(func, ast.Attribute)}
        session.named = names_in(self.tree) | {getattr(node, "name", None) for node in nodes}
        checks = [n for n in nodes if isinstance(n, ast.FunctionDef) and n.name == "check"]
        params = {arg.arg for check in checks for arg in check.args.args[:1]}
        session.in_place = looks_in_place(self.tree, {self.name, "candidate"} | params)
        enders = {"exit", "_exit", "quit", "abort", "fail"} & (self.called | session.method_names)
        self.guards = bool(enders) or any(map(is_guard, nodes))
        handlers = [node for node in nodes if isinstance(node, ast.ExceptHandler)]
        self.handles = any(isinstance(e, ast.Assert) for h in handlers for e in ast.walk(h))
        evaluators = {"eval", "exec", "__import__", "import_module"}
        self.evaluates = bool(evaluators & (self.called | session.method_names))
        stored = [n.id for n in nodes if isinstance(n, ast.Name) and not is_read(n)]
        self.bound = {*stored, *(getattr(node, "name", None) for node in nodes)}
        names = {self.name, self.owner or self.name}
        soft = Softened(names, homes_of(names, nodes)).visit(self.tree)
        code = compile(ast.fix_missing_locations(soft), "tests.py", "exec")
        if "unittest" in session.setup["source"]:
            self.soften_cases()
        self.attempt(exec, code, self.scope)
        self.run_functions()
        self.run_classes()

    def define(self):
        """The names that the tests find: what the problem gives, then the stub."""
        session, scope = self.session, self.scope
        exec(compile(NODES, "given.py", "exec"), scope)
        scope.update(usual_names(session.setup["source"], session.setup["entry"]))
        for text in session.setup["given"]:
            with contextlib.suppress(Exception):  # a beginning, which the answer completes
                exec(compile(text, "given.py", "exec"), scope)
        session.module = lambda: types.SimpleNamespace(
            **{name: scope[name] for name in (self.name, self.owner) if name in scope}
        )
        session.lost = lambda error: self.lose(error)
        session.given_classes = {kind for kind in scope.values() if isinstance(kind, type)}
        stub = session.stub
        scope.update({"__r1__": session, "candidate": stub, "random": random, self.name: stub})
        if self.owner:
            scope[self.owner] = self.stub_class()

    def stub_class(self):
        session, name = self.session, self.name

        def missing(self, wanted):
            if wanted.startswith("__"):
                raise AttributeError(wanted)
            raise session.fault(f"the tests use {wanted}, but the function under test is {name}")

        body = {"__init__": lambda self, *_, **__: None, "__getattr__": missing}
        return type(self.owner, (), {**body, name: staticmethod(session.stub)})

    def attempt(self, test, *args):
        """Run one test; what it raises is kept."""
        try:
            result = test(*args)
            if isinstance(result, types.CoroutineType):
                importlib.import_module("asyncio").run(result)
        except SystemExit as error:
            if error.code not in (None, 0) or self.is_raised(error):
                self.failures.append(error)
        except BaseException as error:
            self.failures.append(error)

    def lose(self, error):
        """Keep a failed assertion that the tests hear and pass over; not one of the answer's."""
        if isinstance(error, AssertionError) and not self.is_raised(error):
            self.failures.append(error)

    def is_raised(self, error):
        """Whether it is the answer's."""
        return any(error is each for each in self.session.raised)

    def run_functions(self):
        for name, found in list(self.scope.items()):
            is_test = name == "check" or name.startswith("test")
            if is_test and is_of_tests(found) and name not in self.called:
                self.run_function(name, found)

    def run_function(self, name, found):
        code = found.__code__
        required = code.co_varnames[: code.co_argcount - len(found.__defaults__ or ())]
        if len(required) > 1 or FIXTURES & set(required):
            self.session.fault(f"{name} wants {', '.join(required)}, which nothing gives")
            return
        self.attempt(found, *[self.session.stub for _ in required])

    def run_classes(self):
        for name, found in list(self.scope.items()):
            if not isinstance(found, type) or found.__module__ != "__main__":
                continue
            if "unittest" in sys.modules and issubclass(found, unittest.TestCase):
                self.run_case(found)
            elif name.startswith("Test") and "__init__" not in vars(found) and name != self.owner:
                for method in [method for method in dir(found) if method.startswith("test")]:
                    self.attempt(self.run_method, found, method)

    def run_method(self, kind, method):
        instance = kind()
        getattr(instance, "setup_method", lambda *_: None)()
        return getattr(instance, method)()

    def soften_cases(self):
        """unittest: `main` leaves the running to us; assertions are softened and counted."""
        global unittest
        import unittest

        unittest.main = unittest.TestProgram = lambda *_, **__: None
        session = self.session

        def soft(method):
            def check(*args, **kwargs):
                session.checks += 1
                try:
                    return method(*args, **kwargs)
                except Exception:
                    if not session.unknown:
                        raise

            return check

        def counted(method):
            def check(*args, **kwargs):
                session.checks += 1
                return method(*args, **kwargs)

            return check

        for name, method in list(vars(unittest.TestCase).items()):
            if name.startswith("assert") or name == "fail":
                wrapped = counted if name.startswith(CONTEXTS) else soft
                setattr(unittest.TestCase, name, wrapped(method))

    def run_case(self, case):
        failures = self.failures

        class Result(unittest.TestResult):
            def addError(self, test, err):
                failures.append(err[1])

            addFailure = addError

            def addSubTest(self, test, subtest, err):
                if err is not None:
                    failures.append(err[1])

            def addUnexpectedSuccess(self, test):
                failures.append(AssertionError("an unexpected success"))

        unittest.defaultTestLoader.loadTestsFromTestCase(case).run(Result())

    def fault(self):
        """Why there is no verdict, or ""."""
        session = self.session
        if session.faults:
            return session.faults[0]
        if self.failures:
            first = self.failures[0]  # others may follow from it
            broken = isinstance(first, (NameError, ImportError)) and not self.evaluates
            named = isinstance(first, NameError) and first.name in self.bound
            fault = f"{type(first).__name__}: {first}"
            return fault if broken and not named and not self.is_raised(first) else ""
        if not session.calls:
            return f"the tests never call {self.name}"
        return ""

    def tell_of_nothing_asserted(self):
        """Say that no assertion was reached, and whether the answer can be why."""
        if not self.session.checks and not self.guards:
            if self.handles or self.session.raised:
                self.session.say("hangs")
            self.session.say("idle")


def is_guard(node):
    """Whether a statement is there not to be reached: `raise`, `assert False`."""
    never = isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant)
    return isinstance(node, ast.Raise) or (never and not node.test.value)


def is_read(name):
    return isinstance(name.ctx, ast.Load)


def is_of_tests(found):
    code = getattr(found, "__code__", None)
    return code is not None and code.co_filename == "tests.py"


def main():
    session = Session(json.loads(sys.stdin.readline()))
    Foreign.__getattr__ = lambda value, name: session.missing(name)
    ForeignFunction.__call__ = lambda value, *_, **__: session.called()
    random.seed(0)
    try:
        runner = Runner(session)
    except SyntaxError as error:
        session.say("fault", json.dumps(f"SyntaxError: {error}"))
        return
    runner.run()
    if session.unknown:
        if UnsettledError.decided:
            session.say("hangs")
        return
    if fault := runner.fault():
        session.say("fault", json.dumps(fault))
    elif runner.failures:
        traceback.print_exception(runner.failures[0])
        sys.exit(1)
    else:
        runner.tell_of_nothing_asserted()
        session.say("done")


main()
