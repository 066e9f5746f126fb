"""Rerank, vote and search on the tiny world's hard set, at counted tokens, in one process.

    .venv/bin/python bench/search_tiny.py SCORER [--policy tiny] [--problems 48] [--samples 16]

Answers are read from <answer> tags, else from the last line, and compared as texts with the
reference: what the reward workers would do, without starting them. One line of JSON a search.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from pathlib import Path

from r1.data.tiny.problems import make_problems
from r1.evaluation.search import OracleScorer, open_scorer
from r1.evaluation.search_figures import search_figures
from r1.evaluation.source import resolve_model
from r1.evaluation.summary import JudgedProblem, JudgedSample
from r1.rewards.registry import PromptForm
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import SamplingSettings
from r1.search.engine import ConstantScorer, SearchEngine, read_records
from r1.search.settings import SearchSettings
from r1.template import PromptRenderer, TemplateSettings
from r1.types import GroupRequest, Outcome

SAMPLING = SamplingSettings(temperature=0.6, top_p=0.95, max_new_tokens=200)


def answer_of(text: str) -> str | None:
    """The answer in tags, else the last number or letter of the last line."""
    tagged = re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL)
    where = tagged[-1] if tagged else text.strip().rsplit("\n", 1)[-1]
    found = re.findall(r"-?\d+|\b[A-Z]\b|(?<=[\u4e00-\u9fff])[A-Z]", where)
    return found[-1] if found else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scorer")
    parser.add_argument("--policy", default="tiny")
    parser.add_argument("--problems", type=int, default=48)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--budget", type=int, default=700)
    parser.add_argument("--caps", type=int, nargs="*", default=[2, 4, 8])
    options = parser.parse_args()
    half = options.problems // 2
    problems = make_problems("heldout", ["arithmetic"], num=half, levels=[3])
    problems += make_problems("heldout", ["cups"], num=options.problems - half, levels=[2])
    engine = EmbeddedEngine.from_pretrained(resolve_model(options.policy).path)
    renderer = PromptRenderer(engine.tokenizer, TemplateSettings())
    whole = SearchSettings(method="best_of_n", scorer=options.scorer)
    prm = open_scorer(whole, problems, PromptForm())

    def measure(name: str, settings: SearchSettings, scorer: object) -> None:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            prompts = {problem.id: problem.prompt for problem in problems}
            search = SearchEngine(engine, scorer, settings, prompts, Path(folder))
            requests = [
                GroupRequest(
                    problem.id,
                    renderer.encode(problem.prompt),
                    tuple(sample_seed(0, problem.id, g) for g in range(options.samples)),
                )
                for problem in problems
            ]
            groups = {g.request.id: g for g in search.generate(requests, SAMPLING)}
            records = read_records(Path(folder))
        judged = []
        for problem in problems:
            answers = [answer_of(c.text) for c in groups[problem.id].completions]
            number: dict[str, int] = {}
            samples = [
                JudgedSample(
                    Outcome.CORRECT if answer == problem.reference else Outcome.WRONG,
                    -1 if answer is None else number.setdefault(answer, len(number)),
                    0,
                    False,
                    False,
                )
                for answer in answers
            ]
            judged.append(JudgedProblem(problem.id, problem.family, samples))
        figures = search_figures(judged, records, settings)
        seconds = time.perf_counter() - began
        print(json.dumps({"name": name, "seconds": seconds, **figures}), flush=True)

    measure("samples, PRM", whole, prm)
    for cap in options.caps:
        tree = SearchSettings(method="mcts", scorer="x", budget=options.budget, expansions=cap)
        measure(f"mcts, PRM, cap {cap}", tree, prm)
    tree = tree.model_copy(update={"expansions": 4})
    measure("mcts, constant, cap 4", tree, ConstantScorer())
    measure("mcts, oracle, cap 4", tree, OracleScorer(problems))
    beam = SearchSettings(method="beam", scorer="x", budget=options.budget, beams=4)
    measure("beam 4 x 4, PRM", beam, prm)
    measure("DVTS 4 x 4, PRM", beam.model_copy(update={"subtrees": 4}), prm)


if __name__ == "__main__":
    main()
