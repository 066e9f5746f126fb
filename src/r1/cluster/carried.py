"""Send what the user's plugins define to a process that has not imported them.

Pickle names a class by its module, and a plugin's is known to the driver alone: a file has a name
of its own (r1.plugins), and a module may lie beside the recipe. So where the driver found modules
and files goes along, and the process looks there too. A plugin must be at the same path on every
node, as the run's folder is.

Left out on purpose: sending the source itself.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ray import cloudpickle

from r1.errors import UserError
from r1.plugins import find_files, loaded_files


class Carried(NamedTuple):
    """An object on its way. paths: the sender's sys.path, absolute. files: of its plugins, by the
    names of their modules."""

    pickled: bytes
    paths: tuple[str, ...]
    files: dict[str, str]


def carry(thing: Any) -> Carried:
    """Pack an object; nothing of it is opened before `unpack`."""
    paths = tuple(str(Path(path).resolve()) for path in sys.path)
    return Carried(cloudpickle.dumps(thing), paths, loaded_files())


def unpack(carried: Carried) -> Any:
    """Return the object. Raises UserError for a plugin that is not on this machine."""
    sys.path += [path for path in carried.paths if path not in sys.path]
    find_files(carried.files)
    try:
        return pickle.loads(carried.pickled)
    except (ImportError, FileNotFoundError) as error:
        raise UserError(
            f"a node of the cluster cannot import what the driver has imported ({error}): plugins "
            "must be at the same path on every node, and the same packages installed."
        ) from error
