"""The figures of learning from preferences: reward models and policies alike.

Accuracy is the share of pairs (or labels) that the model puts the right way round. The change of
the log-probabilities since the reference shows what a growing margin is made of: the chosen
responses may well become less likely, too.
"""

from __future__ import annotations

from r1.report.figures import Chart, evaluated_series, interval_series, training_series
from r1.report.load import RunData


def agreement(run: RunData) -> Chart:
    """Return accuracy in training and on held-out preferences."""
    series = [
        training_series(run, "accuracy", "training", 5, "thin"),
        interval_series(run, "accuracy", "held-out", 0),
    ]
    note = "Preferences the right way round, with 95% intervals; thin line: trained on."
    kept = [item for item in series if item.x]
    return Chart("agreement", "Accuracy", note, "share", kept, limits=(0.0, 1.0))


def preference_loss(run: RunData) -> Chart:
    """Return the loss in training and on held-out preferences."""
    series = []
    if any("accuracy" in row for row in run.metrics[:1]):
        series = [
            training_series(run, "loss", "training", 5, "thin"),
            evaluated_series(run, "loss", "held-out", 0),
        ]
    kept = [item for item in series if item.x]
    return Chart("preference-loss", "Loss", "Mean over preferences.", "number", kept)


def movement(run: RunData) -> Chart:
    """Return how far a policy's log-probabilities have moved from the reference's."""
    series = [
        training_series(run, "chosen_change", "chosen, training", 2, "thin"),
        training_series(run, "rejected_change", "rejected, training", 4, "thin"),
        evaluated_series(run, "chosen_change", "chosen, held-out", 2),
        evaluated_series(run, "rejected_change", "rejected, held-out", 4),
    ]
    note = "Log-probability since the reference, nats a response; the gap makes the margin."
    kept = [item for item in series if item.x]
    return Chart("movement", "Change of log-probabilities", note, "number", kept)


def distance(run: RunData) -> Chart:
    """Return the KL divergence from the reference on held-out responses."""
    series = [evaluated_series(run, "kl", "held-out", 0)] if run.evaluations else []
    kept = [item for item in series if item.x]
    note = "KL to the reference policy, nats a token of held-out responses."
    return Chart("distance", "Distance from the reference", note, "number", kept)


PREFERENCE_CHARTS = (agreement, preference_loss, movement, distance)
