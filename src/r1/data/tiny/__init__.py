"""The tiny world: problems, a corpus and a base model small enough for two CPU cores.

It stands in for DeepSeek-V3-Base and its data where the machine is too small or offline, and runs
through the same code. Nothing in it is scripted: the corpus holds right and wrong, bare, worked
and checked answers, in English, Chinese and a mixture, and what reinforcement learning makes of
them is measured.
"""

from pathlib import Path

BASE_FOLDER = Path(__file__).parent / "base"
"""The shipped base model (Hugging Face layout), made by `r1 pretrain recipes/tiny/base.toml`."""

STUDENTS_FOLDER = Path(__file__).parent / "students"
MODELS = {
    "tiny": BASE_FOLDER,
    "tiny-qwen": STUDENTS_FOLDER / "qwen",
    "tiny-llama": STUDENTS_FOLDER / "llama",
}
"""What recipes may name: the base, and two smaller bases of other architectures to distil into."""
