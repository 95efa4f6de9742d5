"""Tables of docs/speed.md from the results: ``python -m benchmarks.tables``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.results import NDCG, by_work, ratio_table, work_table

RESULTS = Path(__file__).parent / "results"

Rows = Sequence[dict[str, Any]]


def limit_table(rows: Rows) -> str:
    """Returns one line per work: its share of the limit, with the quartiles over the rounds."""
    lines = ["| work | share of the limit | quartiles |", "|---|---:|---:|"]
    for row in rows:
        low, high = row["share_low"], row["share_high"]
        lines.append(f"| {row['work']} | {row['share_of_limit']:.0%} | {low:.0%} to {high:.0%} |")
    return "\n".join(lines)


def growth_table(rows: Rows) -> str:
    """Returns one line per log: its preparation, and one training step over its items."""
    head = ("events", "users", "items", "prepare s", "of them CPU s", "peak MiB", "one step: peak MiB")
    lines = ["| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
    for row in rows:
        sizes = f"{row['events']:,} | {row['users']:,} | {row['items']:,}"
        prepared = f"{row['seconds']:,.0f} | {row['cpu_seconds']:,.0f} | {row['peak_mib']:,}"
        lines.append(f"| {sizes} | {prepared} | {row['train_step_peak_mib']:,} |")
    return "\n".join(lines)


def all_tables(folder: Path = RESULTS) -> str:
    """Returns all tables; works of the peers without a quality appear only among the ratios."""
    peers, limit, growth = (json.loads((folder / f"{name}.json").read_text("utf-8")) for name in _NAMES)
    scored = [work_table(rows) for rows in by_work(peers).values() if any(row.get(NDCG) for row in rows)]
    return "\n\n".join([ratio_table(peers), *scored, limit_table(limit), growth_table(growth)])


_NAMES = ("peers", "limit", "growth")

if __name__ == "__main__":
    print(all_tables())
