"""Style of figures: readable in a two-column paper, distinct without colour, written atomically."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seasonrec.atomic import writing

TEXT_WIDTH_IN = 7.0
COLUMN_WIDTH_IN = 3.4

COLOURS = ("#0072B2", "#D55E00", "#4D4D4D", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette, told apart under every common colour blindness; the reference comes first."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "-", (0, (4, 1.5)), "-", "-", "-", "-")
INK, FAINT = "#222222", "#8A8A8A"

SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,  # text stays text, as many venues ask
    "svg.hashsalt": "seasonrec",
}


@contextmanager
def figure(width_in: float, height_in: float) -> Iterator[Figure]:
    """Yields a new figure, without a display and without global state."""
    with mpl.rc_context(SETTINGS):
        made = Figure(figsize=(width_in, height_in), layout="constrained")
        FigureCanvasAgg(made)
        yield made


def save(made: Figure, stem: Path) -> list[Path]:
    """Writes ``stem.png`` (300 dpi) and ``stem.pdf``, whole or not at all; the same figure gives the same bytes."""
    paths = []
    for ending, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        path = stem.with_suffix(ending)
        with writing(path) as partial:
            made.savefig(partial, format=ending[1:], dpi=300, metadata=metadata)
        paths.append(path)
    return paths


def quiet_grid(axes: Axes, along: str) -> None:
    """Draws thin grid lines behind the data."""
    axes.grid(axis=along, color="#E6E6E6", linewidth=0.6)  # type: ignore[arg-type]  # 'x' or 'y'
    axes.set_axisbelow(True)


def spoken(name: str) -> str:
    """Returns a row's or slice's name as a reader says it."""
    return name.replace("no_", "without ", 1).replace("_", " ") if name.startswith("no_") else name.replace("_", " ")


def looks(names: Sequence[str]) -> dict[str, dict[str, object]]:
    """Returns colour, marker and line of each name, by its place."""
    cycle = [{"color": c, "marker": m, "linestyle": line} for c, m, line in zip(COLOURS, MARKERS, LINES, strict=True)]
    return {name: dict(cycle[place % len(cycle)]) for place, name in enumerate(names)}
