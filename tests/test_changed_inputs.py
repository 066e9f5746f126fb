"""Whatever a run was made of changes under it: told before a step is taken, never in silence."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from safetensors.torch import load_file, save_file

from r1 import native
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.pipeline.show import show_lineage
from r1.rewards.names import REWARDS
from r1.run_dir import lineage, read_metrics
from r1.run_dir.read import read_timings
from run_folder_page import unnamed
from sft_data import PLAIN_CHAT
from sft_data import write_recipe as write_sft
from small_models import save_small_model
from small_recipe import PLUGIN, write_jsonl

RECIPE = """
model = "model"
num_steps = 3
[[data.train]]
path = "train.jsonl"
[[data.train]]
path = "shards"
kind = "parquet"
[[data.heldout]]
path = "heldout.jsonl"
[rewards]
weights = { even_tokens = 1.0, accuracy = 0.0 }
plugins = ["even_reward"]
[template]
kind = "plain"
[sampling]
max_new_tokens = 4
[grpo]
num_problems = 2
group_size = 2
[evaluation]
num_samples = 1
[checkpoints]
every = 1
"""
OTHER = {"prompt": "a", "response": "b"}


class HaltError(Exception):
    pass


class Watcher:
    """A Progress that keeps the notices of the beginning and lets no step be taken after it."""

    def __init__(self, steps: int = 0) -> None:
        self.steps, self.notices, self.first, self.taken = steps, [], -1, []

    def begin(self, first_step, num_steps, notices) -> None:
        self.first, self.notices = first_step, notices
        if not self.steps:
            raise HaltError

    def step(self, step, metrics) -> None:
        self.taken.append(step)
        if len(self.taken) == self.steps:
            raise HaltError

    def warn(self, message) -> None:
        pass

    def evaluating(self, step, done, total) -> None:
        pass

    def evaluation(self, step, summary) -> None:
        pass


def rows(number: int, more: int = 1) -> list[dict[str, str]]:
    return [{"prompt": f"{i} + {more} = ?", "reference": str(i + more)} for i in range(number)]


def carry_on(recipe: Path, out: Path, *overrides: str, steps: int = 0, **options) -> Watcher:
    watcher = Watcher(steps)
    try:
        settings = load_any_recipe(recipe, overrides)
        run_recipe(settings, recipe.parent, out, watcher, **options)
    except HaltError:
        pass
    return watcher


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A recipe with everything that a run may read, and `out`: its run, stopped after a step."""
    folder = tmp_path_factory.mktemp("world")
    save_small_model(folder / "model")
    (folder / "even_reward.py").write_text("import even_words\n" + PLUGIN)
    (folder / "even_words.py").write_text("from even_parts import part\n")
    (folder / "even_parts").mkdir()
    (folder / "even_parts" / "__init__.py").write_text("")
    (folder / "even_parts" / "part.py").write_text("WORD = 1\n")
    write_jsonl(folder / "train.jsonl", rows(6))
    write_jsonl(folder / "heldout.jsonl", rows(2, more=50))
    (folder / "shards").mkdir()
    for number in (0, 1):
        table = pa.Table.from_pylist(rows(4, more=7 + number))
        pq.write_table(table, folder / "shards" / f"{number}.parquet")
    (folder / "recipe.toml").write_text(RECIPE)
    paths = pytest.MonkeyPatch()
    paths.syspath_prepend(str(folder))
    paths.setenv("PYTHONPATH", str(folder))
    # Other tests of this process may have imported theirs.
    paths.delitem(sys.modules, "even_reward", raising=False)
    paths.delitem(REWARDS, "even_tokens", raising=False)
    assert carry_on(folder / "recipe.toml", folder / "out", steps=1).taken == [0]
    yield folder
    paths.undo()


def test_every_metric_of_a_real_run_is_named_on_its_page(world) -> None:
    rows = [*read_metrics(world / "out"), *read_timings(world / "out")]
    assert {"pass_rate", "engine_gap", "pool/restarts"} <= {name for row in rows for name in row}
    assert not unnamed(name for row in rows for name in row)


@pytest.fixture
def run(world, tmp_path) -> Path:
    """The world as it was when the run began, which this test may change: files are put back."""
    kept = tmp_path / "kept"
    shutil.copytree(world, kept)
    yield world
    for path in [p for p in world.rglob("*") if p.is_file()]:
        path.unlink()
    shutil.copytree(kept, world, dirs_exist_ok=True)


def replace(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(world: Path) -> None:
        file = world / path
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))

    return change


def write(path: str, text: str) -> Callable[[Path], None]:
    return lambda world: (world / path).write_text(text) and None


def hidden(path: str, at: int) -> Callable[[Path], None]:
    """Another byte, the same size and the same times: what a look at the file cannot tell."""

    def change(world: Path) -> None:
        file, stamp = world / path, (world / path).stat()
        content = bytearray(file.read_bytes())
        content[at] ^= 1
        file.write_bytes(content)
        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    return change


def setting(path: str, key: str, value: object) -> Callable[[Path], None]:
    def change(world: Path) -> None:
        values = json.loads((world / path).read_text())
        assert values.get(key) != value
        (world / path).write_text(json.dumps({**values, key: value}))

    return change


def shard(number: int, more: int) -> Callable[[Path], None]:
    table = pa.Table.from_pylist(rows(4, more=more))
    return lambda world: pq.write_table(table, world / "shards" / f"{number}.parquet")


def linked(world: Path) -> None:
    write_jsonl(world / "other.jsonl", rows(6, more=2))
    (world / "train.jsonl").unlink()
    (world / "train.jsonl").symlink_to("other.jsonl")


def rewritten(path: str, content: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda world: (world / path).write_bytes(content((world / path).read_bytes())) and None


def halved(world: Path) -> None:
    path = world / "model" / "model.safetensors"
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


FILES = {
    "a row changed": (replace("train.jsonl", "3 +", "9 +"), "data.train.0.path", "train.jsonl"),
    "a row more": (lambda w: write_jsonl(w / "train.jsonl", rows(7)), "data.train.0", "bytes"),
    "a row less": (lambda w: write_jsonl(w / "train.jsonl", rows(5)), "data.train.0", "bytes"),
    "rows in another order": (
        lambda w: write_jsonl(w / "train.jsonl", rows(6)[::-1]), "data.train.0", "SHA-256",
    ),
    "a digit, same size and time": (hidden("train.jsonl", 12), "data.train.0", "train.jsonl"),
    "the same rows behind a byte order mark": (
        rewritten("train.jsonl", lambda old: b"\xef\xbb\xbf" + old), "data.train.0", "bytes",
    ),
    "the same rows, other ends of lines": (
        rewritten("train.jsonl", lambda old: old.replace(b"\n", b"\r\n")), "data.train.0", "bytes",
    ),
    "a link to other rows": (linked, "data.train.0", "train.jsonl"),
    "a shard changed": (shard(1, 20), "data.train.1", "1.parquet"),
    "a shard more": (shard(2, 20), "data.train.1", "2.parquet: not there in the run"),
    "a shard less": (lambda w: (w / "shards/1.parquet").unlink(), "data.train.1", "gone now"),
    "held-out data": (replace("heldout.jsonl", "51", "52"), "data.heldout.0", "heldout.jsonl"),
    "held-out, same size and time": (hidden("heldout.jsonl", 12), "data.heldout.0", "SHA-256"),
    "a weight, same size and time": (hidden("model/model.safetensors", -2), "model (", "safeten"),
    "weights in half precision": (halved, "model (", "model.safetensors"),
    "the config": (setting("model/config.json", "rms_norm_eps", 1e-3), "model (", "config.json"),
    "the generation config": (
        setting("model/generation_config.json", "top_k", 3), "model (", "generation_config.json",
    ),
    "the tokenizer": (
        replace("model/tokenizer.json", '"add_prefix_space": false', '"add_prefix_space": true'),
        "model (", "tokenizer.json",
    ),
    "the tokenizer's config": (
        setting("model/tokenizer_config.json", "pad_token", "<eos>"), "tokenizer_config.json", "",
    ),
    "an added token": (
        write("model/added_tokens.json", '{"<x>": 70}'), "model (", "added_tokens.json",
    ),
    "a chat template": (
        write("model/chat_template.jinja", "x"), "chat_template.jinja", "in the run",
    ),
    "the plugin": (replace("even_reward.py", "0.5", "0.6"), "rewards.plugins", "even_reward.py"),
    "a module of the plugin's": (write("even_words.py", "import even_parts"), "even_words.py", ""),
    "a package of the plugin's": (
        replace("even_parts/part.py", "1", "2"), "rewards.plugins.even", "even_parts/part.py",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_changed_is_told(run, tmp_path, name) -> None:
    change, *words = FILES[name]
    before = (run / "out" / "metrics.jsonl").read_bytes()
    change(run)
    with pytest.raises(UserError) as told:
        carry_on(run / "recipe.toml", run / "out")
    for word in (*words, "Put them back", "--out", "--accept-changes"):
        assert word in str(told.value)
    assert (run / "out" / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    "override",
    ["optimizer.lr=1e-4", "seed=1", "grpo.group_size=3", "num_steps=2", 'template.kind="r1_zero"',
     'rewards.weights={ even_tokens = 0.5, accuracy = 0.0 }'],
)  # fmt: skip
def test_a_setting_that_changed_is_told(run, override) -> None:
    with pytest.raises(UserError, match=override.partition("=")[0]):
        carry_on(run / "recipe.toml", run / "out", override)


@pytest.mark.parametrize("name", ["r1", "torch", "python", "r1 source", "math-verify"])
def test_a_version_that_changed_is_told(run, name) -> None:
    """The numbers may still be the same: it is said, and the run goes on."""
    path = run / "out" / "versions.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: "before"}))
    (notice,) = carry_on(run / "recipe.toml", run / "out").notices
    assert f"{name} was before when this run began" in notice


@pytest.mark.parametrize("compiler", ["no-such-compiler", "gcc -fno-tree-vectorize"])
def test_a_compiler_that_changed_is_told(run, monkeypatch, tmp_path, compiler) -> None:
    if native.find_compiler() is None:
        pytest.skip("no C compiler here")
    before = native.kernels()
    native.build.cache_clear()
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        notices = carry_on(run / "recipe.toml", run / "out").notices
        now = native.kernels()
    finally:
        native.build.cache_clear()
    for name in before:
        assert any(f"{name} was {before[name]}" in n and now[name] in n for n in notices)
    assert all(told.startswith("compiled") is compiler.startswith("gcc") for told in now.values())


def test_nothing_changed_is_carried_on_without_a_word(run) -> None:
    watcher = carry_on(run / "recipe.toml", run / "out")
    assert (watcher.first, watcher.notices) == (1, [])
    (run / "model" / "README.md").write_text("not read")
    assert carry_on(run / "recipe.toml", run / "out").notices == []


def test_an_accepted_change_is_recorded_and_shown(run) -> None:
    replace("train.jsonl", "3 +", "9 +")(run)
    watcher = carry_on(run / "recipe.toml", run / "out", steps=1, accept_changes=True)
    assert watcher.taken == [1]
    assert any("Accepted" in n and "train.jsonl" in n for n in watcher.notices)
    story = json.loads((run / "out" / "lineage.json").read_text())
    (note,) = story["changes"]
    assert note["step"] == 1
    assert "train.jsonl" in note["changes"][0]
    assert carry_on(run / "recipe.toml", run / "out").notices == []  # it is the run's now
    console = Console(width=300, record=True)
    show_lineage(run / "out", console)
    shown = console.export_text()
    for word in ("model: ", "data.train.0.path: ", "data.heldout.0.path: ", "rewards.plugins",
                 "from step 1 on: data.train.0.path"):  # fmt: skip
        assert word in shown
    assert lineage.source_hash() == json.loads((run / "out/versions.json").read_text())["r1 source"]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("train.jsonl", lambda w: write_jsonl(w / "train.jsonl", [OTHER] * 24)),
        ("heldout.jsonl", lambda w: write_jsonl(w / "heldout.jsonl", [OTHER])),
        ("model.safetensors", hidden("model/model.safetensors", -2)),
        ("chat_template.jinja", write("model/chat_template.jinja", PLAIN_CHAT.replace("[", "<"))),
    ],
)  # fmt: skip
def test_under_supervised_fine_tuning_too(tmp_path, name, change) -> None:
    recipe = write_sft(tmp_path, "[checkpoints]\nevery = 1\n")
    carry_on(recipe, tmp_path / "out", steps=1)
    change(tmp_path)
    with pytest.raises(UserError, match=name):
        carry_on(recipe, tmp_path / "out")
    assert carry_on(recipe, tmp_path / "out", steps=1, accept_changes=True).taken == [1]
