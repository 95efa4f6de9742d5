"""Tests that the functions of the package agree with its commands."""

import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from small_log import of_table, write_log

import seasonrec
from seasonrec.cli.main import main
from seasonrec.config import ConfigError
from seasonrec.errors import UserError
from seasonrec.runs.recommending import RequestError
from seasonrec.runs.trained import TrainedRun


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder)
    overrides = [each for each in of_table(folder, folder / "run")[1:] if not each.startswith("run_dir=")]
    return seasonrec.train(*overrides, run_dir=folder / "run")


def test_metrics_are_those_of_the_file(run: TrainedRun) -> None:
    metrics = run.metrics
    assert metrics.columns == ["slice", "metric", "value", "n"]
    one = metrics.row(by_predicate=(pl.col("slice") == "all") & (pl.col("metric") == "bits"), named=True)
    assert one["value"] == run._results["slices"]["all"]["bits"]
    assert one["n"] == run._results["slices"]["all"]["n"]
    baskets = metrics.row(by_predicate=(pl.col("slice") == "all") & (pl.col("metric") == "basket_hit@10"), named=True)
    assert baskets["n"] == run._results["slices"]["all"]["baskets"]


def test_recommend_agrees_with_the_command_to_the_bit(run: TrainedRun, tmp_path: Path) -> None:
    output = tmp_path / "lists.csv"
    (tmp_path / "users.txt").write_text("u3\nu1\nstranger\n")
    asked = [f"checkpoint={run.folder}", f"users={tmp_path / 'users.txt'}", "date=2017-12-20", "top_k=5"]
    assert main(["recommend", *asked, f"output={output}"]) == 0
    lists = run.recommend(users=["u3", "u1", "stranger"], at="2017-12-20", top_k=5)
    assert lists.columns == ["user_id", "rank", "item_id", "text", "score"]
    written = pl.read_csv(output, schema_overrides={"score": pl.Float32})
    assert lists.drop("text").cast({"rank": pl.Int64}).equals(written)
    assert lists["text"][0].endswith(f"number {int(lists['item_id'][0][1:])}")


def test_scores_and_triples_agree_with_the_lists(run: TrainedRun) -> None:
    users = ["u1", "u2"]
    lists = run.recommend(users=users, at="2017-12-20", top_k=4)
    values, user_ids, item_ids = run.scores(users=users, at="2017-12-20")
    assert user_ids == users
    assert values.shape == (2, 16)
    assert values.exp().sum(1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    for user_id, _, item_id, _, score in lists.iter_rows():
        assert float(values[users.index(user_id), item_ids.index(item_id)]) == pytest.approx(score, abs=1e-6)
    some = run.scores(users=["u2"], at="2017-12-20", items=[item_ids[3], item_ids[0]])
    assert some.values[0].tolist() == pytest.approx(values[1, [3, 0]].tolist(), abs=1e-6)
    triples = lists.select("user_id", "item_id", pl.lit("2017-12-20").alias("time")).reverse()
    assert run.score(triples)["score"].to_list() == pytest.approx(lists["score"].reverse().to_list(), abs=1e-6)


def test_a_date_may_be_a_date(run: TrainedRun) -> None:
    told = [run.scores(["u1"], at=at).values for at in ("2017-12-20", date(2017, 12, 20), datetime(2017, 12, 20))]
    assert told[0].equal(told[1])
    assert told[0].equal(told[2])


def test_another_date_gives_other_scores(run: TrainedRun) -> None:
    summer, winter = (run.scores(users=["u1"], at=day).values for day in ("2017-07-01", "2017-12-20"))
    assert not summer.equal(winter)


@pytest.mark.parametrize("overrides", [(["data=synthetic"],), ({"data": "synthetic"},)])
def test_overrides_are_separate_texts(overrides: tuple) -> None:
    with pytest.raises(UserError, match="overrides are texts such as 'data=table', each an argument of its own, got"):
        seasonrec.compose(*overrides)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda run: run.recommend(["u1"], at="someday"), "date must be a day"),
        (
            lambda run: run.recommend("all", at="2017-12-20"),
            "users must be a list of ids .* or None for all, got 'all'",
        ),
        (lambda run: run.recommend([], at="2017-12-20"), r"users must be a list of ids .*, got \[\]"),
        (lambda run: run.recommend([1, 2], at="2017-12-20"), r"users must be a list of ids .*, got \[1, 2\]"),
        (lambda run: run.scores(["u1"], at="2017-12-20", items="i3"), "items must be a list of ids .*, got 'i3'"),
        (lambda run: run.recommend(["u1"], at="2017-12-20", top_k=17), r"top_k must lie in 1\.\.16"),
        (lambda run: run.scores(["u1"], at="2017-12-20", items=["i99"]), "items must be in the catalogue, got 'i99'"),
        (lambda run: run.score(pl.DataFrame({"user_id": ["u1"]})), "must have the columns"),
    ],
)
def test_a_question_without_an_answer_is_one_sentence(run: TrainedRun, ask, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        ask(run)


def test_a_result_is_one_line_in_a_notebook(run: TrainedRun) -> None:
    assert "\n" not in repr(run)
    assert "bits" in repr(run)
    assert f"n={run._results['slices']['all']['n']:,}" in repr(run)


def test_a_mistake_is_the_commands_mistake() -> None:
    with pytest.raises(ConfigError, match="seasn"):
        seasonrec.compose("seasn=[momentum]")
    assert seasonrec.compose("season=[]").season in (None, {})


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, seasonrec; print([m for m in ('torch', 'lightning', 'polars', 'hydra') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert set(seasonrec.__all__) <= set(dir(seasonrec))
