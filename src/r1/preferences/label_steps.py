"""Label the steps of a checkpoint's solutions by its own continuations.

    problems -> solutions -> verdicts -> continuations from prefixes -> verdicts -> labels -> shards

    monte_carlo     label of step j: share of N continuations from its end that are right ("soft"),
                    or whether any is ("hard"); of the last step: the solution's own verdict
                    (Math-Shepherd, 2312.08935)
    binary_search   wrong solutions only: halve the steps by whether any of N continuations is right
                    until the first error is found; what follows it has no label. All steps of a
                    right solution are labelled right (OmegaPRM, 2406.06592)
    oracle          the tiny world's truth (r1.data.tiny.true_steps)

Equal prefixes of a problem are continued once. Prefix and continuation together may be as long as
a solution: what is longer is cut there, and judged so. A right answer may come from wrong steps,
and a policy that mends its errors ends right from wrong prefixes: these labels say what can still
be reached, not what is true.

A call of problems is labelled as a whole and repeated as a whole after a kill; seeds follow from
(seed, problem, prefix, place). Tokens of solutions and of continuations are counted in the card.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from r1.curation.filters import ACCURACY, DROPPED
from r1.curation.job import Numbered
from r1.curation.journal import SAMPLED_TOKENS, Record
from r1.curation.progress import DataEvents
from r1.curation.rejection import SamplingLine
from r1.data.tiny.true_steps import true_steps
from r1.preferences.sampled import SampledData, make_sampled
from r1.preferences.step_settings import StepLabelSettings
from r1.rollout.scored import scored_groups
from r1.rollout.seeds import sample_seed
from r1.rollout.text import decode
from r1.steps.ends import find_steps
from r1.steps.split import split_steps
from r1.types import Completion, GroupRequest, Outcome, Problem, Reward, RolloutGroup

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "problem_id": pa.string(),
        "prompt": pa.string(),
        "steps": pa.list_(pa.string()),
        "labels": pa.list_(pa.float64()),
        "response": pa.string(),
        "correct": pa.bool_(),
        "family": pa.string(),
        "language": pa.string(),
        "source": pa.string(),
    }
)
"""What r1.preferences.steps reads, and where it comes from. An outcome model learns from the same
rows: objective = "pointwise", columns = { label = "correct" }."""

SOLUTION_TOKENS, ROLLOUT_TOKENS = "tokens of solutions", "tokens of continuations"
ROLLOUTS, NO_VERDICT = "continuations", "continuations without a verdict"
_COUNTED = (SOLUTION_TOKENS, ROLLOUTS, ROLLOUT_TOKENS, NO_VERDICT)


def label_steps(
    folder: Path,
    problems: Sequence[Problem],
    line: SamplingLine,
    settings: StepLabelSettings,
    source: str,
    progress: DataEvents,
) -> dict[str, Any]:
    """Sample and label every problem into `folder`, or carry on there; return the data card.

    source: name and hash of the checkpoint behind the engine. Raises UserError for the user's
    mistakes.
    """
    title = f"steps labelled by {settings.method}"
    made = SampledData("step_labels", SCHEMA, title, "Labelling", _COUNTED)
    run_call = _Labeller(line, settings, source).run_call
    return make_sampled(folder, made, problems, line, settings, source, run_call, progress)


class Prefix(NamedTuple):
    """The beginning of a solution: of which problem of the call, and its tokens."""

    problem: int
    token_ids: tuple[int, ...]


class PrefixVerdicts(NamedTuple):
    """Verdicts of a prefix's continuations."""

    right: int
    judged: int


@dataclass(slots=True)
class Solution:
    """A sampled solution in steps. ends: the last token of each; correct: its own verdict."""

    problem: int
    completion: Completion
    steps: list[str]
    ends: list[int]
    correct: bool
    labels: list[float | None] = field(default_factory=list)

    def prefix(self, num_steps: int) -> Prefix:
        """Its first steps."""
        return Prefix(
            self.problem, tuple(self.completion.token_ids[: self.ends[num_steps - 1] + 1])
        )


class _Labeller:
    """One call: problems in, a record for each out."""

    def __init__(self, line: SamplingLine, settings: StepLabelSettings, source: str) -> None:
        self.line, self.settings, self.source = line, settings, source
        self.tokenizer = line.engine.tokenizer  # type: ignore[attr-defined]

    def run_call(self, call: list[Numbered[Problem]]) -> Iterator[Record]:
        problems = [entry.item for entry in call]
        prompts = [tuple(self.line.renderer.encode(problem.prompt)) for problem in problems]
        counts = [Counter({"problems": 1}) for _ in call]
        solutions = self._solve(problems, prompts, counts)

        def tally(prefixes: Iterable[Prefix]) -> dict[Prefix, PrefixVerdicts]:
            return self._continue(list(dict.fromkeys(prefixes)), problems, prompts, counts)

        if self.settings.method == "oracle":
            for solution in solutions:
                solution.labels = true_steps(problems[solution.problem], solution.steps)
        elif self.settings.method == "monte_carlo":
            every_step(solutions, tally, self.settings.labels == "hard")
        else:
            first_errors_only(solutions, tally)
        for number, entry in enumerate(call):
            own = [solution for solution in solutions if solution.problem == number]
            yield self._record(entry, own, counts[number])

    def _solve(
        self,
        problems: Sequence[Problem],
        prompts: Sequence[tuple[int, ...]],
        counts: Sequence[Counter[str]],
    ) -> list[Solution]:
        """Sample and judge solutions; drop those without a verdict or a step."""
        settings = self.settings
        requests = [
            GroupRequest(
                problem.id,
                prompt,
                tuple(sample_seed(settings.seed, "solution", problem.id, g)
                      for g in range(settings.num_samples)),
            )
            for problem, prompt in zip(problems, prompts, strict=True)
        ]  # fmt: skip
        groups = scored_groups(
            self.line.engine, self.line.scorer, problems, requests, settings.sampling
        )
        by_id = {scored.group.problem.id: scored for scored in groups}
        found = []
        for number, problem in enumerate(problems):
            scored = by_id[problem.id]
            for completion, reward in zip(scored.group.completions, scored.rewards, strict=True):
                counts[number]["sampled"] += 1
                counts[number][SOLUTION_TOKENS] += len(completion.token_ids)
                counts[number][SAMPLED_TOKENS] += len(completion.token_ids)
                solution = self._in_steps(number, completion, _is_right(reward))
                if isinstance(solution, str):
                    counts[number][DROPPED + solution] += 1
                else:
                    found.append(solution)
        return found

    def _in_steps(self, number: int, completion: Completion, right: bool | None) -> Solution | str:
        """The solution, or why it is of no use."""
        steps = split_steps(completion.text, self.settings.separator)
        if right is None:
            return "without a verdict"
        if not steps:
            return "empty"
        there = find_steps(self.tokenizer, completion.token_ids, steps)
        merged = ["".join(steps[n] for n in members) for members in there.members]
        return Solution(number, completion, merged, there.ends, right)

    def _continue(
        self,
        prefixes: Sequence[Prefix],
        problems: Sequence[Problem],
        prompts: Sequence[tuple[int, ...]],
        counts: Sequence[Counter[str]],
    ) -> dict[Prefix, PrefixVerdicts]:
        """Continue each prefix N times and judge what comes out."""
        settings = self.settings
        requests = []
        for place, prefix in enumerate(prefixes):
            name = ",".join(map(str, prefix.token_ids))
            id = problems[prefix.problem].id
            seeds = (
                sample_seed(settings.seed, "continuation", id, name, n)
                for n in range(settings.rollouts)
            )
            ids = (*prompts[prefix.problem], *prefix.token_ids)
            requests.append(GroupRequest(str(place), ids, tuple(seeds)))
        handles = {}
        for request, completions in self.line.engine.generate(requests, settings.sampling):
            prefix = prefixes[int(request.id)]
            own = counts[prefix.problem]
            own[ROLLOUTS] += len(completions)
            tokens = sum(len(c.token_ids) for c in completions)
            own.update({ROLLOUT_TOKENS: tokens, SAMPLED_TOKENS: tokens})
            whole = [self._joined(prefix, completion) for completion in completions]
            problem, prompt = problems[prefix.problem], prompts[prefix.problem]
            handles[prefix] = self.line.scorer.submit_group(RolloutGroup(problem, prompt, whole))
        found = {}
        for prefix, handle in handles.items():
            verdicts = [_is_right(reward) for reward in handle.result().rewards]
            counts[prefix.problem][NO_VERDICT] += verdicts.count(None)
            found[prefix] = PrefixVerdicts(
                verdicts.count(True), len(verdicts) - verdicts.count(None)
            )
        return found

    def _joined(self, prefix: Prefix, rest: Completion) -> Completion:
        """The whole response that a continuation makes of a prefix, under the limit of one."""
        ids, limit = [*prefix.token_ids, *rest.token_ids], self.settings.sampling.max_new_tokens
        if len(ids) > limit:
            text = decode(self.tokenizer, ids[:limit])
            return Completion(ids[:limit], [], text, "length", rest.version)
        ending = decode(self.tokenizer, rest.token_ids)[len(rest.text) :]
        text = decode(self.tokenizer, ids).removesuffix(ending)
        return Completion(ids, [], text, rest.finish_reason, rest.version)

    def _record(
        self, entry: Numbered[Problem], solutions: Sequence[Solution], counts: Counter[str]
    ) -> Record:
        problem = entry.item
        rows = []
        for number, solution in enumerate(solutions):
            if all(label is None for label in solution.labels):
                counts[DROPPED + "no label"] += 1
                continue
            rows.append(
                {
                    "id": f"{problem.id}/{number}",
                    "problem_id": problem.id,
                    "prompt": problem.prompt,
                    "steps": solution.steps,
                    "labels": solution.labels,
                    "response": "".join(solution.steps),
                    "correct": solution.correct,
                    "family": problem.family,
                    "language": problem.language,
                    "source": self.source,
                }
            )
        tokens = sum(len(solution.completion.token_ids) for solution in solutions)
        counts.update(rows=len(rows), tokens=tokens, counted=len(solutions), solved=bool(rows))
        return Record(entry.number, entry.key, problem.family, dict(counts), rows)


def every_step(solutions: Sequence[Solution], tally: Any, hard: bool) -> None:
    """Label each step by continuations from its end, the last one by the solution's verdict.

    tally: prefixes -> their verdicts. A step whose continuations have no verdict has no label.
    """
    wanted = [
        solution.prefix(step) for solution in solutions for step in range(1, len(solution.steps))
    ]
    found: Mapping[Prefix, PrefixVerdicts] = tally(wanted)
    for solution in solutions:
        shares = [found[solution.prefix(step)] for step in range(1, len(solution.steps))]
        labels = [_share(each, hard) for each in shares]
        solution.labels = [*labels, float(solution.correct)]


def first_errors_only(solutions: Sequence[Solution], tally: Any) -> None:
    """Find the first error of each wrong solution by halving; label the steps up to it.

    Where the continuations of a prefix have no verdict the halving ends, and only the steps from
    which gold was reached have labels.
    """
    unknown: set[int] = set()
    bounds = {
        number: (0, len(solution.steps))
        for number, solution in enumerate(solutions)
        if not solution.correct
    }
    while True:
        # Of the first `low` steps gold can be reached, of the first `high` it cannot.
        wanted = {
            number: solutions[number].prefix((low + high) // 2)
            for number, (low, high) in bounds.items()
            if high - low > 1 and number not in unknown
        }
        if not wanted:
            break
        found: Mapping[Prefix, PrefixVerdicts] = tally(wanted.values())
        for number, prefix in wanted.items():
            low, high = bounds[number]
            middle = (low + high) // 2
            if found[prefix].judged:
                bounds[number] = (middle, high) if found[prefix].right else (low, middle)
            else:
                unknown.add(number)
    for number, solution in enumerate(solutions):
        count = len(solution.steps)
        if solution.correct:
            solution.labels = [1.0] * count
            continue
        right = bounds[number][0]
        first_wrong = [] if number in unknown else [0.0]
        known = [*[1.0] * right, *first_wrong]
        solution.labels = [*known, *[None] * (count - len(known))]


def _share(tally: PrefixVerdicts, hard: bool) -> float | None:
    if not tally.judged:
        return None
    return float(tally.right > 0) if hard else tally.right / tally.judged


def _is_right(reward: Reward) -> bool | None:
    """Whether the answer is right; None where nobody knows."""
    score = reward.parts[ACCURACY]
    return score.outcome == Outcome.CORRECT if score.outcome.is_verdict else None
