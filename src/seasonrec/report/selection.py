"""Selection of the rows that a report shows."""

from __future__ import annotations

from dataclasses import dataclass

from seasonrec.evaluation.slices.masks import OUTCOME_SLICES

AA_ROW = "aa"
"""Name of the row that is the reference with other seeds."""


@dataclass(frozen=True)
class Selection:
    """Columns, comparisons and words of a report.

    Args:
        name: Name of the study; the label of its table.
        question: Question of the study; the head of its table.
        slices: Slices of the table, in order; those by outcome are taken out, see ``moved``.
        metrics: Metrics of each slice, in order.
        reference: Row that all others are compared with.
        baseline_reference: Baseline of the gains in the figure by week.
        effect_slices: Slices of the figure of effects, without those by outcome; empty for the slices of the table.
        figure_rows: Rows of the figure by week; empty for the two references and the first other model row.
        note: Budget of the study, printed on the table.
        command: Command that made the results, printed on the table.
        missing: Cells without results, printed on the table.
        costs: Columns of cost, names of :data:`~seasonrec.report.costs.COLUMNS`.
        aa: Whether the row ``aa`` is the reference with other seeds, which must carry no mark.
        first_metrics: Further metrics of the first slice.
        partial: Rows that are left out, because they have no results at some rolling origin.
        moved: Slices by outcome that were asked for; the appendix has them, see :mod:`seasonrec.report.appendix`.
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
    aa: bool = False
    first_metrics: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        asked = (*self.moved, *self.slices, *self.effect_slices)
        object.__setattr__(self, "moved", tuple(dict.fromkeys(name for name in asked if name in OUTCOME_SLICES)))
        object.__setattr__(self, "slices", _by_time(self.slices) or ("all",))
        object.__setattr__(self, "effect_slices", _by_time(self.effect_slices))

    @property
    def columns(self) -> list[tuple[str, str]]:
        """``(slice, metric)`` of every column; columns of one slice are neighbours."""
        first, *others = self.slices
        further = [name for name in self.first_metrics if name not in self.metrics]
        return [
            *((first, metric) for metric in (*self.metrics, *further)),
            *((slice_name, metric) for slice_name in others for metric in self.metrics),
        ]

    @property
    def figure_metric(self) -> str:
        """Metric that depends most on the season: bits if the table has them, else its first metric."""
        return "bits" if "bits" in self.metrics else self.metrics[0]


def _by_time(slices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in slices if name not in OUTCOME_SLICES)
