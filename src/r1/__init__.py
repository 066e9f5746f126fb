"""r1: the DeepSeek-R1 training system."""

__version__ = "0.1.0"
