"""Plugins that register nothing are told so: what calls were forgotten, and in which module."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from r1.benchmarks.running.choose import named
from r1.config import validate
from r1.errors import UserError
from r1.plugins import import_plugins, load_function
from r1.r1_zero.settings import R1ZeroRecipe
from r1.rewards.settings import RewardSettings
from r1.stages.registry import import_plugins as import_stages

FORGOT = (
    "import json\n\ndef brevity(prompts, completions):\n    return [0.0 for _ in completions]\n"
)
CALLS = (
    "from r1.rewards.registry import register_reward\nregister_reward('NAME', lambda s, f: None)"
)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """write(name, source): a module on the path of imports, forgotten in the end."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def write(name: str, source: str) -> Path:
        written.append(name)
        path = tmp_path / f"{name}.py"
        path.write_text(source.replace("NAME", name))
        return path

    yield write
    for name in written:
        sys.modules.pop(name, None)


def test_a_reward_module_without_a_call_is_refused_with_the_call_and_its_function(write) -> None:
    write("forgot_reward", FORGOT)
    for _ in range(2):  # the second time it is imported already
        with pytest.raises(UserError) as refused:
            RewardSettings(plugins=("forgot_reward",)).validate_names()
        told = str(refused.value)
        assert told.startswith("rewards.plugins: 'forgot_reward' was imported and registered")
        assert "call register_reward or register_verifier (r1.rewards.registry)" in told
        assert told.endswith('name it: "forgot_reward.py:brevity".')


def test_a_file_without_a_call_is_refused_as_a_module_is(write) -> None:
    path = write("forgot_file", FORGOT)
    with pytest.raises(UserError, match=rf'name it: "{path}:brevity"'):
        import_plugins([str(path)])
    path = write("forgot_all", "")
    with pytest.raises(UserError, match=r"or leave it out\. .*note_registration\(NAME\)\.$"):
        import_plugins([str(path)])


def test_a_plugin_of_another_library_says_that_it_registered(write) -> None:
    source = "from r1.plugins import note_registration\nnote_registration('an architecture')\n"
    assert import_plugins([str(write("other_library", source))]) == {}


def test_an_algorithm_a_stage_and_a_benchmark_are_told_of_their_own_calls(write) -> None:
    write("forgot_algorithm", FORGOT)
    recipe = {"model": "tiny", "num_steps": 1, "data": {"train": [{"path": "x.jsonl"}]}}
    with pytest.raises(UserError, match=r"plugins: 'forgot_algorithm' .*register_algorithm"):
        validate({**recipe, "plugins": ["forgot_algorithm"]}, R1ZeroRecipe, "r.toml")
    write("forgot_stage", "")
    with pytest.raises(UserError, match=r"plugins: 'forgot_stage' .*\(r1\.stages\.registry\)"):
        import_stages(["forgot_stage"])
    write("forgot_benchmark", "")
    with pytest.raises(UserError, match=r"--plugin: 'forgot_benchmark' .*register_benchmark"):
        named([], ["forgot_benchmark"])


def test_a_module_that_registers_by_way_of_another_is_taken(write) -> None:
    """Also again, and one that only the user's own program imported."""
    write("registers", CALLS)
    write("by_another", "import registers\n")
    write("imported_before", "")
    import_plugins(["by_another", "registers"])
    import_plugins(["by_another", "registers"])
    __import__("imported_before")
    import_plugins(["imported_before"])


def test_a_module_that_was_edited_since_its_import_is_refused(write) -> None:
    registers = "import edited_helper\nfrom r1.plugins import note_registration\n"
    registers += "note_registration('an algorithm')\n"
    helper, plugin = write("edited_helper", "SIGN = 1\n"), write("edited_plugin", registers)
    recipe = {"model": "tiny", "num_steps": 1, "data": {"train": [{"path": "x.jsonl"}]}}
    recipe["plugins"] = ["edited_plugin"]
    for _ in range(2):
        validate(recipe, R1ZeroRecipe, "r.toml")
    for path in (plugin, helper):
        before = path.read_text()
        path.write_text(before + "MORE = 1\n")
        told = rf"plugins: {path.name} changed since it was imported; restart Python, or the notebo"
        with pytest.raises(UserError, match=told):
            validate(recipe, R1ZeroRecipe, "r.toml")
        import_plugins(["edited_plugin"])  # rewards run in workers, which read it anew
        path.write_text(before)
        validate(recipe, R1ZeroRecipe, "r.toml")
    for name in ("edited_helper", "edited_plugin"):
        del sys.modules[name]
    plugin.write_text(registers + "MORE = 1\n")
    validate(recipe, R1ZeroRecipe, "r.toml")  # imported anew


def test_an_edited_file_of_a_function_is_refused(tmp_path) -> None:
    path = tmp_path / "problems.py"
    path.write_text("def first():\n    return 1\n")
    for _ in range(2):
        assert load_function(f"{path}:first", None, "path")() == 1
    path.write_text("def first():\n    return 2\n")
    with pytest.raises(UserError, match=r"path: problems\.py changed since it was imported"):
        load_function(f"{path}:first", None, "path")
