"""What a recipe's plugins define reaches processes that have not imported them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")

from r1.algorithms import registry
from r1.cluster.carried import carry, unpack
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from small_recipe import RECIPE
from test_add_one_file import ALGORITHM, SECTIONS

OPEN = """
import pickle, sys
from r1.cluster.carried import unpack
algorithm = unpack(pickle.load(open(sys.argv[1], "rb")))
print(type(algorithm).__name__, algorithm.settings.size)
"""


@pytest.mark.parametrize("named", ["carried_module", "carried_file.py"])
def test_an_algorithm_of_the_users_own_reaches_a_rank(named, tmp_path, monkeypatch) -> None:
    """As a module beside the recipe and as a file, in a process that was started elsewhere."""
    monkeypatch.setattr(registry, "_ALGORITHMS", registry.algorithms())
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = named.removesuffix(".py")  # of the algorithm too: a recipe's class is kept by it
    plugin = tmp_path / f"{name}.py"
    plugin.write_text(ALGORITHM.replace('"sign"', f'"{name}"'))
    text = RECIPE.format(num_steps=4).replace(
        'kind = "r1_zero"', f'kind = "r1_zero"\nplugins = ["{named}"]'
    )
    path = tmp_path / "recipe.toml"
    path.write_text(text + SECTIONS.replace("[sign]", f"[{name}]"))
    algorithm = load_any_recipe(path).make_algorithm()
    (tmp_path / "sent").write_bytes(pickle.dumps(carry(algorithm)))
    command = [sys.executable, "-c", OPEN, str(tmp_path / "sent")]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["Sign", "0.5"], done.stderr
    plugin.unlink()
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=300)
    assert "UserError: a node of the cluster cannot import" in done.stderr


def test_what_no_plugin_defines_travels_as_ever() -> None:
    def double(number: int) -> int:
        return 2 * number

    assert unpack(carry(double))(21) == 42
    lost = carry(Path())._replace(pickled=b"cno_such_module\nThing\n.")
    with pytest.raises(UserError, match="no_such_module"):
        unpack(lost)
