"""A recipe on a small random model whose reward such a model can learn: even token ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from small_models import save_small_model

PLUGIN = """
from r1.rewards.registry import register_reward
from r1.types import Outcome, Score


def make(settings, form):
    def score(problem, completion):
        ids = completion.token_ids
        even = sum(i % 2 == 0 for i in ids) / max(1, len(ids))
        return Score(even, Outcome.CORRECT if even > 0.5 else Outcome.WRONG)

    return score


register_reward("even_tokens", make)
"""
RECIPE = """
kind = "r1_zero"
model = "model"
num_steps = {num_steps}
[[data.train]]
path = "data.jsonl"
[[data.heldout]]
kind = "tiny"
split = "heldout"
num = 4
[rewards]
weights = {{ even_tokens = 1.0, accuracy = 0.0 }}
plugins = ["even_reward"]
[template]
kind = "plain"
[sampling]
max_new_tokens = 12
"""


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def write_recipe(folder: Path, architecture: str, num_steps: int, sections: str) -> Path:
    """Write the model, its data and the recipe; `sections` are TOML tables of the test's own.

    The reward is a module in the folder, which must stand on PYTHONPATH.
    """
    save_small_model(folder / "model", architecture)
    (folder / "even_reward.py").write_text(PLUGIN)
    rows = [
        {"id": f"p{i}", "prompt": f"{i} + 1 = ?", "reference": str(i + 1), "verifier": "exact"}
        for i in range(9)
    ]
    write_jsonl(folder / "data.jsonl", rows)
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(num_steps=num_steps) + sections)
    return path


VARIED = """
[grpo]
num_problems = 4
group_size = 4
num_minibatches = 2
kl_weight = 0.01
reference_every = 3
[optimizer]
lr = 5e-3
epsilon = 1e-2  # two computations of one run are compared: see small_models.SMOOTH_EPSILON
[evaluation]
every = 4
num_samples = 2
[checkpoints]
every = 2
keep = 2
"""
"""Everything that could differ when a run is carried on: minibatches, KL, evaluation."""

TWO_BY_TWO = """
[cluster]
address = "local"
learner_ranks = 2
engine_replicas = 2
cpus_per_process = 0.5
"""
"""Two learner ranks and two engine replicas on this machine."""


def with_plain_heldout(recipe: Path) -> Path:
    """Give a recipe of write_recipe held-out problems of its own kind, and return it.

    The tiny world's are judged by reasoning-gym, whose import takes longer than such a run.
    """
    rows = [
        {"id": f"h{i}", "prompt": f"{i} + 7 = ?", "reference": str(i + 7), "verifier": "exact"}
        for i in range(50, 54)
    ]
    write_jsonl(recipe.with_name("held.jsonl"), rows)
    tiny = '[[data.heldout]]\nkind = "tiny"\nsplit = "heldout"\nnum = 4\n'
    text = recipe.read_text()
    assert tiny in text
    recipe.write_text(text.replace(tiny, '[[data.heldout]]\npath = "held.jsonl"\n'))
    return recipe
