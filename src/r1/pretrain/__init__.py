"""Pretraining the tiny world's base model from scratch."""
