"""A problem of a search and its tree as HTML: the question, the choices, and every step drawn.

An end carries its verdict and the rules that chose it, in words and signs besides colour. Steps
that only one step follows stand below each other; where a search branched, the tree folds. The ways
to the chosen ends are open. Completions are hostile text: everything is escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from html import escape
from typing import Any, NamedTuple

from r1.types import Outcome

MAX_NODES, MAX_BRANCHINGS, MAX_CHARS = 400, 80, 1_500
"""Of a tree: steps drawn, branchings below each other (browsers bound nesting), and of a text."""
MARKS = {Outcome.CORRECT: ("✓", "correct", "right"), Outcome.WRONG: ("✗", "wrong", "wrong")}


class Fate(Enum):
    """What became of a problem: label, what it means, tone."""

    MISSED = ("missed", "no end is right", "bad")
    PASSED_OVER = ("passed over", "an end is right, and not every rule chose such a one", "unsure")
    SOLVED = ("solved", "every rule chose a right end", "good")

    def __init__(self, label: str, meaning: str, tone: str) -> None:
        self.label, self.meaning, self.tone = label, meaning, tone


class TreeEnd(NamedTuple):
    """A candidate as it was judged. node: its place in the tree, None where that does not tell;
    outcome: the verdict on it, None without one; detail: what the verifier says of it."""

    node: int | None
    outcome: str | None
    detail: str | None
    answer: str | None
    score: float
    chosen_by: tuple[str, ...]


class DrawnTree(NamedTuple):
    """A problem whose search is drawn. wanted: the answer, None where a rule needs none; unmet: the
    rules that chose nothing."""

    name: str
    question: str
    wanted: str | None
    fate: Fate
    nodes: Sequence[Mapping[str, Any]]
    ends: Sequence[TreeEnd]
    unmet: Sequence[str]
    generated: int


def tree_section(tree: DrawnTree) -> str:
    """Return the section of a problem."""
    kept = nodes_to_draw(tree)
    left_out = len(tree.nodes) - len(kept)
    more = f"; the {left_out:,} that were visited least are not drawn" if left_out else ""
    wanted = "no reference: a rule judges" if tree.wanted is None else _code(tree.wanted)
    steps = _Drawing(tree, kept).all()
    return (
        f'<section class="searched"><h3>{escape(tree.name)} '
        f'<span class="chip {tree.fate.tone}">{tree.fate.label}</span></h3>'
        f'<p class="question">{escape(_cut(tree.question))}</p>'
        f"<dl><dt>wanted</dt><dd>{wanted}</dd>{_choices(tree)}"
        f"<dt>all ends</dt><dd>{_counts(tree.ends)}</dd></dl>"
        f'<p class="note">{len(tree.nodes):,} nodes{more}; {tree.generated:,} tokens generated.</p>'
        f'<div class="scroll"><ul class="tree">{steps}</ul></div></section>'
    )


def nodes_to_draw(tree: DrawnTree) -> set[int]:
    """Return the nodes that are drawn: the ways to chosen ends, then what was visited most."""
    nodes = tree.nodes
    kept = _ways(tree)
    for place in sorted(range(len(nodes)), key=lambda n: (-nodes[n]["visits"], n)):
        if len(kept) >= MAX_NODES:
            break
        if nodes[place]["parent"] < 0 or nodes[place]["parent"] in kept:
            kept.add(place)
    return kept


def _ways(tree: DrawnTree) -> set[int]:
    """The nodes on the ways to ends that a rule chose."""
    found = set()
    for end in tree.ends:
        place = end.node if end.chosen_by and end.node is not None else -1
        while place >= 0 and place not in found:
            found.add(place)
            place = tree.nodes[place]["parent"]
    return found


def _choices(tree: DrawnTree) -> str:
    """A row for each end that a rule chose, and one for the rules that chose none."""
    rows = [
        f"<dt>{escape(', '.join(end.chosen_by))}</dt><dd>"
        f"{_code(end.answer) if end.answer is not None else 'no answer'} {_verdict(end.outcome)} "
        f'<span class="note">score {end.score:.2f}{_why(end.detail)}</span></dd>'
        for end in tree.ends
        if end.chosen_by
    ]
    if tree.unmet:
        rows.append(f"<dt>{escape(', '.join(tree.unmet))}</dt><dd>chose nothing: no answer</dd>")
    return "".join(rows)


def _why(detail: str | None) -> str:
    return f"; {escape(_cut(detail))}" if detail else ""


def _counts(ends: Sequence[TreeEnd]) -> str:
    counts = Counter(_word(end.outcome) for end in ends)
    return escape(", ".join(f"{number} {word}" for word, number in counts.most_common()))


def _word(outcome: str | None) -> str:
    if outcome is None:
        return "not judged"
    return MARKS[Outcome(outcome)][2] if outcome in MARKS else outcome.replace("_", " ")


def _verdict(outcome: str | None) -> str:
    sign, tone = MARKS[Outcome(outcome)][:2] if outcome in MARKS else ("?", "unsure")
    return (
        f'<span class="verdict {tone}"><span aria-hidden="true">{sign}</span> '
        f"{escape(_word(outcome))}</span>"
    )


class _Drawing:
    """The list of a tree's steps."""

    def __init__(self, tree: DrawnTree, kept: set[int]) -> None:
        self.nodes, self.open = tree.nodes, _ways(tree)
        self.ends = {end.node: end for end in tree.ends if end.node is not None}
        self.below: dict[int, list[int]] = {}
        for place in sorted(kept):
            self.below.setdefault(tree.nodes[place]["parent"], []).append(place)

    def all(self) -> str:
        """The steps below the root, which holds no text; the root where there are none."""
        return "".join(self._item(place, 1) for place in self.below.get(0, [0]))

    def _item(self, place: int, depth: int) -> str:
        """A step, those that follow it alone, and the branches after them."""
        lines = [self._line(place)]
        while len(below := self.below.get(place, [])) == 1:
            place = below[0]
            lines.append(self._line(place))
        if not below:
            return f"<li>{''.join(lines)}</li>"
        if depth >= MAX_BRANCHINGS:
            return f"<li>{''.join(lines)}<div class='note'>deeper steps are not drawn</div></li>"
        inner = "".join(self._item(child, depth + 1) for child in below)
        opened = " open" if any(child in self.open for child in below) else ""
        return (
            f"<li><details{opened}><summary>{''.join(lines)}</summary><ul>{inner}</ul></details>"
            "</li>"
        )

    def _line(self, place: int) -> str:
        node, end = self.nodes[place], self.ends.get(place)
        mean, visits = min(1.0, max(0.0, node["mean"])), node["visits"]
        return (
            f'<div class="step"><span class="mean" title="mean value {node["mean"]:.2f}">'
            f'<i style="width:{100 * mean:.0f}%"></i></span>{_code(node["text"].strip())}'
            f"{'' if end is None else self._end(node, end)}"
            f'<span class="note">{visits} visit{"s" * (visits != 1)}, mean {node["mean"]:.2f}, '
            f"prior {node['prior']:.2f}</span></div>"
        )

    def _end(self, node: Mapping[str, Any], end: TreeEnd) -> str:
        how = {"length": ' <span class="note">cut at the limit of tokens</span>', None: (
            ' <span class="note">unfinished: the budget was spent</span>')}  # fmt: skip
        chosen = ""
        if end.chosen_by:
            chosen = (
                f' <span class="chip chosen">chosen by {escape(", ".join(end.chosen_by))}</span>'
            )
        return f" {_verdict(end.outcome)}{how.get(node['ended'], '')}{chosen} "


def _code(text: str) -> str:
    return f"<code>{escape(_cut(text)) or '(blank)'}</code>"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARS else text[:MAX_CHARS] + " … (cut)"
