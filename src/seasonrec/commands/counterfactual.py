"""``seasonrec counterfactual``: what the right date is worth to a trained model."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import polars as pl
from rich import box
from rich.table import Table

from seasonrec.config import build
from seasonrec.config.rules import reads_the_date
from seasonrec.config.schema import CounterfactualConfig, RunConfig
from seasonrec.digests import seal
from seasonrec.disk import check_folder
from seasonrec.errors import UserError
from seasonrec.evaluation.counterfactual.dates import check_days
from seasonrec.evaluation.counterfactual.trials import counterfactual_table, told_by
from seasonrec.evaluation.known_truth.kinds import ORACLE_FILE
from seasonrec.evaluation.known_truth.oracle import Oracle
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.evaluation.robustness.trials import write_table
from seasonrec.evaluation.slices.holidays import slice_names
from seasonrec.report.summary import WIDTH
from seasonrec.report.wrong_dates import MOST_SLICES, TITLE, DateWorth
from seasonrec.runs.finished import load_models, open_finished, read_config
from seasonrec.runs.opening import batch_builder, device_of
from seasonrec.terminal import PlainConsole
from seasonrec.training.loss.base import Loss

FILE = "counterfactual.csv"


def run(options: CounterfactualConfig) -> None:
    """Writes ``counterfactual.csv`` and prints it: ``seasonrec counterfactual checkpoint=DIR``.

    For a generated log, ``counterfactual_oracle.csv`` has the same numbers of the oracle.
    """
    check_days(options.days)
    checkpoint = Path(options.checkpoint)
    folder = Path(options.output or checkpoint)
    check_folder(folder, "output", (FILE, ORACLE_FILE))
    _require_date(read_config(checkpoint, options.allow), checkpoint)
    finished = load_models(open_finished(checkpoint, options.allow))
    config, data = finished.config, finished.data
    model = finished.model.to(device_of(config))
    builder = batch_builder(model, data, config.max_seq_len)
    scorer = ModelScorer(config.name, model, builder)
    common = (data.log, data.spec, data.split, data.protocol, options.days)
    path = folder / FILE
    _write(path, counterfactual_table(scorer, told_by(scorer), *common), config.name, config.seed, data.fingerprint)
    if data.truth is not None:
        oracle = Oracle(data.truth, data.log)
        told = counterfactual_table(oracle, lambda wrong: replace(oracle, wrong=wrong), *common)
        _write(folder / ORACLE_FILE, told, oracle.name, config.seed, data.fingerprint)
    loss: Loss = build(config.loss)(facts=finished.facts)
    slices = ("all", *slice_names(data.protocol.holidays))
    _show(DateWorth.of([path], slices, loss.gives_probabilities))
    print(f"  {path}", flush=True)


def _write(path: Path, table: pl.DataFrame, name: str, seed: int, fingerprint: str) -> None:
    identity = {"name": name, "seed": seed, "fingerprint": fingerprint}
    write_table(path, table.select(*(pl.lit(value).alias(key) for key, value in identity.items()), pl.all()))
    seal(path.parent, [path.name])


def _require_date(config: RunConfig, checkpoint: Path) -> None:
    if not reads_the_date(config.as_dict()):
        raise UserError(
            f"checkpoint must be a run with a season or a demand, which read the date, got {checkpoint} with season=[] "
            "and demand=none; give another, for example one of season=[momentum,calendar]."
        )


def _show(worth: DateWorth) -> None:
    worth = replace(worth, slices=worth.slices[:MOST_SLICES])
    table = Table(title=TITLE, caption=worth.note, box=box.ROUNDED)
    for number, title in enumerate(worth.head("\n")):
        table.add_column(title, justify="left" if number == 0 else "right", no_wrap=True)
    for _, lines in groupby(worth.body(), key=itemgetter(0)):
        for line in lines:
            table.add_row(*line)
        table.add_section()
    PlainConsole(width=WIDTH).print(table)
    print(worth.sentence(), flush=True)
