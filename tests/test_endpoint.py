"""A model behind an endpoint, sampled and measured: against an endpoint on 127.0.0.1."""

from __future__ import annotations

import io
import json
import re
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from fake_endpoint import KEY, FakeEndpoint
from r1.benchmarks.registry import find_benchmark
from r1.benchmarks.running.measure import Options, run_benchmarks
from r1.cli import app
from r1.data.settings import SourceSettings
from r1.endpoint.engine import EndpointEngine, EndpointRenderer
from r1.endpoint.settings import endpoint_settings
from r1.errors import UserError
from r1.evaluate_cli import name_of
from r1.evaluation import blocks
from r1.evaluation.command import run_eval_command
from r1.evaluation.source import choose_template, load_engine, resolve_model
from r1.rollout.settings import SamplingSettings
from r1.template import TemplateSettings
from r1.types import FAILED, GroupRequest

MODEL = "fake-judge"
FAST = ("endpoint.limits.retries=1", "endpoint.limits.backoff_s=0.001")
SAMPLING = SamplingSettings(temperature=0.6, top_p=0.95, max_new_tokens=50)


@pytest.fixture(autouse=True)
def key(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def completion(*texts: str, thinking: str | None = None, reason: str = "stop") -> dict:
    """What an endpoint sends: a choice for each text."""
    apart = {} if thinking is None else {"reasoning_content": thinking}
    choices = [{"message": {"content": text, **apart}, "finish_reason": reason} for text in texts]
    usage = {"prompt_tokens": 10, "completion_tokens": 7 * len(texts)}
    return {"choices": choices, "usage": usage}


def sums(body: dict) -> dict:
    """Answer "i + j = ?" rightly, after some thinking."""
    first, second = map(int, re.findall(r"\d+", body["messages"][-1]["content"])[:2])
    return completion(f"It is \\boxed{{{first + second}}}.", thinking=f"{first}, {second}")


def sample(server: FakeEndpoint, num_samples: int, kept: Path | None = None, *overrides: str):
    settings = endpoint_settings(f"{server.base_url}#{MODEL}", [*FAST, *overrides])
    prompts = [f"{i} + 1 = ?" for i in range(3)]
    renderer = EndpointRenderer(TemplateSettings(kind="chat"))
    requests = [
        GroupRequest(prompt, renderer.encode(prompt), tuple(range(num_samples)))
        for prompt in prompts
    ]
    with closing(EndpointEngine(settings, kept, "Be brief.")) as engine:
        found = {group.request.id: group for group in engine.generate(requests, SAMPLING)}
    return [found[prompt].completions for prompt in prompts]


def test_samples_have_their_thinking_their_tokens_and_seeds_of_their_own() -> None:
    with FakeEndpoint(complete=sums) as server:
        groups = sample(server, 2)
    for i, completions in enumerate(groups):
        for each in completions:
            assert each.text == f"<think>\n{i}, 1\n</think>\n\nIt is \\boxed{{{i + 1}}}."
            assert (len(each.token_ids), each.finish_reason) == (7, "stop")
    assert len(server.bodies) == 6
    assert sorted(body["seed"] for body in server.bodies) == [0, 0, 0, 1, 1, 1]
    for body in server.bodies:
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.6, 0.95, 50)
        assert "n" not in body


@pytest.mark.parametrize(
    ("sent", "text", "reason"),
    [
        (completion("", thinking="on", reason="length"), "<think>\non", "length"),
        (completion("", thinking="on"), "<think>\non\n</think>\n\n", "stop"),
        (completion("a</think>b"), "a</think>b", "stop"),
        (completion("", reason="content_filter"), "", FAILED),
    ],
)
def test_ends_are_told_apart(sent, text, reason) -> None:
    with FakeEndpoint(complete=lambda body: sent) as server:
        [[found], *_] = sample(server, 1)
    assert (found.text, found.finish_reason) == (text, reason)


@pytest.mark.parametrize("most", [1, 2, 4])
def test_where_an_endpoint_gives_fewer_samples_the_rest_is_asked_for(most) -> None:
    def some(body: dict) -> dict:
        return completion(*("x" * (i + 1) for i in range(min(most, body.get("n", 1)))))

    with FakeEndpoint(complete=some) as server:
        groups = sample(server, 4, None, "endpoint.samples_per_request=4")
    assert [len(each) for each in groups] == [4, 4, 4]
    assert all(len(one.token_ids) >= 1 for each in groups for one in each)
    assert server.num_requests == 3 * (1 + 4 - most)


def test_where_an_endpoint_refuses_several_samples_each_is_asked_for() -> None:
    with FakeEndpoint(["400"] * 3, complete=sums) as server:
        limits = ("endpoint.samples_per_request=2", "endpoint.limits.concurrency=1")
        groups = sample(server, 2, None, *limits)
    assert all(one.finish_reason == "stop" for each in groups for one in each)
    assert server.num_requests == 3 + 6


def test_one_that_never_comes_has_failed_and_the_others_stand() -> None:
    with FakeEndpoint(["ok", "400"], complete=sums) as server:
        groups = sample(server, 1, None, "endpoint.limits.concurrency=1")
    assert [one.finish_reason for [one] in groups] == ["stop", FAILED, "stop"]


def test_an_endpoint_that_is_down_ends_the_call() -> None:
    with FakeEndpoint(["503"] * 100) as server, pytest.raises(UserError, match="answered none"):
        sample(server, 1)
    assert server.num_requests == 6  # each twice


def test_many_failures_in_a_row_end_the_call_early() -> None:
    with (
        FakeEndpoint(["ok"] + ["503"] * 200, complete=sums) as server,
        pytest.raises(UserError, match="answered none of 8 requests in a row"),
    ):
        sample(server, 60, None, "endpoint.limits.concurrency=1", "endpoint.limits.retries=0")
    assert server.num_requests < 15


def test_paid_samples_are_kept_and_the_budget_holds(tmp_path) -> None:
    with FakeEndpoint(complete=sums) as server:
        first = sample(server, 2, tmp_path / "kept.jsonl")
        asked = server.num_requests
        assert sample(server, 2, tmp_path / "kept.jsonl") == first
        assert server.num_requests == asked
        with pytest.raises(UserError, match=r"the model's budget .* raise endpoint\.budget"):
            sample(server, 3, tmp_path / "kept.jsonl", "endpoint.budget.requests=7")
    assert server.num_requests <= asked + 1


def test_mistakes_are_told() -> None:
    for name, message in (
        ("http://127.0.0.1:1/v1", "add # and the model's name"),
        ("http://me:secret@127.0.0.1:1/v1#m", "must hold neither a password"),
    ):
        with pytest.raises(UserError, match=message) as told:
            resolve_model(name)
        assert "secret" not in str(told.value)
    with pytest.raises(UserError, match="is no endpoint"):
        resolve_model("tiny", overrides=["endpoint.send_seed=false"])
    with pytest.raises(UserError, match="api_key_env"):
        resolve_model("http://127.0.0.1:1/v1#m", overrides=[f"endpoint.api_key_env={KEY}"])
    with pytest.raises(UserError, match="own chat template"):
        EndpointRenderer(TemplateSettings(kind="r1_zero"))
    with pytest.raises(UserError, match="own chat template"):
        choose_template(resolve_model("http://127.0.0.1:1/v1#m"), TemplateSettings(kind="r1_zero"))
    with pytest.raises(UserError, match="can be loaded here"):
        load_engine(resolve_model("http://127.0.0.1:1/v1#m"), None)
    with pytest.raises(UserError, match="see that the server runs and the address before #"):
        EndpointEngine(endpoint_settings("http://127.0.0.1:9/v1#m", FAST))
    patient = endpoint_settings("http://127.0.0.1:9/v1#m", FAST)
    assert (patient.limits.timeout_s, patient.limits.retries) == (3600.0, 1)
    assert name_of("http://127.0.0.1:1/v1#org/model-7B") == "org-model-7B"


@pytest.fixture
def data(tmp_path) -> Path:
    folder = tmp_path / "data" / "aime2024"
    folder.mkdir(parents=True)
    rows = [{"problem": f"{i} + {i} = ?", "answer": f"{2 * i:03d}"} for i in range(6)]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder.parent


@pytest.mark.slow
def test_a_benchmark_is_measured_and_what_never_came_is_asked_for_again(
    data, tmp_path, monkeypatch
) -> None:
    """Failures are no mistakes of the model: they are counted apart."""
    monkeypatch.setattr(blocks, "BLOCK_SAMPLES", 4)
    out = tmp_path / "out"

    def leaky(body: dict) -> dict:
        found = sums(body)
        found["choices"][0]["message"]["reasoning_content"] += f" the key is {KEY}"
        return found

    with FakeEndpoint(["400"], complete=leaky) as server:
        model = f"{server.base_url}#{MODEL}"
        chosen, console = [find_benchmark("aime2024")], Console(file=io.StringIO())
        options = Options(num_samples=2, endpoint=FAST)
        first = run_benchmarks(model, chosen, data, out, console, options)["aime2024"]
        assert server.num_requests == 12
        again = ["bench", "run", model, "--data", str(data), "--out", str(out), "--samples", "2"]
        concurrency = ["--set", "endpoint.limits.concurrency=2"]
        done = CliRunner().invoke(app, [*again, *concurrency])
        assert done.exit_code == 0, done.output
        assert server.num_requests == 13
    assert "AIME 2024" in done.output
    assert first["outcomes"]["engine failed"] == pytest.approx(1 / 12)
    assert first["outcomes"]["correct"] == pytest.approx(11 / 12)
    assert (first["score"]["value"], first["mean_tokens"]) == (1.0, 7.0)
    second = json.loads((out / "aime2024" / "benchmark.json").read_text())
    assert (second["outcomes"]["correct"], second["cons_at_k"]["value"]) == (1.0, 1.0)
    assert "the endpoint decides whether a response begins with thinking" in second["departures"]
    for path in (path for path in out.rglob("*") if path.is_file()):
        assert KEY.encode() not in path.read_bytes(), path


def test_problems_of_a_recipe_are_evaluated(data, tmp_path) -> None:
    sources = [SourceSettings(path="aime2024/test.jsonl", verifier="math")]
    rows = (data / "aime2024" / "test.jsonl").read_text()
    rows = rows.replace('"problem"', '"prompt"').replace('"answer"', '"reference"')
    (data / "aime2024" / "test.jsonl").write_text(rows)
    with FakeEndpoint(complete=sums) as server:
        summary = run_eval_command(
            f"{server.base_url}#{MODEL}",
            tmp_path / "out",
            Console(file=io.StringIO()),
            sources=sources,
            base_folder=data,
            overrides={"num_samples": 1},
            endpoint=FAST,
        )
    assert (summary["num_problems"], summary["pass_at_1"]["value"]) == (6, 1.0)
    request = json.loads((tmp_path / "out" / "request.json").read_text())
    assert request["engine"] == "endpoint"
    assert "limits" not in request["endpoint"]


def test_a_system_prompt_counts_in_what_a_request_may_cost() -> None:
    with FakeEndpoint(complete=sums) as server:
        limits = [*FAST, "endpoint.budget.tokens=200"]
        settings = endpoint_settings(f"{server.base_url}#{MODEL}", limits)
        ids = EndpointRenderer(TemplateSettings(kind="chat")).encode("1 + 1 = ?")
        with closing(EndpointEngine(settings, system="Be brief. " * 60)) as engine:
            found = engine.generate([GroupRequest("a", ids, (0,))], SAMPLING)
            with pytest.raises(UserError, match=r"0 of 200 tokens are spent.*may take 2\d\d"):
                list(found)
        assert not any("Be brief." in str(body) for body in server.bodies)
