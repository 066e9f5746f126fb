"""Training problems of SWE-bench's rows, for the verifier "repository".

    python -m r1.agents.swe.problems ROWS.jsonl OUT.jsonl       clones in ROWS' folder/repos

The prompt shows the issue and the files that the gold patch changes (the "oracle" files of
SWE-bench's paper, arXiv 2310.06770): localising is another task. A row is kept where its gold patch
resolves it and the untouched repository does not, by its tests as they run here; others are named
with a reason, since nothing would tell right from wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from r1.agents.swe.instance import SweInstance, files_at_base, read_instance
from r1.agents.swe.localise import show_spans
from r1.agents.swe.patches import apply_patch, is_test_path
from r1.agents.swe.repair import ASK_FOR_EDITS
from r1.agents.swe.verifier import NAME, judge_files, task_of
from r1.data.rows import RowError
from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import read_bytes
from r1.run_dir.atomic import write_text
from r1.types import Outcome, Problem


class MadeProblem(NamedTuple):
    """A row's problem, or why there is none."""

    id: str
    problem: Problem | None
    reason: str = ""


def make_problem(instance: SweInstance) -> MadeProblem:
    """The problem of one row, checked by running its tests twice. Raises UserError for a clone."""
    if not instance.is_judged_here:
        return MadeProblem(instance.id, None, "the row has no tests")
    files = files_at_base(instance)
    fixed = apply_patch(files, instance.gold_patch)
    tested = apply_patch(files, instance.test_patch)
    if fixed is None or tested is None:
        return MadeProblem(instance.id, None, "a patch does not apply")
    shown = [path for path in files if fixed.get(path) != files[path]]
    if not shown or any(map(is_test_path, shown)) or fixed.keys() - files.keys():
        return MadeProblem(instance.id, None, "its patch does more than change files")
    tests = {path: text for path, text in tested.items() if files.get(path) != text}
    spans = {path: [(1, len(files[path].splitlines()))] for path in shown}
    prompt = (
        f"An issue of a Python project:\n\n{instance.issue}\n\nFiles that may have to change:\n\n"
        f"{show_spans(files, spans)}\n\n{ASK_FOR_EDITS}"
    )
    metadata: dict[str, Any] = {
        "files": files,
        "tests": tests,
        "shown": shown,
        "fail_to_pass": list(instance.fail_to_pass),
        "pass_to_pass": list(instance.pass_to_pass),
    }
    problem = Problem(instance.id, prompt, None, NAME, family="repository", metadata=metadata)
    task = task_of(problem)
    gold, untouched = judge_files(task, fixed), judge_files(task, files)
    if gold.outcome != Outcome.CORRECT:
        return MadeProblem(instance.id, None, f"its gold patch does not resolve it: {gold.detail}")
    if untouched.outcome != Outcome.WRONG:
        return MadeProblem(instance.id, None, "the untouched repository is not told wrong")
    return MadeProblem(instance.id, problem)


def make_problems(rows: Path) -> Iterator[MadeProblem]:
    """The problems of a file of rows. Raises UserError for odd rows, and for missing clones."""
    for number, line in enumerate(read_bytes(rows).splitlines(), start=1):
        try:
            row = parse_json(line)
            if not isinstance(row, dict):
                raise RowError("not an object")
            instance = read_instance(row, rows.parent)
        except (FormatError, RowError) as fault:
            raise UserError(f"{rows}, line {number}: {fault}; mend or remove it.") from None
        yield make_problem(instance)


def row_of(problem: Problem) -> dict[str, Any]:
    """A line of a `[[data.train]]` file."""
    names = ("id", "prompt", "verifier", "family", "metadata")
    return {name: getattr(problem, name) for name in names}


def main(arguments: list[str]) -> None:
    """Write the problems that are sound, and say which rows are not."""
    if len(arguments) != 2:
        raise UserError("usage: python -m r1.agents.swe.problems ROWS.jsonl OUT.jsonl")
    rows, out = map(Path, arguments)
    lines = []
    for made in make_problems(rows):
        if made.problem is None:
            print(f"left out: {made.id}: {made.reason}", flush=True)
        else:
            lines.append(json.dumps(row_of(made.problem), ensure_ascii=False) + "\n")
            print(f"{len(lines)}: {made.id}", flush=True)
    if not lines:
        raise UserError(f"{rows}: no row can be learnt from; {out} was not written.")
    write_text(out, "".join(lines))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as mistake:
        sys.exit(f"r1: {mistake}")
