"""Tests of the item encoder of texts and their wordings."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_shop import Shop
from torch import Tensor

from seasonrec.batches.facts import Facts
from seasonrec.models.item_encoder.text import TextItems


class LetterReader:
    """A stand-in for the frozen language model: a vector of each text's letters."""

    def __init__(self, name: str, cache_dir: Path) -> None:
        pass

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[float(text.count(letter)) + len(text) / 7 for letter in "abcdef"] for text in texts])


@pytest.fixture
def letters(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Facts:
    monkeypatch.setattr("seasonrec.models.item_encoder.text.TextReader", LetterReader)
    return replace(shop.facts(), item_texts=("abba", "cab", "deaf", "feed"), item_first_seen_s=torch.zeros(4).long())


def test_the_text_of_a_future_item_changes_no_other_vector(letters: Facts) -> None:
    """The mean and the standard deviation exclude items that are first seen after the validation cut."""
    births_s = torch.tensor([0, 0, 0, letters.spec.train_until_s])
    now, then = (
        items_of(replace(letters, item_first_seen_s=births_s, item_texts=(*letters.item_texts[:3], last)))
        for last in ("feed", "a long name " * 9)
    )
    assert torch.equal(now.text_vectors[0, :3], then.text_vectors[0, :3])
    assert not torch.equal(now.text_vectors[0, 3], then.text_vectors[0, 3])


def items_of(facts: Facts) -> TextItems:
    torch.manual_seed(0)
    return TextItems(hidden_dim=5, facts=facts)


@pytest.mark.parametrize("training", [True, False])
def test_without_variants_no_random_number_is_drawn(letters: Facts, training: bool) -> None:
    items = items_of(letters).train(training)
    vectors = LetterReader("", Path())(letters.item_texts)
    vectors = vectors - vectors.mean(0)
    state = torch.get_rng_state()
    assert torch.equal(items(), items.project(vectors / vectors.std()))
    some = torch.tensor([2, 0, 2])
    assert torch.equal(items(some), items.project((vectors / vectors.std())[some]))
    assert torch.equal(torch.get_rng_state(), state)


def test_training_reads_one_wording_of_each_item_and_evaluation_the_text(letters: Facts) -> None:
    wordings = (letters.item_texts, ("bcbc", "cab", "fade", "eeee"), ("aaaa", "fff", "bead", "dddd"))
    items, plain_items = items_of(replace(letters, text_variants=wordings[1:])), items_of(letters)
    state = torch.get_rng_state()
    items.eval(), plain_items.eval()
    assert torch.equal(items(), plain_items())
    assert torch.equal(items(torch.tensor([3, 1])), plain_items(torch.tensor([3, 1])))
    assert torch.equal(torch.get_rng_state(), state)
    base = LetterReader("", Path())(wordings[0])
    mean, std = base.mean(0), (base - base.mean(0)).std()
    known = [items.project((LetterReader("", Path())(texts) - mean) / std) for texts in wordings]  # each (V, D)
    items.train()
    for ids in (None, torch.tensor([3, 1])):
        seen: dict[int, set[int]] = {}
        together = set()
        for seed in range(60):
            torch.manual_seed(seed)
            made = items(ids)
            rows = range(4) if ids is None else ids.tolist()
            drawn = [
                next(w for w, said in enumerate(known) if torch.allclose(made[place], said[row], atol=1e-6))
                for place, row in enumerate(rows)
            ]
            together.add(tuple(drawn))
            for row, wording in zip(rows, drawn, strict=True):
                seen.setdefault(row, set()).add(wording)
        assert seen[3] == {0, 1, 2}
        assert seen[1] == {0, 2}, "the first variant of this item is its text"
        assert len(together) > 4, "items are drawn each by itself"
