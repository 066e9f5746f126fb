"""Judged benchmarks: a judge's verdicts on stored responses, and the figures made of them."""
