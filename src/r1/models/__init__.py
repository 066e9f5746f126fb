"""Models and tokenizers in the Hugging Face layout; torch is imported by `r1.models.load` only."""
