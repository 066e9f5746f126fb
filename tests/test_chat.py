"""The conversation: what the model is asked, what the user sees, and the commands."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from r1.chat import ChatSession, chat, run_command
from r1.rollout.settings import SamplingSettings
from r1.template import PromptRenderer, TemplateSettings

CHAT_TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


class Characters:
    """A tokenizer whose tokens are code points, with a chat template."""

    eos_token_id = None

    def __init__(self, chat_template=CHAT_TEMPLATE):
        self.chat_template = chat_template

    def __call__(self, text, add_special_tokens=True):
        return {"input_ids": [ord(c) for c in text]}

    def apply_chat_template(self, messages, tokenize, add_generation_prompt):
        from jinja2 import Template
        from jinja2.exceptions import TemplateError

        if self.chat_template == "no-system" and messages[0]["role"] == "system":
            raise TemplateError("System role not supported")
        template = Template(CHAT_TEMPLATE)
        return template.render(messages=messages, add_generation_prompt=add_generation_prompt)


class Scripted:
    """An engine that says what it was told to, three characters at a time."""

    def __init__(self, *responses, interrupt_after=None):
        self.responses = list(responses)
        self.asked = []
        self.seeds = []
        self.temperatures = []
        self.ended = "stop"
        self.interrupt_after = interrupt_after

    def stream(self, prompt_ids, sampling, seed):
        self.asked.append("".join(map(chr, prompt_ids)))
        self.seeds.append(seed)
        self.temperatures.append(sampling.temperature)
        text = self.responses.pop(0)
        for start in range(0, len(text), 3):
            if self.interrupt_after is not None and start >= self.interrupt_after:
                raise KeyboardInterrupt
            yield text[start : start + 3]
        return self.ended


def talk(engine, lines, **template):
    out = io.StringIO()
    renderer = PromptRenderer(
        Characters(template.pop("chat_template", CHAT_TEMPLATE)), TemplateSettings(**template)
    )
    console = Console(file=out, width=40)
    chat(engine, renderer, SamplingSettings(), console, source=io.StringIO(lines))
    return out.getvalue()


def test_thinking_is_marked_and_kept_apart_from_the_answer():
    engine = Scripted("<think>\n3 + 4 = 7\nWait, yes.\n</think>\n<answer> 7 </answer>")
    assert talk(engine, "What is 3 + 4?\n") == "│ 3 + 4 = 7\n│ Wait, yes.\n\n7\n\n"
    assert "User: What is 3 + 4?" in engine.asked[0]


def test_a_chat_model_answers_outside_tags_and_its_prompt_may_open_the_thinking():
    engine = Scripted("hm</think>\n\nSeven.\nReally.")
    assert talk(engine, "3+4\n", kind="chat", force_think=True) == "│ hm\n\nSeven.\nReally.\n\n"
    assert engine.asked == ["[user]3+4[assistant]<think>\n"]


@pytest.mark.parametrize(
    ("response", "shown"),
    [
        ("<think>never closed <answer>7</answer>", "│ never closed <answer>7</answer>\n\n"),
        ("</think>7</answer>", "</think>7</answer>\n\n"),
        ("7 [bold]:smile: <thin", "7 [bold]:smile: <thin\n\n"),  # no markup, no emoji codes
        ("\x1b[2Jgone\x07", "␛[2Jgone␇\n\n"),  # a model must not drive the terminal
        ("", "(an empty response)\n\n"),
        ("word " * 30 + "end", "word " * 30 + "end\n\n"),  # left to the terminal to wrap
    ],
)
def test_malformed_output_is_shown_as_it_is(response, shown):
    assert talk(Scripted(response), "?\n") == shown


def test_a_chat_template_remembers_answers_without_their_thinking():
    engine = Scripted("<think>a</think>One.", "Two.", "Three.")
    talk(engine, "first\n\n  second \n/reset\nthird\n", kind="chat", system="Be brief.")
    assert engine.asked == [
        "[system]Be brief.[user]first[assistant]",
        "[system]Be brief.[user]first[assistant]One.[user]second[assistant]",
        "[system]Be brief.[user]third[assistant]",
    ]
    assert len(set(engine.seeds)) == 3


def test_the_r1_zero_template_asks_single_questions():
    engine = Scripted("1", "2")
    talk(engine, "What is 1+1?\nsecond\n")
    assert "1+1" not in engine.asked[1]
    assert engine.asked[1].endswith("User: second. Assistant:")


def test_commands_change_what_comes_next():
    engine = Scripted("a", "b")
    shown = talk(
        engine,
        "/system Be kind.\n/temperature 0.25\nhello\n/system\n/temperature x\nhello",
        kind="chat",
    )
    assert engine.asked[0] == "[system]Be kind.[user]hello[assistant]"
    assert engine.asked[1] == "[user]hello[assistant]a[user]hello[assistant]"
    assert engine.temperatures == [0.25, 0.25]
    assert "system prompt set." in shown
    assert "the temperature is 0.25" in shown


def test_help_unknown_commands_and_impossible_values():
    conversation = ChatSession(PromptRenderer(None, TemplateSettings()), SamplingSettings())
    assert "/temperature X" in run_command(conversation, "/help")
    assert "each message stands alone" in run_command(conversation, "/help")
    assert "unknown command /nonsense" in run_command(conversation, "/nonsense 3")
    assert "no system prompt" in run_command(conversation, "/system Be kind.")
    for value in ("-1", "nan", "inf"):
        assert "0 (greedy) or more" in run_command(conversation, f"/temperature {value}")
    assert conversation.sampling.temperature == 1.0


@pytest.mark.parametrize("word", ["/quit", "/exit"])
def test_quit_and_exit_end_the_chat(word: str) -> None:
    engine = Scripted("a", "b")
    assert talk(engine, f"hello\n{word}\nhello\n") == "a\n\n"
    assert len(engine.asked) == 1


def test_a_terminal_is_told_at_the_start_how_to_leave() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = io.StringIO()
    renderer = PromptRenderer(Characters(), TemplateSettings())
    console = Console(file=out, width=200)
    chat(Scripted(), renderer, SamplingSettings(), console, source=Terminal("/quit\n"))
    assert "/quit" in out.getvalue()


def test_ctrl_c_ends_the_answer_and_keeps_what_was_said():
    engine = Scripted("<think>hm</think>One two three", "ok", interrupt_after=24)
    shown = talk(engine, "first\nsecond\n", kind="chat")
    assert shown == "│ hm\n\nOne two (stopped)\n\nok\n\n"
    assert engine.asked[1] == "[user]first[assistant]One two[user]second[assistant]"


def test_a_template_that_refuses_the_conversation_does_not_end_the_chat():
    engine = Scripted("fine")
    shown = talk(
        engine, "/system Be kind.\nhello\n/system\nhello\n", kind="chat", chat_template="no-system"
    )
    assert "refuses this conversation: System role not supported" in shown.replace("\n", " ")
    assert shown.endswith("fine\n\n")


def test_an_answer_cut_at_the_limit_says_so():
    engine = Scripted("One two")
    engine.ended = "length"
    limit = SamplingSettings().max_new_tokens
    assert talk(engine, "?\n", kind="chat") == f"One two (cut at {limit} tokens)\n\n"


def test_a_line_that_is_not_utf8_is_asked_with_signs_in_its_place():
    engine = Scripted("one", "two", "three")
    renderer = PromptRenderer(Characters(), TemplateSettings(kind="plain"))
    lines = io.TextIOWrapper(io.BytesIO(b"caf\xe9 x\nsecond\n"), encoding="utf-8")
    chat(engine, renderer, SamplingSettings(), Console(file=io.StringIO()), source=lines)
    talk(engine, "a\ud800b\n", kind="plain")
    assert engine.asked == ["caf\ufffd x", "second", "a?b"]
