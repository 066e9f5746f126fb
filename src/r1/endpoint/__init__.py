"""A model behind an OpenAI-compatible endpoint, sampled as an engine is.

    URL#model -> settings -> EndpointEngine (prompts as text, samples as text) -> evaluation

HTTP, limits, retries, budget, kept replies and the scrubbing of the key are r1.judge's.
"""
