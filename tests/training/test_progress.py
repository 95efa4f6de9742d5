"""Lines of progress, and the interval of the curves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from small_runs import OPTIONS, small_loader, small_model, small_run
from small_shop import Shop

from seasonrec.training.module import RecommenderModule
from seasonrec.training.progress import LineProgress, log_every

LINE = re.compile(
    r"epoch (\d+) of (\d+): train/next_item ([\d.]+), val/bits ([\d.]+), .*; (\d+) s, at most (\d+) s left, "
    r"learning rate ([\d.e-]+)"
)


def test_the_line_of_an_epoch_holds_its_mean_loss(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: dict[int, list[float]] = {}
    counted = LineProgress.on_train_batch_end

    def watch(self: LineProgress, trainer: L.Trainer, module: RecommenderModule, *rest: Any) -> None:
        losses.setdefault(trainer.current_epoch, []).append(float(module.step_losses["next_item"]))
        counted(self, trainer, module, *rest)

    monkeypatch.setattr(LineProgress, "on_train_batch_end", watch)
    small_run(shop, tmp_path)
    lines = [match.groups() for match in LINE.finditer(capsys.readouterr().out)]
    assert [line[:2] for line in lines] == [(str(k + 1), str(OPTIONS.max_epochs)) for k in range(OPTIONS.max_epochs)]
    for epoch, line in enumerate(lines):
        assert float(line[2]) == pytest.approx(sum(losses[epoch]) / len(losses[epoch]), abs=1e-4)
    rates = [float(line[6]) for line in lines]
    assert rates == sorted(rates, reverse=True)
    assert lines[-1][5] == "0"


@pytest.mark.parametrize(("batches", "accumulate", "expected"), [(5, 1, 1), (399, 1, 19), (5000, 1, 50), (800, 2, 20)])
def test_an_epoch_logs_its_loss_at_least_twenty_times(batches: int, accumulate: int, expected: int) -> None:
    assert log_every(range(batches), accumulate) == expected
    assert log_every(iter(()), accumulate) == 50


def test_the_length_of_a_loader_is_known(shop: Shop) -> None:
    loader = small_loader(shop, small_model(shop))
    assert log_every(loader, 1) == max(1, len(loader) // 20)
