"""The error of metadata that form no task."""

from __future__ import annotations


class TaskError(ValueError):
    """The metadata form no usable task; the message gives the reason and the expected form."""
