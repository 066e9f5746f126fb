"""The user's dialogues, functions and templates, on their way to a model and back."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from curation_world import FakeScorer, problems_of, sample_into, settings_of
from fake_endpoint import KEY, FakeEndpoint
from r1.config import load_recipe, validate
from r1.curation.pattern import PatternSettings
from r1.curation.rows import CuratedRow
from r1.data.external import inputs_of
from r1.data.load import load_problems
from r1.data.settings import SourceSettings
from r1.endpoint.engine import EndpointEngine, EndpointRenderer
from r1.errors import UserError
from r1.evaluation.run import make_request
from r1.evaluation.settings import EvaluationSettings
from r1.preferences.read import load_preferences
from r1.preferences.source import PreferenceSource
from r1.reward_model.encode import ResponseEncoder
from r1.rewards.names import REWARDS
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.sft.encode import ConversationEncoder
from r1.sft.read import conversations
from r1.sft.rows import Conversation
from r1.sft.settings import ExampleSettings, ExampleSource
from r1.template import PromptRenderer, TemplateSettings
from r1.types import Completion, GroupRequest, Outcome, Problem, RolloutGroup
from sft_data import chat_tokenizer
from test_curation_rejection import GOOD, scripted

CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
    "{% if mood %}({{ mood }}){% endif %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
EARLIER = (("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"))
DIALOGUE = Problem("d", "2 + 3?", "5", "exact", earlier=EARLIER)
WRITTEN = "<|system|>Be brief.\n<|user|>Hi\n<|assistant|>Hello\n<|user|>2 + 3?\n<|assistant|>"


def chat(**settings) -> PromptRenderer:
    return PromptRenderer(chat_tokenizer(CHAT), TemplateSettings(kind="chat", **settings))


# --- dialogues and templates -----------------------------------------------------------------


def test_a_request_holds_the_turns_before_the_prompt() -> None:
    renderer = chat(system="unused: the dialogue has its own")
    request = make_request(DIALOGUE, renderer, EvaluationSettings(num_samples=1))
    assert renderer.tokenizer.decode(list(request.prompt_ids)) == WRITTEN
    assert (
        chat(system="S")
        .render("a", (("user", "b"), ("assistant", "c")))
        .startswith("<|system|>S\n<|user|>b\n")
    )


@pytest.mark.parametrize("kind", ["r1_zero", "plain"])
def test_templates_of_one_question_refuse_a_dialogue(kind) -> None:
    with pytest.raises(UserError, match=r'use template\.kind = "chat"'):
        PromptRenderer(chat_tokenizer(), TemplateSettings(kind=kind)).encode("a", EARLIER)


def test_variables_of_a_chat_template_reach_prompts_and_examples() -> None:
    template = TemplateSettings(kind="chat", chat_template_kwargs={"mood": "calm"})
    renderer = PromptRenderer(chat_tokenizer(CHAT), template)
    assert renderer.render("a") == "<|user|>a\n(calm)<|assistant|>"
    turns = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})
    encoder = ConversationEncoder(
        chat_tokenizer(CHAT), template, ExampleSettings(response="verbatim")
    )
    (found,) = encoder.encode([Conversation(1, None, turns)])
    prompt = [token for token, learnt in zip(*found, strict=True) if not learnt]
    assert tuple(prompt) == renderer.encode("a")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"kind": "plain", "chat_template_kwargs": {"a": 1}}, 'needs template.kind = "chat"'),
        ({"kind": "chat", "chat_template_kwargs": {"tokenize": True}}, "is r1's own to say"),
    ],
)
def test_variables_that_make_no_sense(values, reason) -> None:
    with pytest.raises(UserError, match=reason):
        validate(values, TemplateSettings, "template")


def test_a_reward_model_reads_the_dialogue() -> None:
    template = TemplateSettings(kind="chat")
    encoder = ResponseEncoder(chat_tokenizer(CHAT), template, "whole", 512)
    found = encoder.encode("2 + 3?", "5", EARLIER)
    assert found.prompt_ids == chat().encode("2 + 3?", EARLIER)
    assert encoder.encode("2 + 3?", "5").prompt_ids == chat().encode("2 + 3?")


def test_an_endpoint_gets_the_turns_as_messages(monkeypatch) -> None:
    from r1.endpoint.settings import endpoint_settings
    from test_endpoint import FAST, MODEL, SAMPLING, completion

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    renderer = EndpointRenderer(TemplateSettings(kind="chat"))
    requests = [
        GroupRequest("d", renderer.encode(DIALOGUE.prompt, EARLIER), (0,)),
        GroupRequest("s", renderer.encode("Hi"), (0,)),
    ]
    with FakeEndpoint(complete=lambda body: completion("5")) as server:
        settings = endpoint_settings(f"{server.base_url}#{MODEL}", FAST)
        with closing(EndpointEngine(settings, None, "Mine.")) as engine:
            list(engine.generate(requests, SAMPLING))
    asked = sorted([m["content"] for m in body["messages"]] for body in server.bodies)
    assert asked == [["Be brief.", "Hi", "Hello", "2 + 3?"], ["Mine.", "Hi"]]
    with pytest.raises(UserError, match="chat_template_kwargs"):
        EndpointRenderer(TemplateSettings(kind="chat", chat_template_kwargs={"a": 1}))


# --- rejection sampling ----------------------------------------------------------------------


def test_samples_without_thinking_are_kept_where_the_recipe_says_so(tmp_path) -> None:
    plain = {"opening": "", "closing": ""}
    texts = [f"{GOOD} \\boxed{{1}}", f"{GOOD} \\boxed{{2}}"]
    settings = settings_of(sampled=plain, num_samples=2, filters={})
    scorer = FakeScorer(answer_from="boxed")
    sample_into(tmp_path / "a", problems_of(1), settings, scripted(texts), scorer)
    (found,) = conversations(ExampleSource(path=str(tmp_path / "a" / "data")), tmp_path)
    assert found.turns[-1]["content"] == texts[0]
    sample_into(tmp_path / "b", problems_of(1), settings_of(num_samples=2), scripted(texts), scorer)
    assert not list((tmp_path / "b" / "data").glob("*.parquet"))


def test_a_pattern_has_both_tokens_or_none() -> None:
    with pytest.raises(UserError, match="give both opening and closing"):
        validate({"opening": ""}, PatternSettings, "pattern")
    tagged = PatternSettings(opening="", closing="", answer_tags=True)
    assert tagged.split("<answer>5</answer>").summary == "5"
    assert tagged.render("", "5") == "<answer>\n5\n</answer>"


def test_a_curated_row_keeps_the_dialogue(tmp_path) -> None:
    row = CuratedRow(DIALOGUE, 0, 1, "5", "", "5", "5", "model", "rejection", 1)
    (tmp_path / "rows.jsonl").write_text(json.dumps(row.columns()))
    (found,) = conversations(ExampleSource(path="rows.jsonl"), tmp_path)
    turns = [(turn["role"], turn["content"]) for turn in found.turns]
    assert turns == [*EARLIER, ("user", "2 + 3?"), ("assistant", "5")]


# --- functions of the user's -----------------------------------------------------------------

DATA = """
from beside import NUM

def problems(num=NUM):
    for i in range(num):
        yield {"prompt": f"{i} + 1?", "reference": str(i + 1)}

def examples():
    return [{"messages": [{"role": "user", "content": "a"},
                          {"role": "assistant", "content": "b"}]}]

def pairs():
    return [{"prompt": "p", "chosen": "a", "rejected": "b"}]

def broken():
    yield {"prompt": "a", "reference": "1"}
    raise KeyError("gone")

def odd():
    yield "a text"
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "mine.py").write_text(DATA)
    (tmp_path / "beside.py").write_text("NUM = 3\n")
    return tmp_path


def test_rows_from_a_function(folder) -> None:
    source = SourceSettings(path="mine.py:problems")
    assert source.kind == "python"
    assert [p.reference for p in load_problems(source, folder)] == ["1", "2", "3"]
    fewer = SourceSettings(path="mine.py:problems", parameters={"num": 2})
    assert len(load_problems(fewer, folder)) == 2
    (example,) = conversations(ExampleSource(path="mine.py:examples"), folder)
    assert example.turns[1]["content"] == "b"
    source = PreferenceSource(path="mine.py:pairs")
    assert len(load_preferences(source, "pairs", folder).items) == 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("mine.py:problem", "has no function 'problem'; did you mean 'problems'"),
        ("other.py:problems", r"other\.py does not exist"),
        ("mine.py:broken", r"KeyError: 'gone' \(mine\.py, line 17\)"),
        ("mine.py:odd", "a row is 'a text'"),
    ],
)
def test_a_function_that_gives_no_rows(folder, path, reason) -> None:
    with pytest.raises(UserError, match=reason):
        load_problems(SourceSettings(path=path), folder)


def test_the_files_of_a_function_are_inputs_of_a_run(folder) -> None:
    def found() -> dict[str, object]:
        return inputs_of({"path": "mine.py:problems"}, folder)[0].summary()

    before = found()
    assert found() == before
    (folder / "beside.py").write_text("NUM = 4\n")
    assert found() != before


REWARDS_FILE = """
def brevity(prompts, completions, **columns):
    assert isinstance(prompts[0], list), "a dialogue comes as turns"
    assert prompts[0][0] == {"role": "system", "content": "Be brief."}
    return [1.0 if len(text) < 5 and columns["answer"][0] == "5" else 0.25 for text in completions]

def one_by_one(problem, completion):
    return None if "?" in completion.text else len(completion.text) / 10

def accuracy(problem, completion):
    return 1.0
"""
RECIPE = """
model = "tiny"
num_steps = 1
[[data.train]]
kind = "tiny"
split = "train"
[rewards]
plugins = ["my_rewards.py:brevity", "my_rewards.py:one_by_one"]
weights = { brevity = 1.0, one_by_one = 1.0 }
"""


def test_rewards_are_functions_of_a_file_beside_the_recipe(tmp_path) -> None:
    from r1.r1_zero.settings import R1ZeroRecipe

    (tmp_path / "my_rewards.py").write_text(REWARDS_FILE)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    rewards = load_recipe(tmp_path / "recipe.toml", R1ZeroRecipe).rewards
    rewards.validate_names()
    texts = ("5", "much longer", "5?")
    group = RolloutGroup(DIALOGUE, (), [Completion([1], [], text, "stop") for text in texts])
    with RewardPool(rewards, PromptForm()) as pool:
        short, long, unsure = pool.submit_group(group).result().rewards
    assert {name: score.value for name, score in short.parts.items()} == {
        "brevity": 1.0, "one_by_one": 0.1,
    }  # fmt: skip
    assert (long.total, long.parts["brevity"].outcome) == (0.25 + 1.1, Outcome.WRONG)
    assert not unsure.valid
    assert unsure.parts["one_by_one"].outcome is Outcome.VERIFIER_FAILED
    for name in ("brevity", "one_by_one"):
        REWARDS.pop(name)


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        ("my_rewards.py:accuracy", "r1 has a reward 'accuracy'"),
        ("my_rewards.py:brevty", "did you mean 'brevity'"),
        ("nowhere.py:brevity", r"nowhere\.py does not exist"),
        ("nowhere", "cannot import 'nowhere'"),
    ],
)
def test_rewards_that_are_not_there(tmp_path, monkeypatch, plugin, reason) -> None:
    (tmp_path / "my_rewards.py").write_text(REWARDS_FILE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=reason):
        RewardSettings(plugins=(plugin,)).validate_names()
