"""Learners: where the weights live and change."""
