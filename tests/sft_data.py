"""Chat templates for the byte tokenizer, and examples as files."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from small_models import make_tokenizer, save_small_model
from small_recipe import write_jsonl

PLAIN_CHAT = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}"
    "{% if m.role == 'assistant' %}<eos>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
MARKED_CHAT = (
    "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}<eos>{% endgeneration %}{{ '\\n' }}"
    "{% else %}{{ m.content }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
STRIPPING_CHAT = PLAIN_CHAT.replace("{{ m.content }}", "{{ m.content.split('</think>')[-1] }}")
"""Takes the thinking out of every turn, as the R1 family's own templates do."""

OPENING_CHAT = STRIPPING_CHAT.replace("[assistant]{% endif %}", "[assistant]<think>\n{% endif %}")
"""Also opens the thinking in the prompt, as the distilled models' templates do."""

FORGETTING_CHAT = (
    "{% for m in messages %}[{{ m.role }}]"
    "{% if m.role == 'assistant' and not loop.last %}{{ m.content.split('</think>')[-1] }}"
    "{% else %}{{ m.content }}{% endif %}"
    "{% if m.role == 'assistant' %}<eos>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
"""Keeps the thinking of the last turn only, as Qwen3's does."""


def chat_tokenizer(template: str | None = PLAIN_CHAT) -> PreTrainedTokenizerFast:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def turns(*contents: str) -> list[dict[str, str]]:
    """User and assistant in turn."""
    return [
        {"role": ("user", "assistant")[n % 2], "content": content}
        for n, content in enumerate(contents)
    ]


def write_model(folder: Path, architecture: str = "qwen2", template: str | None = None) -> Path:
    save_small_model(folder, architecture)
    chat_tokenizer(template).save_pretrained(folder)
    return folder


def write_recipe(folder: Path, sections: str = "", architecture: str = "qwen2") -> Path:
    """A model, 24 sums to learn, 4 to measure on, and a recipe of 6 steps an epoch."""
    write_model(folder / "model", architecture)
    rows = [{"prompt": f"{n} + 1 =", "response": "x" * (n % 5) + str(n + 1)} for n in range(28)]
    write_jsonl(folder / "train.jsonl", rows[:24])
    write_jsonl(folder / "heldout.jsonl", rows[24:])
    path = folder / "recipe.toml"
    path.write_text(
        'kind = "sft"\nmodel = "model"\n'
        '[[data.train]]\npath = "train.jsonl"\n[[data.heldout]]\npath = "heldout.jsonl"\n'
        '[template]\nkind = "plain"\n' + sections
    )
    return path
