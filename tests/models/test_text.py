import re
from pathlib import Path

import pytest
import torch

from seasonrec.models.language import text_vectors as text
from seasonrec.models.language.text_vectors import TextReader

TEXTS = ["turkey, meat", "christmas lights, seasonal", "milk"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def vectors(cache: Path) -> torch.Tensor:
    return TextReader("minilm", cache)(TEXTS, progress=lambda line: None)


def test_related_words_have_similar_vectors(cache: Path, vectors: torch.Tensor) -> None:
    feast = TextReader("minilm", cache)(["for Thanksgiving Day", "for Christmas Day"], progress=lambda line: None)
    nearness = feast @ vectors.T
    assert nearness[0].argmax() == 0
    assert nearness[1].argmax() == 1
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))


def test_texts_are_encoded_once(cache: Path, vectors: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "load_model", lambda name: pytest.fail("the language model was loaded again"))
    again = TextReader("minilm", cache)(TEXTS, progress=lambda line: pytest.fail(line))
    assert torch.equal(again, vectors)


def test_a_vector_does_not_depend_on_the_other_texts(tmp_path: Path, vectors: torch.Tensor) -> None:
    alone = TextReader("minilm", tmp_path)([TEXTS[2]], progress=lambda line: None)
    torch.testing.assert_close(alone[0], vectors[2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("content", [b"", b"half a file", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_cache_is_computed_again(tmp_path: Path, vectors: torch.Tensor, content: bytes) -> None:
    reader, lines = TextReader("minilm", tmp_path), []
    reader(TEXTS, progress=lines.append)
    next(tmp_path.glob("text/*.safetensors")).write_bytes(content)
    torch.testing.assert_close(reader(TEXTS, progress=lines.append), vectors, atol=1e-5, rtol=0)
    assert lines[::2] == ["reading 3 texts with minilm"] * 2
    assert re.fullmatch(r"the text vectors in .* are damaged and computed again", lines[1])


def test_other_texts_have_another_cache_file(cache: Path, vectors: torch.Tensor) -> None:
    reader = TextReader("minilm", cache)
    assert reader._key(["a", "b"]) != reader._key(["ab", ""])
    assert reader._key(TEXTS) != reader._key(TEXTS[::-1])
