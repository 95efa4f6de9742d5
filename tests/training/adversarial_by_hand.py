"""Adversarial training as a plain loop, without hooks and trainer, as a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from small_runs import small_model
from small_shop import Shop
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.head.next_item import NextItemHead
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.training.loss.full_softmax import FullSoftmax

WITHOUT_DROPOUT: dict[str, Any] = {
    "backbone": partial(SASRec, num_layers=1, dropout=0.0),
    "head": partial(NextItemHead, dropout=0.0),
}


class SGD:
    """An optimiser that applies gradients unchanged.

    Adam scales them to full steps, those of the keys' biases too, which are zero but for rounding: no two ways to add
    the same numbers up would agree.
    """

    def build(self, model: nn.Module, total_steps: int, fused: bool = False) -> dict[str, Any]:
        optimizer = torch.optim.SGD([w for w in model.parameters() if w.requires_grad], lr=0.15, momentum=0.5)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - 0.5 * step / total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Added(nn.Module):
    """A component that adds ``delta`` to its output or its first input."""

    def __init__(self, part: nn.Module, to_output: bool) -> None:
        super().__init__()
        self.part = part
        self.to_output = to_output
        self.delta: Tensor | None = None
        self.seen: Tensor | None = None
        self.is_padding: Tensor | None = None

    def forward(self, first: Tensor | None = None, *more: Tensor) -> Tensor:
        if self.to_output:
            return self._with_delta(self.part(first, *more))
        self.is_padding = more[0] if more else None
        return self.part(self._with_delta(first), *more)

    def _with_delta(self, vectors: Tensor) -> Tensor:
        self.seen = vectors.detach()
        return vectors if self.delta is None else vectors + self.delta


@dataclass
class Hand:
    """A model that trains by hand on perturbed inputs.

    Args:
        model: What is trained.
        loss: Its loss on a batch.
        target: ``items``, ``inputs`` or ``text``.
        bf16: Whether passes run under autocast.
    """

    model: SeasonalRecommender
    loss: Callable[[SequenceBatch], Tensor]
    target: str
    bf16: bool = False
    added: Added = field(init=False)

    def __post_init__(self) -> None:
        if self.target == "items":
            self.added = self.model.item_encoder = Added(self.model.item_encoder, to_output=True)
        elif self.target == "inputs":
            self.added = self.model.backbone = Added(self.model.backbone, to_output=False)
        else:
            self.added = self.model.item_encoder.project = Added(self.model.item_encoder.project, to_output=False)

    def run(self, what: Callable[[SequenceBatch], Tensor], batch: SequenceBatch, delta: Tensor | None = None) -> Tensor:
        self.added.delta = delta
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16, cache_enabled=False):
            return what(batch)

    def logits(self, batch: SequenceBatch) -> Tensor:
        return self.model.mask_unavailable(self.model(batch).float(), batch)

    def radius(self) -> Tensor:
        """Returns the radius of size 1, from the vectors of the last pass."""
        seen = self.added.seen.float()
        lengths = torch.linalg.vector_norm(seen, dim=-1)
        if seen.ndim == 2:
            return lengths.mean()
        real = ~self.added.is_padding
        return ((lengths * real).sum() / real.sum() * real.sum(1).sqrt())[:, None, None]

    def noise(self, draws: torch.Generator) -> Tensor:
        """Returns uniform numbers within the radius over the root of their count."""
        noise = torch.empty(self.added.seen.shape).uniform_(-1, 1, generator=draws)
        if noise.ndim == 2:
            return self.radius() * noise / noise.shape[1] ** 0.5
        real = ~self.added.is_padding
        return self.radius() * noise * real[:, :, None] / (real.sum(1) * noise.shape[2]).sqrt()[:, None, None]


def norm(delta: Tensor) -> Tensor:
    """Returns norms of rows ``(R, D)``, or of whole sequences ``(B, T, D)``."""
    return torch.linalg.vector_norm(delta, dim=tuple(range(1, delta.ndim)), keepdim=True)


def unit(gradient: Tensor) -> Tensor:
    length = norm(gradient)
    return torch.where(length > 0, gradient / length, 0.0)


def capped(delta: Tensor, radius: Tensor) -> Tensor:
    return delta * (radius / norm(delta)).clamp(max=1.0).nan_to_num(1.0)


def seed() -> int:
    return int(torch.randint(2**62, ()))


def clean(hand: Hand, batch: SequenceBatch, share: float) -> Tensor:
    """Trains on the clean batch and returns the loss's gradient by the target."""
    state = torch.get_rng_state()
    hand.run(hand.loss, batch)
    delta = torch.zeros_like(hand.added.seen).requires_grad_()
    torch.set_rng_state(state)
    (share * hand.run(hand.loss, batch, delta)).backward()
    return delta.grad


def fgm(hand: Hand, batch: SequenceBatch, share: float) -> None:
    state = torch.get_rng_state()
    gradient = clean(hand, batch, share)
    torch.set_rng_state(state)
    (0.7 * share * hand.run(hand.loss, batch, 0.3 * hand.radius() * unit(gradient))).backward()


def pgd(hand: Hand, batch: SequenceBatch, share: float, random_start: bool = False) -> None:
    state = torch.get_rng_state()
    gradient = clean(hand, batch, share)
    delta, radius = torch.zeros_like(gradient), hand.radius()
    draws = torch.Generator().manual_seed(seed() if random_start else 0)
    after = torch.get_rng_state()
    if random_start:
        delta = 0.3 * hand.noise(draws)
        gradient = _gradient(hand, batch, hand.loss, delta, state)
    for step in range(3):
        if step:
            gradient = _gradient(hand, batch, hand.loss, delta, state)
        delta = capped(delta + 0.2 * radius * unit(gradient), 0.3 * radius)
    torch.set_rng_state(state)
    (0.7 * share * hand.run(hand.loss, batch, delta)).backward()
    torch.set_rng_state(after)


def freelb(hand: Hand, batch: SequenceBatch, share: float) -> None:
    state = torch.get_rng_state()
    clean(hand, batch, share)
    draws = torch.Generator().manual_seed(seed())
    after, radius, delta = torch.get_rng_state(), hand.radius(), 0.3 * hand.noise(draws)
    for _ in range(3):
        delta = delta.detach().requires_grad_()
        torch.set_rng_state(state)
        (0.7 * share / 3 * hand.run(hand.loss, batch, delta)).backward()
        delta = capped(delta.detach() + 0.2 * radius * unit(delta.grad), 0.3 * radius)
    torch.set_rng_state(after)


def vat(hand: Hand, batch: SequenceBatch, share: float) -> None:
    state = torch.get_rng_state()
    (share * hand.run(hand.loss, batch)).backward()
    draws = torch.Generator().manual_seed(seed())
    after = torch.get_rng_state()
    torch.set_rng_state(state)
    with torch.no_grad():
        log_p = torch.log_softmax(hand.run(hand.logits, batch), 1)
    alive = log_p > -torch.inf

    def kl(batch: SequenceBatch) -> Tensor:
        log_q = torch.log_softmax(hand.logits(batch), 1)
        return (log_p[alive].exp() * (log_p[alive] - log_q[alive])).sum() / len(log_p)

    radius = hand.radius()
    direction = torch.empty(hand.added.seen.shape).normal_(generator=draws)
    if hand.added.is_padding is not None:
        direction = direction * ~hand.added.is_padding[:, :, None]
    direction = unit(direction)
    for _ in range(2):
        found = unit(_gradient(hand, batch, kl, 0.1 * radius * direction, state))
        direction = torch.where(norm(found) > 0, found, direction)
    torch.set_rng_state(state)
    (0.7 * share * hand.run(kl, batch, 0.3 * radius * direction)).backward()
    torch.set_rng_state(after)


def _gradient(
    hand: Hand, batch: SequenceBatch, what: Callable[[SequenceBatch], Tensor], delta: Tensor, state: Tensor
) -> Tensor:
    """Returns the gradient of a loss by a perturbation; the weights' gradients stay unchanged."""
    delta = delta.detach().requires_grad_()
    torch.set_rng_state(state)
    return torch.autograd.grad(hand.run(what, batch, delta), delta)[0]


Method = Callable[[Hand, SequenceBatch, float], None]
METHODS: dict[str, Method] = {
    "fgm": fgm,
    "pgd": pgd,
    "pgd from a random start": partial(pgd, random_start=True),
    "freelb": freelb,
    "vat": vat,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "fgm": {"size": 0.3, "weight": 0.7},
    "pgd": {"size": 0.3, "weight": 0.7, "step_size": 0.2},
    "pgd from a random start": {"size": 0.3, "weight": 0.7, "step_size": 0.2, "random_start": True},
    "freelb": {"size": 0.3, "weight": 0.7, "step_size": 0.2},
    "vat": {"size": 0.3, "weight": 0.7, "probe_size": 0.1, "num_iterations": 2},
}
"""The same numbers as options of the classes under test."""


def train_by_hand(
    shop: Shop,
    method: Method,
    target: str,
    steps: Iterable[Sequence[SequenceBatch]],
    num_steps: int,
    *,
    bf16: bool = False,
    clip: float | None = None,
    ranks: int = 1,
    **parts: Any,
) -> list[Tensor]:
    """Returns the weights after some steps, each of several batches.

    The last step may be short: its batches weigh what those of a full one do, as in Lightning. Of several ranks, whose
    batches stand in turns, each draws the same random numbers.
    """
    model = small_model(shop, **parts).train()
    softmax = FullSoftmax(facts=shop.facts())
    built = SGD().build(model, num_steps)
    optimizer, schedule = built["optimizer"], built["lr_scheduler"]["scheduler"]
    weights = list(model.parameters())
    if ranks > 1:
        torch.manual_seed(torch.initial_seed())  # as Lightning does once the processes are connected
    hand = Hand(model, lambda batch: softmax(model, batch), target, bf16)
    full = None
    for batches in steps:
        full = full or len(batches)
        optimizer.zero_grad()
        for place, batch in enumerate(batches):
            if place % ranks == 0:
                state = torch.get_rng_state()
            torch.set_rng_state(state)
            method(hand, batch, (1.0 if batch.weight is None else batch.weight.item()) / full)
        if clip is not None:
            nn.utils.clip_grad_norm_(weights, clip)
        optimizer.step()
        schedule.step()
    return [weight.detach() for weight in weights]
