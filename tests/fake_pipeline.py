"""A pipeline's folder by its contract, made without a model: markers, runs, evaluations.

`SKILLS` says what every checkpoint can do; a test changes one and reads the report.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from fake_run import FakeLearner, parse
from r1.intervals import bootstrap
from r1.run_dir import CheckpointSettings, RunDir, completion_table
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup

FAMILIES = ("arithmetic", "cups", "functions")
NUM_SAMPLES, NUM_STEPS = 4, 8
METRICS = {"accuracy": "pass_at_1", "format": "format", "language": "language"}

# solve, format, language, helpful, harmless (scores), tokens
SKILLS: dict[str, tuple[float, float, float, float, float, int]] = {
    "base": (0.12, 0.50, 0.75, -1.5, -1.0, 30),
    "r1_zero": (0.75, 0.98, 0.70, -1.2, -0.9, 70),
    "dev1": (0.45, 0.97, 0.95, -0.6, -0.2, 62),
    "dev2": (0.80, 0.99, 0.99, -0.6, -0.2, 80),
    "dev2_plain": (0.81, 0.99, 0.80, -0.6, -0.2, 84),
    "dev3": (0.79, 0.99, 0.98, 0.4, 0.3, 60),
    "r1": (0.80, 0.99, 0.995, 1.5, 1.4, 64),
    "student_qwen": (0.55, 0.98, 0.97, 0.1, 0.1, 58),
    "student_llama": (0.50, 0.98, 0.97, 0.1, 0.1, 57),
    "student_rl": (0.22, 0.90, 0.70, -1.4, -0.9, 40),
}


def inputs(**fields: str) -> dict[str, dict[str, str]]:
    """model="dev1" -> {"model": {"stage": "dev1", "output": "checkpoint"}}."""
    outputs = {"mixture": "data", "cold_start": "data", "rejection": "data"}
    outputs |= {"helpful": "reward_model", "harmless": "reward_model"}
    return {
        field.replace("__", "."): {"stage": stage, "output": outputs.get(stage, "checkpoint")}
        for field, stage in fields.items()
    }


_RMS = {"reward_models__helpful__path": "helpful", "reward_models__harmless__path": "harmless"}
_DATA = "data__train__0__path"
STAGES: list[tuple[str, str, dict[str, Any], str | None]] = [
    ("r1_zero", "r1_zero", {}, "tiny"),
    ("cold_start", "cold_start", {"model": "r1_zero"}, None),
    ("dev1", "sft", {_DATA: "cold_start"}, "tiny"),
    ("dev2", "r1_zero", {"model": "dev1"}, None),
    ("dev2_plain", "r1_zero", {"model": "dev1"}, None),
    ("rejection", "rejection", {"model": "dev2"}, None),
    ("mixture", "mixture", {"sources__0__path": "rejection"}, None),
    ("dev3", "sft", {_DATA: "mixture"}, "tiny"),
    ("helpful", "reward_model", {}, "tiny"),
    ("harmless", "reward_model", {}, "tiny"),
    ("r1", "r1_zero", {"model": "dev3", **_RMS}, None),
    ("student_qwen", "sft", {_DATA: "mixture"}, "students/qwen"),
    ("student_llama", "sft", {_DATA: "mixture"}, "students/llama"),
    ("student_rl", "r1_zero", {}, "students/qwen"),
]
_GIVES = {
    "r1_zero": {"checkpoint": "checkpoint"}, "sft": {"checkpoint": "checkpoint"},
    "reward_model": {"reward_model": "reward_model"}, "cold_start": {"data": "dataset"},
    "rejection": {"data": "dataset"}, "mixture": {"data": "dataset"},
    "evaluation": {"results": "results"},
}  # fmt: skip


def write_pipeline(
    folder: Path,
    *,
    until: str | None = None,
    skills: Mapping[str, tuple[float, float, float, float, float, int]] = SKILLS,
    hostile: str = "",
    num_problems: int = 30,
) -> Path:
    """Write a pipeline; its stages up to `until` (not included) have run. hostile: in texts."""
    stages, tables = [], {}
    for name, kind, fields, model in STAGES:
        stages.append(_stage(name, kind, inputs(**fields)))
        tables[name] = {"kind": kind, "model": model or f"@{fields['model']}"} if model else {}
    for name in SKILLS:
        fields = {} if name == "base" else {"model": name}
        stages.append(_stage(f"eval_{name}", "evaluation", inputs(**fields, **_RMS)))
        tables[f"eval_{name}"] = {"kind": "evaluation", "model": "@" + name if fields else "tiny"}
    folder.mkdir(parents=True)
    told = {"kind": "r1", "recipe": {"seed": 3, "stages": tables}, "stages": stages}
    (folder / "pipeline.json").write_text(json.dumps(told))
    ran: set[str] = set()
    for stage in stages:
        if stage["name"] == until:
            break
        above = {source["stage"] for source in stage["inputs"].values()}
        assert above <= ran, "stages stand in the order in which they run"
        run_stage(folder, stage, skills, hostile, num_problems)
        ran.add(stage["name"])
    return folder


_LABELS = {"r1_zero": "RL", "sft": "SFT", "reward_model": "reward model"}
_LEARNS_FROM = {"r1_zero": "rewards", "sft": "examples", "reward_model": "preferences"}


def _stage(name: str, kind: str, fields: dict[str, dict[str, str]]) -> dict[str, Any]:
    label, learns_from = _LABELS.get(kind, "data"), _LEARNS_FROM.get(kind)
    told = {"name": name, "kind": kind, "title": name, "label": label, "learns_from": learns_from}
    return {**told, "inputs": fields, "outputs": _GIVES[kind]}


def run_stage(
    folder: Path, stage: Mapping[str, Any], skills: Mapping[str, Any], hostile: str, num: int
) -> None:
    """Fill a stage's folder and write its marker."""
    name, kind = stage["name"], stage["kind"]
    place = folder / name
    place.mkdir()
    if kind == "evaluation":
        counts = write_evaluation(place, name.removeprefix("eval_"), skills, hostile, num)
    elif kind == "r1_zero":
        counts = write_rl(place / "run", name, skills[name], hostile)
    elif kind in ("sft", "reward_model"):
        counts = {"sft": write_sft, "reward_model": write_reward_model}[kind](place / "run", name)
    else:
        counts = {"rows": 2312, "tokens": 1_234_567}
    markers = {s["stage"]: read_marker(folder, s["stage"]) for s in stage["inputs"].values()}
    marker = {
        "settings": "0" * 64,
        "inputs": {
            field: markers[s["stage"]]["outputs"][s["output"]]["sha256"]
            for field, s in stage["inputs"].items()
        },
        "parents": stage["inputs"],
        "outputs": {
            output: {"path": "run", "type": type_, "counts": counts, "sha256": f"{name}-sha"}
            for output, type_ in stage["outputs"].items()
        },
        "seconds": 40.0 + len(name),
    }
    (place / "STAGE.json").write_text(json.dumps(marker))


def read_marker(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / name / "STAGE.json").read_text())


def write_rl(folder: Path, name: str, skill: Sequence[float], hostile: str) -> dict[str, float]:
    settings = CheckpointSettings(every=NUM_STEPS, keep=1)
    learner = FakeLearner()
    with RunDir.open(folder, {"name": name}, "r1_zero", checkpoints=settings) as run:
        for step in run.remaining_steps(NUM_STEPS):
            rng = random.Random(f"{name}/{step}")
            share = (step + 1) / NUM_STEPS
            solved = 0.1 + (skill[0] - 0.1) * share
            metrics = {
                "reward/accuracy": solved,
                "language_consistency": 0.9 + (skill[2] - 0.9) * share,
                "pass_rate": solved + 0.02 * rng.random(),
                "length_mean": 30 + (skill[5] - 30) * share,
                "tokens_trained": 1000.0 + step,
                "tokens_processed": 1500.0,
                "seconds/total": 3.0,
            }
            if name == "r1" and step >= 5:
                metrics |= {"reward/helpful": 0.2 * step, "reward/harmless": 0.1 * step}
            if step % 4 == 0:
                run.commit_evaluation(step, _summary(solved), seconds=1.0)
            run.commit_step(step, learner.save, metrics)
        run.commit_evaluation(NUM_STEPS, _summary(skill[0]), seconds=1.0)
        run.finish({})
    return {"steps": NUM_STEPS, "tokens": 8028}


def _summary(value: float) -> dict[str, Any]:
    around = {"value": value, "low": max(0.0, value - 0.05), "high": min(1.0, value + 0.05)}
    return {"pass_at_1": around, "cons_at_k": around, "k": 4, "num_problems": 30}


def write_sft(folder: Path, name: str) -> dict[str, float]:
    learner = FakeLearner()
    with RunDir.open(folder, {"name": name}, "sft") as run:
        for step in run.remaining_steps(NUM_STEPS):
            values = {"loss": 2.0 / (step + 1), "tokens_learnt": 4000.0, "tokens_processed": 5000.0}
            run.commit_step(step, learner.save, values)
        run.commit_evaluation(NUM_STEPS, {"loss": 0.4, "num_tokens": 900}, seconds=1.0)
        run.finish({})
    return {"steps": NUM_STEPS, "tokens": 32_000}


def write_reward_model(folder: Path, name: str) -> dict[str, float]:
    learner = FakeLearner()
    low = 0.5 if name == "helpful" else 0.0

    def measured(step: int) -> dict[str, Any]:
        value = 0.5 + 0.45 * step / NUM_STEPS
        edges = np.linspace(low, 1.0, 6)
        bins = [
            {"low": a, "high": b, "num": 20 + 30 * i, "predicted": (a + b) / 2,
             "observed": min(1.0, (a + b) / 2 + 0.03)}
            for i, (a, b) in enumerate(pairwise(edges))
        ]  # fmt: skip
        return {
            "objective": "pairwise" if name == "helpful" else "pointwise",
            "num_examples": 300,
            "num_prompts": 120,
            "accuracy": {"value": value, "low": value - 0.04, "high": min(1.0, value + 0.03)},
            "brier": 0.05,
            "loss": 0.7 - 0.06 * step,
            "calibration": {"bins": bins, "ece": 0.03},
        }

    with RunDir.open(folder, {"name": name}, "reward_model") as run:
        for step in run.remaining_steps(NUM_STEPS):
            if step % 4 == 0:
                run.commit_evaluation(step, measured(step), seconds=1.0)
            run.commit_step(step, learner.save, {"loss": 0.7 - 0.06 * step, "accuracy": 0.8})
        run.commit_evaluation(NUM_STEPS, measured(NUM_STEPS), seconds=1.0)
        run.finish({})
    return {"steps": NUM_STEPS, "pairs": 3600}


def make_group(
    index: int, general: bool, skill: Sequence[float], hostile: str, name: str
) -> ScoredGroup:
    """One problem's samples; how hard it is does not depend on the checkpoint."""
    rng = random.Random(f"problem {index} {general}")
    hard = rng.gauss(0.0, 0.15)
    family = "dialogue" if general else FAMILIES[index % len(FAMILIES)] + hostile
    chinese = index % 2 == 1
    a, b = rng.randint(10, 60), rng.randint(2, 9)
    question = f"计算 {a} + {b}。" if chinese else f"What is {a} + {b}?"
    if general:
        question = f"给我写一句问候。({index})" if chinese else f"Write me a greeting ({index})."
    reference = None if general else str(a + b)
    verifier = "none" if general else "exact"
    language = "zh" if chinese else "en"
    problem = Problem(
        f"{family}-{index}", question + hostile, reference, verifier, language, family
    )
    made = [
        _sample(problem, skill, hard, hostile, f"{name} {index} {g}") for g in range(NUM_SAMPLES)
    ]
    group = RolloutGroup(problem, (1, 2), [completion for completion, _ in made])
    return ScoredGroup(group, [reward for _, reward in made])


def _sample(
    problem: Problem, skill: Sequence[float], hard: float, hostile: str, seed: str
) -> tuple[Completion, Reward]:
    solve, form, language, helpful, harmless, tokens = skill
    rng = random.Random(seed)
    formatted = rng.random() < form
    consistent = min(1.0, max(0.0, language + rng.gauss(0.0, 0.04)))
    right = rng.random() < solve - hard
    answer = problem.reference if right and problem.reference else str(rng.randint(0, 9))
    words = "先算十位，再算个位。" if problem.language == "zh" else "Tens first, then the ones. "
    other = "Then check it. " if problem.language == "zh" else "再检查一遍。"
    thinking = words * 2 + (other if rng.random() > consistent else "") + hostile
    text = f"<think> {thinking} </think> <answer> {answer}{hostile} </answer>"
    text = text if formatted else f"{thinking} so {answer}"
    verdict = Outcome.CORRECT if formatted else Outcome.WRONG
    parts = {"format": Score(float(formatted), verdict), "language": _share(consistent)}
    if problem.family == "dialogue":
        for part, mean in (("helpful", helpful), ("harmless", harmless)):
            score = mean - hard + rng.gauss(0.0, 0.4)
            parts[part] = Score(score, Outcome.CORRECT)
            parts[f"manners_{part}"] = _share(float(score > 0))
    else:
        verdict = Outcome.CORRECT if right else Outcome.WRONG
        parts["accuracy"] = Score(float(right), verdict, f"read {answer}{hostile}")
    length = max(4, tokens + rng.randint(-8, 8))
    completion = Completion([1] * length, [-0.1] * length, text, "stop")
    return completion, Reward(sum(score.value for score in parts.values()), parts, True)


def _share(value: float) -> Score:
    return Score(value, Outcome.CORRECT if value else Outcome.WRONG)


def write_evaluation(
    place: Path, name: str, skills: Mapping[str, Any], hostile: str, num: int
) -> dict[str, float]:
    skill = skills[name]
    reasoning = [make_group(i, False, skill, hostile, name) for i in range(num)]
    general = [make_group(i, True, skill, hostile, name) for i in range(num // 2)]
    pq.write_table(
        completion_table(0, [*reasoning, *general], parse), place / "completions.parquet"
    )
    own = {"helpful": "helpful", "harmless": "harmless"}
    own |= {f"manners_{part}": f"rule_{part}" for part in ("helpful", "harmless")}
    families = {
        family + hostile: {
            **figures(
                [g for g in reasoning if g.group.problem.family == family + hostile], METRICS
            ),
            "num_problems": num // len(FAMILIES),
        }
        for family in FAMILIES
    }
    told = {
        "stage": name,
        "title": name,
        "template": "r1_zero" if name in ("base", "r1_zero") else "chat",
        "num_samples": NUM_SAMPLES,
        "temperature": 0.6,
        "top_p": 0.95,
        "seconds": 9.5,
        "num_problems": num + num // 2,
        "num_parameters": 420_000 if name.startswith("student") else 870_000,
        "overall": figures(reasoning, METRICS),
        "families": families,
        "general": {
            **figures(general, {**own, "format": "format", "language": "language"}),
            "num_problems": num // 2,
        },
    }
    (place / "evaluation.json").write_text(json.dumps(told))
    return {"problems": num + num // 2}


def figures(groups: Sequence[ScoredGroup], parts: Mapping[str, str]) -> dict[str, Any]:
    """Means over problems of the parts' means over samples, as an evaluation gives them."""
    found = {}
    for part, metric in parts.items():
        scores = [[reward.parts[part].value for reward in item.rewards] for item in groups]
        found[metric] = _interval([float(np.mean(values)) for values in scores])
    if "pass_at_1" in found:
        value = found["pass_at_1"]
        found["cons_at_k"] = {key: min(1.0, part + 0.05) for key, part in value.items()}
        found["self_check_share"] = {"value": 0.25, "low": 0.2, "high": 0.3}
    lengths = [[len(c.token_ids) for c in item.group.completions] for item in groups]
    found["mean_length"] = _interval([float(np.mean(values)) for values in lengths])
    return found


def _interval(values: Sequence[float]) -> dict[str, float]:
    interval = bootstrap(values)
    assert interval is not None
    return interval._asdict()
