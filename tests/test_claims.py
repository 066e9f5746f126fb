"""Claims as data: what a file may say, which stages it becomes, and the rule of the verdict."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from r1.claims.arms import ClaimPlan, plan_claims
from r1.claims.difference import (
    ClaimVerdict,
    SeedsDifference,
    of_runs,
    over_problems,
    verdict_of,
    whole_verdict,
)
from r1.claims.earlier import earlier_seeds
from r1.claims.measure import NO_COST, MeasuredStage, areas
from r1.claims.page import write_claims_page
from r1.claims.results import (
    ArmResult,
    ClaimResult,
    ComparisonResult,
    claim_verdict,
    compare_arms,
    judge_claims,
    write_results,
)
from r1.claims.run import by_folder, recipe_of
from r1.claims.settings import ComparisonSettings, LoadedClaim, find_claims, load_claim
from r1.cli import app
from r1.errors import UserError
from r1.intervals import Interval
from r1.pipeline.run_r1 import build

CLAIMS = Path(__file__).parents[1] / "recipes" / "claims"
ALL = sorted(path.stem for path in CLAIMS.glob("*.toml"))

ZERO = """
model = "tiny"
num_steps = 2
data.train = [{ kind = "tiny", split = "train", families = ["arithmetic"], num = 20 }]
data.heldout = [{ kind = "tiny", split = "heldout", families = ["arithmetic"], num = 4 }]
grpo = { num_problems = 2, group_size = 2 }
"""
CLAIM = """
title = "a"
says = "b"
source = "c"
minutes = 1
recipes = { zero = "zero.toml" }
[arms.plain]
like = "zero"
[arms.steep]
title = "Steep"
like = "zero"
optimizer.lr = 1e-3
[[compare]]
says = "steeper is better"
arm = "steep"
than = "plain"
"""


SEARCH = """
kind = "search"
model = "tiny"
search = { method = "vote" }
problems = [{ kind = "tiny", split = "heldout", families = ["arithmetic"], num = 4 }]
"""


EVALUATION = """
kind = "evaluation"
model = "tiny"
problems = [{ kind = "tiny", split = "heldout", families = ["arithmetic"], num = 4 }]
"""


def written(folder: Path, text: str = CLAIM, name: str = "mine") -> LoadedClaim:
    (folder / "zero.toml").write_text(ZERO)
    (folder / f"{name}.toml").write_text(text)
    return load_claim(folder / f"{name}.toml")


def planned(folder: Path, text: str = CLAIM, seeds: int = 1) -> ClaimPlan:
    return plan_claims([written(folder, text)], seeds, "tiny")


@pytest.mark.parametrize("name", ALL)
def test_every_claim_of_the_project_is_a_pipeline(name: str) -> None:
    """Its arms are recipes that the pipeline accepts, at every scale it names."""
    [claim] = find_claims([name], CLAIMS)
    for scale in ("tiny", *claim.settings.scales):
        plan = plan_claims([claim], 2, scale)
        for folder, stages in by_folder(plan).items():
            assert len(build(recipe_of(stages), folder, name).stages) == len(stages)
        assert all(len(set(plan.arms[name][c.arm])) for c in claim.settings.compare)


def test_the_same_experiment_is_one_stage_whoever_asks(tmp_path: Path) -> None:
    other = CLAIM.replace("arms.steep", "arms.fast").replace('arm = "steep"', 'arm = "fast"')
    claims = [written(tmp_path), written(tmp_path, other, "other")]
    plan = plan_claims(claims, 1, "tiny")
    assert plan.arms["mine"]["steep"] == plan.arms["other"]["fast"]
    assert len(plan.stages) == 2


def test_a_default_that_is_spelt_out_is_the_same_experiment(tmp_path: Path) -> None:
    first = planned(tmp_path)
    second = planned(
        tmp_path, CLAIM.replace("optimizer.lr = 1e-3", "optimizer.lr = 1e-3\nseed = 0")
    )
    assert first.arms["mine"] == second.arms["mine"]
    third = planned(tmp_path, CLAIM.replace("lr = 1e-3", "lr = 2e-3"))
    assert third.arms["mine"]["plain"] == first.arms["mine"]["plain"]
    assert third.arms["mine"]["steep"] != first.arms["mine"]["steep"]


def test_seeds_are_stages_of_their_own_and_the_first_ones_stay(tmp_path: Path) -> None:
    one, three = planned(tmp_path), planned(tmp_path, seeds=3)
    assert len(three.stages) == 6
    assert three.arms["mine"]["steep"][:1] == one.arms["mine"]["steep"]


def test_files_that_relative_paths_name_are_in_an_arm_s_name(tmp_path: Path) -> None:
    """Two claims in two folders, each with a d.jsonl of its own beside it."""
    names = []
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "d.jsonl").write_text("{}")
        text = CLAIM.replace("optimizer.lr = 1e-3", 'data.train = [{ path = "d.jsonl" }]')
        found = planned(tmp_path / folder, text).arms["mine"]
        names.append((found["plain"], found["steep"]))
    assert names[0][0] == names[1][0]
    assert names[0][1] != names[1][1]


def test_what_an_arm_reads_is_in_its_name(tmp_path: Path) -> None:
    looked = """
[arms.looked]
kind = "evaluation"
model = "@steep"
problems = [{ kind = "tiny", split = "heldout", num = 4 }]
"""
    text = CLAIM.replace("[[compare]]", looked + "[[compare]]")
    first = planned(tmp_path, text)
    second = planned(tmp_path, text.replace("1e-3", "2e-3"))
    [name] = first.arms["mine"]["looked"]
    assert first.stages[name].reads == first.arms["mine"]["steep"]
    assert second.arms["mine"]["looked"] != [name]


def test_sections_can_be_left_out_of_what_an_arm_is_like(tmp_path: Path) -> None:
    text = CLAIM.replace(
        "optimizer.lr = 1e-3", 'without = ["grpo"]\nppo = { num_problems = 2, value_warmup = 1 }'
    )
    plan = planned(tmp_path, text)
    [name] = plan.arms["mine"]["steep"]
    assert "ppo" in plan.stages[name].table
    assert "grpo" not in plan.stages[name].table


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "a"', 'titel = "a"', ["mine.toml", "titel", "did you mean 'title'"]),
        ('like = "zero"', 'like = "zera"', ["mine.toml", "plain.like", "Did you mean 'zero'"]),
        ('like = "zero"', "num_steps = 2", ["mine.toml", "arms.plain", "add like"]),
        ('than = "plain"', 'than = "plane"', ["mine.toml", "compare.0: than", "mean 'plain'"]),
        ('than = "plain"', 'than = "steep"', ["compare.0", "name two arms"]),
        ("optimizer.lr = 1e-3", "optimizer.rl = 1e-3", ["arms.steep", "optimizer.rl", "unknown"]),
        ("optimizer.lr = 1e-3", 'without = ["ppo"]', ["steep.without", "'ppo'", "grpo"]),
        (
            "optimizer.lr = 1e-3",
            "data.heldout = []",
            ["compare.0", "steep", "measures no problems"],
        ),
        ('than = "plain"', 'than = "plain"\nmeasure = "speed"', ["compare.0.measure", "area"]),
        ('than = "plain"', 'than = "plain"\nexpect = "equal"', ["compare.0", "margin above 0"]),
        (
            'than = "plain"',
            'than = "plain"\nmargin = 5',
            ["compare.0", "share from 0 to 1", "0.05"],
        ),
        (
            'than = "plain"',
            'than = "plain"\ndecides = false',
            ["mine.toml", "no comparison decides"],
        ),
        ("minutes = 1", "minutes = 0", ["mine.toml", "minutes"]),
        ("optimizer.lr = 1e-3", "", ["compare.0", "steep and plain", "one experiment"]),
        (
            'than = "plain"',
            'than = "plain"\nmeasure = "explained_variance"',
            ["compare.0", "no critic", "[ppo]"],
        ),
        (
            'like = "zero"\noptimizer.lr = 1e-3',
            SEARCH,
            ["compare.0", "steep has no pass_at_1", "majority"],
        ),
        (
            'like = "zero"\noptimizer.lr = 1e-3\n[[compare]]',
            f'{SEARCH}\n[[compare]]\nmeasure = "generated_tokens"',
            ["compare.0", "those of a problem", "compare steep with a search"],
        ),
        ('like = "zero"', 'like = ["zero"]', ["arms.plain.like = ['zero']", 'like = "NAME"']),
        ("optimizer.lr = 1e-3", 'without = "grpo"', ["arms.steep.without = 'grpo'", "list names"]),
        ("optimizer.lr = 1e-3", "without = 3", ["arms.steep.without = 3", "list names"]),
        (
            'like = "zero"\noptimizer.lr = 1e-3',
            'like = "steep"',
            ["arms.steep.like = ", "circle (steep -> steep)"],
        ),
        (
            'than = "plain"',
            'than = "plain"\nthan_measure = "mean_length"',
            ["compare.0", "mean_length", "different units (shares and tokens)"],
        ),
        (
            'like = "zero"\noptimizer.lr = 1e-3\n[[compare]]',
            f'{EVALUATION}\n[[compare]]\nmeasure = "generated_tokens"',
            ["compare.0", "generated_tokens is of runs that train; steep is not"],
        ),
        (
            'like = "zero"\noptimizer.lr = 1e-3\n[[compare]]',
            f'{EVALUATION}\n[[compare]]\nmeasure = "helpful"',
            ["compare.0", "steep has no helpful", "no `general` requests"],
        ),
    ],
)
def test_a_fault_names_file_field_and_remedy(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    with pytest.raises(UserError) as refused:
        planned(tmp_path, CLAIM.replace(old, new, 1))
    assert all(word in str(refused.value) for word in said), str(refused.value)


def test_unknown_claims_scales_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no claim 'grpo'; did you mean 'grpo_ppo'"):
        find_claims(["grpo"], CLAIMS)
    with pytest.raises(UserError, match=r"no claim 'xyz'; claims: .*grpo_ppo"):
        find_claims(["xyz"], CLAIMS)
    (tmp_path / "claim.txt").write_text("")
    with pytest.raises(UserError, match=r"claim\.txt is no claim: .* ends in \.toml"):
        find_claims([str(tmp_path / "claim.txt")], CLAIMS)
    with pytest.raises(UserError, match="holds no claims"):
        find_claims([], tmp_path)
    with pytest.raises(UserError, match="no scale 'huge'; scales: tiny"):
        plan_claims([written(tmp_path)], 1, "huge")


def difference(low: float, high: float, of_seeds: list[float] | None = None) -> SeedsDifference:
    middle = (low + high) / 2
    return SeedsDifference(Interval(middle, low, high), of_seeds or [middle], 10)


@pytest.mark.parametrize(
    ("expect", "margin", "low", "high", "verdict"),
    [
        ("more", 0.0, 0.01, 0.1, ClaimVerdict.SHOWN),
        ("more", 0.0, -0.01, 0.1, ClaimVerdict.NOT_TOLD_APART),
        ("more", 0.0, -0.1, -0.01, ClaimVerdict.OTHER_WAY),
        ("more", 0.05, 0.01, 0.1, ClaimVerdict.NOT_TOLD_APART),
        ("more", 0.05, 0.01, 0.04, ClaimVerdict.OTHER_WAY),
        ("less", 0.0, -0.1, -0.01, ClaimVerdict.SHOWN),
        ("less", 0.0, 0.01, 0.1, ClaimVerdict.OTHER_WAY),
        ("no_less", 0.05, -0.04, 0.1, ClaimVerdict.SHOWN),
        ("no_less", 0.05, -0.06, 0.1, ClaimVerdict.NOT_TOLD_APART),
        ("no_less", 0.05, -0.2, -0.06, ClaimVerdict.OTHER_WAY),
        ("no_more", 0.05, -0.2, 0.04, ClaimVerdict.SHOWN),
        ("no_more", 0.05, 0.06, 0.2, ClaimVerdict.OTHER_WAY),
        ("equal", 0.05, -0.04, 0.04, ClaimVerdict.SHOWN),
        ("equal", 0.05, -0.06, 0.04, ClaimVerdict.NOT_TOLD_APART),
        ("equal", 0.05, 0.06, 0.1, ClaimVerdict.OTHER_WAY),
    ],
)
def test_the_rule_of_the_verdict(
    expect: str, margin: float, low: float, high: float, verdict: ClaimVerdict
) -> None:
    settings = {"says": "s", "arm": "a", "than": "b", "expect": expect, "margin": margin}
    comparison = ComparisonSettings.model_validate(settings)
    assert verdict_of(comparison, difference(low, high)) is verdict


def test_every_seed_has_to_agree() -> None:
    comparison = ComparisonSettings(says="s", arm="a", than="b")
    found = difference(0.01, 0.1, [0.1, 0.1, -0.02])
    assert verdict_of(comparison, found) is ClaimVerdict.NOT_TOLD_APART
    found = difference(0.01, 0.1, [0.1, 0.1, 0.02])
    assert verdict_of(comparison, found) is ClaimVerdict.SHOWN


def test_every_seed_has_to_agree_that_arms_are_not_equal() -> None:
    told = {"says": "s", "arm": "a", "than": "b", "expect": "equal", "margin": 0.05}
    comparison = ComparisonSettings.model_validate(told)
    for sign in (1.0, -1.0):
        bounds = sorted([sign * 0.06, sign * 0.1])
        found = difference(*bounds, [sign * 0.1, sign * 0.1, sign * 0.04])
        assert verdict_of(comparison, found) is ClaimVerdict.NOT_TOLD_APART
        found = difference(*bounds, [sign * 0.1, sign * 0.1, sign * 0.07])
        assert verdict_of(comparison, found) is ClaimVerdict.OTHER_WAY


def test_one_run_has_no_verdict_but_on_what_it_cost() -> None:
    for measure, verdict in [
        ("explained_variance", ClaimVerdict.NOT_TOLD_APART),
        ("state_bytes", ClaimVerdict.SHOWN),
    ]:
        comparison = ComparisonSettings(says="s", arm="a", than="b", measure=measure)
        cost = measure == "state_bytes"
        assert verdict_of(comparison, of_runs([2.0], [1.0], cost)) is verdict
        assert verdict_of(comparison, of_runs([2.0, 3.0], [1.0, 1.0], cost)) is verdict
        assert verdict_of(comparison, of_runs([3.0, 3.1], [1.0, 1.0], cost)) is ClaimVerdict.SHOWN


def test_the_interval_of_runs_is_student_s() -> None:
    """By hand: mean 2, deviation 1, half-width 4.303 / sqrt(3)."""
    found = of_runs([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], cost=False)
    assert found.interval == pytest.approx((2.0, 2.0 - 2.4843, 2.0 + 2.4843), abs=1e-3)
    assert of_runs([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], cost=True).interval == (2.0, 1.0, 3.0)


def test_seeds_that_run_the_same_stages_are_one_seed() -> None:
    comparison = ComparisonSettings(says="s", arm="a", than="b")
    stage = measured(0.9).measured[0]
    once = ArmResult("a", "A", ["base"] * 3, {"base": stage}, {})
    found = compare_arms(comparison, {"a": once, "b": once}).found
    assert found is not None
    assert len(found.of_seeds) == 1
    names = ["zero-1", "zero-2", "zero-3"]
    other = ArmResult("b", "B", names, dict.fromkeys(names, stage), {})
    found = compare_arms(comparison, {"a": once, "b": other}).found
    assert found is not None
    assert len(found.of_seeds) == 3


def test_the_verdict_is_of_the_seeds_that_have_run() -> None:
    comparison = ComparisonSettings(says="s", arm="a", than="b")
    high, low = measured(0.9).measured[0], measured(0.5).measured[0]
    arm = ArmResult("a", "A", ["a-1", "a-2", "a-3"], {"a-1": high, "a-3": high}, {})
    than = ArmResult("b", "B", ["b-1", "b-2", "b-3"], {"b-1": low, "b-2": low}, {})
    result = compare_arms(comparison, {"a": arm, "b": than})
    assert result.verdict is ClaimVerdict.SHOWN
    assert result.reason == "1 of 3 seeds so far."
    none = compare_arms(comparison, {"a": arm, "b": than._replace(known={"b-2": low})})
    assert none.verdict is ClaimVerdict.TO_COME


def test_arms_without_a_problem_in_common_say_so() -> None:
    comparison = ComparisonSettings(says="s", arm="a", than="b")
    elsewhere = measured(0.5)
    stage = elsewhere.measured[0]._replace(values={"pass_at_1": {"q": 1.0}})
    other = elsewhere._replace(title="Other", known={"r1_zero-1": stage})
    sides = {"a": measured(0.9), "b": other}
    found = compare_arms(comparison, sides)
    assert found.verdict is ClaimVerdict.TO_COME
    assert found.reason == "Arm <1> and Other have no problem in common."


def test_a_claim_is_shown_where_all_of_it_is() -> None:
    shown, other = ClaimVerdict.SHOWN, ClaimVerdict.OTHER_WAY
    unsure, later = ClaimVerdict.NOT_TOLD_APART, ClaimVerdict.TO_COME
    assert whole_verdict([shown, shown]) is shown
    assert whole_verdict([shown, unsure]) is unsure
    assert whole_verdict([unsure, later, shown]) is later
    assert whole_verdict([shown, unsure, other]) is other


def test_what_stands_beside_a_claim_decides_nothing() -> None:
    beside = ComparisonSettings(says="s", arm="a", than="b", decides=False)
    claimed = ComparisonSettings(says="s", arm="a", than="b")
    found = [
        ComparisonResult(claimed, ClaimVerdict.SHOWN),
        ComparisonResult(beside, ClaimVerdict.OTHER_WAY),
    ]
    assert claim_verdict(found) is ClaimVerdict.SHOWN


def test_the_difference_is_paired_over_problems_and_seeds() -> None:
    """Problems of very different difficulty: the pairs differ by 0.1 throughout."""
    rng = np.random.default_rng(0)
    than = [{f"p{i}": float(v) for i, v in enumerate(rng.random(50))} for _ in range(3)]
    arm = [{name: value + 0.1 for name, value in run.items()} for run in than]
    found = over_problems(arm, than)
    assert found is not None
    assert found.interval.value == pytest.approx(0.1)
    assert 0.0 < found.interval.low < 0.1 < found.interval.high < 0.2
    assert found.of_seeds == pytest.approx([0.1] * 3)
    assert over_problems([{"a": 1.0}], [{"b": 1.0}]) is None


@pytest.mark.parametrize(("problems", "shown"), [(5, False), (20, False), (90, True)])
def test_equal_arms_are_within_a_margin_where_there_are_problems_enough(
    problems: int, shown: bool
) -> None:
    """A bootstrap of equal differences has no width: five problems would show whatever is asked."""
    run = {f"p{i}": 1.0 for i in range(problems)}
    found = over_problems([run], [run])
    assert found is not None
    assert found.interval.low < 0.0 < found.interval.high
    comparison = ComparisonSettings(says="s", arm="a", than="b", expect="no_less", margin=0.05)
    assert (verdict_of(comparison, found) is ClaimVerdict.SHOWN) == shown


def test_values_and_difference_are_of_the_same_problems() -> None:
    """p9 was judged of one arm only; without it they are equal."""
    comparison = ComparisonSettings(says="s", arm="a", than="b")
    more, other = measured(0.5), measured(0.5)
    values = {**other.known["r1_zero-1"].values["pass_at_1"], "p9": 0.0}
    known = other.known["r1_zero-1"]._replace(values={"pass_at_1": values})
    found = compare_arms(comparison, {"a": more, "b": other._replace(known={"r1_zero-1": known})})
    assert found.found is not None
    assert (found.arm, found.than, found.found.interval.value) == (0.5, 0.5, 0.0)
    assert found.reason == "left out, as not every run has them: 1 of the problems."


def test_the_seeds_of_an_earlier_call_are_kept(tmp_path: Path) -> None:
    claim, out = written(tmp_path), tmp_path / "out"
    out.mkdir()
    write_results(judge_claims([claim], plan_claims([claim], 3, "tiny"), out), out)
    assert earlier_seeds(out) == {"mine": 3}
    plan = plan_claims([claim], 1, "tiny", earlier_seeds(out))
    assert len(plan.arms["mine"]["steep"]) == 3
    write_claims_page(judge_claims([claim], plan, out), out, {"mine": "r1 reproduce"})
    assert "1 claim, 3 seeds an arm" in (out / "claims.html").read_text()


def test_a_claim_without_arms_is_told_so(tmp_path: Path) -> None:
    whole = CLAIM.index("recipes"), CLAIM.index("[[compare]]")
    (tmp_path / "mine.toml").write_text(CLAIM[: whole[0]] + CLAIM[whole[1] :])
    with pytest.raises(UserError, match=r"mine\.toml: there is nothing to compare; add an \[arms"):
        plan_claims([load_claim(tmp_path / "mine.toml")], 1, "tiny")


def test_seeds_that_disagree_widen_the_interval() -> None:
    own = np.random.default_rng(0).normal(0, 0.01, 200)

    def width(shifts: list[float]) -> float:
        arm = [{f"p{i}": v + shift for i, v in enumerate(own)} for shift in shifts]
        found = over_problems(arm, [dict.fromkeys(arm[0], 0.5)] * len(shifts))
        assert found is not None
        return found.interval.high - found.interval.low

    assert width([0.1, 0.1, 0.1]) < 0.01
    assert width([0.0, 0.1, 0.2]) > 0.1


def measured(value: float, unjudged: float = 0.0) -> ArmResult:
    values = {f"p{i}": value for i in range(9)} if unjudged < 1.0 else {}
    stage = MeasuredStage({"pass_at_1": values}, {0: values}, {0: 9.0}, {}, unjudged)
    return ArmResult("arm", "Arm <1>", ["r1_zero-1"], {"r1_zero-1": stage}, {"r1_zero-1": NO_COST})


def test_an_arm_whose_verifiers_failed_tells_nothing() -> None:
    comparison = ComparisonSettings(says="s", arm="a", than="b")
    sound = compare_arms(comparison, {"a": measured(0.9), "b": measured(0.5)})
    assert sound.verdict is ClaimVerdict.SHOWN
    spoilt = compare_arms(comparison, {"a": measured(0.9, 0.03), "b": measured(0.5)})
    assert spoilt.verdict is ClaimVerdict.TO_COME
    assert "3% of the samples of Arm <1> (r1_zero-1); remove that folder" in spoilt.reason


def test_the_page_of_arms_without_a_single_verdict(tmp_path: Path) -> None:
    claim, arms = written(tmp_path), {"steep": measured(0.9, 1.0), "plain": measured(0.5)}
    found = compare_arms(claim.settings.compare[0], arms)
    write_claims_page(
        [ClaimResult(claim, found.verdict, [found], arms, 0)],
        tmp_path,
        {"mine": "r1 reproduce mine.toml"},
    )
    page = (tmp_path / "claims.html").read_text()
    assert "Arm &lt;1&gt;" in page
    assert "Arm <1>" not in page.partition("<script")[0]
    assert "remove that folder" in page


def test_the_page_has_a_search_s_rules_and_its_tokens_a_problem(tmp_path: Path) -> None:
    def searched(share: float) -> ArmResult:
        rules = {rule: {"p0": share, "p1": share} for rule in ("any", "mean", "majority")}
        stage = MeasuredStage(rules, {}, {}, {"generated_tokens": 1234.4}, 0.0)
        return ArmResult("tree", "Tree", ["search-1"], {"search-1": stage}, {"search-1": NO_COST})

    claim, arms = written(tmp_path), {"steep": searched(0.75), "plain": measured(0.5)}
    found = compare_arms(claim.settings.compare[0], arms)
    write_claims_page(
        [ClaimResult(claim, found.verdict, [found], arms, 0)],
        tmp_path,
        {"mine": "r1 reproduce mine.toml"},
    )
    page = (tmp_path / "claims.html").read_text()
    heads = re.findall(r"<th[^>]*>([^<]*)", page)
    shown = heads[heads.index("arm") :]
    assert shown[2:7] == ["pass@1", "any", "majority", "tokens a problem", "length"]
    row = re.findall(
        r"<td[^>]*>(.*?)</td>", page.partition("<td>Tree</td>")[2].partition("</tr>")[0]
    )
    assert [re.sub("<.*", "", cell) for cell in row[4:6]] == ["1,234", "–"]
    assert all("75.0 %" in cell for cell in row[1:4])
    other = page.partition("<td>Arm")[2].partition("</tr>")[0]
    assert other.count("<td") == len(row), "as many cells as heads"


def test_the_area_is_a_mean_over_steps_by_trapezoids() -> None:
    curve = {0: {"a": 0.0, "b": 1.0}, 10: {"a": 1.0, "b": 1.0}, 30: {"a": 0.0, "b": 1.0}}
    assert areas(curve) == pytest.approx({"a": (0.5 * 10 + 0.5 * 20) / 30, "b": 1.0})
    assert areas({0: {"a": 1.0}}) == {}


def test_the_list_fits_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CLAIMS.parents[1])
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["reproduce", "--list", "--out", str(tmp_path / "none")])
    assert shown.exit_code == 0, shown.output
    assert set(ALL) <= set(shown.output.split())
    assert max(map(len, shown.output.splitlines())) <= 80
    assert not (tmp_path / "none").exists()
