"""Tests of SASRec's departures from its paper, as its docstring lists them."""

import torch
from small_shop import Shop

from seasonrec.models.backbone.sasrec import Block, SASRec
from seasonrec.models.head.next_item import NextItemHead
from seasonrec.models.kernels.packing import causal_attention


def test_positions_count_from_the_start_of_the_window(shop: Shop) -> None:
    model = SASRec(facts=shop.facts()).eval()
    inputs = torch.randn(1, 9, 16, generator=torch.Generator().manual_seed(0))
    short, long = (model(inputs[:, :length], torch.zeros(1, length, dtype=torch.bool)) for length in (5, 9))
    torch.testing.assert_close(short, long[:, :5], rtol=1e-5, atol=1e-6)


def test_queries_keys_and_values_read_the_normalised_input() -> None:
    torch.manual_seed(0)
    block = Block(16, 2, 0.0)
    torch.nn.init.zeros_(block.feed_forward[-1].weight)
    torch.nn.init.zeros_(block.feed_forward[-1].bias)
    inputs = torch.randn(1, 6, 16)
    small, large = (block(scale * inputs, causal_attention) - scale * inputs for scale in (1.0, 10.0))
    torch.testing.assert_close(small, large, rtol=1e-3, atol=1e-3)  # what attention adds ignores the scale


def test_defaults_that_the_docstring_states(shop: Shop) -> None:
    model, head = SASRec(facts=shop.facts()), NextItemHead(facts=shop.facts())
    assert [block.num_heads for block in model.blocks] == [2, 2]  # type: ignore[union-attr]
    assert head.dropout.p == 0.5
    assert torch.equal(head.bias.argsort(), torch.log(shop.facts().item_train_counts + 1.0).argsort())
    assert not [layer for block in model.blocks for layer in block.feed_forward if "Dropout" in type(layer).__name__]  # type: ignore[union-attr]
