"""`r1 export`: a run's checkpoint as a plain Hugging Face folder.

    checkpoint -> its files without the learner's state (or its adapters alone)
               -> the training's prompt as chat template, unless it was the tokenizer's own
               -> README.md from the run's records -> renamed to DEST

The checkpoint's hashes are compared first. DEST appears whole or not at all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1.data.tiny import MODELS
from r1.errors import UserError
from r1.evaluation.source import ModelSource, resolve_model
from r1.learner.sharded_state import RANKS_FOLDER
from r1.learner.state import STATE_FILE
from r1.models.load import load_tokenizer
from r1.publish.adapter import write_adapter
from r1.publish.card import CardForm, model_card
from r1.publish.origin import CheckpointOrigin, of_adapters, origin_of_checkpoint
from r1.publish.push import check_account, hub_client, push
from r1.publish.served_template import (
    adds_to_chat,
    chat_notice,
    served_template,
    template_notice,
    write_template,
)
from r1.run_dir import atomic
from r1.run_dir.checkpoint import MARKER, verify_checkpoint
from r1.template import PromptRenderer, TemplateSettings

CARD = "README.md"
_WEIGHTS = (".safetensors", ".safetensors.index.json")
_NOT_OF_A_MODEL = (MARKER, STATE_FILE, RANKS_FOLDER)
_PROBES = ("What is 12 + 30?", "<think>\nLet me see.\n</think>", "  中文 α ²\t\n")


@dataclass(frozen=True)
class ExportedModel:
    """The folder of an exported model, and sentences that the user should see."""

    folder: Path
    notices: tuple[str, ...]
    address: str | None = None

    def __fspath__(self) -> str:
        return str(self.folder)

    def __str__(self) -> str:  # libraries take str() of what they are given as a model
        return str(self.folder)


def export(
    run: str | os.PathLike[str],
    dest: str | Path,
    *,
    step: int | None = None,
    adapter: bool = False,
    licence: str | None = None,
    push_to: str | None = None,
    public: bool = False,
    tell: Callable[[str], None] = print,
) -> ExportedModel:
    """Write a run's checkpoint into the folder `dest` as a plain Hugging Face model with a card.

    run: a run, a stage of one, or a recipe's run, of which the stage "r1" is meant. step: by
    default the newest checkpoint. adapter: the adapters of a run with LoRA, apart from their base,
    in peft's form; otherwise they are merged. licence: an identifier of the hub's, such as
    "apache-2.0". push_to: OWNER/NAME on the hub, private unless `public`. tell: receives what will
    be uploaded. Raises UserError for what is no run, a damaged checkpoint, a `dest` that is not
    empty or cannot be renamed to, and a hub that refuses; `dest` is then not there, or complete.
    """
    folder = Path(dest)
    target = _target(folder)
    if ".." in folder.parts:  # by the name alone it need not be found again
        folder = target
    if not Path(run).is_dir() and os.fspath(run) not in MODELS:
        what = "is a file" if Path(run).exists() else "does not exist"
        raise UserError(f"{run} {what}; give a run's folder, a stage's or a checkpoint's.")
    source = resolve_model(os.fspath(run), step)
    if not source.recipe:
        raise UserError(f"{run} is no run, so nothing is known of its making; copy the folder.")
    checkpoint = Path(source.path)
    origin = origin_of_checkpoint(checkpoint.parent.parent, source.step)
    if adapter and origin.lora is None:
        raise UserError(f"{run} was trained without [learner.lora]: leave --adapter out.")
    if adapter:
        origin = of_adapters(origin)
    client = None if push_to is None else hub_client()
    if push_to is not None:
        check_account(client, push_to)
    verify_checkpoint(checkpoint)
    notices: list[str] = []
    with atomic.writing(folder):
        temporary = target.with_name(atomic.TEMPORARY + target.name)
        shutil.rmtree(temporary, ignore_errors=True)  # of an export that was killed
        temporary.mkdir(parents=True)
        try:
            _copy(checkpoint, temporary, weights=not adapter)
            if adapter:
                write_adapter(checkpoint, origin.lora or {}, origin.base_path, temporary)
                notices += _told_of_base(origin.base_path)
            form = _finish(
                source, origin, temporary, push_to or folder.name, licence, adapter, notices
            )
            (temporary / CARD).write_text(model_card(origin, form), encoding="utf-8")
            for path in temporary.rglob("*"):
                if path.is_file():
                    atomic.flush_file(path)
            os.replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        atomic.flush_folder(target.parent)
    if licence is None:
        notices.append(
            f"No licence: choose one (--license, or license: in {folder / CARD}) before you share "
            "the model; the base's and the data's licences bind it too."
        )
    address = push(client, folder, push_to, not public, tell) if push_to is not None else None
    return ExportedModel(folder, tuple(notices), address)


def _target(folder: Path) -> Path:
    """Return the absolute path, without links, to which the finished folder is renamed.

    Raises UserError where a folder cannot be renamed to it.
    """
    target = folder.resolve()
    if folder.name in ("", "..") or target == Path.cwd():
        raise UserError(
            f"{folder} names the folder you are in or one above, which an export cannot replace; "
            "give the name of a new folder, such as my-model."
        )
    if target.is_mount():
        raise UserError(f"{folder} is a mount point; give a new folder in it, {folder}/my-model.")
    _refuse_taken(folder)
    return target


def _refuse_taken(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there and not empty; nothing was written. Give another name.")


def _copy(checkpoint: Path, folder: Path, weights: bool) -> None:
    """Copy a checkpoint's files but for the learner's state, and for the weights if asked."""
    for path in sorted(checkpoint.iterdir()):
        is_weights = path.name.endswith(_WEIGHTS)
        description = path.name in ("config.json", "generation_config.json")
        if path.name in _NOT_OF_A_MODEL or (not weights and (is_weights or description)):
            continue
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copyfile(path, folder / path.name)


def _finish(
    source: ModelSource,
    origin: CheckpointOrigin,
    folder: Path,
    title: str,
    licence: str | None,
    adapter: bool,
    notices: list[str],
) -> CardForm:
    """Add the chat template, compare the tokenizer with transformers' own, describe the card."""
    tokenizer = load_tokenizer(source.path)
    template = source.settings("template", TemplateSettings)
    prompt = PromptRenderer(tokenizer, template).render("What is 12 + 30?")
    served = served_template(tokenizer, template)
    if served is not None:
        write_template(folder, served)
    if template.kind != "chat":
        had_own = bool(getattr(tokenizer, "chat_template", None))
        notices.append(template_notice(template.kind, had_own, served is not None))
    loader = "AutoTokenizer"
    if not adapter and not _reads_alike(folder, tokenizer):
        loader = "PreTrainedTokenizerFast"
        notices.append(
            "AutoTokenizer takes transformers' own tokenizer for this type of model, which reads "
            f"texts differently: load this folder's with {loader}.from_pretrained."
        )
    if adds_to_chat(template):
        notices.append(chat_notice(template, served is not None))
    raw = template.kind != "chat" and served is None
    return CardForm(title, licence, adapter, prompt, loader, raw)


def _reads_alike(folder: Path, tokenizer: Any) -> bool:
    """Whether AutoTokenizer gives the tokens of the training's tokenizer."""
    from transformers import AutoTokenizer

    auto = AutoTokenizer.from_pretrained(str(folder))
    return all(auto(text)["input_ids"] == tokenizer(text)["input_ids"] for text in _PROBES)


def _told_of_base(base: str) -> list[str]:
    if not Path(base).is_absolute():
        return []
    return [
        f"The adapters' base is the folder {base}: where that is not there, change "
        "base_model_name_or_path in adapter_config.json."
    ]
