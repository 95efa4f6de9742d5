"""One number of a row with what its uncertainty needs: sums by user, and the means of single seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seasonrec.errors import UserError
from seasonrec.evaluation.results.store import RunResults, UserSums, user_sums
from seasonrec.evaluation.statistics.draws import Floats, SeedSpread

FEWEST_SEEDS = 3
"""With fewer seeds nothing is said about other trainings, and nothing is marked."""


@dataclass(frozen=True)
class Measured:
    """A metric of one row in one slice, over all of its seeds.

    Args:
        users: ``(U,)`` int64 user numbers, ascending.
        sums: ``(U,)`` float64 sum by user, averaged over seeds.
        counts: ``(U,)`` int64 numbers of targets or baskets in each sum.
        seed_values: The mean of each seed.
        by_user: Variance of one seed's mean that is noise of single users, see
            :class:`~seasonrec.evaluation.statistics.draws.SeedSpread`.
        trained: Whether another seed would change the row; False for a counting baseline.
        name: Name of the row, for errors.
    """

    users: NDArray[np.int64]
    sums: Floats
    counts: NDArray[np.int64]
    seed_values: tuple[float, ...]
    by_user: float = 0.0
    trained: bool = True
    name: str = "a row"

    @staticmethod
    def of(by_seed: Sequence[UserSums], trained: bool = True, name: str = "a row") -> Measured:
        """Returns the measured number from the sums of each seed, all over the same users and targets."""
        sums = np.stack([one.sums for one in by_seed])  # (S, U)
        users, counts = by_seed[0].users, by_seed[0].counts
        total = counts.sum()
        values = sums.sum(axis=1) / total if total else np.full(len(sums), np.nan)
        mean = sums.mean(axis=0)
        noise = sums - mean - (values - values.mean())[:, None] * counts
        freedom = (len(sums) - 1) * (len(users) - 1) / max(len(users), 1)
        by_user = float((noise**2).sum() / freedom / total**2) if freedom > 0 else 0.0
        return Measured(users, mean, counts, tuple(map(float, values)), by_user, trained, name)

    @property
    def value(self) -> float:
        """Mean over the entries, averaged over seeds; NaN without entries."""
        return float(self.sums.sum() / self.counts.sum()) if len(self.counts) else float("nan")

    @property
    def seed_sd(self) -> float | None:
        """Standard deviation of the means of single seeds; None for one seed, or where nothing is trained."""
        if not self.trained or len(self.seed_values) < 2:
            return None
        return float(np.std(self.seed_values, ddof=1))

    @property
    def covers_seeds(self) -> bool:
        """True if the row has enough seeds to speak of other trainings, or needs none."""
        return not self.trained or len(self.seed_values) >= FEWEST_SEEDS

    @property
    def spreads(self) -> tuple[SeedSpread, ...]:
        """The spread over seeds; empty if there are too few, or nothing is trained."""
        if self.seed_sd is None or not self.covers_seeds:
            return ()
        seeds = len(self.seed_values)
        if self.seed_sd <= 1e-12 * abs(self.value):  # rounding of equal seeds
            return (SeedSpread(0.0, 0.0, seeds),)
        return (SeedSpread(self.seed_sd**2, self.by_user, seeds),)


def measure(runs: Sequence[RunResults], slice_name: str, metric: str, trained: bool = True) -> Measured:
    """Returns a metric of one row in one slice.

    Args:
        runs: One result per seed, at least one.
        slice_name: Slice, as in :func:`~seasonrec.evaluation.results.store.user_sums`.
        metric: Metric, likewise.
        trained: Whether another seed would change the row.

    Raises:
        ValueError: If the results differ in fingerprint or targets.
        KeyError: If there is no such slice or metric.
    """
    require_one_fingerprint(runs)
    by_seed = [user_sums(run.events, slice_name, metric) for run in runs]
    for sums, run in zip(by_seed, runs, strict=True):
        require_same_targets(sums, by_seed[0], f"{run.name} (seed {run.seed})", f"{runs[0].name} (seed {runs[0].seed})")
    return Measured.of(by_seed, trained, runs[0].name)


def require_one_fingerprint(results: Sequence[RunResults]) -> None:
    """Checks that all results share one fingerprint.

    Raises:
        ValueError: If there is no result, or several fingerprints; the message names them with their rows.
    """
    if not results:
        raise UserError("a comparison needs at least one result of each row, got none.")
    carriers = {one.fingerprint: one.name for one in reversed(results)}
    if len(carriers) > 1:
        named = " and ".join(f"{print_} ({name})" for print_, name in sorted(carriers.items()))
        raise UserError(
            f"results of different protocols cannot be compared: fingerprints {named}; "
            "run the rows again on the same data, split and protocol."
        )


def require_same_targets(first: UserSums | Measured, second: UserSums | Measured, name: str, other: str) -> None:
    """Checks that two sums are over the same users with the same numbers of entries.

    Raises:
        ValueError: If they are not; the message has the names.
    """
    if not (np.array_equal(first.users, second.users) and np.array_equal(first.counts, second.counts)):
        raise UserError(
            f"{name} and {other} hold different targets ({first.counts.sum()} and {second.counts.sum()}) under one "
            "fingerprint; one of the files is damaged, run it again."
        )
