"""`r1 eval --search` on a random model: figures, files, resume after a kill, what is refused."""

from __future__ import annotations

import io
import json
import math

import pytest
from rich.console import Console

from fake_endpoint import KEY, MODEL, FakeEndpoint
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.evaluation import blocks
from r1.evaluation.command import run_eval_command
from r1.evaluation.search import OracleScorer, open_scorer, open_search, search_settings
from r1.evaluation.search_figures import search_figures
from r1.evaluation.summary import JudgedProblem, JudgedSample
from r1.reward_model.card import read_card
from r1.rewards.registry import PromptForm
from r1.rollout.settings import SamplingSettings
from r1.search.engine import ConstantScorer, SearchEngine, read_records
from r1.search.settings import SearchSettings
from r1.types import GroupRequest, Outcome, Problem
from test_evaluate_battery import save_reward_model
from test_evaluate_command import evaluate_run
from test_evaluate_command import world as world
from test_search import DigitEngine

MCTS = SearchSettings(method="mcts", scorer="constant", budget=30, expansions=2, step_tokens=2)


def test_a_tree_search_resumes_with_the_same_files(world, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_SAMPLES", 6)
    figures, shown = evaluate_run(world, tmp_path / "whole", search=MCTS)
    assert (figures["method"], figures["num_problems"]) == ("mcts", 5)
    assert 0 < figures["tokens"]["generated"] <= 30 + 4
    assert figures["tokens"]["prefilled"] > 0
    assert set(figures["rules"]) == {"any", "mean", "majority", "best", "weighted", "followed"}
    assert "followed" in shown
    page = (tmp_path / "whole" / "search.html").read_text()
    assert "visits" in page
    assert "<script" not in page

    written = blocks.completion_table
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return written(*arguments)

    monkeypatch.setattr(blocks, "completion_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate_run(world, tmp_path / "killed", search=MCTS)
    again, _ = evaluate_run(world, tmp_path / "killed", search=MCTS)
    assert again == figures
    for path in sorted((tmp_path / "whole").rglob("*.*")):
        twin = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == twin.read_bytes(), path.name
    other = MCTS.model_copy(update={"budget": 31})
    with pytest.raises(UserError, match="search"):
        evaluate_run(world, tmp_path / "whole", search=other)


def test_figures_name_their_scorer_wherever_it_lies(world, tmp_path):
    """Two folders with the same model give the same bytes."""
    found = []
    for place in ("here", "there"):
        scorer = save_reward_model(tmp_path / place / "scorer", "steps", "whole", 1)
        settings = MCTS.model_copy(update={"scorer": str(scorer)})
        figures, _ = evaluate_run(world, tmp_path / place / "out", search=settings)
        assert figures["scorer"].startswith("scorer sha256:")
        found.append((tmp_path / place / "out" / "search.json").read_bytes())
    assert found[0] == found[1]


def test_votes_need_no_scorer_and_every_number_of_samples_has_a_row(world, tmp_path):
    vote = SearchSettings(method="vote")
    figures, _ = evaluate_run(world, tmp_path / "out", search=vote, overrides={"num_samples": 4})
    assert list(figures["by_num"]) == ["1", "2", "4"]
    assert set(figures["rules"]) == {"any", "mean", "majority"}
    tokens = [row["tokens"] for row in figures["by_num"].values()]
    assert tokens == pytest.approx([tokens[0], 2 * tokens[0], 4 * tokens[0]])
    assert json.loads((tmp_path / "out" / "search.json").read_text()) == figures


def test_options_of_the_command():
    found, others = search_settings("beam", "runs/prm", 500, ["search.beams=8", "grpo.lr=1"])
    assert (found.method, found.beams, found.budget, others) == ("beam", 8, 500, ["grpo.lr=1"])
    assert search_settings(None, None, None, ["a.b=1"]) == (None, ["a.b=1"])
    for given, words in (
        (("beem", "x", None, []), "beem"),
        ((None, "x", None, []), "need --search"),
        (("beam", "x", None, ["search.beamz=8"]), "beamz"),
        (("mcts", "x", None, []), "budget"),
    ):
        with pytest.raises(UserError, match=words):
            search_settings(*given)


def test_a_scorer_that_is_not_there_is_told_before_anything_is_sampled(world, tmp_path):
    beam = SearchSettings(method="beam", scorer=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="does not exist"):
        evaluate_run(world, tmp_path / "out", search=beam)
    assert not (tmp_path / "out").exists()
    oracle = SearchSettings(method="beam", scorer="oracle")
    with pytest.raises(UserError, match="arithmetic and cups"):
        evaluate_run(world, tmp_path / "out2", search=oracle)


def test_branches_are_not_grown_behind_an_endpoint(world, tmp_path):
    with pytest.raises(UserError, match="token by token"):
        evaluate_run(world, tmp_path / "out", search=MCTS, cluster={"address": "local"})


def test_the_oracle_carries_the_truth_over_steps_that_state_nothing():
    problem = Problem("p", "What is 5 + 3?", "8", "exact", family="arithmetic")
    scorer = OracleScorer([problem])
    [found] = scorer.score_steps([problem.prompt], ["let me check.\nfirst 9\nhm\nso it is 8.\n"])
    assert found == [1.0, 0.0, 0.0, 1.0]


def test_differences_to_the_majority_are_paired_by_problem():
    """Two problems of two samples: the scorer is right where votes are split."""
    judged = [
        JudgedProblem(f"p{n}", "f", [
            JudgedSample(Outcome.WRONG, 0, 1, False, False),
            JudgedSample(Outcome.CORRECT, 1, 1, False, False),
        ])
        for n in range(2)
    ]  # fmt: skip
    scores = [(0.1, 0.9), (0.9, 0.1)]
    records = {
        f"p{n}": {
            "cost": {"generated": 8, "prefilled": 2, "scored": 10},
            "candidates": [
                {"score": score, "followed": False, "tokens": 4, "steps": [score, 0.5]}
                for score in scores[n]
            ],
        }
        for n in range(2)
    }
    settings = SearchSettings(method="best_of_n", scorer="x")
    found = search_figures(judged, records, settings, None)
    rows = found["by_num"]
    assert rows["2"]["best"]["value"] == 0.5
    assert rows["2"]["best_minus_majority"] == {"value": 0.5, "low": -1.0, "high": 1.0}
    assert rows["1"]["best_minus_majority"]["value"] == 0.0
    assert [rows[num]["tokens"] for num in rows] == [4.0, 8.0]
    assert found["by_aggregate"]["last"]["2"]["best"]["value"] == 0.0  # a tie: the first
    assert found["by_aggregate"]["min"]["2"]["best"]["value"] == 0.5


def reply(body):
    """Answer "n + 1 = ?" rightly."""
    number = int(body["messages"][-1]["content"].split()[0]) + 1
    message = {"content": f"\\boxed{{{number}}}"}
    usage = {"prompt_tokens": 5, "completion_tokens": 7}
    return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


@pytest.mark.parametrize("method", ["vote", "best_of_n"])
def test_a_response_that_never_came_has_no_verdict_and_is_asked_for_again(
    method, tmp_path, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(blocks, "BLOCK_SAMPLES", 8)
    rows = [
        {"prompt": f"{n} + 1 = ?", "reference": str(n + 1), "verifier": "exact"} for n in range(4)
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    scorer = save_reward_model(tmp_path / "scorer", "steps", "whole", 1)
    search = SearchSettings(method=method, scorer=str(scorer) if method == "best_of_n" else None)
    shown = io.StringIO()

    def evaluate(base_url):
        return run_eval_command(
            f"{base_url}#{MODEL}",
            tmp_path / "out",
            Console(file=shown, width=200),
            sources=[SourceSettings(path=str(data))],
            overrides={"num_samples": 4, "temperature": 0.6},
            search=search,
            endpoint=["endpoint.limits.retries=0"],
        )

    with FakeEndpoint(["400"] * 3, complete=reply) as server:
        first, num = evaluate(server.base_url), server.num_requests
        candidates = [
            candidate
            for record in read_records(tmp_path / "out" / "searches").values()
            for candidate in record["candidates"]
        ]
        lost = [candidate for candidate in candidates if candidate.get("failed")]
        again = evaluate(server.base_url)
        assert server.num_requests == num + 3
    assert first["unjudged"] == pytest.approx(3 / 16)
    told = " ".join(shown.getvalue().split())
    assert "18.8 % of the candidates have no verdict" in told
    assert [each["score"] for each in lost] == [0.0] * 3
    assert not any(each["steps"] for each in lost)
    assert (again["unjudged"], again["rules"]["mean"]["value"]) == (0.0, 1.0)
    found = read_records(tmp_path / "out" / "searches").values()
    assert not [each for record in found for each in record["candidates"] if "failed" in each]


def test_of_two_searches_of_a_problem_the_one_that_lacks_less_is_read(tmp_path):
    """The second call may hold other problems, and its file's name come first or last."""
    candidate = {"score": 0.0, "visits": 1, "followed": False, "tokens": 1, "steps": []}
    cost = {"generated": 1, "prefilled": 1, "scored": 0}
    record = {"id": "p", "candidates": [candidate], "cost": cost, "tree": []}
    lost = {**record, "candidates": [{**candidate, "failed": True}]}
    for names in (("a", "b"), ("b", "a")):
        for name, found in zip(names, (record, lost), strict=True):
            (tmp_path / f"{name}.jsonl").write_text(json.dumps(found) + "\n")
        assert read_records(tmp_path) == {"p": record}


EARLIER = (("user", "What is 1+1?"), ("assistant", "2"))
CHAT = "{% for m in messages %}<{{ m.role }}> {{ m.content }} {% endfor %}<assistant>"


@pytest.mark.parametrize("method", ["best_of_n", "mcts"])
def test_a_scorer_is_given_the_turns_before_a_question(method, tmp_path):
    read = set()

    class Reader(ConstantScorer):
        def score_steps(self, prompts, responses, earlier=()):
            read.update(zip(prompts, map(tuple, earlier), strict=True))
            return super().score_steps(prompts, responses)

    budget = {"budget": 30} if method == "mcts" else {}
    settings = SearchSettings(method=method, scorer="x", **budget)
    questions, turns = {"p0": "and 3?", "p1": "and 4?"}, {"p0": EARLIER, "p1": ()}
    engine = SearchEngine(DigitEngine(), Reader(), settings, questions, tmp_path, earlier=turns)
    requests = [GroupRequest(name, (63,), (1, 2)) for name in questions]
    list(engine.generate(requests, SamplingSettings(max_new_tokens=20)))
    assert read == {("and 3?", EARLIER), ("and 4?", ())}


def test_a_reward_model_reads_the_turns_before_each_question(tmp_path):
    folder = save_reward_model(tmp_path / "scorer", "pointwise", "whole", 1)
    problems = [
        Problem("p0", "and 3?", "3", "exact", earlier=EARLIER),
        Problem("p1", "and 4?", "4", "exact"),
    ]
    settings = SearchSettings(method="best_of_n", scorer=str(folder))
    with pytest.raises(UserError, match=r"the scorer .* has turns before it"):
        open_scorer(settings, problems, PromptForm())
    card = read_card(folder)
    chat = card.template.model_copy(update={"kind": "chat", "chat_template": CHAT})
    card.model_copy(update={"template": chat}).write(folder)
    scorer = open_scorer(settings, problems, PromptForm())
    asked = [problem.prompt for problem in problems]
    found = scorer.score_steps(asked, ["so 4"] * 2, [problem.earlier for problem in problems])
    for problem, [value] in zip(problems, found, strict=True):
        [raw] = scorer.score_texts(problem.prompt, ["so 4"], problem.earlier)
        assert value == pytest.approx(1 / (1 + math.exp(-raw)), abs=1e-5)
    bare = scorer.score_steps(asked, ["so 4"] * 2)
    assert abs(bare[0][0] - found[0][0]) > 1e-4
    assert bare[1] == pytest.approx(found[1], abs=1e-5)


def test_an_evaluation_gives_its_scorer_the_turns(tmp_path):
    problem = Problem("p0", "and 3?", "3", "exact", earlier=EARLIER)
    settings = SearchSettings(method="vote")
    found = open_search(DigitEngine(), settings, [problem], PromptForm(), tmp_path, {})
    assert found.earlier == {"p0": EARLIER}
