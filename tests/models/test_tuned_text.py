"""Tests of the item encoder with a trained language model."""

from dataclasses import replace

import pytest
import torch
from peft_cases import DIM, Maker, disturb, method_of
from tiny_language_models import KINDS, save_tiny
from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.models.item_encoder.text import TextItems
from seasonrec.models.item_encoder.tuned_text import TunedTextItems

every_kind = pytest.mark.parametrize("kind", KINDS)
SOME = torch.tensor([4, 20, 3, 29, 0, 11, 17, 8, 9, 10])


def facts_of(make: Maker) -> Facts:
    """Texts of several lengths, not sorted by length."""
    texts = tuple(text + " number 7" * (place % 4) for place, text in enumerate(make.facts.item_texts))
    return replace(make.facts, item_texts=texts)


def tuned(make: Maker, kind: str, method: str, **options: int) -> TunedTextItems:
    torch.manual_seed(0)
    items = TunedTextItems(save_tiny(kind, make.folder), **options, facts=facts_of(make))
    method_of(method)(facts=make.facts).apply(nn.ModuleDict({"item_encoder": items}))
    return items


def gradients(items: TunedTextItems, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    items.zero_grad()
    (items() * weight).sum().backward()
    return {n: p.grad.clone() for n, p in items.language_model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("kind", "method"), [*((kind, "lora") for kind in KINDS), ("bert", "none"), ("bert", "prefix"), ("bert", "prompt")]
)
def test_vectors_do_not_depend_on_the_chunks(make: Maker, kind: str, method: str) -> None:
    items = tuned(make, kind, method, chunk_size=7)
    disturb(items)
    every = items()
    assert every.shape == (len(make.facts.item_texts), DIM)
    assert len(torch.unique(every.detach(), dim=0)) > 5
    torch.testing.assert_close(items(SOME), every[SOME], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(items(SOME[:1]), every[SOME[:1]], rtol=1e-4, atol=1e-4)
    weight = torch.randn_like(every)
    in_chunks = gradients(items, weight)
    items.chunk_size = 100
    at_once = gradients(items, weight)
    assert any(gradient.any() for gradient in in_chunks.values())
    for name, gradient in in_chunks.items():
        scale = float(at_once[name].abs().max())
        torch.testing.assert_close(gradient, at_once[name], rtol=1e-3, atol=1e-4 * scale + 1e-5)


@pytest.mark.parametrize("method", ["frozen", "lora"])
@every_kind
def test_initial_vectors_are_those_of_frozen_texts(make: Maker, kind: str, method: str) -> None:
    torch.manual_seed(0)
    plain = TextItems(save_tiny(kind, make.folder), facts=facts_of(make))
    items = tuned(make, kind, method, chunk_size=7)
    items.project.load_state_dict(plain.project.state_dict())
    torch.testing.assert_close(items(), plain(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(items(SOME), plain(SOME), rtol=1e-4, atol=1e-4)


def test_a_frozen_language_model_is_not_called(make: Maker) -> None:
    items = tuned(make, "bert", "frozen")
    items.language_model.register_forward_hook(lambda *args: pytest.fail("was asked"))
    items()
    items(SOME)


def test_memory_holds_the_activations_of_one_chunk(make: Maker) -> None:
    """Each of several chunks is computed again in the backward pass; a single chunk is not."""
    calls = []
    items = tuned(make, "bert", "lora", chunk_size=10)
    items.language_model.register_forward_hook(lambda module, args, output: calls.append(output[0].requires_grad))
    loss = items().sum()
    assert len(calls) == 3
    loss.backward()
    assert len(calls) == 6
    with torch.no_grad():
        items()
    assert len(calls) == 9


def test_ids_are_added(make: Maker) -> None:
    items, plain = tuned(make, "bert", "lora", with_ids=True), tuned(make, "bert", "lora")
    plain.project.load_state_dict(items.project.state_dict())
    expected = plain(SOME) + items.id.vectors.weight[SOME]
    torch.testing.assert_close(items(SOME), expected, rtol=1e-4, atol=1e-4)
