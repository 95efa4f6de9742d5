"""Adapters of the query, one a season."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from small_shop import Shop

from seasonrec.errors import UserError
from seasonrec.models.season.adapters import SeasonAdapters


def phase(*year_parts: float) -> torch.Tensor:
    return 2 * math.pi * torch.tensor(year_parts)


def test_the_date_mixes_the_two_nearest_seasons(shop: Shop) -> None:
    mixed = SeasonAdapters(number=4, facts=shop.facts())
    found = mixed.weights(phase(0.125, 0.25, 0.875, 0.0, 0.9999))
    first_quarter, between, last = [1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 1]
    new_year = [0.5, 0, 0, 0.5]
    expected = torch.tensor([first_quarter, between, last, new_year, new_year], dtype=torch.float)
    assert torch.allclose(found, expected, atol=1e-3)
    chosen = SeasonAdapters(number=4, by="chosen", facts=shop.facts()).weights(phase(0.0, 0.26, 0.9999))
    assert chosen.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


def test_adapters_start_without_effect_and_each_has_weights_of_its_own(shop: Shop) -> None:
    adapters = SeasonAdapters(number=4, rank=2, facts=shop.facts())
    query = torch.randn(2, 16)
    context = {"calendar": SimpleNamespace(year_phase=phase(0.125, 0.625))}
    assert torch.equal(adapters.conditioned(query, context), query)
    with torch.no_grad():
        adapters.up[2].fill_(1.0)
        adapters.shift[2].fill_(0.5)
    changed = adapters.conditioned(query, context)
    assert torch.equal(changed[0], query[0])
    inner = F.gelu(query[1] @ adapters.down[2].T).sum() + 0.5
    assert torch.allclose(changed[1], query[1] + inner)
    changed.sum().backward()
    assert [float(adapters.up[season].grad.abs().sum()) > 0 for season in range(4)] == [True, False, True, False]


def test_a_wrong_number_is_refused(shop: Shop) -> None:
    with pytest.raises(UserError, match="number must be at least 1, got 0; try 4"):
        SeasonAdapters(number=0, facts=shop.facts())
