"""Tests of neighbours against a loop over baskets and a sort of cosines."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_shop import Shop
from torch import Tensor

from seasonrec.batches.facts import Facts
from seasonrec.models.augmentation import neighbours as neighbours_module
from seasonrec.models.augmentation.insert import Insert
from seasonrec.models.augmentation.neighbours import neighbours
from seasonrec.models.augmentation.substitute import Substitute


def counted(shop: Shop, count: int) -> list[list[int]]:
    """Returns the neighbours by a loop over the baskets before the validation cut."""
    log, together, sold = shop.log, Counter[tuple[int, int]](), Counter[int]()
    for basket in range(log.num_baskets):
        if log.basket_times_s[basket] < shop.split.validation_from_s:
            items = log.event_items[log.basket_offsets[basket] : log.basket_offsets[basket + 1]].tolist()
            sold.update(items)
            together.update((a, b) for a in items for b in items if a != b)
    tables = []
    for item in range(log.num_items):
        score = {b: n / (sold[a] ** 0.5 * sold[b] ** 0.5) for (a, b), n in together.items() if a == item}
        best = sorted(score, key=lambda other: (-round(score[other], 12), other))[:count]
        tables.append(best + [log.num_items] * (count - len(best)))
    return [*tables, [log.num_items] * count]


@pytest.mark.parametrize("chunk", [1 << 24, 60])
def test_neighbours_by_baskets(shop: Shop, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(neighbours_module, "CHUNK_PAIRS", chunk)
    found = neighbours("baskets", 4, "minilm", "substitute", shop.facts(), shop.log)
    assert found.ids.tolist() == counted(shop, 4)
    assert found.first_seen_s[:-1].tolist() == shop.log.item_first_seen_s.tolist()


def test_neighbours_do_not_depend_on_events_after_the_cut(shop: Shop) -> None:
    log, cut = shop.log, shop.split.validation_from_s
    late = log.event_times_s >= cut
    other = replace(log, event_items=np.where(late, (log.event_items + 7) % log.num_items, log.event_items))
    before = neighbours("baskets", 4, "minilm", "insert", shop.facts(), log)
    assert late.any()
    assert torch.equal(neighbours("baskets", 4, "minilm", "insert", shop.facts(), other).ids, before.ids)


def text_neighbours(facts: Facts, vectors: Tensor, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    monkeypatch.setattr(neighbours_module, "TextReader", lambda name, cache_dir: lambda texts: vectors)
    return neighbours("text", 3, "minilm", "substitute", facts, None).ids.tolist()  # type: ignore[no-any-return]


def text_vectors(shop: Shop) -> Tensor:
    return torch.randn(shop.log.num_items, 6, generator=torch.Generator().manual_seed(0)) + 3.0


@pytest.mark.parametrize("chunk", [1 << 24, 70])
def test_neighbours_by_text(shop: Shop, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    vectors, facts = text_vectors(shop), shop.facts()
    monkeypatch.setattr(neighbours_module, "CHUNK_PAIRS", chunk)
    found = text_neighbours(facts, vectors, monkeypatch)
    known = facts.item_is_known
    centred = (vectors - vectors[known].mean(0)).double().numpy()
    for item in range(shop.log.num_items):
        cosine = [
            -2.0
            if other == item or not known[other]
            else centred[item] @ centred[other] / np.linalg.norm(centred[other])
            for other in range(shop.log.num_items)
        ]
        assert found[item] == np.argsort(cosine)[::-1][:3].tolist()
    assert found[-1] == [shop.log.num_items] * 3


def test_texts_of_items_after_the_cut_change_no_neighbour_of_known_items(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gives the items that come after the cut other texts, close to those of a known item."""
    vectors, known = text_vectors(shop), shop.facts().item_is_known
    other = torch.where(known[:, None], vectors, 9.0 * vectors[0])
    before, after = (text_neighbours(shop.facts(), one, monkeypatch) for one in (vectors, other))
    late = set((~known).nonzero().squeeze(1).tolist())
    assert late
    assert not late & {neighbour for row in before for neighbour in row}
    assert all(before[item] == after[item] for item in range(shop.log.num_items) if item not in late)


def test_more_neighbours_than_items(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = torch.randn(shop.log.num_items, 6)
    monkeypatch.setattr(neighbours_module, "TextReader", lambda name, cache_dir: lambda texts: vectors)
    for by in ("baskets", "text"):
        found = neighbours(by, shop.log.num_items + 5, "minilm", "insert", shop.facts(), shop.log)  # type: ignore[arg-type]
        assert (found.ids[:, -5:] == shop.log.num_items).all()


def test_data_without_neighbours_is_refused(shop: Shop) -> None:
    facts, log = shop.facts(), shop.log
    wordless = replace(facts, spec=replace(facts.spec, has_text=False))
    with pytest.raises(ValueError, match=r"substitute: by=text needs item texts.*choose by=baskets"):
        Substitute(by="text", facts=wordless, log=log)
    with pytest.raises(ValueError, match=r"insert: by=baskets counts the log's baskets.*choose by=text"):
        Insert(facts=facts, log=None)
    single = replace(
        log,
        basket_offsets=np.arange(log.num_events + 1),
        basket_times_s=log.event_times_s,
        basket_users=np.repeat(log.basket_users, np.diff(log.basket_offsets)),
    )
    with pytest.raises(ValueError, match=r"needs two items that share a basket.*choose by=text, or augmentation=mask"):
        Substitute(facts=facts, log=single)
