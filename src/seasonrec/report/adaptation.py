"""Report of several adaptations: a table, and a figure by month."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.axes import Axes

from seasonrec.atomic import write_text
from seasonrec.data.csv_text import without_formulas
from seasonrec.report.markdown import pipe_table
from seasonrec.report.seed_notes import SIGNIFICANCE
from seasonrec.report.style import FAINT, TEXT_WIDTH_IN, figure, looks, quiet_grid, save, spoken
from seasonrec.report.tables import BETTER, WORSE, digits, spread_words
from seasonrec.report.walks import ALL, METRICS, REFERENCE, WalkedRow, adaptation_table, read_walks, walk_folders

STEM = "adaptation"
HEAD = (
    "row", "bits ↓", "to {reference}", "NDCG@10 ↑", "to {reference}", "year ago", "live", "worse", "other",
    "s an origin", "MB trained", "MB kept",
)  # fmt: skip
NOTE = (
    "Means over the periods of a walk, each ranked before it is learned. *to {reference}*: difference to the walk that "
    "began with the same run; for bits, a negative difference is a gain. ± is half of the 95% interval over users and "
    "seeds, in units of the last digit; {worse} worse and {better} better: p < {p} after Holm over the {tested} tests "
    "of this table, which needs three seeds. *year ago*: bits of the live weights less those of the checkpoint on the "
    "same days of the previous year; above 0 is forgetting. *live*, *worse*, *other*: origins at which the update went "
    "live, stayed out by its gate, or there was none to judge. *s an origin*: median seconds of update and gate.\n\n"
    "Seeds {seeds}; fingerprint {fingerprint}."
)


def write_adaptations(folder: Path, reference: str | None = None) -> list[Path]:
    """Writes ``adaptation.{md,csv}`` and ``figure_adaptation.{png,pdf}`` of the walks below a folder.

    Args:
        folder: Folder of the walks, which also receives the files.
        reference: Row that all others are compared with; None for ``static``.

    Raises:
        ReportError: If the walks do not compare.
    """
    rows = read_walks(walk_folders(folder), reference or REFERENCE)
    table = adaptation_table(rows)
    text, csv = folder / f"{STEM}.md", folder / f"{STEM}.csv"
    write_text(text, adaptation_markdown(rows, table))
    write_text(csv, without_formulas(table).write_csv())
    return [text, csv, *(adaptation_figure(folder / f"figure_{STEM}", table) if len(rows) > 1 else [])]


def adaptation_markdown(rows: Sequence[WalkedRow], table: pl.DataFrame) -> str:
    """Returns the table of the whole walks, and that of the differences by period."""
    reference = rows[0].name
    numbers = {(line["row"], line["period"], line["metric"]): line for line in table.iter_rows(named=True)}
    head = [title.format(reference=reference) for title in HEAD]
    body = [_line(row, {metric: numbers[row.name, ALL, metric] for metric in METRICS}) for row in rows]
    tested = table.filter(pl.col("p_holm").is_not_null()).height
    note = NOTE.format(
        reference=reference, worse=WORSE, better=BETTER, p=SIGNIFICANCE, tested=tested,
        seeds=", ".join(map(str, rows[0].seeds)), fingerprint=table["fingerprint"][0],
    )  # fmt: skip
    periods = table.filter(pl.col("period") != ALL)["period"].unique(maintain_order=True).to_list()
    by_period = [
        [row.name, *(_difference(numbers[row.name, period, "bits"]) for period in periods)] for row in rows[1:]
    ]
    levels = [f"{reference} itself", *(f"{numbers[reference, period, 'bits']['value']:.3f}" for period in periods)]
    parts = [
        f"# Adaptation from month to month\n\n{pipe_table(head, body)}\n\n{note}",
        f"## Bits by period, less those of {reference}\n\n{pipe_table(['row', *periods], [levels, *by_period])}",
    ]
    return "\n\n".join(parts) + "\n"


def _line(row: WalkedRow, numbers: dict[str, dict[str, Any]]) -> list[str]:
    cells = []
    for metric in METRICS:
        line, decimals = numbers[metric], digits(metric)
        half = (line["high"] - line["low"]) / 2
        cells += [f"{line['value']:.{decimals}f} {spread_words(half, None, decimals)}".strip(), _difference(line)]
    fates = row.decisions()
    live, worse = fates.get("live", 0), fates.get("worse", 0)
    ago = row.mean("year_ago", "value")
    sizes = [(row.mean(key) or 0.0) / 1e6 for key in ("trained_bytes", "kept_bytes")]
    counts = [live, worse, sum(fates.values()) - live - worse]
    costs = [f"{row.seconds:.1f}", *(f"{size:.2f}" for size in sizes)]
    return [row.name, *cells, "" if ago is None else f"{ago:+.3f}", *map(str, counts), *costs]


def _difference(line: dict[str, Any]) -> str:
    """Returns a difference with half of its interval and its mark; empty for the reference."""
    if line["difference"] is None:
        return ""
    decimals = digits(line["metric"])
    half = (line["difference_high"] - line["difference_low"]) / 2
    mark = ""
    if line["p_holm"] is not None and line["p_holm"] < SIGNIFICANCE:
        mark = BETTER if (line["difference"] < 0) == (line["metric"] == "bits") else WORSE
    words = [f"{line['difference']:+.{decimals}f}", spread_words(half, None, decimals), mark]
    return " ".join(word for word in words if word)


def adaptation_figure(stem: Path, table: pl.DataFrame) -> list[Path]:
    """Draws the bits that each row saves over the reference by period, and returns the files.

    Args:
        stem: Path without ending.
        table: From :func:`~seasonrec.report.walks.adaptation_table`.
    """
    reference = table["row"][0]
    lines = table.filter((pl.col("period") != ALL) & (pl.col("metric") == "bits") & (pl.col("row") != reference))
    periods = lines["period"].unique(maintain_order=True).to_list()
    look = looks(lines["row"].unique(maintain_order=True).to_list())
    with figure(TEXT_WIDTH_IN, 2.8) as made:
        panel = made.subplots()
        quiet_grid(panel, "y")
        panel.axhline(0, color=FAINT, linewidth=0.8, zorder=1)
        for place, (name, style) in enumerate(look.items()):
            _draw(panel, lines.filter(pl.col("row") == name), name, style, (place - (len(look) - 1) / 2) * 0.09)
        panel.set_xticks(range(len(periods)), [period[:7] if period.endswith("-01") else period for period in periods])
        panel.set_xlabel("period from")
        panel.set_ylabel(f"bits saved over\n{spoken(reference)}")
        made.legend(*panel.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
        return save(made, stem)


def _draw(panel: Axes, lines: pl.DataFrame, name: str, style: dict[str, object], shift: float) -> None:
    saved = (-lines["difference"]).to_numpy()
    halves = ((lines["difference_high"] - lines["difference_low"]) / 2).to_numpy()
    places = [place + shift for place in range(len(saved))]
    panel.errorbar(
        places, saved, halves, label=spoken(name), linewidth=1.0, markersize=3.2, elinewidth=0.7, capsize=1.2,
        **style,  # type: ignore[arg-type]  # colour, marker, dash
    )  # fmt: skip
