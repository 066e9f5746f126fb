"""FRAMES: 824 questions that need several Wikipedia articles (Krishna et al. 2024); a judge grades.

The paper's protocol gives the gold articles in the prompt, each as its address and text, then the
question. The data set has addresses only: freeze the articles once as `articles.jsonl`, a line each
with url and text. A question of which an article is missing is then refused by name; without the
file the questions are asked without articles, which is another benchmark, and is named so. No text
is cut: a question that does not fit into the model's context is left out and counted.

Addresses of one article differ in their fragments ("#History") and are given once.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from r1.benchmarks.judging.graded import grading
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import csv_rows, json_lines
from r1.data.rows import RowError, shown
from r1.files.regular import read_bytes
from r1.judge.grade import grading_task
from r1.types import Problem

_ASK = "Answer the question below. These articles hold what is needed:"


def _links(row: Mapping[str, Any]) -> list[str]:
    """The addresses of a row's articles, each once. The column is a Python list as text."""
    try:
        found = ast.literal_eval(text_of(row, "wiki_links"))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(url, str) for url in found):
        raise RowError(f"wiki_links is {shown(row.get('wiki_links'))}; it must be a list of texts")
    return list(dict.fromkeys(_address(url) for url in found))


def _address(url: str) -> str:
    return unquote(url.partition("#")[0].strip())


def _problem(where: str, row: Mapping[str, Any], articles: Mapping[str, str] | None) -> Problem:
    question, answer, links = text_of(row, "Prompt"), text_of(row, "Answer"), _links(row)
    prompt = question
    if articles is not None:
        if missing := [url for url in links if url not in articles]:
            raise RowError(f"the article {missing[0]} is not in articles.jsonl")
        texts = "\n\n".join(f"{url}\n{articles[url]}" for url in links)
        prompt = f"{_ASK}\n\n{texts}\n\nQuestion: {question}"
    metadata = {"question": question}
    return Problem(f"frames/{where}", prompt, answer, "afterwards", metadata=metadata)


def _articles(path: Path) -> dict[str, str]:
    """The frozen texts by address; an odd line is as if it were missing."""
    rows = (row for _, row in json_lines(path) if not isinstance(row, RowError))
    return {_address(text_of(row, "url")): text_of(row, "text") for row in rows if _whole(row)}


def _whole(row: Mapping[str, Any]) -> bool:
    return all(isinstance(row.get(name), str) and row[name].strip() for name in ("url", "text"))


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    rows = csv_rows("test", read_bytes(paths[0][0]), origin=str(paths[0][0]))
    articles = _articles(paths[1][0]) if len(paths) > 1 else None
    return items(rows, lambda where, row: _problem(where, row, articles))


register_benchmark(
    Benchmark(
        name="frames",
        title="FRAMES",
        measures="facts, several articles",
        num_questions=824,
        k=1,
        protocol="the gold articles, then the question; a judge grades: correct or not",
        data="google/frames-benchmark as test.tsv, and its articles as articles.jsonl (url, text)",
        layouts=(
            DataLayout("FRAMES, with the gold articles", ("test.tsv", "articles.jsonl"), _read),
            DataLayout(
                "FRAMES without articles: another benchmark", ("test.tsv",), _read, of_paper=False
            ),
        ),
        metric="judged",
        judging=grading(grading_task, attempts=False),
        published=table_4(72.5, 80.5, 73.3, 76.9, 82.5) | stages(82.3, 78.5, 81.8, 81.9),
    )
)
