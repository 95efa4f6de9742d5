import json
from dataclasses import replace
from pathlib import Path

from seasonrec.ablate.cells import expand
from seasonrec.ablate.launchers import plan
from seasonrec.ablate.state import State, changes, index_baselines, is_complete, stamp, state
from seasonrec.ablate.study import Study, merged

CHANGES = {"no_season": ("season=[]",)}
STUDY = Study("small", "autumn", "?", ("full", "no_season"), (0, 1), ("trainer.max_epochs=3",), changes=CHANGES)
CONFIG = {"name": "full", "seed": 0, "trainer": {"max_epochs": 3}, "run_dir": "here", "data": {"level": "a"}}


def finish(cell) -> None:
    cell.folder.mkdir(parents=True, exist_ok=True)
    (cell.folder / "metrics.json").write_text("{}")


def test_a_study_expands_to_baselines_and_rows_by_seeds():
    cells = expand(STUDY, Path("runs"), ["trainer.max_epochs=1", "data.households=9"])
    assert [cell.label for cell in cells] == [
        "baselines",
        "full seed 0",
        "no_season seed 0",
        "full seed 1",
        "no_season seed 1",
    ]
    assert cells[2].folder == Path("runs/cells/no_season/seed_0")
    assert cells[2].arguments == [
        "train", "experiment=autumn", "trainer.max_epochs=1", "data.households=9", "season=[]", "name='no_season'",
        "seed=0",
        "baselines=false", "group='small'", "run_dir='runs/cells/no_season/seed_0'",
    ]  # fmt: skip
    assert cells[0].arguments[0] == "baselines"
    assert cells[0].arguments[-1] == "run_dir='runs'"


def test_the_row_of_other_seeds_is_the_reference_with_seeds_that_no_cell_has(tmp_path):
    study = replace(STUDY, aa=True, reference="no_season", seeds=(0, 4), robustness=("full",), wrong_dates=(28,))
    cells = expand(study, tmp_path, [])
    trained = [cell for cell in cells if cell.kind == "train"]
    assert [cell.label for cell in trained] == [
        "full seed 0", "no_season seed 0", "aa seed 5", "full seed 4", "no_season seed 4", "aa seed 6",
    ]  # fmt: skip
    reference, other = trained[1:3]
    assert other.folder == tmp_path / "cells" / "aa" / "seed_5"
    renamed = {"name='no_season'": "name='aa'", "seed=0": "seed=5"}
    assert other.overrides == tuple(renamed.get(override, override) for override in reference.overrides)
    assert [cell.label for cell in cells if cell.kind in ("robustness", "counterfactual")] == [
        "full seed 0, robustness", "full seed 4, robustness", "no_season seed 0, counterfactual",
        "no_season seed 4, counterfactual",
    ]  # fmt: skip
    assert [cell for cell in cells if cell.row != "aa"] == expand(replace(study, aa=False), tmp_path, [])


def test_rows_named_for_robustness_are_tried_after_all_training(tmp_path):
    study = replace(STUDY, robustness=("no_season",))
    *trained, first, second = expand(study, tmp_path, [])
    assert trained == expand(STUDY, tmp_path, [])
    assert (first.label, second.label) == ("no_season seed 0, robustness", "no_season seed 1, robustness")
    assert first.arguments == ["robustness", f"checkpoint='{tmp_path}/cells/no_season/seed_0'"]
    assert first.folder == trained[2].folder
    stamp(trained[2], CONFIG)
    finish(trained[2])
    assert (state(trained[2], CONFIG), state(first, CONFIG)) == (State.COMPLETE, State.MISSING)
    (first.folder / "robustness.csv").write_text("")
    assert state(first, CONFIG) is State.COMPLETE
    for launcher in ("local", "joblib"):
        kinds = [cell.kind for job in plan(expand(study, tmp_path, []), launcher, 1) for cell in job.cells]
        assert kinds == ["baselines", *["train"] * 4, *["robustness"] * 2]


def test_the_reference_is_told_wrong_dates_after_all_training(tmp_path):
    study = replace(STUDY, robustness=("no_season",), wrong_dates=(28, 182))
    *trained, first, second = expand(study, tmp_path, [])
    assert trained == expand(replace(study, wrong_dates=()), tmp_path, [])
    assert (first.label, second.label) == ("full seed 0, counterfactual", "full seed 1, counterfactual")
    assert first.arguments == ["counterfactual", f"checkpoint='{tmp_path}/cells/full/seed_0'", "days=[28,182]"]
    stamp(trained[1], CONFIG)
    finish(trained[1])
    assert state(first, CONFIG) is State.MISSING
    first.table.write_text("kind,days\nright,0\nboth,28\n")
    assert state(first, CONFIG) is State.MISSING  # made when the study asked for other dates
    first.table.write_text("kind,days\nright,0\nboth,28\nboth,182\n")
    assert state(first, CONFIG) is State.COMPLETE
    stamp(trained[1], CONFIG)  # trained again
    assert not first.table.exists()
    for launcher in ("local", "joblib"):
        kinds = [cell.kind for job in plan(expand(study, tmp_path, []), launcher, 1) for cell in job.cells]
        assert kinds == ["baselines", *["train"] * 4, *["robustness"] * 2, *["counterfactual"] * 2]


def test_the_second_list_of_overrides_wins():
    assert merged(["a=1", "b=2"], ["b=3", "c=4"]) == ["a=1", "b=3", "c=4"]


def test_a_cell_is_complete_with_its_own_configuration_alone(tmp_path):
    cell = expand(STUDY, tmp_path, [])[1]
    assert state(cell, CONFIG) is State.MISSING
    stamp(cell, CONFIG)
    assert state(cell, CONFIG) is State.MISSING
    finish(cell)
    assert state(cell, CONFIG) is State.COMPLETE
    assert state(cell, {**CONFIG, "run_dir": "elsewhere"}) is State.COMPLETE
    changed = {**CONFIG, "trainer": {"max_epochs": 9}}
    assert state(cell, changed) is State.STALE
    assert changes(cell, changed) == ["trainer.max_epochs: 3 -> 9"]


def test_an_unfinished_cell_of_another_configuration_is_stale(tmp_path):
    cell = expand(STUDY, tmp_path, [])[1]
    stamp(cell, CONFIG)
    assert state(cell, {**CONFIG, "trainer": {"max_epochs": 9}}) is State.STALE


def test_half_written_metrics_do_not_count(tmp_path):
    cell = expand(STUDY, tmp_path, [])[1]
    stamp(cell, CONFIG)
    finish(cell)
    (cell.folder / "metrics.json").write_text('{"name": "fu')
    assert state(cell, CONFIG) is State.MISSING


def test_results_that_nobody_stamped_are_not_taken(tmp_path):
    cell = expand(STUDY, tmp_path, [])[1]
    finish(cell)
    assert state(cell, CONFIG) is State.STALE
    assert "cell.json is missing" in changes(cell, CONFIG)[0]


def test_baselines_depend_on_data_split_and_protocol_alone(tmp_path):
    cell = expand(STUDY, tmp_path, [])[0]
    stamp(cell, CONFIG)
    for name in ("popularity", "personal"):
        (cell.folder / name).mkdir()
        (cell.folder / name / "metrics.json").write_text("{}")
    assert not is_complete(cell)  # the command has not ended: there may be more to come
    index_baselines(cell)
    assert json.loads((cell.folder / "rows.json").read_text()) == {"rows": ["personal", "popularity"]}
    assert state(cell, {**CONFIG, "trainer": {"max_epochs": 9}}) is State.COMPLETE
    assert state(cell, {**CONFIG, "data": {"level": "b"}}) is State.STALE
    (cell.folder / "personal" / "metrics.json").unlink()
    assert not is_complete(cell)
