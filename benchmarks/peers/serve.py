"""A competitor as a process that is told, line by line, to prepare, train and infer, and answers in JSON.

Imports the standard library alone, because it runs in every competitor's own environment. Whatever the library prints
goes to the error stream, so that the answers stay readable.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """What every competitor is told; the same for all of them.

    Args:
        events: CSV file ``user_id,item_id,timestamp``.
        scratch: Empty folder for whatever the library writes.
        lists: CSV file to write: ``user_id,item_id,rank``.
        length: Events of a sequence at most.
        width: Width of item and sequence vectors.
        layers: Transformer blocks.
        heads: Attention heads.
        dropout: Share dropped.
        batch_size: Sequences a training step.
        learning_rate: Of Adam, the same throughout.
        epochs: Passes over the data.
        max_steps: Steps after which training stops in the middle of an epoch; 0 for whole epochs.
        budget_s: Seconds after which training stops at the next step; 0 for none.
        infer_batch_size: Users ranked at once, where the library does not have a default of its own.
        top_k: Items a user.
        seed: Seed of weights and order.
        threads: CPU threads.
        popularity_start: Whether a bias of each item, where a library has one, may start at the item's popularity.
    """

    events: str
    scratch: str
    lists: str
    length: int = 50
    width: int = 64
    layers: int = 2
    heads: int = 2
    dropout: float = 0.2
    batch_size: int = 128
    learning_rate: float = 1e-3
    epochs: int = 1
    max_steps: int = 0
    budget_s: float = 0.0
    infer_batch_size: int = 256
    top_k: int = 10
    seed: int = 0
    threads: int = 2
    popularity_start: bool = False


@dataclass
class StepClock:
    """Notes the end of every training step and what it learned from, and says when it is enough.

    The speed is taken from the end of the first step to the end of the last: loading and the turn of an epoch are in
    it, starting up and the first step's lazy set-up are not.

    Args:
        max_steps: Steps after which it is enough; 0 for no limit.
        budget_s: Seconds after which it is enough; 0 for no limit.
    """

    max_steps: int = 0
    budget_s: float = 0.0
    begun_s: float = 0.0
    cpu_s: list[float] = field(default_factory=list)
    ends_s: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    def __deepcopy__(self, memo: dict[int, Any]) -> StepClock:
        return self  # RecTools copies its trainer, callbacks included

    def begin(self) -> None:
        self.begun_s = time.perf_counter()

    def tick(self, positions: int) -> bool:
        """Notes a step over so many target positions; True where it was the last."""
        now_s = time.perf_counter()
        self.ends_s.append(now_s)
        self.cpu_s.append(time.process_time())
        self.positions.append(int(positions))
        too_many = bool(self.max_steps) and len(self.ends_s) >= self.max_steps
        return too_many or (bool(self.budget_s) and now_s - self.begun_s >= self.budget_s)

    def record(self) -> dict[str, float]:
        """Steps, target positions, seconds in all, and target positions a second, by the clock and by the processor.

        Raises:
            ValueError: If fewer than two steps were made.
        """
        if len(self.ends_s) < 2:
            raise ValueError(f"a speed needs at least 2 training steps, got {len(self.ends_s)}; use more users.")
        positions = sum(self.positions[1:])
        return {
            "steps": len(self.ends_s),
            "positions": sum(self.positions),
            "train_s": self.ends_s[-1] - self.begun_s,
            "positions_per_s": positions / (self.ends_s[-1] - self.ends_s[0]),
            "positions_per_cpu_s": positions / (self.cpu_s[-1] - self.cpu_s[0]),
        }


class Runner:
    """One library doing the work of :class:`Settings`; subclasses are constructed with them."""

    packages: Sequence[str] = ()
    """Distributions whose versions are noted."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def convert(self) -> None:
        """Rewrites the CSV where the library cannot read one; off the clock."""

    def prepare(self) -> int:
        """From the CSV to where training could begin.

        Returns:
            Events read.
        """
        raise NotImplementedError

    def train(self, clock: StepClock) -> None:
        """Trains, telling ``clock`` the end of every step and stopping where it says so."""
        raise NotImplementedError

    def infer(self) -> tuple[Sequence[Any], Sequence[Sequence[Any]]]:
        """Ranks all items for all users of the events.

        Returns:
            ``(users, items)``: ``(U,)`` ids as in the CSV, and their ``(U, K)`` best items, best first.
        """
        raise NotImplementedError


def serve(make: Callable[[Settings], Runner]) -> None:
    """Answers the driver until it hangs up: settings as the one argument, then one command a line."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    settings = Settings(**json.loads(sys.argv[1]))
    try:
        import torch

        torch.set_num_threads(settings.threads)
        runner = make(settings)
        runner.convert()
        _answer(answers, {"versions": {name: version(name) for name in (*runner.packages, "torch")}})
        for line in sys.stdin:
            _answer(answers, {**_do(runner, line.strip()), "peak_mib": peak_mib()})
    except BaseException as error:
        traceback.print_exc()
        _answer(answers, {"error": f"{type(error).__name__}: {error}"})
        raise


def peak_mib() -> float:
    """Peak resident memory of this process so far, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _do(runner: Runner, command: str) -> dict[str, float]:
    settings = runner.settings
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    if command == "prepare":
        events = runner.prepare()
        took = {"prepare_s": time.perf_counter() - begun_s, "prepare_cpu_s": time.process_time() - begun_cpu_s}
        return {"events": events, **took}
    if command == "train":
        clock = StepClock(settings.max_steps, settings.budget_s)
        clock.begin()
        runner.train(clock)
        return clock.record()
    if command == "infer":
        users, items = runner.infer()
        took = {"infer_s": time.perf_counter() - begun_s, "infer_cpu_s": time.process_time() - begun_cpu_s}
        _write_lists(Path(settings.lists), users, items)
        return {"users": len(users), **took}
    raise ValueError(f"a command must be prepare, train or infer, got {command!r}.")


def _write_lists(path: Path, users: Sequence[Any], items: Sequence[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("user_id", "item_id", "rank"))
        for user, best in zip(users, items, strict=True):
            rows.writerows((user, item, rank) for rank, item in enumerate(best, 1))


def _answer(stream: Any, content: dict[str, Any]) -> None:
    stream.write(json.dumps(content) + "\n")
    stream.flush()
