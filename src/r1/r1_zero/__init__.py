"""R1-Zero as a run: reinforcement learning by verifiable rewards (paper, section 2.2)."""
