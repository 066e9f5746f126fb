"""How often the rule of `r1 reproduce` gives a verdict where two arms do not differ.

    python bench/verdicts.py [--trials 400] [--json]

Differences d[seed, problem] are drawn with mean 0: a part of the seed, a part of the problem and
noise, all normal. Each trial is judged as a comparison of expect = "more" (r1.claims.difference); a
verdict, on either side, is a false one. A rule of 95 % would give 5 in 100.

Near the ceiling: an arm loses 5 % of the problems whole and is equal on the others, and expect =
"no_less" with margin = 0.05 is judged. "shown" is the false verdict; 2.5 in 100 would be right.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from r1.claims.difference import ClaimVerdict, of_runs, over_problems, verdict_of
from r1.claims.settings import ComparisonSettings

SEEDS = (1, 2, 3, 5)
SEED_DEVIATIONS = (0.0, 0.02, 0.04)
"""Of shares: what one seed's mean differs by from another's, beside the problems."""
PROBLEM_DEVIATION, NOISE = 0.2, 0.3
NUM_PROBLEMS = 90
COMPARISON = ComparisonSettings(says="s", arm="a", than="b")
MARGIN = 0.05
NO_LESS = COMPARISON.model_copy(update={"expect": "no_less", "margin": MARGIN})
CEILING_PROBLEMS = (5, 20, 40, 90, 200)
OF_RUN = COMPARISON.model_copy(update={"measure": "proxy_gain"})


def false_verdicts(num_seeds: int, deviation: float, trials: int) -> float:
    """The share of trials with a verdict, of a measure that has a value a problem."""
    rng = np.random.default_rng(0)
    shape = (num_seeds, NUM_PROBLEMS)
    found = 0
    for _ in range(trials):
        drawn = rng.normal(0, deviation, (num_seeds, 1)) + rng.normal(0, NOISE, shape)
        drawn += rng.normal(0, PROBLEM_DEVIATION, (1, NUM_PROBLEMS))
        arm = [{str(p): float(value) for p, value in enumerate(row)} for row in drawn]
        zero = [dict.fromkeys(run, 0.0) for run in arm]
        difference = over_problems(arm, zero)
        assert difference is not None
        found += verdict_of(COMPARISON, difference) is not ClaimVerdict.NOT_TOLD_APART
    return found / trials


def false_at_the_ceiling(num_seeds: int, num_problems: int, trials: int) -> float:
    """The share of trials in which "no less than 5 points" is shown of a loss of 5 points."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(trials):
        lost = rng.random(num_problems) < MARGIN  # the same problems, whatever the seed
        run = {str(p): float(not gone) for p, gone in enumerate(lost)}
        difference = over_problems([run] * num_seeds, [dict.fromkeys(run, 1.0)] * num_seeds, 1.0)
        assert difference is not None
        found += verdict_of(NO_LESS, difference) is ClaimVerdict.SHOWN
    return found / trials


def false_verdicts_of_runs(num_seeds: int, trials: int) -> float:
    """The same of a measure that has one value a run and is no cost."""
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(trials, num_seeds)).tolist()
    verdicts = [verdict_of(OF_RUN, of_runs(row, [0.0] * num_seeds, cost=False)) for row in drawn]
    return sum(each is not ClaimVerdict.NOT_TOLD_APART for each in verdicts) / trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {
        str(seeds): {
            **{
                f"seeds differ by {deviation}": false_verdicts(seeds, deviation, arguments.trials)
                for deviation in SEED_DEVIATIONS
            },
            "one value a run": false_verdicts_of_runs(seeds, 10 * arguments.trials),
            **{
                f"near the ceiling, {num} problems": false_at_the_ceiling(
                    seeds, num, arguments.trials
                )
                for num in CEILING_PROBLEMS
            },
        }
        for seeds in SEEDS
    }
    if arguments.json:
        print(json.dumps({"trials": arguments.trials, "false verdicts": found}, indent=2))
        return
    for seeds, rates in found.items():
        shown = ", ".join(f"{name}: {100 * rate:.1f} %" for name, rate in rates.items())
        print(f"{seeds} seeds: {shown}")


if __name__ == "__main__":
    main()
