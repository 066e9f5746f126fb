"""A search tree: which node comes next, and what a visit adds (pure, no model).

    PUCT (AlphaZero)   argmax over children of  Q + P c(N) sqrt(N) / (1 + n)
                       c(N) = log((N + c_base + 1) / c_base) + c_init
    backup             W += value, n += 1 on the way to the root;  Q = W / n

P: the child's share of the draws that its parent's children were merged from; N: the visits of the
parent's children; n, Q: the child's visits and mean value. A child that was never visited has its
scorer's value as Q. Ties: the child that was drawn first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from r1.search.protocol import Branch
from r1.search.settings import SearchSettings


@dataclass(slots=True, eq=False)
class SearchNode:
    """A branch in the tree. value: its scorer's."""

    branch: Branch
    prior: float = 1.0
    value: float = 0.0
    parent: SearchNode | None = None
    children: list[SearchNode] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0

    @property
    def mean(self) -> float:
        """Q: the mean of what visits brought; before the first the scorer's value."""
        return self.total / self.visits if self.visits else self.value

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can follow."""
        return self.branch.ended is not None

    def walk(self) -> Iterator[SearchNode]:
        """This node and all below it, parents first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack += reversed(node.children)


def puct(child: SearchNode, parent_visits: int) -> float:
    """Return a child's priority; parent_visits: of all its parent's children together."""
    base = SearchSettings.c_base
    weight = math.log((parent_visits + base + 1) / base) + SearchSettings.c_init
    return child.mean + child.prior * weight * math.sqrt(parent_visits) / (1 + child.visits)


def select_child(node: SearchNode) -> SearchNode:
    """Return the child with the highest priority, the first of equal ones."""
    visits = sum(child.visits for child in node.children)
    return max(node.children, key=lambda child: puct(child, visits))


def select_leaf(root: SearchNode) -> SearchNode:
    """Follow the priorities to a node without children."""
    node = root
    while node.children:
        node = select_child(node)
    return node


def back_up(node: SearchNode, value: float) -> None:
    """Add a visit that brought `value` to a node and all above it."""
    step: SearchNode | None = node
    while step is not None:
        step.visits += 1
        step.total += value
        step = step.parent


def most_visited_leaf(root: SearchNode) -> SearchNode:
    """Follow the most visited children that lead to a terminal, or all where none does; ties by
    mean value, then the first."""
    leading: set[int] = set()
    for found in root.walk():
        node: SearchNode | None = found if found.is_terminal else None
        while node is not None and id(node) not in leading:
            leading.add(id(node))
            node = node.parent
    node = root
    while node.children:
        among = [child for child in node.children if id(child) in leading] or node.children
        node = max(among, key=lambda child: (child.visits, child.mean))
    return node
