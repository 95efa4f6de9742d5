"""Tests that several processes have exactly the results of one process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_shop import Shop
from two_processes import CHUNK, small_evaluation

from seasonrec.evaluation.ranking import evaluator
from seasonrec.evaluation.results.store import read_results


def evaluate_in(processes: int, shop: Shop, folder: Path) -> list[dict[str, Any]]:
    script = Path(__file__).parent / "support" / "two_processes.py"
    environment = {
        **os.environ,
        "PYTHONPATH": str(script.parent),
    }  # the folder of a script may be no place to import from
    arguments = [sys.executable, str(script), str(shop.cache_dir), str(folder / "meeting"), str(folder)]
    started = [
        subprocess.Popen([*arguments, str(rank), str(processes)], env=environment, stderr=subprocess.PIPE, text=True)
        for rank in range(processes)
    ]
    for process in started:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    return [json.loads((folder / f"told_{rank}.json").read_text()) for rank in range(processes)]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sets one thread, as in the processes, because the last bit of a sum depends on the number of threads."""
    before, scores = torch.get_num_threads(), evaluator.SCORES_AT_ONCE
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    evaluator.SCORES_AT_ONCE = scores  # the small evaluation sets it


@pytest.mark.usefixtures("one_thread")
def test_two_processes_give_the_results_of_one(shop: Shop, tmp_path: Path) -> None:
    record, scored = small_evaluation(shop, tmp_path / "alone")
    told = evaluate_in(2, shop, tmp_path)
    alone, together = (read_results(tmp_path / name / "results.parquet") for name in ("alone", "process_0"))
    assert together.frame.equals(alone.frame), "to the last bit, in the same order, no basket twice"
    assert [one["record"] for one in told] == [json.loads(json.dumps(record))] * 2, "both have the whole record"
    assert sum(one["scored"] for one in told) == scored == alone.frame.height
    assert abs(told[0]["scored"] - told[1]["scored"]) <= CHUNK, "each scored one half"
    assert not (tmp_path / "process_1").exists(), "only the first writes"
