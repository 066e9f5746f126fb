"""A fake engine and scorer for curation; also a script that the tests kill.

`python curation_world.py FOLDER NUM_PROBLEMS DELAY_S RESUME` runs rejection sampling into FOLDER.
"""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import Future
from pathlib import Path

from r1.curation.rejection import SamplingLine, rejection_sample
from r1.curation.settings import RejectionSettings
from r1.rewards.settings import RewardSettings
from r1.rollout.protocol import FinishedGroup
from r1.template import parse
from r1.types import Completion, Outcome, Problem, Reward, Score, ScoredGroup

TEXT = (
    "first add these two numbers then check whether result fits because every term must count "
    "once so we get another value and compare it with what was asked before"
)
WORDS = TEXT.split()


def prose(rng: random.Random, num_words: int) -> str:
    """Sentences of English words in short paragraphs."""
    out = []
    while num_words > 0:
        size = min(num_words, rng.randint(5, 12))
        out.append(" ".join(rng.choice(WORDS) for _ in range(size)).capitalize() + ".")
        num_words -= size
    return "\n\n".join(" ".join(out[i : i + 4]) for i in range(0, len(out), 4))


def response(thinking: str, answer: str) -> str:
    return f"<think> {thinking} </think> <answer> {answer} </answer>"


class FakeEngine:
    """text_of(request, seed) -> (text, finish_reason); groups end in a shuffled order."""

    def __init__(self, text_of, delay_s=0.0):
        self.text_of, self.delay_s = text_of, delay_s
        self.calls = []

    def generate(self, requests, sampling):
        self.calls.append([request.id for request in requests])
        order = list(requests)
        random.Random(len(requests)).shuffle(order)
        for request in order:
            time.sleep(self.delay_s)
            made = [self.text_of(request, seed) for seed in request.seeds]
            completions = [
                Completion(list(range(len(text.split()))), [], text, reason)
                for text, reason in made
            ]
            yield FinishedGroup(request, completions)


class FakeScorer:
    """Correct where the answer equals the reference."""

    def __init__(self, **settings):
        self.settings = RewardSettings(**settings)
        self.num_groups = 0

    def submit_group(self, group):
        self.num_groups += 1
        future = Future()
        rewards = [self._reward(group.problem, c.text) for c in group.completions]
        future.set_result(ScoredGroup(group, rewards))
        return future

    def group_answers(self, problem, answers):
        numbers = {}
        return [-1 if a is None else numbers.setdefault(a, len(numbers)) for a in answers]

    def _reward(self, problem, text):
        if self.settings.answer_from == "answer":
            answer = parse(text).answer_strict
        else:
            rest = text.rpartition("</think>")[2]
            answer = rest.rpartition("\\boxed{")[2].partition("}")[0] if "boxed" in rest else None
        outcome = Outcome.CORRECT if answer == problem.reference else Outcome.WRONG
        outcome = Outcome.UNPARSEABLE if answer is None else outcome
        if "[crash]" in text:
            outcome = Outcome.VERIFIER_FAILED
        score = Score(float(outcome is Outcome.CORRECT), outcome)
        form = Score(float(parse(text).defect is None), Outcome.CORRECT)
        parts = {"accuracy": score, "format": form}
        return Reward(score.value, parts, outcome.is_verdict)


class FakeRenderer:
    opens_think = False

    def encode(self, problem, earlier=()):
        return tuple(problem.encode())


def problems_of(num, family="sums"):
    return [
        Problem(f"{family}-{i}", f"What is {i} plus 1?", str(i + 1), "exact", family=family)
        for i in range(num)
    ]


def random_text(request, seed):
    """Half right, some cut, mixed or malformed; all by the seed."""
    rng = random.Random(seed)
    number = int(request.id.rpartition("-")[2]) + 1
    right = rng.random() < 0.6
    thinking = prose(rng, rng.randint(10, 80))
    if rng.random() < 0.1:
        thinking += " 我们先把两个数字加起来然后再检查一遍结果是不是正确的"
    text = response(thinking, str(number if right else number + 1))
    if rng.random() < 0.1:
        return text[: len(text) // 2], "length"
    return (text.replace("</think>", "") if rng.random() < 0.1 else text), "stop"


def settings_of(**more):
    base = {
        "num_samples": 6,
        "sampled": {"answer_tags": True},
        "call": {"prompts": 16},
        "shards": {"rows": 40},
        "keep": {"cap": 3},
    }
    return RejectionSettings.model_validate(base | more)


def sample_into(folder, problems, settings, engine=None, scorer=None, **more):
    line = SamplingLine(engine or FakeEngine(random_text), scorer or FakeScorer(), FakeRenderer())
    return rejection_sample(Path(folder), problems, line, settings, **{"source": "fake@0", **more})


def files_of(folder):
    """Every file of a data set with its bytes, but for the lock."""
    folder = Path(folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


if __name__ == "__main__":
    where, number, delay, resume = sys.argv[1:]
    given = settings_of(call={"prompts": 16, "resume": resume})
    problem_list = problems_of(int(number))
    sample_into(where, problem_list, given, FakeEngine(random_text, float(delay)))
