"""Tests that the notebooks run on little generated data and on the committed studies."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from seasonrec.report.rows import Row, read_row
from seasonrec.report.selection import Selection
from seasonrec.report.write import write_report

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
READING = ROOT / "notebooks/01_read_the_first_study.ipynb"
SHOWN = {
    "02_own_data": ("item_id_winter", "TrainedRun"),
    "03_write_a_temporal_module": ("value_own", "TrainedRun"),
    "04_choose_options": ("chosen on validation:",),
    "05_one_request": ("sum of the probabilities:",),
}
"""Words in the output of each notebook."""
COMMITTED = sorted(table.parent for table in ROOT.glob("experiments/*/table.csv"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the folder of a study of two models and a baseline on little generated data."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "report"))
    from made_results import make_run, make_targets, write_run

    targets = make_targets()
    losses = {"personal_recent": (0.3, 0.2), "full": (0.0, 0.0), "no_season": (0.05, 0.3)}
    rows: list[Row] = []
    for name, (loss, season_loss) in losses.items():
        is_baseline = name == "personal_recent"
        folder = tmp_path / ("baselines/personal_recent" if is_baseline else f"cells/{name}/seed_0")
        folder.mkdir(parents=True)
        write_run(folder, make_run(targets, name, 0, loss, season_loss))
        rows.append(read_row(name, is_baseline, [folder]))
    write_report(tmp_path, rows, Selection("small", "Does it run?", ("all", "christmas"), ("ndcg@10", "bits")))
    return tmp_path


def _run_notebook(path: Path) -> str:
    """Executes a notebook and returns its output."""
    notebook = nbformat.read(path, as_version=4)
    context = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources=context).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text", "") + str(output.get("data", "")) for output in outputs)


def test_the_study_is_read_on_little_data(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEASONREC_STUDY", str(study))
    shown = _run_notebook(READING)
    assert f"reading {study}" in shown
    assert "image/png" in shown
    assert "no_season" in shown
    assert "cold_users" in shown


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path != READING], ids=_name)
def test_notebook_runs_on_little_data(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    shown = _run_notebook(path)
    assert [words for words in SHOWN[path.stem] if words not in shown] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_notebook_is_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.outputs or cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("folder", COMMITTED, ids=_name)
def test_notebook_runs_on_the_committed_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEASONREC_STUDY", str(folder))
    assert f"reading {folder}" in _run_notebook(READING)
