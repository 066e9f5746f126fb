"""The page of a search: which problems it draws, what stands at ends, and that it is safe."""

from __future__ import annotations

from typing import Any

import pytest

from r1.evaluation.search_page import Chosen, choose, pick
from r1.evaluation.summary import JudgedProblem, JudgedSample
from r1.report import search_tree
from r1.report.assets import fill_plain_page
from r1.report.search import write_search_page
from r1.report.search_tree import DrawnTree, Fate, TreeEnd, nodes_to_draw, tree_section
from r1.search.mcts import tree_search
from r1.search.settings import SearchSettings
from r1.types import Outcome
from test_evaluate_command import evaluate_run
from test_evaluate_command import world as world
from test_search import grower, mcts, problems

RULES = ("majority", "best", "weighted", "followed")
FIGURES: dict[str, Any] = {
    "method": "mcts",
    "scorer": "constant",
    "num_problems": 3,
    "num_candidates": 2.0,
    "tokens": {"generated": 10.0, "prefilled": 1.0, "scored": 5.0},
    "rules": {"any": {"value": 0.5, "low": 0.25, "high": 0.75}},
}


def node(parent: int, text: str = "x", ended: str | None = None, visits: int = 1) -> dict[str, Any]:
    numbers = {"value": 0.5, "mean": 0.5, "prior": 0.5}
    return {"parent": parent, "text": text, "ended": ended, "visits": visits, **numbers}


def record(tree: list[dict[str, Any]], *scores: float, followed: int = 0) -> dict[str, Any]:
    candidates = [
        {"score": score, "followed": place == followed, "tokens": 2, "visits": 1, "steps": []}
        for place, score in enumerate(scores)
    ]
    cost = {"generated": 10, "prefilled": 1, "scored": 5}
    return {"candidates": candidates, "tree": tree, "cost": cost}


def judged(name: str, *outcomes: Outcome) -> JudgedProblem:
    samples = [
        JudgedSample(outcome, -1 if outcome == Outcome.UNPARSEABLE else place, 2, False, False)
        for place, outcome in enumerate(outcomes)
    ]
    return JudgedProblem(name, "f", samples)


# -- candidates and nodes


@pytest.mark.parametrize("budget", [1, 8, 200])
def test_every_candidate_is_the_text_on_the_way_to_its_node(budget: int) -> None:
    found = tree_search(problems(6), grower(mcts(budget=budget, expansions=3)))
    for each in found.values():
        nodes = [candidate.node for candidate in each.candidates]
        assert len(set(nodes)) == len(nodes)
        for place, candidate in zip(nodes, each.candidates, strict=True):
            assert place is not None
            text = ""
            while place >= 0:
                text = each.tree[place]["text"] + text
                place = each.tree[place]["parent"]
            assert text == candidate.branch.text
            assert candidate.branch.ended == ("stop" if budget == 200 else candidate.branch.ended)


# -- which problems


def test_a_problem_is_solved_where_every_rule_chose_a_right_end() -> None:
    tree = [node(-1), node(0, ended="stop"), node(0, ended="stop")]
    scored = record(tree, 0.2, 0.9)
    right = choose(judged("a", Outcome.CORRECT, Outcome.CORRECT), scored, RULES)
    assert right.fate is Fate.SOLVED
    assert right.by_rule == {"majority": 0, "best": 1, "weighted": 1, "followed": 0}
    split = choose(judged("a", Outcome.CORRECT, Outcome.WRONG), scored, RULES)
    assert split.fate is Fate.PASSED_OVER
    wrong = choose(judged("a", Outcome.WRONG, Outcome.UNPARSEABLE), scored, RULES)
    assert (wrong.fate, wrong.by_rule["best"]) == (Fate.MISSED, 0)
    none = choose(judged("a", Outcome.UNPARSEABLE, Outcome.UNPARSEABLE), scored, ("best",))
    assert none.by_rule == {"best": None}


def test_failed_and_solved_problems_are_drawn_where_there_are_both() -> None:
    sizes = {"a": 9, "b": 8, "c": 7, "d": 6, "e": 2}
    records = {name: record([node(-1)] * size, 0.5) for name, size in sizes.items()}
    fates = dict(zip(sizes, [Fate.MISSED] * 4 + [Fate.SOLVED], strict=True))
    chosen = [Chosen(judged(name), {}, fate) for name, fate in fates.items()]
    assert [each.problem.problem_id for each in pick(chosen, records, 4)] == ["a", "b", "c", "e"]
    assert [each.problem.problem_id for each in pick(chosen[:4], records, 2)] == ["a", "b"]
    assert len(pick(chosen, records, 9)) == 5


# -- the page


def drawn(nodes: list[dict[str, Any]], *ends: TreeEnd, **changes: Any) -> DrawnTree:
    fields = {"name": "p", "question": "2 + 2?", "wanted": "4", "fate": Fate.MISSED, "unmet": ()}
    return DrawnTree(**{**fields, "nodes": nodes, "ends": ends, "generated": 10, **changes})


def test_an_end_says_its_verdict_and_who_chose_it_in_words() -> None:
    nodes = [node(-1, ""), node(0, "so 5", "stop"), node(0, "so 4", "length"), node(0, "go on")]
    section = tree_section(
        drawn(
            nodes,
            TreeEnd(1, "wrong", "5 is not 4", "5", 0.75, ("best", "weighted")),
            TreeEnd(2, "correct", None, "4", 0.25, ("majority",)),
            unmet=["followed"],
        )
    )
    assert "2 + 2?" in section
    assert "<dt>wanted</dt><dd><code>4</code></dd>" in section
    for line, words in (
        ("so 5", ("✗</span> wrong", "chosen by best, weighted")),
        ("so 4", ("✓</span> right", "cut at the limit of tokens", "chosen by majority")),
    ):
        [item] = [each for each in section.split("<li>") if line in each]
        assert all(word in item for word in words), item
    [other] = [each for each in section.split("<li>") if "go on" in each]
    assert "verdict" not in other
    assert "<dt>best, weighted</dt>" in section
    assert "5 is not 4" in section
    assert "chose nothing" in section
    assert "1 wrong, 1 right" in section


def test_what_models_and_data_wrote_is_text(tmp_path) -> None:
    bad = "<script>alert(1)</script>"
    tree = drawn(
        [node(-1, bad), node(0, bad, "stop")],
        TreeEnd(1, bad, bad, bad, 0.5, (bad,)),
        name=bad,
        question=bad,
        wanted=bad,
        unmet=[bad],
    )
    path = write_search_page(tmp_path, FIGURES, [tree], {Fate.MISSED: 1}, bad)
    page = path.read_text()
    assert "<script" not in page
    assert "default-src &#x27;none&#x27;" in page
    assert "script-src &#x27;none&#x27;" in page
    assert "http" not in page.replace('http-equiv="Content', "")


def test_the_page_counts_what_is_not_drawn(tmp_path) -> None:
    tree = drawn([node(-1), node(0, ended="stop")], TreeEnd(1, "wrong", None, "5", 0.5, ()))
    fates = {Fate.MISSED: 2, Fate.PASSED_OVER: 0, Fate.SOLVED: 1}
    page = write_search_page(tmp_path, FIGURES, [tree], fates, "tiny").read_text()
    assert "1 of 3 problems is drawn: those with the largest trees" in page
    assert "2 of 3: no end is right" in page
    page = write_search_page(tmp_path, FIGURES, [], dict.fromkeys(fates, 0), "tiny").read_text()
    assert "keeps no tree" in page


def test_of_a_large_tree_the_chosen_end_is_drawn_however_seldom_it_was_visited(monkeypatch) -> None:
    monkeypatch.setattr(search_tree, "MAX_NODES", 5)
    nodes = [
        node(-1, visits=99),
        *(node(0, visits=50) for _ in range(8)),
        node(8, "end", "stop", 0),
    ]
    tree = drawn(nodes, TreeEnd(9, "correct", None, "4", 0.5, ("best",)))
    assert nodes_to_draw(tree) == {0, 1, 2, 8, 9}
    assert "the 5 that were visited least are not drawn" in tree_section(tree)


def test_a_deep_tree_is_drawn_within_what_browsers_nest() -> None:
    nodes = [node(-1, visits=999)]
    for depth in range(190):
        nodes += [node(2 * depth, visits=900 - depth), node(2 * depth, visits=900 - depth)]
    section = tree_section(drawn(nodes))
    assert "deeper steps are not drawn" in section
    depth = most = 0
    for part in section.split("<")[1:]:
        depth += {"u": part.startswith("ul"), "/": -part.startswith("/ul")}.get(part[0], 0)
        most = max(most, depth)
    assert most <= 80


def test_a_search_names_its_page_which_shows_questions_and_answers(world, tmp_path) -> None:
    settings = SearchSettings(
        method="mcts", scorer="constant", budget=30, expansions=2, step_tokens=2
    )
    _, shown = evaluate_run(world, tmp_path / "out", search=settings)
    assert str(tmp_path / "out" / "search.html") in shown.replace("\n", "")
    page = (tmp_path / "out" / "search.html").read_text()
    assert "4 of 5 problems are drawn: those with the largest trees" in page
    assert page.count('<section class="searched">') == 4
    assert page.count("<dt>wanted</dt>") == 4
    assert "chosen by" in page


def test_a_plain_page_holds_no_script() -> None:
    parts = dict.fromkeys(("kind", "status", "tiles", "rules", "drawn", "trees"), "")
    page = fill_plain_page("search.html", ("report.css",), name="x", **parts)
    assert "<script" not in page
    assert "$" not in page.split("<main>")[1]
