"""Search at test time: PUCT and backups by hand, beams, trees, the final choice."""

from __future__ import annotations

import math
import random

import pytest

from r1.config import validate
from r1.errors import UserError
from r1.rollout.protocol import FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.search.beam import beam_search
from r1.search.choose import FIGURES, JudgedCandidate, figure_of_sets
from r1.search.engine import ConstantScorer, SearchEngine, read_records
from r1.search.growth import Grower, SearchedProblem
from r1.search.mcts import next_leaf, tree_search
from r1.search.protocol import Branch, SearchCost
from r1.search.settings import SearchSettings
from r1.search.tree import SearchNode, back_up, most_visited_leaf, puct, select_child
from r1.search.whole import score_groups
from r1.types import Completion, GroupRequest

END = 0


class CharTokenizer:
    """A token a character, by its code; 0 is the end."""

    def decode(self, ids, **_):
        return "".join("<end>" if i == END else chr(i) for i in ids)


class DigitEngine:
    """Steps are a digit and a line break; the third step is the answer and ends the response.

    What is drawn follows from the seed alone. kinds: how many different digits there are.
    """

    tokenizer = CharTokenizer()

    def __init__(self, kinds: int = 10, break_lines: bool = True) -> None:
        self.kinds, self.break_lines = kinds, break_lines
        self.calls = 0

    def generate(self, requests, sampling):
        self.calls += 1
        for request in requests:
            lines = self.tokenizer.decode(request.prompt_ids).count("\n")
            yield FinishedGroup(
                request, [self.draw(seed, lines, sampling) for seed in request.seeds]
            )

    def draw(self, seed, lines, sampling):
        digit = random.Random(seed).randrange(self.kinds)
        if lines >= 2:
            return Completion([48 + digit, END], [-1.0, -1.0], str(digit), "stop")
        if not self.break_lines:
            ids = [48 + digit] * sampling.max_new_tokens
            return Completion(ids, [-1.0] * len(ids), str(digit) * len(ids), "length")
        return Completion([48 + digit, 10], [-1.0, -1.0], str(digit), "stop")

    def load_weights(self, weights, version):
        raise NotImplementedError


class DigitScorer:
    """A step is worth its digit over ten: larger digits are better."""

    def score_steps(self, prompts, responses, earlier=()):
        return [[int(line[-1]) / 10 for line in text.split("\n") if line] for text in responses]


def problems(count: int = 3) -> list[SearchedProblem]:
    return [SearchedProblem(f"p{n}", "q", (63,), 100 + n) for n in range(count)]


def grower(settings: SearchSettings, engine=None, scorer=None, room: int = 40) -> Grower:
    return Grower(
        engine or DigitEngine(),
        scorer or DigitScorer(),
        settings,
        SamplingSettings(max_new_tokens=room),
        lambda problem: room,
    )


def beam(**changes) -> SearchSettings:
    return SearchSettings(**{"method": "beam", "scorer": "x", **changes})


def mcts(**changes) -> SearchSettings:
    return SearchSettings(**{"method": "mcts", "scorer": "x", "budget": 60, **changes})


# -- the tree


def test_puct_by_hand():
    child = SearchNode(Branch(), prior=0.25, visits=3, total=1.5)
    weight = math.log((10 + 19_652 + 1) / 19_652) + 1.25
    assert puct(child, 10) == pytest.approx(0.5 + 0.25 * weight * math.sqrt(10) / 4, abs=1e-12)
    fresh = SearchNode(Branch(), prior=0.5, value=0.7)
    assert puct(fresh, 0) == pytest.approx(0.7, abs=1e-12)
    assert puct(fresh, 4) == pytest.approx(
        0.7 + 0.5 * (math.log((4 + 19_652 + 1) / 19_652) + 1.25) * 2, abs=1e-12
    )


def test_a_backup_reaches_the_root_and_nothing_beside():
    root = SearchNode(Branch())
    left, right = SearchNode(Branch(), parent=root), SearchNode(Branch(), value=0.3, parent=root)
    root.children = [left, right]
    leaf = SearchNode(Branch(), parent=left)
    left.children = [leaf]
    back_up(leaf, 1.0)
    back_up(leaf, 0.0)
    back_up(left, 0.5)
    assert [(n.visits, n.total) for n in (root, left, leaf, right)] == [
        (3, 1.5), (3, 1.5), (2, 1.0), (0, 0.0)]  # fmt: skip
    assert (left.mean, right.mean) == (0.5, 0.3)
    assert most_visited_leaf(root) is leaf


def reference_visits(values: list[float], priors: list[float], rounds: int) -> list[int]:
    """A bandit under PUCT in float64: each visit of a child brings its value."""
    visits, totals = [0] * len(values), [0.0] * len(values)
    for _ in range(rounds):
        num = sum(visits)
        weight = math.log((num + 19_652 + 1) / 19_652) + 1.25
        scores = [
            (t / n if n else v) + p * weight * math.sqrt(num) / (1 + n)
            for t, n, v, p in zip(totals, visits, values, priors, strict=True)
        ]
        best = scores.index(max(scores))
        visits[best] += 1
        totals[best] += values[best]
    return visits


def test_visits_follow_the_reference():
    rng = random.Random(3)
    for _ in range(20):
        values = [rng.random() for _ in range(4)]
        priors = [0.5, 0.25, 0.125, 0.125]
        root = SearchNode(Branch())
        root.children = [
            SearchNode(Branch(ended="stop"), prior, value, root)
            for prior, value in zip(priors, values, strict=True)
        ]
        for _ in range(50):
            child = select_child(root)
            back_up(child, child.value)
        assert [child.visits for child in root.children] == reference_visits(values, priors, 50)


def test_a_leaf_is_expanded_on_its_second_visit_and_a_terminal_never():
    root = SearchNode(Branch())
    assert next_leaf(root) is root
    leaf = SearchNode(Branch(text="a"), 1.0, 0.9, root)
    root.children = [leaf]
    assert next_leaf(root) is leaf
    assert leaf.visits == 1  # the first visit brought its value
    root.children = [SearchNode(Branch(ended="stop"), 1.0, 0.9, root)]
    assert next_leaf(root) is None


# -- the searches


def test_a_beam_keeps_the_best_and_counts_what_it_throws_away():
    settings = beam(beams=2, expansions=4)
    found = beam_search(problems(), grower(settings))
    for each in found.values():
        # 4 draws of 2 tokens; then two rounds of 2 branches x 4 draws, but for merged equals.
        assert each.cost.generated <= 8 + 2 * 16
        assert each.cost.generated > 8 + 2 * 8 - 1
        assert len(each.candidates) >= 2
        assert all(c.branch.ended == "stop" for c in each.candidates)
        lines = max(each.candidates, key=lambda c: c.score).branch.text.split("\n")
        assert len(lines) == 3
    mean_of_best = sum(max(c.score for c in f.candidates) for f in found.values()) / 3
    alone = beam_search(problems(), grower(beam(beams=1, expansions=1)))
    assert mean_of_best > sum(f.candidates[0].score for f in alone.values()) / 3


def test_finished_beams_stay_in_the_pool():
    """One branch ends early with a high score; it keeps its place and the other goes on."""

    class Early(DigitEngine):
        def draw(self, seed, lines, sampling):
            if lines == 0 and seed % 2:
                return Completion([57, END], [-1.0, -1.0], "9", "stop")
            return super().draw(seed, lines, sampling)

    found = beam_search(problems(8), grower(beam(beams=2, expansions=8), Early()))
    for each in found.values():
        texts = [c.branch.text for c in each.candidates]
        assert "9" in texts
        assert max(each.candidates, key=lambda c: c.score).branch.text == "9"


def test_subtrees_never_compete():
    alone = beam_search(problems(1), grower(beam(beams=4, expansions=2)))["p0"]
    apart = beam_search(problems(1), grower(beam(beams=4, expansions=2, subtrees=4)))["p0"]
    assert len({c.branch.text[0] for c in apart.candidates}) >= len(
        {c.branch.text[0] for c in alone.candidates}
    )
    assert len(apart.candidates) >= 4


def test_equal_steps_are_one_branch():
    found = beam_search(problems(1), grower(beam(beams=4, expansions=6), DigitEngine(kinds=1)))
    assert len(found["p0"].candidates) == 1
    assert found["p0"].cost.generated == 3 * 6 * 2


def test_a_step_without_a_separator_is_cut():
    settings = beam(beams=1, expansions=1, step_tokens=5)
    found = beam_search(problems(1), grower(settings, DigitEngine(break_lines=False), room=12))
    [candidate] = found["p0"].candidates
    assert candidate.branch.ended == "length"
    assert len(candidate.branch.token_ids) == 12  # 5 + 5 + 2


def test_a_budget_ends_a_search():
    found = beam_search(problems(1), grower(beam(beams=4, expansions=4, budget=1)))
    assert found["p0"].cost.generated == 8
    assert [c.branch.ended for c in found["p0"].candidates] == [None] * len(found["p0"].candidates)


def test_a_tree_finds_better_ends_with_a_larger_budget():
    few, many = (
        tree_search(problems(12), grower(mcts(budget=budget, expansions=8))) for budget in (40, 300)
    )

    def best(found):
        return sum(max(c.score for c in f.candidates) for f in found.values())

    assert best(many) >= best(few) - 1e-9
    assert best(many) / 12 > 0.5  # the least of three random digits is 0.2 on average
    for each in many.values():
        assert 300 <= each.cost.generated <= 300 + 16
        assert (
            sum(row["visits"] for row in each.tree if row["parent"] == 0)
            == (each.tree[0]["visits"])
        )
        assert [c.followed for c in each.candidates].count(True) <= 1


def test_a_tree_that_is_known_whole_ends_below_its_budget():
    found = tree_search(problems(1), grower(mcts(budget=10_000, expansions=2)))["p0"]
    assert found.cost.generated <= 7 * 2 * 2  # 1 + 2 + 4 nodes, two draws of two tokens each
    assert max(found.candidates, key=lambda c: c.visits).followed


def test_the_followed_branch_is_one_that_has_ended():
    """Visits gather where nothing has ended yet; the choice is among ends."""
    root = SearchNode(Branch())
    busy = SearchNode(Branch(text="a"), visits=9, total=9.0, parent=root)
    done = SearchNode(Branch(text="b", ended="stop"), visits=1, parent=root)
    root.children = [busy, done]
    assert most_visited_leaf(root) is done
    root.children = [busy]
    assert most_visited_leaf(root) is busy


def test_equal_children_share_a_prior():
    found = tree_search(problems(1), grower(mcts(expansions=8), DigitEngine(kinds=2)))["p0"]
    first = [row for row in found.tree if row["parent"] == 0]
    assert len(first) <= 2
    assert sum(row["prior"] for row in first) == pytest.approx(1.0)
    assert all(row["prior"] * 8 == round(row["prior"] * 8) for row in first)


def test_problems_are_searched_in_one_batch_and_do_not_depend_on_each_other():
    engine = DigitEngine()
    together = tree_search(problems(6), grower(mcts(), engine))
    rounds = engine.calls
    alone = [tree_search([problem], grower(mcts())) for problem in problems(6)]
    for each in alone:
        [(id, found)] = each.items()
        assert together[id].tree == found.tree
    engine.calls = 0
    tree_search(problems(1), grower(mcts(), engine))
    assert rounds <= 2 * engine.calls + 2


def test_the_engine_hands_out_candidates_and_writes_what_judges_do_not_see(tmp_path):
    engine = SearchEngine(DigitEngine(), ConstantScorer(), mcts(), {"p0": "q", "p1": "q"}, tmp_path)
    requests = [GroupRequest(f"p{n}", (63,), (n, 9)) for n in range(2)]
    groups = list(engine.generate(requests, SamplingSettings(max_new_tokens=40)))
    assert [group.request.id for group in groups] == ["p0", "p1"]
    records = read_records(tmp_path)
    for group in groups:
        record = records[group.request.id]
        assert len(record["candidates"]) == len(group.completions)
        assert record["cost"]["generated"] >= 60
        assert all(c.text.count("\n") == 2 for c in group.completions if c.finish_reason == "stop")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    list(engine.generate(requests, SamplingSettings(max_new_tokens=40)))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_whole_samples_are_scored(tmp_path):
    settings = SearchSettings(method="best_of_n", scorer="x")

    class Whole(DigitEngine):
        def draw(self, seed, lines, sampling):
            return super().draw(seed, 2, sampling)

    engine = SearchEngine(Whole(), DigitScorer(), settings, {"p0": "q"}, tmp_path)
    [group] = engine.generate([GroupRequest("p0", (63,), (1, 2, 3))], SamplingSettings())
    found = read_records(tmp_path)["p0"]
    assert [c["score"] for c in found["candidates"]] == [
        int(c.text) / 10 for c in group.completions
    ]
    assert found["cost"] == {"generated": 6, "prefilled": 1, "scored": 9}


@pytest.mark.parametrize("scorer", [None, "constant", "oracle", "x"])
def test_only_what_a_model_reads_is_counted(scorer):
    found = [tree_search(problems(1), grower(mcts(scorer=scorer)))] if scorer else []
    whole = SearchSettings(method="vote", scorer=scorer)
    drawn = Completion([49, END], [-1.0, -1.0], "1", "stop")
    group = FinishedGroup(GroupRequest("p0", (63,), (1,)), [drawn])
    found.append(score_groups(problems(1), [group], grower(whole)))
    assert all((each["p0"].cost.scored > 0) == (scorer == "x") for each in found)


# -- the choice


def judged(*rows) -> list[JudgedCandidate]:
    return [JudgedCandidate(*row) for row in rows]


def test_the_rules_by_hand():
    candidates = judged((False, 0, 0.9), (True, 1, 0.5), (False, -1, 1.0), (True, 1, 0.6))
    assert {name: figure(candidates) for name, figure in FIGURES.items()} == {
        "any": 1.0,
        "mean": 0.5,
        "majority": 1.0,
        "best": 0.0,  # the one without an answer scores highest and is passed over
        "weighted": 1.0,
        "followed": 0.0,
    }


def test_ties_go_to_the_first_and_nothing_wins_without_an_answer():
    assert FIGURES["majority"](judged((True, 0), (False, 1))) == 1.0
    assert FIGURES["weighted"](judged((False, 0, 0.5), (True, 1, 0.5))) == 0.0
    assert FIGURES["majority"](judged((True, -1))) == 0.0


def test_figures_of_smaller_sets_use_every_sample_once():
    candidates = judged((True, 0, 0.1), (False, 1, 0.9), (True, 0, 0.8), (True, 0, 0.2))
    assert figure_of_sets("best", candidates, 2) == 0.5
    assert figure_of_sets("mean", candidates, 1) == 0.75
    assert figure_of_sets("majority", candidates, 4) == 1.0


@pytest.mark.parametrize(
    "values",
    [
        {"method": "beam"},
        {"method": "mcts", "scorer": "x"},
        {"method": "vote", "budget": 5},
        {"method": "beam", "scorer": "x", "beams": 4, "subtrees": 3},
    ],
)
def test_what_cannot_be_searched_is_refused(values):
    with pytest.raises(UserError):
        validate(values, SearchSettings, "search")


def test_cost_is_told_by_name():
    assert SearchCost(1, 2, 3).as_json() == {"generated": 1, "prefilled": 2, "scored": 3}
