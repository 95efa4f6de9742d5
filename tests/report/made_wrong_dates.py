"""Files of ``seasonrec counterfactual`` with known costs."""

from pathlib import Path

import polars as pl

COSTS = {"season": 0.01, "trend": 0.1, "both": 0.12}


def write_wrong_dates(folder: Path, seed: int, days: tuple[int, ...] = (28, 182), **changed: object) -> Path:
    """Writes the table of one run; a wrong date costs more in season, with each seed and with the days."""
    dates = [("right", 0, 0.0), *((kind, off, cost * off / 182) for kind, cost in COSTS.items() for off in days)]
    lines = [
        {
            "name": "full",
            "seed": seed,
            "fingerprint": "0123456789abcdef",
            "kind": kind,
            "days": off,
            "slice": slice_name,
            "metric": metric,
            "value": value + sign * (cost + 0.02 * seed) * weight,
            "difference": sign * (cost + 0.02 * seed) * weight if off else None,
            "low": sign * (cost + 0.02 * seed) * weight - 0.004 if off else None,
            "high": sign * (cost + 0.02 * seed) * weight + 0.004 if off else None,
            "n": 90,
            "baskets": 40,
            "before_log": 3 if off > 100 else 0,
        }
        | changed
        for kind, off, cost in dates
        for slice_name, weight in (("all", 1), ("in_season", 5))
        for metric, value, sign in (("ndcg@10", 0.1, -1), ("bits", 8.0, 1))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "counterfactual.csv"
    pl.DataFrame(lines, infer_schema_length=None).write_csv(path)
    return path
