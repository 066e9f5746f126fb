"""Labels of steps by continuations: by hand, and as a job that resumes with the same bytes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from r1.curation.progress import Silent
from r1.curation.rejection import SamplingLine
from r1.curation.store import read_rows
from r1.preferences.label_steps import (
    Prefix,
    PrefixVerdicts,
    Solution,
    every_step,
    first_errors_only,
    label_steps,
)
from r1.preferences.source import PreferenceSource
from r1.preferences.step_settings import StepLabelSettings
from r1.preferences.steps import load_step_labels
from r1.rollout.protocol import FinishedGroup
from r1.types import Completion, Outcome, Problem, Reward, Score, ScoredGroup

END = 0


def solution(num_steps: int, correct: bool) -> Solution:
    text = "".join(f"{n}\n" for n in range(num_steps))
    completion = Completion([ord(c) for c in text], [], text, "stop")
    steps = text.splitlines(keepends=True)
    ends = [2 * n + 1 for n in range(num_steps)]
    return Solution(0, completion, steps, ends, correct)


def tallies(first_wrong: int, judged: int = 8):
    """Prefixes of fewer than first_wrong steps can still end right; what was asked is kept."""
    asked: list[Prefix] = []

    def tally(prefixes):
        prefixes = list(prefixes)
        asked.extend(prefixes)
        return {
            prefix: PrefixVerdicts(2 if len(prefix.token_ids) // 2 <= first_wrong else 0, judged)
            for prefix in prefixes
        }

    return tally, asked


def test_monte_carlo_labels_soft_and_hard():
    found = solution(4, correct=False)
    tally, asked = tallies(2)
    every_step([found], tally, hard=False)
    assert found.labels == [0.25, 0.25, 0.0, 0.0]
    assert len(asked) == 3  # the last step has the solution's own verdict
    every_step([found], tally, hard=True)
    assert found.labels == [1.0, 1.0, 0.0, 0.0]
    every_step([found], tallies(2, judged=0)[0], hard=False)
    assert found.labels == [None, None, None, 0.0]


@pytest.mark.parametrize("first_wrong", range(9))
def test_binary_search_finds_every_first_error_in_few_questions(first_wrong):
    found = solution(9, correct=False)
    tally, asked = tallies(first_wrong)
    first_errors_only([found], tally)
    assert found.labels == [*[1.0] * first_wrong, 0.0, *[None] * (8 - first_wrong)]
    assert len(asked) <= 4


@pytest.mark.parametrize(("unjudged", "right"), [(3, 0), (4, 3), (5, 4)])
def test_binary_search_says_nothing_where_no_continuation_was_judged(unjudged, right):
    """Of six steps 3, then 4 or 5 are asked; from all but `unjudged` gold was reached."""
    found = solution(6, correct=False)

    def tally(prefixes):
        return {
            prefix: PrefixVerdicts(*((0, 0) if len(prefix.token_ids) == 2 * unjudged else (1, 1)))
            for prefix in prefixes
        }

    first_errors_only([found], tally)
    assert found.labels == [1.0] * right + [None] * (6 - right)


def test_binary_search_trusts_right_solutions():
    found = solution(3, correct=True)
    tally, asked = tallies(0)
    first_errors_only([found], tally)
    assert (found.labels, asked) == ([1.0, 1.0, 1.0], [])


class CharTokens:
    def decode(self, ids, **_):
        return "".join("<end>" if i == END else chr(i) for i in ids)


class CountingEngine:
    """Counts on: every line is the one before plus 1, but a seed that 4 divides says 9."""

    tokenizer = CharTokens()

    def __init__(self, fail_at: int = 0) -> None:
        self.calls, self.fail_at = 0, fail_at

    def generate(self, requests, sampling):
        self.calls += 1
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        for request in requests:
            begun = self.tokenizer.decode(request.prompt_ids[1:])
            yield FinishedGroup(request, [self.draw(begun, seed) for seed in request.seeds])

    def draw(self, begun: str, seed: int) -> Completion:
        lines = begun.splitlines()
        while len(lines) < 3:
            before = int(lines[-1]) if lines else 0
            lines.append("9" if seed % (4 + len(lines)) == 0 else str((before + 1) % 10))
        text = "\n".join(lines)[len(begun) :]
        return Completion([*map(ord, text), END], [], text, "stop")


class LastLine:
    """Right where the last line is 3."""

    settings = SimpleNamespace(names=["accuracy"])

    def submit_group(self, group):
        rewards = []
        for completion in group.completions:
            right = completion.text.splitlines()[-1] == "3"
            score = Score(float(right), Outcome.CORRECT if right else Outcome.WRONG)
            rewards.append(Reward(score.value, {"accuracy": score}, True))
        scored = ScoredGroup(group, rewards)
        return SimpleNamespace(done=lambda: True, result=lambda: scored)


class Remembering(LastLine):
    """Keeps what it was to judge."""

    def __init__(self) -> None:
        self.seen: list[Completion] = []

    def submit_group(self, group):
        self.seen += group.completions
        return super().submit_group(group)


def run(folder, method, engine=None, scorer=None, **changes):
    settings = StepLabelSettings(method=method, call={"prompts": 2}, **changes)
    renderer = SimpleNamespace(encode=lambda prompt: (63,), opens_think=False)
    line = SamplingLine(engine or CountingEngine(), scorer or LastLine(), renderer)  # type: ignore[arg-type]
    problems = [Problem(f"p{n}", f"count {n}", "3", "exact") for n in range(5)]
    return label_steps(folder, problems, line, settings, "m", Silent())


@pytest.mark.parametrize("method", ["monte_carlo", "binary_search"])
def test_a_job_counts_its_tokens_and_resumes_with_the_same_rows(tmp_path, method):
    whole = run(tmp_path / "whole", method, num_samples=6)
    rows = list(read_rows(tmp_path / "whole"))
    assert len(rows) == 30
    assert {row["correct"] for row in rows} == {True, False}
    assert all(row["labels"][-1] in (1.0, 0.0, None) for row in rows)
    wrong = [row for row in rows if not row["correct"]]
    assert all(min(label for label in row["labels"] if label is not None) < 0.5 for row in wrong)
    labelling = whole["labelling"]
    assert labelling["tokens of solutions"] == 30 * 6  # three digits, two breaks, the end
    assert labelling["tokens of continuations"] > labelling["continuations"] > 0
    drawn = labelling["tokens of solutions"] + labelling["tokens of continuations"]
    assert whole["total"]["sampled_tokens"] == drawn
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", method, CountingEngine(fail_at=5), num_samples=6)
    assert run(tmp_path / "killed", method, num_samples=6) == whole
    assert list(read_rows(tmp_path / "killed")) == rows


def test_prefix_and_continuation_together_keep_the_limit_of_a_solution(tmp_path):
    """Three digits, two breaks and the end are 6 tokens: 5 cut the end off, 4 the last digit."""
    for limit, text in ((5, "1\n2\n3"), (4, "1\n2\n")):
        scorer = Remembering()
        sampling = {"max_new_tokens": limit}
        run(tmp_path / str(limit), "monte_carlo", None, scorer, sampling=sampling)
        joined = [each for each in scorer.seen if each.finish_reason == "length"]
        assert joined
        assert all(len(each.token_ids) == limit for each in joined)
        assert text in {each.text for each in joined}


def test_what_is_written_is_what_a_reward_model_reads(tmp_path):
    run(tmp_path / "data", "monte_carlo")
    source = PreferenceSource(kind="parquet", path=str(tmp_path / "data" / "data"))
    found = load_step_labels(source, tmp_path)
    assert len(found.items) + found.dropped.get("repetition", 0) == 20
    assert all(len(item.steps) == 3 for item in found.items)
