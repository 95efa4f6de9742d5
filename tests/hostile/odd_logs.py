"""Odd logs, each a function that writes it and returns its overrides; and a process in which they are studied."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

DAY_S = 86_400
START_S = 1_577_836_800
"""The first second of 2020 in UTC."""

Overrides = list[str]
Writer = Callable[[Path], Overrides]


def write(folder: Path, users: Iterable[Any], items: Iterable[Any], times: Iterable[Any]) -> Overrides:
    """Writes the events and returns the overrides that read them."""
    events = {"user_id": list(users), "item_id": list(items), "timestamp": list(times)}
    pl.DataFrame(events).write_csv(folder / "events.csv")
    return [f"data.events='{folder / 'events.csv'}'"]


def with_texts(folder: Path, texts: dict[str, str | None]) -> Overrides:
    pl.DataFrame({"item_id": list(texts), "text": list(texts.values())}).write_csv(folder / "items.csv")
    return [f"data.items='{folder / 'items.csv'}'"]


def drawn(
    folder: Path,
    *,
    users: int = 40,
    items: int = 20,
    events: int = 800,
    days: float = 200.0,
    start_s: int = START_S,
    seed: int = 0,
) -> tuple[list[str], list[str], list[int]]:
    """Returns users, items and seconds of a plain log; the variants change one thing in it."""
    random = np.random.default_rng(seed)
    seconds = np.sort(start_s + random.integers(0, int(days * DAY_S), events))
    who = [f"u{number}" for number in random.integers(0, users, events)]
    what = [f"i{number}" for number in random.zipf(1.5, events) % items]
    return who, what, seconds.tolist()


def plain(folder: Path) -> Overrides:
    return write(folder, *drawn(folder))


def many_users(folder: Path, count: int = 100_000) -> Overrides:
    """Writes users with one event each."""
    _, items, times = drawn(folder, events=count, items=200)
    return write(folder, (f"u{number}" for number in range(count)), items, times)


def one_long_user(folder: Path, count: int = 100_000, items: int = 300) -> Overrides:
    """Writes one user with nearly all events."""
    _, what, times = drawn(folder, events=count, items=items)
    others = drawn(folder, events=400, items=items)
    return write(folder, *([*one, *other] for one, other in zip((["long"] * count, what, times), others, strict=True)))


def the_same_again(folder: Path, count: int = 400, users: int = 5) -> Overrides:
    """Writes users who each buy one item again and again."""
    times = [START_S + place * 200 * DAY_S // count for place in range(count)]
    who = [place % users for place in range(count)]
    return write(folder, (f"u{user}" for user in who), (f"i{user}" for user in who), times)


def one_item(folder: Path) -> Overrides:
    users, items, times = drawn(folder)
    return write(folder, users, ["milk"] * len(items), times)


def without_texts(folder: Path) -> Overrides:
    users, items, times = drawn(folder)
    return write(folder, users, items, times) + with_texts(folder, dict.fromkeys(sorted(set(items))))


def a_long_text(folder: Path, length: int = 1_000_000) -> Overrides:
    users, items, times = drawn(folder)
    texts: dict[str, str | None] = {item: f"a thing called {item}" for item in sorted(set(items))}
    texts["i1"] = "milk and bread " * (length // 15)
    return write(folder, users, items, times) + with_texts(folder, texts)


def long_ids(folder: Path, length: int = 10_000) -> Overrides:
    users, items, times = drawn(folder)
    return write(
        folder, (user.ljust(length, "u") for user in users), (item.ljust(length, "i") for item in items), times
    )


def some_days(folder: Path, days: float = 3.0) -> Overrides:
    return write(folder, *drawn(folder, days=days))


def thirty_years(folder: Path) -> Overrides:
    return write(folder, *drawn(folder, days=30 * 365.25, start_s=START_S - 26 * 365 * DAY_S))


def before_1970(folder: Path) -> Overrides:
    """Writes dates from 1960 to 1962."""
    users, items, times = drawn(folder, start_s=-10 * 365 * DAY_S, days=800)
    return write(folder, users, items, map(iso, times))


def about_1900(folder: Path) -> Overrides:
    users, items, times = drawn(folder, start_s=-70 * 365 * DAY_S, days=800)  # from January 1900 on
    return write(folder, users, items, map(iso, times))


def before_1900(folder: Path) -> Overrides:
    users, items, times = drawn(folder, start_s=-72 * 365 * DAY_S, days=800)
    return write(folder, users, items, map(iso, times))


def leap_days(folder: Path) -> Overrides:
    """Writes nothing but days around 29 February of 2016, 2020 and 2024."""
    users, items, _ = drawn(folder)
    days = [
        datetime(year, 2, 29, tzinfo=UTC) + timedelta(days=shift) for year in (2016, 2020, 2024) for shift in (-1, 0, 1)
    ]
    each = len(users) // len(days)
    times = [iso(int(day.timestamp()) + place * 60) for day in days for place in range(each)]
    return write(folder, users[: len(times)], items[: len(times)], times)


def clock_changes(folder: Path, zone: str = "Europe/Berlin") -> Overrides:
    """Writes local times, half of them on days of a clock change: one hour is missing, another comes twice."""
    users, items, times = drawn(folder, start_s=START_S - 4 * 365 * DAY_S, days=1000)
    quarters = [at for day in _changed_days(zone, range(2016, 2019)) for at in _quarters(day)]
    written = [quarters[n % len(quarters)] if n % 2 else iso(at) for n, at in enumerate(times)]
    return [*write(folder, users, items, written), f"data.timezone={zone}"]


def zone_end(folder: Path, zone: str) -> Overrides:
    users, items, times = drawn(folder)
    local = [datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S") for at in times]
    return [*write(folder, users, items, local), f"data.timezone={zone}"]


def mixed_offsets(folder: Path) -> Overrides:
    """Writes times with offsets from -11 to +14 in one column."""
    users, items, times = drawn(folder)
    zones = ("Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "UTC")
    written = [datetime.fromtimestamp(at, ZoneInfo(zones[n % 4])).isoformat() for n, at in enumerate(times)]
    return [*write(folder, users, items, written), "data.timezone=Pacific/Chatham", "data.country=NZ"]


def at_once(folder: Path) -> Overrides:
    users, items, times = drawn(folder)
    return write(folder, users, items, [times[0]] * len(times))


def a_few_moments(folder: Path, moments: int = 4) -> Overrides:
    """Writes many events at a few seconds: every basket of a moment is that of another user."""
    users, items, _ = drawn(folder, users=300)
    return write(folder, users, items, (START_S + n % moments * 100 * DAY_S for n in range(len(users))))


def two_events(folder: Path) -> Overrides:
    return write(folder, ["u1", "u2"], ["i1", "i2"], [START_S, START_S + 100 * DAY_S])


def one_row(folder: Path) -> Overrides:
    return write(folder, ["u1"], ["i1"], [START_S])


def no_row(folder: Path) -> Overrides:
    return write(folder, [], [], [])


def empty_file(folder: Path) -> Overrides:
    (folder / "events.csv").write_bytes(b"")
    return [f"data.events='{folder / 'events.csv'}'"]


def only_before_the_cut(folder: Path) -> Overrides:
    """Writes users who come once in training; those of validation and test are new."""
    users, items, times = drawn(folder)
    return write(folder, (f"{user}_{at // (60 * DAY_S)}" for user, at in zip(users, times, strict=True)), items, times)


def nobody_comes_back(folder: Path) -> Overrides:
    """Writes users of whom none is in two parts."""
    users, items, times = drawn(folder)
    parts = ["early" if at < START_S + 150 * DAY_S else f"late{at % 7}" for at in times]
    return write(folder, (f"{user}_{part}" for user, part in zip(users, parts, strict=True)), items, times)


def baskets_of_one(folder: Path) -> Overrides:
    """Writes each user's only item once, at a second of its own."""
    count = 300
    times = [START_S + place * 50_000 for place in range(count)]
    return write(folder, (f"u{n % 150}" for n in range(count)), (f"i{n % 150 % 12}" for n in range(count)), times)


def a_huge_basket(folder: Path, size: int = 10_000) -> Overrides:
    """Writes a plain log with two baskets of every item, one in the last weeks."""
    users, items, times = drawn(folder, items=size)
    for at in (START_S + 100 * DAY_S, START_S + 190 * DAY_S):
        users += ["bulk"] * size
        items += [f"i{number}" for number in range(size)]
        times += [at] * size
    return write(folder, users, items, times)


def new_after_the_cut(folder: Path) -> Overrides:
    """Writes a log in which every item of the last months is new."""
    users, items, times = drawn(folder)
    return write(
        folder, users, (f"{i}_{at > START_S + 160 * DAY_S}" for i, at in zip(items, times, strict=True)), times
    )


def new_every_day(folder: Path) -> Overrides:
    """Writes a log in which every item is sold on one day only."""
    users, _, times = drawn(folder)
    return write(folder, users, (f"i{at // DAY_S}" for at in times), times)


def iso(second: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S")


def _changed_days(zone: str, years: Iterable[int]) -> Iterator[datetime]:
    noons = (
        datetime(year, 1, 1, 12, tzinfo=ZoneInfo(zone)) + timedelta(days=day) for year in years for day in range(365)
    )
    for noon in noons:
        if noon.utcoffset() != (noon - timedelta(days=1)).utcoffset():
            yield noon.replace(hour=0)


def _quarters(day: datetime) -> list[str]:
    """Returns the quarters of the first five hours as a wall clock may show them, also those that do not exist."""
    return [f"{day:%Y-%m-%d} {hour:02d}:{minute:02d}:00" for hour in range(5) for minute in (0, 15, 30, 45)]


@dataclass(frozen=True)
class Outcome:
    """Result of a command.

    Args:
        code: Exit code.
        output: Standard output and errors.
        peak_mib: Peak resident memory of its process.
        cpu_s: Seconds of its process, without imports.
    """

    code: int
    output: str
    peak_mib: int
    cpu_s: float

    @property
    def refusal(self) -> str:
        """The sentence of a refusal; empty for a study that ran."""
        lines = [line for line in self.output.splitlines() if line.startswith("seasonrec ")]
        return lines[-1] if self.code == 2 and lines else ""


class Worker:
    """The process in which commands run, one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @classmethod
    def start(cls) -> Self:
        command = [sys.executable, str(Path(__file__).with_name("odd_worker.py"))]
        return cls(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))

    def __call__(self, work: Path, arguments: Sequence[str]) -> Outcome:
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps({"work": str(work), "arguments": list(arguments)}), file=self.process.stdin, flush=True)
        found = json.loads(self.process.stdout.readline())
        return Outcome(output=(work / "output.txt").read_text(encoding="utf-8"), **found)

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def not_finite(value: Any, path: str = "") -> Iterator[str]:
    """Yields the paths of the numbers in the content of a JSON file that are not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from not_finite(entry, f"{path}.{key}")
    elif isinstance(value, list):
        for place, entry in enumerate(value):
            yield from not_finite(entry, f"{path}[{place}]")
