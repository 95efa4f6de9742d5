"""A study of one small run, with a walk and caches, and every way to damage one of its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from random import Random

import torch

from seasonrec import digests
from seasonrec.ablate import entry
from seasonrec.ablate.cells import BASELINES, Cell
from seasonrec.ablate.state import changes, index_baselines, is_complete, stamp
from seasonrec.ablate.study import Study, StudyError
from seasonrec.cli.main import main
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.digests import seal
from seasonrec.errors import UserError
from seasonrec.models.language import text_vectors
from seasonrec.report.per_user import read_sums, write_sums
from seasonrec.report.rows import read_row
from seasonrec.report.walks import read_walks, walk_folders
from seasonrec.runs.finished import load_models, open_finished, read_config, refuse_another_run
from seasonrec.runs.stages.base import finished_record
from seasonrec.runs.trained import TrainedRun
from seasonrec.runs.walk.rows import read_row_of
from seasonrec.training.checkpointing.checkpoints import checked_best
from seasonrec.training.checkpointing.last import resumable

SMALL = (
    "data=synthetic", "data.num_users=24", "data.num_items=30", "data.num_days=560", "data.visits_per_week=0.9",
    "data.first_date=2016-06-01", "embedding_dim=16", "max_seq_len=12", "trainer.max_epochs=1",
    "trainer.num_threads=1", "item_encoder=id", "season=[momentum]", "loader.batch_size=16", "logger=none",
    "baselines=false", "trainer.checkpoint_every_steps=8",
)  # fmt: skip
TEXTS = ("turkey", "christmas lights", "milk")
KINDS = ("flip", "cut", "empty", "zeros", "folder", "other", "gone")
STUDY = Study("small", ("a=b",), "Is it intact?", ("full",), (0,), baselines=False)


@dataclass(frozen=True)
class Made:
    """What is damaged: a study's folder, its cell, a walk, caches, and a second run, whose files are put in place."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "study"

    @property
    def run(self) -> Path:
        return self.study / "cells" / "full" / "seed_0"

    @property
    def walk(self) -> Path:
        return self.run / "adaptation" / "static"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def other(self) -> Path:
        return self.root / "other"

    @property
    def cell(self) -> Cell:
        return Cell("full", 0, self.run, self.run, (), "small")

    @property
    def baselines(self) -> Cell:
        return Cell(BASELINES, 0, self.study / BASELINES, self.study, (), "small", "baselines")


def make(root: Path) -> Made:
    """Trains two runs, walks with the first, and makes a study of it."""
    made = Made(root)
    for seed, run_dir in ((0, made.run), (1, made.other)):
        assert main(["train", *SMALL, f"seed={seed}", f"cache_dir={made.cache}", f"run_dir={run_dir}"]) == 0
    stamp(made.cell, {"seed": 0})
    seal(made.run, ["cell.json"])
    assert main(["adapt", f"checkpoint={made.run}", "adaptation=static", "until=2017-10-20"]) == 0
    entry._keep(made.study, {"command": "", "overrides": [], "study": asdict(STUDY)})
    write_sums(made.study / "per_user.parquet", "small", [read_row("full", False, [made.run])], [("all", "bits")])
    seal(made.study, ["per_user.parquet"])
    shutil.copytree(made.other, made.baselines.folder / "popularity")
    index_baselines(made.baselines)
    vectors(made)
    return made


def vectors(made: Made, texts: tuple[str, ...] = TEXTS) -> torch.Tensor:
    """Returns the vectors of texts through the cache, with a stand-in for the language model."""
    reader = text_vectors.TextReader("stub", made.cache)
    reader._key = lambda texts: f"{len(texts[0]):032x}"  # type: ignore[method-assign]
    reader._compute = lambda texts: torch.eye(len(texts)) * len(texts[0])  # type: ignore[method-assign]
    return reader(texts)


def _opened(made: Made) -> object:
    read_config(made.run)
    return {name: value.tolist() for name, value in load_models(open_finished(made.run)).model.state_dict().items()}


def _reported(made: Made) -> object:
    row = read_row("full", False, [made.run])
    return row.measure("all", "bits").value, TrainedRun(made.run).metrics.to_dicts(), row.cost


def _studied(made: Made) -> object:
    if entry._kept(made.study) is None:
        raise StudyError("no study.json")
    if found := changes(made.cell, {"seed": 0}):
        raise StudyError(str(found))
    for cell, file in ((made.cell, "metrics.json"), (made.baselines, "metrics.json, rows.json")):
        if not is_complete(cell):
            raise StudyError(f"{cell.label} lacks {file}")  # a cell that is not complete is announced and run again
    return None


def _walked(made: Made) -> object:
    rows = [read_row_of(made.walk, path.stem, "2017-10-01") for path in sorted((made.walk / "origins").glob("2*.json"))]
    found = read_walks([folder for folder in walk_folders(made.walk) if folder == made.walk])
    return rows, found[0].measured("all", "bits").value


def _goes_on(made: Made) -> object:
    stage = made.run / "stages" / "train"
    refuse_another_run(made.run, read_config(made.run))
    best = checked_best(stage / "checkpoints", 0).read_bytes()
    finished_record(stage / "record.json")
    assert resumable(stage / "checkpoints") is not None
    return best


def _kept_sums(made: Made) -> object:
    kept = read_sums(made.study / "per_user.parquet").rows[0].kept
    return kept and kept.columns["all", "bits"].value


def _prepared(made: Made) -> object:
    data = Synthetic(24, 30, 560, first_date="2016-06-01", visits_per_week=0.9)
    log = prepare(data, made.cache, print)
    return log.digest, log.event_items.tolist(), log.items.to_dicts(), log.country


READERS: dict[str, tuple[Callable[[Made], object], str]] = {
    "config.yaml": (_opened, "config.yaml"),
    "record.json": (_opened, "record.json"),
    "model.safetensors": (_opened, "model.safetensors"),
    "digests.json": (_opened, "digests.json"),
    "results.parquet": (_reported, "results.parquet"),
    "metrics.json": (_reported, "metrics.json"),
    "record.json of a report": (_reported, "record.json"),
    "config.yaml of a killed run": (_goes_on, "config.yaml"),
    "record.json of a stage": (_goes_on, "stages/train/record.json"),
    "last.ckpt": (_goes_on, "stages/train/checkpoints/last.ckpt"),
    "best_epoch": (_goes_on, "stages/train/checkpoints/best_epoch_1.safetensors"),
    "digests.json of checkpoints": (_goes_on, "stages/train/checkpoints/digests.json"),
    "row of an origin": (_walked, "adaptation/static/origins/2017-09-18.json"),
    "results of an origin": (_walked, "adaptation/static/origins/2017-09-18.parquet"),
    "record.json of a walk": (_walked, "adaptation/static/record.json"),
    "results of a walk": (_walked, "adaptation/static/results.parquet"),
    "cell.json": (_studied, "cell.json"),
    "metrics.json of a cell": (_studied, "metrics.json"),
    "study.json": (_studied, "../../../study.json"),
    "rows.json": (_studied, "../../../baselines/rows.json"),
    "metrics.json of a baseline": (_studied, "../../../baselines/popularity/metrics.json"),
    "per_user.parquet": (_kept_sums, "../../../per_user.parquet"),
    "text vectors": (lambda made: vectors(made).tolist(), "../../../../cache/text/*.safetensors"),
    "prepared manifest": (_prepared, "../../../../cache/prepared/*/manifest.json"),
    "prepared items": (_prepared, "../../../../cache/prepared/*/items.parquet"),
    "prepared users": (_prepared, "../../../../cache/prepared/*/users.parquet"),
    "prepared events": (_prepared, "../../../../cache/prepared/*/event_items.npy"),
}
"""Every kind of file: the command's part that reads it, and its path from the run's folder."""


def damage(path: Path, kind: str, random: Random, other: bytes) -> None:
    """Damages a file."""
    content = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "flip":
        place = random.randrange(len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << random.randrange(8)]) + content[place + 1 :])
    elif kind != "gone":
        shorter = content[: random.randrange(len(content))]
        path.write_bytes({"cut": shorter, "empty": b"", "zeros": bytes(len(content)), "other": other}[kind])


def other_of(made: Made, path: Path) -> bytes:
    """Returns the same file of the other run, or of something else of its kind."""
    twin = made.other / path.relative_to(made.run) if path.is_relative_to(made.run) else made.other / path.name
    if twin.is_file() and twin.read_bytes() != path.read_bytes():
        return twin.read_bytes()
    return json.dumps({"another": path.name}).encode() + b"\n"


def outcome(made: Made, name: str, kind: str, seed: int) -> str:
    """Damages one file, reads it, and puts everything back.

    Returns:
        ``refused`` or ``told``, or what went wrong: ``silent``, or the traceback's last line.
    """
    read, pattern = READERS[name]
    (path,) = (
        made.root.glob(pattern.removeprefix("../../../../")) if "*" in pattern else [(made.run / pattern).resolve()]
    )
    kept = made.root.with_name(f"{made.root.name}_kept")
    shutil.copytree(made.root, kept)
    said = StringIO()
    try:
        with redirect_stdout(said):
            right = read(made)
        digests._tell_unchecked_once.cache_clear()  # each case is a command of its own
        damage(path, kind, Random(seed), other_of(made, path))
        said = StringIO()
        with redirect_stdout(said):
            answer = read(made)
        told = path.parent.name in said.getvalue() or path.name in said.getvalue()
        if answer != right:
            return f"silent: another answer ({kind} of {name}, seed {seed})"
        return "told" if told else f"silent: {kind} of {name}, seed {seed}"
    except UserError as error:
        return "refused" if path.name in str(error) else f"another reason: {error} ({kind} of {name}, seed {seed})"
    except Exception as error:  # what a user would see as a traceback
        return f"traceback: {type(error).__name__}: {error} ({kind} of {name}, seed {seed})"
    finally:
        shutil.rmtree(made.root)
        kept.rename(made.root)
