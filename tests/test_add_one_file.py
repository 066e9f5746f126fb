"""An algorithm, a reward and a verifier of one's own: one file each, nothing of r1 is touched."""

from __future__ import annotations

import json
from pathlib import Path

from r1.algorithms import registry
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.progress import TerminalProgress
from small_models import save_small_model
from small_recipe import RECIPE, write_jsonl

ALGORITHM = '''
"""Every response is compared with the best of its group, after a sign only; no ratio, no clip."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from r1.algorithms.policy_gradient import Clip, PolicyGradient, averaged_loss, policy_ratio
from r1.algorithms.protocol import spread
from r1.algorithms.registry import register_algorithm
from r1.algorithms.settings import AlgorithmSettings


class SignSettings(AlgorithmSettings):
    """The size of a step is a setting of its own."""

    size: float = Field(1.0, gt=0, description="the advantage of a response above the mean")


@dataclass(frozen=True)
class Sign(PolicyGradient):
    settings: SignSettings

    def advantages(self, groups_P):
        return [spread(self._signs(group.rewards_G), group.lengths_G) for group in groups_P]

    def _signs(self, rewards):
        mean = sum(rewards) / len(rewards)
        return [self.settings.size * ((r > mean) - (r < mean)) for r in rewards]

    def loss(self, tokens, totals):
        policy_M = -tokens.advantages_M * tokens.logprobs_M
        ratio_M = policy_ratio(tokens, "token").detach()
        return averaged_loss(tokens, totals, self.settings, policy_M, Clip(9, 9), ratio_M, "k3")


register_algorithm("sign", SignSettings, Sign)
'''

REWARD = '''
"""Pays for vowels."""

from r1.rewards.registry import register_reward
from r1.types import Outcome, Score


def make(settings, form):
    def score(problem, completion):
        vowels = sum(letter in "aeiou" for letter in completion.text)
        return Score(vowels / max(1, len(completion.text)), Outcome.CORRECT)

    return score


register_reward("vowels", make)
'''

SECTIONS = """
[sign]
num_problems = 4
group_size = 4
size = 0.5
[optimizer]
lr = 5e-3
[checkpoints]
every = 1
"""


def test_an_algorithm_and_a_reward_are_a_file_each(tmp_path: Path, monkeypatch) -> None:
    """Two steps, then two more of the same run, told by the recipe alone."""
    save_small_model(tmp_path / "model", "qwen2")
    (tmp_path / "toy_sign.py").write_text(ALGORITHM)
    (tmp_path / "toy_vowels.py").write_text(REWARD)
    rows = [{"prompt": f"{i} + 1 = ?", "reference": str(i), "verifier": "exact"} for i in range(9)]
    write_jsonl(tmp_path / "data.jsonl", rows)
    text = RECIPE.format(num_steps=4).replace("even_tokens", "vowels")
    text = text.replace("even_reward", "toy_vowels").replace(
        'kind = "r1_zero"', 'kind = "r1_zero"\nplugins = ["toy_sign"]'
    )
    path = tmp_path / "recipe.toml"
    path.write_text(text + SECTIONS)
    # The toy goes with the test: no other test of this process knows it.
    monkeypatch.setattr(registry, "_ALGORITHMS", registry.algorithms())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    for overrides in (("num_steps=2",), ()):
        with TerminalProgress() as progress:
            run_recipe(load_any_recipe(path, overrides), tmp_path, tmp_path / "run", progress)
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert [row["step"] for row in metrics] == [0, 1, 2, 3]
    assert any(row["grad_norm"] > 0 for row in metrics)
    stored = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert stored["sign"]["size"] == 0.5
    assert "grpo" not in stored
    lineage = (tmp_path / "run" / "lineage.json").read_text()
    assert "toy_sign" in lineage, "the plugin is an input, hashed at the start"
    assert "toy_vowels" in lineage
