"""Preparation: numbering, merging, ties, offsets, and the cache around them."""

import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest

from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import open_log, prepare
from seasonrec.data.tables import DataError, Rule, SourceTables


@dataclass
class Given:
    """Dataset of given rows ``(user, item, second, value)``."""

    rows: list[tuple[str, str, int, float | None]]
    items: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    country: str | None = None
    timezone: str = "UTC"

    def identity(self) -> dict[str, object]:
        return {"rows": [list(row) for row in self.rows], "items": str(self.items)}

    def tables(self) -> SourceTables:
        schema = {"user_id": pl.String, "item_id": pl.String, "timestamp_s": pl.Int64, "value": pl.Float32}
        events = pl.DataFrame(self.rows, schema=schema, orient="row")
        names = sorted({row[1] for row in self.rows})
        facts = [(name, *self.items.get(name, (None, None))) for name in names]
        schema = {"item_id": pl.String, "text": pl.String, "category": pl.String}
        return SourceTables(events, pl.DataFrame(facts, schema=schema, orient="row"), rules=(Rule("given", 0),))


def quiet(_: str) -> None:
    pass


ROWS = [
    ("b", "x", 20, 1.0),
    ("a", "z", 30, 2.0),
    ("a", "y", 10, None),
    ("a", "x", 10, 3.0),
    ("a", "x", 10, 4.0),
]


def test_arrays_of_a_case_worked_by_hand(tmp_path):
    log = prepare(Given(ROWS, {"x": ("milk", "dairy"), "y": ("nut", None), "z": ("egg", "dairy")}), tmp_path, quiet)
    assert log.users["user_id"].to_list() == ["a", "b"]
    assert log.items["item_id"].to_list() == ["x", "y", "z"]
    assert sorted(log.event_items[:2].tolist()) == [0, 1]
    assert log.event_items[2:].tolist() == [2, 0]
    assert log.event_times_s.tolist() == [10, 10, 30, 20]
    value_of = dict(zip(log.event_items[:2].tolist(), log.event_values[:2].tolist(), strict=True))
    assert value_of[0] == 7.0  # two rows of the same second, added
    assert np.isnan(value_of[1])
    assert log.user_offsets.tolist() == [0, 3, 4]
    assert log.user_baskets.tolist() == [0, 2, 3]
    assert log.basket_offsets.tolist() == [0, 2, 3, 4]
    assert log.basket_users.tolist() == [0, 0, 1]
    assert log.basket_times_s.tolist() == [10, 30, 20]
    assert log.item_first_seen_s.tolist() == [10, 10, 30]
    assert log.item_categories.tolist() == [1, 0, 1]
    assert {"rule": "same user, item and second: merged, values added", "rows": 1} in log.report["rules"]


def test_dtypes_are_those_of_the_contract_and_memory_mapped(tmp_path):
    log = prepare(Given(ROWS), tmp_path, quiet)
    assert log.event_items.dtype == log.basket_users.dtype == log.item_categories.dtype == np.int32
    assert log.event_times_s.dtype == log.basket_times_s.dtype == log.user_offsets.dtype == np.int64
    assert log.event_values.dtype == np.float32
    assert isinstance(log.event_items, np.memmap)
    assert log.item_categories.tolist() == [0, 0, 0]


def _one_basket(size: int) -> list[tuple[str, str, int, float | None]]:
    return [("a", f"i{item:04d}", 5, 1.0) for item in range(size)] + [("b", "i0000", 6, 1.0)]


def test_ties_are_shuffled_once_and_for_all(tmp_path):
    rows = _one_basket(200)
    log = prepare(Given(rows), tmp_path / "one", quiet)
    again = prepare(Given(rows), tmp_path / "two", quiet)
    basket = log.event_items[:200]
    assert sorted(basket.tolist()) == list(range(200))
    assert 70 < int((np.diff(basket) > 0).sum()) < 130  # a fair shuffle rises in about half of the places
    assert again.event_items.tolist() == log.event_items.tolist()


def test_the_order_of_the_source_rows_changes_nothing(tmp_path):
    rows = [*_one_basket(50), ("a", "i0001", 5, 0.1), ("a", "i0001", 5, 0.7)]
    log = prepare(Given(rows), tmp_path, quiet)
    back = prepare(Given(rows[::-1]), tmp_path, quiet)
    assert back.folder != log.folder
    assert back.digest == log.digest


def test_a_second_preparation_reads_the_cache(tmp_path, monkeypatch):
    first = prepare(Given(ROWS), tmp_path, quiet)
    monkeypatch.setattr(Given, "tables", lambda self: pytest.fail("prepared again"))
    assert prepare(Given(ROWS), tmp_path, quiet).digest == first.digest


def test_the_report_is_printed(tmp_path):
    lines: list[str] = []
    prepare(Given(ROWS), tmp_path, lines.append)
    text = "\n".join(lines)
    assert "1 rows: same user, item and second: merged" in text
    assert "4 events, 3 baskets, 2 users, 3 items" in text


@pytest.mark.parametrize("name", ["event_items.npy", "basket_times_s.npy", "items.parquet"])
def test_a_flipped_byte_is_found_and_the_cache_made_again(tmp_path, name):
    log = prepare(Given(ROWS), tmp_path, quiet)
    good = (log.folder / name).read_bytes()
    bad = bytearray(good)
    bad[-1] ^= 1
    (log.folder / name).write_bytes(bytes(bad))
    lines: list[str] = []
    again = prepare(Given(ROWS), tmp_path, lines.append)
    assert any("damaged and made again" in line and name in line for line in lines)
    assert (again.folder / name).read_bytes() == good
    assert again.digest == log.digest


def test_a_half_written_folder_is_made_again(tmp_path):
    log = prepare(Given(ROWS), tmp_path, quiet)
    (log.folder / "manifest.json").unlink()
    (log.folder / "event_values.npy").unlink()
    lines: list[str] = []
    assert prepare(Given(ROWS), tmp_path, lines.append).digest == log.digest
    assert any("damaged" in line for line in lines)


def test_an_array_of_pickles_is_never_opened(tmp_path):
    from seasonrec.data.cache import CacheError, write_folder

    def write(folder):
        np.save(folder / "event_items.npy", np.array([{}], dtype=object), allow_pickle=True)
        return {"arrays": {"event_items": {"dtype": "object", "shape": [1]}}}

    write_folder(tmp_path / "evil", write)
    with pytest.raises(CacheError, match="does not hold a prepared log"):
        open_log(tmp_path / "evil")


def test_two_processes_that_prepare_at_once_both_get_a_good_log(tmp_path):
    program = (
        "import sys, pathlib\n"
        "from seasonrec.data.datasets.synthetic import Synthetic\n"
        "from seasonrec.data.events import prepare\n"
        "sys.stdin.readline()\n"
        "log = prepare(Synthetic(), pathlib.Path(sys.argv[1]), progress=lambda line: None)\n"
        "print(log.digest, int(log.event_items.sum()))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    log = prepare(Synthetic(), tmp_path, quiet)
    assert said == [f"{log.digest} {int(log.event_items.sum())}\n"] * 2
    assert len([path for path in (tmp_path / "prepared").iterdir() if path.is_dir()]) == 1


def test_a_dataset_that_forgets_an_item_is_refused(tmp_path):
    @dataclass
    class Forgetful(Given):
        def tables(self) -> SourceTables:
            whole = super().tables()
            return SourceTables(whole.events, whole.items.filter(pl.col("item_id") != "y"))

    with pytest.raises(DataError, match=r"Forgetful: every event's item must have a row.*got 1 events.*'y'"):
        prepare(Forgetful(ROWS), tmp_path, quiet)
    assert not list((tmp_path / "prepared").glob("[!.]*"))  # a refused source leaves no cache
