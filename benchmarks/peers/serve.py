"""Process of a competitor, which reads the commands prepare, train and infer line by line and answers in JSON.

The module imports only the standard library, because it runs in the environment of each competitor. The output of the
competitor's library goes to the error stream, so that the answers can be parsed.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """Settings of a competitor, which are equal for all.

    Args:
        events: CSV file ``user_id,item_id,timestamp``.
        scratch: Empty folder for files of the library.
        lists: CSV file to write: ``user_id,item_id,rank``.
        length: Maximum number of events of a sequence.
        width: Width of item and sequence vectors.
        layers: Number of Transformer blocks.
        heads: Number of attention heads.
        dropout: Dropout probability.
        batch_size: Sequences per training step.
        learning_rate: Constant learning rate of Adam.
        epochs: Number of epochs.
        max_steps: Number of steps after which training stops within an epoch; 0 for complete epochs.
        budget_s: Seconds after which training stops at the next step; 0 for no limit.
        infer_batch_size: Number of users ranked together, for libraries without their own default.
        top_k: Number of items per user.
        seed: Seed of the weights and the order of the data.
        threads: Number of CPU threads.
        popularity_start: Whether an item bias, if the library has one, may start at the item's popularity.
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
    """Record of the training steps, which also decides when to stop.

    The speed is measured from the end of the first step to the end of the last. It includes the loading of data and the
    change of epochs, but not the start of the training.

    Args:
        max_steps: Maximum number of steps; 0 for no limit.
        budget_s: Maximum number of seconds; 0 for no limit.
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
        """Records a step with its number of target positions, and returns True if it is the last."""
        now_s = time.perf_counter()
        self.ends_s.append(now_s)
        self.cpu_s.append(time.process_time())
        self.positions.append(int(positions))
        too_many = bool(self.max_steps) and len(self.ends_s) >= self.max_steps
        return too_many or (bool(self.budget_s) and now_s - self.begun_s >= self.budget_s)

    def record(self) -> dict[str, float]:
        """Returns the steps, the target positions, the seconds, and the positions per second and per CPU second.

        Raises:
            ValueError: If there are fewer than two steps.
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


class Runner(ABC):
    """Base of the competitors' runners."""

    packages: Sequence[str] = ()
    """Names of the packages whose versions are recorded."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def convert(self) -> None:  # noqa: B027  # most libraries read the CSV file
        """Rewrites the CSV file if the library cannot read it; its time is not measured."""

    @abstractmethod
    def prepare(self) -> int:
        """Reads the CSV file, prepares the data for training, and returns the number of events."""

    @abstractmethod
    def train(self, clock: StepClock) -> None:
        """Trains, reports the end of each step to ``clock``, and stops if the clock says so."""

    @abstractmethod
    def infer(self) -> tuple[Sequence[Any], Sequence[Sequence[Any]]]:
        """Ranks all items for all users of the events.

        Returns:
            ``(users, items)``: ids ``(U,)`` as in the CSV file, and their best items ``(U, K)``, the best first.
        """


def serve(make: Callable[[Settings], Runner]) -> None:
    """Reads the settings from the only argument, and answers one command per line until the input ends."""
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
    """Returns the peak resident memory of this process so far, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _do(runner: Runner, command: str) -> dict[str, float]:
    settings = runner.settings
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    if command == "prepare":
        events = runner.prepare()
        times = {"prepare_s": time.perf_counter() - begun_s, "prepare_cpu_s": time.process_time() - begun_cpu_s}
        return {"events": events, **times}
    if command == "train":
        clock = StepClock(settings.max_steps, settings.budget_s)
        clock.begin()
        runner.train(clock)
        return clock.record()
    if command == "infer":
        users, items = runner.infer()
        times = {"infer_s": time.perf_counter() - begun_s, "infer_cpu_s": time.process_time() - begun_cpu_s}
        _write_lists(Path(settings.lists), users, items)
        return {"users": len(users), **times}
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
