"""Ablation studies: experiment x rows x seeds, run where missing, and their report."""

from seasonrec.ablate.entry import report, run

__all__ = ["report", "run"]
