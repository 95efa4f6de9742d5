from pathlib import Path

import pytest

from seasonrec.config import compose
from seasonrec.config.schema import SLOTS_WITH_LATER_DEFAULTS
from seasonrec.runs.finished import RunFolderError, read_config, refuse_another_run
from seasonrec.runs.record import write_yaml

CONFIG = {"name": "full", "seed": 0, "run_dir": "a", "optimizer": {"learning_rate": 0.002}}
CONFIG |= {slot: compose([])[slot] for slot in SLOTS_WITH_LATER_DEFAULTS}


def _left_by_a_killed_run(folder: Path) -> Path:
    write_yaml(folder / "config.yaml", CONFIG)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    return folder


def test_a_run_goes_on_in_its_own_folder_only(tmp_path):
    run_dir = _left_by_a_killed_run(tmp_path)
    refuse_another_run(run_dir, {**CONFIG, "run_dir": "elsewhere"})
    changed = {**CONFIG, "seed": 1, "optimizer": {"learning_rate": 0.1}}
    expected = r"another configuration \(optimizer.learning_rate: 0.002 -> 0.1; seed: 0 -> 1\); choose another run_dir"
    with pytest.raises(RunFolderError, match=expected):
        refuse_another_run(run_dir, changed)


def test_a_folder_without_a_checkpoint_may_be_used_again(tmp_path):
    write_yaml(tmp_path / "config.yaml", CONFIG)
    refuse_another_run(tmp_path, {**CONFIG, "seed": 1})


def test_a_folder_that_is_no_finished_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match=r"checkpoint must be the folder of a finished run.*has no config.yaml"):
        read_config(tmp_path)


def test_a_run_from_before_a_section_existed_is_one_with_that_section_off(tmp_path):
    old = {key: value for key, value in CONFIG.items() if key not in ("adversarial", "task")}
    write_yaml(tmp_path / "config.yaml", old)
    (tmp_path / "model.safetensors").touch()
    config = read_config(tmp_path)
    assert config["adversarial"]["_target_"].endswith("NoAdversarial")
    assert config["task"] is None
    assert {key: config[key] for key in old} == old
