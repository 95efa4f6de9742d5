"""``seasonrec robustness``: ranks with perturbed inputs and changed histories."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from seasonrec.batches.requests import Requests
from seasonrec.config.schema import RobustnessConfig
from seasonrec.digests import seal
from seasonrec.disk import check_folder
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.evaluation.robustness.trials import RobustnessOptions, robustness_table, write_table
from seasonrec.report.robustness import ROBUSTNESS_METRIC, read_trials, robustness_curves, robustness_figure
from seasonrec.runs.finished import load_models, open_finished
from seasonrec.runs.opening import batch_builder, device_of


def run(options: RobustnessConfig) -> None:
    """Writes ``robustness.csv`` and its figure: ``seasonrec robustness checkpoint=DIR``."""
    checkpoint = Path(options.checkpoint)
    output = Path(options.output or checkpoint)
    check_folder(output, "output", ("robustness.csv", "robustness.png", "robustness.pdf"))
    finished = load_models(open_finished(checkpoint, options.allow))
    config, data = finished.config, finished.data
    tried = RobustnessOptions(
        target=options.target,
        sizes=options.sizes,
        shares=options.shares,
        max_requests=options.max_requests,
        seed=config.seed,
    )
    model = finished.model.to(device_of(config))
    builder = batch_builder(model, data, config.max_seq_len)
    scorer = ModelScorer(config.name, model, builder)
    baskets = data.split.baskets(data.log, data.protocol.part)
    requests = Requests.of_baskets(data.log, baskets, data.horizon)
    table = robustness_table(scorer, data.log, requests, data.protocol, tried)
    identity = {"name": config.name, "seed": config.seed, "fingerprint": data.fingerprint}
    named = table.select(*(pl.lit(value).alias(key) for key, value in identity.items()), pl.all())
    write_table(output / "robustness.csv", named)
    seal(output, ["robustness.csv"])
    files = [output / "robustness.csv", *(Path(folder) / "robustness.csv" for folder in options.beside)]
    drawn = robustness_figure(
        output / "robustness", robustness_curves(read_trials(files), ROBUSTNESS_METRIC), ROBUSTNESS_METRIC
    )
    print("\n".join(f"  {path}" for path in (files[0], *drawn)), flush=True)
