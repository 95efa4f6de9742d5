"""A run on views and purchases, prices, and a calendar of one's own, from the console script."""

import json
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file
from small_log import of_table, write_log

from seasonrec.cli.main import main


def test_views_prices_and_a_calendar_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path)
    events, items = pl.read_csv(tmp_path / "E.csv"), pl.read_csv(tmp_path / "I.csv")
    kinds = pl.Series([("view", "view", "buy")[number % 3] for number in range(events.height)])
    events.with_columns(kind=kinds).write_csv(tmp_path / "E.csv")
    items.with_columns(price=pl.int_range(pl.len()), brand=pl.col("text").str.head(6)).write_csv(tmp_path / "I.csv")
    (tmp_path / "C.csv").write_text("name,date,items\nSoup Day,2017-09-01,i00;i04\nSoup Day,2017-12-01,i00;i04\n")
    own = [f"data.calendar={tmp_path / 'C.csv'}", "data.behaviour_column=kind", "data.features=[price,brand]"]
    own += ["protocol.target_behaviour=buy", "protocol.holidays=[soup day]", "behaviour=embedding", "season=[calendar]"]
    own += ["item_encoder=features", "item_encoder.with_text=false"]
    assert main(of_table(tmp_path, tmp_path / "run", *own)) == 0
    purchases = int((kinds == "buy").sum())
    told = capsys.readouterr().out
    assert f"behaviours in the sequences: buy {purchases}, view {events.height - purchases}" in told
    assert "contexts ['calendar', 'occasion_items', 'own_history'] of" in told
    weights = load_file(tmp_path / "run" / "model.safetensors")
    assert weights["behaviour.vectors.weight"].shape == (2, 16)
    assert weights["item_encoder.features.of_numbers.weight"].shape == (16, 2)
    assert weights["season.calendar.gain"].shape == (2,)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["slices"]["soup_day"]["n"] > 0
    assert metrics["slices"]["all"]["n"] < purchases
