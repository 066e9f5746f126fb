"""Answers to commands and options that r1 does not have, in the words of other trainers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise

from r1.errors import UserError

OTHER_COMMANDS = {
    **dict.fromkeys(("train", "grpo", "rl", "ppo"), "r1 run RECIPE"),
    **dict.fromkeys(("sft", "finetune", "fine-tune"), 'r1 run RECIPE, with kind = "sft" in it'),
    "dpo": 'r1 run RECIPE, with kind = "dpo" in it',
    **dict.fromkeys(("rm", "reward", "reward-model"), 'r1 run RECIPE, with kind = "reward_model"'),
    "serve": "r1 export RUN my-model, then vllm serve my-model",
    **dict.fromkeys(("generate", "infer"), "r1 chat MODEL"),
}

_SETTING = re.compile(r"[a-z_][a-z0-9_.]*=")
_OF_A_SOURCE = re.compile(r"^(data\.(?:train|heldout))\.")


def refuse_other_words(
    words: Sequence[str], options: Callable[[], Mapping[str, Collection[str]]]
) -> None:
    """Raise UserError for another trainer's command, for a recipe's setting as an option, and for
    two settings behind one --set.

    words: the command line after `r1`. options: returns those of each command that takes --set;
    asked for where an option was given.
    """
    if not words or words[0].startswith("-"):
        return
    if words[0] in OTHER_COMMANDS:
        meant = OTHER_COMMANDS[words[0]]
        raise UserError(f"there is no command {words[0]}; did you mean {meant}?")
    for before, word in pairwise(words):
        if "--set" in words and _SETTING.match(word) and not before.startswith("-"):
            raise UserError(f"--set takes one setting; give it again for each: --set {word}")
    given = [word.partition("=")[0] for word in words[1:] if word.startswith("--")]
    known = options().get(words[0]) if given else None
    if known is None:
        return
    for option in given:
        name = option.lstrip("-").replace("-", "_")
        if option not in known and name and (paths := _settings_named(name)):
            raise UserError(
                f"r1 {words[0]} has no option {option}; a setting of the recipe is changed by "
                f"{' or '.join(f'--set {path}=VALUE' for path in paths)}."
            )


def _settings_named(name: str) -> list[str]:
    """Return the settings of reinforcement learning with that name, the shortest paths first."""
    from r1.r1_zero.settings import R1ZeroRecipe
    from r1.setting_hints import OTHER_NAMES, setting_paths

    paths = [path for path in setting_paths(R1ZeroRecipe) if not path.startswith("reward_models.")]
    found = [path for path in paths if name in (path, path.rpartition(".")[2])]
    found = found or [path for path in OTHER_NAMES.get(name, ()) if path in paths]
    numbered = [_OF_A_SOURCE.sub(r"\1.0.", path) for path in found]
    return sorted(dict.fromkeys(numbered), key=lambda path: path.count("."))[:2]
