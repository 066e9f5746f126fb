"""Judged benchmarks on stored responses and a local endpoint: what is asked, counted and kept."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from fake_endpoint import KEY, MODEL, FakeEndpoint, Raw, data_of, reply_json
from r1.benchmarks.judging import judge as judging
from r1.benchmarks.judging.judge import JUDGEMENTS, StoredSamples, judged_result
from r1.benchmarks.judging.protocol import OUTCOMES
from r1.benchmarks.judging.settings import prepared
from r1.benchmarks.page.samples import judged_curve
from r1.benchmarks.protocol import load
from r1.benchmarks.registry import find_benchmark
from r1.benchmarks.running.measure import Options, run_benchmarks
from r1.benchmarks.running.show import show_results
from r1.cli import app
from r1.errors import UserError
from r1.judge.ask import MAX_ANSWER_CHARS
from r1.judge.batch import EndpointVotes
from r1.judge.given import read_judge
from r1.judge.settings import BudgetSettings, JudgeSettings, LimitSettings
from r1.run_dir import completion_table
from r1.template import parse
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup

JUDGED = ("alpaca_eval", "arena_hard", "chinese_simpleqa", "frames", "simpleqa")
DATA = Path(__file__).parents[2] / "shared/benchmarks"
CHILD = """
import sys
from pathlib import Path
from rich.console import Console
from r1.benchmarks.judging.judge import StoredSamples, judged_result
from r1.benchmarks.page.samples import judged_curve
from r1.benchmarks.protocol import load
from r1.benchmarks.registry import find_benchmark
from r1.judge.settings import JudgeSettings
folder, data, judge = map(Path, sys.argv[1:])
simpleqa = find_benchmark("simpleqa")
sampled = StoredSamples(folder, load(simpleqa, data).problems, 1, True)
settings = JudgeSettings.model_validate_json(judge.read_text())
judged_result(sampled, simpleqa.judging, settings, Console())
"""
THINKING = "I think of a secret.</think>\n\n"


@pytest.fixture(autouse=True)
def _key(monkeypatch) -> None:
    monkeypatch.setenv("FAKE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def settings(endpoint: FakeEndpoint, **changed: object) -> JudgeSettings:
    given = {"base_url": endpoint.base_url, "model": MODEL, "api_key_env": "FAKE_KEY", **changed}
    return JudgeSettings(limits=LimitSettings(retries=0), **given)  # type: ignore[arg-type]


def any_verdict(prompt: str) -> str:
    """A verdict of the prompt's own kind, drawn by its length."""
    if '"m", "M"' in prompt:
        return "M"
    labels = ("A>>B", "A=B", "B>A") if "A>>B" in prompt else ("correct", "incorrect")
    return reply_json(prompt, labels[len(data_of(prompt, "question")) % len(labels)])


def probabilities(prompt: str) -> dict[str, float]:
    return {"M": math.log(0.6), "m": math.log(0.2), "The": math.log(0.1)}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Five questions of each benchmark, in the original layouts."""
    folder = tmp_path_factory.mktemp("data")
    five = range(5)
    rows = ["metadata,problem,answer", *(f'{{}},"What is {"x" * i}?",answer {i}' for i in five)]
    links = "\"['https://w/A%20B#x', 'https://w/A B']\""
    tsv = ["\tPrompt\tAnswer\twiki_links", *(f"{i}\tWho{'o' * i}?\tman {i}\t{links}" for i in five)]
    outputs = [{"instruction": f"Do {i}", "output": "Done. " * (i + 1)} for i in five]
    hard = ["index,instruction_difficulty", *(f"{i},{i / 10}" for i in five)]
    asked = [{"uid": f"u{i}", "prompt": f"Prove {'p' * i}"} for i in five]
    messages = [{"role": "user", "content": "p"}, {"role": "assistant", "content": {"answer": "a"}}]
    chinese = [{"id": str(i), "question": "谁" * (i + 1), "answer": "他"} for i in five]
    texts = {
        "simpleqa/simple_qa_test_set.csv": "\n".join(rows),
        "chinese_simpleqa/chinese_simpleqa.jsonl": lines(chinese),
        "frames/test.tsv": "\n".join(tsv),
        "alpaca_eval/reference_gpt4_1106_preview_model_outputs.json": json.dumps(outputs),
        "alpaca_eval/instruction_difficulty.csv": "\n".join(hard),
        "arena_hard/v0.1/question.jsonl": lines(asked),
        "arena_hard/v0.1/model_answer/gpt-4-0314.jsonl": lines(
            [{"uid": f"u{i}", "messages": messages} for i in five]
        ),
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def lines(rows: Sequence[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def store(
    folder: Path,
    problems: Sequence[Problem],
    texts: Sequence[str],
    k: int = 1,
    lengths: Sequence[int] | None = None,
) -> StoredSamples:
    """Store texts as an evaluation does; a text that ends in "…" was cut at the token limit.

    lengths: in tokens, one a text; None: each has one.
    """
    tokens = iter(lengths or [1] * len(texts))
    none = Reward(0.0, {"accuracy": Score(0.0, Outcome.VERIFIER_FAILED)}, False)
    groups = []
    for i, problem in enumerate(problems):
        own = texts[i * k : (i + 1) * k]
        ends = ["length" if text.endswith("…") else "stop" for text in own]
        sizes = [next(tokens) for _ in own]
        drawn = [
            Completion([1] * size, [0.0] * size, text, end)
            for text, end, size in zip(own, ends, sizes, strict=True)
        ]
        groups.append(ScoredGroup(RolloutGroup(problem, (1,), drawn), [none] * k))
    (folder / "blocks").mkdir(parents=True)
    table = completion_table(0, groups, partial(parse, opened=True))
    pq.write_table(table, folder / "blocks" / "block-00000.parquet")
    return StoredSamples(folder, problems, k, opened=True)


def judge_stored(sampled: StoredSamples, name: str, given: JudgeSettings) -> dict:
    own = find_benchmark(name).judging
    assert own is not None
    return judged_result(sampled, own, given, Console(file=io.StringIO()))


def test_every_outcome_has_its_rate_and_none_becomes_another(tmp_path) -> None:
    questions = [Problem(f"q{i}", f"What is {i}?", f"gold {i}", "afterwards") for i in range(9)]
    texts = [
        THINKING + "gold 0",
        THINKING + "fool's gold",
        THINKING + "pass",
        "never ends: gold 3",
        THINKING,
        THINKING + "gold 5…",
        THINKING + "fool's…",
        THINKING + "x" * (MAX_ANSWER_CHARS + 1),
        THINKING + "mumble",
    ]

    def brain(prompt: str) -> str:
        answer = data_of(prompt, "answer")
        if answer == "mumble":
            return "I would call this correct."
        right = data_of(prompt, "reference") in answer
        return reply_json(
            prompt,
            "correct" if right else "not attempted" if answer == "pass" else "incorrect",
        )

    with FakeEndpoint(brain=brain) as endpoint:
        prices = BudgetSettings(price_in=10.0, price_out=100.0)
        sampled = store(tmp_path / "simpleqa", questions, texts)
        result = judge_stored(sampled, "simpleqa", settings(endpoint, budget=prices))
        bodies = json.dumps(endpoint.bodies)
    counts = {name: round(share * 9) for name, share in result["outcomes"].items() if share}
    assert counts == {"correct": 2, "wrong": 1, "not attempted": 1, "unreadable": 2,
                      "unfinished": 2, "judge failed": 1}  # fmt: skip
    assert "secret" not in bodies  # the thinking
    assert result["score"]["value"] == pytest.approx(2 / 8)
    given = 2 / 3
    assert result["figures"] == pytest.approx(
        {"attempted": 3 / 8, "correct given attempted": given, "F": 0.5 * given / (given + 0.25)}
    )
    judge = result["judge"]
    assert (judge["requests"], judge["failed"]) == (6, pytest.approx(1 / 6))
    assert judge["parse_rate"] == pytest.approx(5 / 8)  # five verdicts; one was asked three times
    assert judge["reasons"] == {"the judge's reply is malformed (not-json)": 1}
    assert (judge["tokens_in"], judge["tokens_out"]) == (800, 160)
    assert judge["cost"] == pytest.approx((800 * 10.0 + 160 * 100.0) / 1e6)
    rows = [json.loads(line) for line in (sampled.folder / JUDGEMENTS).read_text().splitlines()]
    assert [row["problem_id"] for row in rows] == [f"q{i}" for i in range(9)]
    assert rows[0]["verdicts"][0]["label"] == "correct"
    assert rows[8]["verdicts"] == [{"failed": "the judge's reply is malformed (not-json)"}]
    assert {row["outcome"] for row in rows} <= set(OUTCOMES)


@pytest.mark.parametrize("name", JUDGED)
def test_scores_at_smaller_token_limits_ask_nothing_new(name, data, tmp_path) -> None:
    """At a limit, longer responses count as those do that the limit really cut."""
    problems = load(find_benchmark(name), data).problems
    texts = [THINKING + f"said {i}" for i in range(5)]
    lengths = [10, 20, 40, 100, 1000]
    with FakeEndpoint(brain=any_verdict, top=probabilities) as endpoint:
        given = settings(endpoint)
        found = judge_stored(store(tmp_path / "all", problems, texts, 1, lengths), name, given)
        assert endpoint.num_requests == found["judge"]["requests"]
        cut = [text if size <= 64 else "cut…" for text, size in zip(texts, lengths, strict=True)]
        at_64 = judge_stored(store(tmp_path / "cut", problems, cut), name, given)
    caps = dict(found["caps"])
    assert sorted(caps) == [16, 32, 64, 128, 256, 512, 1000]
    assert caps[1000] == found["score"]["value"]
    assert caps[128] == caps[512]
    assert caps[64] == pytest.approx(at_64["score"]["value"])
    assert caps[64] != caps[1000]
    curve = judged_curve(found["caps"], 2048)
    assert curve.caps_C == [16, 32, 64, 128, 256, 512, 1000, 2048]
    assert curve.accuracy_C[-2:] == [caps[1000]] * 2
    assert judged_curve(found["caps"], 1000).caps_C == [16, 32, 64, 128, 256, 512, 1000]


@pytest.mark.parametrize("name", JUDGED)
def test_killed_and_carried_on_pays_once_and_ends_alike(name, data, tmp_path, monkeypatch) -> None:
    problems = load(find_benchmark(name), data).problems
    assert len(problems) == 5
    texts = [THINKING + f"said {i}" for i in range(5)]
    begin = EndpointVotes.begin

    def interrupted(self, asked):
        for number, found in enumerate(begin(self, asked)):
            if number == 2:
                raise KeyboardInterrupt
            yield found

    with FakeEndpoint(brain=any_verdict, top=probabilities) as endpoint:
        given = settings(endpoint)
        whole = judge_stored(store(tmp_path / "whole", problems, texts), name, given)
        per_run = endpoint.num_requests
        assert per_run == whole["judge"]["requests"] == (10 if name == "arena_hard" else 5)
        killed = store(tmp_path / "killed", problems, texts)
        monkeypatch.setattr(EndpointVotes, "begin", interrupted)
        with pytest.raises(KeyboardInterrupt):
            judge_stored(killed, name, given)
        assert not (killed.folder / JUDGEMENTS).exists()
        monkeypatch.setattr(EndpointVotes, "begin", begin)
        assert judge_stored(killed, name, given) == whole
        assert endpoint.num_requests == 2 * per_run
    judgements = [(tmp_path / folder / JUDGEMENTS).read_bytes() for folder in ("whole", "killed")]
    assert judgements[0] == judgements[1]
    assert sum(whole["outcomes"].values()) == pytest.approx(1.0)
    assert whole["judge"]["parse_rate"] == 1.0
    assert whole["score"] is not None
    consistency = whole["judge"]["position_consistency"]
    assert (consistency is None) == (name != "arena_hard")


def test_a_budget_that_ends_is_told_and_raised_to_carry_on(data, tmp_path) -> None:
    problems = load(find_benchmark("simpleqa"), data).problems
    sampled = store(tmp_path, problems, [THINKING + "said"] * 5)
    with FakeEndpoint(brain=any_verdict) as endpoint:
        with pytest.raises(UserError, match="budget is used up"):
            judge_stored(sampled, "simpleqa", settings(endpoint, budget=BudgetSettings(requests=2)))
        judge_stored(sampled, "simpleqa", settings(endpoint, budget=BudgetSettings(requests=5)))
        assert endpoint.num_requests == 5


def test_alpaca_eval_by_log_probabilities_and_by_text(data, tmp_path) -> None:
    problems = load(find_benchmark("alpaca_eval"), data).problems
    sampled = store(tmp_path, problems, [THINKING + "said"] * 5)
    with FakeEndpoint(brain=any_verdict, top=probabilities) as endpoint:
        result = judge_stored(sampled, "alpaca_eval", settings(endpoint))
        body = endpoint.bodies[0]
        assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 5, 16)
        first = result["figures"]["first answer preferred"]
        assert first == pytest.approx(0.25)  # P(m) / (P(m) + P(M)), whoever is m
        swapped = sum("output m]]\n| said" in b["messages"][0]["content"] for b in endpoint.bodies)
        rate = (swapped * 0.25 + (5 - swapped) * 0.75) / 5
        assert result["figures"]["win rate"] == pytest.approx(rate)
        assert 0 < swapped < 5
        assert result["judge"]["by_logprobs"] == 1.0
        text = judge_stored(
            sampled, "alpaca_eval", settings(endpoint, extra_body={"logprobs": False})
        )
        assert not {"logprobs", "top_logprobs"} & endpoint.bodies[-1].keys()
    assert text["judge"]["by_logprobs"] == 0.0
    assert text["figures"]["win rate"] == pytest.approx((5 - swapped) / 5)
    assert text["outcomes"]["correct"] == pytest.approx((5 - swapped) / 5)


def test_without_difficulties_lengths_are_not_controlled(data, tmp_path) -> None:
    name = "reference_gpt4_1106_preview_model_outputs.json"
    (tmp_path / "alpaca_eval").mkdir()
    (tmp_path / "alpaca_eval" / name).write_bytes((data / "alpaca_eval" / name).read_bytes())
    found = load(find_benchmark("alpaca_eval"), tmp_path)
    assert found.layout == "AlpacaEval, lengths not controlled"
    sampled = store(tmp_path / "out", found.problems, [THINKING + "said"] * 5)
    with FakeEndpoint(brain=any_verdict, top=probabilities) as endpoint:
        result = judge_stored(sampled, "alpaca_eval", settings(endpoint))
    assert result["score"]["value"] == pytest.approx(result["figures"]["win rate"])


def test_equal_summaries_are_asked_once_and_every_sample_must_be_there(data, tmp_path) -> None:
    problems = load(find_benchmark("frames"), data).problems
    texts = [THINKING + "one"] * 10
    with FakeEndpoint(brain=any_verdict) as endpoint:
        sampled = store(tmp_path, problems, texts, k=2)
        result = judge_stored(sampled, "frames", settings(endpoint))
        assert endpoint.num_requests == 5
        assert result["figures"] == {}
        for wrong in (sampled._replace(k=3), sampled._replace(problems=problems[:4])):
            with pytest.raises(UserError, match="not every question has"):
                judge_stored(wrong, "frames", settings(endpoint))


def test_an_endpoint_that_is_down_is_no_judge_without_opinion(data, tmp_path) -> None:
    problems = load(find_benchmark("simpleqa"), data).problems
    sampled = store(tmp_path, problems, [THINKING + "said"] * 5)
    with FakeEndpoint(["500"] * 99) as endpoint, pytest.raises(UserError):
        judge_stored(sampled, "simpleqa", settings(endpoint))


def test_a_judge_that_never_gives_a_verdict_is_no_figure(data, tmp_path) -> None:
    problems = load(find_benchmark("alpaca_eval"), data).problems
    sampled = store(tmp_path, problems, [THINKING + "said"] * 5)
    refused = Raw(400, b'{"error": {"message": "logprobs is not supported"}}')
    with FakeEndpoint([refused] * 5, brain=any_verdict) as endpoint:
        with pytest.raises(UserError, match=r"logprobs is not supported.*logprobs = false"):
            judge_stored(sampled, "alpaca_eval", settings(endpoint))
        assert not (tmp_path / JUDGEMENTS).exists()
        without = settings(endpoint, extra_body={"logprobs": False})
        assert judge_stored(sampled, "alpaca_eval", without)["judge"]["parse_rate"] == 1.0
    assert endpoint.num_requests == 10


@pytest.mark.slow
def test_a_process_that_is_killed_loses_the_request_under_way_alone(data, tmp_path) -> None:
    problems = load(find_benchmark("simpleqa"), data).problems
    sampled = store(tmp_path, problems, [THINKING + f"said {i}" for i in range(5)])
    with FakeEndpoint(["ok", "ok", "hang"], brain=any_verdict) as endpoint:
        given = settings(endpoint).model_copy(update={"limits": LimitSettings(concurrency=1)})
        file = tmp_path / "judge.json"
        file.write_text(given.model_dump_json(exclude={"cache"}))
        program = [sys.executable, "-c", CHILD, str(tmp_path), str(data), str(file)]
        process = subprocess.Popen(program)
        try:
            while endpoint.num_requests < 3:
                assert process.poll() is None
                time.sleep(0.01)
        finally:
            process.kill()
            process.wait()
        result = judge_stored(sampled, "simpleqa", given)
        assert endpoint.num_requests == 5 + 1
        assert result["judge"]["requests"] == 5
        assert result["judge"]["parse_rate"] == 1.0


def test_frames_has_its_articles_or_says_so(data, tmp_path) -> None:
    without = load(find_benchmark("frames"), data)
    assert without.layout == "FRAMES without articles: another benchmark"
    folder = tmp_path / "frames"
    folder.mkdir()
    rows = ["\tPrompt\tAnswer\twiki_links", "0\tWho?\thim\t['https://w/A%20B#x', 'https://w/A B']",
            "1\tWho?\thim\t['https://w/C']", "2\tWho?\thim\t[1]", "3\tWho?\thim\tnot a list",
            "4\tWho?\t\t['https://w/A B']"]  # fmt: skip
    (folder / "test.tsv").write_text("\n".join(rows))
    articles = [{"url": "https://w/A_B", "text": "no"}, {"url": "https://w/A B", "text": "Him."}, 3]
    (folder / "articles.jsonl").write_text(lines(articles))
    found = load(find_benchmark("frames"), tmp_path)
    assert found.layout == "FRAMES, with the gold articles"
    (problem,) = found.problems
    assert problem.prompt.endswith("https://w/A B\nHim.\n\nQuestion: Who?")
    assert problem.prompt.count("Him.") == 1  # two fragments of one article
    assert problem.metadata["question"] == "Who?"
    assert [refused.where for refused in found.refused] == ["test:1", "test:2", "test:3", "test:4"]
    assert "https://w/C is not in articles.jsonl" in found.refused[0].reason


def test_odd_rows_of_judged_benchmarks_are_refused_by_name(tmp_path) -> None:
    texts = {
        "alpaca_eval/reference_gpt4_1106_preview_model_outputs.json": json.dumps(
            [{"instruction": "i", "output": "o"}, 3, {"instruction": "i", "output": ""},
             {"instruction": "j", "output": "o"}]
        ),
        "alpaca_eval/instruction_difficulty.csv": "index,instruction_difficulty\n0,0.5\n3,x\n",
        "arena_hard/v0.1/question.jsonl": lines(
            [{"uid": uid, "prompt": "p"} for uid in ("a", "b", "c", "d")]
        ),
        "arena_hard/v0.1/model_answer/gpt-4-0314.jsonl": lines(
            [{"uid": "a", "messages": [{"content": "text"}]}, {"uid": "b", "messages": []},
             {"uid": "c", "messages": [{"content": {"answer": 3}}]}, {"uid": "d"}]
        ),
        "simpleqa/simple_qa_test_set.csv": "metadata,problem,answer\n{},q,a\n{},q, \n{},,a\n{},q\n",
        "chinese_simpleqa/chinese_simpleqa.jsonl": lines(
            [{"id": "1", "question": "q", "answer": "a"}, {"id": "1", "question": "q",
             "answer": "a"}, {"question": "q", "answer": "a"}, {"id": "2", "answer": "a"}]
        ),
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in JUDGED:
        if name != "frames":
            found = load(find_benchmark(name), tmp_path)
            assert (len(found.problems), len(found.refused)) == (1, 3), name
            assert all(refused.where and refused.reason for refused in found.refused)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
def test_every_row_of_the_original_files_is_read() -> None:
    counts = {}
    for name in JUDGED:
        found = load(find_benchmark(name), DATA)
        assert found.refused == []
        counts[name] = len(found.problems)
        assert counts[name] == find_benchmark(name).num_questions
    assert counts == {"alpaca_eval": 805, "arena_hard": 500, "chinese_simpleqa": 3000,
                      "frames": 824, "simpleqa": 4326}  # fmt: skip


def test_a_judge_is_given_by_address_or_file(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    read = read_judge("http://localhost:1/v1#my/model")
    assert (read.base_url, read.model, read.api_key_env) == (
        "http://localhost:1/v1",
        "my/model",
        "",
    )
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    assert read_judge("http://localhost:1/v1#m").api_key_env == "OPENAI_API_KEY"
    file = tmp_path / "judge.toml"
    file.write_text('model = "m"\nmax_tokens = 99\n[budget]\nprice_in = 2.0\n')
    read = read_judge(str(file))
    assert read.budget.price_in == 2.0
    assert prepared(read, tmp_path, first_token=True).max_tokens == 99
    assert prepared(read, tmp_path, first_token=False).extra_body == {}
    for given, words in {
        "http://localhost:1/v1": "names no model",
        "no-such.toml": "no such file",
        "ftp#m": "no such file",
    }.items():
        with pytest.raises(UserError, match=words):
            read_judge(given)
    file.write_text('model = "m"\nvotes = 3\ntemperature = 1.0\n')
    with pytest.raises(UserError, match="votes = 3"):
        read_judge(str(file))
    file.write_text('modle = "m"\n')
    with pytest.raises(UserError, match="model"):
        read_judge(str(file))


def test_without_a_judge_judged_benchmarks_are_refused_or_passed_over(data, tmp_path) -> None:
    def bench(*given: str):
        return CliRunner().invoke(app, ["bench", *given, "--data", str(data)])

    asked = bench("run", "tiny", "simpleqa", "--out", str(tmp_path))
    assert "needs a judge" in str(asked.exception)
    assert "--judge URL#MODEL" in str(asked.exception)
    assert "no benchmark's data" in str(bench("run", "tiny").exception)
    down = ("run", "tiny", "simpleqa", "--out", str(tmp_path), "--judge", "http://127.0.0.1:9/v1#m")
    assert "cannot be reached" in str(bench(*down).exception)
    assert list(tmp_path.iterdir()) == []


def test_thinking_that_never_ends_asks_nothing_and_loses(data, tmp_path) -> None:
    with FakeEndpoint() as endpoint:
        for name in JUDGED:
            problems = load(find_benchmark(name), data).problems
            sampled = store(tmp_path / name, problems, ["I think on"] * 5)
            result = judge_stored(sampled, name, settings(endpoint))
            assert result["outcomes"]["unfinished"] == 1.0
            assert result["score"]["value"] == pytest.approx(0.0, abs=0.01)
            assert (result["judge"]["requests"], result["judge"]["parse_rate"]) == (0, None)
        assert endpoint.num_requests == 0


@pytest.mark.slow
def test_every_judged_benchmark_on_the_shipped_model(data, tmp_path, monkeypatch) -> None:
    where = DATA if DATA.is_dir() else data
    chosen = [find_benchmark(name) for name in JUDGED]
    asked = judging.ask

    def ends_in_arena_hard(given, tasks, console):
        if len(tasks) > 5:
            raise KeyboardInterrupt
        return asked(given, tasks, console)

    with FakeEndpoint(brain=any_verdict, top=probabilities) as endpoint:
        options = Options(limit=5, max_new_tokens=8, think=False, judge=settings(endpoint))

        def run() -> dict[str, dict]:
            console = Console(file=io.StringIO())
            return run_benchmarks("tiny", chosen, where, tmp_path, console, options)

        monkeypatch.setattr(judging, "ask", ends_in_arena_hard)
        with pytest.raises(KeyboardInterrupt):
            run()
        before = endpoint.num_requests
        monkeypatch.setattr(judging, "ask", asked)
        results = run()
        paid = endpoint.num_requests
        assert 0 < before < paid == sum(r["judge"]["requests"] for r in results.values())
        files = {p: p.read_bytes() for p in tmp_path.rglob("*.json*")}
        assert run() == results
        assert endpoint.num_requests == paid
        assert {p: p.read_bytes() for p in tmp_path.rglob("*.json*")} == files
    assert set(results) == set(JUDGED)
    for result in results.values():
        assert result["score"] is not None
        assert result["departures"][0] == "5 questions"
        assert sum(result["outcomes"].values()) == pytest.approx(1.0)
    console = Console(file=io.StringIO(), width=100)
    show_results(console, tmp_path)
    shown = console.file.getvalue()
    for words in ("Arena-Hard", "87.6", "agree", "rating 1,0", "judge fake-judge", "F "):
        assert words in shown, words
