"""The prompt of a training as a chat template (Jinja), so that a server asks as the training did.

A base model that is trained under Table 1 has no chat template, and `vllm serve` refuses chat
requests to it; or it has one (Qwen2.5's bases do) that the training did not use, and is then asked
otherwise than it learnt. Such a model answers single questions: the template refuses anything else
aloud. A chat template stays, with what the recipe set on top of it: its variables, which a client
may still set otherwise, and the opened thinking.

Left out on purpose: a recipe's system prompt, which is the client's to send.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from r1.chat_template import ChatTemplateError, render_chat
from r1.files.shapes import read_json
from r1.template import PromptRenderer, TemplateSettings

CHAT_TEMPLATE = "chat_template.jinja"
_NAMED_TEMPLATES, _TOKENIZER_CONFIG = "additional_chat_templates", "tokenizer_config.json"
_PROBE = "\u0001question\u0001"
_PROBES = ("What is 12 + 30?", "  Two\nlines {{ of }} text.  ", "中文 \\boxed{1}?")
_SINGLE = (
    "{%- if messages | length != 1 or messages[0]['role'] != 'user' -%}"
    "{{ raise_exception('this model answers single questions: send one user message') }}"
    "{%- endif -%}"
)


def served_template(tokenizer: Any, settings: TemplateSettings) -> str | None:
    """Return a template that gives the tokens of `PromptRenderer.encode`; None where the training
    used the tokenizer's own as it is, or none can be found that does."""
    renderer = PromptRenderer(tokenizer, settings)
    if settings.kind == "chat":
        return _extended(renderer) if adds_to_chat(settings) else None
    before, after = renderer.render(_PROBE).split(_PROBE)
    question = "messages[0]['content']"
    question += " | trim" if settings.kind == "r1_zero" else ""
    pieces = [_literal(before), question, _literal(after)]
    if list(tokenizer("?")["input_ids"])[:1] == [tokenizer.bos_token_id]:
        pieces.insert(0, "bos_token")
    template = _SINGLE + "".join(f"{{{{ {piece} }}}}" for piece in pieces if piece != "''")
    return template if _is_faithful(template, renderer) else None


def adds_to_chat(settings: TemplateSettings) -> bool:
    """Whether a training's prompt was the chat template's with more to it."""
    return settings.kind == "chat" and bool(settings.force_think or settings.chat_template_kwargs)


def _extended(renderer: PromptRenderer) -> str | None:
    """Return the chat template with the settings' variables as defaults and the opened thinking."""
    own = str(renderer.tokenizer.get_chat_template()).removesuffix("\n")  # as Jinja drops it
    variables = [
        f"{{%- if {name} is not defined %}}{{%- set {name} = {value!r} %}}{{%- endif -%}}"
        for name, value in renderer.settings.chat_template_kwargs.items()
    ]
    template = "".join(variables) + own
    plain = _rendered(renderer, _PROBE, renderer.settings.chat_template_kwargs)
    if more := renderer.opened(plain)[len(plain) :]:
        template += f"{{% if add_generation_prompt %}}{{{{ {_literal(more)} }}}}{{% endif %}}"
    return template if _is_faithful(template, renderer) else None


def write_template(folder: Path, template: str) -> None:
    """Make a template the only one of a tokenizer's folder, wherever the earlier ones are kept."""
    (folder / CHAT_TEMPLATE).write_text(template, encoding="utf-8")
    shutil.rmtree(folder / _NAMED_TEMPLATES, ignore_errors=True)
    config = read_json(folder / _TOKENIZER_CONFIG, {}, finite=False)
    if config.pop("chat_template", None) is not None:
        text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        (folder / _TOKENIZER_CONFIG).write_text(text, encoding="utf-8")


def template_notice(kind: str, had_own: bool, written: bool) -> str:
    """Return what the user should know of the template of a training that used none.

    kind: that of the training's prompt. had_own: whether the tokenizer has one of its own. written:
    whether the training's was written.
    """
    if written:
        why = "the tokenizer had no chat template, and a server asks by it."
        if had_own:
            why = "a server asks by it, and no longer by the tokenizer's own, which was not used."
        return f"{CHAT_TEMPLATE} holds the prompt of the training ({kind}): {why}"
    then = "asks by the tokenizer's own, which was not used" if had_own else "refuses chat requests"
    return (
        f"The prompt of the training ({kind}) cannot be written as a chat template of this "
        f"tokenizer, so a server {then}: send it the prompt itself, as README.md shows."
    )


def chat_notice(settings: TemplateSettings, written: bool) -> str:
    """Return what the user should know of a chat template to which the training added."""
    names = ["force_think"] * settings.force_think + [*settings.chat_template_kwargs]
    added = ", ".join(names)
    if written:
        return f"{CHAT_TEMPLATE} has what the training added to the chat template: {added}."
    return (
        f"What the training added to the chat template ({added}) cannot be written into it: a "
        "client has to send it, as README.md shows the prompt."
    )


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def _is_faithful(template: str, renderer: PromptRenderer) -> bool:
    tokenizer = renderer.tokenizer
    before = getattr(tokenizer, "chat_template", None)
    tokenizer.chat_template = template
    try:
        return all(
            tuple(tokenizer(_rendered(renderer, question), add_special_tokens=False)["input_ids"])
            == renderer.encode(question)
            for question in _PROBES
        )
    except ChatTemplateError:
        return False
    finally:
        tokenizer.chat_template = before


def _rendered(
    renderer: PromptRenderer, question: str, variables: Mapping[str, Any] = MappingProxyType({})
) -> str:
    """Return a question, behind the system prompt if there is one, by the tokenizer's template."""
    system = renderer.settings.system
    turns = [] if system is None else [{"role": "system", "content": system}]
    turns.append({"role": "user", "content": question})
    return render_chat(renderer.tokenizer, turns, True, variables)
