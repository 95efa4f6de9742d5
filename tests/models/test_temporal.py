"""Further contract tests of temporal modules, and comparisons with hand-written references."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from small_shop import Shop
from small_windows import (
    DAY_S,
    TODAY_S,
    WIDTH,
    basket_time_s,
    baskets_before,
    batch_of,
    shaken,
    some_batch,
    some_hidden,
)
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.components import at_requests
from seasonrec.models.habit.none import NoHabit
from seasonrec.models.head.next_item import NextItemHead
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.temporal.gru import GRUTemporal
from seasonrec.models.temporal.intervals import BOUNDS_S, NUM_BUCKETS, buckets, log_days
from seasonrec.models.temporal.last_visit import LastVisitTemporal
from seasonrec.models.temporal.lstm import LSTMTemporal
from seasonrec.models.temporal.moving_average import MovingAverageTemporal
from seasonrec.models.temporal.recurrence import BasketRecurrence
from seasonrec.models.temporal.transformer_time import TransformerTime
from seasonrec.models.temporal.vae import VAETemporal

MODULES: dict[str, Callable[..., nn.Module]] = {
    "moving_average": MovingAverageTemporal,
    "exponential": partial(MovingAverageTemporal, weights="exponential"),
    "gru": GRUTemporal,
    "lstm": partial(LSTMTemporal, num_layers=2),
    "transformer_time": partial(TransformerTime, num_layers=2),
    "vae": VAETemporal,
}
"""Modules that read the baskets; ``last_visit`` reads the time alone."""
every_module = pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)


@pytest.fixture(scope="module")
def facts(shop: Shop) -> Facts:
    return shop.facts(embedding_dim=WIDTH)


def added(module: nn.Module, hidden: Tensor, batch: SequenceBatch) -> Tensor:
    """Returns the change of the backbone's output by the module."""
    return module(hidden, batch).query - at_requests(hidden, batch)


@every_module
def test_starts_as_the_identity(make: Callable[..., nn.Module], facts: Facts) -> None:
    batch = some_batch()
    hidden = some_hidden(batch)
    for module in (make(facts=facts).eval(), make(facts=facts).train()):
        assert torch.equal(module(hidden, batch).query, at_requests(hidden, batch))


@every_module
def test_order_within_a_basket_has_no_effect(make: Callable[..., nn.Module], facts: Facts) -> None:
    times_s = [0, 0, 0, DAY_S, 5 * DAY_S, 5 * DAY_S, 5 * DAY_S]
    batch = batch_of([times_s], [(0, 7, 9 * DAY_S), (0, 4, 2 * DAY_S)])
    module, hidden = shaken(make(facts=facts)), some_hidden(batch)
    within = hidden[:, [0, 2, 3, 1, 4, 6, 5, 7]]  # the backbone's output at the requests stays the same
    across = hidden[:, [0, 4, 2, 3, 1, 5, 6, 7]]
    torch.testing.assert_close(added(module, within, batch), added(module, hidden, batch), rtol=0, atol=1e-5)
    assert (added(module, across, batch) - added(module, hidden, batch)).abs().max() > 1e-3


@every_module
def test_nothing_after_a_position_is_read_even_in_the_middle_of_a_basket(
    make: Callable[..., nn.Module], facts: Facts
) -> None:
    times_s = [0, 0, DAY_S, DAY_S, DAY_S, 3 * DAY_S]
    later_s = [[*times_s[:place], *(second + 17 * DAY_S for second in times_s[place:])] for place in range(6)]
    module = shaken(make(facts=facts))
    for place in range(6):
        batch = batch_of([times_s], [(0, place, 4 * DAY_S)])
        hidden = some_hidden(batch).requires_grad_()
        query = module(hidden, batch).query
        (gradient,) = torch.autograd.grad(query.sum(), hidden)
        assert not gradient[0, place + 1 :].any()
        changed = torch.cat([hidden[:, : place + 1], hidden[:, place + 1 :] * 100], dim=1)
        again = module(changed, batch_of([later_s[place]], [(0, place, 4 * DAY_S)])).query
        torch.testing.assert_close(again, query, rtol=0, atol=1e-6)


@every_module
def test_one_second_makes_two_baskets_of_one(make: Callable[..., nn.Module], facts: Facts) -> None:
    module = shaken(make(facts=facts))
    one, two = (batch_of([[0, 9, 9 + second]], [(0, 3, DAY_S)]) for second in (0, 1))
    hidden = some_hidden(one)
    assert (module(hidden, one).query - module(hidden, two).query).abs().max() > 1e-3


@pytest.mark.parametrize("make", [MODULES[name] for name in ("gru", "lstm", "transformer_time", "vae")])
def test_an_interval_of_one_second_has_an_effect_at_current_timestamps(
    make: Callable[..., nn.Module], facts: Facts
) -> None:
    module = shaken(make(facts=facts))
    short, long = (batch_of([[0, 1 + second]], [(0, 2, DAY_S)]) for second in (0, 1))
    assert torch.equal(short.timestamps_s.float(), long.timestamps_s.float())  # the result of a float32
    hidden = some_hidden(short)
    assert not torch.equal(module(hidden, short).query, module(hidden, long).query)


def test_one_second_changes_every_bucket_and_scale() -> None:
    now_s = torch.tensor([TODAY_S])
    some = torch.ones(1, dtype=torch.bool)
    for bound_s in BOUNDS_S:
        below, at = (buckets(now_s - (now_s - bound_s + second), some) for second in (1, 0))
        assert int(at) == int(below) + 1
    apart_s = torch.tensor([0, 1, 2, 7 * DAY_S, 7 * DAY_S + 1])
    assert (log_days((now_s + apart_s) - now_s).diff() > 0).all()


def test_buckets_range_from_no_time_to_years() -> None:
    seconds = torch.tensor([-5, 0, 1, 2, DAY_S, 10**12])
    has_time = torch.tensor([True, True, True, True, True, True])
    found = buckets(seconds, has_time).tolist()
    assert found[:4] == [1, 1, 2, 3]
    assert found[4] == 2 + sum(bound <= DAY_S for bound in BOUNDS_S) - 1
    assert found[5] == NUM_BUCKETS - 1
    assert not buckets(seconds, ~has_time).any()


def test_last_visit_adds_the_logarithm_of_the_days_along_one_direction(facts: Facts) -> None:
    batch = batch_of([[0, DAY_S], [0, 0]], [(0, 2, 4 * DAY_S), (0, 1, 4 * DAY_S), (0, 0, 9 * DAY_S), (1, 1, DAY_S)])
    hidden = some_hidden(batch)
    module = LastVisitTemporal(facts=facts)
    assert torch.equal(module(hidden, batch).query, at_requests(hidden, batch))
    direction = shaken(module).direction.weight.squeeze(1)
    days = torch.tensor([3.0, 4.0, 365.0, 1.0])  # the third request has no event before it
    expected = torch.log1p(days)[:, None] / 6 * direction
    torch.testing.assert_close(added(module, hidden, batch), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("weights", ["learned", "exponential"])
def test_moving_average_against_numpy(weights: str, facts: Facts) -> None:
    batch = some_batch()
    module, hidden = shaken(MovingAverageTemporal(window=3, weights=weights, facts=facts)), some_hidden(batch)
    numbers = {name: value.detach().double().numpy() for name, value in module.named_parameters()}
    for request, window in enumerate(batch.request_window.tolist()):
        vectors = hidden[window].double().numpy()
        last = baskets_before(batch, request)[::-1][:3]
        means = np.stack([vectors[basket].mean(axis=0) for basket in last])
        asked_s = int(batch.request_time_s[request])
        ages_days = np.asarray([(asked_s - basket_time_s(batch, request, basket)) / DAY_S for basket in last])
        if weights == "learned":
            share = np.exp(numbers["place_logits"][: len(last)])
        else:
            share = 0.5 ** (ages_days / np.exp(numbers["log_half_life"]))
        mean, own = (share / share.sum()) @ means, vectors[int(batch.request_position[request])]
        gate = np.tanh(numbers["gate.weight"] @ np.concatenate([own, mean]) + numbers["gate.bias"])
        expected = own + gate * (mean - own)
        np.testing.assert_allclose(module(hidden, batch).query[request].detach(), expected, atol=1e-5)


def test_a_half_life_of_one_second_is_exact_at_current_timestamps(facts: Facts) -> None:
    module = MovingAverageTemporal(weights="exponential", facts=facts).eval()
    batch = batch_of([[0, 1]], [(0, 2, 2)])
    with torch.no_grad():
        module.log_half_life.fill_(-np.log(DAY_S))
        module.gate.bias.fill_(50.0)  # only the mean
    hidden = some_hidden(batch)
    old, new = 0.25 / 1.0, 0.5 / 1.0  # the start vector is as old as the first event
    expected = (old * (hidden[0, 0] + hidden[0, 1]) + new * hidden[0, 2]) / (2 * old + new)
    torch.testing.assert_close(module(hidden, batch).query[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(("cell", "whole"), [(nn.LSTMCell, nn.LSTM), (nn.GRUCell, nn.GRU)], ids=["lstm", "gru"])
def test_recurrence_against_torch_over_one_sequence_of_baskets(
    cell: type[nn.LSTMCell], whole: type[nn.LSTM], num_layers: int
) -> None:
    batch = some_batch()
    module, hidden = shaken(BasketRecurrence(cell, WIDTH, num_layers)), some_hidden(batch)
    reference = whole(WIDTH + 1, WIDTH, num_layers, batch_first=True)
    names = [(number, name) for number, part in enumerate(module.cells) for name, _ in part.named_parameters()]
    reference.load_state_dict({f"{name}_l{number}": getattr(module.cells[number], name) for number, name in names})
    states = module(hidden, batch)
    for request, window in enumerate(batch.request_window.tolist()):
        baskets = baskets_before(batch, request)
        times_s = [basket_time_s(batch, request, basket) for basket in baskets]
        gaps = np.log1p(np.diff(times_s, prepend=times_s[0]) / DAY_S)
        means = torch.stack([hidden[window, basket].mean(0) for basket in baskets])
        steps = torch.cat([means, torch.from_numpy(gaps).float()[:, None]], dim=1)
        outputs = reference(steps[None])[0][0]  # (baskets, WIDTH)
        before = outputs[-2] if len(baskets) > 1 else torch.zeros(WIDTH)
        torch.testing.assert_close(states.after[request], outputs[-1], rtol=0, atol=1e-5)
        torch.testing.assert_close(states.before[request], before, rtol=0, atol=1e-5)
        assert float(states.gap[request]) == pytest.approx(gaps[-1], abs=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(MovingAverageTemporal, window=0), "temporal.window must be at least 1, got 0; try 8"),
        (partial(MovingAverageTemporal, weights="equal"), "must be learned or exponential, got 'equal'; choose one"),
        (partial(GRUTemporal, num_layers=0), "temporal.num_layers must be at least 1, got 0; try 1"),
        (partial(LSTMTemporal, num_layers=-1), "temporal.num_layers must be at least 1, got -1; try 1"),
        (partial(TransformerTime, num_layers=0), "temporal.num_layers must be at least 1, got 0; try 1"),
        (partial(TransformerTime, num_heads=3), r"must divide embedding_dim=8, got 3; choose one of \[1, 2, 4, 8\]"),
        (partial(TransformerTime, num_heads=0), "temporal.num_heads must be at least 1, got 0"),
        (partial(TransformerTime, num_harmonics=-1), "temporal.num_harmonics must be at least 0, got -1; try 2"),
        (partial(VAETemporal, latent_dim=0), "temporal.latent_dim must be at least 1, got 0; try 32"),
        (partial(VAETemporal, beta=-0.1), "temporal.beta must be at least 0, got -0.1; try 0.02"),
        (partial(VAETemporal, beta=float("nan")), "temporal.beta must be at least 0, got nan"),
        (partial(VAETemporal, annealing_share=1.5), r"annealing_share must lie in \[0, 1\], got 1.5; try 0.5"),
        (partial(VAETemporal, prior="flow"), "temporal.prior must be standard or learned, got 'flow'; choose one"),
    ],
)
def test_bad_options_are_refused(make: Callable[..., nn.Module], message: str, facts: Facts) -> None:
    with pytest.raises(ValueError, match=message):
        make(facts=facts)


@every_module
def test_a_window_of_only_padding_does_not_disturb_the_others(make: Callable[..., nn.Module], facts: Facts) -> None:
    batch = some_batch()
    module, hidden = shaken(make(facts=facts)), some_hidden(batch)
    wild = torch.where(torch.arange(hidden.shape[1])[:, None] > 4, 1e4, hidden[2])  # after the events of window 2
    times_s = torch.where(batch.is_padding, TODAY_S + 10**8, batch.timestamps_s)
    changed = module(torch.stack([hidden[0], hidden[1], wild]), replace(batch, timestamps_s=times_s)).query
    torch.testing.assert_close(changed, module(hidden, batch).query, rtol=0, atol=1e-5)


def test_a_module_that_breaks_the_contract_is_refused(shop: Shop) -> None:
    class Silent(torch.nn.Module):
        def __init__(self, *, facts: Facts) -> None:
            super().__init__()

        def forward(self, hidden: Tensor, batch: SequenceBatch) -> Tensor:
            return hidden[batch.request_window, batch.request_position]

    parts = {"item_encoder": IdItems, "backbone": SASRec, "season": {}, "habit": NoHabit, "head": NextItemHead}
    with pytest.raises(
        ValueError, match="temporal module Silent must have an attribute changes_hidden: False if it pas"
    ):
        SeasonalRecommender(**parts, temporal=Silent, facts=shop.facts())
    Silent.changes_hidden = True
    model = SeasonalRecommender(**parts, temporal=Silent, facts=shop.facts())
    with pytest.raises(
        ValueError, match=r"Silent must give a SequenceReading of the requests' queries, got Tensor; wrap"
    ):
        model.read(shop.builder(model.contexts())(shop.some_requests(4)))
