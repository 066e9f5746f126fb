"""Suggest the intended setting for one that does not exist (torch-free).

A wrong key is a typing mistake, a key in the wrong section, or another library's name for a
setting. The whole schema is searched, so that `learning_rate` leads to `optimizer.lr`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "learning_rate": ("optimizer.lr",),
    "lr_scheduler": ("optimizer.schedule",),
    "lr_scheduler_type": ("optimizer.schedule",),
    "scheduler": ("optimizer.schedule",),
    "warmup": ("optimizer.warmup_steps",),
    "warmup_ratio": ("optimizer.warmup_steps",),
    "warmup_steps": ("optimizer.warmup_steps",),
    "num_warmup_steps": ("optimizer.warmup_steps",),
    "grad_clip": ("optimizer.max_grad_norm",),
    "gradient_clipping": ("optimizer.max_grad_norm",),
    "max_norm": ("optimizer.max_grad_norm",),
    "wd": ("optimizer.weight_decay",),
    "optim": ("optimizer.kind",),
    "adam_beta1": ("optimizer.betas",),
    "adam_beta2": ("optimizer.betas",),
    "adam_epsilon": ("optimizer.epsilon",),
    "epochs": ("batch.epochs", "num_steps"),
    "num_epochs": ("batch.epochs", "grpo.num_epochs"),
    "num_train_epochs": ("batch.epochs", "num_steps"),
    "max_steps": ("batch.max_steps", "num_steps"),
    "num_steps": ("num_steps", "batch.epochs", "batch.max_steps"),
    "steps": ("num_steps", "batch.epochs", "batch.max_steps"),
    "total_steps": ("num_steps", "batch.epochs", "batch.max_steps"),
    "total_epochs": ("batch.epochs", "num_steps"),
    "batch_size": ("batch.size", "grpo.num_problems"),
    "train_batch_size": ("batch.size", "grpo.num_problems"),
    "rollout_batch_size": ("grpo.num_problems",),
    "per_device_train_batch_size": ("batch.size", "grpo.num_problems"),
    "micro_batch_size": ("learner.tokens_per_microbatch",),
    "ppo_mini_batch_size": ("grpo.num_minibatches",),
    "mini_batch_size": ("grpo.num_minibatches", "batch.size"),
    "gradient_accumulation_steps": ("learner.tokens_per_microbatch",),
    "steps_per_generation": ("grpo.num_minibatches",),
    "num_iterations": ("grpo.num_epochs",),
    "ppo_epochs": ("grpo.num_epochs",),
    "max_length": ("batch.max_tokens", "sampling.max_new_tokens"),
    "max_seq_length": ("batch.max_tokens", "sampling.max_new_tokens"),
    "max_seq_len": ("batch.max_tokens", "sampling.max_new_tokens"),
    "seq_len": ("batch.max_tokens", "sampling.max_new_tokens"),
    "cutoff_len": ("batch.max_tokens",),
    "block_size": ("batch.max_tokens",),
    "packing": ("batch.unit",),
    "max_tokens": ("batch.max_tokens", "sampling.max_new_tokens"),
    "max_completion_length": ("sampling.max_new_tokens",),
    "max_response_length": ("sampling.max_new_tokens",),
    "response_length": ("sampling.max_new_tokens",),
    "max_model_len": ("engine.vllm.max_model_len", "sampling.max_new_tokens"),
    "num_generations": ("grpo.group_size",),
    "num_samples_per_prompt": ("grpo.group_size",),
    "n_samples_per_prompt": ("grpo.group_size",),
    "rollout_n": ("grpo.group_size",),
    "group": ("grpo.group_size",),
    "beta": ("grpo.kl_weight",),
    "kl_coef": ("grpo.kl_weight",),
    "kl_coeff": ("grpo.kl_weight",),
    "init_kl_coef": ("grpo.kl_weight",),
    "kl_loss_coef": ("grpo.kl_weight",),
    "kl_penalty": ("grpo.kl_weight",),
    "cliprange": ("grpo.clip_low", "grpo.clip_high"),
    "clip_ratio": ("grpo.clip_low", "grpo.clip_high"),
    "clip_range": ("grpo.clip_low", "grpo.clip_high"),
    "clip_ratio_low": ("grpo.clip_low",),
    "clip_ratio_high": ("grpo.clip_high",),
    "epsilon": ("grpo.clip_low", "grpo.clip_high", "optimizer.epsilon"),
    "epsilon_low": ("grpo.clip_low",),
    "epsilon_high": ("grpo.clip_high",),
    "loss_type": ("loss.kind", "grpo.aggregate"),
    "loss_agg_mode": ("grpo.aggregate",),
    "importance_sampling_level": ("grpo.ratio",),
    "scale_rewards": ("grpo.std",),
    "sync_ref_model": ("grpo.reference_every",),
    "gae_lambda": ("ppo.lambda_policy", "ppo.lambda_value"),
    "lam": ("ppo.lambda_policy", "ppo.lambda_value"),
    "lambda": ("ppo.lambda_policy", "ppo.lambda_value"),
    "vf_coef": ("ppo.value_weight",),
    "vf_loss_coef": ("ppo.value_weight",),
    "value_loss_coef": ("ppo.value_weight",),
    "cliprange_value": ("ppo.value_clip",),
    "vf_clip": ("ppo.value_clip",),
    "whiten_rewards": ("ppo.whiten",),
    "critic_warmup": ("ppo.value_warmup",),
    "mask_truncated_completions": ("grpo.overlong",),
    "temp": ("sampling.temperature",),
    "reward_funcs": ("rewards.weights",),
    "reward_weights": ("rewards.weights",),
    "reward_fn": ("rewards.weights",),
    "model_name": ("model",),
    "model_name_or_path": ("model",),
    "base_model": ("model",),
    "model_path": ("model",),
    "dataset": ("data.train",),
    "dataset_name": ("data.train",),
    "datasets": ("data.train",),
    "train_file": ("data.train",),
    "train_files": ("data.train",),
    "train_data": ("data.train",),
    "eval_dataset": ("data.heldout",),
    "val_files": ("data.heldout",),
    "validation": ("data.heldout",),
    "test_size": ("data.heldout",),
    "eval_steps": ("evaluation.every",),
    "eval_every": ("evaluation.every",),
    "save_steps": ("checkpoints.every",),
    "save_every": ("checkpoints.every",),
    "save_freq": ("checkpoints.every",),
    "save_total_limit": ("checkpoints.keep",),
    "bf16": ("learner.autocast", "learner.dtype"),
    "fp16": ("learner.autocast", "learner.dtype"),
    "mixed_precision": ("learner.autocast", "learner.dtype"),
    "torch_dtype": ("learner.dtype",),
    "activation_checkpointing": ("learner.gradient_checkpointing",),
    "activation_offloading": ("learner.gradient_checkpointing",),
    "use_vllm": ("engine.kind",),
    "use_lora": ("learner.lora",),
    "use_peft": ("learner.lora",),
    "lora_r": ("learner.lora.rank",),
    "lora_rank": ("learner.lora.rank",),
    "lora_alpha": ("learner.lora.alpha",),
    "system_prompt": ("template.system",),
    "chat_template": ("template.chat_template",),
    "max_samples": ("data.train.limit",),
    "random_seed": ("seed",),
    "report_to": ("track.to",),
    "logger": ("track.to",),
    "project": ("track.to",),
    "wandb": ("track.to",),
    "wandb_project": ("track.to",),
    "tensorboard": ("track.to",),
}
"""What other libraries call it -> ours; of several, those that the recipe's kind has are named."""

NO_SETTING = {
    "output_dir": "the run's folder is given on the command line: --out FOLDER",
    "out": "the run's folder is given on the command line: --out FOLDER",
    "resume": "the same command carries on where it stopped; remove it",
    "resume_from_checkpoint": "the same command carries on where it stopped; remove it",
    **dict.fromkeys(
        ("reference", "ref_model", "reference_model"),
        "the reference is the model that training begins with; remove it",
    ),
}
"""What other libraries have and we do not, and what to do instead."""

VERY_CLOSE, CLOSE, ALIKE = 0.9, 0.8, 0.6


def hint_for(key: str, location: Sequence[str], schema: type[BaseModel]) -> str:
    """Return a suggestion for an unknown key at a dotted location of a schema."""
    owner = class_at(schema, location)
    settled: Mapping[str, Any] = getattr(owner, "settled", {})
    if key in settled:
        now = "leaves it out" if settled[key] is None else f"has {json.dumps(settled[key])}"
        return f"it was one once, and every run {now} now; remove it."
    siblings = list(owner.model_fields)
    near = difflib.get_close_matches(key, siblings, n=1, cutoff=CLOSE)
    if near:
        return f"did you mean {near[0]!r}?"
    plain = key.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in NO_SETTING:
        return NO_SETTING[plain] + "."
    paths = list(setting_paths(schema))
    others = difflib.get_close_matches(plain, OTHER_NAMES, n=1, cutoff=VERY_CLOSE)
    found = [path for path in paths if path.rpartition(".")[2] == plain]
    found.sort(key=lambda path: path.count("."))
    meant = [name for other in others for name in _of_this_recipe(OTHER_NAMES[other], paths)]
    found = meant or found
    if found:
        return f"did you mean {' or '.join(found[:3])}?"
    for known in dict.fromkeys([owner, *classes_of(schema)]):
        own = getattr(known, "hint_for_unknown", lambda key: None)(plain)
        if own:
            return str(own)
    near = difflib.get_close_matches(key, siblings, n=1, cutoff=ALIKE)
    if near:
        return f"did you mean {near[0]!r}?"
    names = {path.rpartition(".")[2]: path for path in reversed(paths)}
    near = difflib.get_close_matches(plain, names, n=1, cutoff=CLOSE)
    if near:
        return f"did you mean {names[near[0]]}?"
    return f"valid keys: {', '.join(siblings)}."


def _of_this_recipe(names: Sequence[str], paths: Sequence[str]) -> Iterator[str]:
    """Return those of the names that a recipe has; a name in [grpo] may mean the recipe's own
    algorithm."""
    for name in names:
        if name in paths:
            yield name
        elif name.startswith("grpo."):
            key = name.removeprefix("grpo.")
            yield from (path for path in paths if path.count(".") == 1 and path.endswith(f".{key}"))


def kind_hint(given: object, valid: Collection[str], other_names: Mapping[str, str]) -> str:
    """Return a suggestion for an unknown kind. other_names: common names of the kinds."""
    plain = str(given).strip().lower().replace("-", "_").replace(" ", "_")
    other = other_names.get(plain)
    near = difflib.get_close_matches(plain, valid, n=1, cutoff=ALIKE)
    likely = other if other in valid else next(iter(near), None)
    names = ", ".join(f'"{name}"' for name in valid)
    return (f'did you mean "{likely}"? ' if likely else "") + f"valid: {names}."


def class_at(schema: type[BaseModel], location: Sequence[str]) -> type[BaseModel]:
    """Return the settings class at a dotted location, skipping indices, table keys and tags."""
    current = schema
    for part in location:
        field = current.model_fields.get(part)
        if field is not None:
            current = next(iter(settings_classes(field.annotation)), current)
    return current


def setting_paths(schema: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Return the dotted path of every setting; items of lists and tables have no key."""
    for name, field in schema.model_fields.items():
        yield ".".join((*above, name))
        for inner in settings_classes(field.annotation):
            yield from setting_paths(inner, (*above, name))


def classes_of(schema: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Return a schema and every settings class inside it."""
    yield schema
    for field in schema.model_fields.values():
        for inner in settings_classes(field.annotation):
            yield from classes_of(inner)


def settings_classes(annotation: Any) -> list[type[BaseModel]]:
    """Return the settings classes in an annotation, such as A and B of `dict[str, A] | B`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = getattr(annotation, "__args__", ())
    return [found for argument in arguments for found in settings_classes(argument)]
