"""Lists of words of the protocol: items, names, and refused lists."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from small_log import of_table, write_log

from seasonrec.cli.main import main
from seasonrec.data.log import EventLog
from seasonrec.evaluation.groups.columns import partition_of, sides_of
from seasonrec.evaluation.groups.words import items_with_words
from seasonrec.evaluation.protocol import Protocol, fingerprint
from seasonrec.evaluation.results.targets import is_metric, lower_is_better

TEXTS = ["Christmas tree", "set of 6 baubles", "CHRISTMASSY sock", "non-christmas lamp", "merrychristmas", None]


def told(log: EventLog, *words: str) -> list[str | None]:
    texts = pl.Series([TEXTS[number % len(TEXTS)] for number in range(log.num_items)])
    log = replace(log, items=pl.DataFrame({"item_id": log.items["item_id"], "text": texts}))
    found = items_with_words(log, {"some": words})["some"]
    return [text for text, item in zip(texts[: len(TEXTS)], found, strict=False) if item]


def test_a_word_stands_for_those_that_begin_with_it_in_any_case(autumn_log) -> None:
    assert told(autumn_log, "Christmas") == ["Christmas tree", "CHRISTMASSY sock", "non-christmas lamp"]
    assert told(autumn_log, "bauble", "lamp") == ["set of 6 baubles", "non-christmas lamp"]


@pytest.mark.parametrize("word", ["santa", "s.t", "("])
def test_a_list_without_items_is_refused(autumn_log, word: str) -> None:
    with pytest.raises(ValueError, match=r"protocol.words.some must match some items and not all, got 0 of"):
        told(autumn_log, word)


@pytest.mark.parametrize("words", [{"Some Words": ["a"]}, {"some": []}, {"some": ["a", ""]}])
def test_a_list_needs_a_plain_name_and_words(words: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match=r"protocol.words must be lists of words with names of a-z, 0-9 and _, got"):
        Protocol(words=words)  # type: ignore[arg-type]


def test_words_change_no_other_number(autumn_log, autumn_split) -> None:
    with_words = Protocol(words={"some": ("item",)})
    first, second = (fingerprint(one, autumn_log, autumn_split, {}) for one in (with_words, Protocol()))
    assert first == second


def test_the_sides_have_names() -> None:
    assert sides_of("with_some") == ("with_some", "without_some")
    assert partition_of("with_some") == ("with_some", True)
    assert partition_of("without_some") == ("with_some", False)
    assert is_metric("bits_within@without_some")
    assert lower_is_better("bits_group@with_some")
    assert not is_metric("bits_group@without_some")
    assert not is_metric("ndcg@10@with_some")
    assert partition_of("some") is None


def test_a_run_reports_its_sides_and_refuses_a_list_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(tmp_path)
    run_dir = tmp_path / "run"
    assert main(of_table(tmp_path, run_dir, "protocol.words={cold: [winter, autumn]}")) == 0
    assert '"without_cold"' in (run_dir / "metrics.json").read_text()
    assert main(of_table(tmp_path, tmp_path / "other", "protocol.words={cold: [snow]}")) == 2
    assert "protocol.words.cold must match some items and not all, got 0 of 16 for snow" in capsys.readouterr().err
    assert not list((tmp_path / "other").glob("**/*.ckpt"))
