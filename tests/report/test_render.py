import json
import shutil
import subprocess
from dataclasses import replace

import pytest

from seasonrec.report.costs import Cost, read_cost
from seasonrec.report.render import escape, to_latex, to_markdown
from seasonrec.report.tables import Grid, GridCell, GridRow

NAN = float("nan")


def made_grid(columns: int = 2) -> Grid:
    best = GridCell(0.12345, 0.0021, 4, True, "", 0.0004)
    worse = GridCell(8.4321, 0.05, 3, False, "†")
    empty = GridCell(NAN, NAN, 3, False, "")
    rows = (
        GridRow("recent_7d", True, 1, (worse, empty) * (columns // 2), None),
        GridRow("full", False, 2, (best, worse) * (columns // 2), Cost({"train": 90.0}, 1_234_567, 900.0)),
    )
    slices = ("all", "in_season", "novel", "christmas")[: columns // 2]
    heads = tuple((name, metric) for name in slices for metric in ("ndcg@10", "bits"))
    notes = (
        "Budget: 5% & 3_000 #items.",
        "± is half; † worse.",
        "Made by: seasonrec ablate a_b.yaml $X ~/c {d} e^f \\g.",
    )
    return Grid("my_study", "Is 5% < 10%?", heads, (1234, 56) * (columns // 2), rows, notes)


def test_markdown_shows_values_intervals_marks_and_costs():
    text = to_markdown(made_grid())
    assert "| row | all NDCG@10 ↑ | all bits ↓ | minutes | weights |" in text
    assert "| *targets* | *1,234* | *56* |  |  |" in text
    assert "| recent_7d | 8.432 ±50 † | - |  |  |" in text
    assert "| full | **0.1235** ±21 s 4 | 8.432 ±50 † | 1.5 | 1.23M |" in text
    assert "- Made by: `seasonrec ablate a_b.yaml $X ~/c {d} e^f \\g`" in text


def test_a_study_chooses_its_columns_of_cost(tmp_path):
    record = {"parameters": 8000, "trained_parameters": 200, "checkpoint_bytes": 2_500_000, "peak_memory_mib": 1234.4}
    for seed, step_ms in enumerate((40.0, 50.0)):
        (tmp_path / f"{seed}").mkdir()
        (tmp_path / f"{seed}" / "record.json").write_text(json.dumps({**record, "step_ms": step_ms}))
    cost = read_cost([tmp_path / "0", tmp_path / "1", tmp_path / "without_a_record"])
    grid = made_grid()
    rows = (grid.rows[0], replace(grid.rows[1], cost=cost))
    chosen = ("step", "trained_share", "checkpoint", "memory", "minutes")
    text = to_markdown(replace(grid, rows=rows, costs=chosen))
    assert "| all bits ↓ | ms a step | trained % | file MB | memory MiB |\n" in text, "minutes were not recorded"
    assert "† | 45 | 2.5 | 2.50 | 1,234 |" in text


def test_latex_has_rules_and_blocks():
    text = to_latex(made_grid())
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]
    assert r"\multicolumn{2}{c}{all}" in text
    assert r"\cmidrule(lr){2-3}" in text
    assert r"\textbf{0.1235}" in text
    assert r"recent\_7d & 8.432\rlap{\textsuperscript{$\dagger$}} & --" in text
    assert r"\resizebox" not in text
    assert r"\resizebox{\textwidth}" in to_latex(made_grid(8))


def test_latex_escapes_every_special_letter():
    assert escape("a_b 5% & #1 {x} $y ~z ^w \\v <u>") == (
        r"a\_b 5\% \& \#1 \{x\} \$y \textasciitilde{}z \textasciicircum{}w \textbackslash{}v \textless{}u\textgreater{}"
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex with booktabs")
@pytest.mark.parametrize("columns", [2, 8])
def test_latex_compiles_without_overflow(tmp_path, columns):
    document = r"\documentclass[twocolumn]{article}\usepackage{booktabs,graphicx}\begin{document}" + "\n"
    (tmp_path / "paper.tex").write_text(document + to_latex(made_grid(columns)) + r"\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout
