"""What the page of a search draws: a few problems, and which end each rule of choice took.

    judged problems + records -> fates -> the largest trees of each fate in turn -> DrawnTree

Questions, references and answers are read from the blocks, for the drawn problems alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from r1.evaluation.search_figures import candidates_of
from r1.evaluation.summary import ACCURACY, JudgedProblem
from r1.report.search import write_search_page
from r1.report.search_tree import DrawnTree, Fate, TreeEnd
from r1.run_dir.evaluation import block_files
from r1.run_dir.stored import iterate_completions
from r1.search.choose import CHOICES, any_correct, rules_of
from r1.search.settings import SearchSettings

MAX_TREES = 4
Records = Mapping[str, Mapping[str, Any]]


class Chosen(NamedTuple):
    """A problem with the place of the candidate that each rule chose; None: it chose none."""

    problem: JudgedProblem
    by_rule: dict[str, int | None]
    fate: Fate


def write_page(
    out: Path,
    figures: Mapping[str, Any],
    judged: Sequence[JudgedProblem],
    records: Records,
    settings: SearchSettings,
    name: str,
) -> Path:
    """Write search.html into the folder of a searched evaluation and return its path."""
    rules = [rule for rule in rules_of(settings) if rule in CHOICES]
    with_tree = [problem for problem in judged if records[problem.problem_id]["tree"]]
    chosen = [choose(problem, records[problem.problem_id], rules) for problem in with_tree]
    fates = {fate: sum(each.fate is fate for each in chosen) for fate in Fate}
    drawn = pick(chosen, records, MAX_TREES)
    return write_search_page(out, figures, _trees(out, drawn, records), fates, name)


def choose(problem: JudgedProblem, record: Mapping[str, Any], rules: Sequence[str]) -> Chosen:
    """Apply the rules of choice to a problem's candidates."""
    candidates = candidates_of(problem, record)
    by_rule: dict[str, int | None] = {}
    right = []
    for rule in rules:
        found = CHOICES[rule](candidates)
        places = [place for place, each in enumerate(candidates) if each is found]
        by_rule[rule] = places[0] if places else None
        right.append(found is not None and found.correct)
    fate = Fate.MISSED
    if any_correct(candidates):
        fate = Fate.SOLVED if all(right) else Fate.PASSED_OVER
    return Chosen(problem, by_rule, fate)


def pick(chosen: Sequence[Chosen], records: Records, num: int) -> list[Chosen]:
    """Return `num` problems: of each fate in turn the one with the largest tree; by fate."""

    def size(each: Chosen) -> tuple[int, str]:
        name = each.problem.problem_id
        return -len(records[name]["tree"]), name

    of_fates = [sorted((each for each in chosen if each.fate is fate), key=size) for fate in Fate]
    turns = [
        (turn, place, each)
        for place, of_fate in enumerate(of_fates)
        for turn, each in enumerate(of_fate)
    ]
    first = sorted(turns, key=itemgetter(0, 1))[:num]
    return [each for _, _, each in sorted(first, key=itemgetter(1, 0))]


def _trees(out: Path, drawn: Sequence[Chosen], records: Records) -> list[DrawnTree]:
    names = [each.problem.problem_id for each in drawn]
    rows: dict[str, list[dict[str, Any]]] = {}
    for path in block_files(out) if names else ():
        for name, of_problem in groupby(iterate_completions(path, names), itemgetter("problem_id")):
            rows[name] = list(of_problem)
    return [_tree(each, records[each.problem.problem_id], rows) for each in drawn]


def _tree(
    each: Chosen, record: Mapping[str, Any], rows: Mapping[str, Sequence[Mapping[str, Any]]]
) -> DrawnTree:
    name, samples = each.problem.problem_id, each.problem.samples
    of_problem = rows[name]
    ends = [
        TreeEnd(
            candidate.get("node"),
            None if sample.outcome is None else str(sample.outcome),
            row.get(f"detail/{ACCURACY}"),
            row["answer"],
            candidate["score"],
            tuple(rule for rule, chosen in each.by_rule.items() if chosen == place),
        )
        for place, (sample, row, candidate) in enumerate(
            zip(samples, of_problem, record["candidates"], strict=True)
        )
    ]
    unmet = [rule for rule, chosen in each.by_rule.items() if chosen is None]
    question, wanted = of_problem[0]["prompt"], of_problem[0]["reference"]
    generated = record["cost"]["generated"]
    return DrawnTree(name, question, wanted, each.fate, record["tree"], ends, unmet, generated)
