"""Tests of packed sequences against padded ones."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.models.backbone.sasrec import PACK_FROM_PADDING, PACK_FROM_ROWS, SASRec, packing_is_faster
from seasonrec.models.kernels.packing import Packing, collect, spread

B, T, D = 9, 12, 16
LENGTHS = (5, 1, 13, 7, 7, 2, 13, 1, 4)
"""Number of tokens of each sequence with its start vector: no event, a full window, and several equal lengths."""


def backbone(dropout: float = 0.3, length: int = T) -> SASRec:
    torch.manual_seed(0)
    facts: Any = SimpleNamespace(embedding_dim=D, max_seq_len=length)
    return SASRec(dropout=dropout, facts=facts)


def padding(lengths: tuple[int, ...] = LENGTHS, width: int = T + 1) -> Tensor:
    return torch.arange(width) >= torch.tensor(lengths)[:, None]


def with_gradients(model: SASRec, inputs: Tensor, is_padding: Tensor, packing: Packing | None) -> list[Tensor]:
    """Returns the output at tokens, and the gradients of inputs and weights of a randomly weighted sum."""
    given = inputs.clone().requires_grad_()
    model.zero_grad()
    output = model.padded(given) if packing is None else model.packed(given, packing)
    kept = output.masked_fill(is_padding[..., None], 0.0)
    (kept * torch.randn(kept.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    return [kept.detach(), *(tensor.grad for tensor in (given, *model.parameters()) if tensor.grad is not None)]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("num_buckets", [1, 2, 4, 13])
def test_packed_equals_padded(num_buckets: int, training: bool) -> None:
    model = backbone(dropout=0.0 if training else 0.3).train(training)
    is_padding, inputs = padding(), torch.randn(B, T + 1, D)
    expected = with_gradients(model, inputs, is_padding, None)
    found = with_gradients(model, inputs, is_padding, Packing.of(is_padding, num_buckets))
    assert len(found) == len(expected) == 2 + sum(1 for _ in model.parameters())
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("tokens", "rounded"), [(13, 16), (16, 16), (17, 21), (21, 21)])
def test_evaluated_sequences_have_few_lengths(tokens: int, rounded: int) -> None:
    """The lengths are multiples of 8, and the maximum 21; the added padding has no effect."""
    model, inputs = backbone(length=20).eval(), torch.randn(B, tokens, D)
    position = torch.randint(0, tokens, (B,))
    lengths = []
    model.blocks[0].register_forward_hook(lambda block, given, output: lengths.append(given[0].shape[1]))
    found = model.at(inputs, position)
    assert lengths == [rounded]
    torch.testing.assert_close(found, model.padded(inputs)[torch.arange(B), position], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 3])
def test_one_position_of_each_sequence_equals_that_of_the_full_output(num_layers: int) -> None:
    torch.manual_seed(0)
    facts: Any = SimpleNamespace(embedding_dim=D, max_seq_len=T)
    model, inputs = SASRec(num_layers, facts=facts).eval(), torch.randn(B, T + 1, D)
    position = torch.tensor(LENGTHS) - 1
    inputs[padding()] = 100.0  # later positions are not read
    expected = model(inputs, padding())[torch.arange(B), position]
    torch.testing.assert_close(model.at(inputs, position), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"num_layers must be at least 1, got 0"):
        SASRec(0, facts=facts)


def test_padding_is_not_read_and_its_output_is_zero() -> None:
    model, is_padding, inputs = backbone().eval(), padding(), torch.randn(B, T + 1, D)
    packing = Packing.of(is_padding, 4)
    output = model.packed(inputs, packing)
    spoilt = model.packed(inputs.masked_fill(is_padding[..., None], float("nan")), packing)
    assert torch.equal(output, spoilt)
    assert not output[is_padding].any()


@pytest.mark.parametrize("num_buckets", [1, 3, 13])
def test_every_token_has_one_place(num_buckets: int) -> None:
    is_padding = padding()
    packing = Packing.of(is_padding, num_buckets)
    assert sorted(packing.rows.tolist()) == (~is_padding).flatten().nonzero().squeeze(1).tolist()
    assert torch.equal(packing.positions, packing.rows % (T + 1))
    assert len(packing.buckets) <= num_buckets
    assert sum(bucket.num_sequences for bucket in packing.buckets) == B
    assert sum(bucket.num_tokens for bucket in packing.buckets) == sum(LENGTHS)


def test_a_bucket_of_equal_lengths_is_not_copied() -> None:
    packing = Packing.of(padding((7,) * B), 4)
    assert [(bucket.num_sequences, bucket.longest, bucket.place) for bucket in packing.buckets] == [(B, 7, None)]


def test_batches_with_much_padding_are_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    width = 50
    little = padding((int(width * (1 - PACK_FROM_PADDING)) + 1,) * 200, width)
    much = padding((int(width * (1 - PACK_FROM_PADDING)) - 1,) * 200, width)
    few = much[: PACK_FROM_ROWS // (2 * width)]
    assert [packing_is_faster(batch) for batch in (little, much, few)] == [False, True, False]
    packed = []
    original = SASRec.packed
    monkeypatch.setattr(SASRec, "packed", lambda *arguments: packed.append(1) or original(*arguments))
    model = backbone(length=width - 1).eval()
    inputs = torch.randn(200, width, D)
    for batch in (little, much):
        output = model(inputs, batch).masked_fill(batch[..., None], 0.0)
        torch.testing.assert_close(output, model.padded(inputs).masked_fill(batch[..., None], 0.0))
    assert packed == [1]


def test_a_default_batch_of_few_short_windows_stays_padded() -> None:
    """The first requests of users have no history, so half of such a batch is padding, but it is too small to pack."""
    assert not packing_is_faster(padding((1,) * 256, 2))


def test_collect_and_spread_are_inverse_in_both_passes() -> None:
    place = torch.tensor([4, 0, 3])
    rows = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.equal(collect(spread(rows, place, 6), place), rows)
    assert torch.autograd.gradcheck(lambda given: spread(given, place, 6), rows)
    assert torch.autograd.gradcheck(lambda given: collect(given, torch.tensor([2, 0])), rows)


def test_attention_is_causal_and_within_each_sequence() -> None:
    model, is_padding, inputs = backbone().eval(), padding(), torch.randn(B, T + 1, D)
    changed = inputs.clone()
    changed[2, 8] += 1.0
    before, after = (model.packed(given, Packing.of(is_padding, 2)) for given in (inputs, changed))
    moved = (before != after).any(2)
    assert torch.equal(moved, F.one_hot(torch.tensor(2), B)[:, None].bool() & (torch.arange(T + 1) >= 8))
