"""Runs a test program whose function under test is a stub: stands above runner.py.

Standard input: JSON {"nonce", "entry", "given", "source", "classes", "known"}, where known is
{call: [ok, record]}. A call that is not known is told on standard output and returns a `Pending`
value; from then on no assertion can fail, so that one run tells as many calls as it can. The last
line says that the tests passed ("done"), or why they cannot judge the answer ("fault"). "idle":
they passed without an assertion. "hangs": which way the tests take hangs on a result.

What the answer raised is raised here, but never as an exception that ends an iteration or the
program where nobody catches it, such as StopIteration, unless the tests name it.
"""

import builtins

FIRST_ITEMS = 16
SILENT = ("StopIteration", "StopAsyncIteration", "GeneratorExit", "KeyboardInterrupt", "SystemExit")
MAX_ASKED_AGAIN = 1000


class UnsettledError(Exception):
    """The test program needs a result that is not known yet.

    decided: whether it was needed to go one way or another: for its truth, its items, as a number.
    """

    decided = False


class FaultError(Exception):
    """The test program wants what cannot be carried, or is broken: no verdict."""


def unsettled(*_):
    raise UnsettledError


def undecided(*_):
    UnsettledError.decided = True
    raise UnsettledError


class Pending:
    """A result that is not known yet: most of what is done with it is not known either."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_, **__):
        return self

    __hash__ = object.__hash__


SPREADING = (
    "add sub mul matmul truediv floordiv mod pow and or xor lshift rshift radd rsub rmul rtruediv "
    "rfloordiv rmod rpow rand ror rxor neg pos abs invert getitem eq ne lt le gt ge round divmod"
)
DECIDING = "bool iter len int float complex index contains enter"
for _name in SPREADING.split():
    setattr(Pending, f"__{_name}__", Pending.__call__)
for _name in DECIDING.split():
    setattr(Pending, f"__{_name}__", undecided)
for _name in ("str", "repr", "format"):
    setattr(Pending, f"__{_name}__", unsettled)


class TestsDecoder(Decoder):
    """Reads results; an iterator that was not carried to its end asks for more of it."""

    def __init__(self, session, call, objects):
        super().__init__(session.find_class, objects)
        self.session, self.call = session, call

    def stream(self, ended, items):
        yield from items
        if isinstance(ended, dict):
            raise self.session.remade(ended)
        if not ended:
            if len(items) >= MAX_ITEMS:
                raise self.session.noted(RuntimeError(f"more than {MAX_ITEMS} items"))
            more = self.session.ask(self.call, min(8 * len(items), MAX_ITEMS))
            yield from itertools.islice(more, len(items), None)


class Session:
    """One round: what is known, and what became of it. Its state is out of the tests' way."""

    Error = Exception

    def __init__(self, setup):
        self.setup, self.scope = setup, {}
        self.unknown, self.faults = {}, []
        self.raised = []  # exceptions of the answer's making
        self.received = {}  # objects of results, by id
        self.calls = self.checks = 0
        self.in_place = False
        self.given_classes = set()
        self.named = self.method_names = frozenset()

    def say(self, *words):
        sys.__stdout__.write(" ".join(["\n" + self.setup["nonce"], *words]) + "\n")
        sys.__stdout__.flush()

    def fault(self, text):
        self.faults.append(text)
        return FaultError(text)

    def noted(self, error):
        self.raised.append(error)
        return error

    def stub(self, *args, **kwargs):
        """Stands for the function under test."""
        self.calls += 1
        encoder = Encoder(strict=True)
        try:
            text = encoder.text((args, tuple(kwargs.items())))
        except UncarriedError as error:
            if self.unknown:
                raise UnsettledError from None
            raise self.fault(f"an argument is {error}, which cannot be carried") from None
        self.check_objects(encoder.objects)
        return self.ask(text, FIRST_ITEMS, encoder.objects if self.in_place else ())

    def check_objects(self, objects):
        """Refuse objects with methods that the answer does not have, but for those it returned."""
        for kind in {type(value) for value in objects if id(value) not in self.received}:
            names = [name for name, value in vars(kind).items() if callable(value)]
            methods = [name for name in names if not name.startswith("__")]
            shared = kind.__name__ in self.setup["classes"] or kind in self.given_classes
            if kind.__module__ == "__main__" and methods and not shared:
                raise self.fault(f"an argument is a {kind.__name__}, whose methods stay here")
            self.given_classes.add(kind)

    def ask(self, text, take, objects=()):
        call = f"{take} {text}"
        if call not in self.setup["known"]:
            if call not in self.unknown:
                self.say("call", call)
            self.unknown[call] = self.unknown.get(call, 0) + 1
            if self.unknown[call] > MAX_ASKED_AGAIN:
                raise UnsettledError
            return Pending()
        ok, record = self.setup["known"][call]
        try:
            record = json.loads(record)
            if not ok:
                error = self.remade(record)
            else:
                decoder = TestsDecoder(self, text, objects)
                result, _ = decoder.value(record["told"])
                self.received.update((id(each), each) for each in decoder.objects.values())
        except Exception as garbled:  # a record that the answer forged
            error = self.noted(RuntimeError(f"no result: {garbled!r}"[:200]))
            ok = False
        if not ok:
            raise error
        if sys.stdout is not sys.__stdout__:  # the tests look at what is printed
            sys.stdout.write(str(record["printed"]))
        return result

    def remade(self, told):
        """The answer's exception as one of this side."""
        if isinstance(told, str):  # its process ended
            return self.noted(RuntimeError(told))
        args, state = Decoder(self.find_class).value(told["given"])
        kind = next(filter(None, map(self.error_class, told["names"])), RuntimeError)
        if kind.__module__ == "__main__":  # whose __init__ may want something else
            error = kind.__new__(kind, *args)
            error.args = args
            vars(error).update(state)
        else:
            error = kind(*args)
        return self.noted(error)

    def error_class(self, name):
        own = self.scope.get(name)
        if isinstance(own, type) and own.__module__ == "__main__":
            silent = issubclass(own, (StopIteration, StopAsyncIteration))
            return own if issubclass(own, Exception) and not silent else None
        found = getattr(builtins, name, None)
        if not isinstance(found, type) or not issubclass(found, BaseException):
            return None
        if name in SILENT:
            return found if name in self.named else None
        if name == "IndexError" and "__getitem__" in self.named:  # it would end an iteration
            return None
        return found if issubclass(found, Exception) else None

    def find_class(self, name):
        """A class of the tests that a result may be of; none that decides what it is equal to."""
        found = self.scope.get(name)
        if not isinstance(found, type) or found.__module__ != "__main__":
            return None
        equal = getattr(found.__eq__, "__code__", None)
        decides = equal is not None and equal.co_filename == "tests.py"
        of_its_own = decides and {"isinstance", name} <= set(equal.co_names)
        trusted = found in self.given_classes or (of_its_own and name in self.setup["classes"])
        return found if trusted or not decides else None

    def missing(self, name):
        """An attribute that an object of the answer lacks here, its methods among them.

        A method that a value of another class would have is the answer's lack.
        """
        own = [kind for kind in self.scope.values() if isinstance(kind, type)]
        known = any(hasattr(kind, name) for kind in (*carried_classes(), *own))
        if name in self.method_names and not known and not name.startswith("__"):
            raise self.fault(f"the tests call the method {name} of a result")
        raise AttributeError(name)

    def called(self):
        raise self.fault("the tests call a result, which is a function")
