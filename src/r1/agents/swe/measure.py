"""Measure a model on SWE-bench: propose a patch for each instance, write predictions, judge.

The score is the share of instances resolved, out of all whose repository is here. Instances without
a clone are left out by name. One to which a reply never came (an endpoint's failure) counts neither
way, and the same call asks again. Where the rows hold no lists of tests nothing is judged here: the
predictions are for the official harness.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from r1.agents.ask import AskModel, ReplyMissingError
from r1.agents.swe.instance import SweInstance
from r1.agents.swe.phases import PREDICTIONS, PhaseSizes, judge_patch, propose, write_predictions
from r1.errors import UserError
from r1.files.shapes import open_shape, read_json
from r1.intervals import share_interval
from r1.run_dir import atomic
from r1.sandbox import SandboxSettings

_WORTH = {"resolved": 1.0, "unresolved": 0.0, "no patch": 0.0}


def measure_instances(
    instances: Sequence[SweInstance],
    ask: AskModel,
    folder: Path,
    sizes: PhaseSizes = PhaseSizes(),  # noqa: B008 (never changed)
    settings: SandboxSettings | None = None,
    model: str = "r1",
) -> dict[str, Any]:
    """Run all phases and return the figures, as benchmark.json holds them.

    model: its name in the predictions, by which the official harness keeps its reports.
    Raises UserError where no instance has its repository here.
    """
    here = [instance for instance in instances if instance.clone.is_dir()]
    if not here:
        one = instances[0]
        raise UserError(
            f"SWE-bench needs clones of the repositories: git clone --bare "
            f"https://github.com/{one.repo} {one.clone} (and so on for the others)."
        )
    patches, found = [], dict[str, str]()
    for instance in here:
        own = folder / "instances" / instance.id
        try:
            patch = propose(instance, ask, own, sizes, settings)
        except ReplyMissingError:
            found[instance.id] = "no reply"
            continue
        patches.append((instance.id, patch))
        write_predictions(folder / PREDICTIONS, model, patches)
        found[instance.id] = _verdict(instance, patch, own, settings)
    outcomes = Counter(found.values())
    judged = [outcomes["resolved"], outcomes["unresolved"] + outcomes["no patch"]]
    score = share_interval([1.0] * judged[0] + [0.0] * judged[1]) if sum(judged) else None
    shares = {name: number / len(here) for name, number in outcomes.items()}
    return {
        "metric": "accuracy",
        "k": 1,
        "num_questions": len(here),
        "score": score and score._asdict(),
        "cons_at_k": {"value": None},
        "by_question": {name: _WORTH.get(verdict) for name, verdict in found.items()},
        "resolved": outcomes["resolved"],
        "refused": {},
        "outcomes": {
            "correct": shares.get("resolved", 0.0),
            "wrong": shares.get("unresolved", 0.0),
            "unreadable": shares.get("no patch", 0.0),
            "unfinished": 0.0,
            "verifier failed": shares.get("no verdict", 0.0) + shares.get("not judged here", 0.0),
            "engine failed": shares.get("no reply", 0.0),
        },
        "departures": _departures(len(instances) - len(here), outcomes["not judged here"]),
    }


@open_shape
class _StoredVerdict(TypedDict):
    resolved: bool


def _verdict(instance: SweInstance, patch: str, own: Path, settings: SandboxSettings | None) -> str:
    if not patch:
        return "no patch"
    if not instance.is_judged_here:
        return "not judged here"
    path = own / "verdict.json"
    stored = read_json(path, shape=_StoredVerdict)
    if stored is None:
        found = judge_patch(instance, patch, settings)
        if found is None:
            return "no verdict"
        stored = found._asdict()
        atomic.write_json(path, stored)
    return "resolved" if stored["resolved"] else "unresolved"


def _departures(without_clone: int, not_judged: int) -> list[str]:
    told = []
    if without_clone:
        told.append(f"{without_clone} instances left out: no clone of their repository")
    if not_judged:
        told.append(
            f"{not_judged} instances not judged here: give {PREDICTIONS} to the official harness"
        )
    return told
