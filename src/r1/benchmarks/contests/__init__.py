"""Contests with frozen standings: a model's rank among the competitors, its rating, percentiles."""
