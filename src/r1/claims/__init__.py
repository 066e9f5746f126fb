"""The paper's claims as experiments: arms x seeds, a measure, a rule (`r1 reproduce`)."""
