"""Tests of lists for users on a date, from the folder of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from small_log import ITEMS, SMALL, of_table, write_csv, write_log

from seasonrec.cli.main import main
from seasonrec.commands.recommend import run as recommend
from seasonrec.config import compose
from seasonrec.config.schema import RecommendConfig
from seasonrec.data.tables import DataError
from seasonrec.digests import DamagedError
from seasonrec.errors import UserError
from seasonrec.runs.finished import RunFolderError, _cached_data_of
from seasonrec.runs.opening import open_data
from seasonrec.runs.recommending import RequestError
from seasonrec.runs.record import write_json

Ask = Callable[..., pl.DataFrame]
LATE = "late"
EVENT_COLUMNS = ("user_id", "item_id", "timestamp")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with ``run``; one item is first sold on 6 November, and one user first buys in February."""
    folder = tmp_path_factory.mktemp("trained")
    events, items = write_log(folder)
    with events.open("a", encoding="utf-8") as file:
        file.writelines(f"u{user},{LATE},2017-11-06T{user + 9:02}:30:00\n" for user in range(8))
        file.write("february,i00,2017-02-01T10:00:00\n")
    with items.open("a", encoding="utf-8") as file:
        file.write(f"{LATE},a new thing\n")
    assert main(of_table(folder, folder / "run", "trainer.max_epochs=2", "habit=frequency")) == 0
    return folder


@pytest.fixture
def ask(trained: Path, tmp_path: Path) -> Ask:
    def answer(users: str | list[str] = "all", date: str = "2017-12-20", **options: Any) -> pl.DataFrame:
        if isinstance(users, list):
            path = tmp_path / "users.txt"
            path.write_text("\n".join(users) + "\n", encoding="utf-8")
            users = str(path)
        given = {"checkpoint": str(trained / "run"), "top_k": 10, "output": str(tmp_path / "lists.csv"), "events": None}
        given |= {"users": users, "date": date, **options}
        recommend(RecommendConfig(**given))
        return pl.read_csv(given["output"], schema_overrides={"user_id": pl.String})

    return answer


def _list(frame: pl.DataFrame, user: str) -> list[str]:
    return frame.filter(pl.col("user_id") == user)["item_id"].to_list()


def test_the_command_writes_and_prints_lists(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "lists.csv"
    arguments = (f"checkpoint={trained / 'run'}", "users=all", "date=2017-12-20", "top_k=3", f"output={output}")
    assert main(["recommend", *arguments]) == 0
    lines = output.read_text().splitlines()
    assert lines[0] == "user_id,rank,item_id,score"
    assert len(lines) == 1 + 13 * 3
    assert [path.name for path in output.parent.iterdir()] == ["lists.csv"], "no temporary file stays"
    printed = capsys.readouterr().out
    assert "february" in printed, "the first users are shown"
    assert "autumn cake number" in printed or "winter soup number" in printed, "with the items' texts"
    assert f"39 rows in {output}" in printed.replace("\n", "")


def test_users_are_a_list_or_a_file(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "users.txt").write_text("u3\nu1\n")
    shared = ("recommend", f"checkpoint={trained / 'run'}", "date=2017-12-20", "top_k=3")
    for name, users in (("file", tmp_path / "users.txt"), ("list", "[u3,u1]")):
        assert main([*shared, f"users={users}", f"output={tmp_path / name}.csv"]) == 0
    assert (tmp_path / "list.csv").read_text() == (tmp_path / "file.csv").read_text()
    for name, users in (("numbers", "[17,u3]"), ("number", "17")):
        assert main([*shared, f"users={users}", f"output={tmp_path / name}.csv"]) == 0
    lists = {name: pl.read_csv(tmp_path / f"{name}.csv") for name in ("numbers", "number", "list")}
    assert lists["numbers"]["user_id"].unique(maintain_order=True).to_list() == ["17", "u3"]
    assert lists["numbers"]["item_id"].to_list()[:3] == lists["number"]["item_id"].to_list()
    assert lists["numbers"]["item_id"].to_list()[3:] == lists["list"]["item_id"].to_list()[:3]
    capfd.readouterr()
    for users, told in (
        ("[1.5]", "got list; put each entry in quotes: ['1.5']"),
        ("'17'", "got 17 (no such file); check the path, or write users=[17] for the id itself"),
    ):
        assert main([*shared, f"users={users}", f"output={tmp_path / 'none.csv'}"]) == 2
        assert told in capfd.readouterr().err


def test_lists_are_written_as_csv_alone(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shared = ("recommend", f"checkpoint={trained / 'run'}", "users=all", "date=2017-12-20")
    assert main([*shared, f"output={tmp_path / 'lists.parquet'}"]) == 2
    assert "output must end in .csv, as the lists are written as CSV, got" in capfd.readouterr().err


def test_scores_are_log_probabilities_of_all_candidates(ask: Ask) -> None:
    lists = ask(top_k=len(ITEMS) + 1)
    for _, one in lists.group_by("user_id"):
        assert one["rank"].to_list() == list(range(1, len(ITEMS) + 2))
        assert one["score"].is_sorted(descending=True)
        assert np.exp(one["score"].to_numpy()).sum() == pytest.approx(1.0, abs=1e-5)
        assert one["item_id"].n_unique() == len(ITEMS) + 1


def test_lists_are_those_that_the_evaluation_ranked(ask: Ask, trained: Path) -> None:
    results = pl.read_parquet(trained / "run" / "results.parquet")
    ids = [*ITEMS, LATE]
    for row in results[:: len(results) // 4].iter_rows(named=True):
        moment = datetime.fromtimestamp(row["request_time_s"], UTC).isoformat()
        assert _list(ask([row["user_id"]], moment), row["user_id"]) == [ids[item] for item in row["top_items"][:10]]


def test_two_dates_give_two_lists(ask: Ask) -> None:
    summer, winter = ask(["u1", "stranger"], "2017-08-20"), ask(["u1", "stranger"], "2017-12-20")
    assert _list(summer, "u1") != _list(winter, "u1")
    assert _list(summer, "stranger") != _list(winter, "stranger"), "without a history only the season differs"


def test_several_dates_are_the_lists_of_each_and_are_compared(
    ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dates = ("2017-06-20", "2017-12-20")
    each = [ask(date=date) for date in dates]
    capsys.readouterr()
    both = ask(date=dates)
    assert both.columns == ["date", *each[0].columns]
    for date, one in zip(dates, each, strict=True):
        assert both.filter(date=date).drop("date").equals(one)
    overlap = pl.read_csv(tmp_path / "lists_overlap.csv")
    own = {
        user: len(set(_list(each[0], user)) & set(_list(each[1], user))) / 10 for user in each[0]["user_id"].unique()
    }
    found = overlap.filter(date=dates[0], other=dates[1])["overlap"].item()
    assert found == pytest.approx(sum(own.values()) / len(own), abs=1e-4)
    assert "compared in lists_overlap.csv, lists_categories.csv, lists_rising.csv" in capsys.readouterr().out


def test_own_items_are_left_out_when_asked(ask: Ask, trained: Path) -> None:
    every, new = ask(["u1"], top_k=16), ask(["u1"], top_k=16, exclude_own=True)
    events = pl.read_csv(trained / "E.csv")
    own = set(events.filter(pl.col("user_id") == "u1", pl.col("timestamp") < "2017-12-20")["item_id"])
    assert own
    assert _list(new, "u1") == [item for item in _list(every, "u1") if item not in own]
    scores = dict(every.select("item_id", "score").iter_rows())
    assert all(score == pytest.approx(scores[item]) for item, score in new.select("item_id", "score").iter_rows())


def test_an_item_is_no_candidate_before_it_is_first_seen(ask: Ask) -> None:
    before, after = ask(["u1"], "2017-11-06", top_k=17), ask(["u1"], "2017-11-07", top_k=17)
    assert LATE not in _list(before, "u1")
    assert len(before) == len(ITEMS)
    assert LATE in _list(after, "u1")


def test_a_user_whom_the_log_does_not_know_gets_the_list_of_one_without_history(
    ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = ask(["nobody", "u1", "february", "nobody"], "2017-01-20")
    assert "note: 1 of 3 users have no event in the log, such as 'nobody'" in capsys.readouterr().out
    assert lists["user_id"].unique(maintain_order=True).to_list() == ["nobody", "u1", "february"]
    scores = {str(user): one["score"].to_list() for (user,), one in lists.group_by("user_id")}
    assert _list(lists, "nobody") == _list(lists, "february"), "the user of February has no history in January"
    assert scores["nobody"] == pytest.approx(scores["february"])
    assert scores["nobody"] != pytest.approx(scores["u1"])


def test_newer_events_become_history(ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("fresh", "i03", f"2018-01-0{day}T10:00:00") for day in (2, 3, 4)]
    rows += [rows[0], ("february", "i00", "2017-02-01T10:00:00"), ("u1", "unheard", "2018-01-02T10:00:00")]
    path = write_csv(tmp_path / "newer.csv", EVENT_COLUMNS, rows)
    plain = ask(["fresh", "u1"], "2018-01-10", top_k=17)
    told = ask(["fresh", "u1"], "2018-01-10", top_k=17, events=str(path))
    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
    assert ["3", "events merged into the history"] in lines
    assert ["2", "events known already, or given twice: merged"] in lines
    assert ["1", "events of items that the model does not know: left out"] in lines
    assert ["1", "users new to the log"] in lines
    place = {name: _list(frame, "fresh").index("i03") for name, frame in (("plain", plain), ("told", told))}
    assert place["told"] < place["plain"]
    assert "fresh" in ask("all", "2018-01-10", events=str(path))["user_id"]


def test_events_after_the_request_are_not_read(ask: Ask, tmp_path: Path) -> None:
    rows = [("u1", "i03", "2017-12-20T00:00:00"), ("u2", "i05", "2017-12-24T10:00:00")]
    path = write_csv(tmp_path / "newer.csv", EVENT_COLUMNS, rows)
    assert ask(date="2017-12-20", events=str(path)).equals(ask(date="2017-12-20"))
    assert not ask(date="2017-12-21", events=str(path)).equals(ask(date="2017-12-21"))


def test_events_of_a_dataset_that_is_no_table(tmp_path: Path) -> None:
    sizes = ("data.num_users=8", "data.num_items=20", "data.num_days=100")
    folders = (f"cache_dir={tmp_path / 'cache'}", f"run_dir={tmp_path / 'run'}")
    assert main(["train", "data=synthetic", *sizes, *folders, *SMALL]) == 0
    path = write_csv(tmp_path / "newer.csv", EVENT_COLUMNS, [("fresh", "item_00003", "2016-04-08")])
    output = tmp_path / "lists.csv"
    arguments = (f"checkpoint={tmp_path / 'run'}", "users=all", "date=2016-04-12", f"events={path}", f"output={output}")
    assert main(["recommend", *arguments]) == 0
    assert "fresh" in pl.read_csv(output)["user_id"]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
def test_the_log_is_reopened_in_the_time_zone_of_the_run(trained: Path, tmp_path: Path, zone: str) -> None:
    """Checks seconds as numbers: the digest is the same in all time zones, but the days differ."""
    events = pl.read_csv(trained / "E.csv").with_columns(pl.col("timestamp").str.to_datetime().dt.epoch("s"))
    events.write_csv(tmp_path / "E.csv")
    digests = set()
    for number, other in enumerate(("Asia/Tokyo", "America/New_York", "UTC")):
        config = compose([*of_table(tmp_path, tmp_path / f"{number}", items=False)[1:], f"data.timezone={other}"])
        digests.add(open_data(config, progress=lambda line: None).log.digest)
        if other == zone:
            chosen = config
    assert len(digests) == 1
    run_dir = tmp_path / "run"
    write_json(run_dir / "record.json", {"data_digest": digests.pop(), "fingerprint": "f"})
    assert _cached_data_of(run_dir, chosen).log.timezone == zone


def test_the_folder_of_the_run_is_enough(trained: Path, ask: Ask, tmp_path: Path) -> None:
    expected = ask()
    moved = shutil.copytree(trained / "run", tmp_path / "moved")
    (trained / "E.csv").rename(tmp_path / "E.csv")
    try:
        assert ask(checkpoint=str(moved)).equals(expected), "the prepared data are used without their source"
    finally:
        (tmp_path / "E.csv").rename(trained / "E.csv")
    shutil.rmtree(trained / "cache" / "prepared")
    assert ask(checkpoint=str(moved)).equals(expected), "the data are prepared again"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"checkpoint": "nowhere"}, RunFolderError, "got nowhere, which has no config.yaml"),
        ({"date": "20 December"}, RequestError, "date must be a day such as 2017-12-20 or an ISO date-time, got '20 D"),
        ({"date": "2016-12-20"}, RequestError, "date must lie after the first event known by then, at 2017-01-0"),
        ({"top_k": 0}, RequestError, r"top_k must lie in 1..17, the items of the catalogue, got 0"),
        ({"top_k": 18}, RequestError, r"top_k must lie in 1..17, the items of the catalogue, got 18"),
        ({"users": "nobody.txt"}, DataError, "users must be all, a file with .*, or a list of ids, got nobody.txt"),
        ({"users": []}, DataError, "users must name a file with at least one user id, got "),
        ({"events": "newer.csv"}, DataError, "events must name a file that exists, got newer.csv"),
        ({"output": "pyproject.toml/lists.csv"}, UserError, "output must be a place that can be written to, got "),
        ({"output": "."}, UserError, "must be a file that can be replaced, got a folder"),
    ],
)
def test_refused(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], error: type, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    with pytest.raises(error, match=message):
        ask(**options)
    assert not (tmp_path / "lists.csv").exists()


def test_damaged_weights_are_refused(trained: Path, ask: Ask, tmp_path: Path) -> None:
    damaged = shutil.copytree(trained / "run", tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(DamagedError, match=r"model.safetensors is damaged: it differs from its digest"):
        ask(checkpoint=str(damaged))
    (damaged / "digests.json").unlink()  # as in the folder of an earlier version
    with pytest.raises(RunFolderError, match="does not hold this run's weights"):
        ask(checkpoint=str(damaged))
