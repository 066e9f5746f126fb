"""Benchmarks run on a model, their figures and their table."""
