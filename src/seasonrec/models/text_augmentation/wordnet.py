"""Reader of WordNet 3.0's text files."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from seasonrec.errors import UserError

PartOfSpeech = Literal["noun", "verb", "adj", "adv"]

_PLURALS = (
    ("ches", "ch"), ("shes", "sh"), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ies", "y"), ("men", "man"), ("s", ""),
)  # fmt: skip
"""Plural endings of nouns and their singular replacements, from WordNet's morphology."""

IRREGULAR = "noun.exc"
"""File of irregular plurals, which some releases lack."""


class WordNet:
    """Synonyms by part of speech, read line by line from ``index.*`` and ``data.*``.

    Args:
        folder: Folder of the files.
        parts: Parts of speech in the order of the search.

    Raises:
        ValueError: If a file is missing.

    References:
        Miller, WordNet: A Lexical Database for English, Communications of the ACM 38(11), 1995; the manual page
        ``wndb(5WN)`` describes the files.
    """

    def __init__(self, folder: Path, parts: tuple[PartOfSpeech, ...] = ("noun", "adj")) -> None:
        self.folder, self.parts = folder, parts
        for name in self.files:
            if not (folder / name).is_file():
                raise UserError(
                    f"text_augmentation=synonym reads WordNet's files, and {folder / name} is missing; run "
                    "apt install wordnet-base, or set text_augmentation.folder to the folder with index.noun."
                )

    @property
    def all_files(self) -> list[str]:
        """:attr:`files`, and the list of irregular plurals if it exists."""
        return [*self.files, *([IRREGULAR] if (self.folder / IRREGULAR).is_file() else [])]

    @property
    def files(self) -> list[str]:
        """Names of the index and data files."""
        return [f"{kind}.{part}" for part in self.parts for kind in ("index", "data")]

    def synonyms(self, phrase: str, max_senses: int) -> list[str]:
        """Returns other words of the phrase's most frequent senses, in the plural for a plural phrase.

        Names (which WordNet capitalises), words with digits, and extensions of the phrase (*grocery store* for
        *grocery*) are left out.

        Args:
            phrase: One or several lower-case words, separated by single spaces.
            max_senses: Maximum number of senses per part of speech, the most frequent first.
        """
        found: dict[str, None] = {}
        for part in self.parts:
            base, is_plural = self._base(phrase, part)
            for offset in self._index[part].get(base, ())[:max_senses]:
                for word in self._words(part, offset):
                    if _is_other(word, base):
                        found[plural(word) if is_plural else word] = None
        found.pop(phrase, None)
        return list(found)

    def _base(self, phrase: str, part: PartOfSpeech) -> tuple[str, bool]:
        """Returns WordNet's form of a phrase, and whether the phrase is the plural of this form."""
        index = self._index[part]
        if phrase in index or part != "noun":
            return phrase, False
        if (irregular := self._irregular.get(phrase)) in index:
            return str(irregular), True
        for ending, other in _PLURALS:
            if phrase.endswith(ending) and (base := phrase.removesuffix(ending) + other) in index:
                return base, True
        return phrase, False

    def _words(self, part: PartOfSpeech, offset: int) -> list[str]:
        """Returns the words of the synset at a byte of ``data``: ``offset file type count word id word id ...``."""
        data = self._data[part]
        fields = data[offset : data.find(b"\n", offset)].decode().split(" ")
        if not fields[0].isdigit() or int(fields[0]) != offset:
            raise UserError(
                f"{self.folder / f'data.{part}'} must have a synset at byte {offset}, listed in index.{part}, found "
                f"{fields[0]!r}; the two files belong to different releases, install wordnet-base again."
            )
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        return [word.partition("(")[0].replace("_", " ") for word in words]  # an adjective's position is in brackets

    @cached_property
    def _index(self) -> dict[PartOfSpeech, dict[str, tuple[int, ...]]]:
        """Offsets of each lemma's synsets: ``lemma pos senses pointers pointer... senses tagged offset...``."""
        found: dict[PartOfSpeech, dict[str, tuple[int, ...]]] = {}
        for part in self.parts:
            rows = (line.split() for line in self._lines(f"index.{part}") if not line.startswith(" "))
            found[part] = {row[0].replace("_", " "): tuple(map(int, row[-int(row[2]) :])) for row in rows}
        return found

    @cached_property
    def _data(self) -> dict[PartOfSpeech, bytes]:
        return {part: (self.folder / f"data.{part}").read_bytes() for part in self.parts}

    @cached_property
    def _irregular(self) -> dict[str, str]:
        rows = (line.split() for line in self._lines(IRREGULAR)) if (self.folder / IRREGULAR).is_file() else ()
        return {row[0].replace("_", " "): row[1].replace("_", " ") for row in rows if row[0] != row[1]}

    def _lines(self, name: str) -> list[str]:
        return (self.folder / name).read_text(encoding="utf-8").splitlines()


def _is_other(word: str, base: str) -> bool:
    """Checks whether a word of a synset may replace the word that was looked up."""
    adds_only = set(base.split()) <= set(word.replace("-", " ").split())
    return not adds_only and word == word.lower() and not any(c.isdigit() for c in word)


def plural(word: str) -> str:
    """Returns the regular plural."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in set("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}s"
