"""A small WordNet in the original file format, and a stub language model."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from seasonrec.models.text_augmentation.base import plain

LICENCE = "  1 This software and database is made up for a test.  \n  2 It has nobody's words.  \n"
NOUNS = [
    ["soda", "pop", "soft_drink"],
    ["soda", "sodium_carbonate"],
    ["soft_drink", "refresher"],
    ["turkey", "Meleagris_gallopavo", "gobbler", "turkey_bird", "t4"],
    ["candy", "sweet"],
    ["goose", "honker"],
    ["box", "carton"],
    ["lamp", "bomb"],
]
ADJECTIVES = [["large", "big(a)"], ["sweet", "sugary(p)"]]
VERBS = [["box", "punch"]]


def write_wordnet(folder: Path) -> Path:
    """Writes files in the format of WordNet 3.0: synsets addressed by byte offset, senses in the order above."""
    folder.mkdir(parents=True)
    for part, letter, synsets in (("noun", "n", NOUNS), ("adj", "a", ADJECTIVES), ("verb", "v", VERBS)):
        content, senses = LICENCE, {}
        for words in synsets:
            offset = len(content.encode())
            listed = " ".join(f"{word} 0" for word in words)
            content += f"{offset:08d} 05 {letter} {len(words):02x} {listed} 001 @ 00000001 n 0000 | é, a gloss  \n"
            for word in words:
                senses.setdefault(word.partition("(")[0].lower(), []).append(offset)
        (folder / f"data.{part}").write_text(content, encoding="utf-8")
        lines = [
            f"{word} {letter} {len(found)} 1 @ {len(found)} 0 {' '.join(f'{offset:08d}' for offset in found)}  \n"
            for word, found in sorted(senses.items())
        ]
        (folder / f"index.{part}").write_text(LICENCE + "".join(lines), encoding="utf-8")
    (folder / "noun.exc").write_text("geese goose\nsoda soda\n", encoding="utf-8")
    return folder


class StubReader:
    """A language model with equal vectors for all texts, except those with a given word."""

    far = frozenset({"bomb"})

    def __init__(self, name: str, cache_dir: Path) -> None:
        pass

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[0.0, 1.0] if set(plain(text).split()) & self.far else [1.0, 0.0] for text in texts])


class CarelessReader(StubReader):
    far = frozenset()
