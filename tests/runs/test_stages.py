"""A run as a list of stages."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_log import of_table, write_log
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.requests import Requests
from seasonrec.cli.main import main
from seasonrec.runs.finished import load_models, open_finished
from seasonrec.training.module import RecommenderModule

SMALL_BATCHES = ("loader.batch_size=16",)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder)
    return folder


def arguments(files: Path, run_dir: Path, *more: str) -> list[str]:
    return of_table(files, run_dir, "stage=[train,refit]", "trainer.max_epochs=2", *SMALL_BATCHES, *more)


@pytest.fixture(scope="module")
def refitted(files: Path) -> Path:
    assert main(arguments(files, files / "refitted")) == 0
    return files / "refitted"


@pytest.fixture(scope="module")
def trained(files: Path) -> Path:
    assert main(of_table(files, files / "trained", "trainer.max_epochs=2", *SMALL_BATCHES)) == 0
    return files / "trained"


def record_of(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text())


def test_refit_trains_for_the_chosen_epochs_and_is_tested_alike(refitted: Path, trained: Path) -> None:
    chosen, again = (record_of(refitted / "stages" / name) for name in ("train", "refit"))
    assert again["epochs"] == chosen["best_epoch"] + 1
    assert record_of(refitted)["monitored"] == chosen["best_value"] == record_of(trained)["monitored"]
    assert record_of(refitted)["stages"] == ["train", "refit"]
    first, second = (json.loads((folder / "metrics.json").read_text()) for folder in (trained, refitted))
    assert first["fingerprint"] == second["fingerprint"]
    assert first["slices"]["all"]["n"] == second["slices"]["all"]["n"]
    assert first["slices"]["all"]["bits"] != second["slices"]["all"]["bits"]


def test_the_first_stage_is_that_of_a_run_without_refit(refitted: Path, trained: Path) -> None:
    kept = [next((folder / "stages/train/checkpoints").glob("best_epoch_*")) for folder in (refitted, trained)]
    first, second = map(load_file, kept)
    assert all(torch.equal(first[name], second[name]) for name in first | second)


def test_refit_fits_statistics_up_to_the_test_cut(refitted: Path) -> None:
    run = load_models(open_finished(refitted))
    log, split = run.data.log, run.data.split
    assert run.data.spec.train_until_s == split.test_from_s
    before = Requests.of_baskets(log, (log.basket_times_s < split.test_from_s).nonzero()[0])
    events = sum(int(log.basket_offsets[basket + 1] - log.basket_offsets[basket]) for basket in before.baskets)
    assert int(run.facts.item_train_counts.sum()) == events


def test_a_run_killed_in_its_second_stage_skips_the_first_and_ends_alike(
    files: Path, refitted: Path, tmp_path: Path
) -> None:
    step, steps = RecommenderModule.training_step, []

    def counted(module: RecommenderModule, batch: SequenceBatch, batch_idx: int) -> Tensor:
        steps.append(module.run_dir.name)
        if steps.count("refit") == 3 and "killed" not in steps:
            steps.append("killed")
            raise KeyboardInterrupt
        return step(module, batch, batch_idx)

    same = arguments(files, tmp_path, "trainer.checkpoint_every_steps=2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecommenderModule, "training_step", counted)
        with pytest.raises(SystemExit):
            raise SystemExit(main(same))
        assert not (tmp_path / "metrics.json").exists()
        assert main(same) == 0
    after = steps[steps.index("killed") + 1 :]
    assert set(after) == {"refit"}
    first, second = (load_file(folder / "model.safetensors") for folder in (refitted, tmp_path))
    assert all(torch.equal(first[name], second[name]) for name in first | second)


@pytest.mark.parametrize(("stage", "message"), [("[]", "at least one stage"), ("[refit]", "refit comes after train")])
def test_a_wrong_list_is_refused_before_anything_runs(
    files: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], stage: str, message: str
) -> None:
    assert main(of_table(files, tmp_path / "run", f"stage={stage}")) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "run" / "config.yaml").exists()
