"""What a report refuses."""

from __future__ import annotations


class ReportError(ValueError):
    """Results that cannot stand in one table, or do not hold what was asked for."""
