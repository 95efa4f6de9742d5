import re
from dataclasses import replace

import pytest
from evaluation_logs import build_log, build_split

from seasonrec.batches.horizon import Horizon
from seasonrec.evaluation import protocol as protocol_module
from seasonrec.evaluation.protocol import Protocol, fingerprint

LOG = build_log([(0, "2017-01-02", [0]), (0, "2017-02-02", [1]), (0, "2017-03-02", [0])])
SPLIT = build_split(LOG, "2017-02-01", "2017-03-01")
IDENTITY = {"name": "toy", "level": "product_type"}
BASE = fingerprint(Protocol(), LOG, SPLIT, IDENTITY)


def test_the_fingerprint_is_short_hex_and_the_same_every_time():
    assert re.fullmatch(r"[0-9a-f]{16}", BASE)
    assert fingerprint(Protocol(), LOG, SPLIT, dict(reversed(IDENTITY.items()))) == BASE


@pytest.mark.parametrize(
    "changed",
    [
        (Protocol(part="validation"), LOG, SPLIT, IDENTITY),
        (Protocol(horizon_days=28), LOG, SPLIT, IDENTITY),
        (Protocol(refresh_days=7), LOG, SPLIT, IDENTITY),
        (Protocol(refresh_days=None), LOG, SPLIT, IDENTITY),
        (Protocol(horizon_days=None), LOG, SPLIT, IDENTITY),
        (Protocol(), LOG, replace(SPLIT, end_s=SPLIT.end_s - 1), IDENTITY),
        (Protocol(candidates="all"), LOG, SPLIT, IDENTITY),
        (Protocol(season_ratio=3.0), LOG, SPLIT, IDENTITY),
        (Protocol(holidays=("Easter",)), LOG, SPLIT, IDENTITY),
        (Protocol(), replace(LOG, digest="e" * 64), SPLIT, IDENTITY),
        (Protocol(), LOG, replace(SPLIT, test_from_s=SPLIT.test_from_s + 1), IDENTITY),
        (Protocol(), LOG, replace(SPLIT, train_from_s=SPLIT.train_from_s + 1), IDENTITY),
        (Protocol(), LOG, SPLIT, {**IDENTITY, "level": "variant"}),
    ],
    ids=[
        "part",
        "horizon",
        "refresh",
        "frozen",
        "a year",
        "end",
        "candidates",
        "season",
        "holidays",
        "data",
        "test cut",
        "train cut",
        "dataset",
    ],
)
def test_the_fingerprint_changes_with_whatever_changes_a_number(changed):
    assert fingerprint(*changed) != BASE


def test_the_fingerprint_changes_with_the_holidays_and_with_the_clock_changes_of_the_zone(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(protocol_module, "version", lambda package: f"another {package}")
        assert fingerprint(Protocol(), LOG, SPLIT, IDENTITY) != BASE
    with monkeypatch.context() as patch:
        patch.setattr(protocol_module, "clock_digest", lambda timezone, until_s: "0" * 16)
        assert fingerprint(Protocol(), LOG, SPLIT, IDENTITY) != BASE


def test_the_fingerprint_changes_with_the_metric_version(monkeypatch):
    monkeypatch.setattr(protocol_module, "METRIC_VERSION", protocol_module.METRIC_VERSION + 1)
    assert fingerprint(Protocol(), LOG, SPLIT, IDENTITY) != BASE


def test_two_names_of_one_horizon_have_one_fingerprint():
    test_days = Protocol(refresh_days=None).horizon(SPLIT, "UTC").refresh_days
    named = fingerprint(Protocol(refresh_days=test_days), LOG, SPLIT, IDENTITY)
    assert fingerprint(Protocol(refresh_days=None), LOG, SPLIT, IDENTITY) == named
    a_year = Protocol(horizon_days=364.0)
    assert fingerprint(Protocol(horizon_days=None), LOG, SPLIT, IDENTITY) == fingerprint(a_year, LOG, SPLIT, IDENTITY)


def test_printing_other_list_lengths_keeps_the_fingerprint():
    assert fingerprint(Protocol(top_ks=(10,)), LOG, SPLIT, IDENTITY) == BASE


def test_all_mistakes_are_named_at_once():
    with pytest.raises(ValueError) as caught:
        Protocol(horizon_days=-1, top_ks=(0, 10), head_share=1.5, season_ratio=1.0)
    message = str(caught.value)
    assert "protocol.horizon_days must be at least 0, got -1" in message
    assert "protocol.top_ks: each entry must be at least 1, got [0, 10]" in message
    assert "protocol.head_share must lie in (0, 1), got 1.5" in message
    assert "protocol.season_ratio must be above 1, got 1.0" in message
    with pytest.raises(ValueError) as caught:
        Protocol(part="training", candidates="sampled")
    assert "protocol.part must be one of validation, test, got 'training'" in str(caught.value)
    assert "protocol.candidates must be one of known, before_request, all, got 'sampled'" in str(caught.value)
    with pytest.raises(ValueError, match=r"protocol.top_ks must be distinct entries, got \[10, 10\]"):
        Protocol(top_ks=(10, 10))


def test_lists_of_a_yaml_become_tuples_and_days_become_seconds():
    protocol = Protocol(top_ks=[5, 10], holidays=["Easter"], horizon_days=0.5)
    assert protocol.top_ks == (5, 10)
    assert protocol.holidays == ("Easter",)
    assert protocol.horizon(SPLIT, "UTC") == Horizon(43_200)
    assert protocol.list_length == 10


def test_a_target_behaviour_is_part_of_the_fingerprint_only_where_it_is_set(monkeypatch):
    hashed = []
    monkeypatch.setattr(protocol_module.json, "dumps", lambda content, **_: hashed.append(content["rules"]) or "")
    for protocol in (Protocol(), Protocol(target_behaviour="buy")):
        fingerprint(protocol, LOG, SPLIT, IDENTITY)
    assert [rules.get("target_behaviour", "absent") for rules in hashed] == ["absent", "buy"]
