"""NHITS and LSTM of neuralforecast on exported series; runs in an environment of its own, without seasonrec.

The folder holds ``series.csv`` (``unique_id, ds, y``) and ``facts.json`` (``horizon``, ``origins``: the first day that
each one does not know, ``seeds``, ``levels``, ``window``, ``steps``). Models are trained at the first origin and read
the longer series at the later ones. ``forecasts.csv`` gets ``forecaster, seed, unique_id, origin, step, mean, q...``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import DistributionLoss
from neuralforecast.models import LSTM, NHITS

MODELS = {"nf_nhits": NHITS, "nf_lstm": LSTM}


def main(folder: Path) -> None:
    """Trains every model with every seed and writes the forecasts."""
    facts = json.loads((folder / "facts.json").read_text())
    series = pd.read_csv(folder / "series.csv", parse_dates=["ds"], dtype={"unique_id": str})
    found = []
    for name, model in MODELS.items():
        for seed in facts["seeds"]:
            begun = time.perf_counter()
            found.append(forecasts(series, facts, name, model, seed))
            print(f"{name}, seed {seed}: {time.perf_counter() - begun:.0f} s", flush=True)
    pd.concat(found).to_csv(folder / "forecasts.csv", index=False)


def forecasts(series: pd.DataFrame, facts: dict, name: str, model: type, seed: int) -> pd.DataFrame:
    """Returns the forecasts of one model and seed at every origin."""
    level = round(100 * (facts["levels"][-1] - facts["levels"][0]))
    one = model(
        h=facts["horizon"],
        input_size=facts["window"],
        loss=DistributionLoss("NegativeBinomial", level=[level]),
        max_steps=facts["steps"],
        val_check_steps=max(1, facts["steps"] // 10),
        early_stop_patience_steps=-1,
        start_padding_enabled=True,
        random_seed=seed,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        alias=name,
    )
    learner = NeuralForecast(models=[one], freq="W-MON")
    first = pd.Timestamp(facts["origins"][0])
    learner.fit(series[series["ds"] < first], val_size=facts["horizon"])
    parts = []
    for place, day in enumerate(facts["origins"]):
        told = learner.predict(df=series[series["ds"] < pd.Timestamp(day)]).sort_values(["unique_id", "ds"])
        step = told.groupby("unique_id").cumcount() + 1
        part = pd.DataFrame({"forecaster": name, "seed": seed, "unique_id": told["unique_id"], "origin": place})
        part = part.assign(step=step, mean=told[name])
        for quantile in facts["levels"]:
            end = "median" if quantile == 0.5 else f"{'lo' if quantile < 0.5 else 'hi'}-{level}"
            part[f"q{quantile:g}"] = told[f"{name}-{end}"]
        parts.append(part)
    return pd.concat(parts)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
