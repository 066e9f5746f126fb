"""The page of a search: what each rule got right, what it cost, and a few trees to look at.

    out/search.html     one file, nothing from the network, no script

Which problems are drawn, and who chose which end, is r1.evaluation.search_page's part; a tree is
drawn by search_tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from r1.report.assets import fill_plain_page
from r1.report.search_tree import DrawnTree, Fate, tree_section
from r1.report.tables import Tile, tile_html
from r1.run_dir.atomic import write_text
from r1.run_dir.evaluation import SEARCH_PAGE

RULED = " The rule valued the tree's ends: these are no figures of a model."
WORDS = {
    "any": "right if one candidate is right: the ceiling",
    "mean": "share of the candidates that are right: what one gets at random",
    "majority": "the answer that most candidates give",
    "best": "the candidate with the highest score",
    "weighted": "the answer with the largest sum of scores",
    "followed": "the end that the most visited steps lead to",
}
"""What the rules of choice (r1.search.choose) do."""


def write_search_page(
    out: Path,
    figures: Mapping[str, Any],
    trees: list[DrawnTree],
    fates: Mapping[Fate, int],
    name: str,
) -> Path:
    """Write the page into the folder of a searched evaluation and return its path.

    trees: the problems that are drawn. fates: how many problems had each, of all with a tree.
    """
    path = out / SEARCH_PAGE
    page = fill_plain_page(
        "search.html",
        ("report.css", "pipeline.css", "search.css"),
        name=escape(name),
        kind=escape(f"search · {figures['method']}"),
        status=_status(figures),
        tiles="\n".join(tile_html(tile) for tile in _tiles(figures)),
        rules=_rules(figures),
        drawn=_drawn(len(trees), fates),
        trees="\n".join(map(tree_section, trees)),
    )
    write_text(path, page)
    return path


def _status(figures: Mapping[str, Any]) -> str:
    problems = figures["num_problems"]
    told = f"{problems} problem{'s' * (problems != 1)}, scorer {figures['scorer']}."
    return escape(told + (RULED if figures.get("ends") == "rule" else ""))


def _tiles(figures: Mapping[str, Any]) -> list[Tile]:
    notes = {
        "generated": "thrown-away branches too",
        "prefilled": "prompts and prefixes",
        "scored": "read by the scorer",
    }
    return [
        Tile("candidates a problem", None, f"{figures['num_candidates']:.1f}", "judged responses"),
        *(
            Tile(f"tokens {kind} a problem", None, f"{value:,.0f}", notes.get(kind, ""))
            for kind, value in figures["tokens"].items()
        ),
    ]


def _rules(figures: Mapping[str, Any]) -> str:
    """A row a rule, or a row a number of samples."""
    by_num = figures.get("by_num")
    names = list(figures["rules"])
    if not by_num:
        head = "<th>rule</th><th class='number'>accuracy</th><th>what it chooses</th>"
        rows = [
            f"<tr><th scope='row'>{name}</th><td class='number'>{_share(found)}</td>"
            f"<td>{WORDS.get(name, '')}</td></tr>"
            for name, found in figures["rules"].items()
        ]
    else:
        head = "".join(f"<th class='number'>{name}</th>" for name in ("N", "tokens", *names))
        rows = [
            f"<tr><td class='number'>{num}</td><td class='number'>{row['tokens']:,.0f}</td>"
            + "".join(f"<td class='number'>{_share(row[name])}</td>" for name in names)
            + "</tr>"
            for num, row in by_num.items()
        ]
    return f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"


def _share(interval: Mapping[str, float]) -> str:
    return (
        f"<span class='value'>{100 * interval['value']:.1f}%</span>"
        f"<span class='range'>{_interval(interval)}</span>"
    )


def _interval(interval: Mapping[str, float]) -> str:
    return f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}"


def _drawn(shown: int, fates: Mapping[Fate, int]) -> str:
    """Say how many problems are drawn, and how many of all had which fate."""
    total = sum(fates.values())
    if not total:
        return (
            '<p class="note">This method keeps no tree. <code>searches/*.jsonl</code> has every '
            "candidate's score, <code>blocks/*.parquet</code> its text and verdict.</p>"
        )
    said = f"{shown} of {total} problems {'is' if shown == 1 else 'are'} drawn"
    if shown < total:
        said += ": those with the largest trees, of each outcome in turn"
    of_all = "".join(
        f'<li><span class="chip {fate.tone}">{fate.label}</span> {number} of {total}: '
        f"{fate.meaning}.</li>"
        for fate, number in fates.items()
    )
    return f"""<p class="note">{said}.</p><ul class="fates">{of_all}</ul>
<p class="note">A line is a step. Its bar is the mean value that its visits brought; the prior is
its share of the draws. A response's end has its verdict, and the rules that chose it.</p>"""
