"""Algorithms of reinforcement learning, one a file; `protocol` says what each must bring."""
