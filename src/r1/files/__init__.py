"""Read files that others may have written: opened, bounded, parsed, checked. No other way in.

    regular     regular files only, of a bounded size        shapes    JSON against a typed shape
    json_text   JSON, JSON lines, TOML: depth, duplicates    parquet   tables, a batch at a time
    tensors     headers of safetensors files

Every fault becomes a UserError that names the file, the field and the remedy. Left out on purpose:
formats that libraries alone read (tokenizer.json, learner.pt); r1.models and r1.learner hold those.
"""
