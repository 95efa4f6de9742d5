from dataclasses import replace
from pathlib import Path

import pytest

from seasonrec.config import compose
from seasonrec.config.schema import RunConfig
from seasonrec.runs.finished import RunFolderError, read_config, refuse_another_run
from seasonrec.runs.record import write_yaml


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return compose(["data=synthetic", "run_dir=a"])


def _left_by_a_killed_run(folder: Path, config: RunConfig) -> Path:
    write_yaml(folder / "config.yaml", config.as_dict())
    checkpoints = folder / "stages" / "train" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "last.ckpt").touch()
    return folder


def test_a_run_continues_in_its_own_folder_only(config, tmp_path):
    run_dir = _left_by_a_killed_run(tmp_path, config)
    refuse_another_run(run_dir, replace(config, run_dir="elsewhere"))
    changed = replace(config, seed=1, optimizer={**config.optimizer, "learning_rate": 0.1})
    expected = r"another configuration \(optimizer.learning_rate: 0.002 -> 0.1; seed: 0 -> 1\); give the values of then"
    with pytest.raises(RunFolderError, match=expected):
        refuse_another_run(run_dir, changed)


def test_a_folder_without_a_checkpoint_may_be_used_again(config, tmp_path):
    write_yaml(tmp_path / "config.yaml", config.as_dict())
    refuse_another_run(tmp_path, replace(config, seed=1))


def test_a_folder_that_is_no_finished_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match=r"checkpoint must be the folder of a finished run.*has no config.yaml"):
        read_config(tmp_path)


def test_a_file_or_the_folder_of_a_study_is_told_from_a_run(tmp_path):
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(RunFolderError, match=f"got the file {tmp_path}/model.safetensors; give {tmp_path}"):
        read_config(tmp_path / "model.safetensors")
    (tmp_path / "study.json").touch()
    with pytest.raises(RunFolderError, match=r"is the folder of a study; give one of its runs: .*/cells/ROW/seed_N"):
        read_config(tmp_path)


def test_a_run_from_before_a_section_existed_has_that_section_off(config, tmp_path):
    old = {key: value for key, value in config.as_dict().items() if key not in ("adversarial", "task", "stage")}
    write_yaml(tmp_path / "config.yaml", old)
    (tmp_path / "model.safetensors").touch()
    assert read_config(tmp_path) == config
