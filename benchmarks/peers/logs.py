"""Event files for all competitors; each event has its own second and is one target."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.growth_log import GrowthLog
from seasonrec.data.datasets.complete_journey import CompleteJourney
from seasonrec.data.events import prepare
from seasonrec.data.spec import SECONDS_PER_DAY

Ints = NDArray[np.int64]

NAMES = ("complete_journey", "ml_100k", "synthetic_<events>", "growth_<events>")
TIE_SEED = 20_170_101
CUT = "2017-12-04"
"""First day of the four test weeks of Complete Journey in local time, as in the seasonal study."""
TEST_DAYS = 28


@dataclass(frozen=True)
class Log:
    """Events sorted by user and time, with shuffled ties.

    Args:
        users: ``(E,)`` user numbers in ascending order.
        items: ``(E,)`` item numbers.
        times_s: ``(E,)`` seconds, ascending within a user, with ties.
        is_truth: ``(E,)`` bool, True for the events to predict; they follow all others of the user.
    """

    users: Ints
    items: Ints
    times_s: Ints
    is_truth: NDArray[np.bool_]


def complete_journey(cache: Path) -> Log:
    """Returns Complete Journey by product, for items with at least 20 purchase lines; the truth is the test weeks."""
    log = prepare(CompleteJourney(level="product_id", min_item_events=20), cache)
    users = np.repeat(np.arange(log.num_users), np.diff(log.user_offsets))
    cut_s = int(datetime.fromisoformat(CUT).replace(tzinfo=ZoneInfo(log.timezone)).timestamp())
    kept = log.event_times_s < cut_s + TEST_DAYS * SECONDS_PER_DAY
    times_s = np.asarray(log.event_times_s)[kept]
    return Log(users[kept], np.asarray(log.event_items)[kept].astype(np.int64), times_s, times_s >= cut_s)


def ml_100k(inter: Path) -> Log:
    """Returns MovieLens-100K from RecBole's wheel; the truth is each user's last event (leave one out)."""
    frame = pl.read_csv(inter, separator="\t")
    users, items, times_s = (
        frame[column].to_numpy().astype(np.int64) for column in ("user_id:token", "item_id:token", "timestamp:float")
    )
    return _last_is_truth(users, items, times_s)


def growth(num_events: int, folder: Path) -> Log:
    """Returns the log of the growth benchmark; the truth is each user's last event.

    A user has about 10 events, several of them in one second, so that a matrix of ``length`` columns is mostly padding.
    """
    path = folder / f"growth_{num_events}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        GrowthLog.of_size(num_events).write(path)
    frame = pl.read_parquet(path, columns=["user_id", "item_id", "timestamp"])
    users = frame["user_id"].rank("dense").to_numpy().astype(np.int64) - 1
    return _last_is_truth(users, frame["item_id"].to_numpy(), frame["timestamp"].to_numpy())


def synthetic(num_events: int) -> Log:
    """Returns a synthetic log with 100 events per user and as many items as users.

    Runs of successive items begin with an item drawn by Zipf's law. The truth is each user's last event.
    """
    random = np.random.default_rng(num_events)
    num_users = max(2, num_events // 100)
    num_items = max(100, num_users)
    users = np.sort(random.integers(0, num_users, num_events))
    starts = np.floor(num_items ** random.random(num_events)).astype(np.int64) - 1  # popularity 1 / rank
    fresh = random.random(num_events) < 0.3
    fresh[0] = True
    place = np.maximum.accumulate(np.where(fresh, np.arange(num_events), 0))
    items = (starts[place] + np.arange(num_events) - place) % num_items
    gaps = random.integers(60, 86_400, num_events)
    first = np.flatnonzero(np.append(True, users[1:] != users[:-1]))
    total = np.cumsum(gaps)
    since = total - np.repeat(total[first], np.diff(np.append(first, num_events)))
    times_s = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) + since
    return Log(users, items, times_s, _is_last(users))


def write_work(log: Log, length: int, folder: Path, max_users: int = 0) -> Path:
    """Writes ``full.csv``, ``train.csv``, ``truth.csv`` and, last, ``facts.json``.

    ``full.csv`` contains all events before the truth. ``train.csv`` contains the last ``length + 1`` of them for each
    user with two or more. The seconds of a user's events strictly increase, so that all competitors see the same order
    and none merges two events.

    Args:
        log: Events.
        length: Maximum number of events of a sequence.
        folder: Folder of the files; finished files are kept.
        max_users: Number of first users to keep; 0 keeps all.
    """
    if (folder / "facts.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    few = np.unique(log.users)[:max_users] if max_users else np.unique(log.users)
    kept = log.users <= few[-1]
    users, items, truth = log.users[kept], log.items[kept], log.is_truth[kept]
    times_s = strictly_rising(users, log.times_s[kept])
    known = np.flatnonzero(~truth)
    trained = known[_is_trained(users[known], length)]
    for name, rows in (("full", known), ("train", trained)):
        rows = rows[np.lexsort((users[rows], times_s[rows]))]
        frame = pl.DataFrame({"user_id": users[rows], "item_id": items[rows], "timestamp": times_s[rows]})
        frame.write_csv(folder / f"{name}.csv")
    wanted = np.flatnonzero(truth & np.isin(users, users[trained]))
    pl.DataFrame({"user_id": users[wanted], "item_id": items[wanted]}).unique().write_csv(folder / "truth.csv")
    facts = {
        "full_events": len(known),
        "train_events": len(trained),
        "train_users": len(np.unique(users[trained])),
        "train_items": len(np.unique(items[trained])),
        "truth_users": len(np.unique(users[wanted])),
    }
    (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return folder


def strictly_rising(users: Ints, times_s: Ints) -> Ints:
    """Returns later times for ties, so that each event of a user is at least a second after the previous one."""
    step = np.arange(len(users))
    first = np.flatnonzero(np.append(True, users[1:] != users[:-1]))
    lead = times_s - step
    offset = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(users)))) * 2**40  # separates users
    return np.maximum.accumulate(lead + offset) - offset + step


def wheel_file(envs: Path, folder: Path) -> Path:
    """Returns ``ml-100k.inter`` of RecBole's environment, or fetches it with pip from RecBole's wheel."""
    name = "recbole/dataset_example/ml-100k/ml-100k.inter"
    installed = sorted(envs.glob(f"recbole/lib/python*/site-packages/{name}"))
    if installed:
        return installed[0]
    if not (folder / name).exists():
        with tempfile.TemporaryDirectory() as wheels:
            fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "recbole==1.2.1", "-d", wheels]
            subprocess.run(fetch, check=True)
            zipfile.ZipFile(next(Path(wheels).glob("*.whl"))).extract(name, folder)
    return folder / name


def source(name: str, cache: Path, envs: Path, folder: Path) -> Log:
    """Returns a log by name.

    Args:
        name: ``complete_journey``, ``ml_100k``, ``synthetic_<events>`` or ``growth_<events>``.
        cache: Folder of seasonrec's prepared data.
        envs: Folder of the peers' environments.
        folder: Folder for fetched and generated files.

    Raises:
        ValueError: If the name is unknown.
    """
    kind, _, number = name.rpartition("_")
    if kind == "synthetic" and number.isdigit():
        return synthetic(int(number))
    if kind == "growth" and number.isdigit():
        return growth(int(number), folder)
    if name == "complete_journey":
        return complete_journey(cache)
    if name == "ml_100k":
        return ml_100k(wheel_file(envs, folder))
    raise ValueError(f"data must be one of {', '.join(NAMES)}, got {name!r}.")


def _last_is_truth(users: Ints, items: Ints, times_s: Ints) -> Log:
    """Sorts events by user and time with shuffled ties; the truth is each user's last event."""
    order = np.lexsort((np.random.default_rng(TIE_SEED).random(len(users)), times_s, users))
    users = users[order]
    return Log(users, items[order], times_s[order], _is_last(users))


def _is_last(users: Ints) -> NDArray[np.bool_]:
    return np.append(users[1:] != users[:-1], True)


def _is_trained(users: Ints, length: int) -> NDArray[np.bool_]:
    """Returns True for the last ``length + 1`` events of each user with two or more."""
    counts = np.bincount(users)
    last = np.cumsum(counts)[users]
    return (last - np.arange(len(users)) <= length + 1) & (counts[users] >= 2)
