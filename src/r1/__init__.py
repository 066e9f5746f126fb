"""r1: the DeepSeek-R1 training system.

    import r1

    recipe = r1.load_recipe("recipes/tiny/r1_zero.toml", num_steps=4)     # or r1.recipe(model=...)
    run = r1.train(recipe, run="runs/first")          # again: carries on where it stopped
    r1.evaluate(run, num_samples=4)                   # pass@1 with its interval
    r1.sample(run, ["What is 12 + 30?"])              # responses: thinking, answer
    r1.load_run("runs/first").metrics                 # one row a step
    r1.verify("so it is \\\\boxed{0.5}", "1/2")         # correct
    r1.export(run, "my-model")                        # a plain Hugging Face folder

Each calls what the command of its name calls. A name is imported on its first use: `import r1`
alone loads nothing. docs/python.md describes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r1.api.models import LoadedModel as LoadedModel
    from r1.api.models import SampledResponse as SampledResponse
    from r1.api.models import open_model as open_model
    from r1.api.models import sample as sample
    from r1.api.recipes import Recipe as Recipe
    from r1.api.recipes import load_recipe as load_recipe
    from r1.api.recipes import recipe as recipe
    from r1.api.rewards import reward as reward
    from r1.api.rewards import verify as verify
    from r1.api.runs import RunFolder as RunFolder
    from r1.api.runs import load_run as load_run
    from r1.api.training import train as train
    from r1.errors import UserError as UserError
    from r1.evaluation.public import EvaluationFolder as EvaluationFolder
    from r1.evaluation.public import evaluate as evaluate
    from r1.evaluation.public import load_evaluation as load_evaluation
    from r1.publish.export import ExportedModel as ExportedModel
    from r1.publish.export import export as export
    from r1.types import Outcome as Outcome
    from r1.types import Problem as Problem
    from r1.types import Score as Score

__version__ = "0.1.0"

_HOMES = {
    "LoadedModel": "api.models",
    "SampledResponse": "api.models",
    "open_model": "api.models",
    "sample": "api.models",
    "Recipe": "api.recipes",
    "load_recipe": "api.recipes",
    "recipe": "api.recipes",
    "reward": "api.rewards",
    "verify": "api.rewards",
    "RunFolder": "api.runs",
    "load_run": "api.runs",
    "train": "api.training",
    "UserError": "errors",
    "EvaluationFolder": "evaluation.public",
    "evaluate": "evaluation.public",
    "load_evaluation": "evaluation.public",
    "ExportedModel": "publish.export",
    "export": "publish.export",
    "Outcome": "types",
    "Problem": "types",
    "Score": "types",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"r1.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
