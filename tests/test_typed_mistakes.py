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

pytestmark = pytest.mark.slow

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
DPO = 'kind = "dpo"\nmodel = "tiny"\n[[data.train]]\npath = "pairs.jsonl"\n'
STEPS = 'kind = "reward_model"\nmodel = "tiny"\nobjective = "steps"\n'
PPO, PRIME = RECIPE.replace("[grpo]", "[ppo]"), RECIPE.replace("[grpo]", "[prime]")
DISTILL = RECIPE.replace("[grpo]", '[distill]\nteacher = "tiny"')
CLAIM = """title = "t"
says = "s"
source = "me"
minutes = 1
recipes = { zero = "r.toml" }
[arms.a]
like = "zero"
[arms.b]
like = "zero"
grpo = { group_size = 4 }
[[compare]]
says = "a beats b"
arm = "a"
than = "b"
"""
BENCHMARK = 'name = "own"\ndata = "own.jsonl"\nprompt = "{country}?"\nanswer = "capital"\n'
STAGES = (
    'kind = "r1"\n[stages.a]\nkind = "sft"\nmodel = "tiny"\ndata.train = [{path = "x.jsonl"}]\n'
)

BEAM = ["--search", "beam", "--scorer", "x"]
MCTS = ["--search", "mcts", "--scorer", "constant"]
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
    (["bench", "lst"], ["lst", "list"]),
    (["bench", "list", "math5000"], ["math5000", "math500"]),
    (["bench", "list", "nowhere.toml"], ["nowhere.toml does not exist"]),
    (["bench", "list", "bench.toml"], ["bench.toml", "data", "required"]),
    (["bench", "list", "--data", "nowhere"], ["--data nowhere does not exist"]),
    (["bench", "list", "--plugin", "nowhere"], ["--plugin", "nowhere", "PYTHONPATH"]),
    (["bench", "run"], ["model"]),
    (["bench", "run", "tiny"], ["--data"]),
    (["bench", "run", "tiny", "math500", "--data", "a.py"], ["--data a.py is a file"]),
    (["bench", "run", "tiny", "math500", "--limit", "0"], ["--limit"]),
    (["bench", "run", "tiny", "--suite", "papers"], ["papers", "paper"]),
    (["bench", "run", "tiny", "simpleqa", "--judge", "gpt-4"], ["--judge gpt-4", "URL#MODEL"]),
    (["bench", "run", "tiny", "simpleqa", "--judge", "judge.toml"], ["judge.toml", "'model'"]),
    (["bench", "show", "nowhere"], ["nowhere", "r1 bench run"]),
    (["bench", "compare", "nowhere"], ["nowhere", "two"]),
    (["bench", "freeze", "nowhere", "a.py", "--out", "x"], ["nowhere", "contest.standings"]),
    (["bench", "list", "gsm8k,math500"], ["several benchmarks", "spaces"]),
    (["bench", "list", "GSM8k"], ["did you mean 'gsm8k'"]),
    (["bench", "list", "--plugin", "broken.py"], ["--plugin", "broken.py, line 1", "syntax"]),
    (["bench", "list", "same.toml"], ["same.toml", "name = 'gsm8k'", "take another"]),
    (["bench", "run", "gsm8k", "tiny"], ["gsm8k is a benchmark", "r1 bench run MODEL gsm8k"]),
    (["bench", "run", "tiny", "own.toml", "--out", "a.py"], ["a.py is a file"]),
    (["bench", "run", "tiny", "own.toml", "--out", "run"], ["run is a run (run.json)"]),
    (["bench", "freeze", "failed.json", "list.json", "--out", "x"], ["FAILED (not found)"]),
    (["bench", "freeze", "list.json", "failed.json", "--out", "x"], ["list.json", "come first"]),
    (["fetch", "smolm2"], ["smolm2", "did you mean smollm2?"]),
    (["fetch", "smollm2", "empty"], ["empty", "remove it or name another"]),
    (["data", "tran.jsonl"], ["tran.jsonl", "did you mean train.jsonl?"]),
    (["data", "empty"], ["empty", "holds no data file"]),
    (["data", "a.py"], ["a.py", "a.py:problems"]),
    (["data", "train.jsonl", "--as", "problem"], ["--as problem", "problems"]),
    (["data", "train.jsonl", "--set", "clumns.prompt=x"], ["clumns", "'columns'"]),
    (["data", "broken.py:rows"], ["broken.py, line 1", "syntax"]),
    (["data", "rows.py:number"], ["rows.py:number gave 3", "list of dictionaries"]),
    (["data", "rows.py:needs"], ["missing a required argument: 'a'", "parameters"]),
    (["data", "r.toml"], ["r.toml is no folder and no data file"]),
    (["data", "http://127.0.0.1:1/x.jsonl"], ["nothing is downloaded", "save it"]),
    (
        ["data", "train.jsonl", "--set", "verifier=maths", "--as", "problems"],
        ["did you mean 'math'"],
    ),
    (["data", "train.jsonl", "--model", "nowhere"], ["model nowhere does not exist"]),
    (["data", "train.jsonl", "--model", "r.toml"], ["r.toml is a file"]),
    (["data", "train.jsonl", "--model", "http://127.0.0.1:1/v1#m"], ["--model", "endpoint"]),
    (["diagnose", "nowhere"], ["nowhere does not exist", "run.json"]),
    (["diagnose", "r.toml"], ["r.toml is a file", "folder of a run"]),
    (["diagnose", ".", "--jsn"], ["--jsn", "--json"]),
    (["reproduce", "nowhere"], ["no claim 'nowhere'", "my_claim.toml"]),
    (["reproduce", "claim.toml"], ["claim.toml", "says", "required"]),
    (["reproduce", "--seeds", "0"], ["--seeds"]),
    (["reproduce", "r.toml"], ["r.toml is a recipe", "r1 run r.toml"]),
    (["reproduce", "no_recipe.toml"], ["no_recipe.toml: recipes.zero: none.toml does not exist"]),
    (
        ["reproduce", "measure.toml"],
        ["measure.toml: compare.0: a has no value_error", "critic_truth"],
    ),
    (["reproduce", "area.toml"], ["area.toml: compare.0: a has no proxy_gain", "[reward_models]"]),
    (["run", "good_claim.toml"], ["is a claim", "r1 reproduce good_claim.toml"]),
    (["plan", "own.toml"], ["is a benchmark", "r1 bench run MODEL own.toml"]),
    (["eval", "tiny", "--recipe", "good_claim.toml"], ["r1 reproduce good_claim.toml"]),
    (["eval", "tiny", "--recipe", "sft.toml"], ['kind = "sft"', 'kind = "r1_zero"']),
    (["eval", "127.0.0.1:1/v1#m"], ["127.0.0.1:1/v1#m", "http://HOST:PORT/v1#MODEL"]),
    (["eval", "@zero"], ["@zero", "stage", "hub id"]),
    (["eval", "nowhere"], ["nowhere does not exist", "hub id"]),
    (["eval", "r.toml"], ["r.toml is a file", "config.json"]),
    (["eval", "http://127.0.0.1:1/v1"], ["URL#model"]),
    (["eval", "tiny", "--search", "best"], ["best", "did you mean 'best_of_n'"]),
    (["run", "r.toml", "--cluster", "nowhere"], ["cluster.address", "HOST:PORT"]),
    (["run", "r.toml", "--only", "x"], ["--only", 'kind "r1"']),
    (["run", "r.toml", "--set", "track.to=wandb2"], ["track.to", "wandb"]),
    # commands and tables in each other's places, folders of other things, settings without effect
    (["bench", "run", "own.toml", "tiny"], ["own.toml is a benchmark", "r1 bench run MODEL own"]),
    (["bench", "run", "tiny", "r.toml"], ["r.toml is a recipe and no benchmark", "r1 run r.toml"]),
    (["bench", "run", "tiny", "good_claim.toml"], ["is a claim", "r1 reproduce good_claim.toml"]),
    (["bench", "run", "tiny", "train.jsonl"], ["train.jsonl is a file", "r1 settings benchmark"]),
    (["bench", "run", "tiny", "flat.toml"], ["flat.toml: prompt: it names no column", "{column}"]),
    (["bench", "run", "tiny", "own.toml", "--out", "other"], ["other is not empty", "notes.txt"]),
    (["bench", "run", "tiny", "own.toml", "--plugin", "a.py"], ["a.py", "register_benchmark"]),
    (["bench", "run", "tiny", "own.toml", "--suite", "paper"], ["--suite, not both"]),
    (["bench", "run", "tiny", "own.toml", "--no-thinking"], ["--no-thinking", "--no-think"]),
    (["bench", "run", "tiny", "simpleqa", "--judge", "none.toml"], ["none.toml: no such file"]),
    (["bench", "run", "tiny", "--data", "nowhere"], ["--data nowhere does not exist"]),
    (["bench", "list", "gsm8k@hard"], ["no variant 'hard'", "gsm8k@lenient"]),
    (["bench", "show", "other", "--page", "r.toml"], ["r.toml is there and is no page"]),
    (["bench", "show", "own.toml"], ["own.toml holds no result", "r1 bench run"]),
    (["bench", "freeze", "a", "b", "--out", "r.toml"], ["r.toml is there and is no frozen"]),
    (["bench", "compare", "empty", "other"], ["empty holds no result"]),
    (["reproduce", "own.toml"], ["own.toml is a benchmark", "r1 bench run MODEL own.toml"]),
    (["reproduce", "good_claim.tml"], ["no claim", "did you mean 'good_claim.toml'"]),
    (["reproduce", "good_claim.toml", "--out", "other"], ["other is not empty", "notes.txt"]),
    (["reproduce", "good_claim.toml", "--out", "a.py"], ["a.py is a file"]),
    (["reproduce", "good_claim.toml", "--page", "--out", "none"], ["leave --page out"]),
    (["reproduce", "good_claim.toml", "--scale", "big"], ["no scale 'big'", "tiny"]),
    (["reproduce", "--seed", "3"], ["--seed", "--seeds"]),
    (["run", "r.toml", "--out", "other"], ["other is not empty and not a run", "notes.txt"]),
    (["run", "x.yaml"], ["x.yaml is not valid TOML", "line 1"]),
    (["run", "r.toml", "--metrics-port", "99999"], ["'99999' is no port", "9400"]),
    (
        ["run", "r.toml", "--set", "grpo.overlong_buffer=8"],
        ['overlong = "penalty"', "by default 0"],
    ),
    (["eval", "tiny", "--search", "mcts"], ["needs a scorer", "--scorer, --budget"]),
    (["eval", "tiny", "--search", "vote", "--set", "search.beams=8"], ['method = "beam"']),
    (["eval", "tiny", "--search", "vote", "--set", "search.bems=8"], ["did you mean 'beams'"]),
    (
        ["eval", "tiny", "--search", "vote", "--budget", "30"],
        ["budget = 30 has no effect", "Leave search.budget (--budget) out"],
    ),
    (
        [
            "eval",
            "tiny",
            "--search",
            "beam",
            "--scorer",
            "x",
            "--set",
            "search.beams=6",
            "--set",
            "search.subtrees=4",
        ],
        ["beams = 6 cannot be divided into 4 subtrees", "search.subtrees to 1 or 2 or 3 or 6"],
    ),
    (
        [
            "eval",
            "tiny",
            "--recipe",
            "apart.toml",
            "--search",
            "mcts",
            "--scorer",
            "constant",
            "--budget",
            "99",
            "--samples",
            "4",
        ],
        ["--samples 4 has no effect with --search mcts", "Leave --samples out"],
    ),
    (["eval", "tiny", "--scorer", "x"], ["need --search METHOD"]),
    (["eval", "tiny", "--step", "3"], ["tiny is not a run", "leave the step out"]),
    (["export", "run"], ["dest"]),
    (["export", "run", "x", "--step", "-1"], ["--step"]),
    (["export", "run", "x", "--public"], ["--public", "--push OWNER/NAME"]),
    (["plan", "train.jsonl"], ["train.jsonl is not valid TOML"]),
    (["plan", "r.toml", "--gpu", "4"], ["--gpu", "--gpus"]),
    (["plan", "sft.toml", "--lengths", "x"], ["--lengths is for recipes that learn by sampling"]),
    (["lineage", "other"], ["neither a pipeline, nor a run", "give a run's folder"]),
    (["lineage", "r.toml"], ["r.toml is neither"]),
    (["diagnose", "run", "run"], ["unexpected extra argument"]),
    (["diagnose", "empty"], ["empty is not a run", "folder of a run"]),
    (["data", "same.jsonl", "--set", "limit=0"], ["limit", "1"]),
    (["data", "same.jsonl"], ["12 rows (1, 2, 3, 4, 5, ...): prompt is empty"]),
    (["settings", "grpo.groupsize"], ["did you mean 'grpo.group_size'"]),
    (["pretrain", "r.toml"], ["--out"]),
    (["pretrain", "r.toml", "--out", "x"], ["r.toml is a recipe for training", "r1 run r.toml"]),
    (["run", "r.toml", "--dry-run", "--from", "a"], ["--dry-run", "leave --from and --only out"]),
    (["report", "run", "--json", "--figures", "x"], ["--json writes no files", "--figures"]),
    (["reproduce", "good_claim.toml", "--list", "--page"], ["--list, --dry-run and --page"]),
    (["bench", "run", "tiny", "own.toml", "--judge", "u#m"], ["leave --judge out"]),
    (["sandbox", "run", "other"], ["other is a folder", "file"]),
]

LATE: list[tuple[list[str], list[str]]] = [
    # what is told after torch has been imported
    (["bench", "run", "tiny", "math500", "--data", "."], ["math500", "put test.jsonl there"]),
    (["bench", "run", "tiny", "math500", "--replicas", "2"], ["--replicas", "--cluster"]),
    (["bench", "run", "tiny", "gsm8k", "--data", "data/gsm8k"], ["the folder above", "data."]),
    (
        ["bench", "run", "tiny", "column.toml"],
        ["own.jsonl", "no column contry", "country, capital"],
    ),
    (["bench", "run", "empty", "own.toml"], ["empty has no config.json"]),
    (["run", "teacher.toml"], ["teacher.toml: distill.teacher = 'nowhere'", "does not exist"]),
    (["run", "teacher_url.toml"], ["distill.teacher", "an endpoint tells no log-probabilities"]),
    (["run", "few.toml"], ["few.toml: ", "ppo.num_problems to 2"]),
    (["run", "scorer.toml"], ["reward_models.prm.path = 'nowhere'", "does not exist"]),
    (["run", "search.toml", "--out", "x"], ["stage look", "search.scorer nowhere", "not exist"]),
    (["run", "r.toml", "--set", "model=http://127.0.0.1:1/v1#m"], ["is an endpoint", "hub id"]),
    (
        ["eval", "tiny", "--recipe", "apart.toml", "--search", "best_of_n", "--scorer", "oracel"],
        ["--scorer oracel", "Did you mean 'oracle'?"],
    ),
    (
        ["eval", "tiny", "--recipe", "apart.toml", "--search", "best_of_n", "--scorer", "oracle"],
        ["the oracle knows arithmetic", "name a reward model"],
    ),
    (
        ["eval", "tiny", "--recipe", "apart.toml", "--search", "vote", "--temperature", "0"],
        ["temperature = 0", "candidates of a search equal"],
    ),
    (["export", "nowhere", "x"], ["nowhere does not exist"]),
    (["export", "r.toml", "x"], ["r.toml is a file"]),
    (["export", "tiny", "x"], ["tiny is no run"]),
    (["export", "tiny", "."], ["names the folder you are in", "such as my-model"]),
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
    (RECIPE.replace('path = "train.jsonl"', 'path = "t.xlsx"', 1), "CSV", [".xlsx", ".jsonl"]),
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
    (
        PPO,
        "a warm-up as long as the run",
        [
            "ppo.value_warmup = 5: the policy learns nothing",
            "num_steps = 1. Set value_warmup below",
        ],
    ),
    (PPO.replace("steps = 1", "steps = 5"), "as long", ["ppo.value_warmup = 5", "num_steps = 5."]),
    (
        RECIPE + '[reward_models.prm]\npath = "x"\nfrom_step = 1\n',
        "a reward model that never judges",
        ["reward_models.prm.from_step = 1", "num_steps = 1. Set from_step below num_steps"],
    ),
    (PPO + "gae_lambda = 1.0\n", "gae_lambda", ["ppo.lambda_policy or ppo.lambda_value"]),
    (PPO + "lambda = 1.0\n", "lambda", ["ppo.lambda_policy or ppo.lambda_value"]),
    (PPO + "vf_coef = 0.5\n", "vf_coef", ["did you mean ppo.value_weight?"]),
    (RECIPE.replace("[grpo]", "[[ppo]]"), "two brackets", ["write it as one section, [ppo]"]),
    (PRIME + 'prm_model = "x"\n', "prm_model", ["second model begins as the policy"]),
    (DISTILL + "kl_weight = 0\n", "distill", ["distill.kl_weight", "greater than 0"]),
    (RECIPE + '[track]\nto = "wandb"\n', "track", ["track.to", "a valid list", "[...]"]),
    (
        RECIPE + "[track]\nto = []\n",
        "tracks nothing",
        ["track.to", "a list should have at least 1"],
    ),
    (RECIPE + '[track]\nto = ["wandb:"]\n', "no project", ["'wandb:' names no project"]),
    (RECIPE + '[track]\nto = ["tensorboard:x"]\n', "tensorboard", ["has no projects", "':x'"]),
    (RECIPE + '[track]\nto = ["wandb"]\nproject = "x"\n', "project", ["did you mean track.to"]),
    (RECIPE + "report_to = 1\n", "report_to", ["did you mean track.to?"]),
    (DPO + "[dpo]\nbeta = 0.1\n", "the method's section", ["the loss has its section, [loss]"]),
    (DPO + '[loss]\nloss_type = "ipo"\n', "loss_type", ["did you mean loss.kind?"]),
    (
        DPO.replace("[[", 'ref_model = "x"\n[[', 1),
        "ref_model",
        ["the model that training begins with"],
    ),
    (DPO.replace("[[", "beta = 0.1\n[[", 1), "beta", ["did you mean loss.beta?"]),
    (STEPS.replace("reward_model", "prm"), "prm", ['did you mean "reward_model"?']),
    (STEPS + 'data.train = "x.jsonl"\n', "a text for tables", ["data.train", "a valid list"]),
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


def _write_world(folder: Path) -> None:
    """What the mistakes in commands for claims, benchmarks, searches and data are about."""
    (folder / "broken.py").write_text("def (:\n")
    (folder / "rows.py").write_text("def number():\n    return 3\ndef needs(a):\n    return []\n")
    (folder / "run").mkdir()
    (folder / "run" / "run.json").write_text("{}")
    (folder / "data" / "gsm8k").mkdir(parents=True)
    (folder / "data" / "gsm8k" / "test.jsonl").write_text("")
    (folder / "own.jsonl").write_text('{"country": "France", "capital": "Paris"}\n')
    (folder / "own.toml").write_text(BENCHMARK)
    (folder / "same.toml").write_text(BENCHMARK.replace('"own"', '"gsm8k"'))
    (folder / "column.toml").write_text(BENCHMARK.replace("{country}", "{contry}"))
    (folder / "failed.json").write_text('{"status": "FAILED", "comment": "not found"}')
    (folder / "flat.toml").write_text(BENCHMARK.replace("{country}", "Which"))
    (folder / "x.yaml").write_text("model: tiny\n")
    (folder / "same.jsonl").write_text('{"prompt": "", "reference": "1"}\n' * 12)
    (folder / "other").mkdir()
    (folder / "other" / "notes.txt").write_text("mine")
    (folder / "list.json").write_text('{"status": "OK", "result": []}')
    (folder / "good_claim.toml").write_text(CLAIM)
    (folder / "no_recipe.toml").write_text(CLAIM.replace("r.toml", "none.toml"))
    (folder / "measure.toml").write_text(CLAIM + 'measure = "value_error"\n')
    (folder / "area.toml").write_text(CLAIM + 'measure = "proxy_gain"\n')
    apart = RECIPE.replace('path = "train.jsonl"\n[grpo]', 'path = "other.jsonl"\n[grpo]')
    (folder / "apart.toml").write_text(apart)
    (folder / "other.jsonl").write_text('{"prompt": "9 + 9?", "reference": "18"}\n')
    named = apart.replace("[grpo]", '[distill]\nteacher = "nowhere"')
    (folder / "teacher.toml").write_text(named)
    (folder / "teacher_url.toml").write_text(named.replace("nowhere", "http://127.0.0.1:1/v1#m"))
    (folder / "few.toml").write_text(
        apart.replace("[grpo]\nnum_problems = 2", "[ppo]\nvalue_warmup = 0\nnum_problems = 32")
    )
    (folder / "scorer.toml").write_text(apart + '[reward_models.prm]\npath = "nowhere"\n')
    (folder / "search.toml").write_text(
        'kind = "r1"\n[stages.look]\nkind = "search"\nmodel = "tiny"\n'
        'search = { method = "best_of_n", scorer = "nowhere" }\n'
        'problems = [{ path = "train.jsonl" }]\n'
    )


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> list[tuple[object, str, bool]]:
    """Exit status, text, and whether torch was there, of every case."""
    folder: Path = tmp_path_factory.mktemp("mistakes")
    (folder / "r.toml").write_text(RECIPE)
    (folder / "sft.toml").write_text(SFT)
    (folder / "a.py").write_text("")
    (folder / "bench.toml").write_text('name = "x"\n')
    (folder / "claim.toml").write_text('title = "x"\n')
    (folder / "judge.toml").write_text('modle = "x"\n')
    (folder / "empty").mkdir()
    _write_world(folder)
    rows = [{"id": str(n), "prompt": f"{n} + 1?", "reference": str(n + 1)} for n in range(2)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    cases = [words for words, _ in COMMANDS]
    for number, (text, _, _) in enumerate(EDITS):
        (folder / f"edit{number}.toml").write_text(text)
        cases.append(["run", f"edit{number}.toml", "--out", f"out{number}"])
    cases += [words for words, _ in LATE]
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        cwd=folder, input=json.dumps(cases), capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"},
    )  # fmt: skip
    assert not list(folder.glob("out*")), "a mistake must leave nothing behind"
    return [tuple(answer) for answer in json.loads(done.stdout)]


WANTED = [(" ".join(words) or "nothing", said) for words, said in COMMANDS]
WANTED += [(name, [f"edit{n}.toml", *said]) for n, (_, name, said) in enumerate(EDITS)]

WANTED += [(" ".join(words), said) for words, said in LATE]


@pytest.mark.parametrize("number", range(len(WANTED)), ids=[name for name, _ in WANTED])
def test_a_typed_mistake_is_told_in_one_message(answers, number) -> None:
    code, text, torch = answers[number]
    flat = " ".join(text.replace("│", " ").split())
    assert code == 2, flat
    for said in WANTED[number][1]:
        assert said in flat, flat
    assert "Traceback" not in flat
    assert not torch or number >= len(WANTED) - len(LATE), (
        "torch was imported before the mistake was told"
    )


def test_a_list_is_not_called_empty_because_its_only_item_is_at_fault(answers) -> None:
    """The second line of the message about a CSV file spoke of a list without items."""
    number = next(i for i, (name, _) in enumerate(WANTED) if name == "CSV")
    assert "at least 1 item" not in answers[number][1]
    none = RECIPE.replace("[[data.train]]", "[data]\ntrain = []\n[[data.heldout]]", 1)
    with pytest.raises(UserError, match="at least 1 item"):
        validate(tomllib.loads(none), R1ZeroRecipe, "r.toml")
