"""Time of a training step of each row of a study, which shows the cost of a section.

``python -m benchmarks.steps experiments/02_method_sections/peft.yaml [--rows full base] [--rounds 12] [--threads 1]``

The cells of a study run at different times, while other processes use the machine, so their own times cannot be
compared. Here, all rows run in one process and alternate after each step. Each row has its own Trainer with callbacks
and trains on the first batches of its training, which are built before the timing. A method with a schedule
(``gradual``, ``adalora``) is measured at the beginning of the schedule. The benchmark prints a table of ratios to the
study's reference row and writes ``benchmarks/results/steps_<study>.json``.
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
"""Steps of each row before the timing."""


class StopTraining(Exception):
    """End of a training whose steps are all measured."""


class Turns:
    """Lock that lets one of several threads run at a time, in a fixed order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._order = list(names)
        self._passed = threading.Condition()

    def wait(self, name: str) -> None:
        """Waits for the turn of a thread."""
        with self._passed:
            self._passed.wait_for(lambda: self._order[0] == name)

    def pass_on(self) -> None:
        """Gives the turn to the next thread."""
        with self._passed:
            self._order.append(self._order.pop(0))
            self._passed.notify_all()

    def leave(self, name: str) -> None:
        """Removes a thread from the order."""
        with self._passed:
            self._order.remove(name)
            self._passed.notify_all()


class TimedBatches:
    """Loader that yields a batch at its turn and measures the time until the next batch is requested.

    It has a length, because Lightning then requests a batch only after the step of the previous one.
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
        raise StopTraining


def main() -> None:
    """Measures the rows and writes the ratios."""
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
    parser.add_argument("--rows", nargs="+", help="rows besides the reference; all of the study by default")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _timed(study: Study, rows: Sequence[str], options: argparse.Namespace) -> dict[str, list[float]]:
    """Returns the seconds of each row's steps, by round."""
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
        raise RuntimeError(f"{row} cannot be measured: {error}") from error
    return {row: batches.seconds[WARM_UP:] for row, batches in timed.items()}


def _run(train: Callable[[], object], row: str, turns: Turns, threads: int, failed: dict[str, BaseException]) -> None:
    torch.set_num_threads(threads)  # a setting of each Python thread
    try:
        train()
    except StopTraining:
        pass
    except BaseException as error:
        failed[row] = error
    finally:
        turns.leave(row)


def _prepared(
    config: RunConfig, row: str, turns: Turns, steps: int, run_dir: Path
) -> tuple[Callable[[], object], TimedBatches]:
    """Returns a function that starts a row's training, and the batches that measure it."""
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
