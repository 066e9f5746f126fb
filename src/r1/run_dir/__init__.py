"""Write, resume and read runs: a run is a folder that records its own history.

    run.json                 the kind of the run          recipe.json   its resolved settings
    facts.json               what was found of prompts and data when it began (r1.run_dir.shapes)
    versions.json            python and the libraries     seeds.json    every seed
    metrics.jsonl            one line a step, deterministic values only
    timings.jsonl            one line a step, seconds/..., speed/... and pool/...
    rollouts/step-000012.parquet      the completions sampled in step 12, with their rewards
    evaluations/step-000012.json      measured after 12 updates; .parquet beside it: completions
    checkpoints/step-000012/          weights after 12 updates, Hugging Face layout + learner state
    lineage.json             stage, parent, data sets, and the hash of every checkpoint
    DONE.json                written last

Torch-free. Left out on purpose: remote stores, and appending to a step that was committed.
"""

from r1.run_dir.checkpoint import CheckpointSettings, checkpoint_steps, find_checkpoint
from r1.run_dir.completions import completion_table
from r1.run_dir.lineage import describe_source
from r1.run_dir.read import (
    is_done,
    is_run,
    read_evaluation_completions,
    read_evaluations,
    read_metrics,
    read_rollouts,
    read_timings,
    rollout_steps,
    training_run,
)
from r1.run_dir.run import RunDir

__all__ = [
    "CheckpointSettings",
    "RunDir",
    "checkpoint_steps",
    "completion_table",
    "describe_source",
    "find_checkpoint",
    "is_done",
    "is_run",
    "read_evaluation_completions",
    "read_evaluations",
    "read_metrics",
    "read_rollouts",
    "read_timings",
    "rollout_steps",
    "training_run",
]
