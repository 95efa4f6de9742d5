"""Odd logs: each trains with and without the parts of the method and is reported, or is refused in one sentence.

A sample runs with the other tests; ``make soak`` runs all, and measures the memory of each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import odd_logs
import polars as pl
import pytest
from odd_logs import Outcome, Overrides, Worker, Writer, not_finite

from seasonrec.cli.main import main

TINY = [
    "data=table",
    "item_encoder=id",
    "embedding_dim=8",
    "max_seq_len=8",
    "trainer.max_epochs=1",
    "trainer.num_threads=1",
    "logger=none",
]
METHOD = [
    "season=[momentum,calendar]",
    "demand=multinomial",
    "demand.use=id",
    "habit=replenishment",
    "habit.visit=true",
    "habit.demand=true",
    "mixture=gated",
]

TRAINS: dict[str, Writer] = {
    "plain": odd_logs.plain,
    "100,000 users with one event": odd_logs.many_users,
    "one user with 100,000 events": odd_logs.one_long_user,
    "one user with 5,000 items": partial(odd_logs.one_long_user, count=8_000, items=8_000),
    "the same item again and again": odd_logs.the_same_again,
    "no item has a text": odd_logs.without_texts,
    "a text of a million characters": odd_logs.a_long_text,
    "ids of 10,000 characters": odd_logs.long_ids,
    "30 years": odd_logs.thirty_years,
    "before 1970": odd_logs.before_1970,
    "about 1900": odd_logs.about_1900,
    "clock changes": odd_logs.clock_changes,
    "clock changes at midnight": partial(odd_logs.clock_changes, zone="America/Sao_Paulo"),
    "clock changes of half an hour": partial(odd_logs.clock_changes, zone="Australia/Lord_Howe"),
    "the first zone": partial(odd_logs.zone_end, zone="Pacific/Kiritimati"),
    "the last zone": partial(odd_logs.zone_end, zone="Pacific/Pago_Pago"),
    "offsets from -11 to +14": odd_logs.mixed_offsets,
    "users seen once before the cut": odd_logs.only_before_the_cut,
    "nobody comes back": odd_logs.nobody_comes_back,
    "baskets of one item": odd_logs.baskets_of_one,
    "baskets of 10,000 items": odd_logs.a_huge_basket,
    "items new after the cut": odd_logs.new_after_the_cut,
}
REFUSED: dict[str, tuple[Writer, str]] = {
    "empty file": (odd_logs.empty_file, r"events.csv is empty \(0 bytes\); give a file with a header and rows"),
    "no row": (odd_logs.no_row, r"events.csv is empty: it has a header and no rows; give at least two rows"),
    "one row": (odd_logs.one_row, r"at least two different users, got only 'u1' in all 1 events; check"),
    "one item": (odd_logs.one_item, r"at least two different items, got only 'milk' in all 800 events; check"),
    "one moment": (odd_logs.at_once, r"at least two different times, got only \d+ in all 800 events; check"),
    "two events": (
        odd_logs.two_events,
        r"cannot be split .* with 2 baskets; give a log with baskets on at least 3 days",
    ),
    "before 1900": (odd_logs.before_1900, r"column timestamp: a time must not lie before 1900, got .*; "),
    "hours": (partial(odd_logs.some_days, days=0.1), r"spans 2 hours, .*; give a log with baskets on at least 3 days"),
    "3 days": (odd_logs.some_days, r"spans 3 days, .*, or set split.validation_from=\S+ and split.test_from=\S+"),
    "leap days": (odd_logs.leap_days, r"spans 8 years, .*, or set split.validation_from=\S+ and split.test_from=\S+"),
    "few moments": (
        odd_logs.a_few_moments,
        r"spans 300 days, .*, or set split.validation_from=\S+ and split.test_from",
    ),
}
"""Logs that are refused, with what the sentence says. Where it proposes cuts, the log trains with them."""

PEAK_MIB = 2_500
"""Ceiling of the peak memory of a study, of which the libraries take 400 MiB."""


def proposed(sentence: str) -> Overrides:
    """Returns the cuts that a refusal proposes."""
    return re.findall(r"split\.\w+=\d{4}-\d\d-\d\d", sentence)


def assert_complete(run_dir: Path) -> None:
    """Checks that a run and its baselines have finite numbers only."""
    files = sorted(run_dir.rglob("metrics.json"))
    assert len(files) >= 12
    for path in files:
        content = json.loads(path.read_text(encoding="utf-8"))
        assert list(not_finite(content)) == [], path
        assert content["slices"]["all"]["n"] > 0


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer, says = REFUSED[name]
    overrides = [*writer(tmp_path), f"cache_dir={tmp_path / 'cache'}"]
    assert main(["prepare", "data=table", *overrides]) == 2
    sentences = capsys.readouterr().err.strip().splitlines()
    assert len(sentences) == 1
    assert re.search(says, sentences[0])
    if cuts := proposed(sentences[0]):
        assert main(["prepare", "data=table", *overrides, *cuts]) == 0


def train(work: Path, overrides: Overrides) -> int:
    return main(["train", *TINY, *overrides, f"cache_dir={work / 'cache'}", f"run_dir={work / 'run'}"])


def test_a_log_whose_later_items_are_all_new_trains_with_all_parts(tmp_path: Path) -> None:
    overrides = odd_logs.new_after_the_cut(tmp_path)
    assert train(tmp_path, [*METHOD, *overrides]) == 0
    assert_complete(tmp_path / "run")


def test_demand_needs_an_item_that_is_sold_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [*odd_logs.new_every_day(tmp_path), "season=[]", "habit=none", "baselines=false"]
    assert train(tmp_path, [*overrides, "demand=multinomial", "demand.use=id", "mixture=gated"]) == 2
    assert "got none on" in (said := capsys.readouterr().err)
    assert "set demand=none" in said
    assert train(tmp_path, overrides) == 0


def test_a_skipped_hour_and_a_skipped_day_move_forward_and_the_hour_that_comes_twice_is_the_first() -> None:
    from seasonrec.data.files.time_formats import utc_seconds

    def read(zone: str, *written: str) -> list[str]:
        naive = pl.Series(written).str.to_datetime()
        return pl.from_epoch(utc_seconds(naive, zone), "s").dt.to_string("%d %H:%M").to_list()

    assert read("Europe/Berlin", "2021-03-28 02:30", "2021-10-31 02:30") == ["28 01:30", "31 00:30"]
    assert read("Pacific/Apia", "2011-12-29 12:00", "2011-12-30 12:00", "2011-12-31 12:00") == [
        "29 22:00",
        "30 22:00",
        "30 22:00",
    ]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    started = Worker.start()
    yield started
    started.stop()


def study(worker: Worker, work: Path, overrides: Overrides, method: Overrides = METHOD) -> Outcome:
    """Trains a plain model and one with the parts of the method, with baselines, evaluates and reports them."""
    shared = [*TINY, "season=[]", "habit=none", *overrides, f"cache_dir='{work / 'cache'}'"]
    rows = ["full", {"method": method}]
    content = {"name": "odd", "experiment": [], "question": "Does it train?", "rows": rows, "seeds": [0]}
    (work / "study.yaml").write_text(json.dumps({**content, "overrides": shared}), encoding="utf-8")
    return worker(work, ["ablate", str(work / "study.yaml"), f"run_dir={work / 'study'}"])


@pytest.mark.soak
@pytest.mark.parametrize("name", TRAINS)
def test_an_odd_log_is_studied_in_bounded_memory(name: str, worker: Worker, tmp_path: Path) -> None:
    outcome = study(worker, tmp_path, TRAINS[name](tmp_path))
    assert outcome.code == 0, outcome.output[-2000:]
    assert_complete(tmp_path / "study")
    assert (tmp_path / "study" / "table.md").is_file()
    assert outcome.peak_mib <= PEAK_MIB
    print(f"{name}: {outcome.peak_mib} MiB, {outcome.cpu_s} s")


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name, (_, says) in REFUSED.items() if "split.validation_from" in says])
def test_a_log_trains_with_the_proposed_cuts(name: str, worker: Worker, tmp_path: Path) -> None:
    overrides = REFUSED[name][0](tmp_path)
    refused = worker(tmp_path, ["prepare", "data=table", *overrides, f"cache_dir='{tmp_path / 'cache'}'"])
    method = METHOD if name != "3 days" else ["season=[momentum,calendar]"]  # the demand needs 28 days
    outcome = study(worker, tmp_path, [*overrides, *proposed(refused.refusal)], method)
    assert outcome.code == 0, outcome.output[-2000:]
    assert_complete(tmp_path / "study")


@pytest.mark.soak
@pytest.mark.parametrize("name", ["no item has a text", "a text of a million characters"])
def test_odd_texts_are_read_by_the_language_model(name: str, worker: Worker, tmp_path: Path) -> None:
    overrides = [*TRAINS[name](tmp_path), f"cache_dir='{tmp_path / 'cache'}'", f"run_dir={tmp_path / 'run'}"]
    texts = ["item_encoder=id_text", "season=[text]", "habit=none", "demand=multinomial", "mixture=gated"]
    outcome = worker(tmp_path, ["train", *TINY[:1], *TINY[2:], *texts, *overrides])
    assert outcome.code == 0, outcome.output[-2000:]
    assert_complete(tmp_path / "run")
    assert outcome.peak_mib <= PEAK_MIB
