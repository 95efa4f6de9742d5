"""Selection of the rows that a report shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """Columns, comparisons and words of a report.

    Args:
        name: Name of the study; the label of its table.
        question: Question of the study; the head of its table.
        slices: Slices of the table, in order.
        metrics: Metrics of each slice, in order.
        reference: Row that all others are compared with.
        baseline_reference: Baseline of the gains in the figure by week.
        effect_slices: Slices of the figure of effects; empty for the slices of the table.
        figure_rows: Rows of the figure by week; empty for the two references and the first other model row.
        note: Budget of the study, printed on the table.
        command: Command that made the results, printed on the table.
        missing: Cells without results, printed on the table.
        costs: Columns of cost, names of :data:`~seasonrec.report.costs.COLUMNS`.
    """

    name: str
    question: str
    slices: tuple[str, ...]
    metrics: tuple[str, ...]
    reference: str = "full"
    baseline_reference: str = "personal_recent"
    effect_slices: tuple[str, ...] = ()
    figure_rows: tuple[str, ...] = ()
    note: str = ""
    command: str = ""
    missing: tuple[str, ...] = ()
    costs: tuple[str, ...] = ("minutes", "weights")

    @property
    def columns(self) -> list[tuple[str, str]]:
        """``(slice, metric)`` of every column."""
        return [(slice_name, metric) for slice_name in self.slices for metric in self.metrics]

    @property
    def figure_metric(self) -> str:
        """Metric that depends most on the season: bits if the table has them, else its first metric."""
        return "bits" if "bits" in self.metrics else self.metrics[0]
