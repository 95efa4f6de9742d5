"""Checks of a study against its log, before the first cell."""

from dataclasses import replace

import pytest
from small_shop import DATASET, Shop

from seasonrec.ablate.log_checks import check_last_year, check_origins
from seasonrec.ablate.study import Study, StudyError

STUDY = Study("small", "first_season", "?", ("full",), (0,))


def config(shop: Shop, validation: str, test: str, until: str | None, **rules: object) -> dict:
    return {
        "data": {"_target_": "seasonrec.data.datasets.synthetic.Synthetic", **DATASET},
        "split": {
            "_target_": "seasonrec.batches.splits.TimeSplit",
            **{"validation_from": validation, "test_from": test, "test_until": until},
        },
        "protocol": {"_target_": "seasonrec.evaluation.protocol.Protocol", **rules},
        "cache_dir": str(shop.cache_dir),
    }


def test_origins_without_events_are_told_together_before_the_first_cell(shop: Shop):
    good = config(shop, "2017-04-01", "2017-06-01", "2017-08-01")
    check_origins({"2017-06-01": good}, str)
    configs = {
        "2016-08-01": config(shop, "2016-05-01", "2016-08-01", "2016-10-01"),
        "2017-06-01": good,
        "2017-10-01": config(shop, "2017-09-30", "2017-10-01", "2017-12-01", horizon_days=700),
        "2019-01-01": config(shop, "2018-11-01", "2019-01-01", None),
    }
    with pytest.raises(StudyError) as refused:
        check_origins(configs, str)
    lines = str(refused.value).splitlines()
    assert lines[0] == "nothing was run:"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "  origin 2016-08-01", "  origin 2017-10-01", "  origin 2019-01-01",
    ]  # fmt: skip
    assert "split.validation_from must lie inside the log, which runs from 2016-06-01" in lines[1]
    assert "protocol hides the whole log from training: the last training request, on 2017-09-29, knows" in lines[2]
    assert "split.test_from must lie inside the log" in lines[3]


def test_a_metric_of_last_year_needs_a_log_that_reaches_back_a_year(shop: Shop):
    """The log begins on 1 June 2016."""
    asked = replace(STUDY, metrics=("bits", "bits_group@last_year"), first_metrics=("bits_within@new_since_last_year",))
    check_last_year(asked, config(shop, "2017-04-01", "2017-06-01", None), str)
    early = config(shop, "2017-03-01", "2017-04-01", None)
    with pytest.raises(StudyError) as refused:
        check_last_year(asked, early, str)
    assert str(refused.value).splitlines() == [
        "nothing was run:",
        "  metrics[1] = bits_group@last_year: needs a log that begins a year before the test part; take it out",
        "  first_metrics[0] = bits_within@new_since_last_year: needs a log that begins a year before the test part; "
        "take it out",
    ]
    check_last_year(replace(STUDY, metrics=("bits",)), early | {"data": "not opened"}, str)
