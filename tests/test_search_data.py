"""What a search found, as data: by hand, then from a search of the tiny base to what is trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from quick_problems import write_sums
from r1.cli import app
from r1.config import validate
from r1.curation.store import read_rows
from r1.errors import UserError
from r1.evaluation.search import RuleOfEnds
from r1.evaluation.search_data import JudgedCandidates, answer_rows, state_rows
from r1.pipeline.r1 import R1Recipe
from r1.pipeline.run_r1 import build
from r1.preferences.source import PreferenceSource
from r1.preferences.steps import load_step_labels
from r1.search.mcts import tree_search
from r1.search.protocol import Branch, SearchCost
from r1.search.settings import SearchSettings
from r1.sft.read import check_source
from r1.sft.settings import ExampleSource
from r1.types import Outcome, Problem, Reward, Score, ScoredGroup
from test_search import DigitScorer, grower, mcts, problems

COMMON = {"problem_id": "p", "prompt": "1 + 1?", "family": "sums", "language": "en"}


def candidates(*found: tuple[str, str | None, float, str], tree=()) -> JudgedCandidates:
    """(text, outcome, score, how it ended) of each."""
    rows = [
        {**COMMON, "sample": n, "text": text, "outcome/accuracy": outcome, "finish_reason": ended,
         "num_tokens": len(text), "reference": "2"}
        for n, (text, outcome, _, ended) in enumerate(found)
    ]  # fmt: skip
    scored = [{"score": score} for _, _, score, _ in found]
    return JudgedCandidates(rows, {"candidates": scored, "tree": list(tree)})


def node(parent: int, text: str, ended: str | None = None) -> dict:
    return {"parent": parent, "text": text, "ended": ended}


def test_answers_are_right_different_and_the_best_scored_first() -> None:
    found = candidates(
        ("low", "correct", 0.1, "stop"),
        ("high", "correct", 0.9, "stop"),
        ("high", "correct", 0.8, "stop"),
        ("cut", "correct", 1.0, "length"),
        ("wrong", "wrong", 1.0, "stop"),
        ("late", "timed-out", 1.0, "stop"),
        ("none", None, 1.0, "stop"),
    )
    counts, rows = answer_rows(found, cap=1)
    assert [(row["response"], row["score"], row["id"]) for row in rows] == [("high", 0.9, "p/1")]
    assert counts == {
        "sampled": 7,
        "tokens": 4,
        "counted": 1,
        "dropped/duplicate": 1,
        "dropped/beyond the cap": 1,
        "dropped/cut at the token limit": 1,
        "dropped/wrong answer": 1,
        "dropped/verifier without verdict": 2,
    }
    _, everything = answer_rows(found, cap=None)
    assert [row["response"] for row in everything] == ["high", "low"]


TREE = [
    node(-1, ""),
    node(0, "a\n"),  # 1: two ends, one right
    node(1, "2", "stop"),  # right
    node(1, "3", "stop"),  # wrong
    node(0, "b\n"),  # 4: one end without a verdict, one right
    node(4, "?", "stop"),
    node(4, "c\n"),  # 6
    node(6, "2", "stop"),  # right
    node(0, "never ended\n"),
]
ENDS = (
    ("a\n2", "correct", 0.5, "stop"),
    ("a\n3", "wrong", 0.5, "stop"),
    ("b\n?", "timed-out", 0.5, "stop"),
    ("b\nc\n2", "correct", 0.5, "stop"),
)


@pytest.mark.parametrize(
    ("hard", "labels"),
    [
        (False, [[0.5, 1.0], [None, 0.0], [1.0, 1.0, 1.0]]),
        (True, [[1.0, 1.0], [None, 0.0], [1.0, 1.0, 1.0]]),
    ],
)
def test_a_branch_is_worth_the_share_of_right_ends_below_it(hard, labels) -> None:
    counts, rows = state_rows(candidates(*ENDS, tree=TREE), hard, "\n")
    assert [row["labels"] for row in rows] == labels
    assert [row["steps"] for row in rows] == [["a\n", "2"], ["a\n", "3"], ["b\n", "c\n", "2"]]
    assert [row["correct"] for row in rows] == [True, False, True]
    assert counts["dropped/verifier without verdict"] == 1


def test_a_whole_sample_has_one_label_at_its_end() -> None:
    found = candidates(("a\nb\n2", "correct", 0.5, "stop"), ("  ", "wrong", 0.5, "stop"))
    counts, rows = state_rows(found, False, "\n")
    assert [(row["steps"], row["labels"]) for row in rows] == [
        (["a\n", "b\n", "2"], [None, None, 1.0])
    ]
    assert counts["dropped/empty"] == 1


def test_a_tree_without_an_end_has_no_states() -> None:
    found = candidates(("a\n", "wrong", 0.5, "length"), tree=[node(-1, ""), node(0, "a\n")])
    counts, rows = state_rows(found, False, "\n")
    assert (rows, counts["dropped/no branch of the tree ended"]) == ([], 1)


def test_what_a_step_was_cut_into_is_one_step_with_the_last_label() -> None:
    tree = [
        node(-1, ""), node(0, "a "), node(1, "b"), node(2, " c\n"), node(3, "d "),
        node(4, "2", "stop"), node(1, "x\n"), node(6, "3", "stop"),
    ]  # fmt: skip
    found = candidates(
        ("a b c\nd 2", "correct", 0.5, "stop"), ("a x\n3", "wrong", 0.5, "stop"), tree=tree
    )
    _, rows = state_rows(found, False, "\n")
    assert [(row["steps"], row["labels"]) for row in rows] == [
        (["a b c\n", "d 2"], [1.0, 1.0]),
        (["a x\n", "3"], [0.0, 0.0]),
    ]


def test_a_tree_that_does_not_spell_its_responses_gives_no_states() -> None:
    """A step that is cut within a character of several bytes is another text than its beginning."""
    tree = [node(-1, ""), node(0, "caf\ufffd"), node(1, "caf\u00e9 2", "stop")]
    found = candidates(("caf\u00e9 2", "correct", 0.5, "stop"), tree=tree)
    counts, rows = state_rows(found, False, "\n")
    assert (rows, counts["dropped/a step was cut within a character"]) == ([], 1)


def test_equal_scores_are_not_taken_in_the_tree_s_order() -> None:
    found = candidates(*((f"{n}", "correct", 1.0, "stop") for n in range(40)))
    _, rows = answer_rows(found, cap=4)
    taken = [int(row["response"]) for row in rows]
    assert taken != sorted(taken)
    assert max(taken) > 8
    assert [row["response"] for row in answer_rows(found, cap=4)[1]] == [str(n) for n in taken]


# -- ends that a rule values


class Judge:
    """Right is what ends in an even digit."""

    def judge_ends(self, problems, ends):
        assert len(problems) == len(ends)
        assert all(end.ended for end in ends)
        return [float(int(end.text[-1]) % 2 == 0) for end in ends]


def test_a_rule_values_ends_and_the_scorer_the_rest() -> None:
    growing = grower(mcts())
    growing.judge = Judge()
    for found in tree_search(problems(3), growing).values():
        for row in found.tree[1:]:
            digit = int(row["text"].strip()[-1])
            if row["ended"] == "stop":
                assert row["value"] == float(digit % 2 == 0)
            elif row["ended"] is None:
                assert row["value"] == digit / 10


def test_an_end_without_a_verdict_is_the_scorer_s() -> None:
    class Nobody:
        def judge_ends(self, problems, ends):
            return [None] * len(ends)

    growing = grower(mcts())
    growing.judge = Nobody()
    found, plain = tree_search(problems(2), growing), tree_search(problems(2), grower(mcts()))
    assert {name: each.tree for name, each in found.items()} == {
        name: each.tree for name, each in plain.items()
    }


def test_a_problem_that_no_rule_judges_has_no_value() -> None:
    class Other(Verifier):
        def submit_group(self, group):
            rewards = [Reward(0.0, {"format": Score(1.0, Outcome.CORRECT)}, True)]
            return type("Handle", (), {"result": lambda self: ScoredGroup(group, rewards)})()

    judge = RuleOfEnds({"p": (Problem("p", "?", "1", "exact"), Other({}))})
    assert judge.judge_ends(["p"], [Branch(text="a", ended="stop")]) == [None]


def test_only_what_the_scorer_read_is_counted() -> None:
    branches = [
        (problem, Branch((49,) * 5, (), "1", ended))
        for problem, ended in zip(problems(2), ("stop", None), strict=True)
    ]
    growing = grower(mcts(), scorer=DigitScorer())
    costs = {problem.id: SearchCost() for problem in problems(2)}
    growing.judge = Judge()
    assert growing.values(branches, costs) == [0.0, 0.1]
    assert [costs[f"p{n}"].scored for n in range(2)] == [0, 6]


class Verifier:
    """Implements GroupScorer: what it is told of each text."""

    def __init__(self, outcomes: dict[str, Outcome]) -> None:
        self.outcomes, self.groups = outcomes, []

    def submit_group(self, group):
        self.groups.append(group.problem.id)
        rewards = [
            Reward(0.0, {"accuracy": Score(0.0, self.outcomes[c.text])}, True)
            for c in group.completions
        ]
        return type("Handle", (), {"result": lambda self: ScoredGroup(group, rewards)})()


def test_verdicts_come_back_in_the_order_of_the_ends() -> None:
    verifier = Verifier({"a": Outcome.CORRECT, "b": Outcome.WRONG, "c": Outcome.TIMED_OUT})
    known = {name: (Problem(name, "?", "1", "exact"), verifier) for name in ("p", "q")}
    ends = [Branch(text=text, ended="stop") for text in ("b", "a", "c", "a")]
    values = RuleOfEnds(known).judge_ends(["p", "q", "q", "p"], ends)
    assert values == [0.0, 1.0, None, 1.0]
    assert verifier.groups == ["p", "q"], "one group a problem"


def test_only_a_tree_s_ends_are_a_rule_s() -> None:
    with pytest.raises(UserError, match=r"ends.*mcts"):
        validate({"method": "beam", "scorer": "x", "ends": "rule"}, SearchSettings, "search")


# -- as a stage

RECIPE = """
kind = "r1"
[stages.tree]
kind = "search"
model = "tiny"
search = { method = "mcts", scorer = "constant", ends = "rule", expansions = 2, budget = 120 }
max_new_tokens = 40
evaluation = { temperature = 1.0, top_p = 1.0 }
rewards = { weights = { accuracy = 1.0 }, num_workers = 1, answer_from = "stated" }
problems = [{ path = "sums.jsonl" }]
[stages.found]
kind = "search_data"
searched = "@tree"
domains = { sums = "mathematics" }
"""


def run(folder: Path, recipe: str, out: str = "out"):
    (folder / "recipe.toml").write_text(recipe)
    return CliRunner().invoke(app, ["run", str(folder / "recipe.toml"), "--out", str(folder / out)])


def test_both_data_sets_are_what_is_trained_on(tmp_path: Path) -> None:
    write_sums(tmp_path / "sums.jsonl", 12)
    done = run(tmp_path, RECIPE)
    assert done.exit_code == 0, done.output
    found = tmp_path / "out" / "found"
    told = json.loads((found / "STAGE.json").read_text())["outputs"]
    assert set(told) == {"answers", "states"}
    answers, states = (list(read_rows(found / name)) for name in ("answers", "states"))
    assert len(answers) == told["answers"]["counts"]["rows"] > 0
    assert len(states) == told["states"]["counts"]["rows"] > len(answers) / 4
    assert all("".join(row["steps"]) == row["response"] for row in states)
    of_problem = {row["problem_id"] for row in states if row["correct"]}
    assert {row["problem_id"] for row in answers} <= of_problem
    texts = {(row["problem_id"], row["response"]) for row in states}
    assert {(row["problem_id"], row["response"]) for row in answers} <= texts
    assert {row["source"] for row in (*answers, *states)} == {answers[0]["source"]}
    assert answers[0]["source"].startswith("base sha256:"), answers[0]["source"]
    figures = json.loads((tmp_path / "out" / "tree" / "search" / "search.json").read_text())
    assert figures["ends"] == "rule"
    assert set(figures["rules"]) == {"any", "mean", "majority"}, "the scores have seen the answers"
    assert "no figures of a model" in (tmp_path / "out/tree/search/search.html").read_text()
    source = ExampleSource(kind="parquet", path=str(found / "answers" / "data"))
    assert check_source(source, Path()).num == len(answers)
    source = PreferenceSource(kind="parquet", path=str(found / "states" / "data"))
    assert len(load_step_labels(source, Path()).items) == len(states)


@pytest.mark.slow
def test_it_carries_on_and_another_search_is_refused(tmp_path: Path) -> None:
    from r1.curation.progress import Silent
    from r1.evaluation.search_data import make_search_data
    from r1.evaluation.search_data_settings import SearchDataSettings, find_search

    write_sums(tmp_path / "sums.jsonl", 12)
    assert run(tmp_path, RECIPE).exit_code == 0
    searched = find_search(tmp_path / "out" / "tree" / "search" / "search.json")
    moved = Path(shutil.copytree(searched, tmp_path / "moved"))
    out = tmp_path / "data"
    assert find_search(tmp_path / "out" / "tree") == find_search(searched) == searched
    cards = make_search_data(out, searched, SearchDataSettings(), Silent())
    names = [path for path in sorted(out.rglob("*")) if path.is_file()]
    before = {path: path.read_bytes() for path in names}
    for store in ("answers", "states"):  # killed before the manifest was written
        (out / store / "manifest.json").unlink()
    assert make_search_data(out, moved, SearchDataSettings(), Silent()) == cards
    assert {path: path.read_bytes() for path in names} == before
    with pytest.raises(UserError, match="made with another settings"):
        make_search_data(out, moved, SearchDataSettings(cap=1), Silent())
    block = next((moved / "blocks").iterdir())
    shutil.copy(block, moved / "blocks" / "again.parquet")
    with pytest.raises(UserError, match="made with another search"):
        make_search_data(out, moved, SearchDataSettings(), Silent())


@pytest.mark.slow
def test_a_search_that_judged_no_answers_is_refused(tmp_path: Path) -> None:
    write_sums(tmp_path / "sums.jsonl", 4)
    assert run(tmp_path, RECIPE).exit_code == 0
    [block] = (tmp_path / "out" / "tree" / "search" / "blocks").iterdir()
    table = pq.read_table(block)
    parts = [f"{what}/accuracy" for what in ("reward", "outcome", "detail")]
    pq.write_table(table.drop_columns(parts), block)
    alone = f'kind = "search_data"\nsearched = "{tmp_path}/out/tree/search"\n'
    refused = run(tmp_path, alone, "other").exception
    assert isinstance(refused, UserError)
    assert 'no verdicts on answers (column "outcome/accuracy")' in str(refused)


@pytest.mark.slow
def test_a_search_without_its_records_is_refused(tmp_path: Path) -> None:
    write_sums(tmp_path / "sums.jsonl", 12)
    assert run(tmp_path, RECIPE).exit_code == 0
    for path in (tmp_path / "out" / "tree" / "search" / "searches").iterdir():
        path.write_text("")
    alone = f'kind = "search_data"\nsearched = "{tmp_path}/out/tree/search"\n'
    refused = run(tmp_path, alone, "other").exception
    assert isinstance(refused, UserError)
    assert "candidates were judged and none found; restore its file" in str(refused)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ('kind = "search_data"\nsearched = "nowhere"\n', "nowhere is no finished search"),
        ('kind = "search_data"\nsearched = "."\n', "is no finished search"),
        ('kind = "search_data"\n', "searched"),
        ('kind = "tree_data"\nsearched = "x"\n', "search_data"),
    ],
)
def test_what_is_no_search_is_refused_before_anything_runs(tmp_path, recipe, says) -> None:
    refused = run(tmp_path, recipe).exception
    assert isinstance(refused, UserError)
    assert says in str(refused)
    assert not (tmp_path / "out").exists()


def test_its_search_must_be_one() -> None:
    data = {"kind": "search_data", "searched": "@tuned"}
    train = [{"kind": "tiny", "split": "train", "num": 2}]
    tuned = {"kind": "sft", "model": "tiny", "data": {"train": train}}
    recipe = validate({"stages": {"tuned": tuned, "data": data}}, R1Recipe, "recipe")
    with pytest.raises(UserError, match="searched' needs a results, but tuned gives"):
        build(recipe, Path(), "recipe")
