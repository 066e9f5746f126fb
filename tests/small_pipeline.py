"""Every stage of the paper's recipe on a small random model, two steps each.

A random model keeps no pattern, so its reasoning is whatever comes before the first "a" and its
summary what follows, up to a stop string; the verifier of these problems takes any answer.
"""

from __future__ import annotations

from pathlib import Path

from small_models import save_small_model
from small_recipe import PLUGIN as EVEN_TOKENS
from small_recipe import write_jsonl

VERIFIER = """
from r1.rewards.registry import Verifier, register_verifier
from r1.types import Outcome, Score

register_verifier(
    "anything",
    Verifier(
        score=lambda problem, answer, settings: Score(1.0, Outcome.CORRECT),
        check_reference=lambda problem: None,
        equal=lambda a, b: a == b,
        answer_from="text",
    ),
)
"""
PLUGIN = EVEN_TOKENS + VERIFIER

READABLE = """
[stages.readable]
kind = "rejection"
model = "MODEL"
num_samples = 8
template = { kind = "plain", force_think = true }
sampling = { max_new_tokens = 48, stop = ["E", "N", "(", "9", "x", "K", "0", "#"] }
sampled = { closing = "a" }
written = {}
rewards = { weights = { accuracy = 1.0 }, plugins = ["PLUGIN"], answer_from = "text" }
problems = [{ path = "data.jsonl" }]
call = { prompts = 4 }
[stages.readable.filters.readability]
min_language_share = 0.0
max_foreign_words = 100
max_code_blocks = 100
"""


def readable(model: str, plugin: str) -> str:
    """The stage whose samples of a random model are kept."""
    return READABLE.replace("MODEL", model).replace("PLUGIN", plugin)


RECIPE = """
kind = "r1"

[stages.zero]
kind = "r1_zero"
model = "model"
num_steps = 2
data = { train = [{ path = "data.jsonl" }] }
template = { kind = "plain" }
sampling = { max_new_tokens = 10 }
rewards = { weights = { even_tokens = 1.0, accuracy = 0.0 }, plugins = ["small_plugin"] }
grpo = { num_problems = 3, group_size = 4 }
optimizer = { lr = 5e-3 }
checkpoints = { every = 1, keep = 1 }
"""
RECIPE += readable("@zero", "small_plugin")
RECIPE += """
[stages.dev1]
kind = "sft"
model = "model"
data = { train = [{ kind = "parquet", path = "@readable" }] }
template = { kind = "plain" }
batch = { size = 4, epochs = 1, max_steps = 2 }
checkpoints = { every = 1, keep = 1 }

[stages.dev2]
like = "zero"
model = "@dev1"

[stages.supplied]
kind = "examples"
sources = [{ kind = "tiny", split = "train", families = ["dialogue"], num = 12 }]

[stages.mixture]
kind = "mixture"
sources = [{ path = "@readable" }, { path = "@supplied" }]

[stages.dev3]
like = "dev1"
data = { train = [{ kind = "parquet", path = "@mixture" }] }

[stages.helpful]
kind = "reward_model"
model = "model"
objective = "pairwise"
data.train = [{ kind = "tiny", split = "train", num = 16 }]
data.heldout = [{ kind = "tiny", split = "heldout", num = 8 }]
template = { kind = "plain" }
batch = { size = 8, max_tokens = 512 }
checkpoints = { every = 1, keep = 1 }

[stages.r1]
like = "zero"
model = "@dev3"
data = { train = [
    { path = "data.jsonl" }, { kind = "tiny", split = "train", families = ["dialogue"], num = 10 },
] }
rewards = { families = { dialogue = { even_tokens = 1.0 } } }
reward_models = { helpful = { path = "@helpful", families = ["dialogue"], from_step = 1 } }

[stages.eval_r1]
kind = "evaluation"
model = "@r1"
template = { kind = "plain" }
problems = [{ kind = "tiny", split = "heldout", num = 4 }]
general = [{ kind = "tiny", split = "heldout", families = ["dialogue"], num = 4 }]
reward_models = { helpful = { path = "@helpful" } }
evaluation = { num_samples = 2 }
max_new_tokens = 8
"""


def write_pipeline(folder: Path, architecture: str) -> Path:
    """Write the model, its problems and the recipe; the plugin must stand on PYTHONPATH."""
    save_small_model(folder / "model", architecture, scale=1.0)
    (folder / "small_plugin.py").write_text(PLUGIN)
    write_problems(folder, 16)
    path = folder / "r1.toml"
    path.write_text(RECIPE)
    return path


def write_problems(folder: Path, number: int) -> None:
    """data.jsonl: problems of which VERIFIER takes any answer."""
    rows = [
        {"id": f"p{i}", "prompt": f"{i} + 1 = ?", "reference": str(i + 1), "verifier": "anything"}
        for i in range(number)
    ]
    write_jsonl(folder / "data.jsonl", rows)
