"""Monte Carlo tree search with a value model, many problems in lock-step.

    select a leaf by PUCT -> first visit: its value -> second visit: draw its next steps, score them

Each round every problem walks its tree until it needs an expansion; all expansions are one batch of
the engine and one of the scorer. Equal next steps are one child, whose prior is its share of the
draws: `expansions` is the cap on a node's children. A terminal's value is the scorer's, as gold is
not known at evaluation, or a rule's where problems are searched to be learnt from (`ends`). The
tree is kept to the end of the search, so nothing is drawn twice.

A search ends where its generated tokens reach the budget, or where PATIENCE visits in a row asked
for no expansion. Left out on purpose: noise at the root (it belongs to training), virtual losses
(problems are what runs side by side), and moves that are final before the budget is spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from r1.search.growth import Grower, SearchedProblem
from r1.search.protocol import Branch, Proposal, SearchCost, SearchResult
from r1.search.tree import SearchNode, back_up, most_visited_leaf, select_leaf

PATIENCE = 512


def tree_search(problems: Sequence[SearchedProblem], grower: Grower) -> dict[str, SearchResult]:
    """Search all problems; what was found by their ids."""
    budget = grower.settings.budget
    assert budget is not None, "the settings have seen to it"
    costs = {problem.id: SearchCost() for problem in problems}
    roots = {problem.id: SearchNode(Branch()) for problem in problems}
    draws = dict.fromkeys(costs, 0)
    under = list(problems)
    while under:
        leaves = [(problem, next_leaf(roots[problem.id])) for problem in under]
        asked = [(problem, leaf) for problem, leaf in leaves if leaf is not None]
        _expand(asked, grower, costs, draws)
        under = [problem for problem, _ in asked if costs[problem.id].generated < budget]
    return {
        problem.id: _found(roots[problem.id], costs[problem.id], problem) for problem in problems
    }


def next_leaf(root: SearchNode) -> SearchNode | None:
    """Visit the tree until a leaf is to be expanded, and return it; None where none comes up."""
    for _ in range(PATIENCE):
        leaf = select_leaf(root)
        if not leaf.is_terminal and (leaf is root or leaf.visits):
            return leaf
        back_up(leaf, leaf.value)
    return None


def _expand(
    asked: Sequence[tuple[SearchedProblem, SearchNode]],
    grower: Grower,
    costs: dict[str, SearchCost],
    draws: dict[str, int],
) -> None:
    """Give leaves their children; visit the best child of each."""
    wanted = [(problem, leaf.branch, draws[problem.id]) for problem, leaf in asked]
    for problem, _ in asked:
        draws[problem.id] += 1
    grown = grower.grow(wanted, costs)
    for (_, leaf), found in zip(asked, grown, strict=True):
        drawn = sum(child.draws for child in found)
        leaf.children = [
            SearchNode(child.branch, child.draws / drawn, parent=leaf) for child in found
        ]
    children = [(problem, child) for problem, leaf in asked for child in leaf.children]
    values = grower.values([(problem, child.branch) for problem, child in children], costs)
    for (_, child), value in zip(children, values, strict=True):
        child.value = value
    for _, leaf in asked:
        best = select_leaf(leaf)
        back_up(best, best.value)


def _found(root: SearchNode, cost: SearchCost, problem: SearchedProblem) -> SearchResult:
    """The terminals as candidates; where there is none, the branch that was followed most."""
    nodes = list(root.walk())
    followed = most_visited_leaf(root)
    ends = [node for node in nodes if node.is_terminal] or [followed]
    places = {id(node): place for place, node in enumerate(nodes)}
    candidates = [
        Proposal(node.branch, node.mean, node.visits, node is followed, node=places[id(node)])
        for node in ends
    ]
    return SearchResult(candidates, cost, tree_rows(nodes))


def tree_rows(nodes: Sequence[SearchNode]) -> list[dict[str, Any]]:
    """Return nodes as JSON values: its own step's text, the parent's place in the list (-1: none),
    value, mean, visits, prior, and how it ended. nodes: parents first."""
    place = {id(node): index for index, node in enumerate(nodes)}
    rows = []
    for node in nodes:
        before = node.parent.branch.text if node.parent else ""
        own = node.branch.text
        own = "" if before.startswith(own) else own.removeprefix(before)  # a stop string cut it
        rows.append(
            {
                "parent": place[id(node.parent)] if node.parent else -1,
                "text": own,
                "value": node.value,
                "mean": node.mean,
                "visits": node.visits,
                "prior": node.prior,
                "ended": node.branch.ended,
            }
        )
    return rows
