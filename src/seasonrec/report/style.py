"""Style of figures: readable in a two-column paper, distinct without colour, written atomically."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seasonrec.atomic import writing

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it logs every font of a PDF

TEXT_WIDTH_IN = 7.0
COLUMN_WIDTH_IN = 3.4

COLOURS = ("#0072B2", "#D55E00", "#4D4D4D", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Palette of Okabe and Ito, distinct under every common colour blindness; the reference has the first colour."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "-", (0, (4, 1.5)), "-", "-", "-", "-")
INK, FAINT = "#222222", "#8A8A8A"

SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), 7.5),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7),
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.6),
    **dict.fromkeys(("xtick.major.size", "ytick.major.size"), 2.5),
    **dict.fromkeys(("axes.labelcolor", "text.color", "xtick.color", "ytick.color"), INK),
    "axes.edgecolor": FAINT,
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
    """Writes ``stem.png`` (300 dpi) and ``stem.pdf`` atomically; the same figure gives the same bytes."""
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
    """Returns a row's or slice's name in words, for example "without season" for ``no_season``."""
    return (f"without {name[3:]}" if name.startswith("no_") else name).replace("_", " ")


def looks(names: Sequence[str]) -> dict[str, dict[str, object]]:
    """Returns a distinct colour, marker and line style for each name."""
    styles: list[dict[str, object]] = [
        {"color": c, "marker": m, "linestyle": line} for c, m, line in zip(COLOURS, MARKERS, LINES, strict=True)
    ]
    return dict(zip(names, cycle(styles), strict=False))
