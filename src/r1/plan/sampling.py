"""The estimate of sampling a finished model: 2ND over each prompt once and each of its samples.

Stage kinds that sample build on it. A stage that makes a data set passes its rows and their mean
tokens on to the stages that read it (`Estimate.makes`).
"""

from __future__ import annotations

from r1.plan.estimate import Context, Estimate, drawn, sentences, waiting_hours
from r1.plan.model import ModelShape
from r1.plan.workload import (
    Amount,
    prompt_length,
    response_length,
)
from r1.rollout.settings import EngineSettings

KEPT_SHARE = 0.6
KEPT_NOTE = "60 % of the samples are correct, readable and no duplicates"


def estimate_sampling(
    name: str,
    kind: str,
    shape: ModelShape,
    context: Context,
    amount: Amount,
    number: int,
    limit: int,
    engine: EngineSettings,
) -> Estimate:
    """Estimate `number` responses, of at most `limit` tokens, to each row of amount."""
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
