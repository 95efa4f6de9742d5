"""Features of items: kinds of columns, missing values, errors, standardisation by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from seasonrec.batches.facts import Facts
from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.data.datasets.table import Table
from seasonrec.data.events import prepare
from seasonrec.data.features import feature_names
from seasonrec.data.log import EventLog
from seasonrec.data.tables import DataError
from seasonrec.errors import UserError
from seasonrec.models.item_features import FeatureVectors, codes_of, standardised

ITEMS = "item_id,price,brand,shelf,note\ni1,10.5,ACME,1,\ni2,,acme,2,\ni3,3,,1,\n"


def log_of(folder: Path, items: str = ITEMS, **options: object) -> EventLog:
    days = [f"u{day % 3},i{1 + day // 11 % 3},2024-{1 + day // 28:02d}-{1 + day % 28:02d}" for day in range(300)]
    days = [row.replace("i3", "i1") if "2024-0" in row else row for row in days]  # i3 is first sold in October
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,timestamp", *days]))
    (folder / "items.csv").write_text(items)
    table = Table(str(folder / "events.csv"), str(folder / "items.csv"), **options)  # type: ignore[arg-type]
    return prepare(table, folder / "cache", lambda line: None)


def test_kinds_and_missing_values_are_told(tmp_path: Path) -> None:
    log = log_of(tmp_path, features=("price", "brand", "shelf"), feature_kinds={"shelf": "category"})
    assert feature_names(log.items) == ("price", "brand", "shelf")
    assert log.items["feature.price"].to_list() == [10.5, None, 3.0]
    assert log.items["feature.brand"].to_list() == ["ACME", "acme", None]
    assert log.items["feature.shelf"].to_list() == ["1", "2", "1"]
    told = [note.partition(": ")[2] for note in log.report["notes"] if "feature " in note]
    assert told == [
        "feature price has numbers; it is missing in 1 of 3 rows",
        "feature brand has 2 categories; it is missing in 1 of 3 rows",
        "feature shelf has 2 categories; it is missing in 0 of 3 rows",
    ]
    assert log_of(tmp_path).digest != log.digest


def test_parquet_columns_and_digest(tmp_path: Path) -> None:
    frame = pl.DataFrame({"item_id": ["i1", "i2", "i3"], "price": [10.5, None, 3.0], "new": [True, False, None]})
    log = log_of(tmp_path, features=("price",))
    frame.write_parquet(tmp_path / "items.parquet")
    table = Table(str(tmp_path / "events.csv"), str(tmp_path / "items.parquet"), features=("price",))
    assert prepare(table, tmp_path / "other", lambda line: None).digest == log.digest


BAD = {
    "unknown": ({"features": ("prize",)}, r"lacks a column that the mapping names: data.features=prize \(did you mean"),
    "empty": ({"features": ("note",)}, "column note must hold values, got none; take it out of data.features"),
    "no number": (
        {"features": ("brand",), "feature_kinds": {"brand": "number"}},
        r"column brand must hold numbers, got 'ACME' in row 1 .*; or say data.feature_kinds={brand: category}\.",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_columns(case: str, tmp_path: Path) -> None:
    options, message = BAD[case]
    with pytest.raises(DataError, match=message):
        log_of(tmp_path, **options)


def test_a_few_words_among_numbers_are_a_mistake(tmp_path: Path) -> None:
    rows = [f"i{number},{number}" for number in range(1, 20)]
    for word, row in (("n/a", 20), ("inf", 20)):
        with pytest.raises(
            DataError, match=rf"column size must hold numbers, got '{word}' in row {row} .* 1 such rows"
        ):
            log_of(tmp_path, "\n".join(["item_id,size", *rows, f"i20,{word}"]), features=("size",))


def test_options_must_fit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"feature_kinds must name columns of data.features=\['a'\], got \['b'\]"):
        Table("e.csv", "i.csv", features=("a",), feature_kinds={"b": "number"})
    with pytest.raises(UserError, match="features is a column of the items' file"):
        Table("e.csv", features=("a",))


def test_standardised_by_hand() -> None:
    known = np.array([True, True, True, False, True])
    plain = standardised(np.array([1.0, 3.0, np.nan, 100.0, 2.0]), known)  # mean 2, std sqrt(2/3)
    expected = [-(1.5**0.5), 1.5**0.5, 0.0, 5.0, 0.0]
    np.testing.assert_allclose(plain[:, 0], expected, atol=1e-6)
    assert plain[:, 1].tolist() == [0, 0, 1, 0, 0]
    skewed = np.array([0.0] * 9 + [np.e - 1])  # log1p: nine times 0, once 1: mean 0.1, std 0.3
    np.testing.assert_allclose(standardised(skewed, np.ones(10, bool))[[0, 9], 0], [-1 / 3, 3.0], atol=1e-6)
    assert standardised(np.full(3, 7.0), np.ones(3, bool))[:, 0].tolist() == [0, 0, 0]
    codes, count = codes_of(("b", "", "a", "c", "b"), np.array([True, True, True, False, True]))
    assert (codes.tolist(), count) == ([3, 0, 2, 1, 3], 4)


def test_vectors_read_statistics_of_the_training_part_alone(tmp_path: Path) -> None:
    log = log_of(tmp_path, features=("price", "brand"))
    split = TimeSplit(validation_from="2024-09-20", test_from="2024-10-05").resolve(log)
    facts = Facts.of(log, spec_of(log, split), 8, 10, tmp_path)
    assert facts.item_is_known.tolist() == [True, True, False]
    module = FeatureVectors(facts=facts)
    assert module().shape == (3, 8)
    torch.testing.assert_close(module(torch.tensor([2, 0])), module()[[2, 0]])
    (tmp_path / "later").mkdir()
    other = log_of(tmp_path / "later", ITEMS.replace("i3,3,", "i3,900,ZZZ"), features=("price", "brand"))
    again = FeatureVectors(facts=Facts.of(other, spec_of(other, split), 8, 10, tmp_path))
    assert torch.equal(again.numbers[:2], module.numbers[:2])
    assert not torch.equal(again.numbers[2], module.numbers[2])
    assert again.codes.tolist() == [[2], [3], [1]]
    assert module.codes.tolist() == [[2], [3], [0]]
