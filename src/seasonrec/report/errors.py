"""Errors of a report."""

from __future__ import annotations

from seasonrec.errors import UserError


class ReportError(UserError):
    """Results that cannot stand in one table, or do not hold what was asked for."""
