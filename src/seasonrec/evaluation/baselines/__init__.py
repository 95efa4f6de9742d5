"""Trend and habit baselines, included in every table."""

from __future__ import annotations

from seasonrec.evaluation.baselines.fitting import BASELINES, Baseline, fit_baselines

__all__ = ["BASELINES", "Baseline", "fit_baselines"]
