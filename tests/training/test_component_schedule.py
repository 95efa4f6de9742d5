"""Components that follow the training: the progress that they are told, with accumulation and after a kill."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import OPTIONS, Event, Killed, small_run
from small_shop import Shop
from torch import nn

from seasonrec.models.temporal.none import NoTemporal
from seasonrec.models.temporal.vae import VAETemporal
from seasonrec.training.component_schedule import ComponentSchedule

Growth = dict[tuple[int, int], float]
"""Growth of the weight at each epoch and batch."""


def growth_of(shop: Shop, run_dir: Path, accumulate: int = 1, kill_at: Event | None = None, **options: Any) -> Growth:
    made: list[VAETemporal] = []
    noted: Growth = {}

    def make(**facts: Any) -> VAETemporal:
        made.append(VAETemporal(**options, **facts))
        return made[-1]

    def watch(event: Event) -> None:
        if event == kill_at:
            raise Killed
        if event[0] == "batch_start":
            noted[event[1:]] = made[-1].growth.item()

    trainer = replace(OPTIONS, max_epochs=2, accumulate_batches=accumulate, checkpoint_every_steps=1)
    try:
        small_run(shop, run_dir, watch, trainer, temporal=make)
    except Killed:
        assert kill_at
    return noted


@pytest.mark.parametrize("accumulate", [1, 2])
def test_weight_grows_linearly_by_the_optimisers_steps(shop: Shop, tmp_path: Path, accumulate: int) -> None:
    noted = growth_of(shop, tmp_path, accumulate)
    batches = len(noted) // 2
    steps = -(-batches // accumulate)
    for (epoch, batch), growth in noted.items():
        done = epoch * steps + batch // accumulate
        assert growth == pytest.approx(min(1.0, done / (2 * steps) / 0.5), rel=1e-6)
    assert noted[0, 0] == 0.0
    assert noted[1, 0] == 1.0


def test_killed_run_continues_at_the_same_weight(shop: Shop, tmp_path: Path) -> None:
    expected = growth_of(shop, tmp_path / "undisturbed", annealing_share=1.0)
    growth_of(shop, tmp_path / "killed", annealing_share=1.0, kill_at=("batch_start", 1, 3))
    rest = growth_of(shop, tmp_path / "killed", annealing_share=1.0)
    assert min(rest) == (1, 3)
    assert rest == {place: growth for place, growth in expected.items() if place >= (1, 3)}


def test_share_of_0_has_all_of_the_weight_from_the_start(shop: Shop, tmp_path: Path) -> None:
    assert set(growth_of(shop, tmp_path, annealing_share=0.0).values()) == {1.0}


def test_only_components_that_follow_the_training_are_told(shop: Shop) -> None:
    facts = shop.facts()
    assert ComponentSchedule.of(nn.ModuleList([NoTemporal(facts=facts), nn.Linear(2, 2)])) == []
    assert len(ComponentSchedule.of(nn.ModuleList([VAETemporal(facts=facts), VAETemporal(facts=facts)]))) == 1


def test_growth_is_no_part_of_the_weights(shop: Shop) -> None:
    make = partial(VAETemporal, facts=shop.facts())
    module = make()
    module.at_progress(0.1)
    assert "growth" not in module.state_dict()
    other = make()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.growth, torch.ones(()))
