"""The prompt of a training as a chat template (Jinja), so that a server asks as the training did.

A base model that was trained under Table 1 has no chat template, and `vllm serve` refuses chat
requests to it. Such a model answers single questions: the template refuses anything else aloud.

Left out on purpose: a template for a recipe's system prompt or force_think on top of a chat
template of the tokenizer's own, which is saved as it is.
"""

from __future__ import annotations

from typing import Any

from r1.chat_template import ChatTemplateError, render_chat
from r1.template import PromptRenderer, TemplateSettings

_PROBE = "\u0001question\u0001"
_PROBES = ("What is 12 + 30?", "  Two\nlines {{ of }} text.  ", "中文 \\boxed{1}?")
_SINGLE = (
    "{%- if messages | length != 1 or messages[0]['role'] != 'user' -%}"
    "{{ raise_exception('this model answers single questions: send one user message') }}"
    "{%- endif -%}"
)


def served_template(tokenizer: Any, settings: TemplateSettings) -> str | None:
    """Return a template that gives the tokens of `PromptRenderer.encode`; None where the tokenizer
    has one already, or none can be found that does."""
    if getattr(tokenizer, "chat_template", None) or settings.kind == "chat":
        return None
    renderer = PromptRenderer(tokenizer, settings)
    before, after = renderer.render(_PROBE).split(_PROBE)
    question = "messages[0]['content']"
    question += " | trim" if settings.kind == "r1_zero" else ""
    pieces = [_literal(before), question, _literal(after)]
    if list(tokenizer("?")["input_ids"])[:1] == [tokenizer.bos_token_id]:
        pieces.insert(0, "bos_token")
    template = _SINGLE + "".join(f"{{{{ {piece} }}}}" for piece in pieces if piece != "''")
    return template if _is_faithful(template, renderer) else None


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def _is_faithful(template: str, renderer: PromptRenderer) -> bool:
    tokenizer = renderer.tokenizer
    tokenizer.chat_template = template
    try:
        return all(
            tuple(
                tokenizer(
                    render_chat(tokenizer, [{"role": "user", "content": question}]),
                    add_special_tokens=False,
                )["input_ids"]
            )
            == renderer.encode(question)
            for question in _PROBES
        )
    except ChatTemplateError:
        return False
    finally:
        tokenizer.chat_template = None
