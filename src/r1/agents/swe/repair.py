"""Repair: SEARCH/REPLACE edits from many samples, made patches of, each with a normal form.

A sample's edits count where all apply, to files that the model was shown, and every file still
parses. The normal form is the abstract syntax without comments and docstrings: patches that differ
in layout alone are one candidate in the vote.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from r1.agents.ask import AskModel, OpenConversation, Turn, require_replies
from r1.agents.swe.localise import Spans, show_spans
from r1.agents.swe.patches import is_test_path, make_patch
from r1.edits.apply import apply_response
from r1.run_dir.atomic import hash_of

ASK_FOR_EDITS = (
    "First explain what is wrong. Then give SEARCH/REPLACE edits that resolve the issue. Each is: "
    "the file's path alone on a line; an opening fence (```python); a line `<<<<<<< SEARCH`; lines "
    "of the file exactly as they stand; a line `=======`; the lines that replace them; a line "
    "`>>>>>>> REPLACE`; a closing fence. Keep the indentation as it is in the file."
)


class CandidatePatch(NamedTuple):
    """A sample's patch. normal: hash of its normal form."""

    patch: str
    normal: str


def repair(
    ask: AskModel,
    name: str,
    issue: str,
    files: Mapping[str, str],
    places: Sequence[Spans],
    num_samples: int,
) -> list[CandidatePatch]:
    """The candidates of all samples in their order: one greedy and the others drawn, a place set.

    A sample without usable edits gives none.
    """
    questions = []
    for number, spans in enumerate(places):
        prompt = (
            f"An issue of a Python project:\n\n{issue}\n\nThe parts of its files that may have to "
            f"change:\n\n{show_spans(files, spans)}\n\n{ASK_FOR_EDITS}"
        )
        turns = (Turn("user", prompt),)
        questions.append(OpenConversation(f"{name}/repair/{number}/greedy", turns, greedy=True))
        if num_samples > 1:
            questions.append(OpenConversation(f"{name}/repair/{number}", turns, num_samples - 1))
    shown = [spans for spans in places for _ in range(2 if num_samples > 1 else 1)]
    found = []
    for spans, answers in zip(shown, ask(questions), strict=True):
        for answer in require_replies(answers):
            candidate = read_candidate(answer or "", files, list(spans))
            if candidate is not None:
                found.append(candidate)
    return found


def read_candidate(
    answer: str, files: Mapping[str, str], paths: Sequence[str]
) -> CandidatePatch | None:
    """The patch of one answer; None where an edit fails, a file does not parse or nothing changes.

    paths: the files that may change.
    """
    protected = [path for path in files if is_test_path(path)]
    shown = {path: files[path] for path in paths}
    done = apply_response(answer, shown, "diff", protected)
    if done.failures or any(path not in shown for path in done.changed):
        return None
    changed = {path: done.files[path] for path in done.changed if done.files[path] != shown[path]}
    forms = {path: normal_form(text) for path, text in changed.items()}
    if not changed or any(form is None for form in forms.values()):
        return None
    if all(form == normal_form(files[path]) for path, form in forms.items()):
        return None
    patch = make_patch({path: files[path] for path in changed}, changed)
    return CandidatePatch(patch, hash_of(forms))


def normal_form(source: str) -> str | None:
    """The syntax tree of a text without comments and docstrings; None where it does not parse."""
    try:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            holds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            if isinstance(node, holds) and ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
