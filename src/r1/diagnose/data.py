"""The data: held-out problems that were trained on, prompts without BOS, examples left out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from r1.data.decontaminate import HeldoutIndex, drop_overlaps
from r1.data.settings import GENERATORS
from r1.diagnose.diagnosis import Diagnosis, check
from r1.diagnose.samples import MAX_EXAMPLES
from r1.diagnose.thresholds import threshold
from r1.diagnose.view import RunView
from r1.run_dir.checkpoint import numbered
from r1.run_dir.read import evaluation_path, rollout_steps, rollouts_path
from r1.run_dir.stored import read_columns
from r1.terminal import one_line
from r1.types import Problem

MAX_STEPS = 400
"""Steps whose prompts are compared, the newest."""


@check("contaminated", "training", slow=True)
def contaminated(view: RunView) -> Diagnosis | None:
    """Find held-out problems that were trained on, by the rule that leaves them out."""
    steps = numbered(view.folder / "evaluations", ".parquet")
    held = _problems([evaluation_path(view.folder, steps[-1])] if steps else [])
    trained = [rollouts_path(view.folder, step) for step in rollout_steps(view.folder)[-MAX_STEPS:]]
    sources = [*view.setting("data.train", []), *view.setting("data.heldout", [])]
    generated = bool(sources) and all(source.get("kind") in GENERATORS for source in sources)
    ngram = None if generated else view.setting("data.ngram", 10)
    index = HeldoutIndex(held, ngram, view.setting("data.common_share", 0.05))
    overlaps = drop_overlaps(_problems(trained), [index]).dropped
    seen = {overlap.heldout_id for overlap in overlaps}
    share = len(seen) / max(1, len(held))
    if share < threshold("contaminated"):
        return None
    remedy = "data.decontaminate = true, or held-out problems of another source"
    if view.setting("data.decontaminate", True):
        remedy = "held-out problems of another source: the rule of data.ngram let these through"
    return Diagnosis(
        "contaminated",
        "Held-out problems were trained on: their score says nothing of new ones.",
        f"{len(seen)} of {len(held)} held-out problems share their words with one of training",
        remedy,
        0.5 * share,
        examples=tuple(
            f"{one_line(overlap.problem.id, 40)} and held-out {one_line(overlap.heldout_id, 40)}: "
            f"{one_line(overlap.ngram, 100)}"
            for overlap in overlaps[:MAX_EXAMPLES]
        ),
    )


def _problems(paths: Iterable[Path]) -> list[Problem]:
    """Return the problems of tables of completions, each once."""
    found: dict[str, Problem] = {}
    for path in paths:
        table = read_columns(path, ["problem_id", "prompt"])
        for name, prompt in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if name not in found:
                found[name] = Problem(name, prompt, None, "none")
    return list(found.values())


@check("no_bos", "any")
def no_bos(view: RunView) -> Diagnosis | None:
    """Find prompts without the token with which the model's texts began.

    A tokenizer whose BOS is its end token as well (GPT-2's, SmolLM's) begins no text with it.
    """
    facts = view.facts
    bos, begins = facts.get("bos_token"), facts.get("prompts_begin_with_bos", True)
    if begins or bos is None or bos == facts.get("eos_token"):
        return None
    chat = view.setting("template.kind") == "chat"
    remedy = f'"add_bos_token": true in the model\'s tokenizer_config.json (its token is {bos!r})'
    if chat:
        remedy = "{{ bos_token }} first in template.chat_template"
    return Diagnosis(
        "no_bos",
        "Prompts do not begin with BOS, though the tokenizer has one.",
        f"the tokenizer's BOS is {bos!r}, and no prompt begins with it; a model trained on texts "
        "that do predicts far worse without (it may not be: then leave it)",
        remedy,
        0.4,
    )


@check("rows_dropped", "supervised")
def rows_dropped(view: RunView) -> Diagnosis | None:
    """Find examples dropped or cut as over-long."""
    counts = view.facts.get("counts", {})
    lost = {how: counts.get(how) or 0 for how in ("dropped", "truncated", "cut")}
    number, kept = sum(lost.values()), counts.get("examples") or 0
    share = number / max(1, kept + lost["dropped"])
    if share < threshold("dropped"):
        return None
    told = ", ".join(f"{count:.0f} {how}" for how, count in lost.items() if count)
    limit = view.setting("batch.max_tokens")
    larger = (
        f"batch.max_tokens = {2 * limit} (now {limit})" if limit else "a larger batch.max_tokens"
    )
    return Diagnosis(
        "rows_dropped",
        "Many examples are too long, and are dropped or cut.",
        f"{told} as over-long; {kept:.0f} are left",
        f"{larger}, or shorter examples",
        share,
    )
