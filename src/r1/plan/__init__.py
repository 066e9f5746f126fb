"""Estimate a recipe before it runs: samples, tokens, FLOPs, GPU-hours, memory (torch-free)."""
