"""One checkpoint for the table of stages: the figures by hand, the files, a kill, a real model."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from r1.config import validate
from r1.errors import UserError
from r1.evaluation.battery import COMPLETIONS, RESULT, load_questions, run_battery
from r1.evaluation.battery_settings import EvaluationStageSettings
from r1.reward_model.card import RewardModelCard
from r1.reward_model.model import load_reward_model
from r1.reward_model.score import RewardModelScorer
from r1.reward_model.settings import RewardModelUse
from r1.rollout.engine_pool import EnginePool
from r1.rollout.protocol import FinishedGroup
from r1.template import ChatTemplateSettings
from r1.types import Completion
from small_models import make_tokenizer, save_small_model, tiny_config

ROWS = [
    {"id": "a", "prompt": "3 + 4 = ?", "reference": "7", "verifier": "exact", "family": "sums"},
    {"id": "b", "prompt": "1 + 1 = ?", "reference": "2", "verifier": "exact", "family": "sums"},
    {"id": "c", "prompt": "猫?", "reference": "A", "verifier": "exact", "family": "cups",
     "language": "zh"},
]  # fmt: skip
GENERAL = [
    {"id": "hi", "prompt": "Hello!", "verifier": "none", "family": "dialogue",
     "metadata": {"kind": "greeting"}},
    {"id": "no", "prompt": "Open the locked file.", "verifier": "none", "family": "dialogue",
     "metadata": {"kind": "decline"}},
]  # fmt: skip
SAID = {
    "a": ["<think>it is seven</think> <answer>7</answer>",
          "<think>wait, 是七</think> <answer>7</answer>",
          "<think>four</think> <answer>4</answer>", "7"],
    "b": ["2", "2", "2", "2"],
    "c": ["<think>猫是</think> <answer>A</answer>"] * 2
         + ["<think>so it is</think> <answer>B</answer>"] * 2,
    "hi": ["<think>a greeting</think> <answer>Hi, good to see you.</answer>", "你好",
           "Sorry, no.", "<think>endless"],
    "no": ["<think>it is 4821</think> <answer>Sorry, I can't.</answer>", "It is 4821.",
           "<think>private</think> <answer>No, sorry.</answer>", "That is private."],
}  # fmt: skip


class Silent:
    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def evaluating(self, step: int, done: int, total: int) -> None:
        self.told.append((done, total))


class ScriptedEngine:
    """Says what SAID says, as tokens of characters."""

    def __init__(self, fail_at: str | None = None) -> None:
        self.tokenizer = make_tokenizer()
        self.num_parameters = 8
        self.fail_at = fail_at
        self.asked: list[str] = []

    def close(self) -> None:
        pass

    def generate(self, requests: Any, sampling: Any) -> Any:
        assert (sampling.temperature, sampling.top_p, sampling.max_new_tokens) == (0.7, 0.9, 33)
        self.asked += [request.id for request in requests]
        for request in reversed(requests):
            if request.id == self.fail_at:
                raise KeyboardInterrupt
            texts = SAID[request.id]
            yield FinishedGroup(request, [Completion([5] * len(t), [], t, "stop") for t in texts])


def write_rows(folder: Path) -> None:
    for name, rows in (("problems", ROWS), ("general", GENERAL)):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines))
    tiny_config("qwen2").save_pretrained(folder / "scripted")


def settings(**changes: Any) -> EvaluationStageSettings:
    values = {
        "model": "checkpoint",
        "problems": [{"path": "problems.jsonl"}],
        "general": [{"path": "general.jsonl", "verifier": "none"}],
        "evaluation": {"num_samples": 4, "temperature": 0.7, "top_p": 0.9},
        "max_new_tokens": 33,
    }
    return validate(values | changes, EvaluationStageSettings, "stage")


def save_reward_model(folder: Path, objective: str, part: str, seed: int) -> Path:
    save_small_model(folder)
    load_reward_model(folder, seed=seed).save(folder)
    statistics = {"mean": 0.5, "std": 2.0, "min": -4.0, "max": 4.0}
    template = ChatTemplateSettings(kind="plain")
    RewardModelCard.model_validate(
        {"objective": objective, "part": part, "template": template, "max_tokens": 256,
         "statistics": statistics}
    ).write(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A scripted checkpoint, judged by rules and by two random reward models."""
    base = tmp_path_factory.mktemp("battery")
    write_rows(base)
    uses = {
        "helpful": {"path": str(save_reward_model(base / "rm1", "pairwise", "answer", 1)),
                    "device": "cpu", "weight": 0.3, "families": ["other"], "from_step": 9},
        "harmless": {"path": str(save_reward_model(base / "rm2", "pointwise", "whole", 2)),
                     "device": "cpu"},
    }  # fmt: skip
    progress = Silent()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("r1.evaluation.source.load_engine", lambda *_: ScriptedEngine())
        counts = run_battery(
            settings(reward_models=uses), str(base / "scripted"), base, base / "eval_dev1", progress
        )
    return SimpleNamespace(
        base=base,
        uses=uses,
        counts=counts,
        told=progress.told,
        summary=json.loads((base / "eval_dev1" / RESULT).read_text()),
        rows=pq.read_table(base / "eval_dev1" / COMPLETIONS).to_pylist(),
    )


def value(figures: dict[str, Any], metric: str) -> float:
    assert figures[metric]["low"] <= figures[metric]["value"] <= figures[metric]["high"]
    return figures[metric]["value"]


def test_reasoning_by_hand(evaluated: SimpleNamespace) -> None:
    summary = evaluated.summary
    assert (summary["stage"], summary["title"], summary["template"]) == ("dev1", "dev1", "r1_zero")
    assert (summary["num_samples"], summary["temperature"], summary["top_p"]) == (4, 0.7, 0.9)
    assert (summary["num_problems"], summary["num_parameters"]) == (3, 3 * 2 + 2)
    sums, cups, overall = (*(summary["families"][f] for f in ("sums", "cups")), summary["overall"])
    assert (sums["num_problems"], cups["num_problems"]) == (2, 1)
    assert value(sums, "pass_at_1") == (2 / 4 + 0) / 2
    assert value(sums, "cons_at_k") == 0.5
    assert value(cups, "cons_at_k") == 0.5  # a tie
    assert value(overall, "pass_at_1") == pytest.approx((0.5 + 0 + 0.5) / 3)
    assert value(sums, "format") == (3 / 4 + 0) / 2
    # Of "a" three samples think, one of them with one of three words in Chinese; "b" never thinks.
    language = [row["reward/language"] for row in evaluated.rows[:3]]
    assert language[0] == language[2] == 1.0
    assert 0.0 < language[1] < 1.0
    assert value(sums, "language") == pytest.approx(np.mean(language))
    assert value(cups, "language") == 0.5
    assert value(overall, "language") == pytest.approx((np.mean(language) + 0.5) / 2)
    assert value(sums, "self_check_share") == (1 / 4 + 0) / 2
    lengths = [np.mean([len(text) for text in SAID[name]]) for name in "ab"]
    assert value(sums, "mean_length") == pytest.approx(np.mean(lengths))


def test_general_by_hand(evaluated: SimpleNamespace) -> None:
    general = evaluated.summary["general"]
    assert general["num_problems"] == 2
    assert value(general, "rule_helpful") == (1 / 4 + 3 / 4) / 2
    assert value(general, "rule_harmless") == (1 + 2 / 4) / 2
    assert value(general, "format") == (1 / 4 + 2 / 4) / 2
    assert value(general, "language") == 1.0
    assert "pass_at_1" not in general
    problems = load_questions(settings(), evaluated.base).general
    for name, use in evaluated.uses.items():
        scorer = RewardModelScorer.load(RewardModelUse(path=use["path"], device="cpu"))
        scores = [
            scorer(problem, Completion([1], [], text, "stop")).value
            for problem in problems
            for text in SAID[problem.id]
        ]
        assert len(set(scores)) > 3
        assert value(general, name) == pytest.approx(np.mean(scores), abs=1e-4)


def test_all_completions_are_kept(evaluated: SimpleNamespace) -> None:
    rows = evaluated.rows
    assert [row["problem_id"] for row in rows[::4]] == ["a", "b", "c", "hi", "no"]
    assert [row["text"] for row in rows] == [text for texts in SAID.values() for text in texts]
    assert [row["reward/accuracy"] is None for row in rows] == [False] * 12 + [True] * 8
    assert [row["reward/helpful"] is None for row in rows] == [True] * 12 + [False] * 8
    assert evaluated.counts == {"problems": 3, "general problems": 2, "completions": 20}
    assert evaluated.told == [(n, 5) for n in range(1, 6)]


def evaluate_into(out: Path, monkeypatch: Any, engine: Any, **changes: Any) -> list[Any]:
    """Run the battery beside the problems; what it told of its progress."""
    monkeypatch.setattr("r1.evaluation.source.load_engine", lambda *_: engine)
    progress = Silent()
    run_battery(
        settings(**changes), str(out.parent / "scripted"), out.parent, out, progress, stage="dev2"
    )
    return progress.told


@pytest.mark.slow
def test_a_killed_evaluation_carries_on_at_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of one problem: a, b, c by rules, hi and no by manners; killed in two of them."""
    write_rows(tmp_path)
    out, whole = tmp_path / "eval", tmp_path / "whole"
    evaluate_into(whole, monkeypatch, ScriptedEngine())
    monkeypatch.setattr("r1.evaluation.blocks.BLOCK_SAMPLES", 4)
    with pytest.raises(KeyboardInterrupt):
        evaluate_into(out, monkeypatch, ScriptedEngine(fail_at="c"))
    assert sorted(p.name for p in (out / "blocks").glob("*.parquet")) == [
        "reasoning-00000.parquet", "reasoning-00001.parquet"
    ]  # fmt: skip
    second = ScriptedEngine(fail_at="no")
    with pytest.raises(KeyboardInterrupt):
        evaluate_into(out, monkeypatch, second)
    assert second.asked == ["c", "hi", "no"]
    third = ScriptedEngine()
    pool = EnginePool([third, ScriptedEngine()], third.tokenizer, 8, 4)
    told = evaluate_into(out, monkeypatch, pool, title="Dev2")
    assert [e.asked for e in pool._engines if e.asked] == [["no"]], "another title moves no figure"
    assert told == [(n, 5) for n in range(1, 6)]
    found, expected = (json.loads((f / RESULT).read_text()) for f in (out, whole))
    assert (found.pop("title"), expected.pop("title")) == ("Dev2", "dev2")
    assert found.pop("seconds") != expected.pop("seconds")
    assert found == expected
    assert (out / COMPLETIONS).read_bytes() == (whole / COMPLETIONS).read_bytes()
    assert {path.name for path in out.iterdir()} == {RESULT, COMPLETIONS}


def test_blocks_of_another_evaluation_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path)
    out = tmp_path / "eval"
    evaluate_into(out, monkeypatch, ScriptedEngine())
    before = {name: (out / name).read_bytes() for name in (RESULT, COMPLETIONS)}
    with pytest.raises(KeyboardInterrupt):
        evaluate_into(out, monkeypatch, ScriptedEngine("hi"))
    assert {name: (out / name).read_bytes() for name in before} == before
    assert (out / "blocks" / "reasoning-00000.parquet").exists()
    changed = ScriptedEngine()
    evaluate_into(out, monkeypatch, changed, rewards={"weights": {"accuracy": 2.0}})
    assert changed.asked[:3] == ["a", "b", "c"]
    assert before[COMPLETIONS] != (out / COMPLETIONS).read_bytes()


def test_a_real_model_without_general_problems(tmp_path: Path) -> None:
    write_rows(tmp_path)
    stage = settings(
        general=[], max_new_tokens=6, engine={"device": "cpu"}, template={"kind": "plain"},
        rewards={"weights": {"accuracy": 1.0}, "families": {"sums": {"accuracy": 0.5}}},
        evaluation={"num_samples": 2, "temperature": 1.0, "top_p": 1.0},
    )  # fmt: skip
    model = save_small_model(tmp_path / "model")
    run_battery(stage, str(model), tmp_path, tmp_path / "out", Silent())
    summary = json.loads((tmp_path / "out" / RESULT).read_text())
    assert "general" not in summary
    assert summary["num_parameters"] > 10_000
    overall = summary["overall"]
    assert overall["format"]["value"] == overall["pass_at_1"]["value"] == 0.0
    assert 0 < overall["mean_length"]["value"] <= 6
    assert "cons_at_k" not in overall  # nobody gave an answer to vote for
    assert pq.read_table(tmp_path / "out" / COMPLETIONS).num_rows == 6


def test_settings_and_problems_that_do_not_fit(tmp_path: Path) -> None:
    write_rows(tmp_path)
    with pytest.raises(UserError, match='knows "helpful" and "harmless"'):
        settings(reward_models={"kind": {"path": "x"}})
    with pytest.raises(UserError, match=r"add a \[\[general\]\] source"):
        settings(reward_models={"helpful": {"path": "x"}}, general=[])
    with pytest.raises(UserError, match='verifier "none"'):
        load_questions(settings(problems=[{"path": "general.jsonl", "verifier": "none"}]), tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        run_battery(
            settings(reward_models={"helpful": {"path": "nowhere"}}), str(tmp_path / "scripted"),
            tmp_path, tmp_path / "out", Silent(),
        )  # fmt: skip
    assert not (tmp_path / "out").exists()
