"""Runs broken on purpose, one cause each, and healthy ones: real ones of a few steps.

python tests/broken_runs.py FOLDER [NAME ...]        make them, and say what is found in each
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from r1.config import validate
from r1.data.tiny.problems import make_problems
from r1.r1_zero.run import run_r1_zero
from r1.r1_zero.settings import R1ZeroRecipe
from r1.rollout.embedded import EmbeddedEngine
from small_models import make_tokenizer, save_small_model
from small_recipe import PLUGIN

PLUGINS = f"""
from r1.rewards.registry import Verifier

{PLUGIN}

def fail(problem, answer, settings):
    raise RuntimeError("the table of answers is missing")


def pay_any_number(problem, answer, settings):
    right = any(c.isdigit() for c in answer)
    return Score(float(right), Outcome.CORRECT if right else Outcome.WRONG)


def make_length(settings, form):
    def score(problem, completion):
        return Score(min(1.0, len(completion.token_ids) / 100), Outcome.CORRECT)
    return score


from r1.rewards.registry import register_verifier
equal = lambda a, b: a == b
register_verifier("fails", Verifier(fail, lambda problem: None, equal))
register_verifier("any_number", Verifier(pay_any_number, lambda problem: None, equal))
register_reward("length", make_length)
"""
MODULE = "broken_rewards"
Changes = Mapping[str, Any]


class Events:
    """Receives a run's events; keeps what it warns of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def begin(self, first_step: int, num_steps: int, notices: list[str]) -> None: ...
    def step(self, step: int, metrics: Mapping[str, float]) -> None: ...
    def evaluating(self, step: int, done: int, total: int) -> None: ...
    def evaluation(self, step: int, summary: Mapping[str, Any]) -> None: ...


def write_problems(path: Path, num: int = 64, **changes: Any) -> None:
    """Sums of three or four digits (level 1) of the tiny world's training split, as JSON lines."""
    problems = make_problems("train", ["arithmetic"], ["en"], num, levels=[1])
    rows = [
        {"id": p.id, "prompt": p.prompt, "reference": p.reference, "verifier": "math", **changes}
        for p in problems
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def tiny(folder: Path, **changes: Any) -> dict[str, Any]:
    """A recipe on the tiny base: eight problems of eight samples, four steps."""
    write_problems(folder / "train.jsonl", **changes)
    return {
        "model": "tiny",
        "num_steps": 4,
        "data": {"train": [{"kind": "jsonl", "path": "train.jsonl"}]},
        "sampling": {"max_new_tokens": 120},
        "rewards": {"weights": {"accuracy": 1.0, "format": 1.0}, "plugins": [MODULE]},
        "grpo": {"num_problems": 8, "group_size": 8, "kl_weight": 0.0, "aggregate": "token"},
        "optimizer": {"lr": 3e-4},
    }


def small(folder: Path, **changes: Any) -> dict[str, Any]:
    """A recipe on a random model, whose reward such a model can learn: even tokens."""
    save_small_model(folder / "model", **changes)
    recipe = tiny(folder)
    rewards = {"weights": {"even_tokens": 1.0}, "plugins": [MODULE]}
    return {
        **recipe,
        "model": "model",
        "num_steps": 6,
        "template": {"kind": "plain"},
        "sampling": {"max_new_tokens": 12},
        "rewards": rewards,
        "optimizer": {"lr": 5e-3},
    }


def unparseable(folder: Path) -> dict[str, Any]:
    recipe = tiny(folder)
    recipe["rewards"] |= {"answer_from": "boxed"}
    return recipe


def all_wrong(folder: Path) -> dict[str, Any]:
    return tiny(folder, reference="31415926")


def at_ceiling(folder: Path) -> dict[str, Any]:
    """A model that says the same token, whatever it is asked, which is the reference."""
    recipe = small(folder, scale=600.0)
    recipe |= {"sampling": {"max_new_tokens": 1}, "num_steps": 4}
    recipe["rewards"] = {"weights": {"accuracy": 1.0}, "answer_from": "text"}
    said = first_token(folder / "model")
    write_problems(folder / "train.jsonl", prompt="?", reference=said, verifier="exact", num=8)
    return recipe


def first_token(model: Path) -> str:
    """What a model says to "?" at temperature 0."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer("?", return_tensors="pt").input_ids
    with torch.no_grad():
        best = AutoModelForCausalLM.from_pretrained(model)(ids).logits[0, -1].argmax()
    return str(tokenizer.decode([int(best)]))


def verifier_failed(folder: Path) -> dict[str, Any]:
    return tiny(folder, verifier="fails")


def truncated(folder: Path) -> dict[str, Any]:
    return {**tiny(folder), "sampling": {"max_new_tokens": 10}}


def engine_gap(folder: Path) -> dict[str, Any]:
    """Weights that do not reach the engine (`make_run` makes it deaf to them)."""
    return {**small(folder), "num_steps": 10, "optimizer": {"lr": 2e-2}}


def entropy_gone(folder: Path) -> dict[str, Any]:
    """A model that says the same, whatever it is asked, and is never right."""
    recipe = at_ceiling(folder)
    write_problems(folder / "train.jsonl", prompt="?", reference="no", verifier="exact", num=8)
    return recipe


def stuck_weights(folder: Path) -> dict[str, Any]:
    return {**tiny(folder), "learner": {"dtype": "bfloat16"}, "optimizer": {"lr": 1e-6}}


def rate_too_high(folder: Path) -> dict[str, Any]:
    return {**tiny(folder), "optimizer": {"lr": 0.1}}


def rate_too_low(folder: Path) -> dict[str, Any]:
    return {**tiny(folder), "optimizer": {"lr": 1e-9}}


def pays_wrong(folder: Path) -> dict[str, Any]:
    return tiny(folder, verifier="any_number")


def refuses_right(folder: Path) -> dict[str, Any]:
    recipe = tiny(folder)
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    rows = [{**row, "reference": row["reference"] + ".0", "verifier": "exact"} for row in rows]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return recipe


def contaminated(folder: Path) -> dict[str, Any]:
    recipe = tiny(folder, num=8)
    source = recipe["data"]["train"][0]
    recipe["data"] = {"train": [source], "heldout": [source], "decontaminate": False}
    recipe["evaluation"] = {"num_samples": 1}
    return recipe


def no_bos(folder: Path) -> dict[str, Any]:
    recipe = small(folder)
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<pad>"})
    tokenizer.save_pretrained(folder / "model")
    return recipe


def short_room(folder: Path) -> dict[str, Any]:
    recipe = small(folder, max_position_embeddings=48)
    write_problems(folder / "train.jsonl", prompt="What is the sum of these: 1 + 2 + 3?")
    return {**recipe, "sampling": {"max_new_tokens": 40}}


def form_dominates(folder: Path) -> dict[str, Any]:
    recipe = tiny(folder)
    recipe["rewards"] |= {"weights": {"accuracy": 0.1, "format": 10.0}}
    return recipe


def length_hacking(folder: Path) -> dict[str, Any]:
    recipe = tiny(folder)
    recipe["rewards"] |= {"weights": {"accuracy": 0.5, "length": 10.0}}
    return {**recipe, "num_steps": 10, "optimizer": {"lr": 1e-3}}


BROKEN: dict[str, Callable[[Path], dict[str, Any]]] = {
    make.__name__: make
    for make in (
        unparseable, all_wrong, at_ceiling, verifier_failed, truncated, engine_gap, entropy_gone,
        stuck_weights, rate_too_high, rate_too_low, pays_wrong, refuses_right, contaminated,
        no_bos, short_room, form_dominates, length_hacking,
    )
}  # fmt: skip
"""By the cause that must be found."""


def healthy_r1_zero(folder: Path) -> dict[str, Any]:
    return tiny(folder)


def healthy_ppo(folder: Path) -> dict[str, Any]:
    recipe = tiny(folder)
    settings = recipe.pop("grpo")
    section = {**settings, "lambda_policy": 1.0, "lambda_value": 1.0, "value_warmup": 1}
    return {**recipe, "ppo": section}


def healthy_small(folder: Path) -> dict[str, Any]:
    return small(folder)


HEALTHY = {make.__name__: make for make in (healthy_r1_zero, healthy_ppo, healthy_small)}


def keep_first_weights(self: EmbeddedEngine, weights: Any, version: int) -> None:
    """An engine that takes no weights but its first."""
    self.version = version


def make_run(name: str, folder: Path, events: Events | None = None, **changes: Any) -> Path:
    """Run one of the recipes; return the run. The folder above must be on the path of imports."""
    folder.mkdir(parents=True)
    (folder.parent / f"{MODULE}.py").write_text(PLUGINS)
    recipe = {**(BROKEN | HEALTHY)[name](folder), **changes}
    settings = validate(recipe, R1ZeroRecipe, name)
    if name == "engine_gap":
        with mock.patch.object(EmbeddedEngine, "load_weights", keep_first_weights):
            return run_r1_zero(settings, folder, folder / "run", events or Events())
    return run_r1_zero(settings, folder, folder / "run", events or Events())


def main() -> None:
    import os

    from r1.diagnose import diagnose
    from r1.diagnose.show import as_lines

    where = Path(sys.argv[1])
    sys.path.insert(0, str(where.resolve()))
    os.environ["PYTHONPATH"] = str(where.resolve())
    for name in sys.argv[2:] or [*BROKEN, *HEALTHY]:
        run = where / name / "run"
        if not (run / "DONE.json").exists():
            make_run(name, where / name)
        found = diagnose(run)
        print(f"{name}: {', '.join(one.cause for one in found) or 'nothing'}", flush=True)
        print("\n".join(as_lines(one) for one in found), flush=True)


if __name__ == "__main__":
    main()
