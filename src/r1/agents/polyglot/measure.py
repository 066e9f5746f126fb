"""Measure a model on exercises: refuse what cannot be judged here, work, and count.

    pass_rate_1, pass_rate_2    share of exercises whose tests passed at the first try, at either
    well_formed                 share of exercises without an edit that failed (Aider's count: an
                                edit that was read and does not match counts against it as well)

An exercise whose example solution does not pass here, or whose stub does, is refused by name. One
without a verdict (the machine's fault, twice) or without a reply (an endpoint's) is left out of the
rates and counted; the same call asks for the reply again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from r1.agents.ask import AskModel
from r1.agents.polyglot.exercise import Exercise, read_exercise
from r1.agents.polyglot.grade import ExerciseVerdict, missing_toolchains, run_tests
from r1.agents.polyglot.tries import record_path, work_on
from r1.edits.apply import EditFormat
from r1.errors import UserError
from r1.files.shapes import open_shape, read_json
from r1.intervals import share_interval
from r1.run_dir import atomic
from r1.sandbox import SandboxSettings

Sources = Mapping[str, tuple[str, str]]
"""Exercise's id -> its folder and language."""


def measure_exercises(
    sources: Sources,
    ask: AskModel,
    folder: Path,
    form: EditFormat = "diff",
    settings: SandboxSettings | None = None,
) -> dict[str, Any]:
    """Work on exercises and return the figures, as benchmark.json holds them.

    Killed, it carries on. Raises UserError where no exercise can be judged here.
    """
    lacks = missing_toolchains(sorted({language for _, language in sources.values()}), settings)
    left_out = Counter(language for _, language in sources.values() if language in lacks)
    exercises = [
        read_exercise(Path(path), language)
        for path, language in sources.values()
        if language not in lacks
    ]
    known = _checked(exercises, folder, settings)
    sound = [(exercise, known[exercise.id]) for exercise in exercises if known[exercise.id]]
    if not sound:
        told = "; ".join(f"{language}: {reason}" for language, reason in lacks.items())
        raise UserError(f"no exercise can be judged here; {told or 'no example solution passes'}.")
    work_on(sound, ask, folder, form, settings)
    paths = [record_path(folder, exercise.id) for exercise, _ in sound]
    records = [read_json(path, shape=_ExerciseRecord) for path in paths if path.exists()]
    refused = [exercise.id for exercise in exercises if not known[exercise.id]]
    departures = [
        f"{language} left out ({left_out[language]} exercises): {reason}"
        for language, reason in lacks.items()
    ]
    return {
        **figures(records, num_unanswered=len(sound) - len(records)),
        "edit_format": form,
        "refused": {f"{name}: the example does not pass here": 1 for name in refused},
        "departures": departures,
    }


def _checked(
    exercises: Sequence[Exercise], folder: Path, settings: SandboxSettings | None
) -> dict[str, int]:
    """Exercise's id -> tests that its example passes; 0 where it fails, or the stub passes."""
    path = folder / "examples.json"
    known = read_json(path, default={}, shape=dict[str, int])
    atomic.make_folder(folder)
    for exercise in exercises:
        if exercise.id in known:
            continue
        example = {**exercise.solution, **exercise.example}
        good = run_tests(exercise, example, settings=settings)
        if good.verdict is ExerciseVerdict.NONE:
            raise UserError(
                f"the sandbox failed twice on the example of {exercise.id}: "
                f"{good.output[-300:]!r}; run the command again, on a quieter machine."
            )
        is_sound = good.verdict is ExerciseVerdict.PASSED
        if is_sound:
            stub = run_tests(exercise, exercise.solution, good.passed, settings)
            is_sound = stub.verdict is not ExerciseVerdict.PASSED
        known[exercise.id] = good.passed if is_sound else 0
        atomic.write_json(path, known)
    return known


def figures(records: Sequence[Mapping[str, Any]], num_unanswered: int = 0) -> dict[str, Any]:
    """The figures of exercises' records, and of those that have none as a reply never came."""
    judged = [record for record in records if str(ExerciseVerdict.NONE) not in record["verdicts"]]
    by_try = [[float(passed_at(r) in range(1, n + 1)) for r in judged] for n in (1, 2)]
    languages = sorted({record["language"] for record in judged})
    right = [record for record in judged if passed_at(record)]
    unreadable = [r for r in judged if not passed_at(r) and r["malformed"]]
    unfinished = [r for r in judged if not passed_at(r) and not r["malformed"] and r["unfinished"]]
    total = len(records) + num_unanswered
    wrong = len(judged) - len(right) - len(unreadable) - len(unfinished)
    return {
        "metric": "accuracy",
        "k": 1,
        "num_questions": total,
        "score": _interval(by_try[1]),
        "pass_rate_1": _interval(by_try[0]),
        "pass_rate_2": _interval(by_try[1]),
        "well_formed": sum(not record["malformed"] for record in judged) / max(1, len(judged)),
        "timeouts": sum(str(ExerciseVerdict.TIME) in record["verdicts"] for record in judged),
        "by_language": {name: _of(name, judged) for name in languages},
        "cons_at_k": {"value": None},
        "by_question": {
            record["id"]: float(passed_at(record) > 0) if record in judged else None
            for record in records
        },
        "outcomes": {
            "correct": len(right) / total,
            "wrong": wrong / total,
            "unreadable": len(unreadable) / total,
            "unfinished": len(unfinished) / total,
            "verifier failed": (len(records) - len(judged)) / total,
            "engine failed": num_unanswered / total,
        },
    }


@open_shape
class _ExerciseRecord(TypedDict):
    id: str
    language: str
    verdicts: list[str]
    malformed: list[str]
    unfinished: int


def _interval(values: Sequence[float]) -> dict[str, float] | None:
    interval = share_interval(values)
    return interval and interval._asdict()


def passed_at(record: Mapping[str, Any]) -> int:
    """The try at which an exercise's tests passed, from 1; 0: never."""
    verdicts = record["verdicts"]
    passed = str(ExerciseVerdict.PASSED)
    return verdicts.index(passed) + 1 if passed in verdicts else 0


def _of(language: str, records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    own = [record for record in records if record["language"] == language]
    rates = [sum(0 < passed_at(r) <= number for r in own) / len(own) for number in (1, 2)]
    return {"exercises": len(own), "pass_rate_1": rates[0], "pass_rate_2": rates[1]}
