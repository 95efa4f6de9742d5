"""Embedded data set: its measured figures, defaults and sample."""

import re
import subprocess
import sys

import numpy as np
import pytest

from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.data.datasets.complete_journey import CompleteJourney
from seasonrec.data.events import prepare
from seasonrec.data.journey_items import written_out


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return prepare(CompleteJourney(), tmp_path_factory.mktemp("cache"), progress=lambda line: None)


def test_the_figures_of_the_catalogue(log):
    assert log.num_items == 1567
    rows = {rule["rule"]: rule["rows"] for rule in log.report["rules"]}
    dropped = sum(rows.values())
    rare = rows["item with fewer than 20 purchase lines"]
    merged = rows["same user, item and second: merged, values added"]
    assert log.num_events == 1_469_307 - dropped
    assert (log.num_events + merged) / (log.num_events + merged + rare) == pytest.approx(0.997, abs=0.0005)
    assert rows["product without a row in the product table"] == 4836
    assert rows["department FUEL"] == 12997


def test_default_cuts(log):
    split = TimeSplit().resolve(log)
    assert split == TimeSplit(validation_from="2017-10-02", test_from="2017-11-06").resolve(log)
    spec = spec_of(log, split)
    assert spec.has_text
    assert spec.has_value
    assert spec.country == "US"


def test_no_basket_order_leaks_the_ids(log):
    """The source lists rising product ids in every basket of five lines or more."""
    same = np.repeat(np.arange(log.num_baskets), np.diff(log.basket_offsets))
    within = np.diff(same) == 0
    assert np.mean(np.diff(log.event_items)[within] > 0) == pytest.approx(0.5, abs=0.005)


def test_a_basket_holds_an_item_once(log):
    same = np.repeat(np.arange(log.num_baskets), np.diff(log.basket_offsets))
    pairs = same * log.num_items + log.event_items
    assert len(np.unique(pairs)) == log.num_events


def test_every_item_has_words_and_a_category(log):
    assert log.items["text"].null_count() == 0
    assert log.items["category"].null_count() == 0
    assert not [text for text in log.items["text"] if re.search(r"[^a-z0-9 ,.%']", text)]


def test_words_are_written_out():
    assert written_out(["SFT DRNK 2 LITER BTL CARB INCL", "SOFT DRINKS", ""]) == (
        "soft drink 2 liter bottle carbonated including, soft drinks"
    )
    assert written_out(["EGGS", "EGGS"]) == "eggs"


@pytest.mark.parametrize("level", ["product_id", "variant"])
def test_finer_levels(level):
    tables = CompleteJourney(level=level, households=300).tables()
    assert tables.items["item_id"].n_unique() == tables.items.height > 1000
    assert tables.events["item_id"].value_counts()["count"].min() >= 20


def test_a_sample_of_households_is_fixed_and_of_that_size():
    one, two = CompleteJourney(households=50).tables(), CompleteJourney(households=50).tables()
    assert one.events["user_id"].n_unique() == 50
    assert one.events.equals(two.events)
    assert CompleteJourney(households=50).identity() != CompleteJourney().identity()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "shelf"}, "level must be one of product_type, product_id, variant, got 'shelf'"),
        ({"min_item_events": 0}, "min_item_events must be at least 1, got 0"),
        ({"households": 1}, "households must be at least 2, got 1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CompleteJourney(**options)


def test_a_sample_larger_than_the_panel_is_refused():
    with pytest.raises(ValueError, match="households must be at most 2469, got 9999"):
        CompleteJourney(households=9999).tables()


def test_preparation_takes_under_30_s_and_2_gb_without_pandas(tmp_path):
    program = (
        "import pathlib, resource, sys\n"
        "from seasonrec.data.datasets.complete_journey import CompleteJourney\n"
        "from seasonrec.data.events import prepare\n"
        "from seasonrec.memory import peak_bytes\n"
        "prepare(CompleteJourney(), pathlib.Path(sys.argv[1]), progress=lambda line: None)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime, peak_bytes(), 'pandas' in sys.modules, 'torch' in sys.modules)\n"
    )
    said = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    seconds, peak, pandas, torch = said.stdout.split()
    assert float(seconds) < 30  # of processor time: other processes must not fail the test
    assert int(peak) < 2_000_000_000
    assert (pandas, torch) == ("False", "False")
