"""Run recipes: a single stage or a graph of stages."""
