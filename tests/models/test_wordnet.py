"""Tests of the reader of WordNet, and of the search for words with synonyms."""

from pathlib import Path

import pytest
from small_shop import Shop
from small_wordnet import write_wordnet

from seasonrec.models.text_augmentation.synonym import DEBIAN_FOLDER, SynonymTexts, in_case_of, phrases
from seasonrec.models.text_augmentation.wordnet import WordNet, plural


@pytest.fixture(scope="module")
def wordnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wordnet(tmp_path_factory.mktemp("wordnet") / "files")


@pytest.mark.parametrize(
    ("phrase", "senses", "expected"),
    [
        ("soda", 1, ["pop", "soft drink"]),
        ("soda", 2, ["pop", "soft drink", "sodium carbonate"]),
        ("soft drink", 5, ["soda", "pop", "refresher"]),
        ("turkey", 1, ["gobbler"]),  # without the Latin name, extensions of the word, and words with a digit
        ("candies", 1, ["sweets"]),
        ("boxes", 1, ["cartons"]),
        ("geese", 1, ["honkers"]),
        ("large", 1, ["big"]),
        ("sweet", 1, ["candy", "sugary"]),  # a noun and an adjective
        ("larges", 1, []),
        ("nothing", 1, []),
        ("soft", 1, []),
    ],
)
def test_synonyms(wordnet_folder: Path, phrase: str, senses: int, expected: list[str]) -> None:
    assert WordNet(wordnet_folder).synonyms(phrase, senses) == expected


def test_parts_of_speech_are_searched_in_order(wordnet_folder: Path) -> None:
    assert WordNet(wordnet_folder, ("verb",)).synonyms("box", 1) == ["punch"]
    assert WordNet(wordnet_folder, ("verb", "noun")).synonyms("box", 1) == ["punch", "carton"]
    assert WordNet(wordnet_folder, ("adj", "noun")).synonyms("sweet", 1) == ["sugary", "candy"]


def test_missing_or_damaged_files_of_wordnet(tmp_path: Path, wordnet_folder: Path, shop: Shop) -> None:
    with pytest.raises(ValueError, match=r"index.noun is missing; run apt install wordnet-base, or set text_augment"):
        SynonymTexts(folder=str(tmp_path / "nowhere"), facts=shop.facts())
    broken = write_wordnet(tmp_path / "broken")
    (broken / "data.adj").unlink()
    with pytest.raises(ValueError, match=r"broken/data.adj is missing; run apt install wordnet-base"):
        WordNet(broken)
    (broken / "data.noun").write_text("  another release\n" + (broken / "data.noun").read_text("utf-8"), "utf-8")
    with pytest.raises(ValueError, match=r"data.noun must have a synset at byte \d+.*different releases"):
        WordNet(broken, ("noun",)).synonyms("soda", 1)


def test_plural() -> None:
    assert [plural(word) for word in ("dish", "box", "berry", "day", "pie")] == [
        "dishes", "boxes", "berries", "days", "pies",
    ]  # fmt: skip


@pytest.mark.skipif(not Path(DEBIAN_FOLDER, "index.noun").is_file(), reason="Debian's wordnet-base is not installed")
def test_the_real_wordnet() -> None:
    assert "yoghurt" in WordNet(Path(DEBIAN_FOLDER)).synonyms("yogurt", 1)
    assert "lamps" not in WordNet(Path(DEBIAN_FOLDER)).synonyms("lamps", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SODA, soft drink cans", ["SODA", "soft drink"]),
        ("soft drink", ["soft drink"]),
        ("soft, drink", []),
        ("big soft  drink", ["big"]),
        ("soda-pop 2l", ["soda", "pop"]),
        ("", []),
    ],
)
def test_phrases(wordnet_folder: Path, text: str, expected: list[str]) -> None:
    wordnet = WordNet(wordnet_folder)
    found = phrases(text, lambda phrase: wordnet.synonyms(phrase, 1))
    assert [text[start:stop] for start, stop in found] == expected


def test_case_follows_the_replaced_word() -> None:
    assert in_case_of("SODA", "soft drink") == "SOFT DRINK"
    assert in_case_of("Soda", "soft drink") == "Soft drink"
    assert in_case_of("soda", "soft drink") == "soft drink"
