"""Render chat templates, which are programs (Jinja) from a model's folder or a recipe.

A template may be broken, refuse a system turn, or never end (range(99999) inside range(99999);
9 ** (9 ** 9), which Python computes without a pause). Its first rendering therefore happens in a
child process with a limit of time and memory, before anything is trained or sampled. One that ends
there and does not end for some later conversation is stopped where it runs.

Left out on purpose: a limit of memory beyond the first rendering, and, outside the main thread, a
stop within a single operation of Python (9 ** (9 ** 9) again); prompts of a run's problems are
rendered in the main thread before the first step.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, TypeVar

from r1.errors import UserError

T = TypeVar("T")
TIMEOUT_S = 5.0
RENDER_TIMEOUT_S = 20.0  # of every later rendering; a long conversation takes milliseconds
_AGAIN_S = 0.1  # code may swallow an interrupt
_MEMORY_BYTES = 1 << 30
_QUESTION = "What is 1 + 1?"
_TRIALS = (_QUESTION, f"{_QUESTION} " * 100)

Turns = Sequence[Mapping[str, Any]]

RENDERING = frozenset({
    "conversation", "tools", "documents", "chat_template", "add_generation_prompt",
    "continue_final_message", "tokenize", "padding", "truncation", "max_length", "return_tensors",
    "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs", "messages",
})  # fmt: skip
"""Names that a template's variables may not have: parameters of the call itself."""


class ChatTemplateError(Exception):
    """A chat template does not accept these turns; the message gives the reason."""


class _OverdueError(Exception):
    """A rendering has taken too long."""


def render_chat(
    tokenizer: Any,
    turns: Turns,
    open_answer: bool = True,
    variables: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Return the text of a conversation by the tokenizer's chat template.

    open_answer: end where the assistant's next turn begins. variables: the template's own
    (`template.chat_template_kwargs`). Raises ChatTemplateError, and UserError where the template
    does not end.
    """
    return within_limit(
        lambda: tokenizer.apply_chat_template(
            list(turns), tokenize=False, add_generation_prompt=open_answer, **variables
        ),
        turns,
    )


def within_limit(render: Callable[[], T], turns: Turns) -> T:
    """Return what render() makes of turns; errors as of `render_chat`."""
    main = threading.current_thread() is threading.main_thread()
    try:
        with _alarm() if main else _watch():
            return render()
    except _OverdueError:
        asked = str(turns[-1].get("content"))[:80] if turns else ""
        raise UserError(
            f"the chat template does not end within {RENDER_TIMEOUT_S:.0f} s for the conversation "
            f"that ends in {asked!r}: mend the template, give template.chat_template, or leave the "
            "conversation out."
        ) from None
    # A template is a program in Python's expressions and fails as one, beside Jinja's own errors.
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ChatTemplateError(reason[:300]) from error


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    """Raise _OverdueError in the main thread: a signal also stops long integer arithmetic."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _OverdueError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, RENDER_TIMEOUT_S, _AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _watch() -> Iterator[None]:
    """Raise _OverdueError in another thread, from a second one: signals reach only the main one."""
    watched, ended, lock = (
        ctypes.c_ulong(threading.get_ident()),
        threading.Event(),
        threading.Lock(),
    )

    def watch() -> None:
        limit_s = RENDER_TIMEOUT_S
        while not ended.wait(limit_s):
            with lock:  # never after the end: it would meet other code
                if not ended.is_set():
                    error = ctypes.py_object(_OverdueError)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(watched, error)
            limit_s = _AGAIN_S

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            ended.set()


def check_chat_template(
    tokenizer: Any,
    origin: str,
    system: str | None = None,
    variables: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Render a question once, within limits, with the system prompt if there is one.

    origin: what messages call the template. Raises UserError where it is broken, refuses the
    turns, leaves the question out, does not end within TIMEOUT_S, or needs more than a gigabyte.
    """
    before = [] if system is None else [{"role": "system", "content": system}]
    for text in _TRIALS:
        turns = [*before, {"role": "user", "content": text}]
        reason = _tried(tokenizer, turns, variables)
        if reason is None:
            continue
        remedy = 'mend it, give template.chat_template, or use template.kind = "plain"'
        if system is not None and _tried(tokenizer, turns[1:], variables) is None:
            remedy = "it takes no system turn: leave template.system out, or give another template"
        raise UserError(f"{origin} cannot be used: {reason}; {remedy}.")


def _tried(tokenizer: Any, turns: Turns, variables: Mapping[str, Any]) -> str | None:
    """Return why a rendering fails, or None; it runs in a child with a time limit."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):  # a child must never return into its parent's code
            os.close(receiving)
            os.write(sending, _attempt(tokenizer, turns, variables))
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


def _attempt(tokenizer: Any, turns: Turns, variables: Mapping[str, Any]) -> bytes:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY_BYTES, used + _MEMORY_BYTES))
    try:
        text = render_chat(tokenizer, turns, True, variables)
    except ChatTemplateError as refusal:
        return b"=" + str(refusal).encode("utf-8", "replace")[:2000]
    if _QUESTION not in text:  # a file's name in place of its text renders as itself
        shown = f"its prompt {text[:60]!r} does not hold the question"
        return f"={shown}; a template is Jinja over messages, no file's name".encode()
    return b"="
