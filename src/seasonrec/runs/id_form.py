"""Form in which the ids of a run's data are read."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from seasonrec.config import build
from seasonrec.config.schema import Component
from seasonrec.data.datasets.table import Table
from seasonrec.data.files.id_spelling import IdRule, spelled
from seasonrec.data.files.text_layout import FOUND, TextForm
from seasonrec.runs.run import Run


def form_of_ids(node: Component) -> tuple[TextForm, IdRule]:
    """Returns the form in which a list of ids is read, and the rule of their spelling, as for a run's own data."""
    source = build(node)
    if source.func is not Table:
        return FOUND, "as_is"
    table: Table = source()
    return TextForm(table.separator, encoding=table.encoding), table.ids


def spelled_as_in(ids: Sequence[str] | pl.Series, run: Run) -> list[str]:
    """Returns ids in the spelling of the run's own data."""
    return spelled(pl.Series(ids, dtype=pl.String), form_of_ids(run.config.data)[1]).to_list()
