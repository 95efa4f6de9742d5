"""Replacement of words in item texts by synonyms."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np

from seasonrec.batches.facts import Facts
from seasonrec.data.cache import file_sha256
from seasonrec.models.language.text_vectors import TextReader
from seasonrec.models.text_augmentation.base import Rewriting, TextVariants
from seasonrec.models.text_augmentation.wordnet import PartOfSpeech, WordNet
from seasonrec.ranges import AtLeast, Depth, Entries, Seed, Share, ranged

VERSION = 1
"""Increased with every change to the search and replacement of words."""

DEBIAN_FOLDER = "/usr/share/wordnet"
_WORD = re.compile(r"[^\W\d_]{3,}")
_MAX_WORDS = 3


@ranged("text_augmentation")
class SynonymTexts:
    """Replacement of words and set phrases by WordNet's synonyms; case and number follow the replaced word.

    The most frequent sense of a word may not be the intended one. A language model therefore filters twice: a synonym
    must be close to the word, and the new text close to the original.

    Args:
        num_variants: Number of variants of each text.
        rate: Probability that a word with synonyms is replaced; at least one is replaced in a text that has any.
        min_cosine: Minimum cosine between the vectors of word and synonym, and of text and variant.
        max_senses: Maximum number of senses of a word, the most frequent first.
        parts_of_speech: Parts of speech to look up.
        reader: Language model for the cosines, see :func:`~seasonrec.models.language.pretrained.resolve`.
        folder: Folder of WordNet's ``index.*`` and ``data.*``; the default is that of Debian's ``wordnet-base``.
        seed: Random seed of the choice.

    Raises:
        ValueError: If WordNet is missing, the data has no text, or a number is out of range.

    References:
        Wei and Zou, EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks,
        EMNLP-IJCNLP 2019, synonym replacement. Departure: the filter by a language model.
    """

    def __init__(
        self,
        num_variants: Annotated[int, AtLeast(1, 100)] = 2,
        rate: Share = 0.3,
        min_cosine: Share = 0.6,
        max_senses: Depth = 1,
        parts_of_speech: Annotated[tuple[PartOfSpeech, ...], Entries()] = ("noun", "adj"),
        reader: str = "minilm",
        folder: str = DEBIAN_FOLDER,
        seed: Seed = 0,
        *,
        facts: Facts,
    ) -> None:
        self.rewriting = Rewriting("synonym", num_variants, min_cosine, reader, facts)
        self.rate = rate
        self.max_senses, self.seed = max_senses, seed
        self.wordnet = WordNet(Path(folder).expanduser(), parts_of_speech)
        self._synonyms = cache(lambda phrase: self.wordnet.synonyms(phrase, max_senses))

    def __call__(self, progress: Callable[[str], None] = print) -> TextVariants:
        files = [(name, file_sha256(self.wordnet.folder / name)) for name in self.wordnet.all_files]
        options = {"version": VERSION, "rate": self.rate, "max_senses": self.max_senses, "seed": self.seed}
        return self.rewriting({**options, "files": files}, self._rewrite, progress)

    def _rewrite(self, texts: Sequence[str]) -> list[list[str]]:
        spans = [phrases(text, self._synonyms) for text in texts]
        near = self._near({text[a:b].lower() for text, found in zip(texts, spans, strict=True) for a, b in found})
        rows = [
            (text, [(a, b) for a, b in found if near[text[a:b].lower()]])
            for text, found in zip(texts, spans, strict=True)
        ]
        draw = np.random.default_rng(self.seed)
        variants = range(self.rewriting.num_variants)
        return [[self._reworded(text, found, near, draw) for text, found in rows] for _ in variants]

    def _near(self, words: set[str]) -> dict[str, list[str]]:
        """Returns the synonyms of each phrase whose vectors are close to the phrase's."""
        pairs = [(phrase, other) for phrase in sorted(words) for other in self._synonyms(phrase)]
        near: dict[str, list[str]] = {phrase: [] for phrase in words}
        if pairs:
            read = TextReader(self.rewriting.reader, self.rewriting.facts.cache_dir)
            both = list(dict.fromkeys(word for pair in pairs for word in pair))
            row = {word: number for number, word in enumerate(both)}
            vectors = read(both)
            first, second = (vectors[[row[pair[side]] for pair in pairs]] for side in (0, 1))
            for (phrase, other), cosine in zip(pairs, (first * second).sum(1).tolist(), strict=True):
                if cosine >= self.rewriting.min_cosine:
                    near[phrase].append(other)
        return near

    def _reworded(
        self, text: str, spans: list[tuple[int, int]], near: dict[str, list[str]], draw: np.random.Generator
    ) -> str:
        """Returns the text with synonyms in some of its spans."""
        if not spans:
            return text
        chosen = draw.random(len(spans)) < self.rate
        chosen[draw.integers(len(spans))] = True
        pieces, end = [], 0
        for (start, stop), taken in zip(spans, chosen, strict=True):
            if taken:
                others = near[text[start:stop].lower()]
                pieces += [text[end:start], in_case_of(text[start:stop], others[draw.integers(len(others))])]
                end = stop
        return "".join([*pieces, text[end:]])


def phrases(text: str, synonyms: Callable[[str], list[str]]) -> list[tuple[int, int]]:
    """Returns the spans of words and set phrases with synonyms, from left to right; a longer phrase has precedence."""
    words = [match.span() for match in _WORD.finditer(text)]
    found, place = [], 0
    while place < len(words):
        for count in range(min(_MAX_WORDS, len(words) - place), 0, -1):
            run = words[place : place + count]
            start, stop = run[0][0], run[-1][1]
            together = all(text[a[1] : b[0]] == " " for a, b in pairwise(run))
            if together and synonyms(text[start:stop].lower()):
                found.append((start, stop))
                place += count - 1
                break
        place += 1
    return found


def in_case_of(word: str, other: str) -> str:
    """Returns ``other`` in upper case, capitalised or unchanged, following ``word``."""
    if word.isupper():
        return other.upper()
    return other[:1].upper() + other[1:] if word[:1].isupper() else other
