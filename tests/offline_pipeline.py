"""A pipeline of stages that only sample: rejection, prompting, a mixture with thoughts, evaluation.

The verifier takes any answer and a response's reasoning ends at the first "a", as in
small_pipeline.py, so that a random model's samples are kept.
"""

from __future__ import annotations

from pathlib import Path

from small_models import save_small_model
from small_recipe import write_jsonl

PLUGIN = """
from r1.rewards.registry import Verifier, register_verifier
from r1.types import Outcome, Score

register_verifier(
    "any_answer",
    Verifier(
        score=lambda problem, answer, settings: Score(1.0, Outcome.CORRECT),
        check_reference=lambda problem: None,
        equal=lambda a, b: a == b,
        answer_from="text",
    ),
)
"""

RECIPE = """
kind = "r1"

[stages.readable]
kind = "rejection"
model = "model"
num_samples = 8
template = { kind = "plain", force_think = true }
sampling = { max_new_tokens = 48, stop = ["E", "N", "(", "9", "x", "K", "0", "#"] }
sampled = { closing = "a" }
written = {}
rewards = { weights = { accuracy = 1.0 }, plugins = ["offline_plugin"], answer_from = "text" }
problems = [{ path = "data.jsonl" }]
call = { prompts = 4 }
[stages.readable.filters.readability]
min_language_share = 0.0
max_foreign_words = 100
max_code_blocks = 100

[stages.direct]
kind = "prompted"
how = "direct"
problems = [{ path = "data.jsonl" }]
rewards = { weights = { accuracy = 1.0 }, plugins = ["offline_plugin"], answer_from = "text" }
direct = { num_samples = 2 }
call = { prompts = 4 }
[stages.direct.general]
model = "model"
template = { kind = "plain" }
sampling = { max_new_tokens = 8 }

[stages.supplied]
kind = "examples"
sources = [{ kind = "tiny", split = "train", families = ["dialogue"], num = 12 }]

[stages.mixture]
kind = "mixture"
sources = [{ path = "@readable" }, { path = "@supplied", chain_of_thought = "prompted" }]
call = { prompts = 8 }
thoughts = { readability = { min_language_share = 0.0, max_foreign_words = 100 } }
[stages.mixture.general]
model = "model"
template = { kind = "plain" }
sampling = { max_new_tokens = 8, stop = ["E", "N", "(", "9", "x", "K", "0", "#"] }

[stages.eval]
kind = "evaluation"
model = "model"
template = { kind = "plain" }
problems = [{ kind = "tiny", split = "heldout", num = 6 }]
general = [{ kind = "tiny", split = "heldout", families = ["dialogue"], num = 4 }]
evaluation = { num_samples = 2 }
max_new_tokens = 8
"""


def write_offline_pipeline(folder: Path) -> Path:
    """Write the model, its problems and the recipe; the plugin must stand on PYTHONPATH."""
    save_small_model(folder / "model", "qwen2", scale=1.0)
    (folder / "offline_plugin.py").write_text(PLUGIN)
    rows = [
        {"id": f"p{i}", "prompt": f"{i} + 1 = ?", "reference": str(i + 1), "verifier": "any_answer"}
        for i in range(22)
    ]
    write_jsonl(folder / "data.jsonl", rows)
    path = folder / "offline.toml"
    path.write_text(RECIPE)
    return path
