"""Measure the shipped base and write its model card.

    .venv/bin/python bench/base_card.py            # prints the card
    .venv/bin/python bench/base_card.py --write    # and puts it into src/r1/data/tiny/base

Held-out problems under the prompt of Table 1, at T = 1 (what reinforcement learning samples from)
and at the evaluation's T = 0.6, top-p 0.95. A response's style is read from its text: checked where
a word of checking occurs, worked where it has steps, bare otherwise.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from r1.data.tiny import BASE_FOLDER
from r1.data.tiny.problems import make_problems
from r1.evaluation.run import evaluate
from r1.evaluation.settings import EvaluationSettings
from r1.reflection import self_checks
from r1.rewards.pool import RewardPool
from r1.rewards.settings import RewardSettings
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.settings import SamplingSettings
from r1.template import PromptRenderer, TemplateSettings
from r1.types import Outcome, Problem, ScoredGroup

STEP = re.compile(r"(?:first|start|then|next|now|先算|首先|再算|然后|接着|swap|换) ?-?\d")
FAMILIES = ("arithmetic", "cups", "facts")
STYLES = ("bare", "worked", "checked")
NUM_PROBLEMS, NUM_SAMPLES = 240, 16


class Row(NamedTuple):
    """One sample: whether it is right by the accuracy reward, and what it looks like."""

    family: str
    style: str
    correct: bool
    answered_right: bool
    form: bool
    length: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=BASE_FOLDER)
    parser.add_argument("--write", action="store_true", help="write the card into the model")
    arguments = parser.parse_args()
    text = card(arguments.model)
    print(text)
    if arguments.write:
        (arguments.model / "README.md").write_text(text, encoding="utf-8")


def card(model: Path) -> str:
    engine = EmbeddedEngine.from_pretrained(model)
    size = sum(parameter.numel() for parameter in engine.model.parameters())
    sections = []
    with RewardPool(RewardSettings()) as pool:
        for temperature, top_p in ((1.0, 1.0), (0.6, 0.95)):
            rows = measure(engine, pool, temperature, top_p)
            sections.append(section(rows, temperature, top_p))
    return HEAD.format(size=size / 1e6, num=NUM_PROBLEMS, samples=NUM_SAMPLES) + "\n".join(sections)


def measure(
    engine: EmbeddedEngine, pool: RewardPool, temperature: float, top_p: float
) -> list[Row]:
    settings = EvaluationSettings(num_samples=NUM_SAMPLES, temperature=temperature, top_p=top_p)
    renderer = PromptRenderer(engine.tokenizer, TemplateSettings())
    problems = make_problems("heldout", FAMILIES, num=NUM_PROBLEMS, seed=1)
    result = evaluate(
        engine, pool, renderer, problems, settings, training=SamplingSettings(max_new_tokens=200)
    )
    return [row for group in result.groups for row in rows_of(group)]


def rows_of(scored: ScoredGroup) -> list[Row]:
    problem = scored.group.problem
    return [
        Row(
            problem.family,
            style_of(problem, completion.text),
            reward.parts["accuracy"].outcome is Outcome.CORRECT,
            last_answer(completion.text) == problem.reference,
            reward.parts["format"].value == 1.0,
            len(completion.token_ids),
        )
        for completion, reward in zip(scored.group.completions, scored.rewards, strict=True)
    ]


def style_of(problem: Problem, text: str) -> str:
    """A fact is worked where the response names an option beside its letter."""
    if self_checks(text):
        return "checked"
    named = any(option in text for option in problem.metadata.get("options", ()))
    return "worked" if named or STEP.search(text) else "bare"


def last_answer(text: str) -> str | None:
    """The last number or capital letter of a response, whatever its form."""
    found = re.findall(r"-?\d+|\b[A-Z]\b", re.sub(r"<[^>]*>", " ", text).replace("。", " "))
    return found[-1] if found else None


def section(rows: list[Row], temperature: float, top_p: float) -> str:
    lines = [
        f"\n## T = {temperature}, top-p {top_p}\n",
        f"In the asked-for form: {share(r.form for r in rows)}. Mean length: "
        f"{sum(r.length for r in rows) / len(rows):.0f} tokens.\n",
        "| family | pass@1 | " + " | ".join(f"{s} (share)" for s in STYLES) + " |",
        "|---|---|" + "---|" * len(STYLES),
    ]
    by_family: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_family[row.family].append(row)
    for family in FAMILIES:
        own = by_family[family]
        cells = []
        for style in STYLES:
            styled = [r for r in own if r.style == style]
            right = share(r.answered_right for r in styled) if styled else "none"
            cells.append(f"{right} ({len(styled) / len(own):.0%})")
        lines.append(f"| {family} | {share(r.correct for r in own)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def share(values) -> str:
    values = list(values)
    return f"{sum(values) / len(values):.1%}"


HEAD = """# The tiny world's base

A Qwen2-architecture model of {size:.2f}M parameters, pretrained from scratch on documents made by
`r1.data.tiny.corpus`. Made again by one command from one recipe and one seed:

    r1 pretrain recipes/tiny/base.toml --out runs/base

It stands in for DeepSeek-V3-Base: a mixed bag of bare, worked and checked answers, right and wrong,
in English, Chinese and a mixture of both; only some answers to Table 1's prompt are in its form.
It also saw one-line Python functions, facts, short dialogue and requests to decline. Held-out
problems (one in twelve, by a hash of the problem) never occur in its corpus.

Measured by `bench/base_card.py`: {num} held-out problems, {samples} samples each, at most 200
tokens. pass@1 needs the form and the right answer; the columns by style give how often the last
number or letter of a response is the right answer, whatever the form, and the style's share.
"""

if __name__ == "__main__":
    main()
