"""What people mistype on the command line and in recipes: one message, before torch is imported.

All run in one process that never needs torch; each names the file or option, the field, and what to
do. Types and names of settings are in test_settings_types.py, data and models in
test_wrong_input.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from r1.config import validate
from r1.errors import UserError
from r1.r1_zero.settings import R1ZeroRecipe

RECIPE = """kind = "r1_zero"
model = "tiny"
num_steps = 1
[[data.train]]
path = "train.jsonl"
[[data.heldout]]
path = "train.jsonl"
[grpo]
num_problems = 2
group_size = 2
"""
SFT = 'kind = "sft"\nmodel = "tiny"\n[[data.train]]\npath = "train.jsonl"\n'
STAGES = (
    'kind = "r1"\n[stages.a]\nkind = "sft"\nmodel = "tiny"\ndata.train = [{path = "x.jsonl"}]\n'
)

COMMANDS: list[tuple[list[str], list[str]]] = [
    # (words after r1, what the message must hold)
    (["rum", "r.toml"], ["rum"]),
    (["Run", "r.toml"], ["Run"]),
    (["run"], ["recipe"]),
    (["run", "nowhere.toml"], ["nowhere.toml", "does not exist"]),
    (["run", "r.tml"], ["r.tml", "r.toml"]),
    (["run", "."], ["folder", ".toml"]),
    (["run", "r.toml", "extra"], ["extra"]),
    (["run", "r.toml", "--otu", "x"], ["--otu", "--out"]),
    (["run", "r.toml", "--out"], ["--out"]),
    (["run", "r.toml", "--dryrun"], ["--dryrun", "--dry-run"]),
    (["run", "r.toml", "--set"], ["--set"]),
    (["run", "r.toml", "--set", "num_steps"], ["num_steps", "section.key=value"]),
    (["run", "r.toml", "--set", "=3"], ["section.key=value"]),
    (["run", "r.toml", "--set", "a..b=3"], ["section.key=value"]),
    (["run", "r.toml", "--set", "num_steps.x=3"], ["num_steps", "not a section"]),
    (["run", "r.toml", "--set", "data.train.7.limit=3"], ["'7'", "list of 1"]),
    (["run", "r.toml", "--set", "data.train.limit=3"], ["'limit'", "number"]),
    (["run", "r.toml", "--set", "num_steps=ten"], ["r.toml", "num_steps", "write a number"]),
    (["run", "r.toml", "--set", "lr=1e-5"], ["lr", "optimizer.lr"]),
    (["run", "r.toml", "--set", "clip_high=0.3"], ["grpo.clip_high"]),
    (["run", "r.toml", "--set", "Model=tiny"], ["Model", "model"]),
    (["plan"], ["recipe"]),
    (["plan", "nowhere.toml"], ["nowhere.toml"]),
    (["plan", "r.toml", "--gpus", "0"], ["--gpus"]),
    (["plan", "r.toml", "--gpus", "many"], ["--gpus", "valid integer"]),
    (["plan", "r.toml", "--hardware", "H900"], ["H900", "H100"]),
    (["eval"], ["model"]),
    (["eval", "tiny", "--samples", "0"], ["--samples"]),
    (["eval", "tiny", "--samples", "4.5"], ["--samples", "valid integer"]),
    (["eval", "tiny", "--temperature", "-1"], ["--temperature"]),
    (["eval", "tiny", "--temperature", "0,6"], ["--temperature", "valid number"]),
    (["eval", "tiny", "--top-p", "1.5"], ["--top-p"]),
    (["eval", "tiny", "--max-new-tokens", "-5"], ["--max-new-tokens"]),
    (["eval", "tiny", "--seed", "-1"], ["--seed"]),
    (["eval", "tiny", "--set", "num_steps=3"], ["--set", "--recipe"]),
    (["eval", "tiny", "--recipe", "nowhere.toml"], ["nowhere.toml"]),
    (["eval", "tiny", "--recipe", "sft.toml"], ["sft.toml"]),
    (["eval", "tiny", "--replicas", "2"], ["--replicas", "--cluster"]),
    (["compare", "nowhere"], ["B..."]),
    (["compare", "nowhere", "r.toml"], ["nowhere", "does not exist", "r1 eval"]),
    (["compare", ".", "nowhere"], ["not an evaluation", "r1 eval"]),
    (["compare", "nowhere", "./nowhere"], ["given twice"]),
    (["report"], ["run"]),
    (["report", "nowhere"], ["nowhere", "does not exist"]),
    (["report", "."], ["not a run"]),
    (["report", "r.toml"], ["r.toml"]),
    (["report", "nowhere", "--json"], ["nowhere"]),
    (["lineage", "nowhere"], ["nowhere"]),
    (["settings", "optimzer"], ["optimzer", "'optimizer'"]),
    (["settings", "sft.bacth"], ["sft.bacth", "'batch'"]),
    (["settings", "sft", "--markdown"], ["--markdown", "section"]),
    (["chat"], ["model"]),
    (["chat", "tiny", "--temperature", "-2"], ["--temperature"]),
    (["chat", "tiny", "--seed", "x"], ["--seed", "valid integer"]),
    (["sandbox", "rnu", "a.py"], ["rnu"]),
    (["sandbox", "run"], ["file"]),
    (["sandbox", "run", "nowhere.py"], ["nowhere.py"]),
    (["sandbox", "run", "a.py", "--time", "0"], ["--time"]),
    (["sandbox", "run", "a.py", "--memory", "-1"], ["--memory"]),
    (["pretrain", "r.toml"], ["--out"]),
    (["pretrain", "r.toml", "--out", "x"], ["r.toml", "unknown setting"]),
]

EDITS: list[tuple[str, str, list[str]]] = [
    # (text of a recipe that is good but for one thing, its name, what the message must hold)
    (RECIPE + "[gpro]\nx = 1\n", "typo of a section", ["gpro", "grpo"]),
    (RECIPE + "num_steps = 2\n", "a key of the top below a section", ["grpo.num_steps"]),
    (RECIPE + "group_size = 4\n", "a key twice", ["not valid TOML", "line"]),
    (RECIPE.replace('"tiny"', "tiny"), "no quotes", ["not valid TOML", "line 2"]),
    (RECIPE.replace("= 1\n", "= 1;\n", 1), "a semicolon", ["not valid TOML", "line 3"]),
    (RECIPE.replace("num_steps = 1", "num_steps: 1"), "YAML", ["not valid TOML", "line 3"]),
    (RECIPE.replace("[[data.train]]", "[data.train]"), "one bracket", ["[[data.train]]"]),
    (RECIPE.replace("[grpo]", "[grpo"), "an open bracket", ["not valid TOML"]),
    (RECIPE.replace("num_steps = 1\n", ""), "left out", ["num_steps", "required"]),
    (RECIPE.replace('model = "tiny"\n', ""), "no model", ["model", "required"]),
    (RECIPE.replace('path = "train.jsonl"', 'path = "t.csv"', 1), "CSV", [".csv", ".jsonl"]),
    (RECIPE.replace('path = "train.jsonl"', 'pth = "t.jsonl"', 1), "pth", ["pth", "path"]),
    (RECIPE.replace('path = "train.jsonl"', "", 1), "an empty source", ["kind", "path"]),
    (RECIPE + '[rewards]\nweights = ["accuracy"]\n', "a list of rewards", ["rewards.weights"]),
    (RECIPE + "[rewards.weights]\n", "no reward", ["rewards.weights", "accuracy = 1.0"]),
    (RECIPE + "[rewards]\naccuracy = 1.0\n", "no weights", ["rewards.weights.accuracy"]),
    (RECIPE + '[template]\nkind = "chta"\n', "a kind", ["template.kind", "did you mean 'chat'"]),
    (RECIPE + '[template]\nsystem = "x"\n', "system", ["template", "chat"]),
    (RECIPE + "[sampling]\ntemperature = 0\n", "greedy", ["temperature", "1.0"]),
    (RECIPE + "[optimizer]\nlearning_rate = 1\n", "learning_rate", ["optimizer.lr"]),
    (RECIPE + '[engine]\nkind = "vlm"\n', "vlm", ["engine.kind", "vllm"]),
    (RECIPE + '[learner]\ndtype = "fp16"\n', "fp16", ["learner.dtype", "bfloat16"]),
    (RECIPE + "[evaluation]\nevery = -1\n", "every", ["evaluation.every", "0"]),
    (
        RECIPE.replace('"r1_zero"', '"rejection"'),
        "a stage's kind",
        ["problems: this", "grpo: unknown"],
    ),
    (RECIPE.replace('"r1_zero"', '"grpo"'), "another's kind", ['"r1_zero"']),
    (RECIPE.replace('"r1_zero"', "7"), "a number as kind", ["kind = 7"]),
    (SFT + "num_steps = 3\n", "steps in a source", ["data.train.0.num_steps"]),
    (SFT.replace("[[", "num_steps = 3\n[[", 1), "steps", ["batch.epochs", "batch.max_steps"]),
    (SFT + "[batch]\nbatch_size = 4\n", "batch_size", ["batch.batch_size", "size"]),
    (SFT + "[batch]\nsize = 0\n", "no examples", ["batch.size", "1"]),
    (SFT + '[examples]\noverlong = "trunc"\n', "overlong", ["did you mean 'truncate'"]),
    (SFT + '[template]\nkind = "r1zero"\n', "r1zero", ["did you mean 'r1_zero'"]),
    (SFT.replace('kind = "sft"\n', "") + "[batch]\nsize = 4\n", "no kind", ['kind = "sft"']),
    (SFT + 'roles = { human = "usr" }\n', "a role", ["usr", "user"]),
    (SFT + '[data.train.columns]\nquestion = "q"\n', "a column", ["columns.question"]),
    (STAGES.replace('"sft"', '"stf"'), "a stage's kind", ["stages.a", 'did you mean "sft"']),
    (
        STAGES.replace('kind = "sft"\n', ""),
        "a stage without kind",
        ["stages.a", "kind", "required"],
    ),
    (STAGES + "epochs = 2\n", "a stage's key", ["stages.a", "batch.epochs"]),
    (STAGES + '[stages.b]\nlike = "c"\n', "like", ["stages.b.like"]),
    (STAGES.replace('"tiny"', '"@base"'), "a reference", ["stages.a", "base"]),
    ('kind = "r1"\n', "no stages", ["stages", "required"]),
    ("", "nothing", ["model", "required"]),
]

RUN_ALL = """
import contextlib, io, json, sys
from r1 import cli
cases, answers = json.load(sys.stdin), []
for words in cases:
    sys.argv, text, code = ["r1", *words], io.StringIO(), None
    before = "torch" in sys.modules
    try:
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            cli.main()
    except SystemExit as stopped:
        code = stopped.code
    except BaseException as error:
        code = repr(error)
    answers.append([code, text.getvalue(), not before and "torch" in sys.modules])
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> list[tuple[object, str, bool]]:
    """Exit status, text, and whether torch was there, of every case."""
    folder: Path = tmp_path_factory.mktemp("mistakes")
    (folder / "r.toml").write_text(RECIPE)
    (folder / "sft.toml").write_text(SFT)
    (folder / "a.py").write_text("print(1)\n")
    rows = [{"id": str(n), "prompt": f"{n} + 1?", "reference": str(n + 1)} for n in range(2)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    cases = [words for words, _ in COMMANDS]
    for number, (text, _, _) in enumerate(EDITS):
        (folder / f"edit{number}.toml").write_text(text)
        cases.append(["run", f"edit{number}.toml", "--out", f"out{number}"])
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        cwd=folder, input=json.dumps(cases), capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"},
    )  # fmt: skip
    assert not list(folder.glob("out*")), "a mistake must leave nothing behind"
    return [tuple(answer) for answer in json.loads(done.stdout)]


WANTED = [(" ".join(words) or "nothing", said) for words, said in COMMANDS]
WANTED += [(name, [f"edit{n}.toml", *said]) for n, (_, name, said) in enumerate(EDITS)]


@pytest.mark.parametrize("number", range(len(WANTED)), ids=[name for name, _ in WANTED])
def test_a_typed_mistake_is_told_in_one_message(answers, number) -> None:
    code, text, torch = answers[number]
    flat = " ".join(text.replace("│", " ").split())
    assert code == 2, flat
    for said in WANTED[number][1]:
        assert said in flat, flat
    assert "Traceback" not in flat
    assert not torch, "torch was imported before the mistake was told"


def test_a_list_is_not_called_empty_because_its_only_item_is_at_fault(answers) -> None:
    """The second line of the message about a CSV file spoke of a list without items."""
    number = next(i for i, (name, _) in enumerate(WANTED) if name == "CSV")
    assert "at least 1 item" not in answers[number][1]
    none = RECIPE.replace("[[data.train]]", "[data]\ntrain = []\n[[data.heldout]]", 1)
    with pytest.raises(UserError, match="at least 1 item"):
        validate(tomllib.loads(none), R1ZeroRecipe, "r.toml")
