"""Rewards: one a file, each a judgement (problem, completion) -> Score; pool.py runs them."""
