"""The generative judge: a language model that gives verdicts as JSON, over HTTP or from an engine.

    task -> prompt (fenced by a nonce) -> cache, budget, limits, retries -> reply -> strict verdict

`judge.Judge` is the whole of it for callers; docs/judge.md shows its use. Torch-free, and nothing
here imports an HTTP client before the first request.
"""
