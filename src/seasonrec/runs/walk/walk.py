"""A walk: one model that goes on from origin to origin, each period answered before it is learned."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import polars as pl

from seasonrec.batches.splits import local_date
from seasonrec.batches.user_pools import Period
from seasonrec.errors import UserError
from seasonrec.evaluation.results.store import RunResults, read_results, write_results
from seasonrec.evaluation.slices.basket_tags import BasketTags
from seasonrec.runs.adaptation.base import Adaptation, Update, UpdatePlace
from seasonrec.runs.run import Run
from seasonrec.runs.walk.models import START, copied, opened, save_live, seeded, started
from seasonrec.runs.walk.origins import Origin, a_year_earlier
from seasonrec.runs.walk.ranking import Difference, between, difference, evenly_of, ranked, tags_between
from seasonrec.runs.walk.rows import Decision, WalkRow, read_row_of, results_file, write_row, write_rows
from seasonrec.training.continual.modes import modes_of
from seasonrec.training.fit import TrainerOptions

MOST_YEAR_AGO = 2000
"""Most baskets of the previous year that are ranked at an origin, evenly spaced."""

SHOWN = ("ndcg@10", "bits")
"""Metrics of a row."""


@dataclass
class Walk:
    """A walk of one adaptation over the origins of one checkpoint.

    At an origin the live weights, or a copy of them, learn the baskets from the last learned second up to the gate's
    weeks. The update goes live unless a paired bootstrap over the users of the gate's weeks says that it is worse than
    the live weights. Then the period up to the next origin is ranked. A killed walk continues at its first origin
    without a row, and inside its update from the last checkpoint.

    Args:
        checkpoint: The finished run with its weights.
        adaptation: The way of going on.
        name: Row of the walk in a table.
        folder: Folder of the walk.
        origins: Origins in order.
        trainer: Hardware and precision of the updates.
        epochs: Epochs that the run's training chose.
        has_gate: Whether updates are judged.
        metric: Metric of the gate.
        allow: Modules outside seasonrec whose components the stored configuration may name.

    Raises:
        UserError: If no period holds a basket.
    """

    checkpoint: Run
    adaptation: Adaptation
    name: str
    folder: Path
    origins: tuple[Origin, ...]
    trainer: TrainerOptions
    epochs: int
    has_gate: bool
    metric: str
    allow: Sequence[str] = ()
    rows: list[WalkRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        data = self.checkpoint.data
        self.start = started(self.checkpoint, self.adaptation)
        self.modes = modes_of(self.start.model)
        self.first_learned_s = data.spec.train_until_s
        self.tags = tags_between(data, self.origins[0].from_s, self.origins[-1].until_s)
        if not len(self.tags.baskets):
            raise UserError(
                f"the walk from {self.origins[0].day} to {self.origins[-1].next_day} holds no basket; choose a later "
                "until."
            )

    @property
    def fingerprint(self) -> str:
        """Hash that two walks share exactly if their numbers compare: the run's protocol, and the origins."""
        content = [self.checkpoint.data.fingerprint, *([origin.day, origin.next_day] for origin in self.origins)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def __call__(self) -> list[WalkRow]:
        """Walks the origins that have no row yet and returns all rows."""
        live: Run | None = None
        for place, origin in enumerate(self.origins):
            row = read_row_of(self.folder, origin.day, origin.next_day)
            if row is None:
                live = live or self._live()
                row, live = self._at(place, origin, live)
            self.rows.append(row)
            write_rows(self.folder, self.rows)
            shutil.rmtree(self._update_folder(origin), ignore_errors=True)
        shutil.rmtree(self.folder / "updates", ignore_errors=True)
        write_results(self.folder / "results.parquet", self._results())
        return self.rows

    def _update_folder(self, origin: Origin) -> Path:
        """Returns the folder of the checkpoints of an update, which is removed once the origin has its row."""
        return self.folder / "updates" / origin.day

    def _live(self) -> Run:
        """Returns the weights that were live at the last complete origin."""
        if not self.rows or self.rows[-1].model == START:
            return self.start
        live = opened(self.folder, self.rows[-1].model, self.allow)
        live.data = replace(self.checkpoint.data, spec=live.data.spec)
        return live

    def _learned_until_s(self) -> int:
        return self.rows[-1].learned_until_s if self.rows else self.first_learned_s

    def _at(self, place: int, origin: Origin, live: Run) -> tuple[WalkRow, Run]:
        seconds: dict[str, float] = {}
        learned_s, model = self._learned_until_s(), self.rows[-1].model if self.rows else START
        decision, update, gate = self._updated(place, origin, live, seconds)
        if decision == "live" and update is not None:
            live, model, learned_s = update.run, origin.day, origin.split(learned_s).train_until_s
            live.data = replace(self.checkpoint.data, spec=live.data.spec)
            learned = local_date(learned_s, live.data.log)
            save_live(self.folder, origin.day, live, origin.from_s, {"walk": self.name, "learned_until": learned})
        tags = between(self.tags, origin.from_s, origin.until_s)
        with _timed(seconds, "evaluate"):
            frame = self._ranked(origin, live, tags)
        results = RunResults(self.name, live.config.seed, self.fingerprint, live.data.log.num_items, frame)
        with _timed(seconds, "year_ago"):
            year_ago = self._year_ago(origin, live, model)
        row = WalkRow(
            origin=origin.day,
            next_origin=origin.next_day,
            decision=decision,
            model=model,
            learned_until=local_date(learned_s, live.data.log),
            learned_until_s=learned_s,
            new_requests=update.requests if update else 0,
            baskets=frame.height,
            n=len(results.events.ties),
            metrics=_means(results),
            gate=asdict(gate) if gate else {},
            year_ago=asdict(year_ago) if year_ago else {},
            seconds=seconds,
            trained_bytes=update.trained_bytes if update else 0,
            kept_bytes=update.kept_bytes if update else 0,
        )
        write_row(self.folder, row)
        _say(row)
        return row, live

    def _updated(
        self, place: int, origin: Origin, live: Run, seconds: dict[str, float]
    ) -> tuple[Decision, Update | None, Difference | None]:
        """Returns the fate of the update of an origin, the update, and what the gate measured."""
        if self.adaptation.is_static:
            return "static", None, None
        split = origin.split(self._learned_until_s())
        if not len(split.train_baskets(live.data.log)):
            return "nothing", None, None
        run = copied(live, replace(live.data, split=split), self.modes)
        with _timed(seconds, "update"):
            past = Period(self.checkpoint.data.split.train_from_s, split.train_from_s)
            seed = seeded(live.config.seed, place)
            update = self.adaptation(
                run, UpdatePlace(self._update_folder(origin), self.trainer, seed, self.epochs, past)
            )
        seconds["update"] = round(seconds["update"] + update.earlier_s, 3)
        if not self.has_gate:
            return "live", update, None
        with _timed(seconds, "gate"):
            tags = tags_between(live.data, split.validation_from_s, split.validation_until_s)
            gate = self._difference(ranked(update.run, tags), ranked(live, tags))
        return gate.verdict, update, gate

    def _ranked(self, origin: Origin, live: Run, tags: BasketTags) -> pl.DataFrame:
        """Ranks a period and keeps its results."""
        frame = ranked(live, tags, show_progress=True, with_sides=True)
        results = RunResults(self.name, live.config.seed, self.fingerprint, live.data.log.num_items, frame)
        write_results(results_file(self.folder, origin.day), results)
        return frame

    def _year_ago(self, origin: Origin, live: Run, model: str) -> Difference | None:
        """Compares live weights and those of the checkpoint on the same days of the previous year.

        Each request reads its own history alone. Both weights may have learned these days: this is what the live ones
        have kept, no forecast, and nothing is decided by it.
        """
        earlier = a_year_earlier(origin, live.data.log)
        if self.adaptation.is_static or earlier is None:
            return None
        tags = evenly_of(tags_between(live.data, earlier.from_s, earlier.until_s), MOST_YEAR_AGO)
        frame = ranked(self.start, tags)
        return self._difference(frame if model == START else ranked(live, tags), frame)

    def _difference(self, first: pl.DataFrame, second: pl.DataFrame) -> Difference:
        return difference(first, second, self.metric, self.checkpoint.data.log.num_items)

    def _results(self) -> RunResults:
        """Returns the results of all periods, baskets in the order of the log.

        A walk that an earlier version began has the columns that all of its origins have.
        """
        kept = [read_results(results_file(self.folder, origin.day)) for origin in self.origins]
        frames = [one.frame for one in kept if one.frame.height] or [kept[0].frame]
        shared = [column for column in frames[0].columns if all(column in frame.columns for frame in frames)]
        frame = pl.concat(frame.select(shared) for frame in frames).sort("basket")
        return replace(kept[0], frame=frame, fingerprint=self.fingerprint)


def _means(results: RunResults) -> dict[str, float]:
    if not results.frame.height:
        return {}
    found = {name: results.events.values("all", name)[1] for name in SHOWN}
    return {name: float(values.mean()) for name, values in found.items() if len(values)}


def _say(row: WalkRow) -> None:
    means = ", ".join(f"{name} {value:.4f}" for name, value in row.metrics.items())
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in row.seconds.items() if seconds >= 0.5)
    judged = row.gate.get("value")
    gate = "" if judged is None else f" (gate: {row.gate['metric']} {judged:+.4f})"
    print(f"  {row.origin}: {row.decision}{gate}; {row.n:,} targets, {means or 'no basket'}; {took}", flush=True)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - start, 3)
