"""Contests: seeds and ratings against golden values and four real rounds, samples as attempts,
scorings, frozen files, and the benchmark codeforces from rows to lines.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from carrot_reference import reference
from r1.benchmarks.contests.attempts import ContestResult, first_success, summed
from r1.benchmarks.contests.elo import performance, performances, seeds, share_below
from r1.benchmarks.contests.figures import ratings
from r1.benchmarks.contests.frozen import ContestProblem, FrozenContest, read_contest, write_contest
from r1.benchmarks.contests.rate import Tries, rate, rate_results
from r1.benchmarks.contests.scoring import SCORINGS, problem_results
from r1.benchmarks.protocol import Loaded, load
from r1.benchmarks.registry import find_benchmark
from r1.benchmarks.running.measure import Options, run_benchmarks
from r1.benchmarks.running.show import show_results
from r1.cli import app
from r1.errors import UserError
from r1.rewards.code import verifier as code
from r1.rewards.code.verifier import score_code
from r1.rewards.settings import RewardSettings
from r1.sandbox import SandboxSettings
from r1.types import Outcome

DATA = Path(__file__).parents[2] / "shared/benchmarks/codeforces"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
SEVEN = [800, 1000, 1200, 1400, 1600, 1800, 2000]
GOLDEN = {1.5: 2137.98, 2: 1962.83, 3: 1716.84, 4: 1503.64, 4.5: 1400.00, 6: 1083.16, 7.5: 662.02}
ROUNDS = {"1326-global-7": -17, "1342-edu-86": -17, "1349-641-div1": -11, "1350-641-div2": -19}
"""Round -> the site's correction of all changes, in points."""
BELOW_ZERO = {"1326-global-7": 959, "1342-edu-86": 2429, "1349-641-div1": 35, "1350-641-div2": 1698}


def test_ratings_of_ranks_have_the_golden_values() -> None:
    assert performances(list(GOLDEN), SEVEN) == pytest.approx(list(GOLDEN.values()), abs=0.0051)
    assert seeds(list(GOLDEN.values()), SEVEN) == pytest.approx(list(GOLDEN), abs=1e-3)
    assert performance(4, SEVEN).clamped is False
    for rank, end in ((1.0, 1.5), (0.0, 1.5), (7.6, 7.5), (8.0, 7.5)):
        assert performance(rank, SEVEN) == (pytest.approx(GOLDEN[end], abs=0.005), True)


@needs_data
def test_the_snapshot_has_the_percentiles_listed() -> None:
    snapshot = json.loads(gzip.decompress((DATA / "sorted_ratings.json.gz").read_bytes()))
    assert len(snapshot) == 717_421
    listed = {2029: 98.1, 1746: 94.9, 1687: 93.2, 1534: 87.6, 1444: 82.6, 1134: 54.1}
    for rating, percent in listed.items():
        assert round(100 * share_below(rating, snapshot), 1) == percent


def real_round(name: str) -> tuple[np.ndarray, ...]:
    """Rank (of ties the last), rating and change of each competitor, and Carrot's performance."""
    rows = json.loads((DATA / f"rounds/round-{name}-data.json").read_text())
    told = dict(json.loads((DATA / f"rounds/round-{name}-perfs.json").read_text()))
    last = {(points, penalty): place for place, (_, points, penalty, _, _) in enumerate(rows, 1)}
    rank = np.array([last[points, penalty] for _, points, penalty, _, _ in rows])
    rating, change = (np.array([row[column] for row in rows]) for column in (3, 4))
    carrot = np.array([float(str(told[row[0]]).replace("Infinity", "inf")) for row in rows])
    return rank, rating, change, carrot


@needs_data
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[] if "edu" in n or "div1" in n else [pytest.mark.slow])
        for n in ROUNDS
    ],
)
def test_a_real_rounds_performances_are_carrots_plus_an_offset_that_is_explained(name: str) -> None:
    rank, rating, change, carrot = real_round(name)
    again = reference(rank, rating)
    # What explains the offset: the site's corrections, as every change of the round shows.
    assert (again.change == change).all()
    assert again.correction == ROUNDS[name]
    winner = np.isinf(carrot)
    assert (rank[winner] == 1).all()
    apart = np.abs(again.performance - carrot)[~winner]
    assert apart.max() <= 4
    assert np.count_nonzero(apart) <= (11 if name == "1326-global-7" else 0)
    # Ours is the rating whose change before the corrections is 0. A change falls by a quarter of a
    # point for each point of rating, so that ours stands about four corrections above.
    of_rank = np.unique(rank)
    ours = performances(of_rank, rating)[np.searchsorted(of_rank, rank)]
    offset = ours - carrot
    # Below 0 stand those who solved nothing or next to it: there Carrot's floor cuts ratings off.
    told = ~winner & (ours > 0) & (carrot > 0)
    assert np.count_nonzero(~told & ~winner) == BELOW_ZERO[name]
    ratio = offset[told] / -again.correction
    assert ratio.min() > 3.7
    assert ratio.max() < 6.1
    assert 4.0 <= np.median(ratio) < 4.3


def test_first_success_is_the_closed_form_of_all_orders() -> None:
    for k, c in itertools.product(range(1, 6), range(6)):
        if c > k:
            continue
        orders = list(itertools.permutations([1] * c + [0] * (k - c)))
        places = Counter(order.index(1) for order in orders if 1 in order)
        wanted = {place: Fraction(n, len(orders)) for place, n in places.items()}
        assert first_success(c, k) == pytest.approx({p: float(f) for p, f in wanted.items()})
    with pytest.raises(ValueError, match="3 right"):
        first_success(3, 2)


def contest(kind: str = "CF", **more: object) -> FrozenContest:
    points = [500.0, 1000.0, 1500.0] if kind == "CF" else [0.0] * 3
    rows = [[3000.0 - 100 * i, 0.0, 2000.0 - 50 * i] for i in range(20)]
    if kind == "ICPC":
        rows = [[3.0 - i // 7, 30.0 + 9 * (i % 7), 2000.0 - 50 * i] for i in range(20)]
    problems = tuple(ContestProblem(i, p) for i, p in zip("ABC", points, strict=True))
    values = {"contest_id": 7, "name": "Round 7", "type": kind, "start": "2024-11-25"} | more
    return FrozenContest(
        **values,  # type: ignore[arg-type]
        duration_minutes=120.0,
        problems=problems,
        competitors=np.array(rows),
    )


def test_problems_are_worth_what_each_scoring_says() -> None:
    cf, icpc = contest(), contest("ICPC")
    half = {scoring: problem_results(cf, 1, 2, 3, scoring) for scoring in SCORINGS}
    assert half["penalties"] == pytest.approx({(1000.0, 0): 2 / 3, (950.0, 0): 1 / 3})
    assert half["full"] == pytest.approx({(1000.0, 0): 1.0})
    late = 1000 * (1 - 120 * (2 / 3) / 250)
    assert half["decay"] == pytest.approx({(late, 0): 1.0})
    assert half["decay+penalties"] == pytest.approx({(late, 0): 2 / 3, (late - 50, 0): 1 / 3})
    assert min(problem_results(cf, 0, 1, 16, "penalties")) == (150.0, 0)  # three tenths are left
    assert problem_results(icpc, 1, 1, 2, "penalties") == {(1, 0): 0.5, (1, 10): 0.5}
    assert problem_results(icpc, 1, 1, 2, "decay") == {(1, 80): 1.0}
    assert problem_results(icpc, 1, 0, 2, "full") == {(0, 0): 1.0}


def test_the_sum_of_problems_is_that_of_all_draws() -> None:
    cf = contest()
    tries = [(1, 3), (2, 3), (0, 3)]
    found = summed(problem_results(cf, i, *t, "penalties") for i, t in enumerate(tries))
    drawn = Counter()
    for first, second in itertools.product([0, 1, 2], [0, 1, 1]):
        wrong = {0: (0,), 1: (1,), 2: (2,)}[first]
        drawn[500 - 50 * wrong[0] + 1000 - 50 * (0 if second else 1)] += 1
    assert sum(found.values()) == pytest.approx(1.0)
    assert {r.points: p for r, p in found.items()} == pytest.approx(
        {points: n / 9 for points, n in drawn.items()}
    )


def test_a_model_is_ranked_from_one_with_ties_beside_it() -> None:
    cf = contest()
    above = rate_results(cf, {ContestResult(3001.0): 1.0})
    assert (above.expected_rank, above.beaten, above.clamped) == (1.0, 1.0, True)
    assert above.rating == above.bound
    tied = rate_results(cf, {ContestResult(3000.0): 1.0})
    assert (tied.expected_rank, tied.beaten) == (1.0, 19 / 20)
    last = rate(cf, {})
    assert (last.expected_rank, last.beaten, last.clamped) == (21.0, 0.0, True)
    mixed = rate_results(cf, {ContestResult(2950.0): 0.5, ContestResult(2450.0): 0.5})
    assert mixed.expected_rank == 0.5 * 2 + 0.5 * 7
    ends = performances([2, 7], cf.competitors[:, 2])
    assert mixed.rating_over_results == pytest.approx(ends.mean())
    assert seeds(mixed.rating, cf.competitors[:, 2]) == pytest.approx(mixed.expected_rank)
    icpc = rate_results(contest("ICPC"), {ContestResult(3.0, 40.0): 1.0})
    assert icpc.expected_rank == 3.0  # 30 and 39 minutes are better, 48 are not


def api(folder: Path, **changed: object) -> tuple[Path, Path]:
    def row(handles: list[str], points: float, kind: str = "CONTESTANT") -> dict[str, object]:
        party = {"members": [{"handle": h} for h in handles], "participantType": kind}
        return {"party": party, "points": points, "penalty": 0, "rank": 1, "problemResults": []}

    head = {"id": 7, "name": "Round 7", "type": "CF", "durationSeconds": 7200, "phase": "FINISHED"}
    standings = {
        "contest": {**head, "startTimeSeconds": 1_732_500_000, **changed},
        "problems": [{"index": "A", "points": 500.0, "name": "n"}, {"index": "B"}],
        "rows": [row(["b"], 9000, "PRACTICE"), row(["a"], 500),
                 row(["x"], 400), row(["b", "c"], 300), row(["b"], 200.5),
                 row(["a"], 0, "VIRTUAL"), row(["d"], 0)],
    }  # fmt: skip
    changes = [{"handle": h, "oldRating": r, "newRating": 0} for h, r in
               (("a", 1900), ("b", 0), ("d", 1300), ("gone", 1200))]  # fmt: skip
    paths = folder / "standings.json", folder / "changes.json"
    for path, result in zip(paths, (standings, changes), strict=True):
        path.write_text(json.dumps({"status": "OK", "result": result}))
    return paths


def test_a_contest_is_frozen_from_the_apis_files(tmp_path) -> None:
    standings, changes = api(tmp_path)
    out = tmp_path / "codeforces/contests/7.json"
    done = CliRunner().invoke(
        app, ["bench", "freeze", str(standings), str(changes), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    told = " ".join(done.output.split())
    assert (
        "3 rated competitors (1 newcomers counted with 1400; 1 of the changes have no row; 2 rows "
        "of practice or virtual participation left out)" in told
    )
    frozen = read_contest(out)
    assert frozen.competitors.tolist() == [[500, 0, 1900], [200.5, 0, 1400], [0, 0, 1300]]
    assert frozen.problems == (ContestProblem("A", 500.0), ContestProblem("B", 0.0))
    assert (frozen.start, frozen.duration_minutes) == ("2024-11-25", 120.0)
    assert "handle" not in out.read_text()
    again = tmp_path / "again.json"
    write_contest(again, frozen)
    assert again.read_bytes() == out.read_bytes()


def test_files_that_are_no_contest_are_refused_with_a_remedy(tmp_path) -> None:
    from r1.benchmarks.contests.freeze import freeze

    standings, changes = api(tmp_path, type="IOI")
    with pytest.raises(UserError, match="IOI cannot be rated"):
        freeze(standings, changes)
    with pytest.raises(UserError, match=r"is not there; save what contest\.ratingChanges"):
        freeze(standings, tmp_path / "none")
    changes.write_text('{"status": "OK", "result": [{"handle": "a", "oldRating": 3}]}')
    standings.write_text(standings.read_text().replace("IOI", "CF"))
    with pytest.raises(UserError, match="1 of its competitors"):
        freeze(standings, changes)
    standings.write_text("[")
    with pytest.raises(UserError, match="not valid JSON"):
        freeze(standings, changes)
    frozen = tmp_path / "frozen.json"
    write_contest(frozen, contest())
    for change in ({"competitors": [[1, 2, 3]]}, {"competitors": [[1], [2]]}, {"problems": []},
                   {"duration_minutes": 0}, {"type": "IOI"}, {"name": 3}):  # fmt: skip
        told = {**json.loads(frozen.read_text()), **change}
        odd = tmp_path / "odd.json"
        odd.write_text(json.dumps(told))
        with pytest.raises(UserError, match=r"odd\.json"):
            read_contest(odd)


CHECKER = (
    "import sys\nwant, got = (open(p).read().split() for p in sys.argv[2:4])\n"
    "print(int(sorted(want) == sorted(got)))\n"
)


def row(index: str, **changed: object) -> dict[str, object]:
    return {
        "contest_id": "7", "index": index, "title": f"{index}. Sum", "description": "Add.",
        "input_format": "two numbers", "output_format": "their sum", "interaction_format": None,
        "examples": [{"input": "1 2", "output": "3"}], "time_limit": 2.0, "memory_limit": 256.0,
        "input_mode": "stdio", "official_tests_complete": True, "generated_checker": None,
        "official_tests": [{"input": "1 2", "output": "3"}, {"input": "4 5", "output": "9"}],
        **changed,
    }  # fmt: skip


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(code, "check_machine", lambda problem, settings: None)
    folder = tmp_path / "codeforces"
    (folder / "contests").mkdir(parents=True)
    write_contest(folder / "contests/7.json", contest())
    (folder / "sorted_ratings.json").write_text(json.dumps(list(range(1000, 3000))))
    rows = [
        row("A"), row("B", generated_checker=CHECKER), row("C", interaction_format="ask"),
        row("A", contest_id="8"), row("D", official_tests_complete=False),
        row("E", input_mode="file"), row("F", official_tests=[]), row("G", time_limit=0.0),
    ]  # fmt: skip
    (folder / "problems-1.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return tmp_path


@pytest.fixture
def loaded(data, monkeypatch) -> Loaded:
    monkeypatch.setattr(code, "_why_not", lambda language, sandbox: None)
    return load(find_benchmark("codeforces@python"), data)


def test_interactive_and_cut_problems_are_refused_by_name(loaded) -> None:
    assert [problem.id for problem in loaded.problems] == ["codeforces/7/A", "codeforces/7/B"]
    reasons = [refused.reason for refused in loaded.refused]
    for reason, words in zip(
        reasons, ("interactive", "cut", "files", "no expert", "time_limit"), strict=True
    ):
        assert words in reason
    assert "Input of an example\n1 2" in loaded.problems[0].prompt
    with pytest.raises(UserError, match="languages are cpp"):
        find_benchmark("codeforces@cobol")


def test_problems_are_read_from_parquet_too(loaded, data) -> None:
    folder = data / "codeforces"
    lines = (folder / "problems-1.jsonl").read_text().splitlines()
    (folder / "problems-1.jsonl").rename(folder / "problems.txt")
    pq.write_table(
        pa.Table.from_pylist([json.loads(line) for line in lines]), folder / "problems-1.parquet"
    )
    again = load(find_benchmark("codeforces@python"), data)
    assert again.problems == loaded.problems
    assert [refused.reason for refused in again.refused] == [r.reason for r in loaded.refused]


def test_the_rating_of_a_run_names_scoring_bound_and_what_was_not_read(loaded, data) -> None:
    values = {"codeforces/7/A": [1.0, 0.0, 1.0, 1.0], "codeforces/7/B": [0.0] * 4}
    told = ratings(loaded, values)
    wanted = rate(contest(), {"A": Tries(3, 4), "B": Tries(0, 4)}, "penalties")
    assert told["by_scoring"]["penalties"]["rating"] == wanted.rating
    assert told["by_scoring"]["penalties"]["contests"] == [wanted._asdict()]
    assert told["by_scoring"]["penalties"]["snapshot_percentile"] == 0.0
    assert told["by_scoring"]["full"]["rating"] >= wanted.rating
    assert told["num_unread_problems"] == 1
    words = "\n".join(told["told"])
    assert "% of competitors beaten" in words
    assert "cannot show more than" in words
    assert "count as unsolved: a lower bound" in words
    assert ratings(loaded, {"codeforces/7/A": [1.0]}) == {
        "told": ["no contest was asked whole: no rating"]
    }
    json.dumps(told)


def test_the_lines_stand_below_the_tables(loaded, tmp_path) -> None:
    values = {"codeforces/7/A": [1.0], "codeforces/7/B": [1.0]}
    result = {
        "title": "Codeforces", "metric": "accuracy", "k": 1, "num_questions": 2, "num_found": 2,
        "score": None, "cons_at_k": None, "mean_tokens": 1.0, "begins_with_think": True,
        "sampling": {"max_new_tokens": 8}, "model": "m", "layout": "l",
        "outcomes": dict.fromkeys(
            ("correct", "wrong", "unreadable", "unfinished", "verifier failed"), 0.2
        ),
        "protocol": "paper", "refused": {}, "departures": [], "further": ratings(loaded, values),
        "parts": {"contest": {"7": {"num_questions": 2, "score": None}}},
    }  # fmt: skip
    (tmp_path / "out/codeforces").mkdir(parents=True)
    (tmp_path / "out/codeforces/benchmark.json").write_text(json.dumps(result))
    said = io.StringIO()
    show_results(Console(file=said, width=200), tmp_path / "out")
    assert "codeforces: penalties: rating" in said.getvalue()
    assert "the paper's R1: rating 2029" in said.getvalue()


def test_expert_tests_and_checkers_judge(data) -> None:
    if missing := code._why_not("python", SandboxSettings()):
        pytest.skip(missing)
    plain, checked = load(find_benchmark("codeforces@python"), data).problems
    add, two = "print(sum(map(int, input().split())))", "print(9 if input() == '4 5' else '3 ')"
    settings = RewardSettings()

    def outcome(problem, answer: str) -> Outcome:
        return score_code(problem, f"```python\n{answer}\n```", settings).outcome

    assert [outcome(plain, answer) for answer in (add, two, "print(3)")] == [
        Outcome.CORRECT, Outcome.CORRECT, Outcome.WRONG,
    ]  # fmt: skip
    assert [outcome(checked, answer) for answer in (add, "print()", "print('1\\n' * 9)")] == [
        Outcome.CORRECT, Outcome.WRONG, Outcome.WRONG,
    ]  # fmt: skip


@pytest.mark.slow
def test_a_run_on_codeforces_writes_its_ratings_and_parts(data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(code, "_why_not", lambda language, sandbox: None)
    said = io.StringIO()
    chosen = [find_benchmark("codeforces@python")]
    options = Options(num_samples=2, max_new_tokens=2)
    run_benchmarks("tiny", chosen, data, tmp_path / "out", Console(file=said), options)
    result = json.loads((tmp_path / "out/codeforces@python/benchmark.json").read_text())
    assert {part: told["num_questions"] for part, told in result["parts"]["index"].items()} == {
        "A": 1, "B": 1,
    }  # fmt: skip
    (rated,) = result["further"]["by_scoring"]["penalties"]["contests"]
    assert (rated["expected_rank"], rated["clamped"]) == (21.0, True)  # nothing was solved
    show_results(Console(file=said, width=200), tmp_path / "out")
    assert "count as unsolved: a lower bound" in said.getvalue()
