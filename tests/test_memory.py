"""Tests that a run records its own peak memory."""

import numpy as np
import pytest
import torch

from seasonrec.memory import MIB, forget_peak, highest, peak_memory


def taken(mib: int) -> None:
    np.ones(mib * MIB // 8)


def measured() -> float:
    peak = peak_memory()["peak_memory_mib"]
    assert peak is not None
    return peak


@pytest.mark.skipif("not __import__('sys').platform.startswith('linux')", reason="only Linux forgets a peak")
def test_a_run_is_not_charged_with_the_one_before_it():
    forget_peak()
    before = measured()
    taken(400)
    assert measured() == pytest.approx(before + 400, abs=40)
    forget_peak()
    assert measured() < before + 100
    taken(200)
    assert measured() == pytest.approx(before + 200, abs=80)


def test_a_machine_that_forgets_no_peak_is_no_reason_to_fail(monkeypatch, tmp_path):
    monkeypatch.setattr("seasonrec.memory._FORGET", tmp_path / "no_folder" / "clear_refs")
    forget_peak()
    monkeypatch.setattr("seasonrec.memory._STATUS", tmp_path / "status")
    of_process = measured()
    (tmp_path / "status").write_text("VmRSS:  5 kB\n")
    assert measured() == of_process > 100
    (tmp_path / "status").write_text("VmHWM:    4096 kB\n")
    assert measured() == 4.0


def test_a_run_without_a_gpu_says_nothing_of_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert peak_memory()["peak_gpu_memory_mib"] is None


def test_the_memory_of_a_gpu_is_counted_from_the_runs_beginning(monkeypatch):
    began = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: began.append(True))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 * MIB)
    forget_peak()
    assert began
    assert peak_memory()["peak_gpu_memory_mib"] == 3.0


def test_the_peak_of_a_run_in_two_parts_is_that_of_its_higher_part():
    assert highest({"memory": 3.0, "gpu": None}, {"memory": 2.0, "gpu": 5.0}) == {"memory": 3.0, "gpu": 5.0}
    assert highest({"memory": 3.0, "gpu": None}, {"memory": 4.0, "gpu": None}) == {"memory": 4.0, "gpu": None}
    assert highest({}, {"memory": 1.0}) == {"memory": 1.0}
