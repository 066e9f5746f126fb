"""How batches are sampled: in turn with the update, whole ahead of it, or as partial rollouts."""
