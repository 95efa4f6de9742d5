"""Measurements of the tasks' gradients, which change no result."""

from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from balancing_by_hand import BATCHES, module_of, train
from lightning.pytorch.strategies import ModelParallelStrategy
from small_runs import small_run
from small_shop import Shop
from small_tasks import SMALL_TASKS

from seasonrec.models.habit.none import NoHabit
from seasonrec.models.temporal.none import NoTemporal
from seasonrec.training.balancing.fixed import FixedBalancing
from seasonrec.training.fit import TrainerOptions
from seasonrec.training.interference import TaskInterference, cosines
from seasonrec.training.objective import Objective

SHORT = TrainerOptions(max_epochs=1)
PARTS: dict[str, Any] = {"temporal": NoTemporal, "season": {}, "habit": NoHabit, "options": SHORT}


def measured(path: Path) -> pl.DataFrame:
    return pl.read_csv(path / "interference.csv")


def quadratic(run_dir: Path, every: int, accumulate: int = 1, epochs: int = 2) -> pl.DataFrame:
    module = module_of(FixedBalancing, run_dir)
    module.objective = Objective(interference_every_steps=every)
    train(module, epochs, accumulate, None)
    return measured(run_dir)


def test_cosines_are_those_of_the_gradients_by_the_shared_weights(tmp_path: Path) -> None:
    """Returns the values of the first step from the initial weights; the tasks share a matrix and a bias."""
    whole = quadratic(tmp_path, 1)
    found = whole.filter(step=0)
    module = module_of(FixedBalancing, tmp_path)
    losses = module.losses(SimpleNamespace(values=torch.from_numpy(BATCHES[0])))
    rows = {}
    for name, loss in {**losses.tasks, **losses.series}.items():
        pieces = torch.autograd.grad(loss, [module.model.matrix, module.model.bias], retain_graph=True)
        rows[name] = np.concatenate([piece.numpy().ravel() for piece in pieces])
    expected = {
        (one, other): rows[one] @ rows[other] / np.linalg.norm(rows[one]) / np.linalg.norm(rows[other])
        for one, other in combinations(rows, 2)
    }
    told = {(line["task_a"], line["task_b"]): line["cosine"] for line in found.iter_rows(named=True)}
    assert list(told) == [("next_item", "spend"), ("next_item", "demand"), ("spend", "demand")]
    assert told == pytest.approx(expected, abs=1e-6)
    assert whole["cosine"].min() < 0 < whole["cosine"].max()


def test_it_is_measured_every_so_many_steps(tmp_path: Path) -> None:
    found = quadratic(tmp_path / "one", 3)  # five steps an epoch
    assert found["step"].unique().sort().to_list() == [0, 3, 6, 9]
    assert dict(found.select("step", "epoch").unique().iter_rows()) == {0: 1, 3: 1, 6: 2, 9: 2}
    gathered = quadratic(tmp_path / "two", 1, accumulate=2, epochs=1)  # three steps: once each, not once a batch
    assert gathered["step"].to_list() == [0] * 3 + [1] * 3 + [2] * 3
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["interference.csv"]


def test_measuring_changes_nothing(shop: Shop, tmp_path: Path) -> None:
    """Checks with dropout, where one more forward pass would change the random numbers."""
    runs = {}
    for every in (0, 2):
        training = {"objective": Objective(interference_every_steps=every)}
        runs[every] = small_run(shop, tmp_path / str(every), task=SMALL_TASKS, training=training, **PARTS)
    assert runs[0].curve == runs[2].curve
    for name, weight in runs[0].weights.items():
        assert torch.equal(runs[2].weights[name], weight), name
    assert not (tmp_path / "0" / "interference.csv").exists()
    found = measured(tmp_path / "2")
    assert found.columns == ["epoch", "step", "task_a", "task_b", "cosine"]
    assert found["cosine"].is_between(-1, 1).all()
    assert found.height == 4 * 3
    assert found["cosine"].n_unique() == found.height


def test_a_task_that_says_nothing_is_left_out() -> None:
    products = torch.tensor([[4.0, 0.0, -3.0], [0.0, 0.0, 0.0], [-3.0, 0.0, 9.0]])
    assert cosines(("next_item", "spend", "search"), products) == {("next_item", "search"): pytest.approx(-0.5)}


def test_what_was_measured_is_part_of_a_checkpoint(tmp_path: Path) -> None:
    one, other = (TaskInterference(1, tmp_path / "interference.csv") for _ in range(2))
    one.lines = [(1, 0, "next_item", "spend", 0.25)]
    other.load_state_dict(one.state_dict())
    assert other.lines == one.lines


def test_one_task_alone_and_shared_out_weights_are_refused(shop: Shop, tmp_path: Path) -> None:
    training = {"objective": Objective(interference_every_steps=5)}
    with pytest.raises(
        ValueError, match=r"needs at least two, got next_item alone; add one with task=\[\.\.\.\], or set"
    ):
        small_run(shop, tmp_path, training=training, **PARTS)
    module = module_of(FixedBalancing, tmp_path)
    strategy = object.__new__(ModelParallelStrategy)
    trainer: Any = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=None), strategy=strategy)
    with pytest.raises(ValueError, match=r"got trainer\.strategy=fsdp; choose trainer\.strategy=ddp, or set objective"):
        TaskInterference(1, tmp_path / "i.csv").on_fit_start(trainer, module)


def test_negative_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"interference_every_steps must be at least 0, got -1; try 0"):
        Objective(interference_every_steps=-1)
