"""Cold-start traces: what the general model is asked, what is kept, what is dropped and why."""

from __future__ import annotations

import pytest

from curation_world import (
    FakeEngine,
    FakeRenderer,
    FakeScorer,
    files_of,
    problems_of,
    response,
    settings_of,
)
from r1.curation.cold_start import General
from r1.curation.generate import (
    Ask,
    GeneratedText,
    endpoint_generate,
    engine_generate,
)
from r1.curation.prompted import choose_examples, prompted_traces
from r1.curation.prompts import EXAMPLES, fill
from r1.curation.refined import refined_traces
from r1.curation.rejection import SamplingLine, rejection_sample
from r1.curation.settings import PromptedTraceSettings, RefinedTraceSettings, RejectionSettings
from r1.curation.store import read_rows
from r1.errors import UserError
from r1.judge.model import NoReplyError
from r1.judge.model import Reply as ModelReply
from r1.judge.settings import LimitSettings
from r1.reflection import self_checks
from r1.rollout.settings import SamplingSettings
from r1.stages.general import GeneralSettings
from r1.text.language import consistency
from r1.text.readability import readability_defects
from r1.types import Problem

THOUGHT = "First add one to the number. Then check it again by counting up from the number once."
SUMMARY = "Adding one gives \\boxed{{{}}}."


def count_tokens(text):
    return len(text.split())


def boxed_scorer():
    return FakeScorer(answer_from="boxed", weights={"accuracy": 1.0, "format": 0.0})


class Scripted:
    """A general model that answers by a function of the ask, and remembers what it was asked."""

    def __init__(self, answer):
        self.answer, self.asks = answer, []

    def __call__(self, asks):
        self.asks.append(list(asks))
        found = [self.answer(ask, place) for place, ask in enumerate(asks)]
        return [GeneratedText(text) if isinstance(text, str) else text for text in found]


def write(folder, answer, kind="direct", problems=None, settings=None, **more):
    model = Scripted(answer)
    general = General(model, "scripted", count_tokens)
    card = prompted_traces(
        folder,
        problems or problems_of(1),
        general,
        boxed_scorer(),
        settings
        or PromptedTraceSettings.model_validate({kind.replace("-", "_"): {"num_samples": 9}}),
        kind=kind,
        **more,
    )
    return card, list(read_rows(folder)), model


def test_direct_traces_are_verified_and_filtered(tmp_path):
    replies = [
        f"<think>\n{THOUGHT}\n</think>\n\n{SUMMARY.format(1)}",
        f"<think>\n{THOUGHT} Wait, let me recount.\n</think>\n\n{SUMMARY.format(2)}",
        f"{THOUGHT} {SUMMARY.format(1)}",
        GeneratedText(f"<think>\n{THOUGHT}", cut=True),
        f"<think>{THOUGHT}</think> Adding one gives 1.",
        f"<think>{THOUGHT}</think> 加上一以后得到的结果是 \\boxed{{1}}。",
        f"<think>{THOUGHT} 然后我们再检查一遍这个结果是不是正确的</think> {SUMMARY.format(1)}",
        f"<think></think> {SUMMARY.format(1)}",
        f"<think>{THOUGHT}</think> {SUMMARY.format(1)} <think>",
    ]
    card, rows, model = write(tmp_path, lambda ask, place: replies[place])
    assert card.total.dropped == {
        "wrong answer": 1,
        "malformed": 3,
        "cut at the token limit": 1,
        "no answer could be read": 1,
        "summary in another language": 1,
        "mixed languages": 1,
    }
    (row,) = rows
    assert (row["origin"], row["source"], row["answer"]) == ("direct", "scripted", "1")
    assert row["response"] == replies[0]
    assert row["num_tokens"] == len(replies[0].split())
    prompts = {ask.prompt for ask in model.asks[0]}
    seeds = {ask.seed for ask in model.asks[0]}
    assert (len(prompts), len(seeds)) == (1, 9)
    (prompt,) = prompts
    assert prompt.startswith("What is 0 plus 1?")
    assert all(part in prompt for part in ("in English", "verify", "<think>", "\\boxed{}"))


def test_few_shot_shows_examples_of_the_language(tmp_path):
    problem = Problem("p-0", "0 加 1 等于多少？", "1", "exact", language="zh")
    thought = "先把一加上去，得到的结果就是一，然后再检查一遍，没有问题。"
    reply = f"<think>\n{thought}\n</think>\n\n结果是 \\boxed{{1}}。"
    card, rows, model = write(tmp_path, lambda ask, place: reply, "few-shot", [problem])
    prompt = model.asks[0][0].prompt
    chinese = [example for example in EXAMPLES if example.language == "zh"]
    assert all(example.question in prompt for example in chinese)
    assert "A train leaves" not in prompt
    assert prompt.count("<think>") == len(chinese)
    assert (rows[0]["thinking"], rows[0]["origin"]) == (thought, "few-shot")
    assert card.total.dropped == {"duplicate": 8}


def test_examples_of_people_and_prompts_of_ones_own(tmp_path):
    settings = PromptedTraceSettings.model_validate(
        {
            "pattern": {"opening": "|s|", "closing": "|s|", "inside": "", "between": " "},
            "few_shot": {
                "num_samples": 1,
                "num_examples": 1,
                "example": "{question} -> {response}; ",
                "prompt": "{examples}{question} -> ",
            },
        }
    )
    example = EXAMPLES[0]._replace(question="Q", thinking="T", summary="S")
    reply = f"|s|{THOUGHT}|s| {SUMMARY.format(1)}"
    _, rows, model = write(
        tmp_path, lambda ask, place: reply, "few-shot", settings=settings, examples=[example]
    )
    assert model.asks[0][0].prompt == "Q -> |s|T|s| S; What is 0 plus 1? -> "
    assert (rows[0]["response"], rows[0]["answer"]) == (reply, "1")
    with pytest.raises(UserError, match="worked examples"):
        write(tmp_path / "none", lambda ask, place: reply, "few-shot", examples=[])


def test_worked_examples_are_sound():
    """Each is in its language, holds a check, and its summary ends in a boxed answer."""
    assert {example.language for example in EXAMPLES} == {"en", "zh"}
    for example in EXAMPLES:
        assert not readability_defects(example.thinking, example.language)
        assert consistency(example.thinking, example.language) == 1.0
        assert self_checks(example.thinking)
        assert example.summary.endswith("}")
        assert example.summary.count("\\boxed{") == 1
    drawn = {choose_examples(EXAMPLES, "en", 1, seed)[0].question for seed in range(20)}
    assert len(drawn) == 2
    assert fill("{question} \\boxed{} {x}", {"question": "{answer}"}) == "{answer} \\boxed{} {x}"


ZERO_THOUGHT = "we add one 加上一 then we check"


def zero_engine(text_of=lambda place, right: response(THOUGHT + f" Sample {place}.", right)):
    def script(request, seed):
        right = str(int(request.id.rpartition("-")[2]) + 1)
        return text_of(request.seeds.index(seed), right), "stop"

    return FakeEngine(script)


def make_samples(folder, num=4, num_samples=3, cap=3, engine=None):
    zero = RejectionSettings.model_validate(
        {
            "num_samples": num_samples,
            "sampled": {"answer_tags": True},
            "keep": {"cap": cap, "near_duplicate": None},
        }
    )
    line = SamplingLine(engine or zero_engine(), FakeScorer(), FakeRenderer())
    rejection_sample(folder, problems_of(num), line, zero, source="zero@1", origin="r1-zero")
    return RefinedTraceSettings.model_validate({"keep": {"cap": 1, "order": "first"}})


def refine(folder, samples, settings, answer, num=4):
    problems = {problem.id: problem for problem in problems_of(num)}
    model = Scripted(answer)
    general = General(model, "general", count_tokens)
    card = refined_traces(folder, samples, problems, general, boxed_scorer(), settings)
    return card, list(read_rows(folder)), model


def good_reply(ask, place):
    """Rewrites the reasoning, and gives the answer that the prompt names."""
    if "Draft:" in ask.prompt:
        return "<think>How to put it?</think>" + THOUGHT + " That is the result."
    answer = ask.prompt.partition("final answer, ")[2].partition(",")[0]
    return SUMMARY.format(answer)


def test_readable_samples_are_refined_in_two_prompts(tmp_path):
    settings = make_samples(tmp_path / "zero")
    card, rows, model = refine(tmp_path / "refined", tmp_path / "zero", settings, good_reply)
    assert [row["problem_id"] for row in rows] == [f"sums-{i}" for i in range(4)]
    first = rows[0]
    assert first["thinking"] == THOUGHT + " That is the result."  # its own thinking is left out
    assert first["summary"] == SUMMARY.format(1)
    assert (first["origin"], first["source"]) == ("r1-zero refined", "general")
    assert (card.total.sampled, card.total.samples, card.total.prompts) == (12, 4, 4)
    assert card.total.dropped == {"duplicate": 8}
    reasoning, summaries = model.asks
    assert (len(reasoning), len(summaries)) == (12, 12)
    assert "Sample 0." in reasoning[0].prompt
    assert "in\nEnglish" in reasoning[0].prompt
    assert "That is the result." in summaries[0].prompt
    assert "Sample 0." not in summaries[0].prompt


def test_what_refining_spoils_is_dropped_and_counted(tmp_path):
    settings = make_samples(tmp_path / "zero", num=1, num_samples=7, cap=7)
    refined = [
        THOUGHT,
        THOUGHT + " So.",
        GeneratedText(THOUGHT, cut=True),
        THOUGHT + "</think>",
        THOUGHT + " 然后我们再检查一遍这个结果是不是正确的",
        "",
        "First count. " + THOUGHT,
    ]

    def answer(ask, place):
        if "Draft:" in ask.prompt:
            return refined[place]
        return SUMMARY.format(2) if "So." in ask.prompt else SUMMARY.format(1)

    card, rows, model = refine(tmp_path / "r", tmp_path / "zero", settings, answer, num=1)
    assert card.total.dropped == {
        "wrong answer": 1,
        "cut at the token limit": 1,
        "malformed": 2,
        "mixed languages": 1,
        "near-duplicate": 1,
    }
    assert [row["sample"] for row in rows] == [0]
    assert [len(asks) for asks in model.asks] == [7, 4]  # no summary of what is spoilt already


def test_another_right_answer_is_not_the_same_answer(tmp_path):
    """Where several answers are right, refining must keep the one that was given."""
    settings = make_samples(tmp_path / "zero", num=1, num_samples=1)

    class Lenient(FakeScorer):
        def _reward(self, problem, text):
            reference = "1" if "{1}" in text else "7"
            return super()._reward(Problem(problem.id, problem.prompt, reference, "exact"), text)

    general = General(
        Scripted(lambda ask, place: THOUGHT if "Draft:" in ask.prompt else SUMMARY.format(7)),
        "general",
        count_tokens,
    )
    problems = {problem.id: problem for problem in problems_of(1)}
    scorer = Lenient(answer_from="boxed", weights={"accuracy": 1.0})
    card = refined_traces(tmp_path / "r", tmp_path / "zero", problems, general, scorer, settings)
    assert card.total.dropped == {"another answer than before refining": 1}


def test_zero_samples_are_filtered_for_language_and_repetition_only(tmp_path):
    texts = [
        response(THOUGHT, "1"),
        response(ZERO_THOUGHT + " 然后检查结果是不是正确的", "1"),
        response(THOUGHT + " and one more" * 30, "1"),
        response(THOUGHT + "\n```python\nx = 1\ny = x + 1\nprint(y)\n```\n", "1"),
    ]
    engine = zero_engine(lambda place, right: texts[place])
    line = SamplingLine(engine, FakeScorer(), FakeRenderer())
    limits = dict.fromkeys(("max_paragraph_words", "max_paragraph_chars", "max_code_blocks"))
    settings = RejectionSettings.model_validate(
        {
            "num_samples": 4,
            "sampled": {"answer_tags": True},
            "filters": {"readability": limits},
            "keep": {"cap": 1, "order": "shortest"},
        }
    )
    card = rejection_sample(tmp_path, problems_of(1), line, settings, source="zero@1")
    dropped = {"mixed languages": 1, "ends in a loop": 1, "beyond the cap": 1}
    assert card.total.dropped == dropped  # code is no reason here


def test_refining_carries_on_where_it_stopped(tmp_path):
    settings = make_samples(tmp_path / "zero", num=8, num_samples=1)
    settings = settings.model_copy(
        update={"call": settings.call.model_copy(update={"prompts": 3, "resume": "prompt"})}
    )

    def failing(ask, place):
        if "sums" in ask.prompt or "What is 4 plus" in ask.prompt:
            raise KeyboardInterrupt
        return good_reply(ask, place)

    with pytest.raises(KeyboardInterrupt):
        refine(tmp_path / "a", tmp_path / "zero", settings, failing, num=8)
    card, rows, model = refine(tmp_path / "a", tmp_path / "zero", settings, good_reply, num=8)
    assert sum(len(asks) for asks in model.asks) == 2 * 5  # 3 of 8 were done
    refine(tmp_path / "b", tmp_path / "zero", settings, good_reply, num=8)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert card.total.samples == len(rows) == 8
    with pytest.raises(UserError, match="'sums-3'"):
        refine(tmp_path / "c", tmp_path / "zero", settings, good_reply, num=3)


def test_an_engine_or_a_function_as_the_general_model():
    def script(request, seed):
        return f"{bytes(request.prompt_ids).decode()} {seed}", "length" if seed == 2 else "stop"

    generate = engine_generate(FakeEngine(script), FakeRenderer(), SamplingSettings())
    replies = generate([Ask("a", 1), Ask("b", 2), Ask("a", 3)])
    assert replies == [GeneratedText("a 1"), GeneratedText("b 2", cut=True), GeneratedText("a 3")]
    opened = FakeRenderer()
    opened.opens_think = True
    (reply,) = engine_generate(FakeEngine(script), opened, SamplingSettings())([Ask("a", 1)])
    assert reply.text == "<think>a 1"


def test_an_endpoint_as_the_general_model():
    class Model:
        opened = closed = 0

        def __init__(self):
            Model.opened += 1
            self.tries = {}

        async def ask(self, prompt):
            tries = self.tries[prompt] = self.tries.get(prompt, 0) + 1
            if prompt == "never":
                raise NoReplyError("400", "refused", again=False)
            if prompt == "later" and tries == 1:
                raise NoReplyError("429", "busy", retry_after_s=0.001)
            return ModelReply(prompt.upper(), "length" if prompt == "long" else "stop", 1, 1)

        async def close(self):
            Model.closed += 1

    generate = endpoint_generate(Model, LimitSettings(backoff_s=0.001))
    replies = generate([Ask("a", 0), Ask("never", 0), Ask("later", 0), Ask("long", 0)])
    assert replies == [
        GeneratedText("A"),
        GeneratedText("", cut=True),
        GeneratedText("LATER"),
        GeneratedText("LONG", cut=True),
    ]
    assert (Model.opened, Model.closed) == (1, 1)


def test_an_endpoint_that_is_down_ends_the_stage_in_place_of_its_prompts():
    asked = []

    class Model:
        async def ask(self, prompt):
            asked.append(prompt)
            raise NoReplyError("503", "overloaded", retry_after_s=waits[prompt])

        async def close(self):
            pass

    waits = {"a": 0.001, "b": 86_400.0}
    limits = LimitSettings(retries=2, backoff_s=0.001)
    with pytest.raises(UserError, match=r"none of 2 requests.*overloaded.*carries on"):
        endpoint_generate(Model, limits)([Ask("a", 0), Ask("b", 0)])
    assert sorted(asked) == ["a", "a", "a", "b"]  # a day is more than MAX_RETRY_AFTER_S
    with pytest.raises(ValueError, match=r"endpoint\.budget works for judges only"):
        GeneralSettings(endpoint={"model": "m", "budget": {"requests": 9}})


def test_completions_of_prompts_that_open_thinking(tmp_path):
    """force_think: samples come without their <think>; rows have it."""
    renderer = FakeRenderer()
    renderer.opens_think = True
    engine = FakeEngine(lambda request, seed: (f"{THOUGHT}</think> <answer> 1", "stop"))
    settings = settings_of(num_samples=1, sampling={"stop": ["</answer>"]})
    line = SamplingLine(engine, _Completing(), renderer)
    card = rejection_sample(tmp_path, problems_of(1), line, settings, source="x")
    (row,) = read_rows(tmp_path)
    assert card.total.samples == 1
    assert row["response"].startswith("<think>\n")
    assert row["response"].endswith("</answer>")
    assert row["answer"] == "1"


class _Completing(FakeScorer):
    """Reads as the pool does for prompts that open the thinking and stop at </answer>."""

    def _reward(self, problem, text):
        return super()._reward(problem, f"<think>{text}</answer>")
