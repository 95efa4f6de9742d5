"""A finished run for use in Python: its metrics, lists and scores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path

import polars as pl

from seasonrec.config.schema import RunConfig
from seasonrec.digests import read_json
from seasonrec.runs.finished import load_models, open_finished, read_config
from seasonrec.runs.recommending import Scores, questions, recommended, require_top_k, scored, scored_triples
from seasonrec.runs.run import Run


class TrainedRun:
    """A finished run; data and model are opened at the first request.

    Args:
        folder: The run's folder.
        allow: Modules outside seasonrec whose components the stored configuration may name.

    Raises:
        RunFolderError: If the folder holds no finished run.
        ConfigError: If the stored configuration names a component that is not allowed.
    """

    def __init__(self, folder: Path, allow: Sequence[str] = ()) -> None:
        self.folder = folder
        self.allow = tuple(allow)
        self.config: RunConfig = read_config(folder, allow)

    @cached_property
    def opened(self) -> Run:
        """The run with its data, model and batches."""
        return load_models(open_finished(self.folder, self.allow, from_cache=True))

    @property
    def metrics(self) -> pl.DataFrame:
        """``slice, metric, value, n``; ``n`` counts targets, or baskets for metrics called ``basket_``."""
        rows = []
        for name, values in self._results["slices"].items():
            counts = {"n": values["n"], "baskets": values["baskets"]}
            metrics = {metric: value for metric, value in values.items() if metric not in ("n", "baskets", "users")}
            for metric, value in metrics.items():
                rows.append((name, metric, value, counts["baskets" if metric.startswith("basket_") else "n"]))
        return pl.DataFrame(rows, schema=["slice", "metric", "value", "n"], orient="row")

    @property
    def fingerprint(self) -> str:
        """The protocol's fingerprint."""
        return str(self._results["fingerprint"])

    @property
    def items(self) -> pl.DataFrame:
        """The catalogue: ``item_id, text, category``."""
        return self.opened.data.log.items.select("item_id", "text", "category")

    def recommend(
        self,
        users: Sequence[str] | None = None,
        *,
        at: str | date | Sequence[str | date],
        top_k: int = 10,
        events: str | Path | None = None,
        exclude_own: bool = False,
        progress: bool = False,
    ) -> pl.DataFrame:
        """Returns the best items of users on a date or on several, as ``seasonrec recommend`` writes them.

        Args:
            users: Ids; None for all users of the log. A user without events gets the list of an empty history.
            at: Day or date-time, also as text in ISO 8601, or several; a day means the local midnight that begins it.
            top_k: Items per user.
            events: File with newer events in the form of the run's own data.
            exclude_own: Whether to list no item that the user has bought before.
            progress: Whether to show a bar.

        Returns:
            ``user_id, rank, item_id, text, score``; the score is the natural logarithm of the probability. With a list
            of dates, ``date`` comes first.

        Raises:
            RequestError: If the date or ``top_k`` cannot be used.
        """
        run = self.opened
        require_top_k(top_k, run.data.log)
        asked = questions(run, users, at, None if events is None else Path(events))
        frames = {text: pl.concat(recommended(run, one, top_k, progress, exclude_own)) for text, one in asked.items()}
        if isinstance(at, str | date):
            return next(iter(frames.values()))
        return pl.concat(frame.select(pl.lit(text).alias("date"), pl.all()) for text, frame in frames.items())

    def scores(
        self, users: Sequence[str] | None = None, *, at: str | date, items: Sequence[str] | None = None
    ) -> Scores:
        """Returns the scores of users for items at one time.

        Args:
            users: Ids; None for all users of the log.
            at: Day or date-time, also as text in ISO 8601.
            items: Ids; None for the whole catalogue.

        Raises:
            RequestError: If the date or an item cannot be used.
        """
        (asked,) = questions(self.opened, users, at).values()
        return scored(self.opened, asked, items)

    def score(self, triples: pl.DataFrame) -> pl.DataFrame:
        """Returns rows ``user_id, item_id, time`` with a column ``score``, in the given order.

        Raises:
            RequestError: If a column is missing, an item is unknown, or a time cannot be read.
        """
        return scored_triples(self.opened, triples)

    def __repr__(self) -> str:
        results = self._results
        overall = results["slices"]["all"]
        shown = ", ".join(f"{name} {overall[name]:.4f}" for name in ("ndcg@10", "bits") if name in overall)
        return f"TrainedRun {results['name']!r} in {self.folder}: {shown} ({results['part']}, n={overall['n']:,})"

    @cached_property
    def _results(self) -> dict[str, dict[str, dict[str, float]]]:
        """The content of ``metrics.json``."""
        again = f"write it again with seasonrec evaluate checkpoint={self.folder}"
        return read_json(self.folder / "metrics.json", again)
