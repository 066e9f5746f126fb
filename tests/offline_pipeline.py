"""A pipeline of stages that only sample: rejection, a mixture with thoughts, evaluation.

The verifier takes any answer and a response's reasoning ends at the first "a", as in
small_pipeline.py, so that a random model's samples are kept. No stage prompts a general model for
traces: none of a random model's would be kept, and a stage that keeps nothing ends the run. The
mixture's thoughts come through the same engine of a general model.
"""

from __future__ import annotations

from pathlib import Path

from small_models import save_small_model
from small_pipeline import VERIFIER, readable, write_problems

RECIPE = 'kind = "r1"\n' + readable("model", "offline_plugin")
RECIPE += """
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
    (folder / "offline_plugin.py").write_text(VERIFIER)
    write_problems(folder, 22)
    path = folder / "offline.toml"
    path.write_text(RECIPE)
    return path
