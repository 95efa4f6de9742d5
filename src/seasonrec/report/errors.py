"""Errors of a report."""

from __future__ import annotations

from seasonrec.errors import UserError


class ReportError(UserError):
    """Results that cannot share a table, or that lack a requested slice or metric."""
