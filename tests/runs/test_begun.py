"""Folders of begun runs and walks: nothing goes on with another configuration, or without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from seasonrec.commands.adapt import _take
from seasonrec.config import Composer, ConfTree, compose
from seasonrec.digests import DamagedError, seal
from seasonrec.runs.finished import RunFolderError, refuse_another_run
from seasonrec.runs.record import write_json, write_yaml

CONFIG = compose(["data=synthetic"])


def begun(run_dir: Path, left: str) -> Path:
    write_yaml(run_dir / "config.yaml", CONFIG.as_dict())
    seal(run_dir, ["config.yaml"], afresh=True)
    path = run_dir / left
    path.parent.mkdir(parents=True)
    path.touch()
    return run_dir


@pytest.mark.parametrize("left", ["checkpoints/last.ckpt", "checkpoints/best_epoch_1.safetensors", "record.json"])
def test_a_run_goes_on_with_its_own_configuration_alone(tmp_path: Path, left: str) -> None:
    run_dir = begun(tmp_path / "run", f"stages/train/{left}")
    refuse_another_run(run_dir, CONFIG)
    other = replace(CONFIG, trainer={**CONFIG.trainer, "devices": 2})
    with pytest.raises(RunFolderError, match=r"\(trainer\.devices: 1 -> 2\); give the values of then to go on, choose"):
        refuse_another_run(run_dir, other)
    (run_dir / "config.yaml").unlink()
    for config in (CONFIG, other):
        with pytest.raises(
            DamagedError, match=r"config\.yaml is missing; without it nobody knows how the weights were"
        ):
            refuse_another_run(run_dir, config)
    (run_dir / "digests.json").unlink()
    with pytest.raises(DamagedError, match=r"config\.yaml is missing"):
        refuse_another_run(run_dir, CONFIG)


def test_a_folder_without_weights_can_be_begun(tmp_path: Path) -> None:
    run_dir = begun(tmp_path / "run", "stages/train/nonfinite_batch.json")
    (run_dir / "config.yaml").unlink()
    refuse_another_run(run_dir, CONFIG)


@pytest.mark.parametrize("left", ["origins/2017-10-01.json", "updates/2017-10-01/checkpoints"])
def test_a_walk_goes_on_with_its_own_configuration_alone(tmp_path: Path, left: str) -> None:
    composer = Composer(ConfTree.of(), "adapt", "seasonrec.config.schema.AdaptConfig")
    options = composer.compose(["checkpoint=run"])
    _take(tmp_path, options)
    write_json(tmp_path / left, {})
    _take(tmp_path, options)
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(DamagedError, match=r"config\.yaml is missing; it says how the walk was begun: bring it back"):
        _take(tmp_path, options)
