"""Tests of text variants: the filter and the cache, and synonyms against all wordings listed by hand."""

import json
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from small_shop import Shop
from small_wordnet import CarelessReader, StubReader, write_wordnet

from seasonrec.batches.facts import Facts
from seasonrec.config import Composer, ConfTree, build, conf_dir
from seasonrec.models.text_augmentation.back_translation import BackTranslatedTexts
from seasonrec.models.text_augmentation.synonym import SynonymTexts


@pytest.fixture(scope="module")
def wordnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wordnet(tmp_path_factory.mktemp("wordnet") / "files")


TEXTS = ("SODA, large box", "lamp", "Sweet soda in a big box", "milk", "lamp", "lamp box")


@pytest.fixture
def facts(shop: Shop, tmp_path: Path) -> Facts:
    return replace(shop.facts(), item_texts=TEXTS, cache_dir=tmp_path)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("base", "synonym"):
        monkeypatch.setattr(f"seasonrec.models.text_augmentation.{module}.TextReader", StubReader)
    monkeypatch.setattr("seasonrec.models.text_augmentation.base.weights_identity", lambda name: name)


@pytest.fixture
def synonyms(stub: None, wordnet_folder: Path, facts: Facts) -> Any:
    def make(**options: Any) -> SynonymTexts:
        return SynonymTexts(folder=str(wordnet_folder), **{"facts": facts, **options})

    return make


CHOICES = {  # the wordings of each text by hand, word by word
    "SODA, large box": [["SODA", "POP", "SOFT DRINK"], [", "], ["large", "big"], [" "], ["box", "carton"]],
    "Sweet soda in a big box": [
        ["Sweet", "Candy", "Sugary"], [" "], ["soda", "pop", "soft drink"], [" in a "], ["big", "large"], [" "],
        ["box", "carton"],
    ],
    "lamp box": [["lamp "], ["box", "carton"]],
}  # fmt: skip


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_variants_replace_words_by_their_synonyms(synonyms: Any, rate: float) -> None:
    made = synonyms(rate=rate, num_variants=40)(progress=lambda line: None)
    assert len(made) == 40
    for item, text in enumerate(TEXTS):
        said = {variant[item] for variant in made}
        if text not in CHOICES:
            assert said == {text}, "milk has no synonym, and a bomb is too far from a lamp"
            continue
        ways = {
            "".join(way): sum(piece != options[0] for piece, options in zip(way, CHOICES[text], strict=True))
            for way in product(*CHOICES[text])
        }
        assert said <= ways.keys()
        replaceable = sum(len(options) > 1 for options in CHOICES[text])
        counts = {ways[way] for way in said}
        assert counts == {1} if rate == 0.0 else counts <= set(range(1, replaceable + 1))
        assert counts == {replaceable} if rate == 1.0 else True
        assert len(said) > 1 or text == "lamp box"


def test_the_share_of_changed_texts_is_reported(synonyms: Any) -> None:
    lines: list[str] = []
    synonyms(num_variants=2)(progress=lines.append)
    assert lines == ["text_augmentation=synonym: 50.0% of 6 item texts changed, 2 variants each"]


def test_variants_depend_on_seed_and_options(synonyms: Any, facts: Facts, tmp_path: Path) -> None:
    fresh = replace(facts, cache_dir=tmp_path / "other")
    quiet = {"progress": lambda line: None}
    first = synonyms(num_variants=5)(**quiet)
    assert synonyms(num_variants=5, facts=fresh)(**quiet) == first
    assert synonyms(num_variants=5, seed=1)(**quiet) != first


def test_variants_are_computed_once(synonyms: Any, facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    first = synonyms()(progress=lambda line: None)
    kept = list(facts.cache_dir.glob("text_variants/*.json"))
    assert len(kept) == 1
    calls = []
    remake = SynonymTexts._rewrite
    monkeypatch.setattr(SynonymTexts, "_rewrite", lambda self, texts: calls.append(1) or remake(self, texts))
    lines: list[str] = []
    assert synonyms()(progress=lines.append) == first
    assert (calls, len(lines)) == ([], 1)
    for broken in ("", "half a f", "[[]]", "3", json.dumps([["a"], ["b"]])):
        kept[0].write_text(broken)
        assert synonyms()(progress=lambda line: None) == first
    assert len(calls) == 5
    synonyms(rate=0.9)(progress=lambda line: None)
    assert len(list(facts.cache_dir.glob("text_variants/*"))) == 2


def test_variants_are_computed_again_with_other_parts_of_speech_or_irregular_plurals(
    synonyms: Any, facts: Facts, wordnet_folder: Path
) -> None:
    def kept(*parts: str) -> int:
        synonyms(parts_of_speech=parts)(progress=lambda line: None)
        return len(list(facts.cache_dir.glob("text_variants/*.json")))

    assert [kept("noun", "adj"), kept("adj", "noun"), kept("noun", "adj")] == [1, 2, 2]
    listed = wordnet_folder / "noun.exc"
    before = listed.read_text()
    try:
        listed.write_text(before + "oxen ox\n")
        assert kept("noun", "adj") == 3
        listed.unlink()
        assert kept("noun", "adj") == 4
    finally:
        listed.write_text(before)


def test_a_variant_with_another_meaning_is_dropped(synonyms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each word passes the filter, but the complete text does not."""
    monkeypatch.setattr("seasonrec.models.text_augmentation.synonym.TextReader", CarelessReader)
    assert synonyms(min_cosine=0.0)(progress=lambda line: None)[0][1] == "bomb"
    made = synonyms(num_variants=3)(progress=lambda line: None)
    assert {variant[1] for variant in made} == {"lamp"}


OPTIONS = sorted(path.stem for path in (conf_dir() / "text_augmentation").glob("*.yaml"))


@cache
def part_of(option: str) -> Any:
    return build(Composer(ConfTree.of()).compose([f"text_augmentation={option}"]).text_augmentation)


def test_none_has_no_variants(facts: Facts) -> None:
    assert "none" in OPTIONS
    made = part_of("none")(facts=facts)(progress=pytest.fail)
    assert made == ()


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "none"])
def test_data_without_text_is_refused(facts: Facts, option: str) -> None:
    wordless = replace(facts, spec=replace(facts.spec, has_text=False))
    with pytest.raises(ValueError, match=rf"text_augmentation={option} needs item texts.*text_augmentation=none"):
        part_of(option)(facts=wordless)


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "none"])
def test_a_cosine_out_of_range_is_refused(facts: Facts, option: str) -> None:
    with pytest.raises(ValueError, match=r"text_augmentation\.min_cosine must lie in \[0, 1\], got 1.5; try 0"):
        part_of(option)(min_cosine=1.5, facts=facts)


def test_other_errors(synonyms: Any, facts: Facts) -> None:
    with pytest.raises(ValueError, match="num_variants must be at least 1, got 0; try 2"):
        synonyms(num_variants=0)
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\], got -1; try 0.3"):
        synonyms(rate=-1)
    for wrong in ({"max_senses": 0}, {"parts_of_speech": ()}):
        with pytest.raises(
            ValueError,
            match=r"(max_senses must be at least 1, got 0; try 1|parts_of_speech must have at least 1 entry)",
        ):
            synonyms(**wrong)
    with pytest.raises(ValueError, match="num_beams must be at least 1, got 0; try 4"):
        BackTranslatedTexts(num_beams=0, facts=facts)
