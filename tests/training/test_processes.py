"""Training of one model in two real processes, against one process."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import torch
from failing_work import die_where_the_other_waits, refuse_in_the_first
from shared_runs import (
    DDP,
    VALUES,
    WITHOUT_DROPOUT,
    scorer_of,
    train_and_evaluate,
)
from small_runs import OPTIONS, small_loader, small_model, small_run
from small_shop import Shop
from test_resume import assert_equal_trees

from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import TrainingLoader
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import evaluate
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.training.checkpointing.checkpoints import best_weights
from seasonrec.training.checkpointing.weights import load_weights
from seasonrec.training.distributed.children import ProcessError, _wait_for_start
from seasonrec.training.distributed.processes import RunProcesses, run_everywhere
from seasonrec.training.fit import TrainerOptions

Ranks = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder with the results of both processes."""
    path = tmp_path_factory.mktemp("two")
    threads = torch.get_num_threads()
    run_everywhere(partial(train_and_evaluate, shop.cache_dir, path), devices=2, num_nodes=1, on_gpu=False)
    torch.set_num_threads(threads)
    return path


@pytest.fixture(scope="module")
def ranks(folder: Path) -> Ranks:
    return [torch.load(folder / f"rank_{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def alone(shop: Shop, folder: Path) -> Any:
    """Trains in one process with the same batches in turns, two per step."""
    options = replace(OPTIONS, max_epochs=2, accumulate_batches=2)
    run_dir = folder / "alone"
    return small_run(shop, run_dir, options=options, make_loader=_in_turns, **WITHOUT_DROPOUT)


def _in_turns(shop: Shop, model: SeasonalRecommender, seed: int) -> TrainingLoader:
    loader = small_loader(shop, model, seed)
    return TrainingLoader(loader.builder, loader.source.baskets, loader.options, ROLLING, seed, step_batches=2)  # type: ignore[attr-defined]


def test_the_processes_are_two(ranks: Ranks) -> None:
    assert [found["shard"] for found in ranks] == [(0, 2), (1, 2)]
    assert not RunProcesses.detect(), "nothing is left behind"


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_train_what_one_does(ranks: Ranks, alone: Any, strategy: str) -> None:
    kept = ranks[0][strategy]["kept"]
    assert kept["global_step"] == alone.last["global_step"]
    for name, weight in alone.last["state_dict"].items():
        torch.testing.assert_close(kept["state_dict"][name], weight, rtol=1e-5, atol=1e-6, msg=name)


def test_ranks_hold_equal_weights(ranks: Ranks) -> None:
    for run in ("ddp", "ddp left alone", "ddp killed"):
        assert ranks[0][run]["weights"].keys() == ranks[1][run]["weights"].keys() != set()
        assert_equal_trees(ranks[0][run]["weights"], ranks[1][run]["weights"])


def test_validation_is_the_same_on_all_ranks_and_in_one_process(ranks: Ranks, alone: Any) -> None:
    for strategy in ("ddp", "fsdp"):
        first, second = (found[strategy]["curve"] for found in ranks)
        assert first == second
        assert ranks[0][strategy]["best"] == ranks[1][strategy]["best"]
        for epoch, metrics in alone.curve.items():
            assert first[epoch] == pytest.approx(metrics, rel=1e-4)


def test_means_count_every_value_once(ranks: Ranks) -> None:
    """Checks eleven values in two processes, an odd number that cannot be halved."""
    expected = float(torch.cat(VALUES).mean())
    assert [found["mean"] for found in ranks] == pytest.approx([expected] * 2, rel=1e-7)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_killed_processes_end_where_those_left_alone_end(ranks: Ranks, strategy: str) -> None:
    for found in ranks:
        expected, killed = found[f"{strategy} left alone"], found[f"{strategy} killed"]
        assert killed["curve"] == expected["curve"]
        assert killed["best"] == expected["best"]
        assert_equal_trees(killed["kept"], expected["kept"])
        assert_equal_trees(killed["weights"], expected["weights"])


def test_every_process_drops_at_places_of_its_own(ranks: Ranks) -> None:
    assert ranks[0]["drawn"] != ranks[1]["drawn"]


def test_one_checkpoint_holds_both_processes(folder: Path) -> None:
    for name in ("ddp", "fsdp"):
        files = sorted(path.name for path in (folder / name / "checkpoints").iterdir())
        assert re.fullmatch(r"best_epoch_\d\.safetensors", files[0])
        assert files[1:] == ["digests.json", "last.ckpt", "previous.ckpt"]
        last = torch.load(folder / name / "checkpoints" / "last.ckpt", weights_only=True)
        states = [rank["cpu"] for rank in last["callbacks"]["RandomState"]["ranks"]]
        assert len(states) == 2
        assert not torch.equal(*states)


def test_evaluation_counts_are_those_of_one_process(shop: Shop, folder: Path, ranks: Ranks) -> None:
    model = small_model(shop, **WITHOUT_DROPOUT)
    load_weights(best_weights(folder / "ddp" / "checkpoints", ranks[0]["ddp"]["best"][0]), model)
    one = evaluate(scorer_of(shop, model), shop.log, shop.split, Protocol(), chunk=9)
    assert pl.read_parquet(folder / "results.parquet").equals(one)


def test_fsdp_leaves_the_weights_that_ddp_leaves(shop: Shop, folder: Path, ranks: Ranks) -> None:
    models = []
    for name in ("ddp", "fsdp"):
        models.append(small_model(shop, **WITHOUT_DROPOUT))
        load_weights(best_weights(folder / name / "checkpoints", ranks[0][name]["best"][0]), models[-1])
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("work", "error", "message"),
    [
        (die_where_the_other_waits, ProcessError, r"process 1 of the run ended with exit code 7; .* to continue from"),
        (refuse_in_the_first, ValueError, r"data\.events must name a file that exists"),
    ],
)
def test_failure_of_one_process_ends_the_run(
    work: Callable[[Shard], None], error: type[Exception], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=message):
        run_everywhere(work, devices=2, num_nodes=1, on_gpu=False)
    assert "Traceback" not in capfd.readouterr().err, "the other one does not complain about the lost connection"


def test_a_process_that_ends_before_it_is_connected_is_told(tmp_path: Path) -> None:
    begun, ended = (SimpleNamespace(exitcode=code, sentinel=os.pipe()[0]) for code in (None, 1))
    (tmp_path / "1").touch()
    _wait_for_start([begun], tmp_path)
    with pytest.raises(ProcessError, match=r"process 2 of the run ended with exit code 1"):
        _wait_for_start([begun, ended], tmp_path)


def test_one_device_is_this_process_alone() -> None:
    met: list[Shard] = []
    run_everywhere(met.append, devices=1, num_nodes=1, on_gpu=False)
    assert met == [WHOLE]


def test_several_machines_need_a_launcher() -> None:
    with pytest.raises(
        ValueError, match=r"trainer\.num_nodes=2 needs a process for each device .* torchrun --nnodes 2"
    ):
        run_everywhere(print, devices=1, num_nodes=2, on_gpu=False)


def test_launcher_and_options_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4", "RANK": "0", "GROUP_RANK": "0", "LOCAL_RANK": "0"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for devices in (1, 2):
        with pytest.raises(
            ValueError, match=rf"started in 4 processes, but trainer\.devices={devices} and .*num_nodes=1"
        ):
            run_everywhere(print, devices=devices, num_nodes=1, on_gpu=False)


def test_a_checkpoint_of_two_processes_is_not_for_one(shop: Shop, folder: Path, ranks: Ranks) -> None:
    with pytest.raises(ValueError, match=r"needs as many processes as before, 2, got 1; set trainer\.devices"):
        small_run(shop, folder / "ddp", options=replace(DDP, devices=1), **WITHOUT_DROPOUT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "fsdp"}, r"trainer\.strategy=fsdp .* needs more than one, got trainer\.devices=1; raise"),
        ({"devices": 0}, r"trainer\.devices must be at least 1, got 0"),
        ({"num_nodes": 0}, r"trainer\.num_nodes must be at least 1, got 0"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainerOptions(**options)


def test_a_machine_with_too_few_gpus_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    TrainerOptions(accelerator="gpu").check_machine()
    TrainerOptions(devices=2).check_machine()
    message = r"trainer\.accelerator=gpu with trainer\.devices=2 needs as many GPUs .* found 1; choose trainer=cpu"
    with pytest.raises(ValueError, match=message):
        TrainerOptions(accelerator="gpu", devices=2).check_machine()
