"""The estimates of the stages that sample, and of those that put data sets together.

Sampling: 2ND over each prompt once and each of its samples. A stage that makes a data set passes
its rows and their mean tokens on to the stages that read it.

Left out on purpose: chains of thought that a mixture has written, people's time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from r1.plan.estimate import Context, Estimate, drawn, sentences, waiting_hours
from r1.plan.model import ModelShape
from r1.plan.workload import (
    GENERAL_TOKENS,
    Amount,
    amount_of,
    counted,
    prompt_length,
    response_length,
)
from r1.rollout.settings import EngineSettings

KEPT_SHARE = 0.6
KEPT_NOTE = "60 % of the samples are correct, readable and no duplicates"
CLEAR_SHARE = 0.5
CLEAR_NOTE = "the judge is sure of half of what it is asked"
JUDGE_ELSEWHERE = "the judge behind an endpoint computes elsewhere"
BY_ENDPOINT = "the general model behind an endpoint computes elsewhere"


def rejection(name: str, stage: Any, context: Context) -> Estimate:
    """Samples of a checkpoint; of each prompt at most keep.cap good ones are written."""
    amount = amount_of(stage.problems, context.base_folder, context.made)
    shape = context.shape(stage.model)
    sampling, number = stage.sampling, stage.num_samples
    done = _sampling(
        name, "rejection", shape, context, amount, number, sampling.max_new_tokens, stage.engine
    )
    if amount.rows is None:
        return done
    good = KEPT_SHARE * number
    kept = min(good, stage.keep.cap) if stage.keep.cap else good
    mean = done.response_tokens / max(1, done.samples)
    made = Amount(round(amount.rows * kept), mean)
    return replace(done, makes=made, assumptions=(*done.assumptions, KEPT_NOTE))


def written(name: str, stage: Any, context: Context) -> Estimate:
    """Traces by a general model: prompted ones, or samples that are refined in two calls."""
    refined = hasattr(stage, "samples")
    kind = "refined" if refined else "prompted"
    if refined:
        amount = context.made.get(stage.samples.removeprefix("@").partition("/")[0], Amount(None))
        calls = 2
    else:
        amount = amount_of(stage.problems, context.base_folder, context.made)
        calls = (stage.few_shot if stage.how == "few-shot" else stage.direct).num_samples
    made = None
    if amount.rows is not None:
        kept = round(amount.rows * (KEPT_SHARE if refined else min(1.0, KEPT_SHARE * calls)))
        made = Amount(kept, amount.tokens)
    if stage.general.model is None:
        asked = (amount.rows or 0) * calls
        return Estimate(name, kind, samples=asked, makes=made, assumptions=(BY_ENDPOINT,))
    shape = context.shape(stage.general.model)
    limit = stage.general.sampling.max_new_tokens
    done = _sampling(name, kind, shape, context, amount, calls, limit, stage.general.engine)
    return replace(done, makes=made, assumptions=(*done.assumptions, KEPT_NOTE))


def review(name: str, stage: Any, context: Context) -> Estimate:
    """People read and edit: no tokens."""
    made = context.made.get(stage.samples.removeprefix("@").partition("/")[0])
    return Estimate(name, "review", makes=made, assumptions=("people's time is not estimated",))


def examples(name: str, stage: Any, context: Context) -> Estimate:
    """Examples that are there already."""
    made = amount_of(stage.sources, context.base_folder, context.made)
    unknown = made.notes if made.rows is None else ()
    return Estimate(name, "examples", makes=made, assumptions=made.notes, unknown=unknown)


def mixture(name: str, stage: Any, context: Context) -> Estimate:
    """Rows of several data sets; thoughts that a general model adds are not counted."""
    amounts: list[Amount] = []
    notes: list[str] = []
    for source in stage.sources:
        found = _of_mixture(source, context)
        rows = source.count if source.count is not None else found.rows
        if source.weight is not None:
            rows = None  # a share of the total, added below
        amounts.append(found._replace(rows=rows))
        notes += found.notes
    weighted = [s.weight is not None for s in stage.sources]
    known = [a for a, w in zip(amounts, weighted, strict=True) if not w]
    lengths = [a.tokens for a in known if a.tokens is not None]
    if lengths and min(lengths) > GENERAL_TOKENS and len(lengths) < len(known):
        known = [a if a.tokens else a._replace(tokens=GENERAL_TOKENS) for a in known]
        notes.append("1,420 tokens a row of data that is not here: table 5's general rows")
    if any(amount.rows is None for amount in known):
        return Estimate(name, "mixture", unknown=sentences(notes))
    rows = sum(amount.rows or 0 for amount in known) + (stage.total or 0)
    counted = [a for a in known if a.tokens is not None and a.rows]
    of = sum(a.rows or 0 for a in counted)
    tokens = sum((a.rows or 0) * (a.tokens or 0.0) for a in counted) / of if of else None
    if any(source.chain_of_thought == "prompted" for source in stage.sources):
        notes.append("chains of thought that the general model adds are not counted")
    return Estimate(name, "mixture", makes=Amount(rows, tokens), assumptions=sentences(notes))


def _of_mixture(source: Any, context: Context) -> Amount:
    if source.path.startswith("@"):
        stage = source.path.removeprefix("@").partition("/")[0]
        return context.made.get(stage, Amount(None, None, (f"rows of {source.path} unknown",)))
    if (file := context.base_folder / source.path).exists():
        return counted(file, "jsonl" if file.suffix in (".jsonl", ".ndjson") else "parquet")
    if source.count is not None:
        return Amount(source.count)
    return Amount(None, None, (f"rows of {source.path} unknown (set its count)",))


def preferences(name: str, stage: Any, context: Context) -> Estimate:
    """Responses of a checkpoint, and a judge's votes on them; it reads every response whole."""
    amount = amount_of(stage.problems, context.base_folder, context.made)
    shape, number = context.shape(stage.model), stage.num_samples
    limit = stage.sampling.max_new_tokens
    done = _sampling(name, "preferences", shape, context, amount, number, limit, stage.engine)
    sampler = done.machine
    if amount.rows is None or sampler is None:
        return done
    each = 2 if stage.objective == "pairwise" else 1
    questions = amount.rows * number // each
    read = each * done.response_tokens / max(1, done.samples)
    made = Amount(round(questions * CLEAR_SHARE), read)
    done = replace(done, makes=made, assumptions=(*done.assumptions, CLEAR_NOTE))
    if stage.judge.model is None:
        return replace(done, assumptions=(*done.assumptions, JUDGE_ELSEWHERE))
    judge = context.shape(stage.judge.model)
    machine, limit = context.machine(judge), stage.judge.sampling.max_new_tokens
    prompt = prompt_length(judge, context.given.mean_prompt)
    prompt = prompt._replace(tokens=prompt.tokens + read)
    reply = response_length(judge, limit, False, context.given.mean_response)
    votes = questions * stage.judging.votes
    part = drawn(machine, judge, prompt, reply, votes, 1, "judging")
    waits = waiting_hours(machine, stage.judge.engine, votes * reply.tokens, limit) if votes else 0
    judging = machine.hours((part,), waits) * machine.num_gpus  # told in hours of the sampler's
    return replace(
        done,
        samples=done.samples + votes,
        prompt_tokens=done.prompt_tokens + votes * prompt.tokens,
        response_tokens=done.response_tokens + votes * reply.tokens,
        parts=(*done.parts, part),
        hours=done.hours + judging / sampler.num_gpus,
    )


def evaluation(name: str, stage: Any, context: Context) -> Estimate:
    """k samples of every problem and of every general request."""
    amount = amount_of((*stage.problems, *stage.general), context.base_folder, context.made)
    shape = context.shape(stage.model)
    limit = stage.evaluation.max_new_tokens or stage.max_new_tokens
    number = stage.evaluation.num_samples
    return _sampling(name, "evaluation", shape, context, amount, number, limit, stage.engine)


def _sampling(
    name: str,
    kind: str,
    shape: ModelShape,
    context: Context,
    amount: Amount,
    number: int,
    limit: int,
    engine: EngineSettings,
) -> Estimate:
    machine = context.machine(shape)
    if amount.rows is None:
        return Estimate(name, kind, shape, machine, unknown=amount.notes)
    prompt = prompt_length(shape, context.given.mean_prompt)
    response = response_length(shape, limit, False, context.given.mean_response)
    part = drawn(machine, shape, prompt, response, amount.rows, number)
    tokens = amount.rows * number * response.tokens
    waits = waiting_hours(machine, engine, tokens, limit) if tokens else 0.0
    hours = machine.hours((part,), waits)
    return Estimate(
        name,
        kind,
        shape,
        machine,
        amount.rows * number,
        amount.rows * prompt.tokens,
        tokens,
        parts=(part,),
        hours=hours,
        waits_for_longest=hours > machine.hours((part,)),
        assumptions=sentences([*amount.notes, prompt.note, response.note]),
    )
