"""Old comparisons by today's rule: ``python -m benchmarks.three_seeds experiments/02_method_sections/temporal``.

Version 0.1.0 wrote ``comparisons.csv`` with an interval over users, and with the smallest and the largest difference of
one seed. With three seeds the third difference is known from the mean. The script reads the file of each folder and
writes ``differences.md`` beside it: every line with the standard deviation over seeds, and a p-value for other users
and other seeds together. Slices by outcome are left out, and Holm's correction covers the lines that stay.

The error of a difference is a normal part of the users, as wide as their interval, plus a part of the seeds: Student's
t with two degrees of freedom times the standard error of the three differences. p is the probability that this sum is
as large as the difference. It is the t-test of three differences where the users are many, and the old test where the
seeds agree. It is stricter than today's reports, which read sums by user and the spread of each row.

References:
    Fisher, "The comparison of samples with possibly unequal variances", Annals of Eugenics, 1939: a difference whose
    error is a sum of independent parts, each with its own estimated variance.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from seasonrec.atomic import write_text
from seasonrec.errors import UserError
from seasonrec.evaluation.slices.masks import OUTCOME_SLICES
from seasonrec.evaluation.statistics.significance import holm

SEEDS = 3
CONFIDENCE = 0.95

NORMAL = np.linspace(-8.0, 8.0, 8_001)
"""Values over which the normal part is integrated."""

SMALLEST = 1e-12
"""Standard error that stands for seeds without any difference."""

HEAD = """# Differences of {name}, with the seeds

First row less second; for bits a negative difference is a gain of the first. *Seed sd*: standard deviation of the three
differences of single seeds. *Users*: half of the 95% interval over users. p is for other users and seeds together, and
p (Holm) its correction over the {lines} lines; a row is better where that is below 0.05. Slices by outcome are left
out. Made from `comparisons.csv` by `python -m benchmarks.three_seeds`.

| pair | slice | metric | difference | seed sd | users | p | p (Holm) | better |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |
"""


@dataclass(frozen=True)
class Difference:
    """Difference of two rows over three seeds.

    Args:
        by_seed: The differences of single seeds, ascending.
        half: Half of the 95% interval over users.
    """

    by_seed: tuple[float, float, float]
    half: float

    @staticmethod
    def of(mean: float, low: float, high: float, seed_low: float, seed_high: float) -> Difference:
        """Returns the difference of a line of ``comparisons.csv``."""
        return Difference((seed_low, SEEDS * mean - seed_low - seed_high, seed_high), (high - low) / 2)

    @property
    def seed_sd(self) -> float:
        return float(np.std(self.by_seed, ddof=1))

    def p_value(self) -> float:
        """Returns the two-sided p-value against zero, for other users and other seeds."""
        users = self.half / float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * NORMAL
        seeds = max(self.seed_sd / SEEDS**0.5, SMALLEST)
        mean = abs(float(np.mean(self.by_seed)))
        beyond = stats.t.sf((mean - users) / seeds, SEEDS - 1) + stats.t.sf((mean + users) / seeds, SEEDS - 1)
        return float(np.average(beyond, weights=stats.norm.pdf(NORMAL)))


def read(path: Path) -> pl.DataFrame:
    """Returns the lines of a ``comparisons.csv`` that are no slice by outcome.

    Returns:
        The columns of the file with new ``p`` and ``p_holm``, and ``seed_sd`` and ``half`` of the users' interval.

    Raises:
        UserError: If a line does not have three seeds.
    """
    lines = pl.read_csv(path).filter(~pl.col("slice").is_in(OUTCOME_SLICES))
    if counts := sorted(set(lines["seeds"]) - {SEEDS}):
        raise UserError(
            f"{path} must have {SEEDS} seeds in every line, got {counts}; give seeds: [0, 1, 2] in the study."
        )
    columns = ("difference", "low", "high", "seed_low", "seed_high")
    found = [Difference.of(*line) for line in lines.select(columns).rows()]
    p_values = [one.p_value() for one in found]
    return lines.with_columns(
        seed_sd=pl.Series([one.seed_sd for one in found]),
        half=pl.Series([one.half for one in found]),
        p=pl.Series(p_values),
        p_holm=pl.Series(holm(p_values)),
    )


def markdown(name: str, lines: pl.DataFrame) -> str:
    """Returns ``differences.md``."""
    shown = [
        f"| {line['row']} - {line['against']} | {line['slice']} | {line['metric']} | {line['difference']:+.5f} "
        f"| {line['seed_sd']:.5f} | {line['half']:.5f} | {line['p']:.4f} | {line['p_holm']:.3f} | {_better(line)} |\n"
        for line in lines.iter_rows(named=True)
    ]
    return HEAD.format(name=name, lines=len(lines)) + "".join(shown)


def _better(line: dict[str, float | str]) -> str:
    if float(line["p_holm"]) >= 1 - CONFIDENCE:
        return ""
    first_is_larger = float(line["difference"]) > 0
    return str(line["row"] if first_is_larger == (line["metric"] != "bits") else line["against"])


def main() -> None:
    """Writes ``differences.md`` into every folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders with comparisons.csv")
    for folder in parser.parse_args().folders:
        lines = read(folder / "comparisons.csv")
        write_text(folder / "differences.md", markdown(folder.name, lines))
        print(f"{folder}: {lines.filter(pl.col('p_holm') < 1 - CONFIDENCE).height} of {lines.height} lines are marked")


if __name__ == "__main__":
    main()
