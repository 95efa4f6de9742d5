"""Tests that the notebooks run on little generated data and on the committed studies."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

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


def _run(runs: list[tuple[Path, dict[str, str]]]) -> list[str]:
    """Executes notebooks, each with its environment, one after the other in one process; returns their outputs."""
    whole, lengths = new_notebook(), []
    for path, environment in runs:
        begin = f"%reset -f\nimport os, tempfile\nos.environ |= {environment!r}\ntempfile.tempdir = None\n%reset -f"
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        whole.cells += [new_code_cell(begin), *cells]
        lengths.append(1 + len(cells))
    context = {"metadata": {"path": str(READING.parent)}}
    NotebookClient(whole, timeout=240, kernel_name="python3", resources=context).execute()
    left = iter(whole.cells)
    outputs = [[output for cell in islice(left, length) for output in cell.outputs] for length in lengths]
    return ["\n".join(output.get("text", "") + str(output.get("data", "")) for output in own) for own in outputs]


def test_notebooks_run(study: Path, tmp_path: Path) -> None:
    """On little data, the first also on the committed studies; one process imports torch once for all."""
    studies = [study, *COMMITTED]
    others = [path for path in NOTEBOOKS if path != READING]
    own_folders = [tmp_path / path.stem for path in others]
    for folder in own_folders:
        folder.mkdir()
    runs = [(READING, {"SEASONREC_STUDY": str(folder)}) for folder in studies]
    runs += [(path, {"TMPDIR": str(folder)}) for path, folder in zip(others, own_folders, strict=True)]
    shown = _run(runs)
    for folder, output in zip(studies, shown, strict=False):
        assert f"reading {folder}" in output
    assert [words for words in ("image/png", "no_season", "cold_users") if words not in shown[0]] == []
    for path, output in zip(others, shown[len(studies) :], strict=True):
        assert [words for words in SHOWN[path.stem] if words not in output] == []
    assert all(any(folder.iterdir()) for folder in own_folders), "each wrote into its own temporary folder"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_notebook_is_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.outputs or cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
