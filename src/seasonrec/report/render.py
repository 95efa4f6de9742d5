"""A grid as Markdown and as LaTeX."""

from __future__ import annotations

import math
from itertools import groupby

from seasonrec.evaluation.groups.columns import sides_of
from seasonrec.evaluation.results.targets import lower_is_better
from seasonrec.report.costs import COLUMNS, CostColumn
from seasonrec.report.markdown import literal, pipe_table
from seasonrec.report.tables import BETTER, WORSE, Grid, GridCell, GridRow, spread_words
from seasonrec.terminal import plain

TEX_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", WORSE: r"$\dagger$", BETTER: r"$\ddagger$",
}  # fmt: skip

MOST_UNSCALED = 6
"""Number of columns that fit the width of a page."""


def to_markdown(grid: Grid) -> str:
    """Returns the question, the grid as a Markdown table, and the notes."""
    costs = _cost_columns(grid)
    head = [
        "row",
        *(column_title(column) for column in grid.columns),
        *(column.title for column in costs),
    ]
    counts = ["*targets*", *(f"*{count:,}*" for count in grid.counts), *([""] * len(costs))]
    body = [
        [row.name, *(cell_words(cell, "**") for cell in row.cells), *(_cost(row, column) for column in costs)]
        for row in grid.rows
    ]
    notes = "\n".join(f"- {_code(literal(note))}" for note in grid.notes)
    return f"# {literal(grid.title)}\n\n{literal(grid.question)}\n\n{pipe_table(head, [counts, *body])}\n\n{notes}\n"


def to_latex(grid: Grid) -> str:
    r"""Returns the grid as a ``table*`` that fits the page; it needs ``\usepackage{booktabs,graphicx}``."""
    costs = _cost_columns(grid)
    width = len(grid.columns) + len(costs)
    blocks = [list(rows) for _, rows in groupby(grid.rows, key=lambda row: row.is_baseline)]
    body = "\n\\midrule\n".join("\n".join(_latex_row(row, costs) for row in block) for block in blocks)
    notes = " ".join(escape(note) for note in grid.notes)
    shrink = width > MOST_UNSCALED
    return "\n".join(
        [
            r"% needs \usepackage{booktabs,graphicx}",
            r"\begin{table*}",
            r"\centering\footnotesize\setlength{\tabcolsep}{5pt}",
            rf"\caption{{{escape(grid.question)}}}",
            rf"\label{{tab:{''.join(c if c.isalnum() else '-' for c in grid.title)}}}",
            *([r"\resizebox{\textwidth}{!}{%"] if shrink else []),
            rf"\begin{{tabular}}{{@{{}}l{'r' * width}@{{}}}}",
            r"\toprule",
            *_latex_head(grid, costs),
            r"\midrule",
            body,
            r"\bottomrule",
            r"\end{tabular}" + ("}" if shrink else ""),
            rf"\par\smallskip\parbox{{\textwidth}}{{\scriptsize {notes}}}",
            r"\end{table*}",
            "",
        ]
    )


def escape(text: str) -> str:
    """Returns text with the special characters of LaTeX escaped."""
    return "".join(TEX_SPECIAL.get(letter, letter) for letter in plain(text.replace("\n", " ")))


def _latex_head(grid: Grid, costs: list[CostColumn]) -> list[str]:
    spans = [(name, len(list(columns))) for name, columns in groupby(grid.columns, key=lambda column: column[0])]
    names, rules, counts, start = [""], [], [r"\textit{targets}"], 2
    for name, length in spans:
        names.append(rf"\multicolumn{{{length}}}{{c}}{{{escape(_words(name))}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + length - 1}}}")
        start += length
    metrics = [f"{escape(_metric(metric))} {_arrow(metric, tex=True)}" for _, metric in grid.columns]
    counts += [rf"\textit{{{count:,}}}" for count in grid.counts]
    padding = [""] * len(costs)
    return [
        " & ".join([*names, *padding]) + r" \\",
        " ".join(rules),
        " & ".join(["", *metrics, *(escape(column.title) for column in costs)]) + r" \\",
        " & ".join([*counts, *padding]) + r" \\",
    ]


def _latex_row(row: GridRow, costs: list[CostColumn]) -> str:
    """Returns a line of values and, close below it, a small line with their intervals and their spread over seeds."""
    values = [
        escape(row.name),
        *(_latex_value(cell) for cell in row.cells),
        *(escape(_cost(row, column)) for column in costs),
    ]
    spreads = ["", *(_latex_spread(cell) for cell in row.cells), *([""] * len(costs))]
    return " & ".join(values) + " \\\\[-3pt]\n" + " & ".join(spreads) + r" \\"


def _latex_value(cell: GridCell) -> str:
    if math.isnan(cell.value):
        return "--"
    value = f"{cell.value:.{cell.digits}f}"
    mark = rf"\rlap{{\textsuperscript{{{escape(cell.mark)}}}}}" if cell.mark else ""
    return (rf"\textbf{{{value}}}" if cell.is_best else value) + mark


def _latex_spread(cell: GridCell) -> str:
    spread = "" if math.isnan(cell.value) else spread_words(cell.half, cell.seed_sd, cell.digits)
    return rf"{{\tiny {escape(spread)}}}" if spread else ""


def column_title(column: tuple[str, str], between: str = " ") -> str:
    """Returns a column's slice and metric, with an arrow to its better end."""
    slice_name, metric = column
    return f"{_words(slice_name)}{between}{_metric(metric)} {_arrow(metric)}"


def cell_words(cell: GridCell, bold: str = "") -> str:
    """Returns a value with its interval, spread over seeds and mark; the best of a column stands between ``bold``."""
    if math.isnan(cell.value):
        return "-"
    around = bold if cell.is_best else ""
    parts = (
        f"{around}{cell.value:.{cell.digits}f}{around}",
        spread_words(cell.half, cell.seed_sd, cell.digits),
        cell.mark,
    )
    return " ".join(part for part in parts if part)


def _cost_columns(grid: Grid) -> list[CostColumn]:
    """Returns the columns of cost for which at least one row has a value."""
    costs = [row.cost for row in grid.rows if row.cost]
    return [COLUMNS[name] for name in grid.costs if any(COLUMNS[name].show(cost) for cost in costs)]


def _cost(row: GridRow, column: CostColumn) -> str:
    return column.show(row.cost) if row.cost else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _metric(metric: str) -> str:
    kind, _, rest = metric.partition("@")
    k, _, side = rest.partition("@") if rest[:1].isdecimal() else ("", "", rest)
    words = {"hr": "HR", "ndcg": "NDCG", "mrr": "MRR", "bits_within": "bits", "bits_group": "bits"}.get(kind)
    name = f"{words or _words(kind)}{'@' + k if k else ''}"
    if kind == "bits_group":
        return f"{name} of {'/'.join(map(_words, sides_of(side)))}"
    return f"{name} within {_words(side)}" if side else name


def _arrow(metric: str, tex: bool = False) -> str:
    down = lower_is_better(metric)
    return (r"$\downarrow$" if down else r"$\uparrow$") if tex else ("↓" if down else "↑")


def _code(note: str) -> str:
    head, found, command = note.partition("Made by: ")
    return f"{head}{found}`{command.rstrip('.')}`" if found else note
