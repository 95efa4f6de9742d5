"""The worth of the date: what a row loses that is told a wrong one, as a table, a sentence and a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from scipy import stats

from seasonrec.data.csv_text import with_formulas
from seasonrec.digests import check
from seasonrec.evaluation.results.targets import lower_is_better
from seasonrec.evaluation.statistics.measured import FEWEST_SEEDS
from seasonrec.report.errors import ReportError
from seasonrec.report.markdown import pipe_table
from seasonrec.report.render import column_title
from seasonrec.report.style import FAINT, TEXT_WIDTH_IN, figure, looks, quiet_grid, save, spoken
from seasonrec.report.tables import digits

SPOKEN = {"season": "season (calendar, words)", "trend": "trend (momentum)", "both": "both"}
"""Kinds of wrong dates in words."""

TITLE = "What the date is worth"
HALF_YEAR_DAYS = 182
MOST_SLICES = 3
"""Slices that a figure or a terminal has room for."""

KEYS = ("name", "kind", "days", "slice", "metric")
NUMBERS = ("value", "difference", "low", "high")
COUNTS = ("n", "baskets", "before_log")
COLUMNS = ("seed", "fingerprint", *KEYS, *NUMBERS, *COUNTS)


@dataclass(frozen=True)
class DateWorth:
    """Numbers of one row with the right date and with wrong ones.

    Args:
        table: Numbers over the seeds, see :func:`over_seeds`.
        slices: Slices that are shown, each in the table.
        metrics: Metrics that are shown; sentence and figure take the last.
    """

    table: pl.DataFrame
    slices: tuple[str, ...]
    metrics: tuple[str, ...]

    @staticmethod
    def of(paths: Sequence[Path], slices: Sequence[str], gives_probabilities: bool = True) -> DateWorth:
        """Reads the files of ``seasonrec counterfactual`` of one row, one per seed.

        Args:
            paths: The files, at least one.
            slices: Slices that are shown; those without targets are left out.
            gives_probabilities: Whether the row's loss gives probabilities; if not, its bits are not shown.

        Raises:
            ReportError: If a file is absent, damaged, or does not compare with the others.
        """
        table = over_seeds(_read_all(paths))
        shown = tuple(name for name in slices if name in set(table["slice"])) or ("all",)
        return DateWorth(table, shown, ("ndcg@10", "bits") if gives_probabilities else ("ndcg@10",))

    @property
    def note(self) -> str:
        """Sentences below the table."""
        most = self.table.sort("before_log", descending=True).row(0, named=True)
        early = (
            f" {most['before_log']:,} of {most['baskets']:,} requests lie before the log's first day when moved by "
            f"{most['days']} days; their trend is 0 for every item."
        )
        return (
            "The first line has the values with the right date, the others the difference to them. ± is half of the "
            f"95% interval over users{' and seeds' if self.table['seeds'][0] >= FEWEST_SEEDS else ''}."
            f"{early if most['before_log'] else ''}"
        )

    def sentence(self) -> str:
        """Returns what the date nearest to half a year off costs in the first slice, for season, trend and both."""
        metric, slice_name = self.metrics[-1], self.slices[0]
        wrong = self._wrong(metric).filter(slice=slice_name)
        days = min(wrong["days"].unique().sort(), key=lambda days: abs(days - HALF_YEAR_DAYS))
        lines = {line["kind"]: line for line in wrong.filter(days=days).iter_rows(named=True)}
        season, trend, both = (_loss(lines[kind]) for kind in SPOKEN)
        return (
            f"{TITLE}, in {metric} on {spoken(slice_name)} ({self._seeds()}): told a date {days} days too early, "
            f"{self.table['name'][0]} loses {season} by the {SPOKEN['season']}, {trend} by the {SPOKEN['trend']}, and "
            f"{both} by both."
        )

    def head(self, between: str = " ") -> list[str]:
        """Returns the titles of the columns of the table; ``between`` stands between slice and metric."""
        return ["wrong date of", "days off", *(column_title(column, between) for column in self._columns())]

    def body(self) -> list[list[str]]:
        """Returns the lines of the table: values with the right date, then the differences to them."""
        found = {tuple(line[key] for key in KEYS[1:]): line for line in self.table.iter_rows(named=True)}
        return [
            [kind if days else "none", str(days or ""), *(_cell(found[kind, days, *one]) for one in self._columns())]
            for kind, days in dict.fromkeys(key[:2] for key in found)
        ]

    def markdown(self) -> str:
        """Returns the sentence and the table in Markdown, with what was done."""
        return (
            f"# {TITLE}\n\n{self.sentence()}\n\n`{self.table['name'][0]}` is ranked again as if each request came that "
            "many days earlier: for the *season* (what comes back with the calendar), for the *trend* (what sells more "
            "now), and for both. Weekday, history, candidates, habit and targets stay right.\n\n"
            f"{pipe_table(self.head(), self.body(), words=2)}\n\n{self.note}\n"
        )

    def figure(self, stem: Path) -> list[Path]:
        """Draws what each kind of wrong date costs over the days off, a panel per slice, and returns the files.

        Args:
            stem: Path without ending.
        """
        metric, shown = self.metrics[-1], self.slices[:MOST_SLICES]
        wrong = self._wrong(metric).sort("days")
        with figure(TEXT_WIDTH_IN, 2.3) as made:
            panels = made.subplots(1, len(shown), squeeze=False)[0]
            for panel, name in zip(panels, shown, strict=True):
                quiet_grid(panel, "y")
                panel.axhline(0, color=FAINT, linewidth=0.8, zorder=1)
                for kind, look in looks(list(SPOKEN)).items():
                    _draw(panel, wrong.filter(slice=name, kind=kind), SPOKEN[kind], look)
                panel.set_title(spoken(name))
                panel.set_xlabel("days by which the date is too early")
                panel.set_xticks([0, *wrong["days"].unique().sort()])
            panels[0].set_ylabel(f"{TITLE[0].lower()}{TITLE[1:]}\n({metric} lost without it)")
            made.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
            return save(made, stem)

    def _columns(self) -> list[tuple[str, str]]:
        """Returns all metrics of the first slice, then the last metric of the others."""
        first, *others = self.slices
        return [*((first, metric) for metric in self.metrics), *((name, self.metrics[-1]) for name in others)]

    def _wrong(self, metric: str) -> pl.DataFrame:
        return self.table.filter(pl.col("days") > 0, metric=metric)

    def _seeds(self) -> str:
        number = self.table["seeds"][0]
        return "one seed" if number == 1 else f"{number} seeds"


def over_seeds(lines: pl.DataFrame) -> pl.DataFrame:
    """Averages the lines of one row over its seeds.

    Half of the interval over users is averaged: the seeds share their users, and the interval of a mean is not wider
    than the mean of the intervals. With three seeds or more, half of Student's interval of the mean over seeds is added
    to it as a second, independent source (root of the sum of squares).

    Returns:
        ``name, kind, days, slice, metric, value, difference, low, high``, the standard deviation of the difference over
        seeds (``seed_sd``), ``seeds``, ``n``, ``baskets`` and ``before_log``.
    """
    told = lines.group_by(KEYS, maintain_order=True).agg(
        pl.col("value", "difference").mean(),
        half=(pl.col("high") - pl.col("low")).mean() / 2,
        seed_sd=pl.col("difference").std(),
        seeds=pl.col("seed").n_unique(),
        **{name: pl.col(name).first() for name in COUNTS},
    )
    number = int(told["seeds"][0])
    if number >= FEWEST_SEEDS:
        of_seeds = float(stats.t.ppf(0.975, number - 1)) / math.sqrt(number) * pl.col("seed_sd")
        told = told.with_columns(half=(pl.col("half") ** 2 + of_seeds**2).sqrt())
    ends = {"low": pl.col("difference") - pl.col("half"), "high": pl.col("difference") + pl.col("half")}
    return told.with_columns(**ends).select(*KEYS, *NUMBERS, "seed_sd", "seeds", *COUNTS)


def _read_all(paths: Sequence[Path]) -> pl.DataFrame:
    tables = [_read(path) for path in paths]
    for columns in (["fingerprint"], ["kind", "days"], ["slice", "metric", "n"]):
        found = [table.select(columns).unique().sort(columns) for table in tables]
        other = next((path for path, one in zip(paths, found, strict=True) if not one.equals(found[0])), None)
        if other is not None:
            raise ReportError(
                f"wrong dates of one row must share {' and '.join(columns)}, and {other} differs from {paths[0]}; run "
                "seasonrec counterfactual again with the same days for both."
            )
    return pl.concat(tables)


def _read(path: Path) -> pl.DataFrame:
    again = f"run seasonrec counterfactual checkpoint={path.parent}"
    if not path.is_file():
        raise ReportError(f"no table of wrong dates at {path}; {again}.")
    check(path, f"{again} again")
    table = with_formulas(pl.read_csv(path, schema_overrides={"name": pl.String, "fingerprint": pl.String}))
    if missing := [column for column in COLUMNS if column not in table.columns]:
        raise ReportError(f"{path} lacks {', '.join(missing)}; {again} again.")
    return table.select(COLUMNS).with_columns(pl.col(NUMBERS).cast(pl.Float64))


def _draw(panel: Axes, lines: pl.DataFrame, label: str, look: dict[str, Any]) -> None:
    """Draws the losses of one kind of wrong date, from 0 with the right date."""
    days, losses = [0, *lines["days"]], [(0.0, 0.0, 0.0), *map(_losses, lines.iter_rows(named=True))]
    value, low, high = zip(*losses, strict=True)
    panel.fill_between(days, low, high, color=look["color"], alpha=0.18, linewidth=0)
    panel.plot(
        days, value, label=label, linewidth=1.2, markersize=3.2, markeredgecolor="white", markeredgewidth=0.5, **look
    )


def _losses(line: dict[str, Any]) -> tuple[float, float, float]:
    """Returns what a wrong date costs, positive where it is worse, with the ends of its interval."""
    sign = 1 if lower_is_better(line["metric"]) else -1
    low, high = sorted((sign * line["low"], sign * line["high"]))
    return sign * line["difference"], low, high


def _loss(line: dict[str, Any]) -> str:
    value, low, high = (f"{number:.{digits(line['metric'])}f}" for number in _losses(line))
    return f"{value} [{low}, {high}]"


def _cell(line: dict[str, Any]) -> str:
    places = digits(line["metric"])
    if line["difference"] is None:
        return f"{line['value']:.{places}f}"
    half = "" if math.isnan(line["low"]) else f" ±{(line['high'] - line['low']) / 2:.{places}f}"
    return f"{line['difference']:+.{places}f}{half}"
