"""Every threshold of the diagnosis, with its reason; docs/diagnose.md shows this table."""

from __future__ import annotations

from typing import NamedTuple


class Threshold(NamedTuple):
    """A limit in the unit that `about` names, and why it is not another."""

    value: float
    about: str
    why: str


THRESHOLDS: dict[str, Threshold] = {
    "no_signal": Threshold(
        0.7,
        "share of groups whose samples all got the same accuracy",
        "healthy runs of the tiny world have 20 to 60 %; above, most sampling is paid for nothing",
    ),
    "class_share": Threshold(
        0.35,
        "share of all groups that are alike without signal for one reason",
        "half of `no_signal`: the larger of two reasons is always named",
    ),
    "ceiling": Threshold(
        0.9,
        "share of right answers in the first steps, and still in the last",
        "at 90 % a group of 16 is all right in one of five cases, and little is left to gain",
    ),
    "failed": Threshold(
        0.1,
        "share of samples without a verdict",
        "the run itself warns from 2 % on; at 10 % every second group of 16 loses more than one",
    ),
    "truncated": Threshold(
        0.3,
        "share of responses cut at the token limit, and it does not fall by half",
        "an answer that was cut off is wrong whatever the reasoning was",
    ),
    "short_room": Threshold(
        0.05,
        "share of responses cut by the model's context before sampling.max_new_tokens",
        "the prompts of these leave no room; in a fitting recipe there is none",
    ),
    "engine_gap": Threshold(
        0.05,
        "mean difference of engine's and learner's log-probabilities, in nats a token",
        "float32 gives 1e-6, bfloat16 against float32 0.01; at 0.05 a response of 100 tokens is "
        "off by a factor of e^5",
    ),
    "entropy": Threshold(
        0.1,
        "entropy of the policy in nats a token, below",
        "with `distinct`: short answers may have little entropy and still differ",
    ),
    "distinct": Threshold(
        0.5,
        "share of different responses in a group, below",
        "half of the group is then a copy, and compares nothing",
    ),
    "stuck": Threshold(
        0.5,
        "share of the weights that a step of this rate cannot move in their dtype",
        "most of the model stays as it is",
    ),
    "moved": Threshold(
        2e-5,
        "largest movement of a weight over the whole run (sum of learning rates), below",
        "a thousandth of a usual weight of 0.02",
    ),
    "fell": Threshold(
        0.5,
        "reward of the last steps over that of the first, below",
        "with a sign that steps are too large: KL, gradient norm, clipping, entropy, length",
    ),
    "kl": Threshold(
        0.5,
        "KL to the reference in nats a token",
        "runs that learn stay below 0.1 a token",
    ),
    "clipped": Threshold(
        0.2,
        "share of tokens whose ratio is clipped",
        "DAPO and R1 see below 1 %; at 20 % the update leaves the region where it holds",
    ),
    "grown": Threshold(
        4.0,
        "growth of the gradient's norm from the first steps to the last",
        "norms of healthy runs stay within a factor of two",
    ),
    "disagree": Threshold(
        0.1,
        "share of a verifier's verdicts that a second verifier contradicts",
        "below, it may be wording; GRPO finds and exploits what is paid above within ten steps",
    ),
    "accuracy_share": Threshold(
        0.1,
        "accuracy's share of the reward's variance within groups, below",
        "advantages are divided by the whole deviation: the rest steers the update",
    ),
    "longer": Threshold(
        1.5,
        "growth of the mean length while accuracy does not rise",
        "R1-Zero's responses grow as well, but with accuracy",
    ),
    "contaminated": Threshold(
        0.01,
        "share of held-out problems that were trained on",
        "r1 leaves overlaps out of training; any that remain were let through",
    ),
    "loss_excess": Threshold(
        1.1,
        "training loss over the model's own entropy, above, while the loss does not fall",
        "a loss equal to the entropy is a model that fits its data; nothing is left to fall",
    ),
    "loss_fell": Threshold(
        0.02,
        "relative fall of the loss from the first quarter of the steps to the last, below",
        "less is noise between batches",
    ),
    "loss_may_fall": Threshold(
        0.05,
        "the same with two standard errors of noise between batches, below",
        "a short run of small batches cannot tell: nothing is said of it",
    ),
    "loss_rose": Threshold(
        1.2,
        "loss of the last quarter over that of the first",
        "batches differ by some per cent",
    ),
    "labels": Threshold(
        0.01,
        "share of the tokens that are learnt, below",
        "nearly all of every example is prompt: the wrong turn is learnt, or none",
    ),
    "dropped": Threshold(
        0.2,
        "share of examples dropped or cut as over-long",
        "what is left is no longer the data set",
    ),
    "by_length": Threshold(
        0.3,
        "difference in held-out accuracy between longer chosen and shorter chosen responses",
        "a model that only counts tokens has a difference of 1",
    ),
}


def threshold(name: str) -> float:
    """Return the value of a threshold."""
    return THRESHOLDS[name].value
