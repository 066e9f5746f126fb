"""Evaluation: pass@1, pass@k and cons@k with intervals, on held-out problems."""
