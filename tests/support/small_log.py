"""Tiny files of a user: a year of events with a season, and options of a short run."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

SEASONS = ("winter soup", "spring salad", "summer fruit", "autumn cake")
ITEMS = [f"i{number:02d}" for number in range(16)]
START = datetime(2017, 1, 2, 9)
SMALL = (
    "embedding_dim=16",
    "max_seq_len=12",
    "trainer.max_epochs=1",
    "trainer.num_threads=1",
    "item_encoder=id",
    "season=[momentum]",
    "logger=none",
    "baselines=false",
)


def write_log(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Writes ``E.csv`` (12 users, 52 weeks) and ``I.csv`` (16 items with texts); sales depend on the quarter."""
    draw = np.random.default_rng(seed)
    events = []
    for user in range(12):
        for week in range(user % 2, 52, 2):
            moment = START + timedelta(weeks=week, days=int(draw.integers(7)), hours=user)
            chance = np.array([4.0 if number % 4 == week // 13 else 1.0 for number in range(len(ITEMS))])
            for number in draw.choice(len(ITEMS), 2, replace=False, p=chance / chance.sum()):
                events.append((f"u{user}", ITEMS[number], moment.isoformat()))
    texts = [(item, f"{SEASONS[number % 4]} number {number}") for number, item in enumerate(ITEMS)]
    write_csv(folder / "E.csv", ("user_id", "item_id", "timestamp"), events)
    write_csv(folder / "I.csv", ("item_id", "text"), texts)
    return folder / "E.csv", folder / "I.csv"


def write_csv(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def of_table(folder: Path, run_dir: Path, *more: str, items: bool = True) -> list[str]:
    """Returns the arguments of ``seasonrec train`` for the files of :func:`write_log`."""
    files = [f"data.events={folder / 'E.csv'}", *([f"data.items={folder / 'I.csv'}"] if items else [])]
    own = ("data=table", *files, f"cache_dir={folder / 'cache'}", f"run_dir={run_dir}", *SMALL)
    return ["train", *replaced(own, more)]


def replaced(own: Sequence[str], more: Sequence[str]) -> list[str]:
    """Returns the overrides ``own``, replaced by ``more`` where the keys are equal."""
    given = {override.partition("=")[0] for override in more}
    return [*(override for override in own if override.partition("=")[0] not in given), *more]
