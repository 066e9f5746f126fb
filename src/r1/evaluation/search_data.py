"""Training data from a search: answers for its policy, values for its value model.

    judged candidates -> the right ones that differ, `cap` a problem -> answers/   (r1.sft)
    trees, verdicts   -> paths with a label for each node            -> states/    (r1.reward_model)

A node's label is the share of the ends below it that were judged right ("soft"), or whether one was
("hard"). A node above several ends is labelled once, on the first path through it; one above none
is left out, and one that was cut within a step is joined with the next. A whole sample has one
label, at its last step: it teaches an outcome model.

These labels hold for what this search went to see, under this policy: an end that no visit came to
counts nowhere. Both sets survive a kill at any moment (r1.curation.store).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from r1.curation.card import Card, write_card
from r1.curation.filters import ACCURACY, DROPPED, DropReason
from r1.curation.job import Numbered, run_job
from r1.curation.journal import Record
from r1.curation.progress import DataEvents
from r1.curation.settings import CallSettings
from r1.curation.store import Store
from r1.data.rows import content_hash
from r1.errors import UserError
from r1.evaluation.search_data_settings import ANSWERS, STATES, SearchDataSettings
from r1.rollout.seeds import sample_seed
from r1.run_dir.atomic import hash_of
from r1.run_dir.evaluation import SEARCH_RESULT, SEARCHES, block_files, read_request
from r1.run_dir.inputs import hash_files
from r1.run_dir.lineage import short_identity
from r1.run_dir.stored import iterate_judged
from r1.search.engine import read_records
from r1.search.growth import STOPS
from r1.steps.split import LINE, split_steps
from r1.types import Outcome

_OF_BOTH = {
    "id": pa.string(),
    "problem_id": pa.string(),
    "prompt": pa.string(),
    "response": pa.string(),
    "family": pa.string(),
    "language": pa.string(),
    "source": pa.string(),
}
_OUTCOME = f"outcome/{ACCURACY}"
ANSWER_SCHEMA = pa.schema(
    {**_OF_BOTH, "reference": pa.string(), "num_tokens": pa.int32(), "score": pa.float64()}
)
STATE_SCHEMA = pa.schema(
    {
        **_OF_BOTH,
        "steps": pa.list_(pa.string()),
        "labels": pa.list_(pa.float64()),
        "correct": pa.bool_(),
    }
)


class JudgedCandidates(NamedTuple):
    """The candidates of a problem: rows of completions with their verdicts, and the record of its
    search, in the same order."""

    rows: Sequence[Mapping[str, Any]]
    record: Mapping[str, Any]

    @property
    def columns(self) -> dict[str, Any]:
        """What all rows have in common."""
        return {name: self.rows[0][name] for name in ("problem_id", "prompt", "family", "language")}


class LabelledPath(NamedTuple):
    """The steps of a candidate with their labels. place: among the candidates."""

    place: int
    steps: list[str]
    labels: list[float | None]


KeptRows = tuple[Counter[str], list[dict[str, Any]]]
"""Counts of a problem for the card, and its rows."""
RecordOf = Callable[[JudgedCandidates], KeptRows]


class SearchDataCards(NamedTuple):
    """What was kept."""

    answers: Card
    states: Card


def make_search_data(
    folder: Path, searched: Path, settings: SearchDataSettings, progress: DataEvents
) -> SearchDataCards:
    """Write both data sets below `folder`, or carry on there.

    searched: the search's folder. Raises UserError where a search is damaged.
    """
    records = read_records(searched / SEARCHES)
    paths = (*block_files(searched), *sorted((searched / SEARCHES).iterdir()))
    try:
        files = hash_files({path.name: path for path in (*paths, searched / SEARCH_RESULT)})
    except FileNotFoundError as error:  # a link to nowhere
        raise UserError(f"{error.filename} does not exist; restore it, or search again.") from None
    job = {
        "search": hash_of({name: file.sha256 for name, file in files.items()}),
        "settings": settings.model_dump(mode="json", exclude={"shards", "domains"}),
    }
    request = read_request(searched)
    named = str(request.get("search", {}).get("separator", LINE))
    separator = STOPS.get(named, named)
    source = short_identity(request.get("model", {}))

    def make(name: str, schema: pa.Schema, record_of: RecordOf) -> Card:
        def run_call(call: list[Numbered[JudgedCandidates]]) -> Iterator[Record]:
            for entry in call:
                counts, rows = record_of(entry.item)
                counts.update({"problems": 1, "rows": len(rows), "solved": int(bool(rows))})
                told = [{**entry.item.columns, "source": source, **row} for row in rows]
                family = entry.item.columns["family"]
                yield Record(entry.number, entry.key, family, dict(counts), told)

        with Store(folder / name, {"kind": name, **job}, schema, settings.shards) as store:
            problems = _judged(searched, records)
            run_job(store, problems, _key, run_call, CallSettings(), progress, len(records))
            return write_card(folder / name, store.totals, settings.domains, f"{name} of a search")

    return SearchDataCards(
        make(ANSWERS, ANSWER_SCHEMA, lambda found: answer_rows(found, settings.cap)),
        make(
            STATES,
            STATE_SCHEMA,
            lambda found: state_rows(found, settings.labels == "hard", separator),
        ),
    )


def _judged(searched: Path, records: Mapping[str, Mapping[str, Any]]) -> Iterator[JudgedCandidates]:
    """Yield every problem of a search. Raises UserError where verdicts and records differ."""
    for path in block_files(searched):
        for problem, rows in groupby(iterate_judged(path), itemgetter("problem_id")):
            judged, found = list(rows), records.get(problem)
            if found is None or not _fits(found, len(judged)):
                there = "none" if found is None else len(found["candidates"])
                raise UserError(
                    f"{searched / SEARCHES}: of problem {problem!r} {len(judged)} candidates were "
                    f"judged and {there} found; restore its file, or remove {searched} and search "
                    "again."
                )
            if _OUTCOME not in judged[0]:
                raise UserError(
                    f'{path} has no verdicts on answers (column "{_OUTCOME}"); search with '
                    "accuracy among rewards.weights."
                )
            yield JudgedCandidates(judged, found)


def _fits(record: Mapping[str, Any], candidates: int) -> bool:
    """Whether a search has so many candidates, and its tree, if it has ends, as many."""
    ends = sum(node["ended"] is not None for node in record["tree"])
    return len(record["candidates"]) == candidates and ends in (0, candidates)


def _key(found: JudgedCandidates) -> str:
    problem = found.columns
    return f"{problem['problem_id']}:{content_hash(problem['prompt'])}"


def answer_rows(found: JudgedCandidates, cap: int | None) -> KeptRows:
    """Keep the right candidates of a problem that differ, those with the highest score first.

    Of equal scores any: neighbours in a tree have most in common, so their order must not decide.
    """
    counts = Counter(sampled=len(found.rows))
    texts: set[str] = set()
    rows: list[dict[str, Any]] = []
    scored = zip(found.rows, found.record["candidates"], strict=True)
    for row, candidate in sorted(scored, key=_turn):
        reason = _fault(row)
        if reason is None and row["text"] in texts:
            reason = DropReason.DUPLICATE
        if reason is None and cap is not None and len(rows) == cap:
            reason = DropReason.OVER_CAP
        if reason is not None:
            counts[DROPPED + reason] += 1
            continue
        texts.add(row["text"])
        rows.append(
            {
                "id": f"{row['problem_id']}/{row['sample']}",
                "response": row["text"],
                "reference": row["reference"],
                "num_tokens": row["num_tokens"],
                "score": candidate["score"],
            }
        )
        counts.update(tokens=row["num_tokens"], counted=1)
    return counts, rows


def _turn(scored: tuple[Mapping[str, Any], Mapping[str, Any]]) -> tuple[float, int]:
    row, candidate = scored
    return -candidate["score"], sample_seed(0, "keep", row["problem_id"], row["sample"])


def _fault(row: Mapping[str, Any]) -> DropReason | None:
    """Why a policy should not learn a candidate."""
    verdict = _verdict(row)
    if verdict is None:
        return DropReason.NO_VERDICT
    if row["finish_reason"] == "length":
        return DropReason.CUT
    return None if verdict else DropReason.WRONG


def _verdict(row: Mapping[str, Any]) -> bool | None:
    """Whether a candidate is right; None where nobody knows."""
    told = row[_OUTCOME]
    outcome = None if told is None else Outcome(told)
    return outcome == Outcome.CORRECT if outcome is not None and outcome.is_verdict else None


def state_rows(found: JudgedCandidates, hard: bool, separator: str) -> KeptRows:
    """Label the branches that the candidates of a problem end. separator: the text that ends a
    step."""
    verdicts = [_verdict(row) for row in found.rows]
    counts = Counter(sampled=len(found.rows))
    if (lost := verdicts.count(None)) > 0:
        counts[DROPPED + DropReason.NO_VERDICT] += lost
    tree = found.record["tree"]
    if tree and all(node["ended"] is None for node in tree):
        counts[DROPPED + DropReason.NO_END] += len(verdicts) - lost
        return counts, []
    paths = _paths(found, verdicts, hard) if tree else _wholes(found, verdicts)
    rows = []
    for place, nodes, of_nodes in paths:
        nodes = _cut_to(nodes, found.rows[place]["text"])
        steps, labels = _whole_steps(nodes, of_nodes, separator) if tree else (nodes, of_nodes)
        response = "".join(steps)
        if not response.strip() or response != found.rows[place]["text"]:
            # a node that was cut within a character begins its text anew
            reason = DropReason.OTHER_TEXT if response.strip() else DropReason.EMPTY
            counts[DROPPED + reason] += 1
            continue
        row = {
            "id": f"{found.columns['problem_id']}/{place}",
            "response": response,
            "steps": steps,
            "labels": labels,
            "correct": verdicts[place],
        }
        rows.append(row)
        counts.update(tokens=found.rows[place]["num_tokens"], counted=1)
    return counts, rows


def _wholes(found: JudgedCandidates, verdicts: Sequence[bool | None]) -> Iterator[LabelledPath]:
    """Yield each judged sample with one label, at its last step."""
    for place, (row, verdict) in enumerate(zip(found.rows, verdicts, strict=True)):
        if verdict is not None:
            steps = split_steps(row["text"])
            before: list[float | None] = [None] * (len(steps) - 1)
            yield LabelledPath(place, steps, [*before, float(verdict)])


def _paths(
    found: JudgedCandidates, verdicts: Sequence[bool | None], hard: bool
) -> Iterator[LabelledPath]:
    """Yield the path to each judged end of a tree; a node has its label on the first of them."""
    tree = found.record["tree"]
    ends = [place for place, node in enumerate(tree) if node["ended"] is not None]
    paths = [_path_to(tree, end) for end in ends]
    right, judged = Counter[int](), Counter[int]()
    for path, verdict in zip(paths, verdicts, strict=True):
        if verdict is not None:
            judged.update(path)
            right.update(path if verdict else ())
    labelled: set[int] = set()
    for place, (path, verdict) in enumerate(zip(paths, verdicts, strict=True)):
        if verdict is None:
            continue
        labels = [None if node in labelled else right[node] / judged[node] for node in path]
        if hard:
            labels = [None if label is None else float(label > 0) for label in labels]
        labelled.update(path)
        yield LabelledPath(place, [tree[node]["text"] for node in path], labels)


def _path_to(tree: Sequence[Mapping[str, Any]], end: int) -> list[int]:
    """Return the nodes from below the root to `end`."""
    path = []
    while tree[end]["parent"] >= 0:
        path.append(end)
        end = tree[end]["parent"]
    return path[::-1]


def _cut_to(nodes: list[str], text: str) -> list[str]:
    """Return the texts of a path's nodes up to the response's end: a stop string across the border
    of two steps takes text from the first."""
    if not "".join(nodes).startswith(text):
        return nodes
    left, found = len(text), list[str]()
    for node in nodes:
        found.append(node[:left])
        left -= len(found[-1])
    return found


def _whole_steps(
    nodes: Sequence[str], labels: Sequence[float | None], separator: str
) -> tuple[list[str], list[float | None]]:
    """Join nodes that a step was cut into; a step has its last node's label."""
    steps, of_steps, begun = list[str](), list[float | None](), ""
    for number, (text, label) in enumerate(zip(nodes, labels, strict=True), start=1):
        begun += text
        if number == len(nodes) or begun.endswith((separator, "\n")):
            steps.append(begun)
            of_steps.append(label)
            begun = ""
    return steps, of_steps
