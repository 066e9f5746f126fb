"""Let a policy hunt for what the verifiers get wrong, by reinforcement learning on the real ones.

    python bench/hunt.py [--verifier math_numbers] [--objective paid] [--steps 10] [--json FILE]

A response is one option for each choice of a grammar (bench/hunt_answers.py, hunt_lists.py,
hunt_programs.py), which also knows, without the verifier, whether the response is right. The policy
is a categorical distribution a choice, p = softmax(logits), learnt by REINFORCE with GRPO's
advantages A_i:

    logits += rate * (mean_i A_i (onehot(option_i) - p) + entropy * dH/dlogits)

over groups of responses to one problem, judged in the reward pool. Three hunts a verifier: for
wrong answers that are paid, right ones that are not, and wrong ones that get no verdict and so
leave their group. Whatever is found is a fault of the verifier, or of the grammar's truth.

Left out on purpose: answers that only the house's leniency decides (a unit that was not asked for,
arithmetic left undone); grammars mark them None, and no hunt is paid for them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hunt_answers import ANSWERS, Grammar, Picks, Task, Written
from hunt_lists import LISTS
from hunt_programs import PROGRAMS
from r1.algorithms.group import group_advantages
from r1.rewards.pool import RewardPool
from r1.rewards.settings import RewardSettings
from r1.types import Completion, RolloutGroup, Score

RATE, ENTROPY, EPSILON = 6.0, 0.03, 1e-6
MAX_SHOWN = 5
Key = tuple[str, str]
"""A reference (or a problem's name) and a response."""


OBJECTIVES: dict[str, Callable[[Written, Score], bool]] = {
    "paid": lambda written, score: written.right is False and score.value > 0,
    "unpaid": lambda written, score: written.right is True and score.value < 1,
    "no_verdict": lambda written, score: not (written.right or score.outcome.is_verdict),
}
"""What a hunt is rewarded for: wrong and paid, right and unpaid, wrong and without a verdict."""


class Policy:
    """Independent categorical distributions, one a choice."""

    def __init__(self, choices: Mapping[str, tuple[str, ...]]) -> None:
        self.logits = {name: dict.fromkeys(options, 0.0) for name, options in choices.items()}

    def probabilities(self, name: str) -> dict[str, float]:
        """The distribution of one choice."""
        largest = max(self.logits[name].values())
        weights = {option: math.exp(x - largest) for option, x in self.logits[name].items()}
        total = sum(weights.values())
        return {option: weight / total for option, weight in weights.items()}

    def sample(self, rng: random.Random) -> Picks:
        """Draw one option of each choice."""
        drawn = {}
        for name in self.logits:
            p = self.probabilities(name)
            drawn[name] = rng.choices(list(p), list(p.values()))[0]
        return drawn

    def learn(self, picks: list[Picks], advantages: list[float]) -> None:
        """One ascent of the mean of A_i log p(picks_i) + ENTROPY * H(p)."""
        for name, logits in self.logits.items():
            p = self.probabilities(name)
            entropy = -sum(q * math.log(q) for q in p.values() if q > 0)
            for option, q in p.items():
                policy = sum(
                    a * ((each[name] == option) - q)
                    for each, a in zip(picks, advantages, strict=True)
                ) / len(picks)
                flatter = -q * (math.log(q) + entropy) if q > 0 else 0.0
                logits[option] += RATE * (policy + ENTROPY * flatter)


@dataclass
class Hunt:
    """What one hunt tried and found. curve: the share of rewarded samples a step."""

    verifier: str
    objective: str
    samples: int = 0
    distinct: int = 0
    found: int = 0
    curve: list[float] = field(default_factory=list)
    examples: list[dict[str, str]] = field(default_factory=list)


def hunt(
    pool: RewardPool, name: str, grammar: Grammar, objective: str, steps: int, seed: int = 0
) -> Hunt:
    """Train one policy against one verifier; found counts distinct responses that were rewarded."""
    rng, policy, result = random.Random(seed), Policy(grammar.choices), Hunt(name, objective)
    tried: set[Key] = set()
    prey: dict[Key, str] = {}
    for _ in range(steps):
        tasks = [grammar.draw(rng) for _ in range(grammar.groups)]
        picks = [[policy.sample(rng) for _ in range(grammar.group_size)] for _ in tasks]
        advantages: list[float] = []
        num_rewarded = 0
        for task, judged in zip(tasks, judge(pool, grammar, tasks, picks), strict=True):
            rewards = [float(OBJECTIVES[objective](*each)) for each in judged]
            found = group_advantages(rewards, [True] * len(rewards), "population", EPSILON)
            advantages += found
            num_rewarded += int(sum(rewards))
            for (written, score), reward in zip(judged, rewards, strict=True):
                key = (task.problem.reference or task.problem.id, written.text)
                tried.add(key)
                if reward:
                    prey[key] = f"{score.outcome}: {score.detail}"
        policy.learn([each for row in picks for each in row], advantages)
        result.samples += len(advantages)
        result.curve.append(round(num_rewarded / len(advantages), 4))
    result.distinct, result.found = len(tried), len(prey)
    shortest = sorted(prey, key=lambda key: (len(key[1]), key))[:MAX_SHOWN]
    result.examples = [{"reference": k[0], "response": k[1], "said": prey[k]} for k in shortest]
    return result


def judge(
    pool: RewardPool, grammar: Grammar, tasks: list[Task], picks: list[list[Picks]]
) -> list[list[tuple[Written, Score]]]:
    """Write the responses to each task and score them in the pool."""
    written = [[t.write(p) for p in drawn] for t, drawn in zip(tasks, picks, strict=True)]
    groups = [
        RolloutGroup(task.problem, (), [Completion([], [], w.text, "stop") for w in row])
        for task, row in zip(tasks, written, strict=True)
    ]
    scores = [
        [reward.parts[grammar.reward] for reward in scored.rewards]
        for scored in pool.score_groups(groups)
    ]
    return [list(zip(*each, strict=True)) for each in zip(written, scores, strict=True)]


def open_pool() -> RewardPool:
    """The pool that judges: answers are read from the text unless a problem says otherwise."""
    weights = {"accuracy": 1.0, "format": 1.0}
    return RewardPool(RewardSettings(weights=weights, answer_from="text", timeout_s=20.0))


GRAMMARS: dict[str, Grammar] = {**ANSWERS, **LISTS, **PROGRAMS}


def main() -> None:
    """Hunt on the chosen verifiers; the exit status says whether anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verifier", nargs="*", default=list(GRAMMARS), choices=GRAMMARS)
    parser.add_argument("--objective", nargs="*", default=list(OBJECTIVES), choices=OBJECTIVES)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args()
    results = []
    with open_pool() as pool:
        for name, objective in itertools.product(given.verifier, given.objective):
            result = hunt(pool, name, GRAMMARS[name], objective, given.steps, given.seed)
            results.append(asdict(result))
            if given.json:
                text = json.dumps(results, indent=1, ensure_ascii=False)
                given.json.write_text(text + "\n", encoding="utf-8")
            print(
                f"{name:16} {objective:10} {result.samples:6} samples {result.distinct:6} distinct "
                f"{result.found:5} found, share {result.curve[0]:.3f} -> {result.curve[-1]:.3f}",
                flush=True,
            )
            for example in result.examples:
                print("    " + json.dumps(example, ensure_ascii=False), flush=True)
    sys.exit(any(result["found"] for result in results))


if __name__ == "__main__":
    main()
