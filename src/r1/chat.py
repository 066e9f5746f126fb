"""Talk to a checkpoint: the answer streams, with the thinking shown apart from it.

In a terminal Ctrl-C ends an answer; /quit, /exit or Ctrl-D ends the conversation. With a pipe as
input each line is a message, and the same text comes out without colours; bytes that are not UTF-8
are replaced. A chat template remembers the conversation (without its thinking, as R1's own template
has it); the R1-Zero template asks single questions only, so there each message stands alone.

Left out on purpose: saving conversations, and several models side by side.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import Protocol, TextIO

from rich.console import Console
from rich.text import Text

from r1.chat_template import ChatTemplateError
from r1.errors import UserError
from r1.evaluation.source import choose_template, load_engine, resolve_model, sampling_of
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.template import PromptRenderer, TemplateSettings
from r1.terminal import visible
from r1.thinking_stream import Channel, Piece, ThinkingStream

PROMPT = "you> "
QUIT = ("/quit", "/exit")
_THINKING_MARK = "│ "


class StreamingEngine(Protocol):
    """The part of an engine that a conversation needs."""

    def stream(
        self, prompt_ids: Sequence[int], sampling: SamplingSettings, seed: int
    ) -> Generator[str, None, str]:
        """Yield a response's text as it is decoded; return "stop", or "length" where it was cut."""


@dataclass
class ChatSession:
    """The turns so far, and the sampling settings of the next answer."""

    renderer: PromptRenderer
    sampling: SamplingSettings
    seed: int = 0
    system: str | None = None
    turns: list[tuple[str, str]] = field(default_factory=list)
    num_answers: int = 0

    @property
    def remembers(self) -> bool:
        """True where the template can hold more than one question."""
        return self.renderer.settings.kind == "chat"

    def encode(self, message: str) -> tuple[int, ...]:
        """Return the prompt's tokens for message, after the turns so far.

        Raises UserError where the chat template refuses the conversation.
        """
        if not self.remembers:
            return self.renderer.encode(message)
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for asked, answered in self.turns:
            messages.append({"role": "user", "content": asked})
            messages.append({"role": "assistant", "content": answered})
        messages.append({"role": "user", "content": message})
        try:
            return self.renderer.encode_turns(messages)
        except ChatTemplateError as refusal:
            raise UserError(
                f"the chat template refuses this conversation: {refusal}; /reset or /system "
                "without a text may help."
            ) from None

    def next_seed(self) -> int:
        """Return the next answer's seed: the same conversation draws the same answers again."""
        self.num_answers += 1
        return sample_seed(self.seed, "chat", self.num_answers)


def chat(
    engine: StreamingEngine,
    renderer: PromptRenderer,
    sampling: SamplingSettings,
    console: Console,
    *,
    seed: int = 0,
    source: TextIO | None = None,
) -> None:
    """Hold a conversation until the input ends. source: the stream of messages (stdin)."""
    source = source or sys.stdin
    if isinstance(source, TextIOWrapper):
        source.reconfigure(errors="replace")  # an error would take later lines with it
    conversation = ChatSession(renderer, sampling, seed, renderer.settings.system)
    if source.isatty():
        console.print(Text("Ctrl-C ends an answer, /quit the chat; /help lists the commands."))
    for line in _messages(source, console):
        if line in QUIT:
            return
        if line.startswith("/"):
            console.print(Text(run_command(conversation, line)), soft_wrap=True)
            continue
        try:
            _answer(engine, conversation, line, console)
        except UserError as error:
            console.print(Text(str(error), style="red"), soft_wrap=True)


def run_command(conversation: ChatSession, line: str) -> str:
    """Carry out a line that begins with a slash; return what to tell the user."""
    name, _, argument = line[1:].partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        return f"unknown command /{name}. {_help(conversation, '')}"
    return command(conversation, argument.strip())


def _answer(
    engine: StreamingEngine, conversation: ChatSession, message: str, console: Console
) -> None:
    """Stream one answer, and remember it where the template can."""
    inside = Channel.THINKING if conversation.renderer.opens_think else Channel.OUTSIDE
    stream, printer, said = ThinkingStream(inside), ResponsePrinter(console), ""
    deltas = engine.stream(
        conversation.encode(message), conversation.sampling, conversation.next_seed()
    )
    note = ""
    try:
        while True:
            pieces = stream.feed(next(deltas))
            said += _spoken(pieces)
            printer.show(pieces)
    except StopIteration as ended:
        if ended.value == "length":
            note = f"(cut at {conversation.sampling.max_new_tokens} tokens)"
    except KeyboardInterrupt:
        note = "(stopped)"
    pieces = stream.close()
    said += _spoken(pieces)
    printer.show(pieces)
    printer.end(note)
    if conversation.remembers and said.strip():
        conversation.turns.append((message, said.strip()))


def _spoken(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces if piece.channel != Channel.THINKING)


class ResponsePrinter:
    """Prints pieces as they come: thinking dim and marked at each line's start, the rest plain."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._thinking: bool | None = None  # None before anything was shown
        self._spaces = ""  # held back: white space at the end of a section is not shown

    def show(self, pieces: Sequence[Piece]) -> None:
        """Print the pieces, with an empty line between thinking and answer."""
        for channel, text in pieces:
            thinking = channel == Channel.THINKING
            if thinking != self._thinking:
                text = text.lstrip()
                if not text:
                    continue
                if self._thinking is not None:
                    self._write("\n\n", "")
                self._thinking, self._spaces = thinking, ""
                if thinking:
                    self._write(_THINKING_MARK, "dim")
            text = self._spaces + text
            shown = text.rstrip()
            self._spaces = text[len(shown) :]
            if thinking:
                self._write(shown.replace("\n", "\n" + _THINKING_MARK), "dim")
            else:
                self._write(shown, "")

    def end(self, note: str) -> None:
        """Finish the response's last line; note: how it ended, "" for a normal end."""
        if self._thinking is None and not note:
            note = "(an empty response)"
        if note:
            self._write(f" {note}" if self._thinking is not None else note, "dim")
        self._write("\n\n", "")

    def _write(self, text: str, style: str) -> None:
        if text:
            # Before rich takes out some control characters without a sign.
            shown = visible(text).replace("\r", "\u240d")
            self._console.print(Text(shown, style=style), end="", soft_wrap=True)


def _messages(source: TextIO, console: Console) -> Iterator[str]:
    """Yield stripped lines that are not empty, until the input ends."""
    while True:
        try:
            line = _read_line(source)
        except EOFError:
            console.print()
            return
        except KeyboardInterrupt:
            console.print()
            continue
        if line is None:
            return
        if line.strip():
            yield line.encode(errors="replace").decode().strip()  # tokenizers take no surrogates


def _read_line(source: TextIO) -> str | None:
    """Return the next line; None at the end of a pipe."""
    if source is sys.stdin and source.isatty():
        return input(PROMPT)
    return source.readline() or None


def _help(conversation: ChatSession, argument: str) -> str:
    lines = ["commands:"]
    lines += [f"  /{name:<20}{what}" for name, what in _HELP.items()]
    memory = "remembers the conversation" if conversation.remembers else "each message stands alone"
    lines.append(f"template {conversation.renderer.settings.kind}: {memory}")
    return "\n".join(lines)


def _set_system(conversation: ChatSession, argument: str) -> str:
    if not conversation.remembers:
        kind = conversation.renderer.settings.kind
        return f"the {kind} template has no system prompt; a chat template is needed."
    conversation.system = argument or None
    return "system prompt set." if argument else "system prompt removed."


def _set_temperature(conversation: ChatSession, argument: str) -> str:
    try:
        value = float(argument)
    except ValueError:
        return (
            f"the temperature is {conversation.sampling.temperature:g}; change it: /temperature 0.6"
        )
    if not 0.0 <= value < float("inf"):
        return "a temperature is 0 (greedy) or more."
    conversation.sampling = conversation.sampling.model_copy(update={"temperature": value})
    return f"temperature {value:g}."


def _reset(conversation: ChatSession, argument: str) -> str:
    conversation.turns.clear()
    return "the conversation starts afresh."


COMMANDS: dict[str, Callable[[ChatSession, str], str]] = {
    "system": _set_system,
    "temperature": _set_temperature,
    "reset": _reset,
    "help": _help,
}
_HELP = {
    "system TEXT": "set the system prompt; without a text, remove it",
    "temperature X": "draw with another temperature; 0 is greedy",
    "reset": "forget the conversation",
    "help": "this list",
    "quit": "end the chat; /exit or Ctrl-D, too",
}


def run_chat_command(
    model: str,
    console: Console,
    *,
    step: int | None = None,
    template: TemplateSettings | None = None,
    sampling: SamplingSettings | None = None,
    temperature: float | None = None,
    engine: EngineSettings | None = None,
    seed: int = 0,
) -> None:
    """Load a model and talk to it.

    model, step, template: as in `r1.evaluation.command.run_eval_command`.
    sampling: left out, the evaluation's T = 0.6 and top-p 0.95 with the run's length limit;
        temperature changes that one number of it.
    Raises UserError for whatever cannot be loaded.
    """
    source = resolve_model(model, step)
    chosen = choose_template(source, template)
    if sampling is None:
        sampling = sampling_of(source)
    if temperature is not None:
        sampling = sampling.model_copy(update={"temperature": temperature})
    settings = source.settings("engine", EngineSettings, engine)
    with closing(load_engine(source, settings)) as loaded:
        chat(loaded, PromptRenderer(loaded.tokenizer, chosen), sampling, console, seed=seed)
