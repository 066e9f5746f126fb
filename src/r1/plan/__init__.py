"""What a recipe implies before it runs: samples, tokens, FLOPs, GPU-hours, memory (torch-free)."""
