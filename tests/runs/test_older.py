"""A folder that version 0.1.0 left: its seasons stood inside one, and its modules lay elsewhere."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from small_shop import Shop

from seasonrec.cli.main import main
from seasonrec.config import compose
from seasonrec.errors import UserError
from seasonrec.models.season.calendar import CalendarSeason
from seasonrec.models.season.momentum import MomentumSeason
from seasonrec.models.season.seasons import Seasons
from seasonrec.runs.older import upgraded

OLD = Path(__file__).with_name("run_of_0_1_0")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = shutil.copytree(OLD, tmp_path / "old")
    path = folder / "config.yaml"
    path.write_text(path.read_text().replace("cache_dir: null", f"cache_dir: {tmp_path / 'cache'}"))
    return folder


def test_an_old_run_is_evaluated_to_the_last_digit(old: Path, tmp_path: Path) -> None:
    """Checks that the numbers are those of the old run, but for one basket with an item that was never sold before it.

    That item was a candidate of its own basket, of May and of Memorial Day. The fingerprint says that the rules differ.
    """
    assert main(["evaluate", f"checkpoint={old}", f"output={tmp_path / 'again'}"]) == 0
    before, now = (json.loads((folder / "metrics.json").read_text()) for folder in (old, tmp_path / "again"))
    assert set(now.pop("groups")) == {"own", "hot", "young", "sold", "last_year"}  # younger than the run
    assert now["unavailable"] == 1
    assert now["fingerprint"] != before["fingerprint"]
    slices = {name: (before["slices"][name], found) for name, found in now["slices"].items()}
    changed = {name for name, (old_value, found) in slices.items() if old_value != found}
    assert changed == {"all", "memorial_day", "month_05", "novel", "repeat", "cold_items", "tail"}
    assert all(old_value["n"] == found["n"] for old_value, found in slices.values())
    assert now["slices"]["ordinary"]["n"] > 50


def test_a_season_by_itself_becomes_a_list_of_one() -> None:
    momentum = {"_target_": "seasonrec.models.season.momentum.MomentumSeason", "windows_days": [7]}
    assert upgraded({"season": momentum})["season"] == {"momentum": momentum}
    assert upgraded({"season": {"_target_": "seasonrec.models.season.none.NoSeason"}})["season"] is None
    assert compose(["season=[]"]).season is None


def test_the_weights_of_a_season_by_itself_are_read(shop: Shop) -> None:
    alone = MomentumSeason(facts=shop.facts())
    with torch.no_grad():
        alone.weight.fill_(0.25)
    listed = Seasons({"momentum": MomentumSeason(facts=shop.facts())})
    listed.load_state_dict(alone.state_dict())
    for name, value in alone.state_dict().items():
        assert torch.equal(listed.state_dict()[f"momentum.{name}"], value), name


def test_the_weights_of_a_momentum_that_reads_no_unsold_items_have_zeros_for_them(shop: Shop) -> None:
    listed = Seasons({"momentum": MomentumSeason(facts=shop.facts())})
    weights = {
        name: torch.randn_like(value)[..., :4] if value.dim() == 1 else torch.randn_like(value)[:4]
        for name, value in listed.state_dict().items()
    }
    listed.load_state_dict({name: value.clone() for name, value in weights.items()})
    for name, value in listed.state_dict().items():
        assert torch.equal(value[:4], weights[name])
        assert not value[4:].any()
        assert len(value) == 5


def test_the_weights_of_a_calendar_with_other_features_are_refused(shop: Shop) -> None:
    listed = Seasons({"calendar": CalendarSeason(facts=shop.facts())})
    weights = listed.state_dict()
    del weights["calendar.own_affinity.weight"]
    weights["calendar.condition.weight"] = torch.nn.functional.pad(weights["calendar.condition.weight"], (0, 1))
    with pytest.raises(UserError, match=r"are of version 0\.1\.0, .* with temporal=last_visit"):
        listed.load_state_dict(weights)
