r"""Read a reply that is one label: by the log-probabilities of its first token, else by its text.

    share of label l = P(l) / sum of P over the labels,   P: of all first tokens that are l but for
                                                             white space

AlpacaEval's judge is asked so (Li et al. 2023): two labels, one token. A label that is not among
the endpoint's alternatives has probability 0. Where no label is among them, or the endpoint gives
none, the text must be a label and nothing else (after a reasoning judge's thinking; quotes and
Markdown's marks around it are dropped), and the verdict has no share.
"""

from __future__ import annotations

import math

from r1.judge.model import Reply
from r1.judge.prompt import JudgeTask
from r1.judge.verdict import ReplyDefect, Verdict, read_verdict

MARKS = "\"'`*. \n\t"


def read_task(task: JudgeTask, reply: Reply, nonce: str) -> Verdict | ReplyDefect:
    """Return a reply's verdict or its defect, in the form that the task asked for."""
    if task.one_token:
        return read_label(reply, task.labels)
    return read_verdict(reply.text, reply.finish_reason, nonce, task.labels)


def read_label(reply: Reply, labels: tuple[str, ...]) -> Verdict | ReplyDefect:
    """Return the label that a reply is, with its share of the probability where that is known."""
    mass = dict.fromkeys(labels, 0.0)
    for token, logprob in reply.first_token:
        if (label := token.strip()) in mass:
            mass[label] += math.exp(logprob)
    if (total := sum(mass.values())) > 0.0:
        label = max(labels, key=mass.__getitem__)
        return Verdict(label, "", mass[label] / total)
    said = reply.text.rpartition("</think>")[2].strip(MARKS)
    if said in labels:
        return Verdict(said, "")
    if reply.finish_reason == "length":
        return ReplyDefect.CUT_OFF
    return ReplyDefect.UNKNOWN_VERDICT if said else ReplyDefect.EMPTY
