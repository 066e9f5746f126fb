"""Experiment trackers beside a run: Weights & Biases, TensorBoard, trackio; all optional.

    [track]
    to = ["wandb:my-project", "tensorboard"]

A tracker is given the rows of metrics.jsonl and timings.jsonl and the evaluations, which stay the
truth: it never ends a run, slows it down or changes it.
"""
