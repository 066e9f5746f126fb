"""Load and save causal language models and tokenizers in the Hugging Face layout.

Model definitions are transformers' own. This module adds checks that turn a broken or foreign
folder into a UserError before anything starts (`r1.models.folder`), since transformers answers them
with a traceback, a network request or randomly initialised weights.

Left out on purpose: quantised checkpoints, pickle weights (`pytorch_model.bin`) and, unless
R1_TRUST_MODEL_CODE=1 is set, models whose Python code lives in the checkpoint: that code would run
with all rights of the user, and transformers would ask for leave on standard input.
"""

from __future__ import annotations

import copy
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from r1.errors import SettingError, UserError
from r1.files.shapes import read_json
from r1.models.catalogue import refuse_missing
from r1.models.device import resolve_device
from r1.models.folder import NO_MODEL, check_files, refuse_reward_model
from r1.models.hub import require_hub
from r1.models.opening_token import write_bos

logger = logging.getLogger(__name__)
transformers_logging.disable_progress_bar()

_LOOKED_AT = 4096  # values of each weight

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


TRUST_MODEL_CODE = "R1_TRUST_MODEL_CODE"
"""The environment variable that lets a model's own Python code run. It is no setting of a recipe,
because recipes travel with the models that they name."""


def trusts_model_code() -> bool:
    """Whether the user lets code in model folders run."""
    return os.environ.get(TRUST_MODEL_CODE) == "1"


def load_model(
    path: str | Path,
    dtype: str | torch.dtype = "auto",
    device: str | torch.device = "cpu",
    attn_implementation: str = "sdpa",
    *,
    scores: bool = False,
) -> PreTrainedModel:
    """Load a causal language model for evaluation (dropout off) on one device.

    path: a folder in the Hugging Face layout, or a hub id when no such folder exists.
    dtype: "auto" takes the checkpoint's own. device: on "meta" it has shapes alone. scores: it is
    the body of a reward model.
    Raises UserError for a folder without config.json, with missing or truncated weights, with an
    unknown architecture, or with weights that do not fill the model.
    """
    name = str(path)
    check_model_folder(path, scores=scores)
    wanted = dtype if isinstance(dtype, torch.dtype) or dtype == "auto" else DTYPES[dtype]
    place = resolve_device(device) if isinstance(device, str) else device
    with library_faults(f"cannot load a causal language model from {name}", name):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=wanted,
            attn_implementation=attn_implementation,
            output_loading_info=True,
            use_safetensors=True,
            trust_remote_code=trusts_model_code(),
            **meta_only(place),
        )
    model, info = loaded
    missing = sorted(set(info["missing_keys"]) - _tied_names(model))
    if missing:
        raise UserError(
            f"{name}: the weights lack {len(missing)} tensors the architecture needs "
            f"(first: {missing[0]}); the checkpoint is incomplete or of another architecture."
        )
    check_finite(model, name)
    _tell_of_longrope(
        name, longrope_limit(model.config), getattr(model.config, "max_position_embeddings", 0)
    )
    return model.to(place).eval()


@cache
def _tell_of_longrope(name: str, limit: int | None, context: int) -> None:
    """Warn once a process of a context that is cut."""
    if limit is not None and limit < context:
        logger.warning(
            "%s has longrope: beyond %s tokens it is another function of the same tokens, so of "
            "its context of %s only the first %s are used for prompt and response together.",
            *(name, limit, context, limit),
        )


def check_finite(model: PreTrainedModel, name: str) -> None:
    """Raise UserError if the first values of a weight are NaN or infinite; checking whole tensors
    would take as long as reading them."""
    for key, parameter in model.named_parameters():
        if parameter.device.type == "meta":
            return
        if not torch.isfinite(parameter.detach().flatten()[:_LOOKED_AT]).all():
            raise UserError(
                f"{name}: the weight {key} holds NaN or infinity, so nothing can be computed with "
                "it; copy the model again, or take an earlier checkpoint."
            )


@contextmanager
def library_faults(what: str, folder: str | Path = "") -> Iterator[None]:
    """Turn any exception of a library about a model's files into a UserError.

    folder: the model's; a run that goes on removes its older checkpoints.

    Broad because a value of config.json or tokenizer.json can be wrong in as many ways as there
    are lines in a model's constructor (ZeroDivisionError for no heads, a bare Exception from
    tokenizers); the files are the user's, and the cause stays attached.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if _is_removed_checkpoint(Path(folder)):
            raise UserError(
                f"{folder} was removed while it was read: a run that goes on keeps its newest "
                "checkpoints alone (checkpoints.keep). Give the same command again, or wait until "
                "the run has ended."
            ) from error
        reason = " ".join(line for line in str(error).splitlines() if line.strip())[:400]
        if "trust_remote_code" in str(error):
            reason = (
                "its files name Python code of their own, which is not run. Take a model of a type "
                f"that transformers knows, or, if you have read the code, set {TRUST_MODEL_CODE}=1"
            )
        if sys.flags.optimize > 1:
            reason = "transformers needs the docstrings that python -OO strips; use -O at most"
        raise UserError(f"{what}: {reason or type(error).__name__}") from error


def _is_removed_checkpoint(folder: Path) -> bool:
    return folder.parent.name == "checkpoints" and folder.parent.is_dir() and not folder.exists()


def _require_hub_for(model: Path) -> None:
    """Raise UserError for a hub id that nothing can give, before the hub's client tries for a
    minute."""
    if not (model.exists() or model.is_absolute() or _is_removed_checkpoint(model)):
        require_hub(str(model))


def read_config(path: str | Path) -> Any:
    """Return a model's config as transformers reads it. Raises UserError."""
    if Path(path).is_dir() and not Path(path, "config.json").exists():
        raise UserError(f"{path} has no config.json; {NO_MODEL}")
    _require_hub_for(Path(path))
    with library_faults(f"{path}: config.json cannot be used", path):
        return AutoConfig.from_pretrained(str(path), trust_remote_code=trusts_model_code())


def meta_only(device: torch.device) -> dict[str, str]:
    """Return the options that stop from_pretrained from reading weights, for a model on "meta"."""
    return {"device_map": "meta"} if device.type == "meta" else {}


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerFast:
    """Load a fast tokenizer; a missing pad token becomes the end token, a lost BOS is restored.

    Raises UserError when there is no tokenizer, it is not a fast one, or it has no end token.
    """
    name = str(path)
    folder = Path(path)
    if folder.is_dir() and not any(
        (folder / file).exists() for file in ("tokenizer.json", "tokenizer_config.json")
    ):
        raise UserError(f"{name} has no tokenizer.json; copy the base model's here.")
    if folder.is_dir():
        check_files(folder)
    _require_hub_for(folder)
    with library_faults(f"cannot load a tokenizer from {name}", folder):
        tokenizer = _tokenizer_class(folder).from_pretrained(
            name, trust_remote_code=trusts_model_code()
        )
        len(tokenizer(" ")["input_ids"])  # some faults show only when it is used
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(f"{name}: only fast tokenizers (tokenizer.json) are supported.")
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"{name}: the tokenizer has no end token, so no response could ever end; "
            'set "eos_token" in its tokenizer_config.json.'
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if write_bos(tokenizer, path):
        logger.warning(
            "%s: the tokenizer does not write %s, with which this model's texts begin; it is "
            "added. To leave it out, set add_bos_token = false in tokenizer_config.json.",
            name,
            tokenizer.bos_token,
        )
    return tokenizer


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Raise UserError when the tokenizer has ids that the model has no embedding for."""
    rows = model.get_input_embeddings().weight.size(0)  # type: ignore[operator, union-attr]
    if len(tokenizer) > rows:
        raise UserError(
            f"the tokenizer has {len(tokenizer)} tokens but the model embeds only {rows}: "
            "they do not belong together; use the tokenizer saved with the model."
        )


def absolute_model(model: str | Path) -> str:
    """Return a model's folder as an absolute path; a hub id unchanged."""
    return str(Path(model).resolve()) if Path(model).exists() else str(model)


def context_of(path: str | Path) -> int:
    """Return the number of tokens that a model's positions cover, from its config alone."""
    return context_of_config(read_config(path))


def context_of_config(config: Any) -> int:
    """Return the number of tokens over which a model's log-probabilities are one function.

    longrope (Phi-3 and Phi-4 with 128k) rotates all of a sequence by other factors once it is
    longer than the original context. A response that grows past it would be sampled under the one
    and learned under the other, and in a packed row the longest sequence would decide for all: such
    a model ends at its original context. "dynamic" factors change only past the whole context.
    """
    context = getattr(config, "max_position_embeddings", None)
    if context is None:
        raise UserError(
            f"a model of type {config.model_type!r} has no max_position_embeddings in its "
            "config.json, so its context is not known: take a model that has"
        )
    return min(int(context), longrope_limit(config) or int(context))


def longrope_limit(config: Any) -> int | None:
    """Return the original context of a model with longrope, None for any other."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *(each for each in rope.values() if isinstance(each, dict))]  # one a layer type
    limits = [
        int(each.get("original_max_position_embeddings") or config.max_position_embeddings)
        for each in kinds
        if each.get("rope_type") == "longrope"
    ]
    return min(limits, default=None)


def check_max_tokens(max_tokens: int | None, path: str | Path, otherwise: str = "") -> int:
    """Return a recipe's batch.max_tokens, by default the model's context; SettingError above that.

    otherwise: what the user can do instead of lowering it.
    """
    context = context_of(path)
    if max_tokens is not None and max_tokens > context:
        raise SettingError(
            f"batch.max_tokens = {max_tokens} is more than the model's context of {context} "
            f"tokens; lower it to {context}{otherwise}."
        )
    return max_tokens or context


def save_model(
    model: PreTrainedModel, folder: Path, tokenizer: PreTrainedTokenizerFast | None = None
) -> None:
    """Write config.json and safetensors weights (and the tokenizer) straight into `folder`.

    Atomicity (temporary name, flush, rename) belongs to the caller, r1.run_dir.
    """
    folder.mkdir(parents=True, exist_ok=True)
    implementation = model.config._attn_implementation
    model.config._attn_implementation = "sdpa"
    try:
        model.save_pretrained(folder)
    finally:
        model.config._attn_implementation = implementation
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def save_description(
    model: PreTrainedModel, folder: Path, tokenizer: PreTrainedTokenizerFast | None = None
) -> None:
    """Write all files of a model except its weights: config, generation config, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = copy.deepcopy(model.config)
    config._attn_implementation = "sdpa"
    # FSDP2 renames the class of what it shards.
    config.architectures = [type(model).__name__.removeprefix("FSDP")]
    config.dtype = str(model.dtype).removeprefix("torch.")
    config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def check_model_folder(path: str | Path, *, scores: bool = False) -> None:
    """Raise UserError for a local folder that is no complete checkpoint; a hub id passes.

    scores: whether it may be a reward model, which is no language model.
    """
    folder = Path(path)
    refuse_missing(path)
    if not folder.exists():
        require_hub(str(path))
        return
    kind = check_files(folder, weights=True)
    if not scores:
        refuse_reward_model(folder)
    try:
        config = read_config(folder)
    except UserError as error:
        raise UserError(
            f"{error}. Its model_type is {kind!r}; transformers must know it, and its values must "
            "go together."
        ) from error
    own = trusts_model_code() and "AutoModelForCausalLM" in (
        getattr(config, "auto_map", None) or {}
    )
    if type(config) not in AutoModelForCausalLM._model_mapping and not own:
        raise UserError(f"{folder / 'config.json'}: {kind!r} is not a causal language model.")


def _tokenizer_class(folder: Path) -> Any:
    """Return the generic class if a folder's files ask for it, else transformers' choice.

    Trap: for some model types (qwen2) AutoTokenizer overrides a generic tokenizer_class by the
    type's own, which replaces the file's pre-tokenizer and adds tokens the model has no row for.
    """
    if (folder / "tokenizer.json").exists():
        config = read_json(folder / "tokenizer_config.json", {}, finite=False)
        if config.get("tokenizer_class") in ("TokenizersBackend", "PreTrainedTokenizerFast"):
            return PreTrainedTokenizerFast
    return AutoTokenizer


def _tied_names(model: PreTrainedModel) -> set[str]:
    """Return names that share storage with another parameter and need no tensor of their own."""
    tied = getattr(model, "_tied_weights_keys", None) or {}
    return set(tied) if getattr(model.config, "tie_word_embeddings", False) else set()
