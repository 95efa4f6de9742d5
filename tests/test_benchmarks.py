"""Tests of the comparison with other libraries, without these libraries."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.peers import logs, results, run, score, serve, session  # noqa: E402
from benchmarks.tables import all_tables  # noqa: E402


def _log() -> logs.Log:
    users = np.array([0, 0, 0, 0, 1, 1, 2])
    items = np.array([5, 6, 7, 8, 5, 9, 6])
    times_s = np.array([100, 100, 100, 900, 50, 50, 70])
    is_truth = np.array([False, False, False, True, False, True, False])
    return logs.Log(users, items, times_s, is_truth)


def test_ties_get_strictly_increasing_seconds_in_the_same_order() -> None:
    log = _log()
    times_s = logs.strictly_rising(log.users, log.times_s)
    assert times_s.tolist() == [100, 101, 102, 900, 50, 51, 70]


def test_a_shifted_tie_also_shifts_the_next_event() -> None:
    users = np.zeros(4, dtype=np.int64)
    assert logs.strictly_rising(users, np.array([10, 10, 10, 11])).tolist() == [10, 11, 12, 13]


def test_the_files_of_a_work_have_one_target_per_event(tmp_path: Path) -> None:
    folder = logs.write_work(_log(), 1, tmp_path)
    full, train, truth = (pl.read_csv(folder / f"{name}.csv") for name in ("full", "train", "truth"))
    assert full.height == 5  # all events except the truth
    # the last two of user 0; users 1 and 2 have only one event before their truth, so no target
    assert train.rows() == [(0, 6, 101), (0, 7, 102)]
    assert truth.rows() == [(0, 8)]
    assert json.loads((folder / "facts.json").read_text())["train_users"] == 1


def test_the_synthetic_log_has_its_size_and_one_truth_per_user() -> None:
    log = logs.synthetic(5_000)
    assert len(log.users) == 5_000
    assert (np.diff(log.users) >= 0).all()
    same = log.users[1:] == log.users[:-1]
    assert (np.diff(log.times_s)[same] > 0).all()
    assert log.is_truth.sum() == len(np.unique(log.users))


def test_the_growth_log_is_sorted_by_user_and_time(tmp_path: Path) -> None:
    log = logs.source("growth_3000", tmp_path, tmp_path, tmp_path)
    same = log.users[1:] == log.users[:-1]
    assert len(log.users) == 3_000
    assert (np.diff(log.users) >= 0).all()
    assert (np.diff(log.times_s)[same] >= 0).all()
    assert log.is_truth.sum() == len(np.unique(log.users))


def test_an_unknown_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data must be one of complete_journey, .*, got 'ml_1b'"):
        logs.source("ml_1b", tmp_path, tmp_path, tmp_path)


def _lists(path: Path, rows: list[tuple[int, ...]]) -> Path:
    pl.DataFrame(rows, schema=["user_id", "item_id", "rank"], orient="row").write_csv(path)
    return path


def _truth(path: Path, rows: list[tuple[int, int]]) -> score.Truth:
    pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row").write_csv(path)
    return score.Truth.read(path)


def test_ndcg_by_hand(tmp_path: Path) -> None:
    truth = _truth(tmp_path / "truth.csv", [(1, 10), (1, 11), (2, 10), (3, 12)])
    # user 1 hits at ranks 1 and 3 of two possible, user 2 at rank 2 of one, user 3 has no list, user 4 no truth
    lists = [(1, 10, 1), (1, 99, 2), (1, 11, 3), (2, 99, 1), (2, 10, 2), (4, 10, 1)]
    expected = [(1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3)), 1 / math.log2(3), 0.0]
    assert score.ndcg(_lists(tmp_path / "lists.csv", lists), truth) == pytest.approx(expected)


def test_ranks_beyond_k_do_not_count(tmp_path: Path) -> None:
    truth = _truth(tmp_path / "truth.csv", [(1, 10)])
    assert score.ndcg(_lists(tmp_path / "lists.csv", [(1, 10, 3)]), truth, top_k=2).tolist() == [0.0]


@pytest.mark.parametrize(("rows", "column"), [([(1, 10, 1), (1, 10, 2)], "item_id"), ([(1, 9, 1), (1, 10, 1)], "rank")])
def test_a_list_with_duplicates_is_refused(tmp_path: Path, rows: list[tuple[int, ...]], column: str) -> None:
    truth = _truth(tmp_path / "truth.csv", [(1, 10)])
    with pytest.raises(ValueError, match=f"each {column} must occur once per user"):
        score.ndcg(_lists(tmp_path / "lists.csv", rows), truth)


def test_the_interval_of_a_constant_difference_is_that_constant() -> None:
    assert score.interval(np.full(50, 0.25), replicates=20) == (0.25, 0.25)


def test_the_clock_counts_from_the_end_of_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now, worked = iter([0.0, 5.0, 6.0, 8.0]), iter([1.0, 2.0, 7.0])
    monkeypatch.setattr(serve.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(serve.time, "process_time", lambda: next(worked))
    clock = serve.StepClock(max_steps=3)
    clock.begin()
    assert [clock.tick(positions) for positions in (100, 10, 20)] == [False, False, True]
    speeds = {"positions_per_s": 10.0, "positions_per_cpu_s": 5.0}
    assert clock.record() == {"steps": 3, "positions": 130, "train_s": 8.0, **speeds}


def test_the_clock_stops_at_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 5.0, 11.0])
    monkeypatch.setattr(serve.time, "perf_counter", lambda: next(now))
    clock = serve.StepClock(budget_s=10.0)
    clock.begin()
    assert [clock.tick(1), clock.tick(1)] == [False, True]


def test_our_own_runner_prepares_trains_and_ranks(tmp_path: Path) -> None:
    """Checks only the runner of this library; the runner of a peer needs the environment of the peer."""
    from benchmarks.peers.seasonrec_runner import SeasonrecRunner

    folder = logs.write_work(logs.synthetic(3_000), 10, tmp_path / "work")
    told = {"events": str(folder / "train.csv"), "scratch": str(tmp_path), "lists": str(tmp_path / "lists.csv")}
    runner = SeasonrecRunner(serve.Settings(**told, length=10, width=8, top_k=5, threads=1))
    train = pl.read_csv(folder / "train.csv")
    assert runner.prepare() == train.height
    clock = serve.StepClock()
    runner.train(clock)
    assert sum(clock.positions) == train.height - train["user_id"].n_unique(), "all but every user's first event"
    users, items = runner.infer()
    assert sorted(users) == sorted(str(user) for user in train["user_id"].unique())
    assert all(len(set(one)) == 5 for one in items)
    assert {item for one in items for item in one} <= {str(item) for item in train["item_id"].unique()}


def test_one_step_has_no_speed() -> None:
    clock = serve.StepClock()
    clock.tick(1)
    with pytest.raises(ValueError, match="a speed needs at least 2 training steps, got 1"):
        clock.record()


def _row(competitor: str, train: list[float | None], peak: list[float | None]) -> results.Record:
    rounds: results.Rounds = {"prepare_events_per_s": [], "infer_users_per_s": [], "prepare_peak_mib": []}
    rounds |= {"train_positions_per_s": train, "peak_mib": peak}
    return results.row_of("a work", competitor, rounds, {"train_steps": 3, "error": None})


def test_ratios_compare_with_the_best_peer_round_by_round() -> None:
    rows = [_row("seasonrec", [40.0, 60.0], [90.0, 90.0]), _row("slow", [10.0, 10.0], [100.0, 80.0])]
    rows.append(_row("fast", [20.0, None], [200.0, None]))
    found = results.ratios(rows)
    assert found["train_positions_per_s"] == {"against": "fast", "median": 2.0, "least": 2.0, "greatest": 2.0}
    assert found["peak_mib"] == {"against": "slow", "median": 1.0125, "least": 0.9, "greatest": 1.125}
    assert "infer_users_per_s" not in found
    assert "| a work | - | 2.00 (2.00-2.00) fast | - | 1.01 (0.90-1.12) slow |" in results.markdown(rows)


def test_a_work_replaces_only_its_own_rows(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    results.merge(path, [_row("seasonrec", [1.0], [1.0])])
    other = {**_row("seasonrec", [2.0], [1.0]), "work": "another"}
    results.merge(path, [other])
    merged = results.merge(path, [_row("seasonrec", [3.0], [1.0])])
    assert [(row["work"], row["train_positions_per_s"]) for row in merged] == [("a work", 3.0), ("another", 2.0)]
    assert json.loads(path.read_text()) == merged


def test_competitors_alternate() -> None:
    options = run.arguments(["--rounds", "2", "--quality-rounds", "1", "--prepare-rounds", "1"])
    plan = run.units(options)
    assert [unit.competitor for unit in plan if unit.round == 1] == ["rectools", "replay", "recbole", "seasonrec"]
    assert [unit.kind for unit in plan] == ["prepare"] * 4 + ["quality"] * 4 + ["speed"] * 4


def test_a_budget_belongs_to_one_competitor() -> None:
    options = run.arguments(["--budget", "recbole=30", "--epochs", "4"])
    told = {name: run.settings_of(run.Unit("quality", name, 0), options, Path()) for name in options.competitors}
    assert {name: settings["budget_s"] for name, settings in told.items() if settings["budget_s"]} == {"recbole": 30.0}
    assert {settings["epochs"] for settings in told.values()} == {4}


def test_a_finished_or_failed_round_is_not_run_again(tmp_path: Path) -> None:
    options = run.arguments(["--envs", str(tmp_path / "nowhere"), "--state", str(tmp_path)])
    unit = run.Unit("speed", "rectools", 0)
    record = run.run_unit(unit, options, tmp_path, tmp_path)
    assert "rectools is not installed" in record["error"]
    kept = tmp_path / "speed-rectools-0.json"
    kept.write_text(json.dumps({**_without_error(record), "steps": 7}))
    assert run.run_unit(unit, options, tmp_path, tmp_path)["steps"] == 7
    kept.write_text(json.dumps({**_without_error(record), "code": "of another day"}))
    assert "error" in run.run_unit(unit, options, tmp_path, tmp_path)
    kept.write_text(json.dumps(_without_error(record)))
    options.threads = 1  # another setting runs again
    assert "error" in run.run_unit(unit, options, tmp_path, tmp_path)


def _without_error(record: results.Record) -> results.Record:
    return {key: value for key, value in record.items() if key != "error"}


def test_a_process_that_ends_early_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no such module' >&2\n")
    python.chmod(0o755)
    settings = {"threads": 1, "scratch": str(tmp_path)}
    with (
        session.Session("rectools", python, settings, tmp_path / "log", limit_s=10) as asked,
        pytest.raises(session.CompetitorError, match="rectools ended at start: no such module"),
    ):
        asked.ask()


def test_the_installer_knows_every_peer() -> None:
    pinned = {path.stem for path in (ROOT / "benchmarks" / "peers" / "requirements").glob("*.txt")}
    assert pinned == set(run.PEERS)


def test_the_documents_show_the_numbers_of_the_results() -> None:
    page = (ROOT / "docs/speed.md").read_text(encoding="utf-8")
    block = page.partition("<!-- speed: begin")[2].partition("-->")[2].partition("<!-- speed: end")[0]
    assert block.strip() == all_tables()
