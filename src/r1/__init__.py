"""r1: the DeepSeek-R1 training system as software that people use."""

__version__ = "0.1.0"
