"""The model card (README.md) of an exported checkpoint, made from its run's own records.

A licence is the user's to choose and is never made up: without one the card says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from r1.evaluation.pretty import format_interval
from r1.publish.origin import CheckpointOrigin, StageOrigin, as_toml_line, public_name
from r1.stages.protocol import MARK, ArtifactType

_HASH, _LIMIT = 16, 1024
_FIGURES = (("pass_at_1", "pass@1"), ("cons_at_k", "cons@k"), ("accuracy", "accuracy"))
_LICENCE = (
    "No licence has been chosen. The base model's and the data's licences bind this model too; "
    'write the one you choose as "license:" at the top of this file.'
)


class CardForm(NamedTuple):
    """What the card says of the folder beside the origin.

    title: the folder's name, or the hub id. licence: None where none was given. adapter: whether it
    is peft's folder, not a whole model. prompt: one example of what the model is given. tokenizer:
    the class to load it with. raw: whether no chat template gives that prompt.
    """

    title: str
    licence: str | None
    adapter: bool
    prompt: str
    tokenizer: str
    raw: bool = False


def model_card(origin: CheckpointOrigin, form: CardForm) -> str:
    """Return the card as Markdown with the hub's front matter."""
    parts = [
        "\n".join(_front_matter(origin, form)),
        f"# {form.title}",
        f"{_what(origin, form)} Made with r1 {origin.versions.get('r1', '')}".rstrip() + ".",
        *_figures(origin),
        "## Use",
        *_use(origin, form),
        "## Origin",
        "\n".join(_origin_rows(origin)),
        "## Settings of the last stage",
        "Those that differ from r1's defaults, as `r1 run --set` takes them:",
        "```\n" + "\n".join(as_toml_line(*item) for item in origin.settings.items()) + "\n```",
        "## Licence",
        f"`{form.licence}`." if form.licence else _LICENCE,
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(origin: CheckpointOrigin, form: CardForm) -> Iterator[str]:
    yield "---"
    if form.licence:
        yield f"license: {json.dumps(form.licence)}"
    if _is_hub_id(origin.base) and not origin.base_is_folder:
        yield f"base_model: {json.dumps(origin.base)}"
        yield f"base_model_relation: {'adapter' if form.adapter else 'finetune'}"
    yield f"library_name: {'peft' if form.adapter else 'transformers'}"
    if not _is_reward_model(origin):
        yield "pipeline_tag: text-generation"
    hub = sorted({name for stage in origin.stages for name in _hub_data(stage)})
    if hub:
        yield f"datasets: {json.dumps(hub)}"
    yield f"tags: {json.dumps(sorted({'r1', *(stage.kind for stage in origin.stages)}))}"
    yield "---"


def _what(origin: CheckpointOrigin, form: CardForm) -> str:
    what = "The adapters" if form.adapter else "The weights"
    base = f"`{origin.base}`"
    if origin.base.startswith(MARK):
        base = f"the checkpoint of its stage `{origin.base.removeprefix(MARK)}`"
    return f"{what} after {origin.step} updates of the stage `{origin.kind}`, from {base}."


def _figures(origin: CheckpointOrigin) -> Iterator[str]:
    """Yield the held-out figures with their 95 % intervals, all and by family."""
    found = origin.figures
    if not found:
        yield "These weights were not evaluated in their run."
        return
    known = [(key, name) for key, name in _FIGURES if isinstance(found.get(key), Mapping)]
    if not known:
        loss = found.get("loss")
        yield f"Held-out loss: {loss if _is_number(loss) else float('nan'):.4f}."
        return
    sampling = found.get("sampling") or {}
    told = [sampling.get(name) for name in ("temperature", "top_p")]
    drawn = f", T {told[0]:g}, top-p {told[1]:g}" if all(map(_is_number, told)) else ""
    of = f"{found.get('num_problems')} held-out problems" if found.get("num_problems") else "data"
    per = f", {found['k']} samples each" if found.get("k") else ""
    yield f"Measured on {of}{per}{drawn}; 95 % intervals in parentheses:"
    lines = ["| | " + " | ".join(name for _, name in known) + " |", "|---" * (1 + len(known)) + "|"]
    families = found.get("by_family") or {}
    rows = {"all": found, **(families if len(families) > 1 else {})}  # one family is all of them
    for name, row in rows.items():
        cells = [_interval(row, key) for key, _ in known]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    yield "\n".join(lines)


def _interval(row: Any, key: str) -> str:
    found = row.get(key) if isinstance(row, Mapping) else None
    bounds = found if isinstance(found, Mapping) else {}
    told = all(_is_number(bounds.get(name)) for name in ("value", "low", "high"))
    return format_interval(bounds) if told else "-"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _use(origin: CheckpointOrigin, form: CardForm) -> Iterator[str]:
    if _is_reward_model(origin):
        yield (
            "The adapters and head of a reward model: with num_labels=1, "
            "peft's AutoPeftModelForSequenceClassification gives one score for a text."
            if form.adapter
            else "A reward model: transformers' AutoModelForSequenceClassification gives one score "
            "for a text, unless the folder holds score_head.safetensors, which r1 reads."
        )
        return
    limit = (origin.recipe.get("sampling") or {}).get("max_new_tokens", _LIMIT)
    load = 'AutoModelForCausalLM.from_pretrained(folder, dtype="auto")'
    imports = f"from transformers import AutoModelForCausalLM, {form.tokenizer}"
    if form.adapter:
        load = "AutoPeftModelForCausalLM.from_pretrained(folder)"
        imports = (
            f"from peft import AutoPeftModelForCausalLM\nfrom transformers import {form.tokenizer}"
        )
    yield (
        f"```python\n{imports}\n\n"
        f'folder = "{form.title}"\n'
        f"tokenizer = {form.tokenizer}.from_pretrained(folder)\n"
        f"model = {load}\n"
        f"{_raw_prompt(form.prompt) if form.raw else _chat_prompt(origin)}"
        f"out = model.generate(**ids, max_new_tokens={limit}, do_sample=True, temperature=0.6, "
        'top_p=0.95)\nprint(tokenizer.decode(out[0][ids["input_ids"].shape[1]:]))\n```'
    )
    yield "It was trained, and is to be asked, in this form:"
    yield f"```\n{form.prompt}\n```"


def _chat_prompt(origin: CheckpointOrigin) -> str:
    """Return Python that makes the prompt's token ids by the chat template."""
    turns = "".join(f"    {turn},\n" for turn in _turns(origin))
    return (
        f"messages = [\n{turns}]\n"
        "prompt = tokenizer.apply_chat_template(\n    messages, add_generation_prompt=True, "
        "tokenize=False\n)\n"
        'ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")\n'
    )


def _raw_prompt(prompt: str) -> str:
    """Return Python that makes the prompt's token ids without a template, as training did."""
    return (
        f"prompt = {json.dumps(prompt, ensure_ascii=False)}\n"
        'ids = tokenizer(prompt, return_tensors="pt")\n'
        'if ids["input_ids"][0, -1] == tokenizer.eos_token_id:  # a prompt stays open\n'
        "    ids = {name: values[:, :-1] for name, values in ids.items()}\n"
    )


def _turns(origin: CheckpointOrigin) -> list[str]:
    """Return the example's turns as Python, with the system prompt of the training."""
    system = (origin.recipe.get("template") or {}).get("system")
    turns = [("system", system)] if system else []
    turns += [("user", "What is 12 + 30?")]
    return [
        f'{{"role": "{role}", "content": {json.dumps(text, ensure_ascii=False)}}}'
        for role, text in turns
    ]


def _origin_rows(origin: CheckpointOrigin) -> Iterator[str]:
    for stage in origin.stages:
        seeds = ", ".join(f"{name} {seed}" for name, seed in stage.seeds.items())
        steps = f", {stage.updates} updates" if stage.updates else ""
        yield f"* **{stage.name}** ({stage.kind}{steps}{f'; seeds: {seeds}' if seeds else ''})"
        for given in stage.outside:
            found = given.summary()
            digest = f", SHA-256 `{found['sha256'][:_HASH]}`" if "sha256" in found else ""
            yield f"    * {given.role}: `{public_name(given.source)}`{digest}"
    libraries = ("python", "torch", "transformers", "r1 source")
    known = [f"{name} {origin.versions[name]}" for name in libraries if name in origin.versions]
    yield f"\n{', '.join(known)}."


def _hub_data(stage: StageOrigin) -> Iterator[str]:
    for given in stage.outside:
        if given.role.startswith("data.") and not given.files and _is_hub_id(given.source):
            yield given.source


def _is_hub_id(name: str) -> bool:
    owner, _, rest = name.partition("/")
    return bool(owner and rest) and "/" not in rest and not name.startswith((".", "~", "/"))


def _is_reward_model(origin: CheckpointOrigin) -> bool:
    return origin.gives is ArtifactType.REWARD_MODEL
