"""Carries values between a test program and an answer, which never share a process.

Stands before harness.py and tester.py, in both. A value becomes {"root": form, "heap": {number:
[kind, ...]}}: what cannot change is written where it stands, what can (lists, dictionaries, sets,
objects, ...) once, by number, so that shared and circular references, and changes that a function
makes in its arguments, survive. Nothing that is read here runs code of the other side: an object
crosses as the name of its class and its attributes, and becomes an instance of this side's class of
that name, or a bare bearer of the attributes.

The rule for what no form exists for (functions, objects of a library, generators' state):
  * in an argument of the tests it is the verifier's failure (`UncarriedError`), unless it is a
    result that they pass on;
  * in a result it is the answer's doing: it crosses as a `Foreign` value, equal to nothing but
    itself and without the abilities of a plain value, so that a test that wants a plain value
    fails; only a test that calls it, or a method of it, wants what cannot be carried.
"""

import collections
import enum
import importlib
import itertools
import json
import sys
import types

__name__ = "bridge"  # so that classes of this file are told apart from those of either side
MAX_ITEMS = 10_000
MADE = {
    ("builtins", "complex"): "real imag",
    ("builtins", "range"): "start stop step",
    ("builtins", "slice"): "start stop step",
    ("fractions", "Fraction"): "numerator denominator",
    ("datetime", "date"): "year month day",
    ("datetime", "time"): "hour minute second microsecond tzinfo",
    ("datetime", "datetime"): "year month day hour minute second microsecond tzinfo",
    ("datetime", "timedelta"): "days seconds microseconds",
    ("datetime", "timezone"): "",
    ("decimal", "Decimal"): "",
    ("pathlib", "PosixPath"): "",
    ("pathlib", "PurePosixPath"): "",
    ("uuid", "UUID"): "",
}
"""Values that their constructor's arguments describe: attributes of that name, or their text."""
PAIRS = {"dict": dict, "Counter": collections.Counter, "OrderedDict": collections.OrderedDict}
BASES = (int, float, str, bytes, tuple, frozenset, list, set, bytearray, dict)
HEAPED = {list, dict, set, bytearray, collections.deque, collections.defaultdict, *PAIRS.values()}
HASHED = {"set", "defaultdict", *PAIRS}
NATIVE_KINDS = (
    type,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)
VIEWS = {type({}.keys()): "keys", type({}.values()): "values", type({}.items()): "items"}
OWN_MODULES = ("answer", "__main__")
NODES = """
class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next
class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val, self.left, self.right = val, left, right
"""
"""The two classes that problems of linked lists and trees take for granted."""


def carried_classes():
    """The classes whose values arrive with all their methods."""
    made = [getattr(importlib.import_module(home), name) for home, name in MADE]
    named = collections.namedtuple("Named", ())  # its methods, such as _asdict
    ran = (types.GeneratorType, types.CoroutineType, BaseException)
    return {*BASES, *HEAPED, *VIEWS, *made, named, *ran}


class UncarriedError(TypeError):
    """A value that has no form for the other side."""


class Foreign:
    """An object of the other side whose class this side lacks: its attributes, nothing else."""


class ForeignFunction(Foreign):
    """A function of the other side, which cannot be called from here."""


def foreign_class(name):
    """A class that bears the name, and crosses back as an object of it."""
    return type(name, (Foreign,), {"__module__": OWN_MODULES[0]})


class Encoder:
    """Writes values; `objects` are those that may change, by number.

    strict: for arguments of the tests. take: how many items of an iterator are written.
    """

    def __init__(self, strict, objects=(), take=MAX_ITEMS):
        self.strict, self.take = strict, take
        self.objects = list(objects)
        self.numbers = {id(value): number for number, value in enumerate(self.objects)}
        self.reached, self.queue = set(), []  # numbers, and in the order in which they were met

    def text(self, value):
        """Return the JSON of a value and of all that it refers to."""
        root = self.form(value)
        heap = {}
        for number in self.queue:  # grows meanwhile
            heap[number] = self.content(self.objects[number])
        return json.dumps({"root": root, "heap": heap})

    def form(self, value):
        kind = type(value)
        if value is None or kind in (bool, float, str):
            return value
        if kind is int:
            return value if abs(value) < 1 << 4000 else {"int": hex(value)}
        if kind is tuple:
            return {"tuple": [self.form(item) for item in value]}
        if kind is frozenset:
            return {"frozenset": sorted(map(self.form, value), key=repr)}
        if kind is bytes:
            return {"bytes": value.hex()}
        if kind in VIEWS:
            return {"view": [VIEWS[kind], *map(self.form, value)]}
        if self.is_heaped(value, kind):
            return self.reference(value)
        return self.rare_form(value, kind)

    def is_heaped(self, value, kind):
        if kind in HEAPED or kind is types.SimpleNamespace:
            return True
        special = isinstance(value, (*BASES, type, enum.Enum, BaseException))
        iterates = hasattr(kind, "__next__")
        data = not (special or iterates or kind is types.FunctionType)
        return data and getattr(kind, "__module__", "") in OWN_MODULES

    def reference(self, value):
        number = self.numbers.setdefault(id(value), len(self.objects))
        if number == len(self.objects):
            self.objects.append(value)
        if number not in self.reached:
            self.reached.add(number)
            self.queue.append(number)
        return {"ref": number}

    def content(self, value):
        kind = type(value)
        if kind is list:
            return ["list", *map(self.form, value)]
        if kind is set:
            return ["set", *sorted(map(self.form, value), key=repr)]
        if kind is bytearray:
            return ["bytearray", value.hex()]
        if kind is collections.deque:
            return ["deque", value.maxlen, *map(self.form, value)]
        if kind is collections.defaultdict:
            return [
                "defaultdict",
                getattr(value.default_factory, "__name__", ""),
                *self.pairs(value),
            ]
        if kind in HEAPED:
            return [kind.__name__, *self.pairs(value)]
        return ["object", kind.__name__, *self.pairs(state_of(value))]

    def pairs(self, value):
        return [[self.form(key), self.form(item)] for key, item in value.items()]

    def rare_form(self, value, kind):
        made = MADE.get((kind.__module__, kind.__name__))
        if made is not None:
            if kind.__name__ == "timezone":
                parts = [value.utcoffset(None)]
            else:
                parts = [getattr(value, name) for name in made.split()] or [str(value)]
            return {"made": [kind.__module__, kind.__name__, *map(self.form, parts)]}
        if isinstance(value, enum.Enum):
            return {"enum": [kind.__name__, value.name, self.form(value.value)]}
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return {"namedtuple": [kind.__name__, list(kind._fields), *map(self.form, value)]}
        for base in BASES:
            if isinstance(value, base):
                return self.form(base(value) if base in HEAPED else base.__new__(base, value))
        if kind.__module__ == "numpy" and hasattr(value, "tolist"):
            items = value.tolist()
            items = float(items) if type(items) is kind else items  # numpy.longdouble
            return {"numpy": [str(value.dtype), self.form(items)]}
        if isinstance(value, NATIVE_KINDS):
            home = getattr(value, "__module__", None) or "builtins"
            if home not in OWN_MODULES:
                return {"native": [home, value.__qualname__]}
        if kind is types.CoroutineType and not self.strict:
            return {"coroutine": [self.form(importlib.import_module("asyncio").run(value))]}
        if hasattr(kind, "__next__") and not hasattr(value, "fileno"):
            return self.iterator(value)
        if self.strict and not is_received(value):
            raise UncarriedError(f"a {kind.__name__}")
        return {"foreign": [kind.__name__, callable(value)]}

    def iterator(self, value):
        """Its items; before them true at its end, false where there is more, or what it raised."""
        take, self.take = self.take, MAX_ITEMS
        items, ended = [], False
        try:
            for item in itertools.islice(value, take):
                items.append(self.form(item))
            ended = len(items) < take
        except Exception as error:  # whatever the generator's own code raises
            if self.strict:
                raise
            ended = raised_form(error)
        return {"iterator": [ended, *items]}


class Decoder:
    """Reads values; `find_class` gives this side's class of a name, or None.

    objects: values of this side by number, to be changed in place where the text says so.
    is_answer: functions of the library are values as well.
    """

    def __init__(self, find_class, objects=(), is_answer=False):
        self.find_class, self.is_answer = find_class, is_answer
        self.objects = dict(enumerate(objects))

    def value(self, told):
        """Return the value of what Encoder.text wrote, read from JSON."""
        heap = {int(number): content for number, content in told["heap"].items()}
        for number, content in heap.items():
            if number not in self.objects:
                self.objects[number] = self.shell(content)
        for late in (False, True):  # what is hashed last: a hash may read attributes
            for number, content in heap.items():
                if (content[0] in HASHED) is late:
                    self.fill(self.objects[number], *content)
        return self.read(told["root"])

    def shell(self, content):
        kind = content[0]
        if kind == "object":
            return blank(self.find_class(content[1]) or foreign_class(content[1]))
        if kind == "deque":
            return collections.deque(maxlen=content[1])
        if kind == "defaultdict":
            factories = {kind.__name__: kind for kind in BASES}
            return collections.defaultdict(factories.get(content[1]))
        kinds = {"list": list, "set": set, "bytearray": bytearray, **PAIRS}
        return kinds[kind]()

    def fill(self, target, kind, *content):
        if kind in ("list", "deque"):
            target.clear()
            target.extend(map(self.read, content[kind == "deque" :]))
        elif kind == "set":
            target.clear()
            target.update(map(self.read, content))
        elif kind == "bytearray":
            target[:] = bytes.fromhex(content[0])
        elif kind == "object":
            fill_state(target, {self.read(k): self.read(v) for k, v in content[1:]})
        else:
            target.clear()
            pairs = {self.read(k): self.read(v) for k, v in content[kind == "defaultdict" :]}
            dict.update(target, pairs)

    def read(self, form):
        if not isinstance(form, dict):
            return form
        ((kind, said),) = form.items()
        if kind == "ref":
            return self.objects[said]
        if kind == "int":
            return int(said, 16)
        if kind == "bytes":
            return bytes.fromhex(said)
        if kind in ("tuple", "frozenset"):
            return {"tuple": tuple, "frozenset": frozenset}[kind](map(self.read, said))
        return getattr(self, f"read_{kind}")(*said)

    def read_made(self, home, name, *parts):
        if (home, name) not in MADE:
            raise ValueError(name)
        return getattr(importlib.import_module(home), name)(*map(self.read, parts))

    def read_view(self, name, *items):
        items = list(map(self.read, items))
        whole = {"keys": dict.fromkeys, "values": lambda v: dict(enumerate(v)), "items": dict}
        return getattr(whole[name](items), name)()

    def read_enum(self, owner, name, value):
        found = self.find_class(owner)
        if found is not None and issubclass(found, enum.Enum):
            return found[name]
        return self.read(value)

    def read_namedtuple(self, name, fields, *items):
        kind = self.find_class(name)
        if kind is None or getattr(kind, "_fields", None) != tuple(fields):
            kind = collections.namedtuple(name, fields)
        return tuple.__new__(kind, map(self.read, items))

    def read_numpy(self, dtype, items):
        numpy = sys.modules.get("numpy")
        items = self.read(items)
        return items if numpy is None or dtype == "object" else numpy.array(items, dtype)[()]

    def read_native(self, home, name):
        if not self.is_answer and (home != "builtins" or "." in name):
            return ForeignFunction()
        found = importlib.import_module(home)
        for part in name.split("."):
            found = getattr(found, part)
        return found if self.is_answer or isinstance(found, type) else ForeignFunction()

    def read_foreign(self, name, is_function):
        return ForeignFunction() if is_function else foreign_class(name)()

    async def read_coroutine(self, value):
        return self.read(value)

    def read_iterator(self, ended, *items):
        return self.stream(ended, list(map(self.read, items)))

    def stream(self, ended, items):
        yield from items
        if ended is not True:
            raise RuntimeError(f"no more than {len(items)} items can be carried")


def is_received(value):
    """Whether a value that has no form came from the other side: it goes back as it came."""
    ran = getattr(value, "cr_code", None)
    return isinstance(value, Foreign) or ran is Decoder.read_coroutine.__code__


def blank(kind):
    """An instance that no code of its class has seen."""
    return kind() if kind is types.SimpleNamespace else object.__new__(kind)


def slots_of(kind):
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        yield from (slots,) if isinstance(slots, str) else slots


def state_of(value):
    """An object's attributes."""
    state = {name: getattr(value, name) for name in slots_of(type(value)) if hasattr(value, name)}
    state.pop("__dict__", None)
    state.pop("__weakref__", None)
    return {**state, **getattr(value, "__dict__", {})}


def fill_state(target, state):
    """Give an object its attributes, past whatever its class says of setting them."""
    slots = set(slots_of(type(target)))
    inner = getattr(target, "__dict__", None)
    if inner is not None:
        inner.clear()
    for name, value in state.items():
        if name in slots or inner is None:
            object.__setattr__(target, name, value)
        else:
            inner[name] = value


def raised_form(error):
    """What is told of an exception: its classes' names, its arguments and a line for people."""
    names = [kind.__name__ for kind in type(error).__mro__]
    text = f"{names[0]}: {error}"[:200]
    given = Encoder(strict=False).text((tuple(error.args), tuple(vars(error).items())))
    return {"text": text, "names": names, "given": json.loads(given)}
