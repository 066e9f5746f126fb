"""The page of a search: what each rule got right, what it cost, and a few trees to look at.

    out/search.html     one file, nothing from the network, no script

Shown are trees of the problems with the most nodes: a bar for a node's mean value, its visits and
its step; what was followed most is open, the rest folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from r1.run_dir.atomic import write_text

PAGE = "search.html"
MAX_TREES, MAX_NODES = 4, 400
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:CanvasText;background:Canvas;color-scheme:light dark}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #8885}
td:first-child,th:first-child{text-align:left}
ul.tree,ul.tree ul{list-style:none;margin:0;padding-left:1.1rem;border-left:1px solid #8885}
summary{cursor:pointer}
code{white-space:pre-wrap}
.bar{display:inline-block;width:4rem;height:.6rem;background:#8883;margin-right:.4rem}
.bar i{display:block;height:100%;background:#3b7dd8}
.end code{font-weight:600}
small{opacity:.7}
"""


def write_search_page(
    out: Path,
    figures: Mapping[str, Any],
    records: Mapping[str, Mapping[str, Any]],
    name: str,
) -> Path:
    """Write the page into the folder of a searched evaluation and return its path."""
    trees = sorted(
        (record for record in records.values() if record["tree"]),
        key=lambda record: (-len(record["tree"]), record["id"]),
    )[:MAX_TREES]
    drawn = "".join(_tree_section(record) for record in trees)
    title = f"{escape(name)}: {escape(str(figures['method']))}"
    body = f"<h1>{title}</h1>{_cost(figures)}{_rules(figures)}{drawn}"
    path = out / PAGE
    write_text(
        path,
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{title} · r1 search</title><style>{_STYLE}</style></head><body>{body}</body>"
        "</html>\n",
    )
    return path


RULED = " The rule valued the tree's ends: these are no figures of a model."


def _cost(figures: Mapping[str, Any]) -> str:
    parts = [f"{value:,.0f} {kind}" for kind, value in figures["tokens"].items()]
    return (
        f"<p>{figures['num_problems']} problems, scorer {escape(str(figures['scorer']))}, "
        f"{figures['num_candidates']:.1f} candidates a problem. Tokens a problem: "
        f"{', '.join(parts)}; branches that were thrown away are counted."
        f"{RULED if figures.get('ends') == 'rule' else ''}</p>"
    )


def _rules(figures: Mapping[str, Any]) -> str:
    """A row a rule, or a row a number of samples."""
    by_num = figures.get("by_num")
    names = list(figures["rules"])
    if not by_num:
        rows = [f"<tr><td>{name}</td><td>{_share(found)}</td></tr>"
                for name, found in figures["rules"].items()]  # fmt: skip
        return f"<table><tr><th>rule<th>accuracy (95 %)</tr>{''.join(rows)}</table>"
    head = "".join(f"<th>{name}" for name in names)
    rows = [
        f"<tr><td>{num}<td>{row['tokens']:,.0f}"
        + "".join(f"<td>{_share(row[name])}" for name in names)
        + "</tr>"
        for num, row in by_num.items()
    ]
    return f"<table><tr><th>N<th>tokens{head}</tr>{''.join(rows)}</table>"


def _share(interval: Mapping[str, float]) -> str:
    value, low, high = (100 * interval[name] for name in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f}-{high:.1f})"


def _tree_section(record: Mapping[str, Any]) -> str:
    nodes: Sequence[Mapping[str, Any]] = record["tree"]
    children: dict[int, list[int]] = {}
    for index, node in enumerate(nodes[:MAX_NODES]):
        children.setdefault(node["parent"], []).append(index)
    more = f" (the first {MAX_NODES} are shown)" if len(nodes) > MAX_NODES else ""
    drawn = "".join(_node(child, nodes, children, True) for child in children.get(0, ()))
    return (
        f"<h2>{escape(record['id'])}</h2><p><small>{len(nodes)} nodes{more}, "
        f"{record['cost']['generated']:,} tokens generated. Bar: mean value of the visits; "
        f'bold: a response\'s end.</small></p><ul class="tree">{drawn}</ul>'
    )


def _node(
    index: int,
    nodes: Sequence[Mapping[str, Any]],
    children: Mapping[int, Sequence[int]],
    followed: bool,
) -> str:
    node, below = nodes[index], children.get(index, ())
    mean = min(1.0, max(0.0, node["mean"]))
    line = (
        f'<span class="bar"><i style="width:{100 * mean:.0f}%"></i></span>'
        f"<code>{escape(node['text'].strip()) or '(blank)'}</code> "
        f"<small>{node['visits']} visits, mean {node['mean']:.2f}, prior {node['prior']:.2f}"
        f"</small>"
    )
    kind = ' class="end"' if node["ended"] else ""
    if not below:
        return f"<li{kind}>{line}</li>"
    best = max(below, key=lambda child: (nodes[child]["visits"], nodes[child]["mean"]))
    inner = "".join(_node(child, nodes, children, followed and child == best) for child in below)
    opened = " open" if followed else ""
    return f"<li><details{opened}><summary>{line}</summary><ul>{inner}</ul></details></li>"
