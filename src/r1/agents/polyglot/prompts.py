"""What the model is asked and told, in our own words: the task, the format, failures, tests."""

from __future__ import annotations

from collections.abc import Mapping

from r1.agents.polyglot.exercise import Exercise
from r1.edits.apply import EditFormat
from r1.edits.blocks import FENCE

_LAST_LINES = 200
"""Lines of the tests' output that are shown, of its end."""

_RULES = {
    "diff": (
        "Answer with SEARCH/REPLACE blocks. Each block is: the file's path alone on a line; an "
        f"opening fence ({FENCE}); a line `<<<<<<< SEARCH`; lines of the file exactly as they "
        "stand; a line `=======`; the lines that replace them; a line `>>>>>>> REPLACE`; a closing "
        "fence. A block replaces the first place that matches. To make a new file, or to add at "
        "the end of one, leave the SEARCH part empty. Keep the blocks short, and give one for each "
        "place that changes."
    ),
    "whole": (
        "Answer with every file that changes, whole: the file's path alone on a line, and below it "
        "all of the file's text between fences. Leave nothing out."
    ),
}


def ask_first(exercise: Exercise, form: EditFormat) -> str:
    """The first prompt: instructions, the files, the form of the answer."""
    names = ", ".join(exercise.solution)
    return (
        f"{exercise.instructions.strip()}\n\n---\n\nSolve this by changing these files: {names}. "
        "Keep the names of the functions and classes that are there: tests call them. Use the "
        "language's standard library only, and install nothing.\n\n"
        f"{_files(exercise.solution)}\n\n{_RULES[form]}"
    )


def tell_failures(message: str) -> str:
    """The prompt after edits that failed."""
    return f"{message}\n\nSend the edits that failed again, corrected."


def ask_to_repair(exercise: Exercise, files: Mapping[str, str], output: str) -> str:
    """The prompt of the second try: the tests' output, and the files as they are now."""
    names = ", ".join(exercise.solution)
    shown = "\n".join(output.strip().splitlines()[-_LAST_LINES:])
    return (
        f"{FENCE}\n{shown}\n{FENCE}\n\nThe tests above failed. They are right: do not try to "
        f"change them. Correct the code in {names}. The files read now:\n\n{_files(files)}"
    )


def _files(files: Mapping[str, str]) -> str:
    return "\n\n".join(f"{path}\n{FENCE}\n{text.rstrip()}\n{FENCE}" for path, text in files.items())
