"""Hypothesis without deadlines: a machine under load is not a defect."""

from hypothesis import settings

settings.register_profile("r1", deadline=None)
settings.load_profile("r1")
