"""Reads WordNet 3.0's plain files."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from seasonrec.errors import UserError

PartOfSpeech = Literal["noun", "verb", "adj", "adv"]

_PLURALS = (
    ("ches", "ch"), ("shes", "sh"), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ies", "y"), ("men", "man"), ("s", ""),
)  # fmt: skip
"""Endings of nouns and what stands in their place, as WordNet's own morphology has them."""

IRREGULAR = "noun.exc"
"""File of irregular plurals; not every release has it."""


class WordNet:
    """Synonyms by part of speech, read line by line from ``index.*`` and ``data.*``.

    Args:
        folder: Where the files lie.
        parts: Parts of speech to look in, the first first.

    Raises:
        ValueError: If a file is not there.

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
                    "apt install wordnet-base, or set text_augmentation.folder to where index.noun and data.noun lie."
                )

    @property
    def all_files(self) -> list[str]:
        """:attr:`files`, and the list of irregular plurals where there is one."""
        return [*self.files, *([IRREGULAR] if (self.folder / IRREGULAR).is_file() else [])]

    @property
    def files(self) -> list[str]:
        """Names of the files that are read."""
        return [f"{kind}.{part}" for part in self.parts for kind in ("index", "data")]

    def synonyms(self, phrase: str, max_senses: int) -> list[str]:
        """Other words of the phrase's first senses, the most frequent sense first; plural where the phrase is.

        Left out are names, which WordNet writes with capitals, words with digits, and what only adds to the phrase
        (*grocery store*; a *seasonal worker* is no seasonal good).

        Args:
            phrase: One or several words, in lower case, parted by single blanks.
            max_senses: Senses to look at in each part of speech.
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
        """The form under which WordNet knows a phrase, and whether that is the singular of a plural."""
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
        """The words of the synset that stands at a byte of ``data``: ``offset file type count word id word id ...``."""
        data = self._data[part]
        fields = data[offset : data.find(b"\n", offset)].decode().split(" ")
        if not fields[0].isdigit() or int(fields[0]) != offset:
            raise UserError(
                f"{self.folder / f'data.{part}'} must hold a synset at byte {offset}, as index.{part} says, found "
                f"{fields[0]!r}; the two files belong to different releases, install wordnet-base again."
            )
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        return [word.partition("(")[0].replace("_", " ") for word in words]  # an adjective's place stands in brackets

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
    """Whether a word of a synset may stand in for the one that led there."""
    adds_only = set(base.split()) <= set(word.replace("-", " ").split())
    return not adds_only and word == word.lower() and not any(c.isdigit() for c in word)


def plural(word: str) -> str:
    """The regular plural."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in set("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}s"
