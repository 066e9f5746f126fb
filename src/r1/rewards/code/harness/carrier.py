"""Serves the calls of a test program; stands below bridge.py and harness.py.

A call is the number of items wanted of an iterator, and the arguments. Its record holds the result,
what was printed, and those objects of the arguments that the function could change, where it did.
"""

import contextlib
import io

MAX_PRINTED = 100_000


def carried_call(scope, entry, line):
    def find_class(name):
        found = scope.get(name)
        return found if isinstance(found, type) and found.__module__ in OWN_MODULES else None

    take, _, text = line.partition(" ")
    decoder = Decoder(find_class, is_answer=True)
    args, kwargs = decoder.value(json.loads(text))
    objects = tuple(decoder.objects[number] for number in sorted(decoder.objects))
    compares = '"iterator"' not in text  # else comparing would use them up
    before = Encoder(False, objects).text(objects) if compares else ""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = find(scope, entry)(*args, **dict(kwargs))
        changed = objects if compares and before != Encoder(False, objects).text(objects) else ()
        taken = int(take) if hasattr(type(result), "__next__") else MAX_ITEMS
        told = Encoder(False, objects, taken).text((result, changed))  # runs generators
    return f'{{"printed": {json.dumps(printed.getvalue()[:MAX_PRINTED])}, "told": {told}}}'


def carried_error(error):
    return json.dumps(raised_form(error))


serve(carried_call, carried_error, NODES)
