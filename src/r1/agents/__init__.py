"""Benchmarks where a model edits files: several requests a task, judged by a project's tests.

ask        conversations to responses, of an engine or of recorded texts
polyglot   Aider's 225 Exercism tasks: edits, tests, a second try
swe        SWE-bench Verified without an agent: localise, repair, test, vote
"""
