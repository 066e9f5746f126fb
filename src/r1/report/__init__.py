"""The report of a run: one self-contained page, the same figures for programs, and as pictures.

Reads a run folder and nothing else; torch-free.
"""

from r1.report.page import build_report
from r1.report.pictures import save_figures
from r1.report.summary import report_json

__all__ = ["build_report", "report_json", "save_figures"]
