"""Small reward models, pairs a small random model can learn, and recipes on them."""

from __future__ import annotations

import random
from array import array
from pathlib import Path
from typing import Any

from r1.preferences.examples import PreferenceExample
from r1.preferences.types import Labelled, Pair
from small_models import save_small_model
from small_recipe import write_jsonl

TEMPLATE = '[template]\nkind = "plain"\n'


def pair_rows(num: int, seed: int = 0) -> list[dict[str, Any]]:
    """Chosen ends with "!", rejected with "?"; both as long."""
    rng = random.Random(seed)
    rows = []
    for number in range(num):
        words = ["".join(rng.choice("abcdef") for _ in range(rng.randint(2, 9))) for _ in range(2)]
        rows.append(
            {
                "prompt": f"say {rng.choice(['this', 'that', 'more'])}",
                "chosen": f"{words[0]}{number}!",
                "rejected": f"{words[1]}{number}?",
                "language": ("en", "zh")[number % 2],
            }
        )
    return rows


def label_rows(num: int, seed: int = 0) -> list[dict[str, Any]]:
    rows = []
    for number, row in enumerate(pair_rows(num, seed)):
        good = number % 2 == 0
        rows.append(
            {
                "prompt": row["prompt"],
                "response": row["chosen"] if good else row["rejected"],
                "label": "safe" if good else "unsafe",
            }
        )
    return rows


def write_recipe(
    folder: Path, objective: str = "pairwise", sections: str = "", architecture: str = "qwen2"
) -> Path:
    """A model, 48 rows to learn, 12 to measure on, a recipe of 6 steps."""
    save_small_model(folder / "model", architecture)
    rows = (pair_rows if objective == "pairwise" else label_rows)(60)
    write_jsonl(folder / "train.jsonl", rows[:48])
    write_jsonl(folder / "heldout.jsonl", rows[48:])
    path = folder / "recipe.toml"
    path.write_text(
        f'kind = "reward_model"\nmodel = "model"\nobjective = "{objective}"\n'
        '[[data.train]]\npath = "train.jsonl"\n[[data.heldout]]\npath = "heldout.jsonl"\n'
        '[template]\nkind = "plain"\n[batch]\nsize = 8\nmax_tokens = 64\n'
        "[optimizer]\nlr = 3e-3\n" + sections
    )
    return path


def random_pairs(shapes: list[tuple[int, int, int]], seed: int = 0) -> list[PreferenceExample]:
    """Random tokens: (prompt, chosen, rejected) lengths of each pair; margins differ."""
    rng = random.Random(seed)

    def ids(count: int) -> list[int]:
        return [rng.randrange(2, 258) for _ in range(count)]

    return [
        PreferenceExample(
            tuple(ids(prompt)),
            (array("I", ids(chosen)), array("I", ids(rejected))),
            0.25 * number,
            Pair(f"p{number}", "x", "y"),
        )
        for number, (prompt, chosen, rejected) in enumerate(shapes)
    ]


def random_labels(shapes: list[tuple[int, int]], seed: int = 0) -> list[PreferenceExample]:
    """Random tokens: (prompt, response) lengths; every second prompt is the one before."""
    rng = random.Random(seed)
    examples: list[PreferenceExample] = []
    for number, (prompt, response) in enumerate(shapes):
        prompt_ids = tuple(rng.randrange(2, 258) for _ in range(prompt))
        if number % 2:
            prompt_ids = examples[-1].prompt_ids
        ids = array("I", [rng.randrange(2, 258) for _ in range(response)])
        label = Labelled(f"p{number // 2}", "x", number % 3 == 0)
        examples.append(PreferenceExample(prompt_ids, (ids,), float(label.positive), label))
    return examples
