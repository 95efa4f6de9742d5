"""Time of a training step of every row of a study, in turns: what a section costs.

``python -m benchmarks.steps experiments/02_method_sections/peft.yaml [--rows full base] [--rounds 12] [--threads 1]``

The cells of a study run beside whatever else the machine does, so that their own times say little of each other. Here
all rows are built in one process and take turns, step by step, each in a Trainer of its own with its callbacks, on the
first batches of its training. These are made before the clock starts; what follows a schedule (``gradual``,
``adalora``) is at the beginning of it. Prints a table of ratios to the study's reference row, round by round, and
writes ``benchmarks/results/steps_<study>.json``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from itertools import chain, islice, repeat
from pathlib import Path

import torch

from benchmarks.timing import ratio, save
from seasonrec.ablate.cells import expand
from seasonrec.ablate.study import Study, read_study, with_changes
from seasonrec.batches.batch import SequenceBatch
from seasonrec.config import ConfTree, build
from seasonrec.config.compose import compose
from seasonrec.config.schema import RunConfig
from seasonrec.runs.opening import open_data
from seasonrec.runs.run import Run
from seasonrec.runs.stages.train import batches_of, module_of
from seasonrec.training.fit import TrainerOptions, fit

WARM_UP = 2
"""Steps of each row before the clock starts."""


class Enough(Exception):
    """Ends a training when its steps were timed."""


class Turns:
    """Lets one of several threads go on at a time, in a fixed order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._order = list(names)
        self._passed = threading.Condition()

    def wait(self, name: str) -> None:
        """Returns when it is this one's turn."""
        with self._passed:
            self._passed.wait_for(lambda: self._order[0] == name)

    def pass_on(self) -> None:
        """Lets the next one go on."""
        with self._passed:
            self._order.append(self._order.pop(0))
            self._passed.notify_all()

    def leave(self, name: str) -> None:
        """Takes one out of the order."""
        with self._passed:
            self._order.remove(name)
            self._passed.notify_all()


class TimedBatches:
    """Hands out a batch whenever it is its turn, and times what is done until the next is asked for.

    Its length is known, so that Lightning asks for a batch only when it is done with the one before.
    """

    def __init__(self, batches: Sequence[SequenceBatch], name: str, turns: Turns, device: torch.device) -> None:
        self.batches, self.name, self.turns, self.device = batches, name, turns, device
        self.seconds: list[float] = []

    def __len__(self) -> int:
        return len(self.batches) + 1

    def __iter__(self) -> Iterator[SequenceBatch]:
        for batch in self.batches:
            self.turns.wait(self.name)
            begun_s = time.perf_counter()
            yield batch
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.seconds.append(time.perf_counter() - begun_s)
            self.turns.pass_on()
        raise Enough


def main() -> None:
    """Times the rows and writes the ratios."""
    options = _options()
    torch.set_num_threads(options.threads)
    tree = ConfTree.of()
    study = with_changes(read_study(options.study, tree), [], compose)
    rows = [study.reference, *(row for row in options.rows or study.rows if row != study.reference)]
    seconds = _timed(study, rows, options)
    found = [
        {"study": study.name, "row": row, "steps": options.rounds, **ratio(seconds[row], seconds[study.reference])}
        for row in rows
    ]
    median_ms = 1e3 * statistics.median(seconds[study.reference])
    print(f"| row | time of a step, {study.reference} = 1 ({median_ms:.0f} ms here) | quartiles |\n| --- | --- | --- |")
    for one in found:
        print(f"| {one['row']} | {one['ratio']:.2f} | {one['ratio_low']:.2f} to {one['ratio_high']:.2f} |")
    print(f"written to {save(f'steps_{study.name}.json', found)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--rows", nargs="+", help="rows beside the reference; all of the study unless given")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _timed(study: Study, rows: Sequence[str], options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of each row's steps, by round."""
    cells = {cell.row: cell for cell in reversed(expand(study, Path("unused"), [])) if cell.kind == "train"}
    turns, failed = Turns(rows), dict[str, BaseException]()
    timed, threads = dict[str, TimedBatches](), list[threading.Thread]()
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            print(f"building {row}", file=sys.stderr, flush=True)
            config = compose(list(cells[row].overrides))
            train, timed[row] = _prepared(config, row, turns, options.rounds + WARM_UP, Path(folder) / row)
            given = (train, row, turns, options.threads, failed)
            threads.append(threading.Thread(target=_run, args=given, daemon=True))
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    for row, error in failed.items():
        raise RuntimeError(f"{row} cannot be timed: {error}") from error
    return {row: batches.seconds[WARM_UP:] for row, batches in timed.items()}


def _run(train: Callable[[], object], row: str, turns: Turns, threads: int, failed: dict[str, BaseException]) -> None:
    torch.set_num_threads(threads)  # each thread of Python has a number of its own
    try:
        train()
    except Enough:
        pass
    except BaseException as error:
        failed[row] = error
    finally:
        turns.leave(row)


def _prepared(
    config: RunConfig, row: str, turns: Turns, steps: int, run_dir: Path
) -> tuple[Callable[[], object], TimedBatches]:
    """A row's training, ready to start, and the batches that it takes its turns by."""
    if config.domain:
        raise ValueError(f"row {row} trains on several domains, whose batches differ; leave it out of --rows.")
    run = Run(config, run_dir, open_data(config, progress=lambda line: None))
    run.build(for_training=True)
    loss, batches, validation = batches_of(run)
    trainer: TrainerOptions = build(config.trainer)()
    device = torch.device("cuda" if trainer.uses_gpu else "cpu")
    timed = TimedBatches(list(islice(chain.from_iterable(repeat(batches)), steps)), row, turns, device)
    module = module_of(run, loss, run_dir)
    return lambda: fit(module, timed, validation, trainer, run_dir), timed


if __name__ == "__main__":
    main()
