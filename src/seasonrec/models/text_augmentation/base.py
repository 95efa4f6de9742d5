"""Interface and shared rules of the augmentations of item texts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from seasonrec.atomic import write_text
from seasonrec.batches.facts import Facts
from seasonrec.data.cache import content_key
from seasonrec.data.trust import is_own
from seasonrec.errors import UserError
from seasonrec.models.language.text_vectors import TextReader, weights_identity

TextVariants = tuple[tuple[str, ...], ...]
"""``R`` lists of ``V`` reworded item texts; a text without a variant is unchanged."""


class TextAugmentation(Protocol):
    """Rewording of item texts. The item encoder reads a random wording in training and the original otherwise.

    The constructor takes the options, then ``*, facts: Facts``. The result depends only on the options and the texts.
    """

    def __call__(self, progress: Callable[[str], None] = print) -> TextVariants:
        """Returns the variants, cached on disk; ``progress`` is called with the number of changed texts."""
        ...


@dataclass(frozen=True)
class Rewriting:
    """Cached computation of variants, which drops those with a different meaning.

    Args:
        name: Option of the slot, for messages.
        num_variants: Number ``R`` of variants of each text.
        min_cosine: Minimum cosine between the vectors of a text and its variant.
        reader: Language model for these vectors.
        facts: Facts of the data.

    Raises:
        ValueError: If the data has no text, or a number is out of range.
    """

    name: str
    num_variants: int
    min_cosine: float
    reader: str
    facts: Facts

    def __post_init__(self) -> None:
        owner = f"text_augmentation={self.name}"
        if not self.facts.spec.has_text:
            raise UserError(
                f"{owner} needs item texts, and this data has none; give the data a text column, or choose "
                "text_augmentation=none."
            )

    def __call__(
        self,
        made_from: dict[str, object],
        rewrite: Callable[[Sequence[str]], Sequence[Sequence[str]]],
        progress: Callable[[str], None],
    ) -> TextVariants:
        """Returns the variants of the items' texts.

        Args:
            made_from: All options that affect the result, JSON-serialisable.
            rewrite: Maps ``n`` distinct texts to ``R`` lists of ``n``; called if the variants are not cached.
            progress: Called with the number of changed texts.
        """
        texts = list(dict.fromkeys(self.facts.item_texts))
        own = {"min_cosine": self.min_cosine, "reader": weights_identity(self.reader), "variants": self.num_variants}
        key = content_key({"name": self.name, "texts": texts, **own, **made_from})
        path = self.facts.cache_dir / "text_variants" / f"{key}.json"
        made = _read(path, self.num_variants, len(texts), progress)
        if made is None:
            made = [self._kept(texts, variant) for variant in rewrite(texts)]
            write_text(path, json.dumps({"sha256": _digest(path, made), "variants": made}, ensure_ascii=False))
        return self._of_items(texts, made, progress)

    def _kept(self, texts: list[str], variant: Sequence[str]) -> list[str]:
        """Returns the variant, with the original where the two differ only in case or too much in meaning."""
        read = TextReader(self.reader, self.facts.cache_dir)
        cosine = (read(texts) * read(variant)).sum(1).tolist()
        return [
            new if cosine[row] >= self.min_cosine and plain(new) != plain(old) else old
            for row, (old, new) in enumerate(zip(texts, variant, strict=True))
        ]

    def _of_items(self, texts: list[str], made: list[list[str]], progress: Callable[[str], None]) -> TextVariants:
        """Returns the variants of all items, and reports the share of changed texts."""
        by_text = [dict(zip(texts, variant, strict=True)) for variant in made]
        variants = tuple(tuple(variant[text] for text in self.facts.item_texts) for variant in by_text)
        share = replace(self.facts, text_variants=variants).text_changed_share
        count = f"{self.num_variants} variant{'s' * (self.num_variants > 1)}"
        progress(
            f"text_augmentation={self.name}: {share:.1%} of {len(self.facts.item_texts):,} item texts changed, "
            f"{count} each"
        )
        return variants


def plain(text: str) -> str:
    """Returns the words of a text without case, punctuation and spacing."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _read(path: Path, num_variants: int, num_texts: int, progress: Callable[[str], None]) -> list[list[str]] | None:
    """Returns the cached variants, or None if there are none, another user may have changed them, or they are damaged.

    A list alone was written by an earlier version, without a digest.
    """
    if not path.is_file() or not is_own(path):
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        made = found if isinstance(found, list) else found["variants"]
        is_intact = made is found or found["sha256"] == _digest(path, made)
        if is_intact and len(made) == num_variants and all(len(variant) == num_texts for variant in made):
            return made
    except (OSError, ValueError, TypeError, KeyError):
        pass
    progress(f"the variants in {path} are damaged and made again")
    return None


def _digest(path: Path, made: Sequence[Sequence[str]]) -> str:
    """Returns a digest of variants and of the key of their texts, which names the file."""
    return hashlib.sha256(json.dumps([path.stem, made]).encode()).hexdigest()
