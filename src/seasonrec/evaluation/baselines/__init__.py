"""Trend and habit baselines that stand in every table, unasked."""

from __future__ import annotations

from seasonrec.evaluation.baselines.fitting import BASELINES, Baseline, fit_baselines

__all__ = ["BASELINES", "Baseline", "fit_baselines"]
