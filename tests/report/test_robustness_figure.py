from pathlib import Path

import matplotlib.image
import polars as pl
import pytest

from seasonrec.report.errors import ReportError
from seasonrec.report.robustness import read_trials, robustness_curves, robustness_figure

KINDS = {"clean": (0.0,), "adversarial": (0.1, 0.4), "random": (0.1, 0.4), "swap": (0.5,), "drop": (0.5, 1.0)}


def write_run(folder: Path, name: str, seed: int, loss: float, **changed: object) -> Path:
    lines = [
        {
            "name": name,
            "seed": seed,
            "fingerprint": "0123456789012345",
            "kind": kind,
            "target": "inputs" if kind in ("adversarial", "random") else None,
            "size": size,
            "ndcg@10": 0.4 - loss * size - 0.01 * seed,
            "bits": 5.0 + size,
            "requests": 100,
        }
        | changed
        for kind, sizes in KINDS.items()
        for size in sizes
    ]
    path = folder / f"{name}_{seed}.csv"
    pl.DataFrame(lines).write_csv(path)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "runs"
    folder.mkdir()
    losses = {"full": 0.3, "fgm_adversarial": 0.1}
    return [write_run(folder, name, seed, loss) for name, loss in losses.items() for seed in (0, 1, 2)]


def test_curves_are_means_over_seeds_and_begin_with_the_clean_ranking(files: list[Path]) -> None:
    curves = robustness_curves(read_trials(files), "ndcg@10")
    one = curves.filter(name="full", kind="adversarial")
    assert one["size"].to_list() == [0.0, 0.1, 0.4]
    assert one["value"].to_list() == pytest.approx([0.39, 0.36, 0.27])
    assert one["low"].to_list() == pytest.approx([0.38, 0.35, 0.26])
    assert one["high"].to_list() == pytest.approx([0.40, 0.37, 0.28])
    assert curves["seeds"].unique().to_list() == [3]
    assert curves.filter(kind="drop", name="full")["size"].to_list() == [0.0, 0.5, 1.0]
    assert "shuffle" not in curves["kind"]


def test_the_figure_is_drawn_and_comes_out_the_same_twice(files: list[Path], tmp_path: Path) -> None:
    curves = robustness_curves(read_trials(files), "ndcg@10")
    png, pdf = robustness_figure(tmp_path / "one", curves, "ndcg@10")
    image = matplotlib.image.imread(png)
    assert min(image.shape[:2]) > 300
    assert (image[..., :3].min(axis=2) < 0.9).mean() > 0.01
    assert pdf.read_bytes().startswith(b"%PDF")
    again, _ = robustness_figure(tmp_path / "two", curves, "ndcg@10")
    assert again.read_bytes() == png.read_bytes()


@pytest.mark.parametrize(("column", "value"), [("fingerprint", "another"), ("requests", 7), ("target", "text")])
def test_runs_that_do_not_compare_are_refused(files: list[Path], tmp_path: Path, column: str, value: object) -> None:
    odd = write_run(tmp_path, "odd", 0, 0.1, **{column: value})
    with pytest.raises(ReportError, match=rf"must share their {column}, got .*odd_0.csv: \[.*{value}.*\]; run them"):
        read_trials([*files, odd])


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"needs at least one robustness\.csv, got none"):
        read_trials([])
    with pytest.raises(ReportError, match=r"no robustness table at .*gone\.csv; run seasonrec robustness checkpoint="):
        read_trials([tmp_path / "gone.csv"])
    pl.DataFrame({"name": ["full"], "kind": ["clean"]}).write_csv(tmp_path / "half.csv")
    with pytest.raises(ReportError, match=r"half\.csv lacks seed, fingerprint, target, .*; run seasonrec"):
        read_trials([tmp_path / "half.csv"])
