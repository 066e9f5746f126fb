"""Every cause is named in a run that has it, and healthy runs are left in peace."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from broken_runs import Events
from fake_endpoint import KEY, MODEL, FakeEndpoint, reply_json
from fake_pipeline import write_pipeline
from r1 import cli
from r1.diagnose import CHECKS, diagnose
from r1.diagnose.live import HopelessRunError, WatchedEvents
from r1.diagnose.signal import kind_of
from r1.diagnose.thresholds import THRESHOLDS
from r1.diagnose.view import SampledGroup, load_view
from r1.errors import UserError
from r1.report import build_report
from r1.run_dir import completion_table, read_metrics
from r1.template import parse
from r1.types import (
    FAILED,
    Completion,
    Outcome,
    Problem,
    Reward,
    RolloutGroup,
    Score,
    ScoredGroup,
)
from recorded_runs import BROKEN, COLLAPSED, HEALTHY, Fault, record, record_supervised

DOCS = Path(__file__).parents[1] / "docs" / "diagnose.md"
SUPERVISED = {cause.cause for cause in CHECKS if cause.applies == "supervised"}


@pytest.mark.parametrize("cause", BROKEN)
def test_a_broken_run_names_its_cause(cause: str, tmp_path: Path) -> None:
    found = diagnose(record(tmp_path / "run", BROKEN[cause]))
    assert [one.cause for one in found] == [cause], found
    assert found[0].evidence
    assert found[0].remedy
    assert len(found[0].examples) <= 3


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_is_left_in_peace(name: str, tmp_path: Path) -> None:
    assert diagnose(record(tmp_path / "run", HEALTHY[name])) == []


def test_every_check_of_rewarded_runs_has_a_broken_run() -> None:
    assert {check.cause for check in CHECKS} - SUPERVISED == set(BROKEN)


def test_the_page_shows_every_threshold_and_every_cause() -> None:
    page = DOCS.read_text()
    for name, limit in THRESHOLDS.items():
        assert f"| `{name}` | {limit.value:g} | {limit.about} | {limit.why} |" in page
    for check in CHECKS:
        assert f"| `{check.cause}` |" in page


def test_a_short_run_is_told_to_be_longer_not_faster(tmp_path: Path) -> None:
    settings = {"optimizer.lr": 3e-6, "num_steps": 4}
    run = record(tmp_path / "run", Fault(num_steps=4, settings=settings))
    [found] = diagnose(run)
    assert (found.cause, found.remedy) == ("rate_too_low", "num_steps = 67 or more")


def test_a_run_that_broke_after_it_had_learnt(tmp_path: Path) -> None:
    [found] = diagnose(record(tmp_path / "run", COLLAPSED))
    assert found.cause == "rate_too_high"
    assert "at its best" in found.evidence


def test_a_flat_run_is_told_with_its_noise(tmp_path: Path) -> None:
    [found] = diagnose(record(tmp_path / "run", BROKEN["no_rise"]))
    assert found.title == "No rise of the accuracy can be told from noise."
    said = r"accuracy ([\d.]+) % in the first steps, ([\d.]+) % in the last of 20; ([\d.]+)"
    told = re.match(said, found.evidence)
    first, last, noise = map(float, told.groups())
    assert 15 < first < 45
    assert abs(last - first) <= noise < 15
    assert "grpo.num_problems, grpo.group_size" in found.remedy
    assert not found.hopeless


def test_a_flat_run_with_a_cause_names_the_cause_alone(tmp_path: Path) -> None:
    flat = {"num_steps": 20, "right": lambda t, p: 0.3, "formatted": lambda t: 0.9}
    fault = Fault(
        **flat, settings={"learner.dtype": "bfloat16"}, metrics={"stuck_share": lambda t: 0.9}
    )
    found = diagnose(record(tmp_path / "run", fault))
    assert [one.cause for one in found] == ["stuck_weights"]


def test_unparseable_names_the_source_that_reads_the_answers(tmp_path: Path) -> None:
    [found] = diagnose(record(tmp_path / "run", BROKEN["unparseable"]))
    assert found.remedy == 'rewards.answer_from = "answer" (now "boxed")'
    assert "128 of 128 samples of the last 2 steps are unparseable" in found.evidence
    assert "reads 128 of 128 of these" in found.evidence
    assert len(found.examples) == 3
    assert "<answer>" in found.examples[0]


def test_the_strictest_of_two_sources_is_named(tmp_path: Path) -> None:
    fault = BROKEN["unparseable"]
    boxed = Fault(
        **{
            **vars(fault),
            "write": lambda answer, rng: f"{rng.random()} is no end. So \\boxed{{{answer}}}",
            "settings": {"rewards.answer_from": "answer"},
        }
    )
    [found] = diagnose(record(tmp_path / "run", boxed))
    assert found.remedy == 'rewards.answer_from = "boxed" (now "answer")'


def test_a_source_that_reads_wrong_answers_alone_is_not_named(tmp_path: Path) -> None:
    fault = Fault(**{**vars(BROKEN["unparseable"]), "right": lambda t, p: 0.0})
    [found] = diagnose(record(tmp_path / "run", fault))
    assert "no other source of answers reads right ones" in found.evidence
    assert found.remedy == 'a cold start first (a stage of kind "sft")'


def test_form_dominates_gives_the_weight_that_evens_both(tmp_path: Path) -> None:
    [found] = diagnose(record(tmp_path / "run", BROKEN["form_dominates"]))
    weight = float(found.remedy.split(" = ")[1].split()[0])
    even = Fault(
        **{
            **vars(BROKEN["form_dominates"]),
            "settings": {"rewards.weights": {"accuracy": weight, "format": 10.0}},
        }
    )
    assert diagnose(record(tmp_path / "even", even)) == []


def test_answers_of_a_tolerance_are_not_called_wrong(tmp_path: Path) -> None:
    """A numeric verifier may pay what is near; it may not pay a guess."""

    def paid(distance: float) -> Fault:
        return Fault(
            formatted=lambda t: 1.0,
            verifier="numeric",
            reference=lambda number: str(100 * number),
            write=lambda answer, rng: (
                f"<think> {rng.random()} </think> <answer> "
                f"{round(int(answer) * (100 + distance))} </answer>"
            ),
        )

    assert diagnose(record(tmp_path / "near", paid(1.0))) == []
    [found] = diagnose(record(tmp_path / "guess", paid(30.0)))
    assert (found.cause, "rel_tol" in found.remedy) == ("pays_wrong", True)


def test_capitals_may_have_been_asked_for(tmp_path: Path) -> None:
    """A verifier that refuses "rome" for Rome does what a problem may ask of it."""
    fault = Fault(
        right=lambda t, p: 0.0,
        formatted=lambda t: 1.0,
        reference=lambda number: "Rome",
        write=lambda answer, rng: f"<think> {rng.random()} </think> <answer> rome </answer>",
    )
    assert [cause.cause for cause in diagnose(record(tmp_path / "run", fault))] == ["all_wrong"]


@pytest.mark.slow
def test_mathematics_may_say_the_same_in_other_words(tmp_path: Path) -> None:
    """Two texts that differ are not called wrong before mathematics has compared them."""
    fault = Fault(
        formatted=lambda t: 1.0,
        verifier="my_own",
        reference=lambda number: f"{number} + x",
        write=lambda answer, rng: (
            f"<think> {rng.random()} </think> <answer> x + {answer} </answer>"
        ),
    )
    assert diagnose(record(tmp_path / "run", fault)) == []


def test_a_family_without_accuracy_counts_by_its_whole_reward(tmp_path: Path) -> None:
    view = load_view(record(tmp_path / "run", HEALTHY["rises"]))
    rows = [{"valid": True, "reward": value, "reward/accuracy": None} for value in (0.2, 0.7)]
    assert view.main_part == "accuracy"
    assert kind_of(SampledGroup(0, rows), view) == "with signal"
    assert kind_of(SampledGroup(0, rows[:1] * 2), view) == "all wrong"


def test_a_run_of_an_older_version_is_read(tmp_path: Path) -> None:
    """Without the column of verifiers and without facts.json."""
    import pyarrow.parquet as pq

    run = record(tmp_path / "run", BROKEN["all_wrong"])
    (run / "facts.json").unlink()
    for path in (run / "rollouts").iterdir():
        pq.write_table(pq.read_table(path).drop_columns(["verifier"]), path)
    assert [one.cause for one in diagnose(run)] == ["all_wrong"]


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("rises", [False, True])
def test_a_loss_that_noise_hides_is_not_called_flat_or_rising(noise, rises, tmp_path) -> None:
    rng = random.Random(3)

    def loss(part: float) -> float:
        return (0.3 + 0.1 * part if rises else 0.69) + noise * rng.choice((-1, 1))

    more = {"kind": "dpo", "metrics": {"accuracy": 0.5}}
    run = record_supervised(tmp_path / "r", loss=loss, **more)
    named = [one.cause for one in diagnose(run) if one.cause.startswith("loss")]
    assert named == ([] if noise else ["loss_rises" if rises else "loss_flat"])


SFT_CAUSES = {
    "loss_rises": {"loss": lambda t: 1.0 + t},
    "loss_flat": {"loss": lambda t: 2.0},
    "few_labels": {"loss": lambda t: 2.0 - t, "metrics": {"tokens_learnt": 5.0}},
    "rows_dropped": {
        "loss": lambda t: 2.0 - t,
        "counts": {"examples": 60, "dropped": 40, "truncated": 0},
    },
    "length_margin": {
        "loss": lambda t: 0.69 - 0.3 * t,
        "kind": "dpo",
        "metrics": {"accuracy": 0.8},
        "settings": {"loss": {"kind": "dpo"}, "optimizer": {"kind": "adamw", "lr": 1e-3}},
        "evaluation": {
            "by_length": {
                "chosen is longer": {"value": 0.95, "num": 40},
                "chosen is shorter": {"value": 0.2, "num": 40},
            },
            "length_correlation": 0.8,
        },
    },
}


@pytest.mark.parametrize("cause", SFT_CAUSES)
def test_a_broken_supervised_run_names_its_cause(cause: str, tmp_path: Path) -> None:
    assert [c.cause for c in diagnose(record_supervised(tmp_path / "r", **SFT_CAUSES[cause]))] == [
        cause
    ]


@pytest.mark.parametrize(
    "run",
    [
        {"loss": lambda t: 2.0 - 1.4 * t},
        {"loss": lambda t: 0.51},  # it fits its data: the loss is the entropy
        {"loss": lambda t: 0.69 - 0.2 * t, "metrics": {"accuracy": 0.6}, "kind": "reward_model"},
    ],
)
def test_a_healthy_supervised_run_is_left_in_peace(run, tmp_path: Path) -> None:
    assert diagnose(record_supervised(tmp_path / "run", **run)) == []


def test_a_rate_is_too_low_for_a_run_of_epochs_once_it_has_ended(tmp_path: Path) -> None:
    """Before, nobody knows how many steps it will have."""
    slow = {"optimizer": {"kind": "adamw", "lr": 1e-7}}
    metrics = {"tokens_learnt": 300.0, "lr": 1e-7}
    run = record_supervised(tmp_path / "run", lambda t: 2.0 - t, settings=slow, metrics=metrics)
    assert diagnose(run) == []
    (run / "DONE.json").write_text("{}")
    assert [cause.cause for cause in diagnose(run)] == ["rate_too_low"]


def test_every_supervised_check_has_a_broken_run() -> None:
    assert set(SFT_CAUSES) == SUPERVISED


# The command and the page -------------------------------------------------------------------------


def invoke(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, ["diagnose", *words], env={"COLUMNS": "400"})
    if isinstance(done.exception, UserError):
        raise done.exception
    return done.exit_code, done.output


def test_the_command_prints_causes_with_remedies(tmp_path: Path) -> None:
    run = record(tmp_path / "run", BROKEN["all_wrong"])
    code, shown = invoke(str(run))
    assert code == 0
    assert "Most groups are all wrong" in shown
    assert "grpo.group_size = 32 (now 8)" in shown
    assert "wanted" in shown
    code, shown = invoke(str(run), "--json")
    [cause] = json.loads(shown)
    assert (cause["cause"], cause["hopeless"]) == ("all_wrong", True)
    code, shown = invoke(str(record(tmp_path / "good", HEALTHY["rises"])))
    assert "Nothing found" in shown


def test_a_pipeline_is_told_by_stage(tmp_path: Path) -> None:
    record(tmp_path / "one" / "run", BROKEN["all_wrong"])
    record(tmp_path / "two" / "run", HEALTHY["rises"])
    stages = [{"name": name, "kind": "r1_zero"} for name in ("one", "two", "data")]
    (tmp_path / "pipeline.json").write_text(json.dumps({"stages": stages}))
    found = json.loads(invoke(str(tmp_path), "--json")[1])
    assert {name: [c["cause"] for c in causes] for name, causes in found.items()} == {
        "one": ["all_wrong"],
        "two": [],
    }


def test_wrong_input_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; give the folder of a run"):
        invoke(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"no run\.json"):
        invoke(str(tmp_path))
    run = record(tmp_path / "run", HEALTHY["rises"])
    with pytest.raises(UserError, match=r"\[rewards\.judge\]"):
        invoke(str(run), "--judge")
    recipe = (run / "recipe.json").read_text()
    (run / "recipe.json").write_text(recipe.replace("0.0003", '"fast"'))
    with pytest.raises(UserError, match=r"recipe\.json cannot be used \(optimizer\.lr"):
        invoke(str(run))
    (run / "recipe.json").write_text(recipe)
    (run / "facts.json").write_text('{"counts": 3}')
    with pytest.raises(UserError, match=r"facts\.json cannot be used \(counts"):
        invoke(str(run))


def test_the_report_says_what_the_run_says_about_itself(tmp_path: Path) -> None:
    hostile = Fault(
        **{
            **vars(BROKEN["unparseable"]),
            "write": lambda answer, rng: f"<script>{rng.random()}</script> <answer> {answer}",
        }
    )
    page = build_report(record(tmp_path / "run", hostile)).read_text()
    section = page.partition('<section id="diagnosis">')[2].partition("</section>")[0]
    assert "No answer is found in most responses." in section
    assert "&lt;script&gt;" in section
    assert "<script>" not in section
    page = build_report(record(tmp_path / "good", HEALTHY["rises"])).read_text()
    assert "Nothing found that keeps it from learning." in page


@pytest.mark.slow
def test_a_pipelines_page_says_it_of_each_stage(tmp_path: Path) -> None:
    folder = tmp_path / "pipeline"
    write_pipeline(folder)
    assert 'id="diagnosis"' not in build_report(folder).read_text()
    shutil.rmtree(folder / "r1_zero" / "run")
    record(folder / "r1_zero" / "run", BROKEN["all_wrong"])
    page = build_report(folder).read_text()
    section = page.partition('<section id="diagnosis">')[2].partition("</section>")[0]
    assert "<h3>r1_zero</h3>" in section
    assert "Most groups are all wrong" in section


def test_the_judge_of_the_recipe_is_a_second_verifier(tmp_path, monkeypatch) -> None:
    """A judge that calls all wrong contradicts what was paid; an honest one does not."""
    monkeypatch.setenv("FAKE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FakeEndpoint(brain=lambda prompt: reply_json(prompt, "incorrect")) as endpoint:
        settings = {"base_url": endpoint.base_url, "model": MODEL, "api_key_env": "FAKE_KEY"}
        run = record(tmp_path / "run", Fault(settings={"rewards.judge": settings}))
        assert [cause.cause for cause in diagnose(run, judge=True)] == ["pays_wrong"]
        assert "the judge calls" in diagnose(run, judge=True)[0].evidence
    with FakeEndpoint() as endpoint:
        settings["base_url"] = endpoint.base_url
        run = record(tmp_path / "honest", Fault(settings={"rewards.judge": settings}))
        assert diagnose(run, judge=True) == []


# While a run goes on ------------------------------------------------------------------------------


def watch(run: Path, stop: bool = False) -> Events:
    """The events of a run, step by step as its folder holds them in the end."""
    events = Events()
    watched = WatchedEvents(events, run, stop)
    watched.begin(0, 100, [])
    for row in read_metrics(run):
        watched.step(row["step"], row)
    return events


def test_a_cause_is_told_once(tmp_path: Path) -> None:
    [told] = watch(record(tmp_path / "run", BROKEN["all_wrong"])).warnings
    assert told.startswith("Most groups are all wrong")
    assert "try:" in told


def test_a_hopeless_run_stops_where_that_is_asked(tmp_path: Path) -> None:
    run = record(tmp_path / "run", BROKEN["all_wrong"])
    with pytest.raises(HopelessRunError, match=r"nothing is learnt .*easier problems"):
        watch(run, stop=True)
    watch(record(tmp_path / "slow", BROKEN["form_dominates"]), stop=True)


# What cannot be judged ----------------------------------------------------------------------------


def evaluation_of(folder: Path, groups: list[ScoredGroup]) -> Path:
    """The folder of an evaluation with one block; none without groups."""
    (folder / "blocks").mkdir(parents=True)
    (folder / "request.json").write_text("{}")
    if groups:
        pq.write_table(completion_table(0, groups, parse), folder / "blocks" / "000000.parquet")
    return folder


def unjudged(verifier: str, finish_reason: str, why: str) -> ScoredGroup:
    score = Score(0.0, Outcome.VERIFIER_FAILED, why)
    problem = Problem("p", "1 + 1?", "2", verifier)
    completion = Completion([1], [0.0], "<think> a </think> 2", finish_reason)
    group = RolloutGroup(problem, (1,), [completion] * 4)
    return ScoredGroup(group, [Reward(0.0, {"accuracy": score}, False)] * 4)


@pytest.mark.parametrize(
    ("groups", "evidence", "remedy"),
    [
        ([], "it holds no samples", "the same command again"),
        ([unjudged("exact", FAILED, "none")], "gave no response", "the same command again"),
        ([unjudged("afterwards", "stop", "later")], "a judge is asked", "r1 bench show"),
    ],
    ids=["no block", "no response", "judged afterwards"],
)
def test_an_evaluation_without_a_verdict_is_not_called_healthy(
    tmp_path: Path, groups, evidence, remedy
) -> None:
    [found] = diagnose(evaluation_of(tmp_path / "suite" / "own", groups))
    assert (found.cause, found.hopeless) == ("nothing_judged", False)
    assert evidence in found.evidence
    assert found.remedy.startswith(remedy)
    code, shown = invoke(str(tmp_path / "suite" / "own"))
    assert code == 0
    assert "Nothing can be judged yet." in shown
    assert "Nothing found" not in shown


def test_where_all_verifiers_failed_it_is_they_that_are_named(tmp_path: Path) -> None:
    folder = evaluation_of(tmp_path / "eval", [unjudged("exact", "stop", "KeyError")])
    assert [one.cause for one in diagnose(folder)] == ["verifier_failed"]
