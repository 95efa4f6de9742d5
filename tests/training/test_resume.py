"""Resume: a killed run that is started again ends exactly like an uninterrupted one."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from pickle import PicklingError
from platform import node
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import pytest
import torch
from small_runs import OPTIONS, Curve, Event, Killed, SmallRun, small_loader, small_model, small_run
from small_shop import Shop

from seasonrec.training.checkpointing.callbacks import AtomicCheckpointIO
from seasonrec.training.checkpointing.checkpoints import RunCheckpoints

STEPS = 7
"""Batches of an epoch; checkpoints are written every 3 steps and at the end of each epoch."""


@pytest.fixture(scope="module")
def undisturbed(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return small_run(shop, tmp_path_factory.mktemp("undisturbed"))


def assert_same_end(run: SmallRun, expected: SmallRun) -> None:
    assert run.curve == expected.curve
    assert run.result == expected.result
    assert run.weights.keys() == expected.weights.keys()
    for name, weight in expected.weights.items():
        assert torch.equal(run.weights[name], weight), name
    assert_equal_trees(run.last["state_dict"], expected.last["state_dict"])  # of the last epoch, not of the best
    assert_equal_trees(run.last["optimizer_states"], expected.last["optimizer_states"])
    assert run.last["lr_schedulers"] == expected.last["lr_schedulers"]
    assert run.last["global_step"] == expected.last["global_step"]


def assert_equal_trees(one: Any, other: Any) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal_trees(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal_trees(left, right)
    else:
        assert one == other


def killed_and_started_again(shop: Shop, run_dir: Path, *at: Event, **options: Any) -> SmallRun:
    """Stops at the given events, one per start; the last start is not interrupted."""
    curve = Curve()
    for event in at:

        def stop(met: Event, event: Event = event) -> None:
            if met == event:
                raise Killed

        with pytest.raises(Killed):
            small_run(shop, run_dir, stop, curve=curve, **options)
    return small_run(shop, run_dir, curve=curve, **options)


def test_the_run_has_the_steps_that_the_cases_speak_of(shop: Shop, undisturbed: SmallRun) -> None:
    assert len(small_loader(shop, small_model(shop))) == STEPS
    assert undisturbed.last["global_step"] == OPTIONS.max_epochs * STEPS
    assert len({tuple(metrics.values()) for metrics in undisturbed.curve.values()}) == OPTIONS.max_epochs


def test_two_runs_left_alone_are_equal(shop: Shop, undisturbed: SmallRun, tmp_path: Path) -> None:
    assert_same_end(small_run(shop, tmp_path), undisturbed)


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(("batch_end", 0, 1), id="before the first checkpoint"),
        pytest.param(("batch_end", 0, 2), id="right after a checkpoint"),
        pytest.param(("batch_start", 1, 4), id="between checkpoints"),
        pytest.param(("batch_end", 1, STEPS - 1), id="last step of an epoch, before its validation"),
        pytest.param(("validation", 1, 1), id="in a validation"),
        pytest.param(("epoch_end", 1, -1), id="end of an epoch, before its checkpoint"),
        pytest.param(("batch_start", 2, 0), id="first step of the next epoch"),
        pytest.param(("validation", 2, 0), id="in the last validation"),
    ],
)
def test_interrupted_run_ends_where_one_left_alone_ends(
    shop: Shop, undisturbed: SmallRun, tmp_path: Path, at: Event
) -> None:
    assert_same_end(killed_and_started_again(shop, tmp_path, at), undisturbed)


def test_run_interrupted_three_times(shop: Shop, undisturbed: SmallRun, tmp_path: Path) -> None:
    stops = (("batch_start", 0, 4), ("validation", 1, 2), ("batch_end", 2, 3))
    assert_same_end(killed_and_started_again(shop, tmp_path, *stops), undisturbed)


def test_a_run_that_is_told_to_end_says_so_and_goes_on_to_the_bit(
    shop: Shop, undisturbed: SmallRun, tmp_path: Path
) -> None:
    curve = Curve()

    def terminate(met: Event) -> None:
        if met == ("batch_end", 1, 3):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        small_run(shop, tmp_path, terminate, curve=curve)
    assert ended.value.code == 128 + signal.SIGTERM
    assert_same_end(small_run(shop, tmp_path, curve=curve), undisturbed)


def test_finished_run_that_is_started_again_trains_no_further(
    shop: Shop, undisturbed: SmallRun, tmp_path: Path
) -> None:
    first = small_run(shop, tmp_path)
    met: list[Event] = []
    again = small_run(shop, tmp_path, met.append, curve=Curve(dict(first.curve)))
    assert met == []
    assert_same_end(again, undisturbed)


def test_what_was_spent_before_a_kill_is_not_lost(
    shop: Shop, undisturbed: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [50.0]
    peak = {"peak_memory_mib": 900.0, "peak_gpu_memory_mib": None}
    monkeypatch.setattr("seasonrec.training.checkpointing.callbacks.peak_memory", lambda: dict(peak))
    clock = SimpleNamespace(perf_counter=lambda: now_s[0], monotonic=lambda: now_s[0])
    monkeypatch.setattr("seasonrec.training.checkpointing.callbacks.time", clock)

    def watch(until: Event, met: Event) -> None:
        now_s[0] += met[0] == "batch_start"  # every batch takes a second
        if met == until:
            raise Killed

    assert undisturbed.result.earlier_s == 0.0
    for until in (("batch_start", 1, 2), ("batch_start", 2, 1)):
        with pytest.raises(Killed):
            small_run(shop, tmp_path, partial(watch, until))
        now_s[0] += 1000.0  # nobody trains meanwhile
        peak["peak_memory_mib"] = 60.0  # of the next process
    result = small_run(shop, tmp_path).result
    assert result.earlier_s == 15.0, "the last checkpoint was written after step 15"
    assert result.earlier_peaks == {"peak_memory_mib": 900.0, "peak_gpu_memory_mib": None}


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_a_step_of_gathered_batches_takes_as_long_as_all_of_them(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    now_s = [50.0]
    clock = SimpleNamespace(perf_counter=lambda: now_s[0], monotonic=lambda: now_s[0])
    monkeypatch.setattr("seasonrec.training.checkpointing.callbacks.time", clock)

    def watch(met: Event) -> None:
        now_s[0] += met[0] == "batch_start"  # every batch takes a second

    options = replace(OPTIONS, accumulate_batches=accumulate)
    assert small_run(shop, tmp_path, watch, options=options).result.step_ms == 1e3 * accumulate


def test_process_killed_with_9_in_mid_epoch(shop: Shop, undisturbed: SmallRun, tmp_path: Path) -> None:
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent / "support"), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, str(here / "small_runs.py"), str(shop.cache_dir), str(tmp_path)]
    command.append(json.dumps(["batch_start", 1, 4]))
    killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    again = small_run(shop, tmp_path)
    again.curve[0] = undisturbed.curve[0]  # the first epoch's was noted in the killed process
    assert_same_end(again, undisturbed)


def test_checkpoint_that_would_fall_on_the_last_step_of_an_epoch(shop: Shop, tmp_path: Path) -> None:
    options = replace(OPTIONS, checkpoint_every_steps=STEPS)
    expected = small_run(shop, tmp_path / "undisturbed", options=options)
    run = killed_and_started_again(
        shop, tmp_path / "killed", ("validation", 0, 0), ("validation", 1, 0), options=options
    )
    assert_same_end(run, expected)


def test_batches_gathered_into_steps(shop: Shop, tmp_path: Path) -> None:
    options = replace(OPTIONS, accumulate_batches=2, checkpoint_every_steps=1)
    expected = small_run(shop, tmp_path / "undisturbed", options=options)
    assert expected.last["global_step"] == OPTIONS.max_epochs * -(-STEPS // 2)
    stops = (("batch_start", 0, 5), ("batch_end", 1, 4), ("validation", 2, 0))
    assert_same_end(killed_and_started_again(shop, tmp_path / "killed", *stops, options=options), expected)


def test_run_that_had_stopped_early_stays_stopped(shop: Shop, tmp_path: Path) -> None:
    options = replace(OPTIONS, max_epochs=12, patience=1)
    first = small_run(shop, tmp_path, options=options, learning_rate=0.1)
    assert first.result.best_epoch == first.result.epochs - 2 < options.max_epochs - 2
    met: list[Event] = []
    again = small_run(shop, tmp_path, met.append, options, Curve(dict(first.curve)), learning_rate=0.1)
    assert met == []
    assert_same_end(again, first)


def test_best_weights_survive_a_kill_between_them_and_the_last_checkpoint(
    shop: Shop, undisturbed: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = RunCheckpoints._save

    def kill_after_second_epoch(self: RunCheckpoints, trainer: Any) -> None:
        if trainer.is_last_batch and trainer.current_epoch == 1:
            raise Killed
        save(self, trainer)

    monkeypatch.setattr(RunCheckpoints, "_save", kill_after_second_epoch)
    with pytest.raises(Killed):
        small_run(shop, tmp_path)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {
        "last.ckpt",
        "previous.ckpt",
        "digests.json",
        "best_epoch_1.safetensors",
        "best_epoch_2.safetensors",
    }
    monkeypatch.undo()
    assert_same_end(small_run(shop, tmp_path, curve=Curve({0: undisturbed.curve[0]})), undisturbed)


def _ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def test_failed_write_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"step": 1}, tmp_path / "last.ckpt")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises((AttributeError, TypeError, PicklingError)):
        writer.save_checkpoint({"step": 2, "unwritable": lambda: None}, tmp_path / "last.ckpt")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True) == {"step": 1}
    (tmp_path / f".seasonrec-{crc32(node().encode()):08x}-{_ended_process()}-0").mkdir()  # what a kill has left
    writer.save_checkpoint({"step": 3}, tmp_path / "last.ckpt")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True) == {"step": 3}
    assert torch.load(tmp_path / "previous.ckpt", weights_only=True) == {"step": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digests.json", "last.ckpt", "previous.ckpt"]
