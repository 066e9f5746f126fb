"""Evaluation: samples -> pass@1, pass@k and cons@k with intervals; paired comparisons."""
