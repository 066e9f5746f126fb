"""Render chat templates, which are programs (Jinja) from a model's folder or a recipe.

A template may be broken, refuse a system turn, or never end (range(99999) inside range(99999);
9 ** 9 ** 9, which Python computes without a pause). Its first rendering therefore happens in a
child process with a limit of time and memory, before anything is trained or sampled.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1.errors import UserError

TIMEOUT_S = 5.0
_MEMORY_BYTES = 1 << 30
_TRIALS = ("?", "What is 1 + 1? " * 100)

Turns = Sequence[Mapping[str, Any]]


class ChatTemplateError(Exception):
    """A chat template does not accept these turns; the message gives the reason."""


def render_chat(tokenizer: Any, turns: Turns, open_answer: bool = True) -> str:
    """Return the text of a conversation by the tokenizer's chat template.

    open_answer: end where the assistant's next turn begins. Raises ChatTemplateError.
    """
    try:
        return tokenizer.apply_chat_template(
            list(turns), tokenize=False, add_generation_prompt=open_answer
        )
    # A template is a program in Python's expressions and fails as one, beside Jinja's own errors.
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ChatTemplateError(reason[:300]) from error


def check_chat_template(tokenizer: Any, origin: str, system: str | None = None) -> None:
    """Render a question once, within limits, with the system prompt if there is one.

    origin: what messages call the template. Raises UserError where it is broken, refuses the
    turns, does not end within TIMEOUT_S, or needs more than a gigabyte.
    """
    before = [] if system is None else [{"role": "system", "content": system}]
    for text in _TRIALS:
        turns = [*before, {"role": "user", "content": text}]
        reason = _tried(tokenizer, turns)
        if reason is None:
            continue
        remedy = 'mend it, give template.chat_template, or use template.kind = "plain"'
        if system is not None and _tried(tokenizer, turns[1:]) is None:
            remedy = "it takes no system turn: leave template.system out, or give another template"
        raise UserError(f"{origin} cannot be used: {reason}; {remedy}.")


def _tried(tokenizer: Any, turns: Turns) -> str | None:
    """Return why a rendering fails, or None; it runs in a child with a time limit."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):  # a child must never return into its parent's code
            os.close(receiving)
            os.write(sending, _attempt(tokenizer, turns))
        os._exit(0)
    os.close(sending)
    try:
        ready, _, _ = select.select([receiving], [], [], TIMEOUT_S)
        answer = os.read(receiving, 4096) if ready else b""
    finally:
        os.close(receiving)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not ready:
        return f"it does not end within {TIMEOUT_S:.0f} s"
    return "its rendering crashed" if not answer else answer[1:].decode("utf-8", "replace") or None


def _attempt(tokenizer: Any, turns: Turns) -> bytes:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY_BYTES, used + _MEMORY_BYTES))
    try:
        render_chat(tokenizer, turns)
    except ChatTemplateError as refusal:
        return b"=" + str(refusal).encode("utf-8", "replace")[:2000]
    return b"="
