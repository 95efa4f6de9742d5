"""Rows, ratios and Markdown tables from the rounds of all competitors."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.score import Truth, interval, ndcg

OURS = "seasonrec"
MEASURES = {
    "prepare_events_per_s": "prepare events/s",
    "train_positions_per_s": "train positions/s",
    "infer_users_per_s": "infer users/s",
    "peak_mib": "peak MiB",
}
"""Measures and their names in the tables."""
LOWER_IS_BETTER = frozenset({"peak_mib"})
NDCG = "ndcg@10"

Record = dict[str, Any]
Rounds = dict[str, list[float | None]]


def rounds_of(prepared: Sequence[Record], trained: Sequence[Record]) -> Rounds:
    """Returns each measure by round from the answers of one competitor's processes; None for a failed round.

    ``peak_mib`` belongs to the process that trains and ranks; the preparation of the complete log has its own peak.
    """
    return {
        "prepare_events_per_s": [_rate(record, "events", "prepare_s") for record in prepared],
        "train_positions_per_s": [record.get("positions_per_s") for record in trained],
        "infer_users_per_s": [_rate(record, "users", "infer_s") for record in trained],
        "peak_mib": [None if "error" in record else record["peak_mib"] for record in trained],
        "train_positions_per_cpu_s": [record.get("positions_per_cpu_s") for record in trained],
        "prepare_peak_mib": [None if "error" in record else record["peak_mib"] for record in prepared],
    }


def row_of(work: str, competitor: str, rounds: Rounds, facts: Record) -> Record:
    """Returns a row of the results: the medians over the rounds, and the rounds."""
    medians = {name: statistics.median(_known(values)) if _known(values) else None for name, values in rounds.items()}
    return {"work": work, "competitor": competitor, **medians, "rounds": rounds, **facts, "machine": machine()}


def quality(rows: list[Record], lists: dict[str, list[Path]], truth: Truth) -> None:
    """Adds NDCG@10 to the rows, and the interval of our difference to the rows of peers.

    Args:
        rows: Rows of one work.
        lists: Files of ranked lists by competitor, one per seed.
        truth: Items to predict.
    """
    scores = {name: np.stack([ndcg(path, truth) for path in paths]) for name, paths in lists.items() if paths}
    for row in rows:
        own = scores.get(row["competitor"])
        row[NDCG] = None if own is None else float(own.mean())
        if own is None:
            continue
        row["rounds"][NDCG] = [float(seed.mean()) for seed in own]
        if OURS in scores and row["competitor"] != OURS:
            difference = scores[OURS].mean(axis=0) - own.mean(axis=0)
            row["seasonrec_minus_this"] = {"mean": float(difference.mean()), "interval": interval(difference)}


def ratios(rows: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Returns the ratio of ours to the best peer by measure: the median, minimum and maximum over the rounds.

    The best peer has the lowest memory, so that a ratio below 1 is better, or the highest speed, so that a ratio above
    1 is better.
    """
    ours = next((row for row in rows if row["competitor"] == OURS), None)
    found: dict[str, dict[str, Any]] = {}
    for measure in MEASURES:
        peers = [row for row in rows if row["competitor"] != OURS and row.get(measure)]
        if ours is None or not ours.get(measure) or not peers:
            continue
        sign = 1.0 if measure in LOWER_IS_BETTER else -1.0
        best = sorted(peers, key=lambda row: sign * row[measure])[0]
        pairs = zip(ours["rounds"][measure], best["rounds"][measure], strict=True)
        values = [mine / theirs for mine, theirs in pairs if mine and theirs]
        if not values:
            continue
        spread = {"median": statistics.median(values), "least": min(values), "greatest": max(values)}
        found[measure] = {"against": best["competitor"], **spread}
    return found


def markdown(rows: Sequence[Record]) -> str:
    """Returns the table of ratios of all works, and one table per work."""
    return "\n\n".join([ratio_table(rows), *(work_table(own) for own in by_work(rows).values())])


def by_work(rows: Sequence[Record]) -> dict[str, list[Record]]:
    """Returns the rows of each work, in the order of the works."""
    return {work: [row for row in rows if row["work"] == work] for work in dict.fromkeys(row["work"] for row in rows)}


def ratio_table(rows: Sequence[Record]) -> str:
    """Returns one line per work with :func:`ratios`."""
    lines = [
        "| ours to the best peer | " + " | ".join(MEASURES.values()) + " |",
        "|---" + "|---:" * len(MEASURES) + "|",
    ]
    for work, own in by_work(rows).items():
        found = ratios(own)
        cells = [_ratio(found[measure]) if measure in found else "-" for measure in MEASURES]
        lines.append(f"| {work} | {' | '.join(cells)} |")
    return "\n".join(lines)


def work_table(rows: Sequence[Record]) -> str:
    """Returns one line per competitor with its measures in one work: the median and the range of the rounds."""
    head = ("", *MEASURES.values(), "NDCG@10", "ours minus this, 95%")
    lines = [f"**{rows[0]['work']}**", "", "| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for row in rows:
        cells = [_cell(_known(row["rounds"][measure])) for measure in MEASURES]
        score = "-" if row.get(NDCG) is None else f"{row[NDCG]:.4f} ({row['train_steps']:,} steps)"
        lines.append(f"| {row['competitor']} | {' | '.join(cells)} | {score} | {_difference(row)} |")
    failed = [f"- {row['competitor']} failed: {row['error']}" for row in rows if row.get("error")]
    return "\n".join([*lines, *([""] if failed else []), *failed])


def merge(path: Path, rows: Sequence[Record]) -> list[Record]:
    """Replaces the rows of the same work in the results file, and returns all rows."""
    before = json.loads(path.read_text("utf-8")) if path.exists() else []
    merged = [row for own in (by_work(before) | by_work(rows)).values() for row in own]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    return merged


def machine() -> Record:
    """Returns the number of cores and the processor, without the name of the host."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cores": os.cpu_count(), "processor": models[0] if models else None}


def _ratio(found: dict[str, Any]) -> str:
    return f"{found['median']:.2f} ({found['least']:.2f}-{found['greatest']:.2f}) {found['against']}"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "-"
    middle = f"{statistics.median(values):,.0f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.0f}-{max(values):,.0f})"


def _difference(row: Record) -> str:
    found = row.get("seasonrec_minus_this")
    return f"{found['mean']:+.4f} [{found['interval'][0]:+.4f}, {found['interval'][1]:+.4f}]" if found else ""


def _rate(record: Record, amount: str, seconds: str) -> float | None:
    return record[amount] / record[seconds] if seconds in record else None


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
