"""The paper's benchmarks, one a file: data, prompt, verifier, metric, k, published numbers."""
