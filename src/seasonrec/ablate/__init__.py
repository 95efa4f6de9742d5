"""Ablation studies: the runs of their missing cells, and their reports."""

from seasonrec.ablate.entry import report, run

__all__ = ["report", "run"]
