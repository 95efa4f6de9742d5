"""Tests of the benchmark's turns: one process at a time, in order, and no waiting for a process that has ended."""

from __future__ import annotations

import sys
import threading
import time
from argparse import Namespace
from pathlib import Path

import pytest
from small_log import of_table, write_log

from seasonrec.ablate.study import Study

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import steps  # noqa: E402


def test_threads_run_one_at_a_time_in_a_fixed_order_until_they_leave() -> None:
    turns, done = steps.Turns(["a", "b", "c"]), list[str]()

    def work(name: str, times: int) -> None:
        for _ in range(times):
            turns.wait(name)
            done.append(name)
            time.sleep(0.01)
            done.append(name)
            turns.pass_on()
        turns.leave(name)

    threads = [threading.Thread(target=work, args=given) for given in (("c", 3), ("a", 3), ("b", 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert "".join(done) == "aabbcc" + "aacc" * 2


def test_every_row_of_a_study_is_measured_in_its_own_training(tmp_path: Path) -> None:
    write_log(tmp_path)
    own = [one for one in of_table(tmp_path, tmp_path)[1:] if not one.startswith(("run_dir=", "baselines="))]
    study = Study("small", "first_season", "?", ("full", "fgm_adversarial"), (0,), overrides=tuple(own))
    seconds = steps._timed(study, study.rows, Namespace(rounds=2, threads=1))
    assert {row: len(of_row) for row, of_row in seconds.items()} == {"full": 2, "fgm_adversarial": 2}
    assert all(second > 0 for of_row in seconds.values() for second in of_row)


DIVERGING = ("optimizer.learning_rate=100", "optimizer.weight_decay=1000000")


def test_a_row_that_fails_is_named_and_does_not_block_the_others(tmp_path: Path) -> None:
    write_log(tmp_path)
    own = [one for one in of_table(tmp_path, tmp_path)[1:] if not one.startswith(("run_dir=", "baselines="))]
    study = Study(
        "small",
        "first_season",
        "?",
        ("full",),
        (0,),
        overrides=(*own, "optimizer.learning_rate=100", "optimizer.weight_decay=1000000"),
    )
    with pytest.raises(RuntimeError, match="full cannot be measured: "):
        steps._timed(study, study.rows, Namespace(rounds=20, threads=1))
